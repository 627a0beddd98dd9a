//! What has been done, what is missing, and what stands in the way.

use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::names::{Moment, TaskId};
use crate::domain::model::incident::{Done, Incident};
use crate::domain::process::playbook::{Action, Audience, Kind, Task, Truth};

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
        // A person does with it what the text says, and says so.
        Kind::Draft if task.close => None,
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
pub(crate) fn sent_at(incident: &Incident, task: &Task) -> Option<Moment> {
    // One that left on another incident spoke of this one as well.
    let shared = incident.shared.iter().filter(|((_, notice, _), _)| *notice == task.id);
    if let Some(at) = shared.map(|(_, shared)| shared.at).min() {
        return Some(at);
    }
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

/// Whether the desk has done its part of a row by mail, and the rest is a person's.
#[must_use]
pub fn is_with_a_person(incident: &Incident, task: &Task) -> bool {
    task.kind == Kind::Draft && task.close && sent_at(incident, task).is_some()
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

/// Whether a gate before a row was opened, the last of them by two people. A branch that drops a gate
/// does not open it.
#[must_use]
pub fn a_gate_is_open(incident: &Incident, task: &Task) -> bool {
    last_opened(incident, task).is_some_and(|done| done.seconded.is_some())
}

/// How the last of the gates before a row was opened, if one was by people. Skipping a gate lets the team
/// go on; it publishes nothing.
fn last_opened<'a>(incident: &'a Incident, task: &Task) -> Option<&'a Done> {
    let gates = task.after.iter().filter_map(|id| incident.task(id));
    let gates = gates.filter(|before| before.kind == Kind::Gate);
    let opened = gates.filter_map(|gate| {
        let parts = gate.fan_out.and_then(|fan_out| incident.parts(fan_out)).unwrap_or_default();
        let parts: Vec<TaskId> = parts.iter().map(|part| gate.id.part(part)).collect();
        let skipped = parts.iter().chain([&gate.id]).any(|id| incident.skipped.contains_key(id));
        let opened = done_at(incident, gate).filter(|_| !skipped);
        let dones = parts.iter().chain([&gate.id]).filter_map(|id| incident.done.get(id));
        // The two of one moment count where one and two are of the same.
        opened.and_then(|_| dones.max_by_key(|done| (done.at, done.seconded.is_some())))
    });
    opened.max_by_key(|done| (done.at, done.seconded.is_some()))
}

/// Whether a notice has lost its meaning: what announces a date is moot once all is public, by
/// whomever.
#[must_use]
pub fn is_moot(incident: &Incident, task: &Task) -> bool {
    task.announces() && (incident.published().is_some() || incident.known_public().is_some())
}
