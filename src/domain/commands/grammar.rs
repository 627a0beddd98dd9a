//! How words of the desk are found in the text of a mail, and what of it is the writer's own.
//!
//! As narrow as people's mail programs allow: the first unbroken block of command lines before any
//! other text of the writer's own. What a program quotes, with a mark or without, is neither a
//! command nor a part of the text.

use crate::domain::facts::foreign::{INVISIBLE, LINE_ENDS};
use crate::domain::facts::names::Address;
use crate::domain::facts::refusal::Refusal;
use crate::domain::model::roster::references_in;
use crate::domain::process::vocabulary::{Row, team_word};

/// A line of the command block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The word as written, without its stroke.
    pub word: String,
    /// The rest of the line; its case is kept.
    pub arguments: String,
}

impl Line {
    /// The line as understood.
    #[must_use]
    pub fn text(&self) -> String {
        format!("/{} {}", self.word.to_ascii_lowercase(), self.arguments).trim_end().to_owned()
    }
}

/// What a mail says to the desk, and what it says to people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The command block.
    pub lines: Vec<Line>,
    /// The writer's own words below it: no quotes, no signature.
    pub text: String,
    /// Whether the quote of a mail program that marks none was left out.
    pub cut: bool,
    /// Quoted lines that stand between the writer's own words.
    pub quoted: usize,
    /// Lines below a mark that is not quite one of a signature.
    pub signature: usize,
    /// Whether the block has more lines than are looked at.
    pub too_many: bool,
    /// A line of the text that looks like a command and stands where none counts.
    pub stray: Option<Line>,
}

impl Parsed {
    /// What was left out of the text, for the writer to see; nothing where nothing was.
    #[must_use]
    pub fn left_out(&self) -> String {
        let lines = |n: usize, what: &str| match n {
            0 => None,
            1 => Some(format!("1 {what} line")),
            n => Some(format!("{n} {what} lines")),
        };
        // A quote alone is what every answer has.
        if self.text.is_empty() || (self.signature == 0 && self.quoted == 0) {
            return String::new();
        }
        let parts = [lines(self.quoted, "quoted"), lines(self.signature, "signature")];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        format!("Not part of your text: {}.", parts.join(" and "))
    }
}

/// More lines than this are no command mail.
const LINES_MAX: usize = 50;

/// A word that stands behind such a mark on the line of another word: its writer may have pasted it
/// without seeing it, so it is not carried out, and neither is the rest.
fn hidden_word(text: &str) -> Option<Line> {
    let marked = |line: &&str| line.trim_start().starts_with('/') && line.contains(LINE_ENDS);
    let mut parts = text.lines().filter(marked).flat_map(|line| line.split(LINE_ENDS).skip(1));
    parts.find_map(|part| command_line(part.trim()))
}

/// Reads the text of a mail to the desk at `desk`. Whatever is quoted is never a command and never
/// part of the text, whether the mail program marks it with `>` or not.
#[must_use]
pub fn parse(text: &str, desk: &Address) -> Parsed {
    // Phones, and copying from web pages, leave blanks that do not break; and some marks end a line
    // for those who read it.
    let text = text.replace(['\u{a0}', '\u{202f}'], " ");
    let hidden = hidden_word(&text);
    // What stands behind a mark of quoting stays quoted, whatever ends its line for some.
    let parts = |line: &str| {
        let quoted = is_quoted(line.trim_start_matches(INVISIBLE));
        line.replace(LINE_ENDS, if quoted { " " } else { "\n" })
    };
    let text: Vec<String> = text.lines().map(parts).collect();
    let text = text.join("\n");
    let raw: Vec<&str> = text.lines().map(|line| line.trim_start_matches(INVISIBLE)).collect();
    let lines: Vec<&str> = raw.iter().map(|line| line.trim_end()).collect();
    let end = unmarked_quote(&lines, desk);
    let own = lines.get(..end).unwrap_or(&lines);
    let mut parsed = Parsed { cut: end < lines.len(), stray: hidden, ..Parsed::default() };
    let mut words = Vec::new();
    let mut in_block = false;
    let mut block_over = false;
    let signature = signature_at(raw.get(..end).unwrap_or(&raw));
    let mut introduced = false;
    let mut said = false;
    let mut passed = 0_usize;
    for (n, line) in own.iter().enumerate() {
        let quoted = is_quoted(line);
        let command = (!quoted).then(|| command_line(line)).flatten();
        if let (false, Some(command)) = (block_over, &command) {
            in_block = true;
            if parsed.lines.len() < LINES_MAX {
                parsed.lines.push(command.clone());
            } else {
                parsed.too_many = true;
            }
            continue;
        }
        // The block is unbroken: whatever else comes ends it.
        block_over |= in_block;
        if n == signature {
            let rest = own.iter().skip(n.saturating_add(1));
            let rest = rest.filter(|line| !line.is_empty() && !is_quoted(line));
            parsed.signature = rest.count();
            break;
        }
        // A reference is for the desk; passed on, it would make another's answer look forged.
        let reference =
            line.trim_start().starts_with("Ref:") && references_in(line).next().is_some();
        // The last line of one that is broken over several names nothing by itself.
        let introduces = is_attribution(&lines, n, (!in_block && !said) || introduced);
        introduced = introduces;
        if quoted || reference || introduces {
            passed = passed.saturating_add(usize::from(said && !reference && !line.is_empty()));
            continue;
        }
        if !line.trim().is_empty() {
            // What is quoted below all of it is the mail that they answer.
            parsed.quoted = parsed.quoted.saturating_add(std::mem::take(&mut passed));
            said = true;
        }
        block_over |= said;
        let known = |line: &Line| team_word(&line.word).is_some();
        let meant = command.or_else(|| command_line(&as_meant(line)));
        parsed.stray = parsed.stray.or_else(|| meant.filter(known));
        words.push(*line);
    }
    parsed.text = words.join("\n").trim().to_owned();
    parsed
}

