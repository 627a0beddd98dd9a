//! The connection below IMAP: what a server may send at once, and whether it still speaks.
//!
//! A server says before a literal how long it is (RFC 9051, 4.3), and whoever believes it makes room for
//! what never comes. So no literal that is longer than what was asked for is begun, and no line is without an
//! end. And patience is about silence: a large mail over a thin line takes its time.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::edge::imap::Failed;

/// The longest line of a server: the answer to a search names every mail of a folder.
const LINE_MAX: u64 = 16 * 1024 * 1024;
/// How long a server may be silent when it is asked something.
const SILENCE: Duration = Duration::from_secs(25);
/// So often that is looked at.
const LOOKED_AT: Duration = Duration::from_secs(5);
/// And how long it may take for one answer, however busily it speaks.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(900);

/// What has come in, to see that something does; and how much of literals may still come.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    came: AtomicU64,
    allowed: AtomicU64,
}

impl Progress {
    /// What has come in that is no mere sign of life.
    fn came(&self) -> u64 {
        self.0.came.load(Ordering::Relaxed)
    }

    /// So many bytes were asked for, and a server that gives whole mails may give one of those instead.
    pub(super) fn allow(&self, bytes: usize, size_max: u32) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(2);
        let all = bytes.saturating_add(u64::from(size_max)).saturating_add(SPARE);
        self.0.allowed.store(all, Ordering::Relaxed);
    }

    /// Takes so many bytes of a literal from what is allowed; says whether they were.
    fn take(&self, bytes: u64) -> bool {
        let allowed = self.0.allowed.load(Ordering::Relaxed);
        self.0.allowed.store(allowed.saturating_sub(bytes), Ordering::Relaxed);
        bytes <= allowed
    }
}

/// What may come in literals beside what was asked for: names of folders, flags.
const SPARE: u64 = 4 * 1024 * 1024;

/// A connection that is looked after.
#[derive(Debug)]
pub(super) struct Guarded<S> {
    inner: S,
    scan: Scan,
}

impl<S> Guarded<S> {
    /// Looks after a connection on which no literal is longer than so many bytes.
    pub(super) fn new(inner: S, literal_max: u64) -> (Self, Progress) {
        let progress = Progress::default();
        progress.allow(0, u32::MAX);
        let scan = Scan::new(literal_max, progress.clone());
        (Self { inner, scan }, progress)
    }
}

/// What a server begins that it was not asked for.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotAsked(String);

/// Where in the server's words we are: in a line, or in a literal.
#[derive(Debug)]
struct Scan {
    literal_max: u64,
    progress: Progress,
    /// Bytes of a literal that are still to come.
    left: u64,
    /// Bytes of the line so far.
    line: u64,
    /// How the line begins; one that goes on after a literal has no beginning of its own.
    head: Vec<u8>,
    goes_on: bool,
    /// The end of the line so far: enough for the length of a literal.
    tail: Vec<u8>,
}

/// So many bytes of a line's end are remembered: `{4294967295+}`, and the end of the line.
const TAIL: usize = 24;
/// And so many of its beginning: `* PREAUTH `.
const HEAD: usize = 10;

impl Scan {
    fn new(literal_max: u64, progress: Progress) -> Self {
        let (head, tail) = (Vec::new(), Vec::new());
        Self { literal_max, progress, left: 0, line: 0, head, goes_on: false, tail }
    }

    /// Whether the line is text of the server's for people: it announces nothing (RFC 9051, 7.1), and is no
    /// progress.
    fn is_text(&self) -> bool {
        let head = self.head.to_ascii_uppercase();
        let words: [&[u8]; 6] = [b"* OK", b"* NO", b"* BAD", b"* BYE", b"* PREAUTH", b"+ "];
        !self.goes_on && words.iter().any(|word| head.starts_with(word))
    }

