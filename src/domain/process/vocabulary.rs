//! The words that people steer the desk with: one table.
//!
//! Parser, rights, `/help`, the typo hints, the loader of playbooks and the README read [`WORDS`],
//! and everything that is a property of a word stands in its row. A new word is a row here, and the
//! arm that the compiler then asks for where words are carried out.

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
pub enum For {
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
    pub fn for_whom(self) -> For {
        match self {
            Self::Member => For::Members,
            Self::Reporter => For::Reporters,
            Self::Maintainer | Self::Team | Self::Intake | Self::TaskRole | Self::Lead => For::Team,
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

/// What a word belongs to, as people read about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Read,
    Triage,
    People,
    Record,
    Talk,
    Embargo,
    Members,
    Confirm,
    Member,
    Reporter,
}

impl Group {
    /// The heading in `/help` and the README.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Triage => "triage",
            Self::People => "people",
            Self::Record => "record",
            Self::Talk => "talk",
            Self::Embargo => "embargo",
            Self::Members => "members",
            Self::Confirm => "confirm",
            Self::Member => "member",
            Self::Reporter => "reporter",
        }
    }
}

/// What is done. Two rows may mean the same for different people (`/help`), and one word two things
/// (`/leak` of the team, and of a member).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    Help,
    Ping,
    Whoami,
    Seal,
    List,
    Incident,
    Status,
    Show,
    Part,
    Agenda,
    Checklist,
    Log,
    Accept,
    Reject,
    Unreadable,
    Duplicate,
    Merge,
    Spam,
    MakeReport,
    Close,
    Reopen,
    KnownPublic,
    Exploited,
    Lead,
    Handoff,
    Take,
    Decline,
    Deputy,
    Join,
    Leave,
    Away,
    Back,
    Set,
    Title,
    Cvss,
    Cve,
    Ghsa,
    Affects,
    Fixed,
    Done,
    Undo,
    Skip,
    Note,
    Reply,
    ReplyClear,
    Answer,
    Tell,
    Disclose,
    Batch,
    Preview,
    Approve,
    Hold,
    Resume,
    Published,
    Rehearse,
    Ledger,
    Audience,
    Leak,
    Release,
    Member,
    MemberKey,
    Confirm,
    Cancel,
    Ack,
    Ready,
    Objection,
    ReportLeak,
    Vouch,
    Terms,
    OwnKey,
    LeaveGroup,
    ReportStatus,
    Credit,
    WillPublish,
    AgreesToDate,
    ObjectsToDate,
}

/// When a word needs a second person, whatever the playbook says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Second {
    /// Where the playbook says so.
    AsSaid,
    /// Always: one person alone neither ends an embargo by saying that it leaked, nor lets more
    /// people know.
    Always,
    /// Where closing needs one, on an incident that was accepted: it ends the work on it.
    AsClose,
}

/// What the desk makes of the key that signed a mail, where that is somebody's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// The one that counts.
    InForce,
    /// Another one has taken its place.
    Replaced,
    /// Offered, and not in force yet.
    Offered,
    /// Said to be in other hands.
    Distrusted,
}

/// The states besides [`KeyState::InForce`] from which a word counts, by what stands behind it; the
/// empty argument is every other.
pub type KeyStates = &'static [(&'static str, &'static [KeyState])];

