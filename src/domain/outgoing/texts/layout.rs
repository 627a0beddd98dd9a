//! How a text stands on the page: rows of a label and a value, and paragraphs filled to the width.

use crate::domain::outgoing::texts::places::{LATE, VALUE, VERBATIM, WIDTH};

/// Where the values of rows begin.
const COLUMN: usize = 14;

/// A row of a mail: two blanks, a label, and a value that goes on below itself. What has no value has
/// no row. Begins with the end of the line before it, so that templates can leave it out without a gap.
#[must_use]
pub(super) fn row(label: &str, value: &str) -> String {
    row_at(label, value, COLUMN)
}

/// Rows of labels and values, all values in one column, one row a line; what is long goes on below itself.
#[must_use]
pub fn columns<'a>(rows: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let rows: Vec<(&str, String)> = rows.into_iter().collect();
    let longest = rows.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    let column = longest.saturating_add(4).clamp(12, 34);
    let mut out = String::new();
    for (label, value) in &rows {
        let value = if value.trim().is_empty() { "-" } else { value };
        out.push_str(row_at(label, value, column).trim_start_matches('\n'));
        out.push('\n');
    }
    out
}

fn row_at(label: &str, value: &str, column: usize) -> String {
    let words: Vec<&str> = value.split_whitespace().collect();
    if words.is_empty() {
        return String::new();
    }
    let label = format!("  {label}  ");
    let mut out = format!("\n{label:<column$}");
    let mut width = label.chars().count().max(column);
    let mut begun = false;
    for word in words {
        let long = word.chars().count();
        if begun && width.saturating_add(long).saturating_add(1) > WIDTH {
            out.push('\n');
            out.push_str(&" ".repeat(column));
            (width, begun) = (column, false);
        }
        if begun {
            out.push(' ');
            width = width.saturating_add(1);
        }
        out.push_str(word);
        width = width.saturating_add(long);
        begun = true;
    }
    out
}