    fn counts(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(0);
        self.progress.0.came.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes in what came.
    ///
    /// # Errors
    /// What the server begins that it was not asked for.
    fn take(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while !bytes.is_empty() {
            let here = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            if here > 0 {
                self.counts(here);
                self.left = self.left.saturating_sub(u64::try_from(here).unwrap_or(u64::MAX));
                bytes = bytes.get(here..).unwrap_or(&[]);
                continue;
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let until = end.map_or(bytes.len(), |end| end.saturating_add(1));
            let (part, rest) = bytes.split_at(until);
            bytes = rest;
            self.line = self.line.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
            let room = HEAD.saturating_sub(self.head.len()).min(part.len());
            self.head.extend_from_slice(part.get(..room).unwrap_or(part));
            if !self.is_text() {
                self.counts(part.len());
            }
            let last = part.get(part.len().saturating_sub(TAIL)..).unwrap_or(part);
            self.tail.extend_from_slice(last);
            let more = self.tail.len().saturating_sub(TAIL);
            self.tail.drain(..more);
            if self.line > LINE_MAX {
                return Err("the server sends a line without an end".to_owned());
            }
            if end.is_some() {
                self.ends()?;
            }
        }
        Ok(())
    }

    /// A line has ended, and may have announced a literal.
    fn ends(&mut self) -> Result<(), String> {
        let announced = literal(&self.tail).filter(|_| !self.is_text());
        self.left = announced.unwrap_or(0);
        self.goes_on = announced.is_some();
        self.tail.clear();
        self.head.clear();
        self.line = 0;
        if self.left > self.literal_max {
            return Err(format!(
                "the server announces {} bytes at once, and {} is the most that was asked for",
                self.left, self.literal_max
            ));
        }
        if !self.progress.take(self.left) {
            return Err("the server gives more than was asked for, without end".to_owned());
        }
        Ok(())
    }
}

/// The length of the literal that a line announces at its end.
fn literal(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"\n")?;
    let line = line.strip_suffix(b"\r").unwrap_or(line).strip_suffix(b"}")?;
    let line = line.strip_suffix(b"+").unwrap_or(line);
    let begin = line.iter().rposition(|byte| *byte == b'{');
    let digits = line.get(begin.map_or(0, |begin| begin.saturating_add(1))..)?;
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    // Digits as far as we remember, noughts before them perhaps: no length of an honest server's.
    if begin.is_none() && (!is_number || line.len() < TAIL.saturating_sub(4)) {
        return None;
    }
    let said = std::str::from_utf8(digits).ok().filter(|_| begin.is_some());
    is_number.then(|| said.and_then(|said| said.parse().ok()).unwrap_or(u64::MAX))
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = read {
            let came = buf.filled().get(before..).unwrap_or(&[]);
            if let Err(why) = self.scan.take(came) {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, NotAsked(why))));
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Waits for an answer for as long as the server speaks.
///
/// # Errors
/// What went wrong; silence is a broken connection.
pub(super) async fn patient<T, E: Into<Failed>>(
    progress: &Progress,
    what: &str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Failed> {
    let mut work = std::pin::pin!(work);
    let end = tokio::time::Instant::now() + ANSWER_MAX;
    let mut silent = Duration::ZERO;
    let mut before = progress.came();
    while silent < SILENCE {
        match tokio::time::timeout(LOOKED_AT, &mut work).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => return Err(error.into().at(what)),
            Err(_) if tokio::time::Instant::now() > end => {
                return Err(Failed::Broken(format!("{what}: the server does not come to an end")));
            }
            Err(_) => {
                let now = progress.came();
                silent =
                    if now == before { silent.saturating_add(LOOKED_AT) } else { Duration::ZERO };
                before = now;
            }
        }
    }
    Err(Failed::Broken(format!("{what}: the server did not answer")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan() -> Scan {
        let progress = Progress::default();
        progress.allow(0, 1_000_000);
        Scan::new(100, progress)
    }

    #[test]
    fn literals_are_skipped_however_the_bytes_come() {
        let text =
            b"* 1 FETCH (UID 1 BODY[]<0> {10}\r\nab{999}\r\nc)\r\n* 2 FETCH (BODY[] {100+}\r\n";
        for size in 1..text.len() {
            let mut scan = scan();
            for piece in text.chunks(size) {
                scan.take(piece).unwrap();
            }
            assert_eq!(scan.left, 100, "in pieces of {size}");
        }
    }

    #[test]
    fn what_nobody_asked_for_is_not_begun() {
        for text in
            ["* 1 {101}\r\n", "{400000000}\r\n", "x {99999999999999999999999}\r\n", "{101+}\n"]
        {
            assert!(scan().take(text.as_bytes()).is_err(), "{text}");
        }
        for text in
            ["{}\r\n", "{1x}\r\n", "{100}\r\n", "a {5} b\r\n", "}\r\n", "1}\r\n", "12345}\r\n"]
        {
            assert!(scan().take(text.as_bytes()).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_line_has_an_end() {
        let mut scan = scan();
        let piece = vec![b'x'; 1024 * 1024];
        assert!((0..32).any(|_| scan.take(&piece).is_err()));
    }
}
