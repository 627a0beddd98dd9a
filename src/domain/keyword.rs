//! The words that maintainers steer the desk with: one table, and the grammar that finds them in
//! a mail.
//!
//! Parser, rights, `/help`, the typo hints and the README read [`KEYWORDS`]; adding a word is one
//! row and the function it names. The grammar is as narrow as people's mail programs allow: the
//! first unbroken block of command lines before any other text of the writer's own.

use super::commands::{self, Turn};
use super::names::Address;
use super::refusal::{Refusal, nearest};
use super::reporter::{self, Asked};
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
    /// The person who leads the incident, or stands in for the lead.
    Lead,
    /// The incident's reporter: by their key, or by the reference that only they were given.
    Reporter,
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
            Self::Lead => "the lead or deputy",
            Self::Reporter => "the reporter",
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

/// What carries a word out: on behalf of a person of the roster, or of a reporter.
#[derive(Clone, Copy)]
pub enum Run {
    /// On the copy of the incident; the answer goes in the transcript.
    Person(fn(&mut Turn<'_, '_>, &str) -> Result<String, Refusal>),
    /// Adds to the record and no more.
    Reporter(fn(&mut Asked<'_, '_>, &str)),
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
    /// Carries it out.
    pub run: Run,
}

macro_rules! rows {
    ($($group:literal $word:literal $arguments:literal $needs:ident $scope:ident $danger:literal $kind:ident($run:path), $help:literal;)*) => {
        &[$(Keyword {
            word: $word, group: $group, arguments: $arguments, needs: Needs::$needs,
            scope: Scope::$scope, dangerous: $danger, help: $help, run: Run::$kind($run),
        }),*]
    };
}

