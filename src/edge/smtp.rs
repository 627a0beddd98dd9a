//! The courier: handing mails to the mail server, one recipient each, over connections that are
//! kept.
//!
//! The commands are sent one by one rather than by the library's `send`, because the store has to
//! know when the last bytes are about to leave: only between them and the server's answer is it
//! unknown whether a mail left.

mod stream;

use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Ehlo, Mail, Noop, Rcpt};
use lettre::transport::smtp::extension::{ClientId, MailParameter, RcptParameter};
use lettre::transport::smtp::response::Response;
use tokio::time::Instant;

use crate::domain::facts::event::Purpose;
use crate::domain::facts::names;
use crate::domain::outgoing::mail::Outcome;
use crate::edge::server::Server;
use crate::error::{Fault, Place, Setback};
use crate::ports::store::Outgoing;

/// How long the server may take for one answer. The answer to the last bytes may take longer,
/// since some servers look through a mail before they take it (RFC 5321, 4.5.3.2.6: 10 minutes).
const PATIENCE: Duration = Duration::from_secs(60);
/// A connection that stood idle for longer is asked whether it is still there.
const STALE: Duration = Duration::from_secs(5);
const PATIENCE_DATA: Duration = Duration::from_secs(600);

/// A connection to the mail server, kept between mails.
pub struct Courier {
    server: Server,
    own: names::Address,
    connection: Option<AsyncSmtpConnection>,
    /// Whether the server sends delivery reports as they are asked for (RFC 3461).
    reports: bool,
    used: Option<Instant>,
}

fn tls(server: &Server) -> Result<TlsParameters, Fault> {
    let mut tls = TlsParameters::builder(server.host.clone());
    if let Some(path) = &server.ca_file {
        let place = || format!("CA file {}", path.display());
        let pem = std::fs::read(path).at(place)?;
        // Only these: a private mail server's name must not be vouched for by anyone else.
        tls = tls.certificate_store(lettre::transport::smtp::client::CertificateStore::None);
        tls = tls.add_root_certificate(Certificate::from_pem(&pem).at(place)?);
    }
    tls.build_rustls().at(|| "TLS for the mail server".to_owned())
}

impl Courier {
    /// A courier of a desk; connects when there is something to hand over.
    #[must_use]
    pub fn new(server: Server, own: names::Address) -> Self {
        Self { server, own, connection: None, reports: false, used: None }
    }

    /// Connects and logs in.
    ///
    /// # Errors
    /// What the server or the network said.
    pub async fn connect(&mut self) -> Result<(), Setback> {
        let silent = |_| Setback("the mail server did not answer".to_owned());
        tokio::time::timeout(PATIENCE, self.dial()).await.map_err(silent)?
    }

    async fn dial(&mut self) -> Result<(), Setback> {
        let setback = |error: lettre::transport::smtp::Error| Setback(describe(&error));
        let hello = ClientId::Domain(self.own.domain().to_owned());
        let stream = stream::connect(&self.server).await;
        let stream = stream.map_err(|fault| Setback(fault.to_string()))?;
        let mut connection =
            AsyncSmtpConnection::connect_with_transport(stream, &hello).await.map_err(setback)?;
        if !self.server.implicit_tls {
            // Never in clear: a server without STARTTLS gets nothing.
            let tls = tls(&self.server).map_err(|fault| Setback(fault.to_string()))?;
            connection.starttls(tls, &hello).await.map_err(setback)?;
        }
        let credentials =
            Credentials::new(self.server.user.clone(), self.server.password.to_string());
        connection.auth(DEFAULT_MECHANISMS, &credentials).await.map_err(setback)?;
        // The library keeps only what it knows of the server's answer.
        let offers = connection.command(Ehlo::new(hello)).await.map_err(setback)?;
        self.reports = offers.message().any(|line| line.eq_ignore_ascii_case("DSN"));
        self.connection = Some(connection);
        Ok(())
    }

