//! Tokens for mailboxes that take no passwords (RFC 6749): from a program of the operator's, or from the
//! token endpoint of whoever hosts the mailbox.
//!
//! What lasts (the refresh token) is kept in the store, which is encrypted; what is shown to the mail
//! servers lasts an hour or so, is kept in memory alone, and asked for anew before it ends.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use oauth2::basic::{BasicClient, BasicErrorResponseType, BasicTokenResponse};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    DeviceAuthorizationUrl, DeviceCodeErrorResponseType, HttpRequest, HttpResponse,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope,
    StandardDeviceAuthorizationResponse, StandardErrorResponse, TokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::domain::facts::foreign::Foreign;
use crate::domain::facts::names::Digest;
use crate::edge::files;
use crate::edge::https::Asker;
use crate::edge::program;
use crate::edge::server::Secret;
use crate::error::Fault;

/// How long a program may take to give a token.
const PROGRAM_MAX: Duration = Duration::from_secs(30);
/// A token of a program is shown for so long; it knows itself when the next is due.
const PROGRAM_LASTS: Duration = Duration::from_secs(120);
/// Where an endpoint does not say how long a token lasts.
const LASTS: Duration = Duration::from_secs(300);
/// A new one is asked for so long before the end; sooner of one that lasts less than ten times as long.
const BEFORE_THE_END: Duration = Duration::from_secs(300);
/// After a failure it is asked again no sooner, however many ask.
const AGAIN: Duration = Duration::from_secs(10);
/// Where a browser is sent after somebody agreed. Nobody listens there: the address that it then shows
/// is what is wanted.
const SENT_TO: &str = "http://127.0.0.1/embargod";

/// Who hosts the mailbox.
#[derive(Debug, Clone)]
pub struct Host {
    /// Where tokens are given.
    pub token_url: String,
    /// Where a device asks to be signed in (RFC 8628); none where the host does not do so for mail.
    pub device_url: Option<String>,
    /// Where a person agrees in a browser.
    pub authorize_url: Option<String>,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// Added to what a browser is sent with.
    pub extra: Vec<(String, String)>,
}

/// Who we are to the host.
#[derive(Debug, Clone)]
pub struct Application {
    /// Its id there.
    pub id: String,
    /// The file with its secret, if it has one.
    pub secret: Option<PathBuf>,
    /// Authorities to trust; the system's when none.
    pub ca_file: Option<PathBuf>,
}

/// Where tokens come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A program says one.
    Program(Vec<String>),
    /// The application itself is let in (RFC 6749, 4.4).
    Application(Host, Application),
    /// Somebody has signed in once, by `embargod login` or elsewhere: the refresh token of the file is
    /// the first.
    SignedIn(Host, Application, Option<PathBuf>),
}

/// Where what lasts is kept.
pub trait Keeps: Send + Sync {
    /// What is kept.
    ///
    /// # Errors
    /// When it cannot be read.
    fn kept(&self) -> Result<Option<Zeroizing<String>>, Fault>;

    /// Keeps it.
    ///
    /// # Errors
    /// When it cannot be written.
    fn keep(&self, text: &str) -> Result<(), Fault>;
}

/// What is kept: a refresh token, and of which application at which endpoint it is.
#[derive(Serialize, Deserialize)]
struct Kept {
    of: Digest,
    refresh: Zeroizing<String>,
    /// Which token of a file it began with: another one in the file begins anew.
    from: Option<Digest>,
}

#[derive(Default)]
enum Current {
    #[default]
    None,
    Token(Zeroizing<String>, Instant),
    /// None could be had.
    Failed(Fault, Instant),
}

/// Gives tokens, one for all who ask.
pub struct Giver {
    source: Source,
    keeps: OnceLock<Arc<dyn Keeps>>,
    current: Mutex<Current>,
}

impl std::fmt::Debug for Giver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Giver")
    }
}

