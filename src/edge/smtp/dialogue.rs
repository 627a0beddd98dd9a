//! The dialogue with a mail server, answer by answer (RFC 5321, 4.2).
//!
//! Of a library's dialogue too much is taken in good faith: that an answer belongs to what was asked, that a
//! line has an end, that bytes are text, and that what came before TLS is the server's own. Here an answer
//! counts only for the one thing that was asked, and whatever comes unasked breaks the connection. So does what
//! lies in the buffer as TLS begins: somebody in between put it there.

use std::future::poll_fn;
use std::io::Read as _;
use std::pin::Pin;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;

use crate::edge::server::Server;
use crate::edge::tls;
use crate::ports::store::Content;

/// The longest line that is read; the RFC has 512 (4.5.3.1.5).
const LINE_MAX: usize = 4 * 1024;
/// And the most lines of one answer.
const LINES_MAX: usize = 200;
/// Pieces in which a large mail is read and written.
const PIECE: usize = 64 * 1024;
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Wire for T {}

/// What the server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    /// Its code.
    pub(super) code: u16,
    /// Its lines without the code.
    pub(super) lines: Vec<String>,
}

impl Reply {
    /// In one line.
    pub(super) fn said(&self) -> String {
        format!("{} {}", self.code, self.lines.join(" "))
    }
}

/// Why there is no answer.
pub(super) type Broken = String;

/// A connection to a mail server.
pub(super) struct Dialogue {
    stream: Box<dyn Wire>,
    /// What came and is not read yet.
    buffer: Vec<u8>,
}

/// The system leaves small writes to wait for more to send with them (Nagle's algorithm), and the server waits
/// before it says that it has something: each mail would stand still for 40 ms.
async fn reach(server: &Server) -> Result<TcpStream, Broken> {
    let place = |error| format!("connecting to {}: {error}", server.host);
    let tcp = TcpStream::connect((server.host.as_str(), server.port)).await.map_err(place)?;
    tcp.set_nodelay(true).map_err(place)?;
    Ok(tcp)
}

impl Dialogue {
    /// Over something that stands already.
    #[cfg(test)]
    pub(super) fn over(stream: impl Wire + 'static) -> Self {
        Self { stream: Box::new(stream), buffer: Vec::new() }
    }

    /// Connects; with TLS from the first byte where the server wants it so (RFC 8314, 3.3).
    pub(super) async fn connect(server: &Server) -> Result<Self, Broken> {
        let tcp = reach(server).await?;
        let plain = Self { stream: Box::new(tcp), buffer: Vec::new() };
        if server.implicit_tls { plain.encrypted(server).await } else { Ok(plain) }
    }

    /// The same connection with TLS. Nothing may have come yet that is not read.
    pub(super) async fn encrypted(mut self, server: &Server) -> Result<Self, Broken> {
        if !self.buffer.is_empty() || self.has_surplus().await {
            return Err("somebody speaks in clear where TLS begins".to_owned());
        }
        let connector = tls::connector(server.ca_file.as_deref()).map_err(|f| f.to_string())?;
        let name = tls::server_name(&server.host).map_err(|fault| fault.to_string())?;
        let stream = connector.connect(name, self.stream).await;
        let stream = stream.map_err(|error| format!("TLS with {}: {error}", server.host))?;
        Ok(Self { stream: Box::new(stream), buffer: Vec::new() })
    }

    /// Whether something came that nobody asked for, or the connection is gone.
    pub(super) async fn has_surplus(&mut self) -> bool {
        if !self.buffer.is_empty() {
            return true;
        }
        let (stream, buffer) = (&mut self.stream, &mut self.buffer);
        poll_fn(|cx| {
            let mut bytes = [0; 512];
            let mut into = ReadBuf::new(&mut bytes);
            match Pin::new(&mut *stream).poll_read(cx, &mut into) {
                Poll::Pending => Poll::Ready(false),
                Poll::Ready(Ok(())) => {
                    buffer.extend_from_slice(into.filled());
                    Poll::Ready(true)
                }
                Poll::Ready(Err(_)) => Poll::Ready(true),
            }
        })
        .await
    }

    /// Says something, where nothing is owed by either side.
    pub(super) async fn say(&mut self, command: &str) -> Result<(), Broken> {
        if self.has_surplus().await {
            return Err(self.surplus());
        }
        self.write(command.as_bytes()).await?;
        self.flush().await
    }

