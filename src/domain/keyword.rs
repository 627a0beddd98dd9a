//! The words that maintainers steer the desk with: one table, and the grammar that finds them in
//! a mail.
//!
//! Parser, rights, `/help`, the typo hints and the README read [`KEYWORDS`]; adding a word is one
//! row and the function it names. The grammar is as narrow as people's mail programs allow: the
//! first unbroken block of command lines before any other text of the writer's own.

use super::commands::{self, Turn};
use super::refusal::{Refusal, nearest};
use super::roster::references_in;

/// Who may use a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Any pinned person with a role.
    Maintainer,
    /// Somebody with a role of the incident's playbook.
    Team,
    /// Somebody with the playbook's intake role.
    Intake,
    /// Somebody with the role of the task that the word names.
    TaskRole,
}

impl Needs {
    /// For people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Maintainer => "every maintainer",
            Self::Team => "the incident's team",
            Self::Intake => "the intake role",
            Self::TaskRole => "the task's role",
        }
    }
}

/// What a word is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The desk; needs no incident.
    Desk,
    /// One incident, named by the `Ref` in the mail.
    Incident,
}

/// A row of the table.
pub struct Keyword {
    /// The word, without its stroke.
    pub word: &'static str,
    /// What it belongs to, as the README groups it.
    pub group: &'static str,
    /// What stands behind it.
    pub arguments: &'static str,
    /// Who may use it.
    pub needs: Needs,
    /// Whether it needs an incident.
    pub scope: Scope,
    /// Whether it changes what cannot be taken back: also measured against the present, so that
    /// it does not take effect long after it was written.
    pub dangerous: bool,
    /// One sentence.
    pub help: &'static str,
    /// Carries it out on the copy.
    pub run: fn(&mut Turn<'_, '_>, &str) -> Result<String, Refusal>,
}

macro_rules! rows {
    ($($group:literal $word:literal $arguments:literal $needs:ident $scope:ident $danger:literal $run:path, $help:literal;)*) => {
        &[$(Keyword {
            word: $word, group: $group, arguments: $arguments, needs: Needs::$needs,
            scope: Scope::$scope, dangerous: $danger, help: $help, run: $run,
        }),*]
    };
}

/// The table.
pub const KEYWORDS: &[Keyword] = rows! {
    "read" "help" "[WORD]" Maintainer Desk false commands::read::help, "Explains the words, or one of them.";
    "read" "ping" "" Maintainer Desk false commands::read::ping, "Tells what your mail program did, and that commands work.";
    "read" "list" "" Team Desk false commands::read::list, "Lists the open incidents.";
    "read" "incident" "HANDLE" Maintainer Desk false commands::read::incident, "Names the incident when the mail quotes no Ref line.";
    "read" "status" "" Team Incident false commands::read::status, "Shows where the incident stands, in short.";
    "read" "show" "" Team Incident false commands::read::show, "Shows the record and the letters.";
    "read" "agenda" "" Team Incident false commands::read::agenda, "Shows what is done, due, late, and waiting for what.";
    "triage" "accept" "" Intake Incident false commands::triage::accept, "Says that it is a vulnerability, and tells the reporter that it is worked on.";
    "triage" "reject" "REASON" Intake Incident false commands::triage::reject, "Says that it is not a vulnerability; the reason goes to the reporter.";
    "triage" "unreadable" "" Intake Incident false commands::triage::unreadable, "Asks the reporter to send it again, readable.";
    "triage" "spam" "" Intake Incident false commands::triage::spam, "Closes it quietly; nothing is sent.";
    "triage" "close" "" Intake Incident true commands::triage::close, "Closes the incident.";
    "people" "lead" "WHO" Intake Incident false commands::record::lead, "Puts somebody in the lead.";
    "record" "set" "FIELD VALUE" Team Incident false commands::record::set, "Sets a field of the record.";
    "record" "title" "TEXT" Team Incident false commands::record::title, "Sets the title.";
    "record" "cvss" "VECTOR" Team Incident false commands::record::cvss, "Sets the score, by its vector.";
    "record" "cve" "ID" Team Incident false commands::record::cve, "Adds a CVE number.";
    "record" "done" "TASK [EVIDENCE]" TaskRole Incident false commands::record::done, "Says that a task is done, or that you agree to a gate.";
    "record" "note" "TEXT" Team Incident false commands::record::note, "Keeps a note in the record.";
    "talk" "reply" "" Team Incident false commands::triage::reply, "Sends the text below the commands to the reporter.";
    "embargo" "disclose" "WHEN" Intake Incident true commands::embargo::disclose, "Sets T, the moment of public disclosure, or moves it.";
    "embargo" "preview" "NOTICE" TaskRole Incident false commands::embargo::preview, "Freezes a new numbered draft of a notice and shows it; approvals of an older one are void.";
    "embargo" "approve" "NOTICE@N" TaskRole Incident false commands::embargo::approve, "Approves exactly that draft.";
    "embargo" "hold" "NOTICE|ALL" Team Incident false commands::embargo::hold, "Holds notices back. Counts however late it comes.";
    "embargo" "resume" "NOTICE|ALL" Intake Incident true commands::embargo::resume, "Lets held notices go.";
    "embargo" "published" "" Intake Incident true commands::embargo::published, "Records that it is public.";
    "confirm" "confirm" "NONCE" Maintainer Incident true commands::confirm::confirm, "Confirms what the desk asked you to confirm.";
    "confirm" "cancel" "NONCE" Maintainer Incident false commands::confirm::cancel, "Calls it off.";
};