    /// What the server is asked to report about a mail: everything about a notice, nothing about what
    /// answers a stranger (RFC 3834, 4). Never the mail itself (RFC 3461, 4.3): it would travel once
    /// more.
    fn asked_reports(&self, row: &Outgoing) -> (Vec<MailParameter>, Vec<RcptParameter>) {
        if !self.reports {
            return (Vec::new(), Vec::new());
        }
        let mail = |keyword: &str, value: &str| MailParameter::Other {
            keyword: keyword.to_owned(),
            value: Some(value.to_owned()),
        };
        let rcpt = |keyword: &str, value: &str| RcptParameter::Other {
            keyword: keyword.to_owned(),
            value: Some(value.to_owned()),
        };
        // The token of the return path: unguessable, and it says nothing.
        let envelope = vec![mail("RET", "HDRS"), mail("ENVID", &row.return_token)];
        let rcpt = match row.label.purpose {
            Purpose::Notice { .. } => vec![
                rcpt("NOTIFY", "SUCCESS,FAILURE,DELAY"),
                rcpt("ORCPT", &format!("rfc822;{}", row.recipient)),
            ],
            Purpose::Acknowledgement | Purpose::Key | Purpose::ClockProbe => {
                vec![rcpt("NOTIFY", "NEVER")]
            }
            Purpose::Answer
            | Purpose::Relay
            | Purpose::Transcript
            | Purpose::Refusal
            | Purpose::Reminder
            | Purpose::Nudge
            | Purpose::NewKey
            | Purpose::Waiting
            | Purpose::Alert
            | Purpose::Update => Vec::new(),
        };
        (envelope, rcpt)
    }

    async fn ready(&mut self) -> Result<(), Setback> {
        let fresh = self.used.is_some_and(|used| used.elapsed() < STALE);
        let alive = match &mut self.connection {
            Some(connection) if fresh && !connection.has_broken() => true,
            Some(connection) => {
                !connection.has_broken()
                    && matches!(
                        tokio::time::timeout(PATIENCE, connection.command(Noop)).await,
                        Ok(Ok(_))
                    )
            }
            None => false,
        };
        if !alive {
            self.connection = None;
            self.connect().await?;
        }
        Ok(())
    }

    /// Hands one mail over. `last_bytes` gives them just before they are sent, and must have
    /// written that down.
    pub async fn hand_over(
        &mut self,
        row: &Outgoing,
        last_bytes: impl Future<Output = Result<Vec<u8>, Fault>>,
    ) -> Outcome {
        let from = format!("{}+r-{}@{}", self.own.local(), row.return_token, self.own.domain());
        let (Ok(from), Ok(to)) = (from.parse::<Address>(), row.recipient.parse::<Address>()) else {
            return Outcome::Refused("the address cannot be used in SMTP".to_owned());
        };
        let outcome = self.try_to(from, to, row, last_bytes).await;
        if !matches!(outcome, Outcome::Accepted(_) | Outcome::Refused(_)) {
            // Whatever state the dialogue is in, the next mail begins a new one.
            self.connection = None;
        }
        outcome
    }

    async fn try_to(
        &mut self,
        from: Address,
        to: Address,
        row: &Outgoing,
        last_bytes: impl Future<Output = Result<Vec<u8>, Fault>>,
    ) -> Outcome {
        if let Err(Setback(why)) = self.ready().await {
            return Outcome::Later(why);
        }
        let (mail, rcpt) = self.asked_reports(row);
        let Some(connection) = self.connection.as_mut() else {
            return Outcome::Later("no connection".to_owned());
        };
        let commands = async {
            connection.command(Mail::new(Some(from), mail)).await?;
            connection.command(Rcpt::new(to, rcpt)).await?;
            connection.command(Data).await
        };
        match tokio::time::timeout(PATIENCE, commands).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                let outcome = refused(&error);
                // A refused recipient leaves a dialogue that must be reset before the next mail.
                self.connection = None;
                return outcome;
            }
            Err(_) => return Outcome::Later("the mail server did not answer".to_owned()),
        }
        let bytes = match last_bytes.await {
            Ok(bytes) => bytes,
            Err(fault) => return Outcome::Later(fault.to_string()),
        };
        let Some(connection) = self.connection.as_mut() else {
            return Outcome::Later("no connection".to_owned());
        };
        match tokio::time::timeout(PATIENCE_DATA, connection.message(&bytes)).await {
            Ok(Ok(response)) => {
                self.used = Some(Instant::now());
                Outcome::Accepted(said(&response))
            }
            Ok(Err(error)) if error.is_transient() || error.is_permanent() => refused(&error),
            Ok(Err(_)) | Err(_) => Outcome::Unknown,
        }
    }

    /// Ends the connection in order.
    pub async fn close(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            let quit: Result<Response, _> = connection.quit().await;
            drop(quit);
        }
    }
}

/// What the server said, in one line.
fn said(response: &Response) -> String {
    let lines: Vec<&str> = response.message().collect();
    format!("{} {}", response.code(), lines.join(" "))
}

fn refused(error: &lettre::transport::smtp::Error) -> Outcome {
    if error.is_permanent() {
        Outcome::Refused(describe(error))
    } else {
        Outcome::Later(describe(error))
    }
}

fn describe(error: &lettre::transport::smtp::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