const IN_FORCE: KeyStates = &[("", &[])];
const REPLACED_TOO: KeyStates = &[("", &[KeyState::Replaced])];
const EVERY: &[KeyState] = &[KeyState::Replaced, KeyState::Offered, KeyState::Distrusted];
const ANY_KEY: KeyStates = &[("", EVERY)];
const OWNED: &[KeyState] = &[KeyState::Replaced, KeyState::Distrusted];
const KEYS_OF_KEY: KeyStates = &[
    ("confirm", EVERY),
    ("cancel", EVERY),
    ("show", OWNED),
    ("replace", OWNED),
    ("revoke", OWNED),
    ("", &[]),
];

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    /// What is done.
    pub word: Word,
    /// What is written, without its stroke.
    pub name: &'static str,
    /// What it belongs to.
    pub group: Group,
    /// What stands behind it.
    pub arguments: &'static str,
    /// Who may use it, where the playbook says nothing else.
    pub needs: Needs,
    /// Whether it needs an incident.
    pub scope: Scope,
    /// One sentence.
    pub help: &'static str,
    /// Whether it changes what others rely on: it is asked about, and binds to this desk.
    pub dangerous: bool,
    /// Whether what stands behind it is somebody's own words, in which a stroke is none of ours.
    pub free_text: bool,
    /// Whether it counts however late it comes.
    pub counts_late: bool,
    /// When it needs a second person.
    pub second: Second,
    /// From which keys it counts.
    pub keys: KeyStates,
}

impl Row {
    const fn dangerous(self) -> Self {
        Self { dangerous: true, ..self }
    }

    const fn free_text(self) -> Self {
        Self { free_text: true, ..self }
    }

    const fn counts_late(self) -> Self {
        Self { counts_late: true, ..self }
    }

    const fn second(self, second: Second) -> Self {
        Self { second, ..self }
    }

    const fn keys(self, keys: KeyStates) -> Self {
        Self { keys, ..self }
    }

    /// For whom the word is.
    #[must_use]
    pub fn for_whom(&self) -> For {
        self.needs.for_whom()
    }

    /// Whether it is measured against the present as well: all but those that only look, or hold back.
    #[must_use]
    pub fn ages(&self) -> bool {
        self.group != Group::Read && !self.counts_late
    }

    /// Whether the word counts with these arguments, signed by a key in this state.
    #[must_use]
    pub fn counts_from(&self, state: KeyState, arguments: &str) -> bool {
        let first = arguments.split_whitespace().next().unwrap_or("");
        let fits = |known: &&(&str, _)| known.0.is_empty() || known.0.eq_ignore_ascii_case(first);
        let others = self.keys.iter().find(fits).map_or(&[][..], |known| known.1);
        state == KeyState::InForce || others.contains(&state)
    }
}

const fn row(
    word: Word,
    group: Group,
    name: &'static str,
    arguments: &'static str,
    needs: Needs,
    scope: Scope,
    help: &'static str,
) -> Row {
    let (second, keys) = (Second::AsSaid, IN_FORCE);
    let (dangerous, free_text, counts_late) = (false, false, false);
    Row {
        word,
        name,
        group,
        arguments,
        needs,
        scope,
        help,
        dangerous,
        free_text,
        counts_late,
        second,
        keys,
    }
}

