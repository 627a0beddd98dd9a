//! From when to when a row is to be done.

use crate::domain::facts::anchor::{Anchor, SetBy};
use crate::domain::facts::names::{Moment, Span, later};
use crate::domain::model::incident::Incident;
use crate::domain::process::offset::Offset;
use crate::domain::process::playbook::{Audience, Kind, Task, When};

/// How long a notice that was added waits for its approval before people are told that it does.
const OWN_PATIENCE: Span = Span::hours(4);

/// From when to when a task is to be done, once its anchor is known; the second is none where there
/// is no deadline. Public knowledge makes open work due at once, exploitation takes the slack out
/// of what does not count from T, and a decision to slow down gives more time.
#[must_use]
pub fn span_of(incident: &Incident, task: &Task) -> Option<(Moment, Option<Moment>)> {
    if let Some(own) = incident.own.iter().find(|own| own.task.id == task.id) {
        return Some((own.at, Some(later(own.at, OWN_PATIENCE))));
    }
    let when = task.when.as_ref()?;
    let planned = planned_span(incident, task);
    if when.repeat.is_some() {
        return planned;
    }
    // What counts from the release waits for it, whatever the public knows.
    let after_release = when.anchors.iter().all(|anchor| anchor.is_after_release());
    // A notice to others does not leave earlier because somebody said so in the record: only because
    // the public knows, which is confirmed.
    let hurry = if leaves_the_team(task) {
        incident.asap().and_then(|_| incident.known_public())
    } else {
        incident.asap()
    };
    if let (Some(at), false) = (hurry, after_release) {
        // What hangs on a fact that may never be does not become due by it.
        let comes = |anchor: &Anchor| {
            matches!(anchor, Anchor::T | Anchor::Release | Anchor::Batch)
                || anchor.set_by() == SetBy::Row
        };
        if planned.is_none() && !when.anchors.iter().any(comes) {
            return None;
        }
        let (earliest, due) = planned.unwrap_or((at, None));
        return Some((earliest.min(at), Some(due.map_or(at, |due| due.min(at)))));
    }
    let (earliest, due) = planned?;
    let from_t = when.anchors.iter().any(|anchor| anchor.is_planned() || anchor.is_after_release());
    if leaves_the_team(task) {
        return Some((earliest, due));
    }
    match (incident.exploited(), due) {
        (Some(at), Some(due)) if !from_t => Some((earliest, Some(due.min(at).max(earliest)))),
        (Some(_) | None, due) => Some((earliest, due)),
    }
}

/// Whether a row is a notice to people outside the team.
fn leaves_the_team(task: &Task) -> bool {
    task.is_notice() && task.audience.as_ref().is_some_and(Audience::is_outside)
}

/// The same by the plan alone, whatever the public knows.
#[must_use]
pub fn planned_span(incident: &Incident, task: &Task) -> Option<(Moment, Option<Moment>)> {
    let when = task.when.as_ref()?;
    let calendar = &incident.playbook.calendar;
    let anchor = anchor_of(incident, when);
    let place = |offset: Offset| {
        let plain = offset.from(anchor?, calendar);
        let mut moment = plain;
        if let Some(at) = when.at {
            moment = calendar.at(moment, at);
        }
        if let Some(days) = when.days {
            moment = calendar.snap(moment, days, when.snap);
        }
        if when.roll {
            moment = calendar.roll_earlier(moment);
        }
        // Whatever moves a day: a notice before its anchor gets no later, and one at it or after it
        // no earlier.
        Some(match (task.is_notice(), offset.is_before()) {
            (true, true) => moment.min(plain),
            (true, false) => moment.max(plain),
            (false, _) => moment,
        })
    };
    let earliest = match when.window.earliest {
        Some(offset) => place(offset)?,
        // What may be done from the beginning does not wait for its anchor.
        None => incident.opened,
    };
    let due = when.window.due.and_then(place).map(|due| due.max(earliest));
    if let Some(repeat) = &when.repeat {
        let Some(last) = incident.done.get(&task.id) else {
            let due = due.filter(|due| *due > earliest);
            return Some((earliest, due.or_else(|| Some(repeat.every.from(earliest, calendar)))));
        };
        let next = repeat.every.from(last.at, calendar);
        return Some((next, Some(next)));
    }
    Some((earliest, due.map(|due| stretched(incident, task, when, due))))
}

/// A deadline with what a decision to slow down adds. Dates that others rely on stay.
fn stretched(incident: &Incident, task: &Task, when: &When, due: Moment) -> Moment {
    let fixed = |anchor: &Anchor| anchor.is_planned() || anchor.is_after_release();
    let stays = task.kind == Kind::Auto || when.anchors.iter().any(fixed);
    match incident.stretch() {
        Some(by) if !stays => by.from(due, &incident.playbook.calendar),
        Some(_) | None => due,
    }
}

/// The moment that a row counts from: the earliest of its anchors that is known.
pub(super) fn anchor_of(incident: &Incident, when: &When) -> Option<Moment> {
    when.anchors.iter().filter_map(|anchor| incident.anchor(*anchor)).min()
}