impl Giver {
    /// One for a source.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self { source, keeps: OnceLock::new(), current: Mutex::default() }
    }

    /// Says where what lasts is kept; until then nothing that lasts can be had.
    pub fn keep_in(&self, keeps: Arc<dyn Keeps>) {
        let _ = self.keeps.set(keeps);
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self) -> Result<(Zeroizing<String>, Duration), Fault> {
        match &self.source {
            Source::Program(words) => {
                let said = program::run(words, PROGRAM_MAX).map_err(|why| {
                    Fault::new(format!("token_command: {why}"), "run it by hand as the desk's user")
                })?;
                let token = Zeroizing::new(said.trim().to_owned());
                if token.is_empty() || token.contains(|c: char| c.is_control() || c == ' ') {
                    let what = "token_command: what it says is no token";
                    return Err(Fault::new(what, "it must say the token and nothing else"));
                }
                Ok((token, PROGRAM_LASTS))
            }
            Source::Application(host, application) => {
                let http = Http::new(application)?;
                let client = host.client(application)?;
                let asked = client.exchange_client_credentials().add_scopes(host.scopes());
                let answer = asked.request(&|request| http.ask(request)).map_err(|e| said(&e))?;
                Ok(access(&answer))
            }
            Source::SignedIn(host, application, first) => {
                let first = held(first.as_ref())?;
                let refresh = self.refresh_token(host, application, first.as_ref())?;
                let http = Http::new(application)?;
                let client = host.client(application)?;
                let token = RefreshToken::new(refresh.to_string());
                let asked = client.exchange_refresh_token(&token);
                let answer = asked.request(&|request| http.ask(request)).map_err(|e| said(&e))?;
                // Before it is used: the old one may hold no more from here on.
                if let Some(next) = answer.refresh_token().filter(|next| *next.secret() != *refresh)
                {
                    self.keep(host, application, next.secret(), first.as_ref())?;
                }
                Ok(access(&answer))
            }
        }
    }

    fn keeps(&self) -> Result<&Arc<dyn Keeps>, Fault> {
        self.keeps.get().ok_or_else(|| Fault::new("there is no store to keep a sign-in in", ""))
    }

    /// The newest refresh token: what was kept, unless the operator has put another into the file since.
    fn refresh_token(
        &self,
        host: &Host,
        application: &Application,
        first: Option<&Zeroizing<String>>,
    ) -> Result<Zeroizing<String>, Fault> {
        let kept = self.keeps()?.kept()?;
        let kept = kept.and_then(|kept| serde_json::from_str::<Kept>(&kept).ok());
        let kept = kept.filter(|kept| kept.of == host.digest(application));
        match (kept, first) {
            (Some(kept), None) => Ok(kept.refresh),
            (Some(kept), Some(first)) if kept.from.is_none_or(|from| from == digest(first)) => {
                Ok(kept.refresh)
            }
            (_, Some(first)) => Ok(first.clone()),
            (None, None) => Err(Fault::new(
                "nobody has signed the desk in to its mailbox yet",
                "run `embargod login`",
            )),
        }
    }

    fn keep(
        &self,
        host: &Host,
        application: &Application,
        refresh: &str,
        first: Option<&Zeroizing<String>>,
    ) -> Result<(), Fault> {
        let kept = Kept {
            of: host.digest(application),
            refresh: Zeroizing::new(refresh.to_owned()),
            from: first.map(|first| digest(first)),
        };
        let text = serde_json::to_string(&kept).map_err(|e| Fault::new(e.to_string(), ""))?;
        self.keeps()?.keep(&Zeroizing::new(text))
    }

    /// Begins a sign-in by a person.
    ///
    /// # Errors
    /// When there is nothing to sign in to, or the host does not answer.
    pub fn begin(&self) -> Result<SignIn, Fault> {
        let Source::SignedIn(host, application, _) = &self.source else {
            let what = "[oauth] says how tokens are had without anybody signing in";
            return Err(Fault::new(what, "run `embargod check`"));
        };
        let client = host.client(application)?;
        if let Some(device) = &host.device_url {
            let url =
                DeviceAuthorizationUrl::new(device.clone()).map_err(|e| no_url(device, &e))?;
            let http = Http::new(application)?;
            let client = client.set_device_authorization_url(url);
            let asked = client.exchange_device_code().add_scopes(host.scopes());
            let answer: Result<StandardDeviceAuthorizationResponse, _> =
                asked.request(&|request| http.ask(request));
            return Ok(SignIn::Device(Box::new(answer.map_err(|e| said(&e))?)));
        }
        let Some(authorize) = &host.authorize_url else {
            let what = "[oauth] names no `device_url` and no `authorize_url`";
            return Err(Fault::new(what, "add the one that your host gives"));
        };
        let url = AuthUrl::new(authorize.clone()).map_err(|e| no_url(authorize, &e))?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let back = RedirectUrl::new(SENT_TO.to_owned()).map_err(|e| no_url(SENT_TO, &e))?;
        let client = client.set_auth_uri(url).set_redirect_uri(back);
        let mut asked = client
            .authorize_url(CsrfToken::new_random)
            .add_scopes(host.scopes())
            .set_pkce_challenge(challenge);
        for (name, value) in &host.extra {
            asked = asked.add_extra_param(name, value);
        }
        let (url, state) = asked.url();
        Ok(SignIn::Browser { url: url.to_string(), state, verifier })
    }

    /// Waits until somebody has agreed on another device, and keeps what lasts.
    ///
    /// # Errors
    /// Why nothing came of it.
    pub fn end_device(&self, device: &StandardDeviceAuthorizationResponse) -> Result<(), Fault> {
        let Source::SignedIn(host, application, first) = &self.source else { return Ok(()) };
        let http = Http::new(application)?;
        let client = host.client(application)?;
        let asked = client.exchange_device_access_token(device);
        let answer = asked
            .request(&|request| http.ask(request), std::thread::sleep, None)
            .map_err(|error| said(&error))?;
        self.end(host, application, &answer, held(first.as_ref())?.as_ref())
    }

    /// Takes in the address that a browser shows after somebody agreed, and keeps what lasts.
    ///
    /// # Errors
    /// Why nothing came of it.
    pub fn end_browser(
        &self,
        shown: &str,
        state: &CsrfToken,
        verifier: PkceCodeVerifier,
    ) -> Result<(), Fault> {
        let Source::SignedIn(host, application, first) = &self.source else { return Ok(()) };
        let code = code_of(shown, state)?;
        let http = Http::new(application)?;
        let back = RedirectUrl::new(SENT_TO.to_owned()).map_err(|e| no_url(SENT_TO, &e))?;
        let client = host.client(application)?.set_redirect_uri(back);
        let asked = client.exchange_code(code).set_pkce_verifier(verifier);
        let answer = asked.request(&|request| http.ask(request)).map_err(|e| said(&e))?;
        self.end(host, application, &answer, held(first.as_ref())?.as_ref())
    }

    fn end(
        &self,
        host: &Host,
        application: &Application,
        answer: &BasicTokenResponse,
        first: Option<&Zeroizing<String>>,
    ) -> Result<(), Fault> {
        let Some(refresh) = answer.refresh_token() else {
            return Err(Fault::new(
                "the host let us in once and gave nothing that lasts",
                "ask for offline access: add `offline_access` to `scopes`, or see what your host wants",
            ));
        };
        self.keep(host, application, refresh.secret(), first)?;
        *self.current() = Current::None;
        Ok(())
    }
}