/// The table.
pub const KEYWORDS: &[Keyword] = rows! {
    "read" "help" "[WORD]" Maintainer Desk false Person(commands::read::help), "Explains the words, or one of them.";
    "read" "ping" "" Maintainer Desk false Person(commands::read::ping), "Tells exactly what your mail program did, whether a command would have counted, and if not, what to change.";
    "read" "whoami" "" Maintainer Desk false Person(commands::read::whoami), "Tells who you are to the desk: key, roles, what you lead.";
    "read" "list" "" Maintainer Desk false Person(commands::read::list), "Lists the open incidents that you are on.";
    "read" "incident" "HANDLE" Maintainer Desk false Person(commands::read::incident), "Names the incident when the mail quotes no Ref line.";
    "read" "status" "" Team Incident false Person(commands::read::status), "Shows where the incident stands, in short.";
    "read" "show" "" Team Incident false Person(commands::read::show), "Shows the record and the letters.";
    "read" "agenda" "" Team Incident false Person(commands::read::agenda), "Shows what is done, due, late, and waiting for what.";
    "read" "log" "" Team Incident false Person(commands::read::log), "Shows the history: who did what, when.";
    "triage" "accept" "" Intake Incident false Person(commands::triage::accept), "Says that it is a vulnerability, and tells the reporter that it is worked on.";
    "triage" "reject" "REASON" Intake Incident true Person(commands::triage::reject), "Says that it is not a vulnerability; the reason goes to the reporter.";
    "triage" "unreadable" "" Intake Incident false Person(commands::triage::unreadable), "Asks the reporter to send it again, readable.";
    "triage" "duplicate" "HANDLE" Intake Incident true Person(commands::linking::duplicate), "Says that the same was reported before; the reporter is told that it is known.";
    "triage" "merge" "HANDLE" Intake Incident true Person(commands::linking::merge), "Goes on with it as another incident; nothing is sent to the reporter.";
    "triage" "spam" "" Intake Incident false Person(commands::triage::spam), "Closes it quietly; nothing is sent.";
    "triage" "close" "" Intake Incident true Person(commands::triage::close), "Closes the incident.";
    "triage" "reopen" "" Intake Incident true Person(commands::triage::reopen), "Opens a closed incident again.";
    "triage" "known-public" "" Intake Incident true Person(commands::alarm::known_public), "Says that the public knows: unsent advance notices are replaced by one immediate draft, open work is due now.";
    "triage" "exploited" "" Team Incident false Person(commands::alarm::exploited), "Says that it is exploited: the team is alarmed, open work loses its slack.";
    "people" "lead" "WHO" Intake Incident false Person(commands::people::lead), "Takes the lead (`me`), or asks somebody to take it.";
    "people" "handoff" "WHO" Lead Incident false Person(commands::people::handoff), "Asks somebody to take over; you lead until they do.";
    "people" "take" "" Team Incident false Person(commands::people::take), "Takes the lead that you were offered, or that nobody has.";
    "people" "decline" "" Team Incident false Person(commands::people::decline), "Declines the lead that you were offered; a turn is not used up.";
    "people" "deputy" "WHO" Lead Incident false Person(commands::people::deputy), "Names who stands in for the lead.";
    "people" "join" "WHO ROLE" Intake Incident true Person(commands::people::join), "Gives somebody a role on this incident only.";
    "people" "leave" "" Team Incident true Person(commands::people::leave), "Takes you off this incident. The lead hands over first.";
    "people" "away" "DATE" Maintainer Desk false Person(commands::people::away), "Says that you are away until then: no turn comes to you.";
    "people" "back" "" Maintainer Desk false Person(commands::people::back), "Says that you are back.";
    "record" "set" "FIELD VALUE" Team Incident false Person(commands::record::set), "Sets a field of the record.";
    "record" "title" "TEXT" Team Incident false Person(commands::record::title), "Sets the title.";
    "record" "cvss" "VECTOR" Team Incident false Person(commands::record::cvss), "Sets the score, by its vector.";
    "record" "cve" "ID" Team Incident false Person(commands::record::cve), "Adds a CVE number.";
    "record" "ghsa" "ID" Team Incident false Person(commands::record::ghsa), "Adds the number of an advisory.";
    "record" "affects" "RANGE" Team Incident false Person(commands::record::affects), "Sets the affected versions.";
    "record" "fixed" "VERSION" Team Incident false Person(commands::record::fixed), "Sets the fixed version.";
    "record" "done" "TASK [EVIDENCE]" TaskRole Incident false Person(commands::tasks::done), "Says that a task is done, or that you agree to a gate.";
    "record" "undo" "TASK" TaskRole Incident false Person(commands::tasks::undo), "Takes back that a task is done or skipped.";
    "record" "skip" "TASK REASON" TaskRole Incident true Person(commands::tasks::skip), "Says that a task will not be done, and why.";
    "record" "note" "TEXT" Team Incident false Person(commands::record::note), "Keeps a note in the record.";
    "talk" "reply" "[TEXT]" Team Incident false Person(commands::talk::reply), "Sends the text below the commands, and the attachments, to the reporter.";
    "talk" "answer" "NAME" Team Incident false Person(commands::talk::answer), "Sends the reporter one of the prepared answers.";
    "talk" "tell" "GROUP" Intake Incident false Person(commands::talk::tell), "Drafts the text below as a sealed mail to an embargoed group; another person approves it.";
    "embargo" "disclose" "WHEN" Intake Incident true Person(commands::embargo::disclose), "Sets T, the moment of public disclosure, or moves it.";
    "embargo" "preview" "NOTICE" TaskRole Incident false Person(commands::embargo::preview), "Freezes a new numbered draft of a notice and shows it; approvals of an older one are void.";
    "embargo" "approve" "NOTICE@N" TaskRole Incident false Person(commands::embargo::approve), "Approves exactly that draft.";
    "embargo" "hold" "NOTICE|ALL" Team Incident false Person(commands::embargo::hold), "Holds notices back. Counts however late it comes.";
    "embargo" "resume" "NOTICE|ALL" Intake Incident true Person(commands::embargo::resume), "Lets held notices go.";
    "embargo" "published" "" Intake Incident true Person(commands::embargo::published), "Records that it is public.";
    "confirm" "confirm" "NONCE" Maintainer Incident true Person(commands::confirm::confirm), "Confirms what the desk asked you to confirm.";
    "confirm" "cancel" "NONCE" Maintainer Incident false Person(commands::confirm::cancel), "Calls it off.";
    "reporter" "status" "" Reporter Incident false Reporter(reporter::status), "Tells where your report stands.";
    "reporter" "credit" "NAME|anonymous" Reporter Incident false Reporter(reporter::credit), "Says how you want to be named.";
    "reporter" "publish" "WHEN" Reporter Incident false Reporter(reporter::publish), "Says when you intend to publish.";
};

/// The row of a word of the people of the roster; case is free.
#[must_use]
pub fn keyword(word: &str) -> Option<&'static Keyword> {
    row(word, false)
}

/// The row of a word of reporters.
#[must_use]
pub fn reporter_keyword(word: &str) -> Option<&'static Keyword> {
    row(word, true)
}