/// The row of a word; case is free.
#[must_use]
pub fn keyword(word: &str) -> Option<&'static Keyword> {
    KEYWORDS.iter().find(|row| row.word.eq_ignore_ascii_case(word))
}

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
}

/// More lines than this are no command mail.
const LINES_MAX: usize = 50;

/// Reads the text of a mail. Whatever is quoted is never a command and never part of the text.
#[must_use]
pub fn parse(text: &str) -> Parsed {
    // A non-breaking space is what phones and copying from web pages leave behind.
    let text = text.trim_start_matches('\u{feff}').replace(['\u{a0}', '\u{202f}'], " ");
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let mut parsed = Parsed::default();
    let mut own = Vec::new();
    let mut in_block = false;
    let mut block_over = false;
    for (n, line) in lines.iter().enumerate() {
        let quoted = line.trim_start().starts_with('>');
        if !block_over
            && !quoted
            && let Some(command) = command_line(line)
        {
            in_block = true;
            if parsed.lines.len() < LINES_MAX {
                parsed.lines.push(command);
            }
            continue;
        }
        // The block is unbroken: whatever else comes ends it.
        block_over |= in_block;
        if *line == "--" || line.trim_end() == "--" && !own.is_empty() {
            break;
        }
        // A reference is for the desk; passed on, it would make another's answer look forged.
        let reference = line.trim_start().starts_with("Ref:") && !references_in(line).is_empty();
        if quoted || reference || is_attribution(&lines, n) {
            continue;
        }
        block_over |= !line.trim().is_empty();
        own.push(*line);
    }
    parsed.text = own.join("\n").trim().to_owned();
    parsed
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

/// The line or two before a quote that says who wrote it, in whatever language: it is followed by
/// a quoted line and ends with a colon, as every mail program writes it.
fn is_attribution(lines: &[&str], at: usize) -> bool {
    let Some(line) = lines.get(at).filter(|line| !line.trim().is_empty()) else {
        return false;
    };
    let rest = || lines.iter().skip(at.saturating_add(1));
    let quote_follows = |mut rest: std::iter::Skip<std::slice::Iter<'_, &str>>| {
        rest.find(|line| !line.trim().is_empty())
            .is_some_and(|line| line.trim_start().starts_with('>'))
    };
    let ends = |line: &str| line.trim_end().ends_with([':', '：']);
    if ends(line) && quote_follows(rest()) {
        return true;
    }
    // Broken over two lines: "On ..., somebody <address>" / "wrote:".
    let next = rest().next().filter(|next| ends(next) && !next.trim_start().starts_with('>'));
    next.is_some() && line.contains('@') && quote_follows(lines.iter().skip(at.saturating_add(2)))
}

/// Whether the first line of the writer's own text is a known word that does not stand where a
/// command must: after blanks, or behind the bar that our mails print.
#[must_use]
pub fn is_misplaced(parsed: &Parsed) -> bool {
    let first = parsed.text.lines().next().unwrap_or("");
    let line = first.trim_start_matches(['|', ' ', '\t']);
    parsed.lines.is_empty() && command_line(line).is_some_and(|line| keyword(&line.word).is_some())
}

/// The refusal for a word that the table does not have.
#[must_use]
pub fn unknown(word: &str) -> Refusal {
    let hint = nearest(word, KEYWORDS.iter().map(|row| row.word));
    let next = hint.map_or_else(
        || "write `| /help` for the list of words, without the bar.".to_owned(),
        |hint| format!("did you mean `| /{hint}`? Write it without the bar."),
    );
    Refusal::new("an unknown word", format!("the desk does not know the word `/{word}`."), next)
}

/// The README's table of words.
#[must_use]
pub fn markdown() -> String {
    let mut out =
        String::from("| group | word | who | what it does |\n| --- | --- | --- | --- |\n");
    for row in KEYWORDS {
        let arguments = row.arguments.replace('|', "\\|");
        let space = if arguments.is_empty() { "" } else { " " };
        out.push_str(&format!(
            "| {} | `/{}{space}{arguments}` | {} | {} |\n",
            row.group,
            row.word,
            row.needs.words(),
            row.help
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        parse(text).lines.iter().map(Line::text).collect()
    }

    #[test]
    fn the_first_block_counts_however_the_reply_is_laid_out() {
        let top = "/accept\n/Title  Heap Überlauf\n\nthanks\n\nOn Monday, Desk wrote:\n> | /spam\n> /spam\n";
        assert_eq!(words(top), ["/accept", "/title Heap Überlauf"]);
        assert_eq!(parse(top).text, "thanks");
        let bottom = "Am Montag schrieb Desk:\n> hello\n>\n> Ref: X\n\n/accept\nnow prose\n/spam\n";
        assert_eq!(words(bottom), ["/accept"]);
        assert_eq!(parse(bottom).text, "now prose\n/spam");
        let broken = "On Mon, 1 Dec 2026, Desk <security@desk.test>\nwrote:\n\n> hi\n/hold ALL\n";
        assert_eq!(words(broken), ["/hold ALL"]);
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
        let parsed = parse("/reply\nDear all,\nit works.\n\n> old\nmore\n-- \nMia\n/spam\n");
        assert_eq!(parsed.text, "Dear all,\nit works.\n\nmore");
    }

    #[test]
    fn words_are_unique_and_short() {
        let mut seen = std::collections::BTreeSet::new();
        for row in KEYWORDS {
            assert!(seen.insert(row.word), "{}", row.word);
            assert!(row.help.ends_with('.'), "{}", row.word);
        }
    }
}