/// A line as somebody may have meant it who typed another stroke than the one that counts.
fn as_meant(line: &str) -> String {
    line.replace(['\u{ff0f}', '\u{2044}', '\u{2215}', '\u{29f8}'], "/").replace(INVISIBLE, "")
}

/// Where the signature begins: at `-- ` with its blank (RFC 3676, 4.3), or without it, as servers
/// leave it, near the end and where there is one such line only.
fn signature_at(lines: &[&str]) -> usize {
    if let Some(at) = lines.iter().position(|line| *line == "-- ") {
        return at;
    }
    let mut bare = lines.iter().enumerate().filter(|(_, line)| **line == "--").map(|(n, _)| n);
    match (bare.next(), bare.next()) {
        (Some(at), None) if lines.len().saturating_sub(at) <= 10 => at,
        _ => lines.len(),
    }
}

pub(crate) fn is_quoted(line: &str) -> bool {
    line.trim_start().starts_with('>')
}

/// Where the quote of a mail program begins that marks none of its lines: Outlook's line of
/// underscores or its `-----Original Message-----`, in any language, with the old mail's headers
/// below; or a last line of attribution that names the desk and is followed by no marked quote.
fn unmarked_quote(lines: &[&str], desk: &Address) -> usize {
    let at = |n: usize| lines.get(n).copied().unwrap_or("").trim();
    for n in 0..lines.len() {
        let line = at(n);
        let rule = line.len() >= 10 && line.bytes().all(|b| b == b'_');
        let framed = line.starts_with("---") && line.ends_with("---");
        let framed = framed && line.chars().any(char::is_alphabetic);
        if (rule || framed) && has_old_headers(lines, n.saturating_add(1), framed) {
            return n;
        }
        if line.contains(desk.as_str()) && has_old_headers(lines, n, false) {
            return n;
        }
        let names_us = line.contains(desk.as_str())
            || (n > 0 && at(n.saturating_sub(1)).contains(desk.as_str()));
        if names_us && ends_attribution(line) && !is_quoted(line) {
            let next = lines.iter().skip(n.saturating_add(1)).find(|line| !line.trim().is_empty());
            let first = first_of_attribution(lines, n);
            // Every program names a day; a sentence that names our address does not.
            let dated = lines.get(first..=n).is_some_and(|lines| digits(lines) >= 4);
            let unmarked = |next: &&str| !is_quoted(next) && command_line(next).is_none();
            if dated && next.is_some_and(unmarked) {
                return first;
            }
        }
    }
    lines.len()
}

/// The first line of an attribution that ends here: the one or two lines before it that hold its
/// date or the address.
fn first_of_attribution(lines: &[&str], end: usize) -> usize {
    let belongs = |n: usize| {
        lines.get(n).is_some_and(|line| {
            let digits = line.chars().filter(char::is_ascii_digit).count();
            !is_quoted(line) && command_line(line).is_none() && (digits >= 2 || line.contains('@'))
        })
    };
    let mut first = end;
    for _ in 0..2 {
        match first.checked_sub(1).filter(|before| belongs(*before)) {
            Some(before) => first = before,
            None => break,
        }
    }
    first
}

