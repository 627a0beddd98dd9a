//! A published security process as data: the TOML format, and a loader that refuses what it does
//! not understand.
//!
//! A row that this version cannot execute is refused, never skipped: an operator who writes it
//! must not believe that it happens. Every refusal names the file and the line.

use std::collections::BTreeMap;
use std::fmt;

use chrono::NaiveTime;
use serde::Deserialize;

use super::names::{Digest, TaskId};
use super::offset::{Calendar, Offset, WeekDays, Window};

mod file;
mod loader;

pub use loader::load;

/// The playbooks that come with the program: name and text.
pub const BUILTIN: &[(&str, &str)] = &[
    ("drill", include_str!("../../config/playbooks/drill.toml")),
    ("minder", include_str!("../../config/playbooks/minder.toml")),
];

/// Who does a task, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The desk does it alone.
    Auto,
    /// The desk writes it, people approve it, the desk sends it: a notice.
    Draft,
    /// A person does it and says so; the desk reminds.
    Human,
    /// A person decides and the decision is recorded.
    Decide,
    /// Blocks what comes after it until people open it.
    Gate,
    /// A fact that has to be in the record.
    Record,
}

/// What the desk does by itself. Each is a thing that happens anyway; the row says where the
/// process asks for it, and the agenda shows it as done when it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The incident is opened.
    Open,
    /// The reporter gets the acknowledgement.
    Acknowledge,
    /// The acknowledgement asks for what the process wants in a report.
    AskDetails,
    /// A mail that asks for the key gets it.
    SendKey,
}

/// An event that tasks count from. The list is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, Deserialize)]
pub enum Anchor {
    /// The first report reached the mailbox.
    #[serde(rename = "received")]
    Received,
    /// The team was told: the same moment unless somebody sets it.
    #[serde(rename = "disclosed")]
    Disclosed,
    /// The report was accepted as a vulnerability.
    #[serde(rename = "accepted")]
    Accepted,
    /// The score is known.
    #[serde(rename = "triaged")]
    Triaged,
    /// The fix is ready.
    #[serde(rename = "fix_ready")]
    FixReady,
    /// A mitigation is ready.
    #[serde(rename = "mitigation_ready")]
    MitigationReady,
    /// The planned moment of public disclosure.
    #[serde(rename = "T", alias = "release")]
    T,
    /// The moment at which it was in fact made public.
    #[serde(rename = "released", alias = "public")]
    Released,
    /// Somebody else made it known.
    #[serde(rename = "public_known")]
    PublicKnown,
    /// It is exploited.
    #[serde(rename = "exploitation_known")]
    ExploitationKnown,
}

/// What the closed list is called in files and messages.
pub const ANCHORS: &[(&str, Anchor)] = &[
    ("received", Anchor::Received),
    ("disclosed", Anchor::Disclosed),
    ("accepted", Anchor::Accepted),
    ("triaged", Anchor::Triaged),
    ("fix_ready", Anchor::FixReady),
    ("mitigation_ready", Anchor::MitigationReady),
    ("T", Anchor::T),
    ("release", Anchor::T),
    ("released", Anchor::Released),
    ("public", Anchor::Released),
    ("public_known", Anchor::PublicKnown),
    ("exploitation_known", Anchor::ExploitationKnown),
];

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ANCHORS.iter().find(|(_, anchor)| anchor == self).map_or("?", |(name, _)| name))
    }
}

/// When a task is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    /// Counted from the earliest of these that is known.
    pub anchors: Vec<Anchor>,
    /// How far from it.
    pub window: Window,
    /// At what time of that day, if not the anchor's.
    pub at: Option<NaiveTime>,
}

/// Who gets a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// The members of a group, each a sealed copy of their own.
    Group(String),
    /// The holders of a role, likewise.
    Role(String),
    /// The group's public addresses, signed and in clear, only after the gates before it.
    Public(String),
}

/// One row of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id, by which other rows and commands name it.
    pub id: TaskId,
    /// A short word that commands may use instead, for notices mostly.
    pub alias: Option<TaskId>,
    /// The process's own name for the stage it belongs to.
    pub phase: String,
    /// What is to be done.
    pub title: String,
    /// Whose task it is.
    pub role: String,
    /// How it is done.
    pub kind: Kind,
    /// When it is due; none for rules that always hold and facts without a date.
    pub when: Option<When>,
    /// What must be done before.
    pub after: Vec<TaskId>,
    /// What the desk does, for `auto`.
    pub action: Option<Action>,
    /// The fact that doing it sets.
    pub sets: Option<Anchor>,
    /// Roles of which each must agree, by different people; for gates.
    pub agree: Vec<String>,
    /// Whether `/done` must say by what.
    pub evidence: bool,
    /// Fields that must be known before it can be done.
    pub needs: Vec<String>,
    /// The template of a notice.
    pub template: Option<String>,
    /// Who gets a notice.
    pub audience: Option<Audience>,
    /// How many people must approve a notice; from two on the last editor does not count.
    pub approvals: usize,
    /// Whether the last editor does not count even where one approval is enough.
    pub four_eyes: bool,
    /// The line or lines of the document this row comes from.
    pub src: Option<String>,
}