/// The table.
#[rustfmt::skip]
pub const WORDS: &[Row] = &[
    row(Word::Help, Group::Read, "help", "[WORD]", Needs::Maintainer, Scope::Desk, "Explains the words, or one of them.").free_text().keys(ANY_KEY),
    row(Word::Ping, Group::Read, "ping", "", Needs::Maintainer, Scope::Desk, "Tells exactly what your mail program did, whether a command would have counted, and if not, what to change.").keys(ANY_KEY),
    row(Word::Whoami, Group::Read, "whoami", "", Needs::Maintainer, Scope::Desk, "Tells who you are to the desk: key, roles, what you lead.").keys(REPLACED_TOO),
    row(Word::Seal, Group::Read, "seal", "v1|v2", Needs::Maintainer, Scope::Desk, "Chooses how mails to your key are sealed: v1, which every program reads, or v2, which GnuPG does not."),
    row(Word::List, Group::Read, "list", "", Needs::Maintainer, Scope::Desk, "Lists the open incidents that you are on."),
    row(Word::Incident, Group::Read, "incident", "HANDLE", Needs::Maintainer, Scope::Desk, "Names the incident when the mail quotes no Ref line.").counts_late(),
    row(Word::Status, Group::Read, "status", "", Needs::Team, Scope::Incident, "Shows where the incident stands, in short."),
    row(Word::Show, Group::Read, "show", "[REPORTS]", Needs::Team, Scope::Incident, "Shows the record and the letters. In answer to a digest: by numbers or handles."),
    row(Word::Part, Group::Read, "part", "N", Needs::Team, Scope::Incident, "Brings a part of a mail that was too large to be passed on with it."),
    row(Word::Agenda, Group::Read, "agenda", "", Needs::Team, Scope::Incident, "Shows what is done, due, late, and waiting for what."),
    row(Word::Checklist, Group::Read, "checklist", "", Needs::Team, Scope::Incident, "Gives the checklist as Markdown, for your tracker."),
    row(Word::Log, Group::Read, "log", "", Needs::Team, Scope::Incident, "Shows the history: who did what, when."),
    row(Word::Accept, Group::Triage, "accept", "[REPORTS]", Needs::Intake, Scope::Incident, "Says that it is a vulnerability, and tells the reporter that it is worked on."),
    row(Word::Reject, Group::Triage, "reject", "[REPORTS] REASON", Needs::Intake, Scope::Incident, "Says that it is not a vulnerability; the reason goes to the reporter.").dangerous().free_text().second(Second::AsClose),
    row(Word::Unreadable, Group::Triage, "unreadable", "[REPORTS]", Needs::Intake, Scope::Incident, "Asks the reporter to send it again, readable."),
    row(Word::Duplicate, Group::Triage, "duplicate", "HANDLE", Needs::Intake, Scope::Incident, "Says that the same was reported before; the reporter is told that it is known.").dangerous().second(Second::AsClose),
    row(Word::Merge, Group::Triage, "merge", "HANDLE", Needs::Intake, Scope::Incident, "Goes on with it as another incident; nothing is sent to the reporter.").dangerous().second(Second::AsClose),
    row(Word::Spam, Group::Triage, "spam", "[REPORTS]", Needs::Intake, Scope::Incident, "Closes it quietly; nothing is sent. In answer to a digest several: `4-9 12`, handles, or `ALL-BELOW`."),
    row(Word::MakeReport, Group::Triage, "report", "NAME", Needs::Maintainer, Scope::Desk, "Says that what a machine sent is a report; the digest gives its name."),
    row(Word::Close, Group::Triage, "close", "", Needs::Intake, Scope::Incident, "Closes the incident.").dangerous(),
    row(Word::Reopen, Group::Triage, "reopen", "", Needs::Intake, Scope::Incident, "Opens a closed incident again.").dangerous(),
    row(Word::KnownPublic, Group::Triage, "known-public", "", Needs::Intake, Scope::Incident, "Says that the public knows: unsent advance notices are replaced by one immediate draft, open work is due now.").dangerous(),
    row(Word::Exploited, Group::Triage, "exploited", "", Needs::Team, Scope::Incident, "Says that it is exploited: the team is alarmed, open work loses its slack."),
    row(Word::Lead, Group::People, "lead", "WHO", Needs::Intake, Scope::Incident, "Takes the lead (`me`), or asks somebody to take it."),
    row(Word::Handoff, Group::People, "handoff", "WHO", Needs::Lead, Scope::Incident, "Asks somebody to take over; you lead until they do."),
    row(Word::Take, Group::People, "take", "", Needs::Team, Scope::Incident, "Takes the lead that you were offered, or that nobody has."),
    row(Word::Decline, Group::People, "decline", "", Needs::Team, Scope::Incident, "Declines the lead that you were offered; a turn is not used up."),
    row(Word::Deputy, Group::People, "deputy", "WHO", Needs::Lead, Scope::Incident, "Names who stands in for the lead."),
    row(Word::Join, Group::People, "join", "WHO ROLE", Needs::Intake, Scope::Incident, "Gives somebody a role on this incident only.").dangerous(),
    row(Word::Leave, Group::People, "leave", "", Needs::Team, Scope::Incident, "Takes you off this incident. The lead hands over first.").dangerous(),
    row(Word::Away, Group::People, "away", "DATE", Needs::Maintainer, Scope::Desk, "Says that you are away until then: no turn comes to you."),
    row(Word::Back, Group::People, "back", "", Needs::Maintainer, Scope::Desk, "Says that you are back."),
    row(Word::Set, Group::Record, "set", "FIELD VALUE", Needs::Team, Scope::Incident, "Sets a field of the record."),
    row(Word::Title, Group::Record, "title", "TEXT", Needs::Team, Scope::Incident, "Sets the title."),
    row(Word::Cvss, Group::Record, "cvss", "VECTOR", Needs::Team, Scope::Incident, "Sets the score, by its vector."),
    row(Word::Cve, Group::Record, "cve", "ID", Needs::Team, Scope::Incident, "Adds a CVE number."),
    row(Word::Ghsa, Group::Record, "ghsa", "ID", Needs::Team, Scope::Incident, "Adds the number of an advisory."),
    row(Word::Affects, Group::Record, "affects", "RANGE", Needs::Team, Scope::Incident, "Sets the affected versions."),
    row(Word::Fixed, Group::Record, "fixed", "VERSION", Needs::Team, Scope::Incident, "Sets the fixed version."),
    row(Word::Done, Group::Record, "done", "TASK [EVIDENCE]", Needs::TaskRole, Scope::Incident, "Says that a task is done, or that you agree to a gate."),
    row(Word::Undo, Group::Record, "undo", "TASK", Needs::TaskRole, Scope::Incident, "Takes back that a task is done or skipped."),
    row(Word::Skip, Group::Record, "skip", "TASK REASON", Needs::TaskRole, Scope::Incident, "Says that a task will not be done, and why.").dangerous(),
    row(Word::Note, Group::Record, "note", "TEXT", Needs::Team, Scope::Incident, "Keeps a note in the record.").free_text(),
    row(Word::Reply, Group::Talk, "reply", "[TEXT]", Needs::Team, Scope::Incident, "Sends the text below the commands, and the attachments, to the reporter.").free_text(),
    row(Word::ReplyClear, Group::Talk, "reply-clear", "[ANSWER]", Needs::Team, Scope::Incident, "Sends the text below IN CLEAR to a reporter who wrote in clear; you are shown what leaves, and asked once. ANSWER is a prepared answer for it to stand in.").free_text(),
    row(Word::Answer, Group::Talk, "answer", "NAME", Needs::Team, Scope::Incident, "Sends the reporter one of the prepared answers."),
    row(Word::Tell, Group::Talk, "tell", "GROUP|MEMBER", Needs::Intake, Scope::Incident, "Drafts the text below as a sealed mail to an embargoed group or to one of it; another person approves it."),
    row(Word::Disclose, Group::Embargo, "disclose", "WHEN", Needs::Intake, Scope::Incident, "Sets T, the moment of public disclosure, or moves it.").dangerous(),
    row(Word::Batch, Group::Embargo, "batch", "[NAME|leave|final]", Needs::Intake, Scope::Incident, "Makes the incident part of a release that shares one T with others; shows that release; says that no more incidents come to it.").dangerous(),
    row(Word::Preview, Group::Embargo, "preview", "NOTICE", Needs::TaskRole, Scope::Incident, "Freezes a new numbered draft of a notice and shows it; approvals of an older one are void."),
    row(Word::Approve, Group::Embargo, "approve", "NOTICE@N", Needs::TaskRole, Scope::Incident, "Approves exactly that draft."),
    row(Word::Hold, Group::Embargo, "hold", "NOTICE|ALL", Needs::Team, Scope::Incident, "Holds notices back. Counts however late it comes.").counts_late(),
    row(Word::Resume, Group::Embargo, "resume", "NOTICE|ALL", Needs::Intake, Scope::Incident, "Lets held notices go.").dangerous(),
    row(Word::Published, Group::Embargo, "published", "", Needs::Intake, Scope::Incident, "Records that it is public.").dangerous(),
    row(Word::Rehearse, Group::Embargo, "rehearse", "NOTICE", Needs::Team, Scope::Incident, "Shows who would get a notice, whether their key can be used at its moment, what became of earlier mail to them, and what is doubtful in the text."),
    row(Word::Ledger, Group::Embargo, "ledger", "[NOTICE]", Needs::Team, Scope::Incident, "Shows who got which notice, and what they said."),
    row(Word::Audience, Group::Embargo, "audience", "GROUP WHO...|all", Needs::Intake, Scope::Incident, "Says who of a group gets what this incident sends to it; `all` is everybody.").dangerous().second(Second::Always),
    row(Word::Leak, Group::Embargo, "leak", "WHO [suspend] WHAT AND HOW", Needs::Intake, Scope::Incident, "Says that it has got out; a second person confirms, then everyone who had a notice is told at once.").dangerous().free_text().second(Second::Always).keys(REPLACED_TOO),
    row(Word::Release, Group::Embargo, "release", "", Needs::Intake, Scope::Incident, "Opens the gate before the public notices.").dangerous(),
    row(Word::Member, Group::Members, "member", "WHAT [WHO ...]", Needs::Maintainer, Scope::Desk, "Looks after the members of groups: list, show, propose, meets, fails, approve, suspend, reinstate, remove, reviewed.").dangerous(),
    row(Word::MemberKey, Group::Members, "key", "WHAT [WHO]", Needs::Maintainer, Scope::Desk, "Looks after members' keys: show, replace, approve, cancel, revoke.").dangerous().keys(KEYS_OF_KEY),
    row(Word::Confirm, Group::Confirm, "confirm", "NONCE", Needs::Maintainer, Scope::Incident, "Confirms what the desk asked you to confirm.").dangerous(),
    row(Word::Cancel, Group::Confirm, "cancel", "NONCE", Needs::Maintainer, Scope::Incident, "Calls it off."),
    row(Word::Ack, Group::Member, "ack", "[NOTICE]", Needs::Member, Scope::Incident, "Says that you have the notice and have read it.").keys(REPLACED_TOO),
    row(Word::Ready, Group::Member, "ready", "[NOTICE]", Needs::Member, Scope::Incident, "Says that you are ready for the day.").keys(REPLACED_TOO),
    row(Word::Objection, Group::Member, "objection", "[TEXT]", Needs::Member, Scope::Incident, "Says that the date does not suit you; the text below it goes to the team.").free_text().keys(REPLACED_TOO),
    row(Word::ReportLeak, Group::Member, "leak", "[TEXT]", Needs::Member, Scope::Incident, "Says that it has got out: what, to whom and how, below it.").free_text().keys(REPLACED_TOO),
    row(Word::Vouch, Group::Member, "vouch", "WHO [GROUP]", Needs::Member, Scope::Desk, "Vouches for somebody who wants to join a group of yours.").dangerous(),
    row(Word::Terms, Group::Member, "terms", "accept", Needs::Member, Scope::Desk, "Accepts the terms of the embargo.").dangerous(),
    row(Word::OwnKey, Group::Member, "key", "WHAT", Needs::Member, Scope::Desk, "Looks after your key: show, replace (the new one attached), confirm, cancel, revoke.").dangerous().keys(KEYS_OF_KEY),
    row(Word::LeaveGroup, Group::Member, "leave", "[GROUP]", Needs::Member, Scope::Desk, "Takes you out of a group, or of all.").dangerous(),
    row(Word::Help, Group::Member, "help", "[WORD]", Needs::Member, Scope::Desk, "Explains the words, or one of them.").free_text().keys(ANY_KEY),
    row(Word::Ping, Group::Member, "ping", "", Needs::Member, Scope::Desk, "Tells exactly what your mail program did, and whether a word would have counted.").keys(ANY_KEY),
    row(Word::Whoami, Group::Member, "whoami", "", Needs::Member, Scope::Desk, "Tells who you are to the desk: key and groups.").keys(REPLACED_TOO),
    row(Word::Seal, Group::Member, "seal", "v1|v2", Needs::Member, Scope::Desk, "Chooses how mails to your key are sealed: v1, which every program reads, or v2, which GnuPG does not."),
    row(Word::ReportStatus, Group::Reporter, "status", "", Needs::Reporter, Scope::Incident, "Tells where your report stands."),
    row(Word::Credit, Group::Reporter, "credit", "NAME|anonymous", Needs::Reporter, Scope::Incident, "Says how you want to be named."),
    row(Word::WillPublish, Group::Reporter, "publish", "WHEN", Needs::Reporter, Scope::Incident, "Says when you intend to publish."),
    row(Word::AgreesToDate, Group::Reporter, "agree", "", Needs::Reporter, Scope::Incident, "Says that the day on which it becomes public suits you."),
    row(Word::ObjectsToDate, Group::Reporter, "objection", "WHY", Needs::Reporter, Scope::Incident, "Says that it does not; a person answers you."),
];

