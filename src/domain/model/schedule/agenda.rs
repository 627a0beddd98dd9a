//! Where each task of an incident stands, for people.

use crate::domain::facts::names::{Moment, TaskId, later};
use crate::domain::model::incident;
use crate::domain::model::incident::{Elsewhere, Incident};
use crate::domain::model::schedule::duties::ASAP_PATIENCE;
use crate::domain::model::schedule::moments::span_of;
use crate::domain::model::schedule::progress::{done_at, is_moot, missing, open_before};
use crate::domain::process::playbook::{Action, Effect, Task, Truth, When};

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
    /// It is done once for the release, on another incident.
    Elsewhere(Elsewhere),
    /// Somebody decided that it will not be done.
    Skipped(Moment),
}

impl State {
    /// When it was done or skipped.
    #[must_use]
    pub fn settled(&self) -> Option<Moment> {
        match self {
            Self::Done(at) | Self::Skipped(at) => Some(*at),
            Self::Elsewhere(row) => row.done.as_ref().map(|(at, _)| *at),
            Self::Always
            | Self::WaitingFor(_)
            | Self::BlockedBy(_)
            | Self::Upcoming
            | Self::Open
            | Self::Due
            | Self::Late
            | Self::Moot
            | Self::NotHere(_) => None,
        }
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
            Self::Elsewhere(row) if row.done.is_some() => "done",
            Self::Elsewhere(_) => "elsewhere",
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
    if let Some(row) = incident.sharing.elsewhere.get(&task.id) {
        return State::Elsewhere(row.clone());
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
            return State::WaitingFor(incident::names(&missing));
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
        // The desk has done its part just then; now it is a person's.
        (false, Some(due)) if task.is_closed_by_a_person() && now <= later(due, ASAP_PATIENCE) => {
            State::Due
        }
        (false, Some(_)) => State::Late,
    }
}

/// Whether a row is not done at a moment but holds all the time: rules, what the desk does whenever
/// it is asked, and what is about the list and not about the incident.
fn is_always(task: &Task) -> bool {
    let of_the_list = |when: &When| when.anchors.iter().all(|anchor| anchor.is_of_the_list());
    task.is_standing()
        || matches!(task.action, Some(Action::SendKey | Action::Link))
        || task.when.as_ref().is_some_and(of_the_list)
}

fn why_not(incident: &Incident, task: &Task) -> String {
    let dropped = incident.branches().find(|branch| match &branch.effect {
        Effect::Drop(rows) => rows.contains(&task.id),
        Effect::Asap | Effect::Stretch(_) => false,
    });
    match (dropped, &task.applies) {
        (Some(branch), _) => branch.title.clone(),
        (None, Some(predicate)) => format!("only if {}", predicate.text),
        (None, None) => String::new(),
    }
}
