//! A mailbox whose every answer can be changed.
#![allow(
    dead_code,
    clippy::too_many_lines,
    reason = "each test uses a part of it; a server is one dialogue"
)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What it does when it is asked something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Behave,
    No,
    Bad,
    Bye,
    /// Closes the connection before a word, or in the middle of a mail.
    Cut,
    /// Does not answer.
    Stall,
    /// Says what is no IMAP.
    Garbage,
    /// Tells of other mails before it answers.
    Noise,
    /// Says yes, and gives nothing.
    Nothing,
    /// Announces more than it gives, and gives no more.
    Lie,
    /// Lists a mail that is not there, far above all others.
    Phantom,
    /// Leaves the first mail out of the list.
    Omit,
    /// Gives a small part of what is asked for at a time.
    Part,
    /// Speaks without end of what nobody asked for.
    Flood,
    /// Announces less than it gives, so that the rest is read as the server's own words.
    Less,
}

type Rule = Box<dyn Fn(&str, u32) -> Act + Send>;

/// The server. Rules are asked with the command and the number of the mail that is fetched, or 0.
pub(crate) struct Imap {
    pub(crate) port: u16,
    rule: Mutex<Rule>,
    mails: Mutex<Vec<Vec<u8>>>,
    pub(crate) counts: Mutex<BTreeMap<String, u32>>,
    /// By how much its clock is ahead.
    pub(crate) ahead_s: AtomicI64,
}

/// What INTERNALDATE says of all mails.
fn dated(ahead_s: i64) -> String {
    let now = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now());
    (now + chrono::TimeDelta::seconds(ahead_s)).format("%d-%b-%Y %H:%M:%S +0000").to_string()
}

