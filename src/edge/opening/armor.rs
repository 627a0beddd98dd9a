//! Blocks of OpenPGP armor in a text, however mail programs and gateways left them (RFC 9580, 6.2).

use std::ops::Range;

/// The most blocks of one text that are looked at.
const BLOCKS_MAX: usize = 32;

/// What a block says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    /// `PGP MESSAGE`.
    Message,
    /// `PGP PUBLIC KEY BLOCK`.
    Key,
}

impl Label {
    fn words(self) -> &'static str {
        match self {
            Self::Message => "PGP MESSAGE",
            Self::Key => "PGP PUBLIC KEY BLOCK",
        }
    }
}

/// A block in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// Where it is, from its first dash to its last.
    pub(super) range: Range<usize>,
    /// Whether it stands in what somebody quotes, or in the text of a clear signature.
    pub(super) quoted: bool,
}

/// The blocks of one kind, in order. What only speaks of them, without any data behind it, is text. One that
/// does not end reaches as far as its data does, and what comes after it is text.
pub(super) fn blocks(text: &str, label: Label) -> Vec<Block> {
    let begin = format!("-----BEGIN {}", label.words());
    let end = format!("-----END {}-----", label.words());
    let (mut found, mut at) = (Vec::new(), 0_usize);
    while found.len() < BLOCKS_MAX {
        let Some(rest) = text.get(at..) else { break };
        let Some(from) = rest.find(&begin).map(|n| at.saturating_add(n)) else { break };
        let inside = from.saturating_add(begin.len());
        let ends = text.get(inside..).and_then(|rest| rest.find(&end));
        let rest = text.get(inside..ends.map_or(text.len(), |n| inside.saturating_add(n)));
        let rest = rest.unwrap_or_default();
        let to = match ends {
            Some(n) => inside.saturating_add(n).saturating_add(end.len()),
            None => inside.saturating_add(reach(rest)),
        };
        if !holds_data(rest.get(..MARK_MAX).unwrap_or(rest)) {
            at = inside;
            continue;
        }
        let line = text.get(..from).unwrap_or_default().rsplit('\n').next().unwrap_or_default();
        // `- ` is how a clear signature escapes a dash (RFC 9580, 7.1).
        let quoted =
            line.trim_start().starts_with(['>', '|']) || line.trim_start().starts_with("- ");
        found.push(Block { range: from..to, quoted });
        at = to;
    }
    found
}

/// The first data of a block stand within so many bytes: before them are headers.
const MARK_MAX: usize = 4096;

/// Whether what stands behind the begin of a block has packets in it (RFC 9580, 4.2: the first bit is set).
fn holds_data(rest: &str) -> bool {
    rest.is_char_boundary(0) && rest.split_whitespace().any(is_data)
}

fn is_base64(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
}

fn is_data(word: &str) -> bool {
    // What is below 32 in the alphabet of base64 has no first bit.
    let first =
        word.bytes().next().is_some_and(|b| matches!(b, b'g'..=b'z' | b'0'..=b'9' | b'+' | b'/'));
    first && word.len() >= 20 && is_base64(word)
}

/// How far a block reaches that has no end: over its headers and its data.
fn reach(rest: &str) -> usize {
    let (mut at, mut end, mut begun) = (0_usize, 0_usize, false);
    for line in rest.split_inclusive('\n') {
        at = at.saturating_add(line.len());
        let bare = line.trim_start_matches(['>', '|', ' ']).trim();
        if begun && (bare.is_empty() || !is_base64(bare)) {
            break;
        }
        begun |= is_data(bare);
        if begun {
            end = at;
        }
    }
    end
}

/// Whether bytes hold armor somewhere, in whatever way it is written: of another charset, in HTML, in a header.
pub(super) fn is_marked(bytes: &[u8]) -> bool {
    let (mut text, mut skip) = (Vec::with_capacity(bytes.len()), 0_u8);
    for (n, byte) in bytes.iter().enumerate() {
        if skip > 0 {
            skip = skip.saturating_sub(1);
            continue;
        }
        match byte {
            0 | 0xc2 => {}
            0xa0 => text.push(b' '),
            b'&' if bytes.get(n..).is_some_and(|rest| rest.starts_with(b"&nbsp;")) => {
                text.push(b' ');
                skip = 5;
            }
            other => text.push(*other),
        }
    }
    let lower = text.to_ascii_lowercase();
    let mut at = 0_usize;
    while let Some(n) =
        memchr::memmem::find(lower.get(at..).unwrap_or_default(), b"begin pgp message")
    {
        at = at.saturating_add(n).saturating_add(17);
        let near = text.get(at..).unwrap_or_default();
        let near = near.get(..MARKED_WITHIN).unwrap_or(near);
        let mut run = 0_usize;
        for byte in near {
            let is_data = byte.is_ascii_alphanumeric() || b"+/".contains(byte);
            run = if is_data { run.saturating_add(1) } else { 0 };
            if run >= 40 {
                return true;
            }
        }
    }
    false
}

/// And so many bytes behind its begin.
const MARKED_WITHIN: usize = 600;

