//! Saying who we are, by SASL (RFC 4422): one way for the mailbox and the mail server. Never before TLS
//! stands.
//!
//! Of what a server offers the way is taken that gives away least: SCRAM does not show it the password
//! (RFC 5802, RFC 7677), PLAIN and LOGIN do. Tokens go by OAUTHBEARER (RFC 7628), or by XOAUTH2, which
//! is all that the largest hosts know.

use std::fmt;

use rsasl::callback::{Context, Request, SessionCallback, SessionData};
use rsasl::config::SASLConfig;
use rsasl::mechanisms::{login, oauthbearer, plain, scram, xoauth2};
use rsasl::mechname::Mechname;
use rsasl::prelude::{Mechanism, Registry, SASLClient, Session, State};
use rsasl::property::{AuthId, AuthzId, OAuthBearerToken, Password};
use zeroize::Zeroizing;

use crate::edge::server::{Credential, Server};
use crate::error::Fault;

/// With a password, the best first.
static BY_PASSWORD: &[Mechanism] =
    &[scram::SCRAM_SHA256, scram::SCRAM_SHA1, plain::PLAIN, login::LOGIN];
/// With a token.
static BY_TOKEN: &[Mechanism] = &[oauthbearer::OAUTHBEARER, xoauth2::XOAUTH2];
/// A server says how often a password is hashed (RFC 5802, 5.1), and more than this would be work for
/// minutes.
const ROUNDS_MAX: u32 = 1_000_000;
/// So many words back and forth are enough for any of them.
pub(in crate::edge) const STEPS_MAX: u8 = 6;

/// A log-in that is under way.
pub(in crate::edge) struct Exchange {
    session: Session,
    is_over: bool,
    wrong: Option<String>,
    secret: Zeroizing<String>,
    credential: Credential,
}

/// What the library asks of us.
struct Us {
    user: String,
    secret: Zeroizing<String>,
    is_token: bool,
}

impl SessionCallback for Us {
    fn callback(
        &self,
        _: &SessionData,
        _: &Context<'_>,
        request: &mut Request<'_>,
    ) -> Result<(), rsasl::prelude::SessionError> {
        if self.is_token {
            // Who the mailbox is of; the token says who we are (RFC 7628, 3.1).
            request.satisfy::<AuthId>(&self.user)?.satisfy::<AuthzId>(&self.user)?;
            request.satisfy::<OAuthBearerToken>(&self.secret)?;
            // What a server says of a token that it does not take it says again in its last answer.
            let _ = request.get_action::<xoauth2::properties::XOAuth2Error>();
            let _ = request.get_action::<oauthbearer::properties::OAuthBearerErrored>();
        } else {
            request.satisfy::<AuthId>(&self.user)?.satisfy::<Password>(self.secret.as_bytes())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exchange({})", self.mechanism())
    }
}

impl Exchange {
    /// Begins with the best of the ways that a server offers, and what it is shown.
    ///
    /// # Errors
    /// When it offers none that we know.
    pub(in crate::edge) fn begin(
        server: &Server,
        offered: &[String],
        secret: Zeroizing<String>,
    ) -> Result<Self, Fault> {
        let is_token = matches!(server.credential, Credential::Token(_));
        let ways = if is_token { BY_TOKEN } else { BY_PASSWORD };
        let us = Us { user: server.user.clone(), secret: secret.clone(), is_token };
        let none = |_| {
            let known: Vec<&str> = ways.iter().map(|way| way.mechanism.as_str()).collect();
            Fault::new(
                format!(
                    "{} offers {}, and the desk can log in by {}",
                    server.host,
                    if offered.is_empty() { "nothing".to_owned() } else { offered.join(", ") },
                    known.join(", ")
                ),
                if is_token {
                    "this server takes no tokens: give its section a `password_file`"
                } else {
                    "a server that takes tokens only needs `[oauth]` in place of `password_file`"
                },
            )
        };
        // In our order, not in the server's.
        let best = ways.iter().find(|way| {
            offered.iter().any(|name| name.eq_ignore_ascii_case(way.mechanism.as_str()))
        });
        let names: Vec<&Mechname> = best.iter().map(|way| way.mechanism).collect();
        let config = SASLConfig::builder()
            .with_registry(Registry::with_mechanisms(ways))
            .with_callback(us)
            .map_err(|error| Fault::new(format!("log-in: {error}"), ""))?;
        let session = SASLClient::new(config).start_suggested(&names).map_err(none)?;
        let credential = server.credential.clone();
        Ok(Self { session, is_over: false, wrong: None, secret, credential })
    }

    /// The name of the way that was taken.
    pub(in crate::edge) fn mechanism(&self) -> &str {
        self.session.get_mechname().as_str()
    }

    /// What to say first, without being asked; none where the server speaks first.
    pub(in crate::edge) fn first(&mut self) -> Option<Vec<u8>> {
        self.session.are_we_first().then(|| self.step(None))
    }

    /// What to answer. Where something is wrong that is nothing, and the server ends it.
    pub(in crate::edge) fn step(&mut self, challenge: Option<&[u8]>) -> Vec<u8> {
        let mut answer = Vec::new();
        if self.is_over || self.wrong.is_some() {
            return answer;
        }
        if self.mechanism().starts_with("SCRAM") && challenge.and_then(rounds) > Some(ROUNDS_MAX) {
            self.wrong = Some("the server wants the password hashed without end".to_owned());
            return answer;
        }
        match self.session.step(challenge, &mut answer) {
            Ok(State::Finished(_)) => self.is_over = true,
            Ok(State::Running) => {}
            Err(error) => {
                // What it says may quote the server, which may quote anything.
                tracing::debug!(event = "login.doubted", %error, "The server's part in the log-in does not hold.");
                self.wrong = Some("the server's part in it does not hold".to_owned());
                answer.clear();
            }
        }
        answer
    }

    /// The server has let us in. Whether it has shown as well that it knows us, where it must.
    ///
    /// # Errors
    /// Why it is not believed.
    pub(in crate::edge) fn let_in(mut self) -> Result<(), String> {
        if self.wrong.is_none() && !self.is_over {
            let mut nothing = Vec::new();
            let ended = self.session.step(None, &mut nothing);
            let is_scram = self.mechanism().starts_with("SCRAM");
            if ended.is_err() && is_scram {
                self.wrong = Some("it did not prove that it knows the password".to_owned());
            }
        }
        self.wrong.map_or(Ok(()), Err)
    }

    /// It has not: what was good is asked for anew.
    pub(in crate::edge) fn refused(self) {
        let (Credential::Password(secret) | Credential::Token(secret)) = &self.credential;
        secret.refused(&self.secret);
    }
}

/// How often the password is to be hashed, as the server's first word has it.
fn rounds(challenge: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(challenge).ok()?;
    let said = text.split(',').find_map(|part| part.strip_prefix("i="))?;
    Some(said.parse().unwrap_or(u32::MAX))
}
