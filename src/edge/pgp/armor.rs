//! Armor, written as the bytes come, and read where it is as it should be (RFC 9580, 6.2).
//!
//! The library's own takes longer for a large mail than the cipher does. It reads whatever is read here, and more:
//! what is not plain is left to it.

use std::io;
use std::io::Write;

use base64_simd::{AsOut as _, STANDARD};
use crc::{CRC_24_OPENPGP, Crc, Digest, Table};

/// Bytes of a line, 64 letters; the RFC has 76 letters at most (6.2.2).
const LINE: usize = 48;
const LETTERS: usize = 64;
/// So many lines are encoded together.
const LINES: usize = 512;

static CHECKSUM: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_24_OPENPGP);

/// A message in armor.
pub(crate) struct Armor<W: Write> {
    sink: W,
    end: &'static [u8],
    held: Vec<u8>,
    checksum: Option<Digest<'static, u32, Table<16>>>,
}

impl<W: Write> Armor<W> {
    /// Begins a message. `end` ends each line. The checksum is for programs that were written before there was
    /// another protection (6.1: not to be written for those that read the newer forms).
    pub(crate) fn message(sink: W, end: &'static str, has_checksum: bool) -> io::Result<Self> {
        let checksum = has_checksum.then(|| CHECKSUM.digest());
        let held = Vec::with_capacity(LINE * LINES);
        let mut armor = Self { sink, end: end.as_bytes(), held, checksum };
        armor.line(b"-----BEGIN PGP MESSAGE-----")?;
        armor.line(b"")?;
        Ok(armor)
    }

    fn line(&mut self, text: &[u8]) -> io::Result<()> {
        self.sink.write_all(text)?;
        self.sink.write_all(self.end)
    }

    /// Encodes whole lines, and what is left of one at the end.
    fn encode(&mut self) -> io::Result<()> {
        if let Some(checksum) = &mut self.checksum {
            checksum.update(&self.held);
        }
        let width = LETTERS.saturating_add(self.end.len());
        let mut out = Vec::with_capacity(self.held.len().div_ceil(LINE).saturating_mul(width));
        for line in self.held.chunks(LINE) {
            let mut letters = [0; LETTERS];
            out.extend_from_slice(STANDARD.encode(line, letters.as_mut_slice().as_out()));
            out.extend_from_slice(self.end);
        }
        self.held.clear();
        self.sink.write_all(&out)
    }

    /// Ends the message, and gives what it was written to.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.encode()?;
        if let Some(checksum) = self.checksum.take() {
            let [_, sum @ ..] = checksum.finalize().to_be_bytes();
            self.line(format!("={}", STANDARD.encode_to_string(sum)).as_bytes())?;
        }
        self.line(b"-----END PGP MESSAGE-----")?;
        Ok(self.sink)
    }
}

impl<W: Write> Write for Armor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = (LINE * LINES).saturating_sub(self.held.len());
        let (now, _) = bytes.split_at(room.min(bytes.len()));
        self.held.extend_from_slice(now);
        if self.held.len() >= LINE * LINES {
            self.encode()?;
        }
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // What is held is no whole line yet.
        Ok(())
    }
}

/// The bytes in a message in armor, if that is all that there is and it is written as every program writes it.
pub(super) fn read(text: &[u8]) -> Option<Vec<u8>> {
    let inside = text.strip_prefix(b"-----BEGIN PGP MESSAGE-----")?.trim_ascii_end();
    let inside = inside.strip_suffix(b"-----END PGP MESSAGE-----")?;
    // Headers end with a line that is empty.
    let (mut at, mut lines) = (0_usize, 0_usize);
    loop {
        let rest = inside.get(at..)?;
        let end = memchr::memchr(b'\n', rest)?;
        at = at.saturating_add(end).saturating_add(1);
        let line = rest.get(..end)?.trim_ascii();
        lines = lines.saturating_add(1);
        match line {
            // What stands behind the begin.
            [] if lines == 1 => {}
            [] => break,
            _ if lines == 1 || lines > HEADERS_MAX || !is_header(line) => return None,
            _ => {}
        }
    }
    let body = inside.get(at..)?.trim_ascii_end();
    // The checksum says nothing that the seal does not say better.
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let body = match body.len().checked_sub(6).and_then(|cut| body.split_at_checked(cut)) {
        Some((body, [b'\n', b'=', sum @ ..])) if sum.iter().all(is_letter) => body,
        Some((_, [b'\n', b'=', ..])) => return None,
        _ => body,
    };
    let is_plain = |byte: &u8| is_letter(byte) || matches!(byte, b'=' | b'\r' | b'\n');
    if !body.iter().all(is_plain) {
        return None;
    }
    base64_simd::forgiving_decode_to_vec(body).ok().filter(|bytes| !bytes.is_empty())
}

/// The most headers of armor.
const HEADERS_MAX: usize = 20;

fn is_header(line: &[u8]) -> bool {
    line.windows(2).any(|two| two == b": ") && line.is_ascii()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use sequoia_openpgp as openpgp;

    use super::*;

    #[test]
    fn what_is_written_is_read_by_the_library_and_is_what_it_writes() {
        for size in [0, 1, 47, 48, 49, 95, 96, LINE * LINES, 100_000] {
            let bytes: Vec<u8> = (0_u8..=250).cycle().take(size).collect();
            for has_checksum in [true, false] {
                let mut armor = Armor::message(Vec::new(), "\n", has_checksum).unwrap();
                for piece in bytes.chunks(1_000) {
                    armor.write_all(piece).unwrap();
                }
                let text = armor.finish().unwrap();
                let mut again = Vec::new();
                let kind =
                    openpgp::armor::ReaderMode::Tolerant(Some(openpgp::armor::Kind::Message));
                openpgp::armor::Reader::from_bytes(&text, kind).read_to_end(&mut again).unwrap();
                assert_eq!(again, bytes);
                assert_eq!(read(&text), (size > 0).then(|| bytes.clone()), "{size} {has_checksum}");
                let mut library = Vec::new();
                let kind = openpgp::armor::Kind::Message;
                let mut writer = openpgp::armor::Writer::new(&mut library, kind).unwrap();
                writer.write_all(&bytes).unwrap();
                writer.finalize().unwrap();
                if has_checksum && size > 0 {
                    let text = String::from_utf8(text).unwrap();
                    let library = String::from_utf8(library).unwrap();
                    assert_eq!(text.lines().last(), library.lines().last());
                    assert!(text.contains('=') && text.lines().all(|line| line.len() <= 64));
                }
            }
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_library() {
        let good = "-----BEGIN PGP MESSAGE-----\nVersion: x 1\n\nhGVsbG8h\nhGVs\n=abcd\n-----END PGP MESSAGE-----\n";
        let bytes = read(good.as_bytes()).unwrap();
        assert_eq!(bytes.len(), 9);
        assert_eq!(read(good.replace('\n', "\r\n").as_bytes()), Some(bytes.clone()));
        assert_eq!(read(good.replace("=abcd\n", "").as_bytes()), Some(bytes));
        for wrong in [
            good.replace("Version: x 1\n\n", ""),
            good.replace("hGVs\n", "hG Vs\n"),
            good.replace("hGVs\n", "hGVs\n\u{a0}"),
            good.replace("-----END", "----END"),
            good.replace("MESSAGE", "SIGNATURE"),
            good.replace("=abcd", "=ab-d"),
            format!("x{good}"),
            String::new(),
        ] {
            assert_eq!(read(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
