//! The rows of a process: tasks, notices, gates, and when each is due.

use chrono::NaiveTime;
use serde::Deserialize;

use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::names::{PersonId, TaskId};
use crate::domain::process::offset::{Offset, Snap, WeekDays, Window};
use crate::domain::process::playbook::field::FieldType;
use crate::domain::process::playbook::predicate::Predicate;

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

    /// Whether it looks at who has a notice.
    #[must_use]
    pub fn verifies(self) -> bool {
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
    /// A line of the document, for which another row stands already.
    Document,
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
    /// The heading within that stage, where the document has one.
    pub section: Option<String>,
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
    /// Whether the desk does its part when the moment comes, and a person says that it is done.
    pub close: bool,
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
            section: None,
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
            close: false,
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

    /// Whether the desk prepares it and a person closes it.
    #[must_use]
    pub fn is_closed_by_a_person(&self) -> bool {
        self.close || self.action.is_some_and(Action::verifies)
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
