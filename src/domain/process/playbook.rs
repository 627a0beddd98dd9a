//! A published security process as data: the TOML format, and a loader that refuses what it does
//! not understand.
//!
//! A row that this version cannot execute is refused, never skipped: an operator who writes it
//! must not believe that it happens. Every refusal names the file and the line.

use std::collections::BTreeMap;
use std::fmt;

use chrono::NaiveTime;
use serde::Deserialize;

use crate::domain::facts::names::{Digest, PersonId, TaskId};
use crate::domain::process::offset::{Calendar, Offset, Snap, WeekDays, Window};

pub mod field;
mod file;
mod loader;
pub mod predicate;
mod rows;
mod sections;

pub use crate::domain::facts::anchor::{ANCHORS, Anchor, SetBy};
pub use crate::domain::process::playbook::field::{Field, FieldType};
pub use crate::domain::process::playbook::loader::{calendar_of, load, load_stored};
pub use crate::domain::process::playbook::predicate::{Facts, Predicate, Truth};

/// The playbooks that come with the program: name and text.
pub const BUILTIN: &[(&str, &str)] = &[
    ("apereo", include_str!("../../../config/playbooks/apereo.toml")),
    ("default", include_str!("../../../config/playbooks/default.toml")),
    ("drill", include_str!("../../../config/playbooks/drill.toml")),
    ("emissary", include_str!("../../../config/playbooks/emissary.toml")),
    ("isc", include_str!("../../../config/playbooks/isc.toml")),
    ("minder", include_str!("../../../config/playbooks/minder.toml")),
    ("stalwart", include_str!("../../../config/playbooks/stalwart.toml")),
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
    /// The next in turn is asked to lead.
    AskLead,
    /// The holders of a role are told that the moment has come.
    Tell,
    /// The role gets the list of all incidents that share the release, in the order of their CVE
    /// numbers.
    ListBatch,
    /// The role gets the table of who was reached by a notice; a person closes the row.
    Verify,
    /// The same, of those who became members since it left.
    VerifyNew,
    /// A role on this incident ends: those who joined with it leave, and nobody holds it any more.
    EndRole,
    /// What comes in later and belongs here is linked: with `/duplicate` and by references.
    Link,
}

impl Action {
    /// As files name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledge => "acknowledge",
            Self::AskDetails => "ask_details",
            Self::SendKey => "send_key",
            Self::AskLead => "ask_lead",
            Self::Tell => "tell",
            Self::ListBatch => "list_batch",
            Self::Verify => "verify",
            Self::VerifyNew => "verify_new",
            Self::EndRole => "end_role",
            Self::Link => "link",
        }
    }

    /// Whether the desk does it when its moment comes; the others happen anyway.
    #[must_use]
    pub fn waits_for_its_moment(self) -> bool {
        matches!(
            self,
            Self::Tell | Self::ListBatch | Self::Verify | Self::VerifyNew | Self::EndRole
        )
    }

    /// Whether the desk prepares it and a person closes it.
    #[must_use]
    pub fn is_closed_by_a_person(self) -> bool {
        matches!(self, Self::Verify | Self::VerifyNew)
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
    /// On which days of the week only.
    pub days: Option<WeekDays>,
    /// How a day that is not among them moves.
    pub snap: Snap,
    /// Whether a day off moves to the working day before it.
    pub roll: bool,
    /// Again and again.
    pub repeat: Option<Repeat>,
    /// Whether the figure is not the document's.
    pub origin: Option<Origin>,
}

/// How a row comes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeat {
    /// So long after it was last done.
    pub every: Offset,
    /// Until this is known; otherwise until the incident is closed.
    pub until: Option<Anchor>,
}

/// Where a row or a figure comes from when no line of the document says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// What the project practises elsewhere.
    Upstream,
    /// Ours.
    Local,
}

/// What a row is repeated over: one part for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FanOut {
    /// The branches that are affected and maintained: field `branches`.
    Branches,
    /// The CVE numbers.
    Cves,
    /// The other parties: field `parties`.
    Parties,
}

impl FanOut {
    /// What must be in the record for the parts to be known.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Branches => "branches",
            Self::Cves => "cve",
            Self::Parties => "parties",
        }
    }
}

/// Who is told at a step of an escalation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rung {
    /// The row's own role.
    Owner,
    /// Who leads.
    Lead,
    /// Who stands in for the lead.
    Deputy,
    /// The operators.
    Operator,
    /// The holders of a role.
    Role(String),
}

/// A step of an escalation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// In per cent of the time.
    pub percent: u32,
    /// So long after that.
    pub after: Offset,
    /// Who is told.
    pub to: Rung,
}

