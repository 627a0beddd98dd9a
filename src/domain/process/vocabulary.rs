//! The words that people steer the desk with: one table.
//!
//! Parser, rights, `/help`, the typo hints and the README read [`KEYWORDS`]; adding a word is one
//! row and the function it names. How words are found in a mail is the business of
//! [`crate::domain::commands::grammar`].

use crate::domain::commands;
use crate::domain::commands::Turn;
use crate::domain::commands::grammar::Line;
use crate::domain::commands::reporter;
use crate::domain::commands::reporter::Asked;
use crate::domain::facts::refusal::{Refusal, nearest};

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
    /// Somebody who is or wants to be in a group.
    Member,
    /// The incident's reporter: by their key, or by the reference that only they were given.
    Reporter,
}

/// For whom a word is: some exist for several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audience {
    /// People with a role.
    Team,
    /// Members of groups.
    Members,
    /// Reporters.
    Reporters,
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
            Self::Member => "members of groups",
            Self::Reporter => "the reporter",
        }
    }

    /// For whom the word is.
    #[must_use]
    pub fn audience(self) -> Audience {
        match self {
            Self::Member => Audience::Members,
            Self::Reporter => Audience::Reporters,
            Self::Maintainer | Self::Team | Self::Intake | Self::TaskRole | Self::Lead => {
                Audience::Team
            }
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
    "read" "checklist" "" Team Incident false Person(commands::read::checklist), "Gives the checklist as Markdown, for your tracker.";
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
    "talk" "tell" "GROUP|MEMBER" Intake Incident false Person(commands::talk::tell), "Drafts the text below as a sealed mail to an embargoed group or to one of it; another person approves it.";
    "embargo" "disclose" "WHEN" Intake Incident true Person(commands::embargo::disclose), "Sets T, the moment of public disclosure, or moves it.";
    "embargo" "batch" "[NAME|leave|final]" Intake Incident true Person(commands::batch::batch), "Makes the incident part of a release that shares one T with others; shows that release; says that no more incidents come to it.";
    "embargo" "preview" "NOTICE" TaskRole Incident false Person(commands::drafts::preview), "Freezes a new numbered draft of a notice and shows it; approvals of an older one are void.";
    "embargo" "approve" "NOTICE@N" TaskRole Incident false Person(commands::drafts::approve), "Approves exactly that draft.";
    "embargo" "hold" "NOTICE|ALL" Team Incident false Person(commands::embargo::hold), "Holds notices back. Counts however late it comes.";
    "embargo" "resume" "NOTICE|ALL" Intake Incident true Person(commands::embargo::resume), "Lets held notices go.";
    "embargo" "published" "" Intake Incident true Person(commands::embargo::published), "Records that it is public.";
    "embargo" "rehearse" "NOTICE" Team Incident false Person(commands::rehearse::rehearse), "Shows who would get a notice, whether their key can be used at its moment, what became of earlier mail to them, and what is doubtful in the text.";
    "embargo" "ledger" "[NOTICE]" Team Incident false Person(commands::rehearse::ledger), "Shows who got which notice, and what they said.";
    "embargo" "audience" "GROUP WHO...|all" Intake Incident true Person(commands::rehearse::audience), "Says who of a group gets what this incident sends to it; `all` is everybody.";
    "embargo" "leak" "WHO [suspend] WHAT AND HOW" Intake Incident true Person(commands::leak::leak), "Says that it has got out; a second person confirms, then everyone who had a notice is told at once.";
    "embargo" "release" "" Intake Incident true Person(commands::tasks::release), "Opens the gate before the public notices.";
    "members" "member" "WHAT [WHO ...]" Maintainer Desk true Person(commands::member::member), "Looks after the members of groups: list, show, propose, meets, fails, approve, suspend, reinstate, remove, reviewed.";
    "members" "key" "WHAT [WHO]" Maintainer Desk true Person(commands::keys::of_team), "Looks after members' keys: show, replace, approve, cancel, revoke.";
    "confirm" "confirm" "NONCE" Maintainer Incident true Person(commands::confirm::confirm), "Confirms what the desk asked you to confirm.";
    "confirm" "cancel" "NONCE" Maintainer Incident false Person(commands::confirm::cancel), "Calls it off.";
    "member" "ack" "[NOTICE]" Member Incident false Person(commands::answers::ack), "Says that you have the notice and have read it.";
    "member" "ready" "[NOTICE]" Member Incident false Person(commands::answers::ready), "Says that you are ready for the day.";
    "member" "objection" "[TEXT]" Member Incident false Person(commands::answers::objection), "Says that the date does not suit you; the text below it goes to the team.";
    "member" "leak" "[TEXT]" Member Incident false Person(commands::answers::leak), "Says that it has got out: what, to whom and how, below it.";
    "member" "vouch" "WHO [GROUP]" Member Desk true Person(commands::joining::vouch), "Vouches for somebody who wants to join a group of yours.";
    "member" "terms" "accept" Member Desk true Person(commands::joining::terms), "Accepts the terms of the embargo.";
    "member" "key" "WHAT" Member Desk true Person(commands::keys::of_member), "Looks after your key: show, replace (the new one attached), confirm, cancel, revoke.";
    "member" "leave" "[GROUP]" Member Desk true Person(commands::joining::leave), "Takes you out of a group, or of all.";
    "member" "help" "[WORD]" Member Desk false Person(commands::read::help), "Explains the words, or one of them.";
    "member" "ping" "" Member Desk false Person(commands::read::ping), "Tells exactly what your mail program did, and whether a word would have counted.";
    "member" "whoami" "" Member Desk false Person(commands::read::whoami), "Tells who you are to the desk: key and groups.";
    "reporter" "status" "" Reporter Incident false Reporter(reporter::status), "Tells where your report stands.";
    "reporter" "credit" "NAME|anonymous" Reporter Incident false Reporter(reporter::credit), "Says how you want to be named.";
    "reporter" "publish" "WHEN" Reporter Incident false Reporter(reporter::publish), "Says when you intend to publish.";
};

/// The row of a word of the team; case is free.
#[must_use]
pub fn keyword(word: &str) -> Option<&'static Keyword> {
    word_for(word, Audience::Team)
}

/// The row of a word of reporters.
#[must_use]
pub fn reporter_keyword(word: &str) -> Option<&'static Keyword> {
    word_for(word, Audience::Reporters)
}

/// The row of a word of members.
#[must_use]
pub fn member_keyword(word: &str) -> Option<&'static Keyword> {
    word_for(word, Audience::Members)
}

/// The row of a word that is for somebody.
#[must_use]
pub fn word_for(word: &str, audience: Audience) -> Option<&'static Keyword> {
    let fits = |row: &&Keyword| row.needs.audience() == audience;
    KEYWORDS.iter().filter(fits).find(|row| row.word.eq_ignore_ascii_case(word))
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
    let free = matches!(row.word, "reply" | "note" | "reject" | "help" | "leak" | "objection");
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
    unknown_to(word, Audience::Team)
}

/// The refusal for a word that is not for somebody.
#[must_use]
pub fn unknown_to(word: &str, audience: Audience) -> Refusal {
    let known = KEYWORDS.iter().filter(|row| row.needs.audience() == audience).map(|row| row.word);
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

    #[test]
    fn words_are_unique_and_short() {
        let mut seen = std::collections::BTreeSet::new();
        for row in KEYWORDS {
            assert!(seen.insert((row.word, row.needs.audience())), "{}", row.word);
            assert!(row.help.ends_with('.'), "{}", row.word);
        }
    }
}
