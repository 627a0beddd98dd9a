//! The courier: handing mails to the mail server, one recipient each, over connections that are
//! kept.
//!
//! The commands are sent one by one rather than by the library's `send`, because the store has to
//! know when the last bytes are about to leave: only between them and the server's answer is it
//! unknown whether a mail left.

pub mod couriers;
mod dialogue;

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lettre::Address;
use lettre::transport::smtp::commands::{Mail, Rcpt};
use lettre::transport::smtp::extension::{MailParameter, RcptParameter};
use tokio::sync::Notify;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::domain::facts::event::Purpose;
use crate::domain::facts::names;
use crate::domain::outgoing::verdict::{Outcome, Stage};
use crate::edge::server::Server;
use crate::edge::server::login::{Exchange, STEPS_MAX};
use crate::edge::smtp::dialogue::{Broken, Dialogue, Reply};
use crate::error::Fault;
use crate::ports::store::{CALLED_BACK, Content, GONE, Outgoing};

/// How long it may take until the server has let us in: whoever waits longer at a server that hangs comes late
/// once it does not.
const PATIENCE_HELLO: Duration = Duration::from_secs(25);
/// The longest that the answers before the mail itself may take.
const PATIENCE_ENVELOPE: Duration = Duration::from_secs(300);
/// And the answer to the last bytes: some servers look through a mail before they take it (RFC 5321,
/// 4.5.3.2.6: 10 minutes).
const PATIENCE_DATA: Duration = Duration::from_secs(600);
/// A server that has not answered for so long makes room for others, where they wait for a connection.
const HANGS: Duration = Duration::from_secs(60);
/// A server that says nothing for so long holds up no other mail.
const SLOW: Duration = Duration::from_secs(15);
/// So many bytes a second get through at least; a mail that is sent more slowly hangs.
const SLOWEST: u64 = 10_000;
/// A connection that stood idle for longer is asked whether it is still there.
const STALE: Duration = Duration::from_secs(2);
/// How long a server may take to say good-bye.
const QUITS: Duration = Duration::from_secs(5);

/// A connection to the mail server, kept between mails.
pub struct Courier {
    server: Server,
    own: names::Address,
    connection: Option<Standing>,
    offers: Offers,
    used: Option<Instant>,
    lines: Lines,
    /// Whether the last try failed at the door: no connection came about.
    outside: bool,
    /// The mail whose envelope was said along with the end of the one before it; its answers are still to be read.
    said: Option<i64>,
}

/// How many connections to the server stand.
pub type Lines = Arc<AtomicUsize>;

/// A connection that stands, and is counted as long as it does.
struct Standing {
    inner: Dialogue,
    lines: Lines,
}