/// The row of what a team can write; case is free.
#[must_use]
pub fn team_word(name: &str) -> Option<&'static Row> {
    word_for(name, For::Team)
}

/// The row of what a reporter can write.
#[must_use]
pub fn reporter_word(name: &str) -> Option<&'static Row> {
    word_for(name, For::Reporters)
}

/// The row of what a member can write.
#[must_use]
pub fn member_word(name: &str) -> Option<&'static Row> {
    word_for(name, For::Members)
}

/// The first row that means this.
#[must_use]
pub fn row_of(word: Word) -> Option<&'static Row> {
    WORDS.iter().find(|row| row.word == word)
}

/// The row of a word that is for somebody.
#[must_use]
pub fn word_for(name: &str, whom: For) -> Option<&'static Row> {
    WORDS
        .iter()
        .filter(|row| row.for_whom() == whom)
        .find(|row| row.name.eq_ignore_ascii_case(name))
}

/// The refusal for a word that the table does not have.
#[must_use]
pub fn unknown(word: &str) -> Refusal {
    unknown_to(&[word], For::Team)
}

/// The refusal for words that are not for somebody: all of them, so that a mail is corrected once.
#[must_use]
pub fn unknown_to(words: &[&str], whom: For) -> Refusal {
    let known = || WORDS.iter().filter(|row| row.for_whom() == whom).map(|row| row.name);
    let quoted = |words: &[&str], bar: &str| {
        let all: Vec<String> = words.iter().map(|word| format!("`{bar}/{word}`")).collect();
        all.join(", ")
    };
    let hints: Vec<&str> = words.iter().filter_map(|word| nearest(word, known())).collect();
    let next = if hints.is_empty() {
        "write `| /help` for the list of words, without the bar.".to_owned()
    } else {
        format!("did you mean {}? Write it without the bar.", quoted(&hints, "| "))
    };
    let (why, noun) = match words {
        [_] => ("an unknown word", "the word"),
        _ => ("unknown words", "the words"),
    };
    Refusal::new(why, format!("the desk does not know {noun} {}.", quoted(words, "")), next)
}

/// The README's table of words.
#[must_use]
pub fn markdown() -> String {
    let mut out =
        String::from("| group | word | who | what it does |\n| --- | --- | --- | --- |\n");
    for row in WORDS {
        let arguments = row.arguments.replace('|', "\\|");
        let space = if arguments.is_empty() { "" } else { " " };
        out.push_str(&format!(
            "| {} | `/{}{space}{arguments}` | {} | {} |\n",
            row.group.name(),
            row.name,
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
        for row in WORDS {
            assert!(seen.insert((row.name, row.for_whom())), "{}", row.name);
            assert!(row.help.ends_with('.'), "{}", row.name);
        }
    }
}