impl Imap {
    pub(crate) async fn start(acceptor: TlsAcceptor) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Arc::new(Self {
            port: listener.local_addr().unwrap().port(),
            rule: Mutex::new(Box::new(|_, _| Act::Behave)),
            mails: Mutex::default(),
            counts: Mutex::default(),
            ahead_s: AtomicI64::new(0),
        });
        let shared = Arc::clone(&server);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (server, acceptor) = (Arc::clone(&shared), acceptor.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(tcp).await {
                        let _ = server.talk(BufReader::new(stream)).await;
                    }
                });
            }
        });
        server
    }

    pub(crate) fn rule(&self, rule: impl Fn(&str, u32) -> Act + Send + 'static) {
        *self.rule.lock().unwrap() = Box::new(rule);
    }

    pub(crate) fn add(&self, mail: &str) {
        self.mails.lock().unwrap().push(mail.as_bytes().to_vec());
    }

    fn act_is_omit(&self, command: &str) -> bool {
        (self.rule.lock().unwrap())(command, 0) == Act::Omit
    }

    fn act(&self, command: &str, uid: u32) -> Act {
        *self.counts.lock().unwrap().entry(command.to_owned()).or_default() += 1;
        (self.rule.lock().unwrap())(command, uid)
    }

    async fn talk<S>(&self, mut stream: BufReader<S>) -> std::io::Result<()>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        stream.write_all(b"* OK fault\r\n").await?;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let line = line.trim_end();
            let (tag, rest) = line.split_once(' ').unwrap_or((line, ""));
            let words: Vec<&str> = rest.split(' ').collect();
            let command = match words.as_slice() {
                ["UID", "FETCH", ..] if rest.contains("BODY") => "body".to_owned(),
                ["UID", word, ..] | [word, ..] => word.to_ascii_lowercase(),
                [] => String::new(),
            };
            let uids =
                if rest.starts_with("UID FETCH") { self.uids(words.get(2)) } else { vec![0] };
            let mut finished = false;
            for &uid in &uids {
                match self.act(&command, uid) {
                    Act::Behave => self.answer(&mut stream, &command, uid).await?,
                    Act::No | Act::Bad if finished => {}
                    act @ (Act::No | Act::Bad) => {
                        let word = if act == Act::No { "NO" } else { "BAD" };
                        stream.write_all(format!("{tag} {word} not now\r\n").as_bytes()).await?;
                        finished = true;
                    }
                    Act::Bye => {
                        return stream.write_all(b"* BYE going down\r\n").await;
                    }
                    Act::Cut => {
                        if command == "body" {
                            let begun =
                                format!("* 1 FETCH (UID {uid} BODY[] {{900}}\r\nhalf of it");
                            stream.write_all(begun.as_bytes()).await?;
                        }
                        return Ok(());
                    }
                    Act::Stall => tokio::time::sleep(Duration::from_secs(3_600)).await,
                    Act::Garbage => stream.write_all(b"\x00\xff{} what\r\n(((\r\n").await?,
                    Act::Noise => {
                        let noise = "* 1 FETCH (UID 4000 FLAGS (\\Seen))\r\n* 2 FETCH (FLAGS ())\r\n* 9 EXPUNGE\r\n* OK still here\r\n";
                        stream.write_all(noise.as_bytes()).await?;
                        self.answer(&mut stream, &command, uid).await?;
                    }
                    Act::Nothing => {}
                    Act::Phantom | Act::Omit => {
                        let last = self.mails.lock().unwrap().len();
                        let first = if self.act_is_omit(&command) { 2 } else { 1 };
                        let mut uids: Vec<String> =
                            (first..=last).map(|uid| uid.to_string()).collect();
                        if first == 1 {
                            uids.push("4294967290".to_owned());
                        }
                        let text = format!("* SEARCH {}\r\n", uids.join(" "));
                        stream.write_all(text.as_bytes()).await?;
                    }
                    Act::Part => {
                        let from = rest.rsplit('<').next().and_then(|part| part.split('.').next());
                        let from: usize = from.and_then(|from| from.parse().ok()).unwrap_or(0);
                        let mails = self.mails.lock().unwrap().clone();
                        let mail = &mails[usize::try_from(uid - 1).unwrap()];
                        let part = &mail[from.min(mail.len())..mail.len().min(from + 100)];
                        let begin = format!(
                            "* {uid} FETCH (UID {uid} BODY[]<{from}> {{{}}}\r\n",
                            part.len()
                        );
                        stream.write_all(&[begin.as_bytes(), part, b")\r\n"].concat()).await?;
                    }
                    Act::Flood => {
                        for _ in 0..30_000 {
                            stream.write_all(b"* 1 FETCH (UID 4000 FLAGS (\\Seen))\r\n").await?;
                        }
                    }
                    Act::Less => {
                        let less = format!("* 1 FETCH (UID {uid} BODY[] {{4}}\r\n");
                        stream.write_all(less.as_bytes()).await?;
                        let mails = self.mails.lock().unwrap().clone();
                        stream.write_all(&mails[usize::try_from(uid - 1).unwrap()]).await?;
                    }
                    Act::Lie => {
                        let lie = format!("* 1 FETCH (UID {uid} BODY[] {{9000}}\r\nshort)\r\n");
                        stream.write_all(lie.as_bytes()).await?;
                    }
                }
            }
            if finished {
                continue;
            }
            if command == "idle" {
                self.idle(&mut stream).await?;
            }
            stream.write_all(format!("{tag} OK done\r\n").as_bytes()).await?;
        }
    }

    fn uids(&self, set: Option<&&str>) -> Vec<u32> {
        let last = u32::try_from(self.mails.lock().unwrap().len()).unwrap();
        let mut uids = Vec::new();
        for part in set.map_or("", |set| *set).split(',') {
            let (from, to) = part.split_once(':').unwrap_or((part, part));
            let from: u32 = from.parse().unwrap_or(1);
            let to = if to == "*" { last } else { to.parse().unwrap_or(from) };
            uids.extend((from..=to).filter(|uid| (1..=last).contains(uid)));
        }
        uids
    }

    async fn answer<S: AsyncWriteExt + Unpin>(
        &self,
        stream: &mut S,
        command: &str,
        uid: u32,
    ) -> std::io::Result<()> {
        let mails: Vec<Vec<u8>> = self.mails.lock().unwrap().clone();
        let mail = usize::try_from(uid).unwrap().checked_sub(1).and_then(|at| mails.get(at));
        let text = match (command, mail) {
            ("capability", _) => "* CAPABILITY IMAP4rev1 IDLE UIDPLUS\r\n".to_owned(),
            ("select", _) => format!(
                "* {} EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT {}] ok\r\n* OK [PERMANENTFLAGS (\\Deleted \\*)] ok\r\n",
                mails.len(),
                mails.len() + 1
            ),
            ("search", _) => {
                let uids: Vec<String> = (1..=mails.len()).map(|uid| uid.to_string()).collect();
                format!("* SEARCH {}\r\n", uids.join(" "))
            }
            ("fetch", Some(mail)) => format!(
                "* {uid} FETCH (UID {uid} FLAGS () RFC822.SIZE {} INTERNALDATE \"{}\")\r\n",
                mail.len(),
                dated(self.ahead_s.load(Ordering::SeqCst))
            ),
            ("body", Some(mail)) => {
                let begin = format!("* {uid} FETCH (UID {uid} BODY[]<0> {{{}}}\r\n", mail.len());
                stream.write_all(begin.as_bytes()).await?;
                stream.write_all(mail).await?;
                ")\r\n".to_owned()
            }
            ("idle", _) => "+ idling\r\n".to_owned(),
            _ => String::new(),
        };
        stream.write_all(text.as_bytes()).await
    }

    async fn idle<S>(&self, stream: &mut BufReader<S>) -> std::io::Result<()>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let mut told = self.mails.lock().unwrap().len();
        let mut line = String::new();
        loop {
            let read = stream.read_line(&mut line);
            match tokio::time::timeout(Duration::from_millis(200), read).await {
                Ok(Ok(0)) => return Err(std::io::Error::other("gone")),
                Ok(done) => return done.map(drop),
                Err(_) => {
                    let now = self.mails.lock().unwrap().len();
                    if now != told {
                        told = now;
                        stream.write_all(format!("* {now} EXISTS\r\n").as_bytes()).await?;
                    }
                }
            }
        }
    }
}
