//! Coming in: TLS, and then who we are.

use std::time::Duration;

use async_imap::imap_proto::{Capability, Response};
use async_imap::{Authenticator, Client, Session};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use crate::edge::imap::Failed;
use crate::edge::imap::wire::{Guarded, Progress};
use crate::edge::server::login::{Exchange, STEPS_MAX};
use crate::edge::server::{Credential, Server};
use crate::edge::tls;

/// How long it may take until a connection stands.
const CONNECTS: Duration = Duration::from_secs(25);

pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug> Wire for T {}

/// A connection that is logged in.
pub(super) struct Line {
    pub(super) session: Session<Box<dyn Wire>>,
    pub(super) progress: Progress,
}

async fn within<T, E: Into<Failed>>(
    what: &str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Failed> {
    match tokio::time::timeout(CONNECTS, work).await {
        Ok(done) => done.map_err(|error| error.into().at(what)),
        Err(_) => Err(Failed::Broken(format!("{what}: the server did not answer"))),
    }
}

/// Connects and logs in. No literal that is longer than so many bytes will be begun.
pub(super) async fn log_in(server: &Server, literal_max: u64) -> Result<Line, Failed> {
    // Before anything is dialled: whoever gives it may take his time, and that is not the server's.
    let secret = server.secret().await.map_err(Failed::Here)?;
    let connector = tls::connector(server.ca_file.as_deref()).map_err(Failed::Here)?;
    let name = tls::server_name(&server.host).map_err(Failed::Here)?;
    let address = (server.host.as_str(), server.port);
    let tcp = within("connecting", TcpStream::connect(address)).await?;
    tcp.set_nodelay(true)?;
    let stream: Box<dyn Wire> = if server.implicit_tls {
        Box::new(within("TLS", connector.connect(name, tcp)).await?)
    } else {
        let (plain, _) = Guarded::new(tcp, 0);
        let mut client = Client::new(plain);
        within("greeting", client.read_response()).await?;
        within("STARTTLS", client.run_command_and_check_ok("STARTTLS", None)).await?;
        Box::new(within("TLS", connector.connect(name, client.into_inner())).await?)
    };
    let (stream, progress) = Guarded::new(stream, literal_max);
    let stream: Box<dyn Wire> = Box::new(stream);
    let mut client = Client::new(stream);
    if server.implicit_tls {
        within("greeting", client.read_response()).await?;
    }
    match tokio::time::timeout(CONNECTS, say_who(server, secret, client)).await {
        Ok(Ok(session)) => Ok(Line { session, progress }),
        Ok(Err(failed)) => Err(failed),
        Err(_) => Err(Failed::Broken("log-in: the server did not answer".to_owned())),
    }
}

/// The ways of logging in that the server offers, and whether the plain command is one of them.
#[expect(clippy::wildcard_enum_match_arm, reason = "whatever else the server says meanwhile")]
async fn offered(client: &mut Client<Box<dyn Wire>>) -> Result<(Vec<String>, bool), Failed> {
    // The library asks this of a connection that is logged in alone.
    const TAG: &str = "caps";
    let stream = client.get_mut();
    stream.write_all(format!("{TAG} CAPABILITY\r\n").as_bytes()).await?;
    stream.flush().await?;
    let (mut ways, mut has_login) = (Vec::new(), true);
    loop {
        let Some(answer) = client.read_response().await? else {
            return Err(Failed::Broken("the connection was closed".to_owned()));
        };
        match answer.parsed() {
            Response::Capabilities(all) => {
                for one in all {
                    match one {
                        Capability::Auth(way) => ways.push(way.to_ascii_uppercase()),
                        Capability::Atom(word) if word.eq_ignore_ascii_case("LOGINDISABLED") => {
                            has_login = false;
                        }
                        Capability::Imap4rev1 | Capability::Atom(_) => {}
                    }
                }
            }
            Response::Done { tag, .. } if tag.0 == TAG => return Ok((ways, has_login)),
            _ => {}
        }
    }
}

async fn say_who(
    server: &Server,
    secret: Zeroizing<String>,
    mut client: Client<Box<dyn Wire>>,
) -> Result<Session<Box<dyn Wire>>, Failed> {
    let (ways, has_login) = offered(&mut client).await.map_err(|failed| failed.at("log-in"))?;
    let refused = |error| match Failed::from(error).at("log-in") {
        Failed::Refused(why) => Failed::NotLetIn(why),
        failed @ (Failed::Broken(_) | Failed::NotLetIn(_) | Failed::Here(_)) => failed,
    };
    // A server that is older than SASL has a command of its own (RFC 3501, 6.2.3).
    if matches!(server.credential, Credential::Password(_)) && ways.is_empty() && has_login {
        let session = client.login(&server.user, &*secret).await;
        // The server's words on a failed login are shown; the password is not among them.
        return session.map_err(|(error, _)| refused(error));
    }
    let mut exchange = Exchange::begin(server, &ways, secret).map_err(Failed::Here)?;
    let way = exchange.mechanism().to_owned();
    let talk = Talk { exchange: &mut exchange, steps: 0 };
    match client.authenticate(&way, talk).await {
        Ok(session) => {
            let doubted = |why| Failed::NotLetIn(format!("log-in: {why}"));
            exchange.let_in().map_err(doubted)?;
            Ok(session)
        }
        Err((error, _)) => {
            let failed = refused(error);
            if matches!(failed, Failed::NotLetIn(_)) {
                exchange.refused();
            }
            Err(failed)
        }
    }
}

/// What the library asks for at each challenge.
struct Talk<'a> {
    exchange: &'a mut Exchange,
    steps: u8,
}

impl Authenticator for Talk<'_> {
    type Response = Vec<u8>;

    fn process(&mut self, challenge: &[u8]) -> Vec<u8> {
        self.steps = self.steps.saturating_add(1);
        // A server that asks without end gets no more; the time for the whole of it is bounded.
        if self.steps > STEPS_MAX {
            return Vec::new();
        }
        // The command takes no first word with it, so the server asks for it with an empty one.
        match self.steps {
            1 => self.exchange.first().unwrap_or_else(|| self.exchange.step(Some(challenge))),
            _ => self.exchange.step(Some(challenge)),
        }
    }
}
