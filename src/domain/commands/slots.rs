//! What a process asks of T: the day and the hour, not before and not after; and the nearest moment that is all of it.

use chrono::Datelike as _;

use crate::domain::decide::work::Work;
use crate::domain::facts::names::Moment;
use crate::domain::process::offset::Slots;
use crate::domain::process::playbook::{Cap, Playbook};

/// A moment before or after which T is not to be, and why, in words.
struct Bound {
    at: Moment,
    why: String,
}

/// A span of the process as people read it, with its line of the document.
fn named(cap: &Cap) -> String {
    let line = cap.line.as_ref().map_or_else(String::new, |line| format!(" (line {line})"));
    format!("{} from `{}`{line}", cap.span.in_words(), cap.from)
}

/// Nothing after these.
fn latest(work: &Work<'_>, playbook: &Playbook) -> Vec<Bound> {
    let incident = work.incident.as_ref();
    let bound = |cap: &Cap| {
        let end = cap.span.from(incident?.anchor(cap.from)?, &playbook.calendar);
        // So many days end with the last of them, whatever the hour at which they began.
        let at = if cap.span.is_of_days() { playbook.calendar.end_of_day(end) } else { end };
        Some(Bound { at, why: format!("the process allows {}", named(cap)) })
    };
    playbook.t.max_span.iter().filter_map(bound).collect()
}

/// Nothing before these.
fn earliest(work: &Work<'_>, playbook: &Playbook) -> Vec<Bound> {
    let incident = work.incident.as_ref();
    let bound = |cap: &Cap| {
        let end = cap.span.from(incident?.anchor(cap.from)?, &playbook.calendar);
        // And so many days begin with the first minute of the last.
        let midnight = chrono::NaiveTime::MIN;
        let at = if cap.span.is_of_days() { playbook.calendar.at(end, midnight) } else { end };
        Some(Bound { at, why: format!("the process asks for at least {}", named(cap)) })
    };
    let mut all: Vec<Bound> = playbook.t.min_span.iter().filter_map(bound).collect();
    let lead = playbook.t.min_lead;
    let hurry = incident.is_some_and(|incident| incident.exploited().is_some());
    let why = if hurry { "It is exploited, and less" } else { "less" };
    let why = format!("{why} than {} is left until then", lead.in_words());
    all.push(Bound { at: lead.from(work.now, &playbook.calendar), why });
    all
}

/// What the process asks for and this moment is not, each with what it asks.
pub(super) fn outside(work: &Work<'_>, playbook: &Playbook, t: Moment) -> Vec<String> {
    let mut doubts = Vec::new();
    let calendar = &playbook.calendar;
    let local = t.with_timezone(&calendar.zone);
    match playbook.t.days {
        Some(days) if !days.contains(local.weekday()) => {
            doubts.push(format!("the process asks for a day from {days}"));
        }
        Some(_) if !calendar.is_work_day(local.date_naive()) => {
            doubts.push("it is a day off in the calendar of the process".to_owned());
        }
        Some(_) | None => {}
    }
    for bound in latest(work, playbook).into_iter().filter(|bound| t > bound.at) {
        doubts.push(format!("{}, which ends on {}", bound.why, work.say(bound.at)));
    }
    if let Some(at) = playbook.t.at
        && local.time() != at
    {
        doubts.push(format!("the process asks for {} {}", at.format("%H:%M"), calendar.zone));
    }
    for bound in earliest(work, playbook).into_iter().filter(|bound| t < bound.at) {
        doubts.push(format!("{}: not before {}", bound.why, work.say(bound.at)));
    }
    doubts
}

/// The nearest moment that the process allows, or why there is none.
pub(super) fn instead(work: &Work<'_>, playbook: &Playbook, t: Moment) -> String {
    let (first, last) = (earliest(work, playbook), latest(work, playbook));
    let first = first.into_iter().max_by_key(|bound| bound.at);
    let last = last.into_iter().min_by_key(|bound| bound.at);
    let rule = Slots {
        at: playbook.t.at,
        days: playbook.t.days,
        snap: playbook.t.snap,
        earliest: first.as_ref().map_or(work.now, |bound| bound.at),
        latest: last.as_ref().map(|bound| bound.at),
    };
    match (playbook.calendar.slot(t, &rule), first, last) {
        (Some(slot), _, _) => {
            format!("the nearest moment that the process allows is {}", work.say(slot))
        }
        (None, Some(first), Some(last)) => format!(
            "the process allows no moment: none before {} ({}), and none after {} ({})",
            work.say(first.at),
            first.why,
            work.say(last.at),
            last.why
        ),
        (None, _, _) => "the process allows no moment within a year".to_owned(),
    }
}