/// An entry of a list, which goes on below itself; begins like a row.
#[must_use]
pub(super) fn entry(text: &str) -> String {
    let mut out = String::new();
    for word in text.split(' ') {
        let last = out.rsplit('\n').next().map_or(0, |line| line.chars().count());
        let long = last.saturating_add(word.chars().count()).saturating_add(1);
        let begins = out.is_empty() || last <= 6;
        if out.is_empty() {
            out.push_str("\n  ");
        } else if long > WIDTH && !begins {
            out.push_str("\n      ");
        } else {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// What begins a line that is no prose: it keeps its place.
const KEPT: [char; 9] = ['>', '|', ' ', '\t', '-', '#', '*', '`', LATE];

fn is_place(c: char) -> bool {
    ('\u{E000}'..='\u{F8FF}').contains(&c)
}

fn is_prose(line: &str) -> bool {
    let named = ["Ref:", "TLP:", "Journal "].iter().any(|name| line.starts_with(name));
    let hex = |word: &str| word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let fingerprint = line.split_whitespace().all(hex);
    // No blanks stand between words there, and the widths are others.
    let wide = line.chars().any(|c| c >= '\u{2E80}' && !is_place(c));
    !line.is_empty() && !line.starts_with(KEPT) && !named && !fingerprint && !wide
}

/// Whether a line is a label of at most three words and one value, and so stands for itself.
fn is_labelled(marked: &str) -> bool {
    let Some((label, value)) = marked.split_once(": ") else { return false };
    let words = label.split_whitespace().count();
    let one =
        value.starts_with(VALUE) && value.ends_with(VALUE) && value.matches(VALUE).count() == 2;
    one && (1..=3).contains(&words) && !label.contains(['.', ',', ';', VALUE])
}

/// Takes the marks out of a line. Says whether there was one, and whether the line is nothing but a value.
fn unmarked(line: &str) -> (String, bool, bool) {
    let bare = line.replace(VALUE, "");
    let whole = line.starts_with(VALUE) && line.ends_with(VALUE);
    let short = bare.chars().count() <= WIDTH;
    (bare, line.contains(VALUE), whole && short && line.matches(VALUE).count() == 2)
}

/// The same text without its marks.
#[must_use]
pub(super) fn plain(text: &str) -> String {
    text.replace(VALUE, "")
}

/// Fills anew each paragraph that a value has made too long or ragged, and takes out the marks by which
/// values are known. A line of prose ends where the next word would not fit; lines that end with a colon,
/// what is nothing but a value, and what is no prose, stay as they are.
#[must_use]
pub(super) fn filled(text: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut paragraph: Vec<String> = Vec::new();
    let (mut signature, mut touched) = (false, false);
    for marked in text.lines() {
        let (line, has_value, whole) = unmarked(marked);
        let line = if line.trim_end() == "--" { "-- " } else { line.trim_end() }.to_owned();
        if let Some(own) = line.strip_prefix(VERBATIM) {
            fill(&mut out, &mut paragraph, &mut touched);
            out.push(own.to_owned());
            continue;
        }
        signature = if line.is_empty() { false } else { signature || line == "-- " };
        let addressed = marked.starts_with(&format!("To {VALUE}"));
        if is_prose(&line) && !signature && !whole && !addressed {
            let alone = is_labelled(marked);
            if alone {
                fill(&mut out, &mut paragraph, &mut touched);
            }
            let ends = alone || line.ends_with(':');
            touched |= has_value;
            paragraph.push(line);
            if ends {
                fill(&mut out, &mut paragraph, &mut touched);
            }
            continue;
        }
        fill(&mut out, &mut paragraph, &mut touched);
        out.push(line);
    }
    fill(&mut out, &mut paragraph, &mut touched);
    let mut text = out.join("\n");
    text.push('\n');
    text
}

fn fill(out: &mut Vec<String>, paragraph: &mut Vec<String>, touched: &mut bool) {
    let lines = std::mem::take(paragraph);
    let touched = std::mem::take(touched);
    let width = |text: &str| text.chars().count();
    let first = |line: &str| line.split(' ').next().map_or(0, width);
    let next = lines.iter().skip(1);
    let ragged = lines
        .iter()
        .zip(next)
        .any(|(line, next)| width(line).saturating_add(first(next)).saturating_add(1) <= WIDTH);
    let long = lines.iter().any(|line| width(line) > WIDTH);
    let stays = !(long || (ragged && touched));
    if stays {
        out.extend(lines);
        return;
    }
    let mut line = String::new();
    for word in lines.iter().flat_map(|line| line.split_whitespace()) {
        let long = width(&line).saturating_add(width(word)).saturating_add(1);
        // No word may begin a line that would make it something else, a word of the desk least of all.
        if !line.is_empty() && long > WIDTH && !word.starts_with(KEPT) && !word.starts_with('/') {
            out.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        out.push(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_below_one_another_and_have_none_without_a_value() {
        assert_eq!(row("CVE", "CVE-2026-1"), "\n  CVE         CVE-2026-1");
        assert_eq!(row("CVE", " "), "");
        assert_eq!(row("a longer label", "x"), "\n  a longer label  x");
        let long = row("impact", &"word ".repeat(40));
        assert!(long.lines().all(|line| line.len() <= WIDTH), "{long}");
        assert!(long.lines().skip(2).all(|line| line.starts_with("              word")), "{long}");
    }

    #[test]
    fn columns_never_glue() {
        let long = "a label that is longer than any column may be";
        let rows = [
            ("T", "x".to_owned()),
            ("affected versions", "word ".repeat(30)),
            (long, String::new()),
        ];
        let out = columns(rows);
        assert!(out.lines().nth(1).is_some_and(|line| line.find("word") == Some(34)), "{out}");
        assert!(out.contains("may be  -\n"), "{out}");
        assert!(out.lines().take(3).all(|line| line.len() <= WIDTH), "{out}");
    }

    #[test]
    fn paragraphs_are_filled_and_what_is_no_prose_stays() {
        let text = "A desk with a long name will publish on\n\u{E006}Wed 2026-03-18 16:00 UTC\u{E006}.\nUntil then.\n\n\
            To answer:\nRef: X\n\n  what  a\n| /ack\n\n-- \nDesk, X\nmore\n";
        let want = "A desk with a long name will publish on Wed 2026-03-18 16:00 UTC. Until\nthen.\n\n\
            To answer:\nRef: X\n\n  what  a\n| /ack\n\n-- \nDesk, X\nmore\n";
        assert_eq!(filled(text), want);
        assert_eq!(filled(want), want, "what is filled stays as it is");
        let own = "Jane Doe\nExample Inc\n\n\u{E006}one\u{E006}\n\u{E006}two\u{E006}\n";
        assert_eq!(filled(own), "Jane Doe\nExample Inc\n\none\ntwo\n", "nor what no value touches");
        assert_eq!(
            entry(&"word ".repeat(20)).trim_start_matches('\n').lines().next().unwrap().len(),
            71
        );
        let head = "CVE: \u{E006}none\u{E006}\nFixed in: \u{E006}2.4.1\u{E006}\n";
        assert_eq!(filled(head), "CVE: none\nFixed in: 2.4.1\n", "nor a line of a label");
        let words = filled(&format!("{} /accept and more", "x".repeat(69)));
        assert!(!words.lines().any(|line| line.starts_with('/')), "{words}");
    }
}