    /// What came unasked: that the server closes (RFC 5321, 3.8), or an answer out of step.
    fn surplus(&self) -> Broken {
        match self.buffer.get(..3) {
            Some(b"421") => "the mail server closed the connection".to_owned(),
            Some(_) => "the mail server answers what it was not asked".to_owned(),
            None => "the connection was closed".to_owned(),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        self.stream.write_all(bytes).await.map_err(|error| error.kind().to_string())
    }

    async fn flush(&mut self) -> Result<(), Broken> {
        self.stream.flush().await.map_err(|error| error.kind().to_string())
    }

    /// Says something and reads the answer to it.
    pub(super) async fn ask(&mut self, command: &str) -> Result<Reply, Broken> {
        self.say(command).await?;
        self.reply().await
    }

    /// Reads one answer, of however many lines.
    pub(super) async fn reply(&mut self) -> Result<Reply, Broken> {
        let mut reply: Option<Reply> = None;
        for _ in 0..LINES_MAX {
            let line = self.line().await?;
            let (code, is_last, text) =
                parse(&line).ok_or("the mail server says what is not understood")?;
            let reply = reply.get_or_insert_with(|| Reply { code, lines: Vec::new() });
            if reply.code != code {
                return Err("the mail server says two things at once".to_owned());
            }
            reply.lines.push(text);
            if is_last {
                return Ok(reply.clone());
            }
        }
        Err("the mail server does not come to an end".to_owned())
    }

    /// Reads a line, whatever its bytes are.
    async fn line(&mut self) -> Result<Vec<u8>, Broken> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(end.saturating_add(1));
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.truncate(end);
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
            if self.buffer.len() > LINE_MAX {
                return Err("the mail server sends a line without an end".to_owned());
            }
            let mut bytes = [0; 1024];
            let read = self.stream.read(&mut bytes).await;
            match read.map_err(|error| error.kind().to_string())? {
                0 => return Err("the connection was closed".to_owned()),
                count => self.buffer.extend_from_slice(bytes.get(..count).unwrap_or(&[])),
            }
        }
    }

    /// Sends a mail but for the dot that ends it (RFC 5321, 4.5.2). Until that is sent nobody can have taken it.
    pub(super) async fn content(&mut self, content: Content) -> Result<(), Broken> {
        let mut at_begin = true;
        match content {
            Content::Here(bytes) => self.piece(&bytes, &mut at_begin).await?,
            Content::There(mut reader) => loop {
                let mut piece = Vec::with_capacity(PIECE);
                let read = reader.by_ref().take(PIECE as u64).read_to_end(&mut piece);
                if read.map_err(|error| format!("reading the mail: {error}"))? == 0 {
                    break;
                }
                self.piece(&piece, &mut at_begin).await?;
            },
        }
        if !at_begin {
            self.write(b"\r\n").await?;
        }
        self.flush().await?;
        // An answer that is there before the question would be taken for the one to it.
        if self.has_surplus().await { Err(self.surplus()) } else { Ok(()) }
    }

    /// Sends a piece, with each dot doubled that begins a line.
    async fn piece(&mut self, bytes: &[u8], at_begin: &mut bool) -> Result<(), Broken> {
        let mut from = 0_usize;
        let begins = (*at_begin && bytes.starts_with(b".")).then_some(0);
        let inside = memchr::memmem::find_iter(bytes, b"\n.").map(|at| at.saturating_add(1));
        for dot in begins.into_iter().chain(inside) {
            self.write(bytes.get(from..dot).unwrap_or_default()).await?;
            self.write(b".").await?;
            from = dot;
        }
        *at_begin = bytes.last().map_or(*at_begin, |last| *last == b'\n');
        self.write(bytes.get(from..).unwrap_or_default()).await
    }

    /// Sends the dot, and what else is said with it (RFC 2920, 3.1).
    pub(super) async fn dot(&mut self, along: &str) -> Result<(), Broken> {
        self.write(format!(".\r\n{along}").as_bytes()).await?;
        self.flush().await
    }
}