impl Task {
    /// A row with nothing but its id and kind.
    #[must_use]
    pub fn bare(id: TaskId, kind: Kind) -> Self {
        Self {
            id,
            alias: None,
            phase: String::new(),
            title: String::new(),
            role: String::new(),
            kind,
            when: None,
            after: Vec::new(),
            action: None,
            sets: None,
            agree: Vec::new(),
            evidence: false,
            needs: Vec::new(),
            template: None,
            audience: None,
            approvals: 1,
            four_eyes: false,
            src: None,
        }
    }

    /// Whether it is a rule that always holds: shown, never due, never done.
    #[must_use]
    pub fn is_standing(&self) -> bool {
        self.when.is_none() && self.kind == Kind::Gate
    }

    /// The word by which people name it.
    #[must_use]
    pub fn word(&self) -> &TaskId {
        self.alias.as_ref().unwrap_or(&self.id)
    }

    /// Whether a person's word names this task; case is free.
    #[must_use]
    pub fn is_called(&self, word: &str) -> bool {
        self.id.as_str().eq_ignore_ascii_case(word)
            || self.alias.as_ref().is_some_and(|alias| alias.as_str().eq_ignore_ascii_case(word))
    }
}

/// An audience outside the team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What people call it.
    pub label: String,
    /// The TLP label of what it gets.
    pub tlp: String,
    /// Addresses of public lists; empty for an embargoed group, whose members the roster has.
    pub public: Vec<super::names::Address>,
}

/// The 24-hour promise, or whatever the process makes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HumanAnswer {
    /// By when a person has answered the reporter.
    pub due: Offset,
    /// Reminders, in per cent of that time.
    pub remind: Vec<u32>,
    /// Roles that are told when it has lapsed.
    pub escalate: Vec<String>,
}

/// How T is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TRule {
    /// The time of day where a date is given without one.
    pub at: Option<NaiveTime>,
    /// The recommended days.
    pub days: Option<WeekDays>,
    /// Less time than this before T asks for a confirmation.
    pub min_lead: Offset,
    /// A notice that could not leave within this time after its moment is held for a person.
    pub stale: Offset,
    /// How long after T, with nothing published, people are told that it slipped.
    pub slip: Offset,
}

/// Who may use a word of the desk in this process, where that is not what the table of words says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// Any of these roles; empty for what the table says.
    pub roles: Vec<String>,
    /// Whether another person must confirm it.
    pub second: bool,
}

/// How a lead is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assign {
    /// In turn among the holders of this role.
    pub role: String,
    /// Within this time the turn is taken or goes to the next.
    pub within: Offset,
}

/// A field of the record that the playbook declares, besides those that every incident has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// What people call it.
    pub label: String,
}

/// A process, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Playbook {
    /// Its id.
    pub id: String,
    /// Its version; an incident keeps the one that it began with.
    pub version: u32,
    /// Its title.
    pub title: String,
    /// What it asks a reporter to send.
    pub ask: Option<String>,
    /// The role that gets reports.
    pub intake: String,
    /// Zone and holidays.
    pub calendar: Calendar,
    /// The clock for a person's answer.
    pub human_answer: HumanAnswer,
    /// How T is chosen.
    pub t: TRule,
    /// Words that have other rights than the table of words gives them.
    pub rights: BTreeMap<String, Right>,
    /// How a lead is found; somebody volunteers where nothing is said.
    pub assign: Option<Assign>,
    /// How often the reporter gets a word while it is open; never where nothing is said.
    pub reporter_update: Option<Offset>,
    /// After so long without a word of the team, and without a date, the team is reminded.
    pub silence: Offset,
    /// Roles and what people call them.
    pub roles: BTreeMap<String, String>,
    /// Audiences.
    pub groups: BTreeMap<String, Group>,
    /// Declared fields.
    pub fields: BTreeMap<String, Field>,
    /// The rows, in the order of the file.
    pub tasks: Vec<Task>,
    /// The SHA-256 of the text it was read from.
    pub digest: Digest,
}

impl Playbook {
    /// The task that a person's word names.
    #[must_use]
    pub fn task(&self, word: &str) -> Option<&Task> {
        self.tasks.iter().find(|task| task.is_called(word))
    }

    /// What people call a role.
    #[must_use]
    pub fn role_label<'a>(&'a self, role: &'a str) -> &'a str {
        self.roles.get(role).map_or(role, String::as_str)
    }
}

/// Fields that every incident has, whatever the playbook declares.
pub const COMMON_FIELDS: &[(&str, &str)] = &[
    ("affected", "affected versions"),
    ("fixed", "fixed version"),
    ("impact", "impact"),
    ("mitigation", "mitigation"),
    ("binaries", "where the fixed release is found"),
    ("credit", "credit"),
    ("summary", "summary"),
];

/// A place in a playbook and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// TLP 2.0 labels from the narrowest audience to the widest.
pub const TLP: &[&str] = &["RED", "AMBER+STRICT", "AMBER", "GREEN", "CLEAR"];