impl Secret for Giver {
    fn mend(&self) -> String {
        match &self.source {
            Source::Program(_) => "see that `user` is the mailbox's, and that what token_command says is a token for it that holds",
            Source::Application(..) => "see that `user` is the mailbox's, and that the application of [oauth] may use it",
            Source::SignedIn(..) => "see that `user` is whoever signed the desk in; `embargod login` signs it in anew",
        }
        .to_owned()
    }

    fn now(&self) -> Result<Zeroizing<String>, Fault> {
        // Held while it is asked: the others get the same one.
        let mut current = self.current();
        match &*current {
            Current::Token(token, until) if Instant::now() < *until => return Ok(token.clone()),
            Current::Failed(fault, until) if Instant::now() < *until => return Err(fault.clone()),
            Current::None | Current::Token(..) | Current::Failed(..) => {}
        }
        match self.ask() {
            Ok((token, lasts)) => {
                let early = BEFORE_THE_END.min(lasts / 10);
                *current = Current::Token(token.clone(), Instant::now() + (lasts - early));
                Ok(token)
            }
            Err(fault) => {
                *current = Current::Failed(fault.clone(), Instant::now() + AGAIN);
                Err(fault)
            }
        }
    }

    fn refused(&self, token: &str) {
        // Said on a thread that must not wait; where somebody is asking just now there will be another anyway.
        let Ok(mut current) = self.current.try_lock() else { return };
        if matches!(&*current, Current::Token(known, _) if known.as_str() == token) {
            *current = Current::None;
        }
    }
}