/// A block as every program reads it: what mail programs do to one is undone. A blank line is missing
/// between its headers and its body, lines are broken elsewhere or indented, blanks are of another kind.
pub(super) fn mended(block: &str) -> Option<String> {
    let block = block.replace(['\u{a0}', '\u{200b}', '\u{feff}'], " ");
    let body = block.strip_prefix("-----BEGIN ")?.split_once("-----")?.1;
    let body = body.split("-----END ").next()?;
    let (mut out, mut in_head) = (String::new(), true);
    for line in body.lines().map(str::trim) {
        let is_header = line.split_once(':').is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        });
        in_head &= line.is_empty() || is_header;
        if in_head || line.is_empty() {
            continue;
        }
        // The checksum; nothing comes after it. HTML may have put all of it on one line.
        let is_sum = |word: &&str| word.starts_with('=') && word.len() == 5;
        out.extend(line.split_whitespace().take_while(|word| !is_sum(word)));
        if line.split_whitespace().any(|word| is_sum(&word)) {
            break;
        }
        out.push('\n');
    }
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '\n');
    let label = block.strip_prefix("-----BEGIN ")?.split_once("-----")?.0;
    (!out.is_empty() && out.chars().all(is_base64))
        .then(|| format!("-----BEGIN {label}-----\n\n{}\n-----END {label}-----\n", out.trim_end()))
}

/// The body of a block alone: the same for two forms of the same block.
pub(super) fn body(block: &str) -> String {
    mended(block).map_or_else(String::new, |block| {
        block.lines().filter(|line| !line.starts_with('-')).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &str =
        "-----BEGIN PGP MESSAGE-----\n\nhGVsbG8hGVsbG8hGVsbG8hGV\n=abcd\n-----END PGP MESSAGE-----";

    fn found(text: &str) -> Vec<(String, bool)> {
        let blocks = blocks(text, Label::Message);
        let cut = |range: Range<usize>| text.get(range).unwrap().to_owned();
        blocks.into_iter().map(|block| (cut(block.range), block.quoted)).collect()
    }

    #[test]
    fn blocks_are_found_wherever_they_stand() {
        let one = |quoted| vec![(BLOCK.to_owned(), quoted)];
        assert_eq!(found(BLOCK), one(false));
        assert_eq!(found(&format!("Hello,\n\n{BLOCK}\n-- \nRita\n")), one(false));
        assert_eq!(found(&format!("{BLOCK}\n{BLOCK}")).len(), 2);
        let quoted = format!("Look:\n> {}\n", BLOCK.replace('\n', "\n> "));
        assert!(found(&quoted).iter().all(|(_, quoted)| *quoted) && found(&quoted).len() == 1);
        assert!(found(&format!("- {BLOCK}\n")).iter().all(|(_, quoted)| *quoted));
        assert_eq!(found("-----BEGIN PGP MESSAGE-----\n\nhGVsbG8hGVsbG8hGVsbG8hGV").len(), 1);
        assert!(found("we say BEGIN PGP MESSAGE").is_empty());
        assert!(found(&"-----BEGIN PGP MESSAGE-----".repeat(99)).is_empty());
        // One that does not end takes nothing with it that is no data of it.
        let cut = BLOCK.split("=abcd").next().unwrap();
        let text = format!("Log:\n{cut}\nSteps\n\n1. start it\n");
        assert_eq!(found(&text), vec![(cut.to_owned(), false)]);
        for talk in [
            "It prints -----BEGIN PGP MESSAGE----- and then crashes, whatever I do.",
            "-----BEGIN PGP MESSAGE-----\n\nThis is what the parser sees:\nnothing\n",
            "-----BEGIN PGP MESSAGE-----\n\nnot one\n-----END PGP MESSAGE-----",
        ] {
            assert!(found(talk).is_empty(), "{talk}");
            assert!(!is_marked(talk.as_bytes()), "{talk}");
        }
        let long = BLOCK.replace("hGVsbG8", &"hGVsbG8".repeat(4));
        let wide: Vec<u8> = long.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(is_marked(&wide) && is_marked(long.to_lowercase().as_bytes()));
        assert!(is_marked(long.replace("PGP MESSAGE", "PGP&nbsp;MESSAGE").as_bytes()));
        assert!(
            is_marked(long.replace('\n', "\\n").as_bytes()) && !is_marked(b"begin pgp message")
        );
    }

    #[test]
    fn blocks_are_mended() {
        let whole =
            "-----BEGIN PGP MESSAGE-----\n\nhGVsbG8hGVsbG8hGVsbG8hGV\n-----END PGP MESSAGE-----\n";
        for block in [
            BLOCK.to_owned(),
            BLOCK.replace("\n\n", "\nVersion: 1\nComment: a: b\n"),
            BLOCK.replace("\n\n", "\nVersion: 1\n \t\n"),
            BLOCK.replace('\n', "\r\n"),
            BLOCK.replace("\n\n", "\n \n").replace("\n=abcd\n", " =abcd "),
            BLOCK.replace('\n', "\n  ").replace("\n\n", "\n\u{a0}\n"),
        ] {
            assert_eq!(mended(&block).as_deref(), Some(whole), "{block}");
        }
        for block in ["", "-----BEGIN PGP MESSAGE-----", "-----BEGIN PGP MESSAGE-----\n\nö!\n"] {
            assert_eq!(mended(block), None, "{block}");
        }
    }
}