/// Whether the headers of an old mail stand here, as Outlook prints them: at least three lines in
/// a row of a word or two, a colon and something; and an address among them, where no frame says in
/// words what they are. The words are in the language of the writer.
fn has_old_headers(lines: &[&str], from: usize, framed: bool) -> bool {
    let is_header = |line: &&&str| {
        let name = line.trim().trim_start_matches('*').split_once(':').map_or("", |(name, _)| name);
        let letters = name.chars().all(|c| c.is_alphabetic() || " -*".contains(c));
        !name.is_empty() && name.chars().count() <= 16 && letters
    };
    // A few empty lines, not any number: a mail may be made of them.
    let rows = lines.iter().skip(from).take(12).skip_while(|line| line.trim().is_empty());
    let rows: Vec<_> = rows.take_while(is_header).take(6).collect();
    rows.len() >= 3 && (framed || rows.iter().any(|line| line.contains('@')))
}

/// A stroke, a word of letters and hyphens, then a blank or the end: `/etc/passwd` is none.
fn command_line(line: &str) -> Option<Line> {
    let rest = line.strip_prefix('/')?;
    let (word, arguments) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    let is_word = word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.len() <= 24
        && word.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-');
    is_word.then(|| Line { word: word.to_owned(), arguments: arguments.trim().to_owned() })
}

/// The lines before a quote that say who wrote it, in whatever language: one to three, the last
/// ends with a colon, as every mail program writes it, and a quoted line follows.
fn is_attribution(lines: &[&str], at: usize, nothing_yet: bool) -> bool {
    let Some(line) = lines.get(at).filter(|line| !line.trim().is_empty()) else {
        return false;
    };
    let quote_follows = |from: usize| {
        let mut rest = lines.iter().skip(from).filter(|line| !line.trim().is_empty());
        rest.next().is_some_and(|line| is_quoted(line))
    };
    // Every mail program names a day or an address; a sentence of one's own does neither. Above the
    // first word of one's own it can be nothing else.
    let names = nothing_yet || digits(&[line]) >= 4 || line.contains('@');
    if ends_attribution(line) && names && quote_follows(at.saturating_add(1)) {
        return true;
    }
    // Broken over two or three lines: "On ..., somebody" / "<address>" / "wrote:".
    (1..=2).any(|more| {
        let last = at.saturating_add(more);
        let whole: Vec<&str> =
            lines.iter().skip(at).take(more.saturating_add(1)).copied().collect();
        whole.iter().all(|line| !line.trim().is_empty() && !is_quoted(line))
            && whole.iter().any(|line| line.contains('@'))
            && (line.contains('<') || digits(&whole) >= 4)
            && whole.iter().all(|line| command_line(line).is_none())
            && lines.get(last).is_some_and(|line| ends_attribution(line))
            && quote_follows(last.saturating_add(1))
    })
}

fn digits(lines: &[&str]) -> usize {
    lines.iter().flat_map(|line| line.chars()).filter(char::is_ascii_digit).count()
}

fn ends_attribution(line: &str) -> bool {
    line.trim_end().ends_with([':', '：'])
}

/// Whether the first line of the writer's own text is a known word that does not stand where a
/// command must: after blanks, or behind the bar that our mails print.
#[must_use]
pub fn is_misplaced(parsed: &Parsed) -> bool {
    let first = as_meant(parsed.text.lines().next().unwrap_or(""));
    let line = first.trim_start_matches(['|', ' ', '\t']);
    parsed.lines.is_empty()
        && command_line(line).is_some_and(|line| team_word(&line.word).is_some())
}

/// Refuses what stands behind a word that takes nothing, and a second word on the same line: a mail
/// program may have joined two lines, and half of what was meant would happen.
///
/// # Errors
/// What to write instead.
pub fn check_arguments(row: &Row, line: &Line) -> Result<(), Refusal> {
    let arguments = line.arguments.as_str();
    if row.arguments.is_empty() && !arguments.is_empty() {
        return Err(Refusal::new(
            "too much on a line",
            format!("`/{}` stands alone on its line, and yours goes on behind it.", row.name),
            format!("write `| /{}` (without the bar) and end the line there.", row.name),
        ));
    }
    let mut others = arguments.split_whitespace().filter_map(|word| word.strip_prefix('/'));
    if let Some(word) = others.find(|word| !row.free_text && team_word(word).is_some()) {
        return Err(Refusal::new(
            "two words on a line",
            format!("behind `/{}` stands `/{word}` on the same line.", row.name),
            "write each word on a line of its own; some mail programs join lines that end with a blank.",
        ));
    }
    Ok(())
}