/// The code of a line, whether it is the last of its answer, and the rest of it. Its bytes are text as far as
/// they are; servers answer in any letters.
fn parse(line: &[u8]) -> Option<(u16, bool, String)> {
    let (code, rest) = line.split_at_checked(3)?;
    let code = std::str::from_utf8(code).ok().filter(|_| code.iter().all(u8::is_ascii_digit))?;
    let code: u16 = code.parse().ok().filter(|code| (200..600).contains(code))?;
    let (is_last, text) = match rest.split_first() {
        None => (true, rest),
        Some((b' ', text)) => (true, text),
        Some((b'-', text)) => (false, text),
        Some(_) => return None,
    };
    Some((code, is_last, String::from_utf8_lossy(text).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::server::{Credential, PasswordFile};

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    /// A dialogue with a server that says this, whatever it is told.
    fn with(said: &[u8]) -> (Dialogue, tokio::io::DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(1024 * 1024);
        let said = said.to_vec();
        let mut theirs = theirs;
        block_on(theirs.write_all(&said)).unwrap();
        (Dialogue::over(ours), theirs)
    }

    fn reply(said: &[u8]) -> Result<Reply, Broken> {
        let (mut dialogue, _theirs) = with(said);
        block_on(dialogue.reply())
    }

    #[test]
    fn an_answer_is_read_whatever_its_letters_and_its_lines() {
        assert_eq!(reply(b"250 ok\r\n").unwrap().said(), "250 ok");
        assert_eq!(reply(b"250-a\r\n250-b\r\n250 c\r\n").unwrap().said(), "250 a b c");
        assert_eq!(reply(b"250\r\n").unwrap().code, 250);
        assert_eq!(reply(b"550 best\xe4tigt\r\n").unwrap().code, 550);
    }

    #[test]
    fn what_is_no_answer_breaks_the_dialogue() {
        let long = [b"250 ".to_vec(), vec![b'x'; 100_000]].concat();
        let lines = b"250-x\r\n".repeat(1_000);
        for said in [
            b"hello\r\n".as_slice(),
            b"25\r\n",
            b"250x\r\n",
            b"999 x\r\n",
            b"250-a\r\n550 b\r\n",
            b"\xff\xfe\x00\r\n",
            &long,
            &lines,
        ] {
            assert!(
                reply(said).is_err(),
                "{:?}",
                String::from_utf8_lossy(&said[..10.min(said.len())])
            );
        }
    }

    #[test]
    fn what_comes_unasked_is_no_answer_to_the_next_question() {
        let (mut dialogue, _theirs) = with(b"250 ok\r\n250 once more\r\n");
        let asked = block_on(async {
            dialogue.reply().await.unwrap();
            dialogue.ask("NOOP\r\n").await
        });
        assert!(asked.unwrap_err().contains("not asked"));
        let (mut dialogue, _theirs) = with(b"250 taken\r\n");
        let sent = block_on(dialogue.content(Content::Here(b"A mail.\r\n".to_vec())));
        assert!(sent.is_err(), "before the dot nobody has taken it");
        let (mut dialogue, _theirs) = with(b"421 bye\r\n");
        let asked = block_on(dialogue.ask("NOOP\r\n"));
        assert!(asked.unwrap_err().contains("closed the connection"));
    }

    /// Whoever stands between speaks first, in clear, and would answer for the server once TLS stands.
    #[test]
    fn what_comes_before_tls_is_nobodys_answer() {
        let (mut dialogue, _theirs) = with(b"220 go\r\n250 fine\r\n235 in\r\n250 taken\r\n");
        let server = Server {
            host: "localhost".to_owned(),
            port: 1,
            implicit_tls: false,
            ca_file: None,
            user: String::new(),
            credential: Credential::Password(std::sync::Arc::new(PasswordFile("none".into()))),
        };
        let begun = block_on(async {
            dialogue.reply().await.unwrap();
            dialogue.encrypted(&server).await.map(drop)
        });
        assert!(begun.unwrap_err().contains("in clear"));
    }

    #[test]
    fn a_dot_at_the_begin_of_a_line_is_doubled() {
        let content = b".a\r\nb.c\r\n..d";
        let apart = Content::There(Box::new(content.as_slice()));
        for content in [Content::Here(content.to_vec()), apart] {
            a_dot_is_doubled(content);
        }
    }

    fn a_dot_is_doubled(content: Content) {
        let (mut dialogue, mut theirs) = with(b"");
        let text = block_on(async {
            dialogue.content(content).await.unwrap();
            dialogue.dot("").await.unwrap();
            drop(dialogue);
            let mut text = String::new();
            theirs.read_to_string(&mut text).await.unwrap();
            text
        });
        assert_eq!(text, "..a\r\nb.c\r\n...d\r\n.\r\n");
    }
}