impl Standing {
    fn new(inner: Dialogue, lines: &Lines) -> Self {
        lines.fetch_add(1, Ordering::SeqCst);
        Self { inner, lines: Arc::clone(lines) }
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.lines.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Deref for Standing {
    type Target = Dialogue;
    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl DerefMut for Standing {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.inner
    }
}

/// What the server offers beyond RFC 5321.
#[derive(Debug, Clone, Copy, Default)]
struct Offers {
    /// It sends delivery reports as they are asked for (RFC 3461).
    reports: bool,
    /// It takes several commands at once (RFC 2920).
    pipelining: bool,
    /// It says how large a mail may be (RFC 1870); and how large, if it is limited.
    size: bool,
    largest: Option<u64>,
    /// It takes addresses in letters of every script (RFC 6531).
    international: bool,
}

impl Offers {
    fn read(answer: &Reply) -> Self {
        let mut offers = Self::default();
        for line in &answer.lines {
            let mut words = line.split_ascii_whitespace();
            match words.next().unwrap_or("").to_ascii_uppercase().as_str() {
                "DSN" => offers.reports = true,
                "PIPELINING" => offers.pipelining = true,
                "SMTPUTF8" => offers.international = true,
                "SIZE" => {
                    offers.size = true;
                    let limit = words.next().and_then(|size| size.parse().ok());
                    offers.largest = limit.filter(|size| *size > 0);
                }
                _ => {}
            }
        }
        offers
    }
}

/// The ways of logging in that a server offers (RFC 4954, 3).
fn ways(answer: &Reply) -> Vec<String> {
    let upper = |line: &str| line.to_ascii_uppercase();
    let of = |line: String| line.strip_prefix("AUTH ").map(str::to_owned);
    let all = answer.lines.iter().map(|line| upper(line)).filter_map(of);
    all.flat_map(|line| line.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// How a dialogue did not come to its end.
enum Failed {
    /// The server said no; these are its words.
    Said(Stage, String),
    /// There is no connection, or none any more.
    Broken(String),
    /// The desk could not do its part.
    Here(Fault),
}

impl From<Failed> for Outcome {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Said(stage, said) => Self::Said(stage, said),
            Failed::Broken(why) => Self::Broken(why),
            Failed::Here(fault) => Self::Broken(fault.line()),
        }
    }
}

/// Takes an answer in that must have a certain code; what has another is the server's no.
fn wants(
    stage: Stage,
    reply: Result<Reply, Broken>,
    is: impl Fn(u16) -> bool,
) -> Result<Reply, Failed> {
    let reply = reply.map_err(Failed::Broken)?;
    match reply.code {
        code if is(code) => Ok(reply),
        400.. => Err(Failed::Said(stage, reply.said())),
        // Neither yes nor no: who is out of step cannot be told apart from who is not.
        _ => Err(Failed::Broken("the mail server answers out of step".to_owned())),
    }
}

fn is_yes(code: u16) -> bool {
    (200..300).contains(&code)
}

impl Courier {
    /// A courier of a desk; connects when there is something to hand over.
    #[must_use]
    pub fn new(server: Server, own: names::Address) -> Self {
        Self::among(server, own, Lines::default())
    }

    /// One of several, who count their connections together.
    #[must_use]
    pub fn among(server: Server, own: names::Address, lines: Lines) -> Self {
        let offers = Offers::default();
        Self {
            server,
            own,
            connection: None,
            offers,
            used: None,
            lines,
            outside: false,
            said: None,
        }
    }

    /// How large a mail may be that the server takes, where it says so; `None` before it was asked.
    #[must_use]
    pub fn largest(&self) -> Option<Option<u64>> {
        self.used.is_some().then_some(self.offers.largest)
    }

    /// Whether the last try came to nothing before there was a connection.
    #[must_use]
    pub fn stood_outside(&self) -> bool {
        self.outside
    }

    /// Connects and logs in.
    ///
    /// # Errors
    /// What the server or the network said; the next step where it can be told.
    pub async fn connect(&mut self) -> Result<(), Fault> {
        self.reach().await.map_err(|failed| match failed {
            Failed::Said(Stage::LogIn, why) => Fault::new(why, self.server.mend()),
            Failed::Said(_, why) | Failed::Broken(why) => Fault::new(why, ""),
            Failed::Here(fault) => fault,
        })
    }

    async fn reach(&mut self) -> Result<(), Failed> {
        // Whoever gives it may take his time, and that is not the server's.
        let secret = self.server.secret().await.map_err(Failed::Here)?;
        let silent = |_| Failed::Broken("the mail server did not answer".to_owned());
        tokio::time::timeout(PATIENCE_HELLO, self.dial(secret)).await.map_err(silent)?
    }

    async fn dial(&mut self, secret: Zeroizing<String>) -> Result<(), Failed> {
        let hello = format!("EHLO {}\r\n", self.own.domain());
        let mut dialogue = Dialogue::connect(&self.server).await.map_err(Failed::Broken)?;
        wants(Stage::Hello, dialogue.reply().await, |code| code == 220)?;
        let mut offers = wants(Stage::Hello, dialogue.ask(&hello).await, is_yes)?;
        if !self.server.implicit_tls {
            // Never in clear: a server without STARTTLS gets nothing.
            wants(Stage::Hello, dialogue.ask("STARTTLS\r\n").await, |code| code == 220)?;
            dialogue = dialogue.encrypted(&self.server).await.map_err(Failed::Broken)?;
            // What was said in clear counts no more (RFC 3207, 4.2).
            offers = wants(Stage::Hello, dialogue.ask(&hello).await, is_yes)?;
        }
        self.say_who(&mut dialogue, &ways(&offers), secret).await?;
        let offers = wants(Stage::Hello, dialogue.ask(&hello).await, is_yes)?;
        self.offers = Offers::read(&offers);
        self.connection = Some(Standing::new(dialogue, &self.lines));
        self.used = Some(Instant::now());
        Ok(())
    }

    /// Logs in (RFC 4954).
    async fn say_who(
        &self,
        dialogue: &mut Dialogue,
        ways: &[String],
        secret: Zeroizing<String>,
    ) -> Result<(), Failed> {
        let mut exchange = Exchange::begin(&self.server, ways, secret).map_err(Failed::Here)?;
        // A first word of nothing is written as such (RFC 4954, 4).
        let first = exchange.first().map(|first| BASE64.encode(first));
        let first = first.map(|first| if first.is_empty() { "=".to_owned() } else { first });
        let way = exchange.mechanism();
        let command = first
            .map_or_else(|| format!("AUTH {way}\r\n"), |first| format!("AUTH {way} {first}\r\n"));
        let is_known = |code| code == 235 || code == 334;
        let mut answer = wants(Stage::LogIn, dialogue.ask(&command).await, is_known);
        for _ in 0..STEPS_MAX {
            let Ok(Reply { code: 334, lines }) = &answer else { break };
            let asked = lines.first().and_then(|line| BASE64.decode(line.trim()).ok());
            let say = BASE64.encode(exchange.step(Some(&asked.unwrap_or_default())));
            answer = wants(Stage::LogIn, dialogue.ask(&format!("{say}\r\n")).await, is_known);
        }
        match answer {
            Ok(Reply { code: 235, .. }) => exchange.let_in().map_err(Failed::Broken),
            Ok(_) => Err(Failed::Broken("the mail server asks without end".to_owned())),
            Err(failed) => {
                if matches!(failed, Failed::Said(..)) {
                    exchange.refused();
                }
                Err(failed)
            }
        }
    }

    /// No mail follows: what was said of the next one cannot be taken back, so its connection is given up.
    pub fn leave_off(&mut self) {
        if self.said.is_some() {
            self.drop_connection();
        }
    }

    /// Whether this one has nothing to close.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.connection.is_none()
    }

    /// What the server is asked to report about a mail: everything about a notice, failures alone about what
    /// answers a stranger. Never the mail itself (RFC 3461, 4.3): it would travel once
    /// more.
    fn asked_reports(&self, row: &Outgoing) -> (Vec<MailParameter>, Vec<RcptParameter>) {
        let size = self
            .offers
            .size
            .then(|| MailParameter::Size(usize::try_from(row.size).unwrap_or(usize::MAX)));
        let international = !row.recipient.is_ascii();
        let utf8 = international.then_some(MailParameter::SmtpUtfEight);
        let size = size.into_iter().chain(utf8);
        if !self.offers.reports {
            return (size.collect(), Vec::new());
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
        let asked = [mail("RET", "HDRS"), mail("ENVID", &row.return_token)];
        let envelope = size.chain(asked).collect();
        let rcpt = match row.label.purpose {
            // How such an address is written there is another matter (RFC 6533, 3).
            Purpose::Notice { .. } if international => {
                vec![rcpt("NOTIFY", "SUCCESS,FAILURE,DELAY")]
            }
            Purpose::Notice { .. } => vec![
                rcpt("NOTIFY", "SUCCESS,FAILURE,DELAY"),
                rcpt("ORCPT", &format!("rfc822;{}", row.recipient)),
            ],
            // Of what answers a stranger only that it did not arrive: a word that it did would go to whoever
            // runs the address that somebody made up (RFC 3834, 4).
            Purpose::Acknowledgement | Purpose::Key => vec![rcpt("NOTIFY", "FAILURE")],
            Purpose::ClockProbe => vec![rcpt("NOTIFY", "NEVER")],
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

    /// Makes sure that there is a connection; says whether it is a new one.
    async fn ready(&mut self) -> Result<bool, Failed> {
        let fresh = self.used.is_some_and(|used| used.elapsed() < STALE);
        let alive = match &mut self.connection {
            Some(dialogue) if fresh => !dialogue.has_surplus().await,
            Some(dialogue) => {
                let asked = tokio::time::timeout(PATIENCE_HELLO, dialogue.ask("NOOP\r\n")).await;
                matches!(asked, Ok(Ok(reply)) if is_yes(reply.code))
            }
            None => false,
        };
        if !alive {
            self.drop_connection();
            self.reach().await?;
        }
        Ok(!alive)
    }

    /// Hands one mail over. `last_bytes` gives them just before they are sent, and must have
    /// written that down; nothing where the mail was called back. `is_slow` is called when the server lets us
    /// wait for its answer to them.
    pub async fn hand_over(
        &mut self,
        row: &Outgoing,
        last_bytes: impl Future<Output = Result<Content, Fault>>,
        is_slow: impl Fn(),
        room: &Notify,
    ) -> Outcome {
        self.hand_over_before(row, None, last_bytes, is_slow, room).await
    }

    /// The same where another one follows on this connection: its envelope goes along with the end of this one
    /// where the server takes it so (RFC 2920), which saves its way there and back.
    pub async fn hand_over_before(
        &mut self,
        row: &Outgoing,
        next: Option<&Outgoing>,
        last_bytes: impl Future<Output = Result<Content, Fault>>,
        is_slow: impl Fn(),
        room: &Notify,
    ) -> Outcome {
        let Some(envelope) = self.envelope_of(row) else {
            return Outcome::Never("the address cannot be used in SMTP".to_owned());
        };
        let begun = noticing(self.begin(&envelope, row), &is_slow).await;
        let next = next.filter(|next| self.is_taken_at_once(next));
        let next = next.and_then(|next| Some((next.id, self.envelope_of(next)?.concat())));
        let outcome = match begun {
            Err(outcome) => outcome,
            Ok(()) => match last_bytes.await {
                Ok(content) => self.end(content, row.size, next, &is_slow, room).await,
                Err(fault) if fault.what == CALLED_BACK => Outcome::Untried,
                Err(fault) if fault.what == GONE => Outcome::Never(GONE.to_owned()),
                // It could not be written down that it leaves: so it does not, and is not tried at once.
                Err(fault) => Outcome::Broken(fault.to_string()),
            },
        };
        let goes_on = match &outcome {
            Outcome::Accepted(_) => true,
            // It was refused before anything was sent, and the server is as well as before: a hundred addresses that
            // there are not must not cost a hundred connections.
            Outcome::Said(Stage::From | Stage::To, said) if !said.starts_with("421") => {
                self.connection.is_some() && self.reset().await
            }
            // Whatever state the dialogue is in, the next mail begins a new one.
            Outcome::Said(..)
            | Outcome::Broken(_)
            | Outcome::Unknown
            | Outcome::Never(_)
            | Outcome::Untried => false,
        };
        if !goes_on {
            self.drop_connection();
        }
        outcome
    }

    fn drop_connection(&mut self) {
        self.connection = None;
        self.said = None;
    }

    /// MAIL, RCPT and DATA for a mail; none where its address cannot be written so.
    fn envelope_of(&self, row: &Outgoing) -> Option<[String; 3]> {
        let from = format!("{}+r-{}@{}", self.own.local(), row.return_token, self.own.domain());
        let (from, to) = (from.parse::<Address>().ok()?, row.recipient.parse::<Address>().ok()?);
        let (mail, rcpt) = self.asked_reports(row);
        let mail = Mail::new(Some(from), mail).to_string();
        Some([mail, Rcpt::new(to, rcpt).to_string(), "DATA\r\n".to_owned()])
    }

    /// Whether the server takes several commands at once, and nothing that it says of itself speaks against this
    /// mail.
    fn is_taken_at_once(&self, row: &Outgoing) -> bool {
        self.offers.pipelining
            && self.offers.largest.is_none_or(|largest| row.size <= largest)
            && (row.recipient.is_ascii() || self.offers.international)
    }

    /// All that comes before the mail itself.
    async fn begin(&mut self, envelope: &[String; 3], row: &Outgoing) -> Result<(), Outcome> {
        match self.said.take() {
            Some(said) if said == row.id && self.connection.is_some() => {
                self.outside = false;
                let answered = self.envelope(None, row).await;
                return answered.map_err(Outcome::from);
            }
            // The server waits for another mail: whatever is said now would be taken for it, and this mail would
            // go to that one's recipient.
            Some(_) => self.drop_connection(),
            None => {}
        }
        loop {
            self.outside = true;
            let is_new = self.ready().await?;
            self.outside = false;
            if let Some(largest) = self.offers.largest.filter(|largest| row.size > *largest) {
                // Said as the server would say it (RFC 1870, 6.1): it may be wrong about it, or put right.
                let size = row.size;
                let said =
                    format!("552 5.3.4 it has {size} bytes, and {largest} are taken at most");
                return Err(Outcome::Said(Stage::From, said));
            }
            if !row.recipient.is_ascii() && !self.offers.international {
                let said = "553 5.6.7 the mail server takes no address in such letters (SMTPUTF8)";
                return Err(Outcome::Said(Stage::To, said.to_owned()));
            }
            let Err(failed) = self.envelope(Some(envelope), row).await else { return Ok(()) };
            if !matches!(failed, Failed::Said(Stage::From | Stage::To, _)) {
                self.drop_connection();
            }
            // A server may close a connection that stood idle just when we speak (RFC 5321, 3.8).
            let is_closed = match &failed {
                Failed::Broken(_) => true,
                Failed::Here(_) => false,
                Failed::Said(stage, said) => *stage == Stage::From && said.starts_with("421"),
            };
            if is_new || !is_closed {
                return Err(failed.into());
            }
        }
    }

    /// MAIL, RCPT and DATA; at once where the server takes them so. Without any they are said already, and their
    /// answers are read.
    async fn envelope(&mut self, say: Option<&[String; 3]>, row: &Outgoing) -> Result<(), Failed> {
        let pipelining = self.offers.pipelining;
        let Some(dialogue) = self.connection.as_mut() else {
            return Err(Failed::Broken("no connection".to_owned()));
        };
        let is_go = |code| code == 354;
        let waits_for_content = AtomicBool::new(false);
        let talk = async {
            let one_by_one = say.filter(|_| !pipelining);
            let Some([mail, rcpt, data]) = one_by_one else {
                if let Some(all) = say {
                    dialogue.say(&all.concat()).await.map_err(Failed::Broken)?;
                }
                // The answers come in the order of the commands, and all of them come (RFC 2920, 3.1).
                let sender = wants(Stage::From, dialogue.reply().await, is_yes);
                if matches!(sender, Err(Failed::Broken(_))) {
                    return sender.map(drop);
                }
                let recipient = wants(Stage::To, dialogue.reply().await, is_yes);
                if matches!(recipient, Err(Failed::Broken(_))) {
                    return recipient.map(drop);
                }
                let data = wants(Stage::Data, dialogue.reply().await, is_go);
                waits_for_content.store(data.is_ok(), Ordering::Relaxed);
                return sender.and(recipient).and(data).map(drop);
            };
            wants(Stage::From, dialogue.ask(mail).await, is_yes)?;
            wants(Stage::To, dialogue.ask(rcpt).await, is_yes)?;
            wants(Stage::Data, dialogue.ask(data).await, is_go).map(drop)
        };
        let silent = |_| Failed::Broken("the mail server did not answer".to_owned());
        let done = tokio::time::timeout(patience(row), talk).await.map_err(silent)?;
        // It refused the recipient, and wants the mail all the same: nothing else can be said to it.
        if done.is_err() && waits_for_content.load(Ordering::Relaxed) {
            self.drop_connection();
        }
        done
    }

    /// Takes back what was said of a mail that was refused; whether the next can follow on this connection.
    async fn reset(&mut self) -> bool {
        let Some(dialogue) = self.connection.as_mut() else { return false };
        let answer = tokio::time::timeout(QUITS, dialogue.ask("RSET\r\n")).await;
        let well = matches!(answer, Ok(Ok(reply)) if is_yes(reply.code));
        self.used = Some(Instant::now());
        well
    }

    /// The mail itself. Until the dot that ends it the server cannot have taken it. What is said of the `next` one
    /// goes along with the dot.
    async fn end(
        &mut self,
        content: Content,
        size: u64,
        next: Option<(i64, String)>,
        is_slow: &impl Fn(),
        room: &Notify,
    ) -> Outcome {
        let (next, along) = next.unzip();
        self.said = next;
        let Some(dialogue) = self.connection.as_mut() else {
            return Outcome::Broken("no connection".to_owned());
        };
        let dot = AtomicBool::new(false);
        let sending = Duration::from_secs(size / SLOWEST);
        let talk = async {
            dialogue.content(content).await.map_err(Failed::Broken)?;
            dot.store(true, Ordering::Relaxed);
            dialogue.dot(along.as_deref().unwrap_or("")).await.map_err(Failed::Broken)?;
            wants(Stage::Dot, dialogue.reply().await, is_yes)
        };
        // Sooner where others wait and every connection that may stand does so for a server like this.
        let patience = async {
            let hangs = async {
                tokio::time::sleep(HANGS + sending).await;
                room.notified().await;
            };
            tokio::select! {
                () = tokio::time::sleep(SLOW + PATIENCE_DATA + sending) => {}
                () = hangs => {}
            }
        };
        let answer = async {
            tokio::select! { answer = talk => Ok(answer), () = patience => Err(()) }
        };
        let is_sent = || dot.load(Ordering::Relaxed);
        match noticing(answer, is_slow).await {
            Ok(Ok(reply)) => {
                self.used = Some(Instant::now());
                Outcome::Accepted(reply.said())
            }
            Ok(Err(Failed::Broken(_))) | Err(()) if is_sent() => Outcome::Unknown,
            Ok(Err(failed)) => failed.into(),
            Err(()) => Outcome::Broken("the mail server did not take the mail".to_owned()),
        }
    }

    /// Ends the connection in order.
    pub async fn close(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            // Whatever it answers: nothing is owed.
            let _ = tokio::time::timeout(QUITS, connection.ask("QUIT\r\n")).await;
        }
    }
}

/// Waits for something, and says so once it takes long.
async fn noticing<T>(work: impl Future<Output = T>, is_slow: &impl Fn()) -> T {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(SLOW) => is_slow(),
    }
    work.await
}

/// How long the server may take before the mail itself: a mail that hangs at one that stands still is soon with
/// another connection, and one that always takes its time is given more with each try (RFC 5321, 4.5.3.2: five
/// minutes).
fn patience(row: &Outgoing) -> Duration {
    PATIENCE_HELLO.saturating_mul(row.tries.deferrals.saturating_add(1)).min(PATIENCE_ENVELOPE)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;
    use crate::domain::facts::event::Recipient;
    use crate::domain::facts::names::Moment;
    use crate::domain::outgoing::mail::Label;
    use crate::domain::outgoing::tries::Tries;
    use crate::edge::server::{Credential, PasswordFile};

    fn row(id: i64) -> Outgoing {
        let (about, key) = (None, None);
        Outgoing {
            id,
            message_id: format!("{id}@desk.test"),
            label: Label { about, to: Recipient::Reporter, purpose: Purpose::Relay, key },
            return_token: format!("t{id}"),
            recipient: format!("r{id}@people.test"),
            written: Moment::default(),
            size: 8,
            attempts: 0,
            tries: Tries::default(),
            unwanted: false,
            in_flight: false,
        }
    }

    /// A courier whose connection stands, to a server that is nowhere else.
    fn courier() -> (Courier, DuplexStream) {
        let server = Server {
            host: "localhost".to_owned(),
            port: 1,
            implicit_tls: true,
            ca_file: None,
            user: String::new(),
            credential: Credential::Password(Arc::new(PasswordFile("none".into()))),
        };
        let own = names::Address::parse("security@desk.test").unwrap();
        let mut courier = Courier::new(server, own);
        let (ours, theirs) = tokio::io::duplex(1024 * 1024);
        courier.connection = Some(Standing::new(Dialogue::over(ours), &courier.lines));
        courier.offers.pipelining = true;
        courier.used = Some(Instant::now());
        (courier, theirs)
    }

    /// Reads until something was said.
    async fn hears(server: &mut DuplexStream, heard: &mut String, until: &str) {
        let mut bytes = [0; 4096];
        while !heard.contains(until) {
            let count = server.read(&mut bytes).await.unwrap();
            assert!(count > 0, "{heard}");
            heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    }

    async fn taken(courier: &mut Courier, row: &Outgoing, next: Option<&Outgoing>) -> Outcome {
        let content = async { Ok(Content::Here(format!("Mail {}.\r\n", row.id).into_bytes())) };
        courier.hand_over_before(row, next, content, || {}, &Notify::new()).await
    }

    #[tokio::test]
    async fn the_envelope_of_the_next_mail_goes_along() {
        let (mut courier, mut server) = courier();
        let desk = async {
            let first = taken(&mut courier, &row(1), Some(&row(2))).await;
            (first, taken(&mut courier, &row(2), None).await)
        };
        let theirs = async {
            let mut heard = String::new();
            hears(&mut server, &mut heard, "DATA\r\n").await;
            server.write_all(b"250 a\r\n250 b\r\n354 go\r\n").await.unwrap();
            hears(&mut server, &mut heard, "RCPT TO:<r2@people.test>\r\nDATA\r\n").await;
            server.write_all(b"250 one\r\n250 a\r\n250 b\r\n354 go\r\n").await.unwrap();
            hears(&mut server, &mut heard, "Mail 2.\r\n.\r\n").await;
            server.write_all(b"250 two\r\n").await.unwrap();
            heard
        };
        let ((first, second), heard) = tokio::join!(desk, theirs);
        assert!(matches!(first, Outcome::Accepted(said) if said == "250 one"), "{heard}");
        assert!(matches!(second, Outcome::Accepted(said) if said == "250 two"), "{heard}");
        assert_eq!(heard.matches("MAIL FROM").count(), 2);
    }

    /// The server has another mail's envelope and waits for its content: nothing more is said to it, or this mail
    /// would go to that one's recipient.
    #[tokio::test]
    async fn another_mail_than_the_one_that_was_said_goes_another_way() {
        let (mut courier, mut server) = courier();
        let desk = async {
            let first = taken(&mut courier, &row(1), Some(&row(2))).await;
            (first, taken(&mut courier, &row(3), None).await, courier)
        };
        let theirs = async {
            let mut heard = String::new();
            hears(&mut server, &mut heard, "DATA\r\n").await;
            server.write_all(b"250 a\r\n250 b\r\n354 go\r\n").await.unwrap();
            hears(&mut server, &mut heard, "RCPT TO:<r2@people.test>\r\nDATA\r\n").await;
            // Its answers to the envelope come late.
            server.write_all(b"250 one\r\n").await.unwrap();
            server.read_to_string(&mut heard).await.unwrap();
            heard
        };
        let ((first, third, courier), heard) = tokio::join!(desk, theirs);
        assert!(matches!(first, Outcome::Accepted(_)));
        assert!(matches!(third, Outcome::Broken(_)), "{third:?}");
        assert!(heard.ends_with("RCPT TO:<r2@people.test>\r\nDATA\r\n"), "{heard}");
        assert!(courier.is_closed());
    }

    #[tokio::test]
    async fn a_connection_on_which_a_mail_was_said_is_not_kept() {
        let (mut courier, _server) = courier();
        courier.leave_off();
        assert!(!courier.is_closed());
        courier.said = Some(2);
        courier.leave_off();
        assert!(courier.is_closed());
    }
}