/// Whether a mail asks for nothing but a word on what the writer's mail program did.
#[must_use]
pub fn is_ping(lines: &[Line]) -> bool {
    !lines.is_empty() && lines.iter().all(|line| line.word.eq_ignore_ascii_case("ping"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Parsed {
        parse(text, &Address::parse("security@desk.test").unwrap())
    }

    fn words(text: &str) -> Vec<String> {
        parsed(text).lines.iter().map(Line::text).collect()
    }

    #[test]
    fn the_first_block_counts_however_the_reply_is_laid_out() {
        let top = "/accept\n/Title  Heap Überlauf\n\nthanks\n\nOn 2026-12-01, Desk wrote:\n> | /spam\n> /spam\n";
        assert_eq!(words(top), ["/accept", "/title Heap Überlauf"]);
        assert_eq!(parsed(top).text, "thanks");
        let bottom = "Am Montag schrieb Desk:\n> hello\n>\n> Ref: X\n\n/accept\nnow prose\n/spam\n";
        assert_eq!(words(bottom), ["/accept"]);
        assert_eq!(parsed(bottom).text, "now prose\n/spam");
        let broken = "On Mon, 1 Dec 2026, Desk <security@desk.test>\nwrote:\n\n> hi\n/hold ALL\n";
        assert_eq!(words(broken), ["/hold ALL"]);
    }

    #[test]
    fn what_a_mail_program_quotes_is_never_a_command_in_any_language() {
        let attributions = [
            "On 01/12/2026 10:00, Demo Desk wrote:",
            "On Tue, Dec 1, 2026 at 10:00 AM Demo Desk <security@desk.test> wrote:",
            "On Tue, Dec 1, 2026 at 10:00 AM Demo Desk\n<security@desk.test> wrote:",
            "On Tuesday, the first of December 2026, at ten in the morning,\nDemo Desk <security@desk.test>\nwrote:",
            "Am 01.12.26 um 10:00 schrieb Demo Desk:",
            "Le mar. 1 déc. 2026 à 10:00, Demo Desk <security@desk.test> a écrit :",
            "El mar, 1 dic 2026 a las 10:00, Demo Desk (<security@desk.test>) escribió:",
            "Il giorno mar 1 dic 2026 alle ore 10:00 Demo Desk <security@desk.test> ha scritto:",
            "wt., 1 gru 2026 o 10:00 Demo Desk <security@desk.test> napisał(a):",
            "1 дек. 2026 г., в 10:00, Demo Desk <security@desk.test> написал(а):",
            "2026年12月1日(火) 10:00 Demo Desk <security@desk.test>:",
            "Demo Desk <security@desk.test> 于2026年12月1日周二 10:00写道：",
            "2026년 12월 1일 (화) 오전 10:00, Demo Desk <security@desk.test>님이 작성:",
        ];
        for attribution in attributions {
            // Bottom-posted: quote first, then the word.
            let bottom = format!("{attribution}\n\n> TLP:RED\n> | /spam\n> /spam\n\n/accept\n");
            assert_eq!(words(&bottom), ["/accept"], "{attribution}");
            assert_eq!(parsed(&bottom).text, "", "{attribution}");
            // Top-posted: only what stands above is the writer's own.
            let top = format!("/reply\nThank you.\n\n{attribution}\n\n> TLP:RED\n> /spam\n");
            assert_eq!(
                (words(&top).len(), parsed(&top).text.as_str()),
                (1, "Thank you."),
                "{attribution}"
            );
            // A program that marks no quotes, as far as the attribution names us.
            if attribution.contains("security@") {
                let unmarked =
                    format!("/reply\nThank you.\n\n{attribution}\n\nTLP:RED\n\nwords\n\n/spam\n");
                let read = parsed(&unmarked);
                assert_eq!(
                    (read.lines.len(), read.text.as_str()),
                    (1, "Thank you."),
                    "{attribution}"
                );
                assert!(read.cut && read.stray.is_none());
            }
        }
    }

    #[test]
    fn what_phones_and_flowed_text_do_to_a_line_does_not_matter() {
        assert_eq!(
            words("\u{feff}/Accept\u{a0}\n/Title\u{a0}Größe\u{202f}X"),
            ["/accept", "/title Größe X"]
        );
        assert_eq!(words("\u{200b}/accept"), ["/accept"]);
        assert_eq!(words("\n\n\n/accept\r\n/title x\r\n"), ["/accept", "/title x"]);
        let joined = &parsed("/accept /title x").lines[0];
        assert!(check_arguments(team_word("accept").unwrap(), joined).is_err());
        let joined = &parsed("/title New /accept").lines[0];
        assert!(check_arguments(team_word("title").unwrap(), joined).is_err());
        let fine = &parsed("/title Paths like /etc/accept").lines[0];
        assert!(check_arguments(team_word("title").unwrap(), fine).is_ok());
    }

    #[test]
    fn a_mail_of_empty_lines_is_read_in_one_go() {
        // Once it took a minute for each megabyte; should it again, this test does not end.
        let empty = "\n".repeat(2_000_000);
        assert_eq!(parsed(&format!("hello{empty}end")).lines.len(), 0);
        let rules = "__________\n\n".repeat(100_000);
        assert!(!parsed(&rules).cut);
        let colons = "On 2026-12-01 security@desk.test wrote:\n\n".repeat(50_000);
        assert_eq!(parsed(&colons).lines.len(), 0);
    }

    #[test]
    fn letters_that_nobody_sees_and_other_strokes_hide_no_word() {
        for start in ["\u{ad}", "\u{200d}", "\u{2060}", "\u{feff}\u{200b}"] {
            assert_eq!(words(&format!("{start}/hold ALL")), ["/hold ALL"], "{start:?}");
        }
        assert!(is_misplaced(&parsed("\u{ff0f}hold ALL")));
        for line in ["/show\u{2028}/spam", "/title x\u{2029}/spam"] {
            assert!(parsed(line).stray.is_some(), "{line:?}");
        }
        for line in ["\u{ff0f}spam", "x\u{2028}/spam", "x\u{c}/spam"] {
            assert!(parsed(&format!("/reply\nThank you.\n{line}")).stray.is_some(), "{line:?}");
        }
    }

    #[test]
    fn a_frame_in_words_is_a_quote_and_a_rule_of_ones_own_is_none() {
        let text = "/reply\nYes.\n\n-----Original Message-----\nFrom: Demo Desk\nSent: Sunday\nTo: Mia\n\nwords\n";
        assert_eq!(parsed(text).text, "Yes.");
        let text = "/reply\nThe file holds this:\n--\nkey: value\n--\nThanks.\n";
        assert!(parsed(text).text.ends_with("Thanks."), "{}", parsed(text).text);
        let text = "/reply\nRun it and tell me:\n> select 1;\nThanks.\n";
        let read = parsed(text);
        assert!(read.text.starts_with("Run it and tell me:"), "{}", read.text);
        assert_eq!(read.left_out(), "Not part of your text: 1 quoted line.");
    }

    #[test]
    fn what_people_write_themselves_is_not_taken_for_a_quote() {
        let text = "/reply\nSteps:\n\n----------\nVersion: 3.1\nSystem: Linux\nImpact: none\n";
        assert!(parsed(text).text.ends_with("Impact: none"), "{}", parsed(text).text);
        let text = "/note x\nHe said:\n\nnothing\n";
        assert_eq!(parsed(text).text, "He said:\n\nnothing");
    }

    #[test]
    fn what_is_not_a_command_line_is_none() {
        for text in [
            "/etc/passwd is readable\n/accept",
            "hello\n/accept",
            "> /accept\n",
            "| /accept\n",
            " /accept",
            "/4ccept",
            "/",
            "-----Original Message-----\n/accept",
        ] {
            assert_eq!(words(text), Vec::<String>::new(), "{text}");
        }
        assert_eq!(words("/accept\n\n/spam"), ["/accept"], "the block is unbroken");
        assert_eq!(words("\n\n/disclose\u{a0}2026-12-16"), ["/disclose 2026-12-16"]);
    }

    #[test]
    fn signatures_and_quotes_are_not_part_of_the_text() {
        let parsed = parsed("/reply\nDear all,\nit works.\n\n> old\nmore\n-- \nMia\n/spam\n");
        assert_eq!(parsed.text, "Dear all,\nit works.\n\nmore");
    }
}