fn row(word: &str, reporters: bool) -> Option<&'static Keyword> {
    let fits = |row: &&Keyword| (row.needs == Needs::Reporter) == reporters;
    KEYWORDS.iter().filter(fits).find(|row| row.word.eq_ignore_ascii_case(word))
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

/// Reads the text of a mail to the desk at `desk`. Whatever is quoted is never a command and never
/// part of the text, whether the mail program marks it with `>` or not.
#[must_use]
pub fn parse(text: &str, desk: &Address) -> Parsed {
    // Phones, and copying from web pages, leave blanks that do not break; and some marks end a line
    // for those who read it.
    let text = text.replace(['\u{a0}', '\u{202f}'], " ");
    let text = text.replace(['\u{2028}', '\u{2029}', '\u{85}', '\u{b}', '\u{c}'], "\n");
    let raw: Vec<&str> = text.lines().map(|line| line.trim_start_matches(INVISIBLE)).collect();
    let lines: Vec<&str> = raw.iter().map(|line| line.trim_end()).collect();
    let end = unmarked_quote(&lines, desk);
    let own = lines.get(..end).unwrap_or(&lines);
    let mut parsed = Parsed { cut: end < lines.len(), ..Parsed::default() };
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
            let rest = own.iter().skip(n.saturating_add(1)).filter(|line| !line.is_empty());
            parsed.signature = if raw.get(n) == Some(&"--") { rest.count() } else { 0 };
            break;
        }
        // A reference is for the desk; passed on, it would make another's answer look forged.
        let reference = line.trim_start().starts_with("Ref:") && !references_in(line).is_empty();
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
        let known = |line: &Line| keyword(&line.word).is_some();
        let meant = command.or_else(|| command_line(&as_meant(line)));
        parsed.stray = parsed.stray.or_else(|| meant.filter(known));
        words.push(*line);
    }
    parsed.text = words.join("\n").trim().to_owned();
    parsed
}

/// Characters that nobody sees, and that may stand before a word.
const INVISIBLE: &[char] = &[
    '\u{ad}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{200e}', '\u{200f}', '\u{2060}', '\u{2061}',
    '\u{2062}', '\u{2063}', '\u{2064}', '\u{feff}', '\u{fe0f}',
];

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

fn is_quoted(line: &str) -> bool {
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
    parsed.lines.is_empty() && command_line(line).is_some_and(|line| keyword(&line.word).is_some())
}

/// Refuses what stands behind a word that takes nothing, and a second word on the same line: a mail
/// program may have joined two lines, and half of what was meant would happen (FAILURES D20).
///
/// # Errors
/// What to write instead.
pub fn check_arguments(row: &Keyword, line: &Line) -> Result<(), Refusal> {
    let arguments = line.arguments.as_str();
    if row.arguments.is_empty() && !arguments.is_empty() {
        return Err(Refusal::new(
            "too much on a line",
            format!("`/{}` stands alone on its line, and yours goes on behind it.", row.word),
            format!("write `| /{}` (without the bar) and end the line there.", row.word),
        ));
    }
    let free = matches!(row.word, "reply" | "note" | "reject" | "help");
    let mut others = arguments.split_whitespace().filter_map(|word| word.strip_prefix('/'));
    if let Some(word) = others.find(|word| !free && keyword(word).is_some()) {
        return Err(Refusal::new(
            "two words on a line",
            format!("behind `/{}` stands `/{word}` on the same line.", row.word),
            "write each word on a line of its own; some mail programs join lines that end with a blank.",
        ));
    }
    Ok(())
}

/// The refusal for a word that the table does not have.
#[must_use]
pub fn unknown(word: &str) -> Refusal {
    let known = KEYWORDS.iter().filter(|row| row.needs != Needs::Reporter).map(|row| row.word);
    let hint = nearest(word, known);
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
        assert!(check_arguments(keyword("accept").unwrap(), joined).is_err());
        let joined = &parsed("/title New /accept").lines[0];
        assert!(check_arguments(keyword("title").unwrap(), joined).is_err());
        let fine = &parsed("/title Paths like /etc/accept").lines[0];
        assert!(check_arguments(keyword("title").unwrap(), fine).is_ok());
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

    #[test]
    fn words_are_unique_and_short() {
        let mut seen = std::collections::BTreeSet::new();
        for row in KEYWORDS {
            assert!(seen.insert((row.word, row.needs == Needs::Reporter)), "{}", row.word);
            assert!(row.help.ends_with('.'), "{}", row.word);
        }
    }
}
