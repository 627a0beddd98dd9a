//! What is due when: derived from an incident's history every time, and stored nowhere.
//!
//! [`agenda`] is for people; [`duties`] is for the desk. Both follow from the same few rules, so
//! that what people are shown is what happens. Nothing here depends on the present except the
//! words "due" and "late": a moment that has passed stays in the list until it is dealt with.

use crate::domain::facts::names::{Moment, TaskId};
use crate::domain::model::incident::Incident;
use crate::domain::process::playbook::{Action, Anchor, Audience, Kind, Task, Truth};

mod duties;
mod leaving;
mod moments;

pub use crate::domain::model::schedule::duties::{
    Duty, NOBODY_LEFT, Next, duties, human_due, next, stale_mark,
};
pub use crate::domain::model::schedule::leaving::{
    Block, approvals_missing, excludes_editor, is_late, may_leave,
};
pub use crate::domain::model::schedule::moments::{planned_span, span_of};

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Done, or sent.
    Done(Moment),
    /// A rule that always holds.
    Always,
    /// It counts from something that has not happened, or needs to know something first; the text
    /// says what.
    WaitingFor(String),
    /// Others come first.
    BlockedBy(Vec<TaskId>),
    /// Its time has not come.
    Upcoming,
    /// It can be done now, and has no deadline.
    Open,
    /// It can and should be done now.
    Due,
    /// Its time has passed.
    Late,
    /// Events have overtaken it.
    Moot,
    /// The process does not ask for it here; the text says why.
    NotHere(String),
    /// Somebody decided that it will not be done.
    Skipped(Moment),
}

impl State {
    /// When it was done or skipped.
    #[must_use]
    pub fn settled(&self) -> Option<Moment> {
        if let Self::Done(at) | Self::Skipped(at) = self { Some(*at) } else { None }
    }

    /// As a word for tables.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::Always => "always",
            Self::WaitingFor(_) => "waiting",
            Self::BlockedBy(_) => "blocked",
            Self::Upcoming => "upcoming",
            Self::Open => "open",
            Self::Due => "due",
            Self::Late => "LATE",
            Self::Moot => "moot",
            Self::NotHere(_) => "not here",
            Self::Skipped(_) => "skipped",
        }
    }
}

/// A row of the agenda.
#[derive(Debug, Clone)]
pub struct Item<'a> {
    /// The task.
    pub task: &'a Task,
    /// Which part of it, for one that is repeated over branches, CVE numbers or parties.
    pub part: Option<String>,
    /// Where it stands.
    pub state: State,
    /// Not before.
    pub earliest: Option<Moment>,
    /// Late after.
    pub due: Option<Moment>,
}

impl Item<'_> {
    /// The word by which people name it.
    #[must_use]
    pub fn word(&self) -> String {
        let word = self.task.word().as_str();
        self.part.as_ref().map_or_else(|| word.to_owned(), |part| format!("{word}/{part}"))
    }
}

/// The tasks of an incident in the order of its playbook.
#[must_use]
pub fn agenda(incident: &Incident, now: Moment) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    for task in incident.tasks() {
        let span = span_of(incident, task);
        let (earliest, due) = span.map_or((None, None), |(from, to)| (Some(from), to));
        let mut add = |part: Option<String>| {
            let state = state_of(incident, task, part.as_deref(), now);
            items.push(Item { task, part, state, earliest, due });
        };
        match task.fan_out.and_then(|fan_out| incident.parts(fan_out)) {
            Some(parts) => parts.into_iter().for_each(|part| add(Some(part))),
            None => add(None),
        }
    }
    items
}

fn state_of(incident: &Incident, task: &Task, part: Option<&str>, now: Moment) -> State {
    let id = part.map_or_else(|| task.id.clone(), |part| task.id.part(part));
    if let Some(skipped) = incident.skipped.get(&id).or_else(|| incident.skipped.get(&task.id)) {
        return State::Skipped(skipped.at);
    }
    let done = match part {
        Some(_) => incident.done.get(&id).map(|done| done.at),
        None => done_at(incident, task),
    };
    if let Some(at) = done {
        return State::Done(at);
    }
    if is_always(task) {
        return State::Always;
    }
    if is_moot(incident, task) || !incident.status.is_open() {
        return State::Moot;
    }
    match incident.applies(task) {
        Truth::Yes => {}
        Truth::No => return State::NotHere(why_not(incident, task)),
        Truth::Unknown(missing) => {
            return State::WaitingFor(crate::domain::model::incident::names(&missing));
        }
    }
    if let (Some(fan_out), None) = (task.fan_out, part) {
        return State::WaitingFor(fan_out.field().to_owned());
    }
    if task.when.is_none() {
        let missing: Vec<_> = missing(incident, task).collect();
        return State::WaitingFor(missing.join(", "));
    }
    let Some((earliest, due)) = span_of(incident, task) else {
        let names: Vec<_> =
            task.when.iter().flat_map(|when| &when.anchors).map(ToString::to_string).collect();
        return State::WaitingFor(names.join(" or "));
    };
    let before: Vec<_> = open_before(incident, task).cloned().collect();
    if !before.is_empty() && now >= earliest {
        return State::BlockedBy(before);
    }
    let asap = task.when.as_ref().is_some_and(|when| when.window.asap);
    match (now < earliest, due) {
        (true, _) => State::Upcoming,
        (false, None) if asap => State::Due,
        (false, None) => State::Open,
        (false, Some(due)) if now <= due => State::Due,
        (false, Some(_)) => State::Late,
    }
}

