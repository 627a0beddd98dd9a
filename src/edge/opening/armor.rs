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

/// The blocks of one kind, in order. One that does not end reaches to the end of the text.
pub(super) fn blocks(text: &str, label: Label) -> Vec<Block> {
    let begin = format!("-----BEGIN {}", label.words());
    let end = format!("-----END {}-----", label.words());
    let (mut found, mut at) = (Vec::new(), 0_usize);
    while found.len() < BLOCKS_MAX {
        let Some(rest) = text.get(at..) else { break };
        let Some(from) = rest.find(&begin).map(|n| at.saturating_add(n)) else { break };
        let inside = from.saturating_add(begin.len());
        let to = text.get(inside..).and_then(|rest| rest.find(&end));
        let to = to.map_or(text.len(), |n| inside.saturating_add(n).saturating_add(end.len()));
        let line = text.get(..from).unwrap_or_default().rsplit('\n').next().unwrap_or_default();
        // `- ` is how a clear signature escapes a dash (RFC 9580, 7.1).
        let quoted =
            line.trim_start().starts_with(['>', '|']) || line.trim_start().starts_with("- ");
        found.push(Block { range: from..to, quoted });
        at = to;
    }
    found
}

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
        // The checksum; nothing comes after it.
        if line.starts_with('=') && line.len() == 5 {
            break;
        }
        out.extend(line.split_whitespace());
        out.push('\n');
    }
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '\n');
    let label = block.strip_prefix("-----BEGIN ")?.split_once("-----")?.0;
    (!out.is_empty() && out.chars().all(is_base64))
        .then(|| format!("-----BEGIN {label}-----\n\n{out}-----END {label}-----\n"))
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

    const BLOCK: &str = "-----BEGIN PGP MESSAGE-----\n\naGVsbG8=\n=abcd\n-----END PGP MESSAGE-----";

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
        assert!(found("- -----BEGIN PGP MESSAGE-----\n").iter().all(|(_, quoted)| *quoted));
        assert_eq!(found("-----BEGIN PGP MESSAGE-----\n\naGVs").len(), 1);
        assert!(found("we say BEGIN PGP MESSAGE").is_empty());
        assert_eq!(found(&"-----BEGIN PGP MESSAGE-----".repeat(99)).len(), 1);
    }

    #[test]
    fn blocks_are_mended() {
        let whole = "-----BEGIN PGP MESSAGE-----\n\naGVsbG8=\n-----END PGP MESSAGE-----\n";
        for block in [
            BLOCK.to_owned(),
            BLOCK.replace("\n\n", "\nVersion: 1\nComment: a: b\n"),
            BLOCK.replace("\n\n", "\nVersion: 1\n \t\n"),
            BLOCK.replace('\n', "\r\n"),
            BLOCK.replace('\n', "\n  ").replace("\n\n", "\n\u{a0}\n"),
        ] {
            assert_eq!(mended(&block).as_deref(), Some(whole), "{block}");
        }
        for block in ["", "-----BEGIN PGP MESSAGE-----", "-----BEGIN PGP MESSAGE-----\n\nö!\n"] {
            assert_eq!(mended(block), None, "{block}");
        }
    }
}
