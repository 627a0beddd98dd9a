//! A mail server whose every answer can be changed.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What it does at a stage of the dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// Answers as it should.
    Behave,
    /// Says this.
    Say(String),
    /// Closes the connection.
    Drop,
    /// Does not answer.
    Stall,
    /// At the last bytes: takes the mail, and closes without a word.
    TakeAndDrop,
    /// Answers with rubbish.
    Garbage,
    /// Answers as it should, and once more.
    Twice,
    /// Begins a line that has no end.
    Endless,
    /// At the last bytes: takes the mail, and says so in letters that are no UTF-8.
    Latin,
}

/// A mail that it took.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) to: String,
    pub(crate) message_id: String,
    pub(crate) text: String,
}

type Rule = Box<dyn Fn(&str, &str) -> Act + Send>;

/// The server.
pub(crate) struct Smtp {
    pub(crate) port: u16,
    rule: Mutex<Rule>,
    /// Counts how often the rule was changed: a connection from before is closed.
    changes: AtomicU64,
    pub(crate) taken: Mutex<Vec<Taken>>,
    pub(crate) counts: Mutex<BTreeMap<String, u32>>,
}

impl Smtp {
    pub(crate) async fn start(acceptor: TlsAcceptor) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Arc::new(Self {
            port: listener.local_addr().unwrap().port(),
            rule: Mutex::new(Box::new(|_, _| Act::Behave)),
            changes: AtomicU64::new(0),
            taken: Mutex::default(),
            counts: Mutex::default(),
        });
        let shared = Arc::clone(&server);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (server, acceptor) = (Arc::clone(&shared), acceptor.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(tcp).await {
                        let _ = server.talk(stream).await;
                    }
                });
            }
        });
        server
    }

    /// From here on it behaves so.
    pub(crate) fn rule(&self, rule: impl Fn(&str, &str) -> Act + Send + 'static) {
        *self.rule.lock().unwrap() = Box::new(rule);
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    async fn act<S: AsyncWriteExt + Unpin>(
        &self,
        stream: &mut S,
        stage: &str,
        to: &str,
        fine: &str,
    ) -> std::io::Result<Act> {
        *self.counts.lock().unwrap().entry(stage.to_owned()).or_default() += 1;
        let act = (self.rule.lock().unwrap())(stage, to);
        let gone = || std::io::Error::other("gone");
        match &act {
            Act::Behave => stream.write_all(fine.as_bytes()).await?,
            Act::Say(said) => {
                stream.write_all(format!("{said}\r\n").as_bytes()).await?;
                if said.starts_with("421") {
                    return Err(gone());
                }
            }
            Act::Garbage => stream.write_all(b"\x00\xff what?\r\n").await?,
            Act::Drop => return Err(gone()),
            Act::TakeAndDrop | Act::Latin => {}
            Act::Twice => stream.write_all(fine.repeat(2).as_bytes()).await?,
            Act::Endless => {
                for _ in 0..400 {
                    stream.write_all(&[b'x'; 16 * 1024]).await?;
                }
                return Err(gone());
            }
            Act::Stall => tokio::time::sleep(Duration::from_secs(3_600)).await,
        }
        Ok(act)
    }

    async fn talk<S>(&self, stream: S) -> std::io::Result<()>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let mut stream = BufReader::new(stream);
        let mut to = String::new();
        let changes = self.changes.load(Ordering::SeqCst);
        self.act(&mut stream, "connect", "", "220 fault ESMTP\r\n").await?;
        loop {
            let mut line = String::new();
            let read = stream.read_line(&mut line).await?;
            if read == 0 || changes != self.changes.load(Ordering::SeqCst) {
                return Ok(());
            }
            let word = line.get(..4).unwrap_or("").to_ascii_uppercase();
            match word.as_str() {
                "EHLO" => {
                    let offers = "250-fault\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-DSN\r\n250 AUTH PLAIN LOGIN\r\n";
                    self.act(&mut stream, "ehlo", "", offers).await?;
                }
                "AUTH" => drop(self.act(&mut stream, "auth", "", "235 2.7.0 in\r\n").await?),
                "MAIL" => drop(self.act(&mut stream, "mail", "", "250 ok\r\n").await?),
                "RCPT" => {
                    to = line.split(['<', '>']).nth(1).unwrap_or("").to_owned();
                    self.act(&mut stream, "rcpt", &to, "250 ok\r\n").await?;
                }
                "DATA" => {
                    let act = self.act(&mut stream, "data", &to, "354 go\r\n").await?;
                    if !matches!(act, Act::Behave | Act::Twice) {
                        continue;
                    }
                    let mail = data(&mut stream).await?;
                    let act = self.act(&mut stream, "dot", &to, "").await?;
                    if matches!(act, Act::Behave | Act::TakeAndDrop | Act::Latin | Act::Twice) {
                        let taken =
                            Taken { to: to.clone(), message_id: id(&mail), text: mail.clone() };
                        self.taken.lock().unwrap().push(taken);
                    }
                    match act {
                        Act::Behave => stream.write_all(b"250 2.0.0 queued\r\n").await?,
                        Act::TakeAndDrop => return Ok(()),
                        Act::Latin => stream.write_all(b"250 best\xe4tigt\r\n").await?,
                        Act::Twice => {
                            stream.write_all(b"250 2.0.0 queued\r\n250 2.0.0 queued\r\n").await?;
                        }
                        Act::Say(_) | Act::Drop | Act::Stall | Act::Garbage | Act::Endless => {}
                    }
                }
                "QUIT" => return stream.write_all(b"221 bye\r\n").await,
                "NOOP" | "RSET" => stream.write_all(b"250 ok\r\n").await?,
                _ => stream.write_all(b"500 what\r\n").await?,
            }
        }
    }
}

async fn data<S: AsyncReadExt + AsyncBufReadExt + Unpin>(
    stream: &mut S,
) -> std::io::Result<String> {
    let mut mail = Vec::new();
    loop {
        let from = mail.len();
        if stream.read_until(b'\n', &mut mail).await? == 0 {
            return Err(std::io::Error::other("gone"));
        }
        if mail.get(from..) == Some(b".\r\n") {
            return Ok(String::from_utf8_lossy(&mail).into_owned());
        }
    }
}

fn id(mail: &str) -> String {
    let line = mail.lines().find(|line| line.to_ascii_lowercase().starts_with("message-id:"));
    line.map(|line| line.split_at(11).1.trim().to_owned()).unwrap_or_default()
}