/// Whether a row is not done at a moment but holds all the time: rules, what the desk does whenever
/// it is asked, and what is about the list and not about the incident.
fn is_always(task: &Task) -> bool {
    let of_the_list = |when: &crate::domain::process::playbook::When| {
        when.anchors.iter().all(|anchor| anchor.is_of_the_list())
    };
    task.is_standing()
        || matches!(task.action, Some(Action::SendKey | Action::Link))
        || task.when.as_ref().is_some_and(of_the_list)
}

fn why_not(incident: &Incident, task: &Task) -> String {
    let dropped = incident.branches().find(|branch| match &branch.effect {
        crate::domain::process::playbook::Effect::Drop(rows) => rows.contains(&task.id),
        crate::domain::process::playbook::Effect::Asap
        | crate::domain::process::playbook::Effect::Stretch(_) => false,
    });
    match (dropped, &task.applies) {
        (Some(branch), _) => branch.title.clone(),
        (None, Some(predicate)) => format!("only if {}", predicate.text),
        (None, None) => String::new(),
    }
}

/// When a task was done: by a person, by the desk, or because the record has what it asks for. One
/// that was skipped counts as done for what comes after it.
#[must_use]
pub fn done_at(incident: &Incident, task: &Task) -> Option<Moment> {
    if let Some(repeat) = task.when.as_ref().and_then(|when| when.repeat.as_ref()) {
        let skipped = incident.skipped.get(&task.id).map(|done| done.at);
        return skipped.or_else(|| incident.anchor(repeat.until?));
    }
    let settled = |id: &TaskId| incident.done.get(id).or_else(|| incident.skipped.get(id));
    if let Some(done) = settled(&task.id) {
        return Some(done.at);
    }
    // A plan is settled when it was made, and not when it comes.
    let known = |anchor: &Anchor| {
        let moment = incident.anchor(*anchor)?;
        if anchor.is_planned() { incident.t_set } else { Some(moment) }
    };
    if let Some(at) = task.fact.iter().filter_map(known).min() {
        return Some(at);
    }
    if let Some(follows) = task.follows.and_then(|anchor| incident.anchor(anchor)) {
        return (incident.t() == Some(follows)).then_some(incident.t_set).flatten();
    }
    if let Some(fan_out) = task.fan_out {
        let parts = incident.parts(fan_out)?;
        let done: Option<Vec<Moment>> =
            parts.iter().map(|part| settled(&task.id.part(part)).map(|done| done.at)).collect();
        return done?.into_iter().max();
    }
    match task.kind {
        Kind::Auto => match task.action {
            Some(Action::Open) => Some(incident.opened),
            Some(Action::Acknowledge | Action::AskDetails) => incident.acknowledge,
            Some(Action::AskLead) => {
                incident.lead.as_ref().and_then(|_| incident.set_at.get("lead")).copied()
            }
            Some(
                Action::SendKey
                | Action::Link
                | Action::Tell
                | Action::ListBatch
                | Action::Verify
                | Action::VerifyNew
                | Action::EndRole,
            )
            | None => None,
        },
        Kind::Draft => sent_at(incident, task),
        Kind::Record | Kind::Decide => {
            let known = !task.needs.is_empty() && missing(incident, task).next().is_none();
            let at = task.needs.iter().filter_map(|field| incident.set_at.get(field)).max();
            known.then(|| at.copied().unwrap_or(incident.opened))
        }
        Kind::Human | Kind::Gate => None,
    }
}

/// When a notice was sent. What goes to the public counts once the mail server has taken it: what
/// comes after an announcement must not come before it.
fn sent_at(incident: &Incident, task: &Task) -> Option<Moment> {
    let mut releases = incident.notices.get(&task.id)?.releases.values();
    let left = releases.find(|release| release.complete.is_some())?;
    match task.audience {
        Some(Audience::Public(_)) => left.accepted,
        Some(
            Audience::Group(_) | Audience::Member { .. } | Audience::Role(_) | Audience::Reporter,
        )
        | None => Some(left.at),
    }
}

/// What a task needs and the record does not have.
pub fn missing<'a>(incident: &'a Incident, task: &'a Task) -> impl Iterator<Item = &'a str> {
    task.needs.iter().map(String::as_str).filter(|field| !incident.is_known(field))
}

/// Tasks that come before this one, apply and are not done.
pub fn open_before<'a>(incident: &'a Incident, task: &'a Task) -> impl Iterator<Item = &'a TaskId> {
    task.after.iter().filter(|id| {
        incident.task(id).is_none_or(|before| {
            done_at(incident, before).is_none()
                && incident.applies(before) != Truth::No
                && !is_moot(incident, before)
        })
    })
}

/// Whether one of the gates before a row was opened by people. A branch that drops a gate does not
/// open it.
#[must_use]
pub fn a_gate_is_open(incident: &Incident, task: &Task) -> bool {
    let gates = task.after.iter().filter_map(|id| incident.task(id));
    // Skipping a gate lets the team go on; it publishes nothing.
    let open = |gate: &Task| {
        let parts = gate.fan_out.and_then(|fan_out| incident.parts(fan_out)).unwrap_or_default();
        let skipped = parts.iter().any(|part| incident.skipped.contains_key(&gate.id.part(part)));
        done_at(incident, gate).is_some() && !skipped && !incident.skipped.contains_key(&gate.id)
    };
    gates.filter(|before| before.kind == Kind::Gate).any(open)
}

/// Whether a notice has lost its meaning: what announces a date is moot once all is public, by
/// whomever.
#[must_use]
pub fn is_moot(incident: &Incident, task: &Task) -> bool {
    task.announces() && (incident.published().is_some() || incident.known_public().is_some())
}