/// A sign-in that somebody has to agree to.
pub enum SignIn {
    /// On any device: an address and a code.
    Device(Box<StandardDeviceAuthorizationResponse>),
    /// In a browser, whose address line is then needed.
    Browser {
        /// What to open.
        url: String,
        /// What must come back.
        state: CsrfToken,
        /// What proves that it is the same who asks.
        verifier: PkceCodeVerifier,
    },
}

type Client = oauth2::Client<
    StandardErrorResponse<BasicErrorResponseType>,
    BasicTokenResponse,
    oauth2::basic::BasicTokenIntrospectionResponse,
    oauth2::StandardRevocableToken,
    oauth2::basic::BasicRevocationErrorResponse,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointSet,
>;

impl Host {
    fn client(&self, application: &Application) -> Result<Client, Fault> {
        let url = TokenUrl::new(self.token_url.clone()).map_err(|e| no_url(&self.token_url, &e))?;
        let mut client = BasicClient::new(ClientId::new(application.id.clone()))
            .set_auth_type(AuthType::RequestBody);
        if let Some(secret) = &application.secret {
            client =
                client.set_client_secret(ClientSecret::new(files::secret(secret)?.to_string()));
        }
        Ok(client.set_token_uri(url))
    }

    fn scopes(&self) -> impl Iterator<Item = Scope> {
        self.scopes.iter().map(|scope| Scope::new(scope.clone()))
    }

    /// A token is good at one endpoint for one application, and for what was asked for.
    fn digest(&self, application: &Application) -> Digest {
        let parts = [&self.token_url, &application.id, &self.scopes.join(" ")];
        digest(&parts.map(String::as_str).join("\n"))
    }
}

/// What stands in a file now, where one is named.
fn held(path: Option<&PathBuf>) -> Result<Option<Zeroizing<String>>, Fault> {
    path.map(|path| files::secret(path)).transpose()
}

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn no_url(url: &str, error: &impl std::fmt::Display) -> Fault {
    Fault::new(format!("`{url}` is no address: {error}"), "look at [oauth]")
}

fn access(answer: &BasicTokenResponse) -> (Zeroizing<String>, Duration) {
    let token = Zeroizing::new(answer.access_token().secret().clone());
    (token, answer.expires_in().unwrap_or(LASTS))
}

