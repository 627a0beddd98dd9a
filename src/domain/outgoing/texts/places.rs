//! Text as it goes through the desk: cleaned, quoted, broken into lines, and with places that are
//! filled in where a copy is made.

use crate::domain::facts::foreign::{clean, without_references};
use crate::domain::facts::names::{Digest, Handle};

// Places that stay open in a frozen text, until the copy for one person is made. They are private
// use characters, which the desk strips from everything that comes in, so nobody can write one.
pub(super) const RECIPIENT: char = '\u{E000}';
pub(super) const REFERENCE: char = '\u{E001}';
pub(super) const LATE: char = '\u{E002}';
const BLOB: char = '\u{E003}';
const HISTORY: char = '\u{E004}';
pub(super) const VERBATIM: char = '\u{E005}';
// Around each value that a template puts in, until the text is laid out.
pub(super) const VALUE: char = '\u{E006}';

/// Quotes a text line by line, so that nothing in it can pass for a line of the desk or, in the
/// answer to it, for a command.
#[must_use]
pub fn quote(text: &str) -> String {
    let lines = text.trim_end().lines().map(|line| format!("> {line}").trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// What a person wrote, for a text of ours: its lines stay as they are.
#[must_use]
pub(super) fn verbatim(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("{VERBATIM}{line}")).collect();
    lines.join("\n")
}

/// The last column of a table begins here at most; a gap further on is one in the words.
const COLUMN_MAX: usize = 40;

/// How wide a line of prose is in a mail.
pub(super) const WIDTH: usize = 72;

/// Breaks long lines of the desk's own prose, for mail programs that do not. What is quoted, stands
/// in a table or behind a bar keeps its lines.
#[must_use]
pub fn wrapped(text: &str) -> String {
    wrapped_to(text, WIDTH)
}

/// The same for lines that stand indented by so many blanks.
#[must_use]
pub fn indented(text: &str, blanks: usize) -> String {
    let blank = " ".repeat(blanks);
    let text = wrapped_to(text, WIDTH.saturating_sub(blanks));
    text.lines().map(|line| format!("{blank}{line}")).collect::<Vec<_>>().join("\n")
}

fn wrapped_to(text: &str, most: usize) -> String {
    let mut out = Vec::new();
    for line in text.lines() {
        let wide = line.chars().any(|c| c >= '\u{2E80}');
        let kept = line.starts_with(['>', '|', '\t', '#']) || line.trim_start().starts_with('|');
        if wide || kept || line.chars().count() <= most {
            out.push(line.to_owned());
            continue;
        }
        if line.starts_with([' ', '-']) {
            hang(&mut out, line, most);
            continue;
        }
        let mut row = String::new();
        for word in line.split(' ') {
            let width = row.chars().count().saturating_add(word.chars().count());
            // A word of the desk never begins a line, or the answer to the mail would give it.
            if !row.is_empty() && width >= most && !word.starts_with('/') {
                out.push(std::mem::take(&mut row));
            }
            if !row.is_empty() {
                row.push(' ');
            }
            row.push_str(word);
        }
        out.push(row);
    }
    out.join("\n")
}

/// Breaks a line of a table or a list: it goes on below its last column, or below its words.
fn hang(out: &mut Vec<String>, line: &str, most: usize) {
    let begins = line.find(|c| c != ' ').unwrap_or(0);
    let rest = line.get(begins..).unwrap_or("");
    let column = rest.rfind("  ").map(|at| at.saturating_add(2));
    let column =
        column.map(|at| line.get(..begins.saturating_add(at)).unwrap_or("").chars().count());
    let below = column.filter(|at| *at <= COLUMN_MAX).unwrap_or_else(|| begins.saturating_add(2));
    let mut row = String::new();
    let mut words = 0_u32;
    for word in line.split(' ') {
        let width = row.chars().count().saturating_add(word.chars().count());
        if words > 0 && width >= most && !word.is_empty() {
            out.push(row.trim_end().to_owned());
            row = " ".repeat(below);
            row.push_str(word);
        } else {
            if !row.is_empty() || words > 0 {
                row.push(' ');
            }
            row.push_str(word);
        }
        words = words.saturating_add(1);
    }
    out.push(row);
}

/// A place in a sealed text where the store's copy of a letter is to stand, quoted.
#[must_use]
pub fn blob_place(blob: Digest) -> String {
    format!("{BLOB}{blob}{BLOB}")
}

/// A place in a sealed text where the history of an incident is to stand, line by line.
#[must_use]
pub fn history_place(handle: &Handle) -> String {
    format!("{HISTORY}{handle}{HISTORY}")
}

/// Puts the history in its place.
///
/// # Errors
/// What `fetch` says.
pub fn fill_history<E>(
    text: &str,
    mut fetch: impl FnMut(&Handle) -> Result<Vec<String>, E>,
) -> Result<String, E> {
    let mut out = String::with_capacity(text.len());
    for (n, piece) in text.split(HISTORY).enumerate() {
        match (n % 2, Handle::parse(piece)) {
            (1, Some(handle)) => out.push_str(&fetch(&handle)?.join("\n")),
            _ => out.push_str(piece),
        }
    }
    Ok(out)
}

/// Puts the stored letters in their places. A blob that is gone says so.
pub fn fill_blobs(text: &str, mut fetch: impl FnMut(Digest) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    for (n, piece) in text.split(BLOB).enumerate() {
        match (n % 2, Digest::parse(piece)) {
            (1, Some(blob)) => match fetch(blob) {
                Some(body) => out.push_str(&quote(&without_references(&clean(&body)))),
                None => out.push_str("(erased)"),
            },
            _ => out.push_str(piece),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::facts::foreign::{clean_line, holds_reference};

    #[test]
    fn nobody_can_write_an_open_place() {
        assert_eq!(clean("a\u{E000}b\u{202E}c\u{1b}[31m\r\nd"), "abc[31m\nd");
        assert_eq!(clean_line(" a \n b\u{E003} ", 10), "a b");
        let long = format!("{} end\n> {}", "word ".repeat(20).trim_end(), "x ".repeat(50));
        let lines: Vec<String> = wrapped(&long).lines().map(str::to_owned).collect();
        assert!(lines[..2].iter().all(|line| line.len() <= 72) && lines[2].len() > 72, "{lines:?}");
        let words = wrapped(&format!("{} | /accept and more", "x".repeat(69)));
        assert!(!words.lines().any(|line| line.starts_with('/')), "{words}");
        assert_eq!(quote("a\n\n> b"), "> a\n>\n> > b");
        assert_eq!(
            without_references("Ref: EXA-2026-7F3K2/0123456789ABCDEF now\n> Ref:x/y Ref:"),
            "Ref : EXA-2026-7F3K2/... now\n> Ref :x/y Ref :"
        );
        for before in ["REF: ", "*Ref:* ", "Ref: <", "Ref:\n> ", "", "(", "ü"] {
            let text = format!("{before}EXA-2026-7F3K2/0123456789ABCDEF0123456789.");
            assert!(
                holds_reference(&text) && !without_references(&text).contains("0123"),
                "{text}"
            );
        }
    }
}