/// Who gets a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// The members of a group, each a sealed copy of their own.
    Group(String),
    /// One member of a group.
    Member {
        /// The group through which they know of it.
        group: String,
        /// Who.
        id: PersonId,
    },
    /// The holders of a role, likewise.
    Role(String),
    /// The group's public addresses, signed and in clear, only after the gates before it.
    Public(String),
    /// The reporter, by a prepared answer that a person sends.
    Reporter,
}

impl Audience {
    /// A group under embargo, or one member of it.
    #[must_use]
    pub fn of(group: String, member: Option<PersonId>) -> Self {
        match member {
            Some(id) => Self::Member { group, id },
            None => Self::Group(group),
        }
    }

    /// The group under embargo that it is, or is of.
    #[must_use]
    pub fn under_embargo(&self) -> Option<&str> {
        match self {
            Self::Group(group) | Self::Member { group, .. } => Some(group),
            Self::Role(_) | Self::Public(_) | Self::Reporter => None,
        }
    }

    /// Whether it goes to people outside the team, besides the reporter.
    #[must_use]
    pub fn is_outside(&self) -> bool {
        self.under_embargo().is_some() || matches!(self, Self::Public(_))
    }
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
    /// Whose it is as well: any of them may do it.
    pub with: Vec<String>,
    /// How it is done.
    pub kind: Kind,
    /// When it is due; none for rules that always hold and facts without a date.
    pub when: Option<When>,
    /// Whether the incident has it at all.
    pub applies: Option<Predicate>,
    /// One part for each of these.
    pub fan_out: Option<FanOut>,
    /// Whether it is done once for a shared release, on its first incident.
    pub once: bool,
    /// Whether nobody is reminded of it.
    pub optional: bool,
    /// Whether it may not be skipped.
    pub must: bool,
    /// Who is told when, in place of what the desk does by itself.
    pub escalate: Vec<Step>,
    /// Settled once one of these is known, by whatever word.
    pub fact: Vec<Anchor>,
    /// Done once T is that of this anchor.
    pub follows: Option<Anchor>,
    /// The prepared answer that settles it.
    pub answer: Option<String>,
    /// The role that is told, or ends, for `auto`.
    pub to: Option<String>,
    /// The notice that is verified, for `auto`.
    pub of: Option<TaskId>,
    /// The row whose evidence this one's must be.
    pub same_as: Option<TaskId>,
    /// What must be done before.
    pub after: Vec<TaskId>,
    /// What the desk does, for `auto`.
    pub action: Option<Action>,
    /// The fact that doing it sets.
    pub sets: Option<Anchor>,
    /// Roles of which each must agree, by different people; for gates.
    pub agree: Vec<String>,
    /// How many different people of its roles must agree; for gates.
    pub people: usize,
    /// What `/done` must say, if it must.
    pub evidence: Option<FieldType>,
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
    /// Where it comes from otherwise.
    pub origin: Option<Origin>,
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
            with: Vec::new(),
            kind,
            when: None,
            applies: None,
            fan_out: None,
            once: false,
            optional: false,
            must: false,
            escalate: Vec::new(),
            fact: Vec::new(),
            follows: None,
            answer: None,
            to: None,
            of: None,
            same_as: None,
            after: Vec::new(),
            action: None,
            sets: None,
            agree: Vec::new(),
            people: 1,
            evidence: None,
            needs: Vec::new(),
            template: None,
            audience: None,
            approvals: 1,
            four_eyes: false,
            src: None,
            origin: None,
        }
    }

    /// Whether it is a rule that always holds: shown, never due, never done.
    #[must_use]
    pub fn is_standing(&self) -> bool {
        self.when.is_none()
            && (self.kind == Kind::Gate || self.kind == Kind::Record && self.needs.is_empty())
    }

    /// Whether it is a mail that the desk sends once it is approved.
    #[must_use]
    pub fn is_notice(&self) -> bool {
        self.kind == Kind::Draft && self.template.is_some()
    }

    /// Whether it announces a date to people under embargo: moot once all is public.
    #[must_use]
    pub fn announces(&self) -> bool {
        let before = |when: &When| {
            let planned = when.anchors.iter().all(|anchor| anchor.is_planned());
            planned && (when.window.is_before() || when.window.earliest.is_none())
        };
        self.is_notice()
            && matches!(self.audience, Some(Audience::Group(_)))
            && self.when.as_ref().is_some_and(before)
    }

    /// The roles of which anybody may do it.
    pub fn roles(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.role).chain(&self.with).chain(&self.agree)
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
    /// Addresses of public lists; empty for an embargoed group, whose members the journal has.
    pub public: Vec<crate::domain::facts::names::Address>,
    /// How many members must vouch for somebody new.
    pub vouch: usize,
    /// How often each member is looked at again.
    pub review: Option<Offset>,
    /// The most members that it takes.
    pub cap: Option<usize>,
    /// What a member must meet, in order.
    pub criteria: Vec<Criterion>,
}