/// The code in the address that a browser was sent to, if it is the answer to our question.
fn code_of(shown: &str, state: &CsrfToken) -> Result<AuthorizationCode, Fault> {
    let url = oauth2::url::Url::parse(shown.trim());
    let url = url.map_err(|_| {
        Fault::new(
            "that is no address",
            "copy the whole line of the browser, from http:// to its end",
        )
    })?;
    let part = |name: &str| {
        url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    };
    if let Some(error) = part("error") {
        return Err(in_words(&error, ""));
    }
    if part("state").as_deref() != Some(state.secret()) {
        let what = "that address is not the answer to this sign-in";
        return Err(Fault::new(what, "run `embargod login` again and use the newest page"));
    }
    part("code")
        .map(AuthorizationCode::new)
        .ok_or_else(|| Fault::new("there is no code in that address", "run `embargod login` again"))
}

struct Http(Asker);

impl Http {
    fn new(application: &Application) -> Result<Self, Fault> {
        Asker::new(application.ca_file.as_deref()).map(Self)
    }

    fn ask(&self, request: HttpRequest) -> Result<HttpResponse, ureq::Error> {
        self.0.ask(request)
    }
}

/// An error that an endpoint may name.
trait Named: oauth2::ErrorResponseType + AsRef<str> + std::fmt::Display {}
impl Named for BasicErrorResponseType {}
impl Named for DeviceCodeErrorResponseType {}

/// What came of asking an endpoint, in words with the next step.
fn said<T: Named + std::fmt::Display + 'static>(
    error: &RequestTokenError<ureq::Error, StandardErrorResponse<T>>,
) -> Fault {
    match error {
        RequestTokenError::ServerResponse(answer) => {
            let name = AsRef::<str>::as_ref(answer.error()).to_owned();
            in_words(&name, answer.error_description().map_or("", String::as_str))
        }
        RequestTokenError::Request(error) => Fault::new(
            format!("the token endpoint does not answer: {error}"),
            "see whether this machine reaches it; the desk tries again by itself",
        ),
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => Fault::new(
            "the token endpoint says what is no answer to a request for a token",
            "look at `token_url` and `preset` in [oauth]",
        ),
    }
}

/// The errors of RFC 6749 (5.2, 4.1.2.1) and RFC 8628 (3.5), and what to do.
const ERRORS: &[(&str, &str, &str)] = &[
    (
        "invalid_grant",
        "the sign-in to the mailbox has ended, or was taken back",
        "run `embargod login`; where `refresh_token_file` is used, put a new one into the file",
    ),
    ("interaction_required", "the host wants somebody to sign in again", "run `embargod login`"),
    (
        "invalid_client",
        "the host does not know this application, or its secret has ended",
        "look at `client_id` and `client_secret_file` in [oauth]; secrets end, often after two years",
    ),
    (
        "unauthorized_client",
        "the application may not be signed in in this way",
        "allow it where the application is registered",
    ),
    (
        "invalid_scope",
        "the host does not give what is asked for",
        "look at `scopes` in [oauth], and at what the application is allowed",
    ),
    ("access_denied", "whoever was asked did not agree", "run `embargod login` again"),
    ("authorization_declined", "whoever was asked did not agree", "run `embargod login` again"),
    ("expired_token", "nobody agreed in time", "run `embargod login` again"),
    (
        "unsupported_grant_type",
        "the host does not give tokens in this way",
        "look at `grant` in [oauth]",
    ),
    ("invalid_request", "the host does not understand the request", "look at [oauth]"),
    (
        "temporarily_unavailable",
        "the host cannot give tokens now",
        "the desk tries again by itself",
    ),
    ("server_error", "the host has a fault of its own", "the desk tries again by itself"),
];

