//! A process as a whole: its roles, groups, rights, fields and rules.

use std::collections::BTreeMap;
use std::fmt;

use chrono::NaiveTime;
use serde::Deserialize;

use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::names::{Address, Digest, TaskId};
use crate::domain::process::offset::{Calendar, Offset, Snap, WeekDays};
use crate::domain::process::playbook::field::{Field, FieldType};
use crate::domain::process::playbook::predicate::Predicate;
use crate::domain::process::playbook::task::Task;

/// The playbooks that come with the program: name and text.
pub const BUILTIN: &[(&str, &str)] = &[
    ("apereo", include_str!("../../../../config/playbooks/apereo.toml")),
    ("default", include_str!("../../../../config/playbooks/default.toml")),
    ("drill", include_str!("../../../../config/playbooks/drill.toml")),
    ("emissary", include_str!("../../../../config/playbooks/emissary.toml")),
    ("isc", include_str!("../../../../config/playbooks/isc.toml")),
    ("minder", include_str!("../../../../config/playbooks/minder.toml")),
    ("stalwart", include_str!("../../../../config/playbooks/stalwart.toml")),
];

/// An audience outside the team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What people call it.
    pub label: String,
    /// The TLP label of what it gets.
    pub tlp: String,
    /// Addresses of public lists; empty for an embargoed group, whose members the journal has.
    pub public: Vec<Address>,
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
    /// And T earlier than this.
    pub min_span: Vec<Cap>,
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
            min_span: Vec::new(),
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

/// The longest time between a fact and T, or the shortest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cap {
    /// Counted from this.
    pub from: Anchor,
    /// So long.
    pub span: Offset,
    /// The line of the document that says so.
    pub line: Option<String>,
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
    /// Whether people may answer a reporter in clear.
    pub clear_answers: bool,
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
    // What a distributor needs in order to act.
    add("product", Field::text("product"));
    add("component", Field::text("component"));
    add("severity_note", Field::text("what the score means for those who run it"));
    add("test", Field::text("how somebody sees whether they are affected"));
    add("description", Field::text("what goes wrong and why, as deep as members may know"));
    add("patches", Field::text("how the attached patches are applied"));
    add("deploy", Field::text("what members may deploy before T, from when and where"));
    add("may_know", Field::text("who of a member's people may know"));
    add("contact", Field::text("who answers questions"));
    add("how_to", Field::text("where it says how to update"));
    add("pull_requests", Field::text("pull requests that fix it"));
    add("introduced_by", Field::text("the change that introduced it"));
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
