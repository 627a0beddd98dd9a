//! A published security process as data: the TOML format, and a loader that refuses what it does
//! not understand.
//!
//! A row that this version cannot execute is refused, never skipped: an operator who writes it
//! must not believe that it happens. Every refusal names the file and the line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::NaiveTime;
use serde::Deserialize;
use toml::Spanned;

use super::names::{Digest, Span, TaskId, is_id};
use super::offset::{Calendar, Offset, WeekDays, Window, parse_time, parse_zone};
use super::texts::{Class, Texts};

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

    /// The notices.
    pub fn notices(&self) -> impl Iterator<Item = &Task> {
        self.tasks.iter().filter(|task| task.kind == Kind::Draft)
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

mod file {
    //! The file's own shape. Unknown keys are refused everywhere.
    use super::{Action, BTreeMap, Deserialize, Kind, Spanned};

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct File {
        pub(super) playbook: Spanned<Head>,
        #[serde(default)]
        pub(super) t: Option<Spanned<T>>,
        #[serde(default)]
        pub(super) human_answer: Option<Spanned<Human>>,
        #[serde(default, rename = "role")]
        pub(super) roles: Vec<Spanned<Role>>,
        #[serde(default, rename = "group")]
        pub(super) groups: Vec<Spanned<Group>>,
        #[serde(default, rename = "field")]
        pub(super) fields: Vec<Spanned<Field>>,
        #[serde(default, rename = "task")]
        pub(super) tasks: Vec<Spanned<Task>>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Head {
        pub(super) id: String,
        pub(super) version: u32,
        pub(super) title: String,
        pub(super) zone: Option<String>,
        #[serde(default)]
        pub(super) holidays: Vec<String>,
        pub(super) intake: String,
        pub(super) ask: Option<String>,
        #[expect(dead_code, reason = "says which document the line numbers are of; for readers")]
        pub(super) document: Option<String>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct T {
        pub(super) at: Option<String>,
        pub(super) days: Option<String>,
        pub(super) min_lead: Option<String>,
        pub(super) stale: Option<String>,
        pub(super) slip: Option<String>,
        #[expect(dead_code, reason = "for readers of the file")]
        pub(super) src: Option<String>,
        #[expect(dead_code, reason = "for readers of the file")]
        pub(super) origin: Option<Origin>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Human {
        pub(super) due: String,
        #[serde(default)]
        pub(super) remind: Vec<u32>,
        #[serde(default)]
        pub(super) escalate: Vec<String>,
        #[expect(dead_code, reason = "for readers of the file")]
        pub(super) src: Option<String>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Role {
        pub(super) id: String,
        pub(super) label: String,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Group {
        pub(super) id: String,
        pub(super) label: String,
        pub(super) tlp: String,
        #[serde(default)]
        pub(super) public: Vec<String>,
        #[expect(dead_code, reason = "for readers of the file")]
        pub(super) src: Option<String>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Field {
        pub(super) id: String,
        pub(super) label: String,
    }
    /// Where a row comes from when no line of the document says it.
    #[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
    #[serde(rename_all = "snake_case")]
    pub(super) enum Origin {
        Upstream,
        Local,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Task {
        pub(super) id: String,
        pub(super) alias: Option<String>,
        pub(super) phase: String,
        pub(super) title: String,
        pub(super) role: Option<String>,
        pub(super) kind: Kind,
        pub(super) when: Option<BTreeMap<String, String>>,
        #[serde(default)]
        pub(super) standing: bool,
        #[serde(default)]
        pub(super) after: Vec<String>,
        pub(super) action: Option<Action>,
        pub(super) sets: Option<String>,
        #[serde(default)]
        pub(super) agree: Vec<String>,
        #[serde(default)]
        pub(super) evidence: bool,
        #[serde(default)]
        pub(super) needs: Vec<String>,
        pub(super) template: Option<String>,
        pub(super) audience: Option<String>,
        pub(super) approvals: Option<usize>,
        #[serde(default)]
        pub(super) four_eyes: bool,
        pub(super) src: Option<String>,
        pub(super) origin: Option<Origin>,
        // Known to the format and not executed by this version: refused with a reason, so that
        // nobody relies on them.
        pub(super) r#if: Option<toml::Value>,
        pub(super) fan_out: Option<toml::Value>,
        pub(super) repeat: Option<toml::Value>,
        pub(super) skip: Option<toml::Value>,
        pub(super) escalate: Option<toml::Value>,
        pub(super) optional: Option<toml::Value>,
    }
}

/// TLP 2.0 labels from the narrowest audience to the widest.
pub const TLP: &[&str] = &["RED", "AMBER+STRICT", "AMBER", "GREEN", "CLEAR"];

/// Reads a playbook and checks it whole.
///
/// # Errors
/// Everything that is wrong with it, each with its line.
pub fn load(text: &str) -> Result<Playbook, Vec<Problem>> {
    let file: file::File = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        vec![Problem { line, message: error.message().to_owned() }]
    })?;
    let mut loader = Loader { text, problems: Vec::new() };
    let playbook = loader.playbook(file);
    if loader.problems.is_empty() { Ok(playbook) } else { Err(loader.problems) }
}

fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|b| *b == b'\n').count().saturating_add(1)
}

struct Loader<'a> {
    text: &'a str,
    problems: Vec<Problem>,
}

impl Loader<'_> {
    fn wrong(&mut self, at: usize, message: impl Into<String>) {
        self.problems.push(Problem { line: line_of(self.text, at), message: message.into() });
    }

    /// Takes the value, or notes the problem and goes on with a stand-in.
    fn take<T>(&mut self, at: usize, read: Result<T, String>, otherwise: T) -> T {
        read.unwrap_or_else(|message| {
            self.wrong(at, message);
            otherwise
        })
    }

    fn offset(&mut self, at: usize, text: Option<&str>, otherwise: &str) -> Offset {
        let read = Offset::parse(text.unwrap_or(otherwise));
        self.take(at, read, Offset::ZERO)
    }

    fn playbook(&mut self, file: file::File) -> Playbook {
        let head_at = file.playbook.span().start;
        let head = file.playbook.into_inner();
        if !is_id(&head.id) {
            self.wrong(
                head_at,
                format!("`{}` is no id; use letters, digits, `-` and `_`", head.id),
            );
        }
        let zone = parse_zone(head.zone.as_deref().unwrap_or("UTC"));
        let mut calendar = Calendar::plain(self.take(head_at, zone, chrono_tz::Tz::UTC));
        for day in &head.holidays {
            match day.parse() {
                Ok(date) => {
                    calendar.holidays.insert(date);
                }
                Err(_) => {
                    self.wrong(head_at, format!("holiday `{day}` is no date; write `2026-12-25`"))
                }
            }
        }
        let roles = self.roles(file.roles);
        let groups = self.groups(file.groups);
        let fields = self.fields(file.fields);
        if !roles.contains_key(&head.intake) {
            self.wrong(
                head_at,
                format!("intake role `{}` is not declared; add a [[role]]", head.intake),
            );
        }
        let human_answer = self.human_answer(file.human_answer, &roles);
        let t = self.t_rule(file.t);
        let mut playbook = Playbook {
            id: head.id,
            version: head.version,
            title: head.title,
            ask: head.ask,
            intake: head.intake,
            calendar,
            human_answer,
            t,
            roles,
            groups,
            fields,
            tasks: Vec::new(),
            digest: Digest::of(self.text.as_bytes()),
        };
        let places: Vec<usize> = file.tasks.iter().map(|task| task.span().start).collect();
        for row in file.tasks {
            let at = row.span().start;
            let task = self.task(at, row.into_inner(), &playbook);
            playbook.tasks.push(task);
        }
        self.check_order(&playbook, &places);
        playbook
    }

    fn roles(&mut self, rows: Vec<Spanned<file::Role>>) -> BTreeMap<String, String> {
        let mut roles = BTreeMap::new();
        for row in rows {
            let at = row.span().start;
            let role = row.into_inner();
            if !is_id(&role.id) {
                self.wrong(at, format!("`{}` is no id for a role", role.id));
            }
            if roles.insert(role.id.clone(), role.label).is_some() {
                self.wrong(at, format!("role `{}` is declared twice", role.id));
            }
        }
        roles
    }

    fn groups(&mut self, rows: Vec<Spanned<file::Group>>) -> BTreeMap<String, Group> {
        let mut groups = BTreeMap::new();
        for row in rows {
            let at = row.span().start;
            let group = row.into_inner();
            if !TLP.contains(&group.tlp.as_str()) {
                self.wrong(
                    at,
                    format!("`{}` is no TLP 2.0 label; write one of {}", group.tlp, TLP.join(", ")),
                );
            }
            if !group.public.is_empty() && group.tlp != "CLEAR" {
                self.wrong(
                    at,
                    format!("group `{}` has public addresses, so its tlp must be CLEAR", group.id),
                );
            }
            let mut public = Vec::new();
            for text in &group.public {
                match super::names::Address::parse(text) {
                    Some(address) => public.push(address),
                    None => self.wrong(at, format!("`{text}` is no mail address")),
                }
            }
            let known = groups
                .insert(group.id.clone(), Group { label: group.label, tlp: group.tlp, public });
            if known.is_some() {
                self.wrong(at, format!("group `{}` is declared twice", group.id));
            }
        }
        groups
    }

    fn fields(&mut self, rows: Vec<Spanned<file::Field>>) -> BTreeMap<String, Field> {
        let mut fields: BTreeMap<String, Field> = COMMON_FIELDS
            .iter()
            .map(|(id, label)| ((*id).to_owned(), Field { label: (*label).to_owned() }))
            .collect();
        for row in rows {
            let at = row.span().start;
            let field = row.into_inner();
            if !is_id(&field.id) {
                self.wrong(at, format!("`{}` is no id for a field", field.id));
            }
            fields.insert(field.id, Field { label: field.label });
        }
        fields
    }

    fn human_answer(
        &mut self,
        section: Option<Spanned<file::Human>>,
        roles: &BTreeMap<String, String>,
    ) -> HumanAnswer {
        let Some(section) = section else {
            return HumanAnswer {
                due: Offset::parse("24h").unwrap_or(Offset::ZERO),
                remind: vec![50, 80],
                escalate: Vec::new(),
            };
        };
        let at = section.span().start;
        let human = section.into_inner();
        let due = self.offset(at, Some(&human.due), "24h");
        if due.rough() <= Span::zero() {
            self.wrong(at, "the time for a person's answer must be longer than nothing");
        }
        if human.remind.iter().any(|percent| !(1..100).contains(percent)) {
            self.wrong(at, "reminders are per cent of the time, from 1 to 99");
        }
        for role in &human.escalate {
            if !roles.contains_key(role) {
                self.wrong(at, format!("escalation to role `{role}`, which is not declared"));
            }
        }
        HumanAnswer { due, remind: human.remind, escalate: human.escalate }
    }

    fn t_rule(&mut self, section: Option<Spanned<file::T>>) -> TRule {
        let (at, t) = section.map_or((0, None), |s| (s.span().start, Some(s.into_inner())));
        let time = t.as_ref().and_then(|t| t.at.as_deref()).map(parse_time).transpose();
        let days = t.as_ref().and_then(|t| t.days.as_deref()).map(WeekDays::parse).transpose();
        TRule {
            at: self.take(at, time, None),
            days: self.take(at, days, None),
            min_lead: self.offset(at, t.as_ref().and_then(|t| t.min_lead.as_deref()), "0"),
            stale: self.offset(at, t.as_ref().and_then(|t| t.stale.as_deref()), "24h"),
            slip: self.offset(at, t.as_ref().and_then(|t| t.slip.as_deref()), "1h"),
        }
    }

    fn task(&mut self, at: usize, row: file::Task, so_far: &Playbook) -> Task {
        let id = self.task_id(at, &row.id);
        for word in [Some(&row.id), row.alias.as_ref()].into_iter().flatten() {
            if so_far.task(word).is_some() {
                self.wrong(at, format!("`{word}` names two tasks; ids and aliases must differ"));
            }
        }
        self.refuse_what_is_not_executed(at, &row);
        if row.src.is_some() == row.origin.is_some() {
            self.wrong(
                at,
                format!("task `{id}` needs either `src` (a line of the document) or `origin`"),
            );
        }
        let role = row.role.clone().unwrap_or_else(|| so_far.intake.clone());
        for role in row.agree.iter().chain([&role]) {
            if !so_far.roles.contains_key(role) {
                self.wrong(at, format!("task `{id}` is for role `{role}`, which is not declared"));
            }
        }
        for field in &row.needs {
            if !so_far.fields.contains_key(field)
                && !["cve", "cvss", "title"].contains(&field.as_str())
            {
                self.wrong(at, format!("task `{id}` needs field `{field}`, which is not declared"));
            }
        }
        let when = self.when(at, &row);
        let sets = row.sets.as_deref().map(|name| {
            ANCHORS
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, a)| *a)
                .ok_or_else(|| no_anchor(name))
        });
        let sets = self.take(at, sets.transpose(), None);
        let (audience, approvals) = self.notice(at, &row, so_far);
        if (row.kind == Kind::Auto) != row.action.is_some() {
            self.wrong(at, format!("task `{id}`: `action` belongs to kind `auto`, and only there"));
        }
        let alias = row.alias.as_deref().map(|alias| self.task_id(at, alias));
        let after = row.after.iter().map(|id| self.task_id(at, id)).collect();
        Task {
            id,
            alias,
            phase: row.phase,
            title: row.title,
            role,
            kind: row.kind,
            when,
            after,
            action: row.action,
            sets,
            agree: row.agree,
            evidence: row.evidence,
            needs: row.needs,
            template: row.template,
            audience,
            approvals,
            four_eyes: row.four_eyes,
            src: row.src,
        }
    }

    fn task_id(&mut self, at: usize, text: &str) -> TaskId {
        TaskId::parse(text).unwrap_or_else(|| {
            self.wrong(at, format!("`{text}` is no id for a task"));
            TaskId::none()
        })
    }

    fn refuse_what_is_not_executed(&mut self, at: usize, row: &file::Task) {
        let keys = [
            ("if", &row.r#if),
            ("fan_out", &row.fan_out),
            ("repeat", &row.repeat),
            ("skip", &row.skip),
            ("escalate", &row.escalate),
            ("optional", &row.optional),
        ];
        for (key, value) in keys {
            if value.is_some() {
                let id = &row.id;
                self.wrong(
                    at,
                    format!(
                        "task `{id}`: this version does not execute `{key}`; leave the row out"
                    ),
                );
            }
        }
    }

    fn when(&mut self, at: usize, row: &file::Task) -> Option<When> {
        let Some(when) = &row.when else {
            let needs_none = row.standing || row.kind == Kind::Record;
            if !needs_none {
                self.wrong(
                    at,
                    format!("task `{}` has no anchor; add `when`, or `standing = true`", row.id),
                );
            }
            if row.standing && row.kind != Kind::Gate {
                self.wrong(at, format!("task `{}`: only a gate can be standing", row.id));
            }
            return None;
        };
        let mut anchors = Vec::new();
        let names = when.get("anchor").map_or("", String::as_str);
        for name in names.split('|') {
            match ANCHORS.iter().find(|(known, _)| *known == name) {
                Some((_, anchor)) => anchors.push(*anchor),
                None => self.wrong(at, no_anchor(name)),
            }
        }
        for key in when.keys() {
            if !["anchor", "offset", "at"].contains(&key.as_str()) {
                self.wrong(
                    at,
                    format!("task `{}`: `when` knows anchor, offset and at, not `{key}`", row.id),
                );
            }
        }
        let window = Window::parse(when.get("offset").map_or("0", String::as_str));
        let zero = Window { earliest: Offset::ZERO, due: Offset::ZERO };
        let time = when.get("at").map(|text| parse_time(text)).transpose();
        Some(When { anchors, window: self.take(at, window, zero), at: self.take(at, time, None) })
    }

    fn notice(
        &mut self,
        at: usize,
        row: &file::Task,
        so_far: &Playbook,
    ) -> (Option<Audience>, usize) {
        let id = &row.id;
        if row.kind != Kind::Draft {
            if row.template.is_some()
                || row.audience.is_some()
                || row.approvals.is_some()
                || row.four_eyes
            {
                self.wrong(
                    at,
                    format!("task `{id}`: template, audience and approvals belong to kind `draft`"),
                );
            }
            return (None, 1);
        }
        let template = row.template.as_deref().unwrap_or("");
        let class = Texts::class(template);
        if !matches!(class, Some(Class::Notice | Class::Public)) {
            self.wrong(at, format!("task `{id}`: `{template}` is no template of a notice"));
        }
        let name = row.audience.as_deref().unwrap_or("");
        let audience = match so_far.groups.get(name) {
            Some(group) if group.public.is_empty() => Some(Audience::Group(name.to_owned())),
            Some(_) => Some(Audience::Public(name.to_owned())),
            None if so_far.roles.contains_key(name) => Some(Audience::Role(name.to_owned())),
            None => {
                self.wrong(
                    at,
                    format!("task `{id}`: audience `{name}` is neither a group nor a role"),
                );
                None
            }
        };
        if (class == Some(Class::Public)) != matches!(audience, Some(Audience::Public(_))) {
            self.wrong(
                at,
                format!("task `{id}`: a public group and a public template go together only"),
            );
        }
        let approvals = row.approvals.unwrap_or(1);
        if !(1..=5).contains(&approvals) {
            self.wrong(at, format!("task `{id}`: approvals are 1 to 5"));
        }
        (audience, approvals.clamp(1, 5))
    }

    /// What can only be seen with all rows in hand: unknown and circular `after`, T-minus rows out
    /// of order, public notices without a gate.
    fn check_order(&mut self, playbook: &Playbook, places: &[usize]) {
        let at = |n: usize| places.get(n).copied().unwrap_or(0);
        let mut t_minus: Option<(usize, Span)> = None;
        for (n, task) in playbook.tasks.iter().enumerate() {
            for before in &task.after {
                if !playbook.tasks.iter().any(|other| other.id == *before) {
                    self.wrong(
                        at(n),
                        format!("task `{}` comes after `{before}`, which is not there", task.id),
                    );
                }
            }
            if in_circle(playbook, n) {
                self.wrong(at(n), format!("task `{}` waits for itself; look at `after`", task.id));
            }
            if matches!(task.audience, Some(Audience::Public(_))) && !has_gate(playbook, task) {
                self.wrong(at(n), format!("task `{}` is public and comes after no gate", task.id));
            }
            let before_t = task
                .when
                .as_ref()
                .filter(|when| when.anchors == [Anchor::T] && when.window.due.is_before());
            if let (Some(when), Kind::Draft) = (before_t, task.kind) {
                let due = when.window.due.rough();
                if let Some((_, earlier)) = t_minus
                    && due < earlier
                {
                    self.wrong(
                        at(n),
                        format!("task `{}` is earlier than the T-minus row above it", task.id),
                    );
                }
                t_minus = Some((n, due));
            }
        }
    }
}

fn no_anchor(name: &str) -> String {
    let known: Vec<_> = ANCHORS.iter().map(|(name, _)| *name).collect();
    format!("`{name}` is no anchor; write one of {}", known.join(", "))
}

fn in_circle(playbook: &Playbook, start: usize) -> bool {
    let Some(first) = playbook.tasks.get(start) else {
        return false;
    };
    let mut seen = BTreeSet::new();
    let mut todo: Vec<&TaskId> = first.after.iter().collect();
    while let Some(id) = todo.pop() {
        if *id == first.id {
            return true;
        }
        if seen.insert(id)
            && let Some(task) = playbook.tasks.iter().find(|task| task.id == *id)
        {
            todo.extend(&task.after);
        }
    }
    false
}

fn has_gate(playbook: &Playbook, task: &Task) -> bool {
    task.after.iter().any(|id| {
        playbook
            .tasks
            .iter()
            .any(|other| other.id == *id && other.kind == Kind::Gate && !other.is_standing())
    })
}