fn in_words(name: &str, more: &str) -> Fault {
    let row = ERRORS.iter().find(|(known, ..)| *known == name);
    let (what, next) = row.map_or(
        ("the host does not give a token", "look for its error in the host's documentation"),
        |(_, what, next)| (*what, *next),
    );
    // Whoever runs the endpoint chose the words.
    let more = Foreign::line(more, 160).to_string();
    let name = Foreign::line(name, 60).to_string();
    let more = if more.is_empty() { String::new() } else { format!(": {more}") };
    Fault::new(format!("{what} ({name}{more})"), next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_of_an_endpoint_has_words_and_a_next_step() {
        for (name, what, next) in ERRORS {
            let fault = in_words(name, "AADSTS70043: \r\n expired");
            assert!(fault.what.contains(what) && fault.next == *next, "{fault}");
            assert!(fault.what.contains(name) && !fault.what.contains('\n'), "{fault}");
        }
        assert!(in_words("odd", "").what.contains("(odd)"));
    }

    #[test]
    fn the_page_about_logging_in_says_what_is_said() {
        let page = include_str!("../../docs/login.md");
        let said = page.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" (`"));
        let mut count = 0;
        for (words, rest) in said {
            let name = rest.split('`').next().unwrap_or("");
            let row = ERRORS.iter().find(|(known, ..)| *known == name);
            assert!(row.is_some_and(|(_, what, _)| *what == words), "{name}: {words}");
            count += 1;
        }
        assert!(count >= 4, "{count}");
    }

    #[test]
    fn the_address_line_is_taken_from_whoever_asked_alone() {
        let state = CsrfToken::new("s1".to_owned());
        let code = |shown: &str| code_of(shown, &state).map(|code| code.secret().clone());
        assert_eq!(code(" http://127.0.0.1/embargod?code=abc&state=s1 \n"), Ok("abc".to_owned()));
        for (shown, why) in [
            ("http://127.0.0.1/embargod?code=abc&state=s2", "not the answer"),
            ("http://127.0.0.1/embargod?code=abc", "not the answer"),
            ("http://127.0.0.1/embargod?state=s1", "no code"),
            ("http://127.0.0.1/embargod?error=access_denied&state=s1", "did not agree"),
            ("abc", "no address"),
        ] {
            assert!(code(shown).unwrap_err().what.contains(why), "{shown}");
        }
    }

    #[derive(Default)]
    struct Memory(Mutex<Option<String>>);
    impl Keeps for Memory {
        fn kept(&self) -> Result<Option<Zeroizing<String>>, Fault> {
            let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(kept.clone().map(Zeroizing::new))
        }
        fn keep(&self, text: &str) -> Result<(), Fault> {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.to_owned());
            Ok(())
        }
    }

    #[test]
    fn what_was_kept_holds_for_its_application_and_until_the_file_has_another() {
        let host = |token: &str| Host {
            token_url: token.to_owned(),
            device_url: None,
            authorize_url: None,
            scopes: vec!["mail".to_owned()],
            extra: Vec::new(),
        };
        let application = Application { id: "app".to_owned(), secret: None, ca_file: None };
        let secret = |text: &str| Some(Zeroizing::new(text.to_owned()));
        let memory = Arc::new(Memory::default());
        let source = Source::SignedIn(host("https://a.example/t"), application.clone(), None);
        let one = Giver::new(source);
        one.keep_in(Arc::clone(&memory) as Arc<dyn Keeps>);
        let newest = |giver: &Giver, at: &Host, first: Option<&Zeroizing<String>>| {
            giver.refresh_token(at, &application, first).map(|token| token.to_string())
        };
        let here = host("https://a.example/t");
        let first = secret("one");
        assert_eq!(newest(&one, &here, first.as_ref()), Ok("one".to_owned()));
        one.keep(&here, &application, "two", first.as_ref()).unwrap();
        assert_eq!(newest(&one, &here, first.as_ref()), Ok("two".to_owned()), "the newest");
        let other = secret("three");
        assert_eq!(newest(&one, &here, other.as_ref()), Ok("three".to_owned()));
        assert_eq!(newest(&one, &here, None), Ok("two".to_owned()));
        let elsewhere = newest(&one, &host("https://b.example/t"), None).unwrap_err();
        assert!(elsewhere.next.contains("embargod login"));
    }
}