/// A thing that members of a group must meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Criterion {
    /// By which commands name it.
    pub id: String,
    /// What is asked for.
    pub text: String,
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
    /// How a day that is not recommended moves, for the proposal.
    pub snap: Snap,
    /// T later than this asks for a confirmation.
    pub max_span: Vec<Cap>,
    /// The field that holds the grace between release and details.
    pub grace: Option<String>,
}

impl TRule {
    /// A rule that asks for nothing.
    #[must_use]
    pub fn free(at: Option<NaiveTime>) -> Self {
        Self {
            at,
            days: None,
            min_lead: Offset::ZERO,
            stale: Offset::ZERO,
            slip: Offset::ZERO,
            snap: Snap::Next,
            max_span: Vec::new(),
            grace: None,
        }
    }
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

/// A condition that changes how the process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Its id.
    pub id: String,
    /// What it means, for people.
    pub title: String,
    /// When it is taken.
    pub when: Predicate,
    /// Whether it is taken while that is not known.
    pub unless_known: bool,
    /// What it does.
    pub effect: Effect,
}

/// What a branch does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Open work is due at once.
    Asap,
    /// What has not come due may take so much longer; T stays as it is.
    Stretch(Offset),
    /// These rows do not apply.
    Drop(Vec<TaskId>),
}

/// Who holds a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldBy {
    /// Whoever leads the incident.
    Lead,
    /// Whoever stands in for the lead.
    Deputy,
    /// Whoever leads the first incident of the shared release.
    FirstLead,
}

/// A role of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// What people call it.
    pub label: String,
    /// Who holds it, where it is not the roster that says so.
    pub held_by: Option<HeldBy>,
}

/// The longest time between a fact and T.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cap {
    /// Counted from this.
    pub from: Anchor,
    /// So long.
    pub span: Offset,
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
    /// Its roles.
    pub roles: BTreeMap<String, Role>,
    /// What must be in the record for the incident to count as triaged.
    pub triaged: Vec<String>,
    /// Its branches, in the order of the file.
    pub branches: Vec<Branch>,
    /// When a reporter may join the team; always, where nothing is said.
    pub reporter_joins: Option<(Predicate, TaskId)>,
    /// The checklist for a tracker, as a template; the desk's own where nothing is said.
    pub checklist: Option<String>,
    /// What the document is called.
    pub document: Option<String>,
    /// Audiences.
    pub groups: BTreeMap<String, Group>,
    /// Declared fields.
    pub fields: BTreeMap<String, Field>,
    /// The rows, in the order of the file.
    pub tasks: Vec<Task>,
    /// The SHA-256 of the text it was read from.
    pub digest: Digest,
    /// The SHA-256 of the text of its calendar, if it names one.
    pub calendar_digest: Option<Digest>,
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
        self.roles.get(role).map_or(role, |role| role.label.as_str())
    }
}

/// Fields that every incident has, whatever the playbook declares.
#[must_use]
pub fn common_fields() -> BTreeMap<String, Field> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let mut fields = BTreeMap::new();
    let mut add = |id: &str, field: Field| fields.insert(id.to_owned(), field);
    add("affected", Field::of("affected versions", FieldType::Versions));
    add("fixed", Field::text("fixed version"));
    add("impact", Field::text("impact"));
    add("mitigation", Field::text("mitigation"));
    add("binaries", Field::text("where the fixed release is found"));
    add("credit", Field::text("credit"));
    add("summary", Field::text("summary"));
    add("branches", Field::of("affected branches that are maintained", FieldType::List));
    add("parties", Field::of("other parties", FieldType::List));
    let disclosed = Field::of("when the team was told", FieldType::Moment);
    add("disclosed", Field { anchor: Some(Anchor::Disclosed), ..disclosed });
    let intent = Field::of("when the reporter said that they will publish", FieldType::Moment);
    add("intent_to_publish", Field { anchor: Some(Anchor::IntentToPublish), ..intent });
    let upstream = Field::of("the date of the project that the fix relies on", FieldType::Moment);
    add("upstream", Field { anchor: Some(Anchor::Upstream), ..upstream });
    let channel = FieldType::Enum(words(&["private", "public"]));
    let channel = Field::of("how the reporter made contact", channel);
    add("channel", Field { default: Some("private".to_owned()), ..channel });
    let external = Field::of("whether the reporter is from outside", FieldType::YesNo);
    add("reporter_external", Field { default: Some("yes".to_owned()), ..external });
    fields
}

/// Fields of the record that have words of their own.
pub const OWN_WORDS: &[&str] =
    &["cve", "cvss", "deputy", "ghsa", "lead", "published", "t", "title"];

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
