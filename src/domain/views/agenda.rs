//! The agenda of an incident: on a line of time, and row by row.

use std::fmt::Write as _;

use serde::Serialize;

use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::names::{Handle, Moment, Span};
use crate::domain::model::incident::Incident;
use crate::domain::model::schedule;
use crate::domain::model::schedule::{Item, State};
use crate::domain::process::offset::Calendar;
use crate::domain::views::plan;

/// A row, for machines.
#[derive(Serialize)]
pub(crate) struct Row<'a> {
    incident: &'a Handle,
    task: String,
    id: &'a str,
    title: &'a str,
    phase: &'a str,
    role: &'a str,
    state: &'static str,
    earliest: Option<Moment>,
    due: Option<Moment>,
    done: Option<Moment>,
    waiting_for: Option<String>,
    source: String,
}

pub(crate) fn row<'a>(incident: &'a Incident, item: &Item<'a>) -> Row<'a> {
    let (done, waiting_for) = match &item.state {
        State::Done(at) | State::Skipped(at) => (Some(*at), None),
        State::WaitingFor(what) => (None, Some(format!("waits for {what}"))),
        State::NotHere(why) => (None, Some(why.clone())),
        State::Elsewhere(row) => {
            let done = row.done.as_ref().map(|(at, _)| *at);
            (done, Some(format!("once for the release, on {}", row.on)))
        }
        State::BlockedBy(tasks) => {
            let tasks: Vec<_> = tasks.iter().map(ToString::to_string).collect();
            (None, Some(format!("blocked by {}", tasks.join(", "))))
        }
        State::Always | State::Upcoming | State::Open | State::Due | State::Late | State::Moot => {
            (None, None)
        }
    };
    Row {
        incident: &incident.handle,
        task: item.word(),
        id: item.task.id.as_str(),
        title: &item.task.title,
        phase: &item.task.phase,
        role: incident.playbook.role_label(&item.task.role),
        state: item.state.word(),
        earliest: item.earliest,
        due: item.due,
        done,
        waiting_for,
        source: plan::source(item.task),
    }
}

/// An incident's agenda for a terminal: the line of time, what is behind and ahead, and the rows.
pub(crate) fn shown(incident: &Incident, calendar: &Calendar, now: Moment) -> String {
    let mut out = format!(
        "{}  {}  {} v{}\n",
        incident.handle,
        incident.status.word(),
        incident.playbook.id,
        incident.playbook.version
    );
    out.push_str(&time_line(incident, calendar, now));
    for branch in incident.branches() {
        let _ = writeln!(out, "  ! {}", branch.title);
    }
    let mut phase = "";
    for item in schedule::agenda(incident, now) {
        if item.task.phase != phase {
            phase = &item.task.phase;
            let _ = writeln!(out, "\n  {phase}");
        }
        let row = row(incident, &item);
        let when = match (row.done, &row.waiting_for, row.due, &item.state) {
            (Some(at), ..) | (None, None, Some(at), _) => calendar.say(at),
            (None, Some(what), ..) => what.clone(),
            (None, None, None, State::Due) => "as soon as possible".to_owned(),
            (None, None, None, _) => String::new(),
        };
        let _ = writeln!(out, "    {:<9}{:<18}{when}", row.state, row.task);
        let _ = writeln!(out, "             ({}) {}", row.role, row.title);
    }
    out
}

/// How many columns the line of time has.
pub(crate) const COLUMNS: i64 = 60;

/// From the report to T, or to what is due last: where T is, what is behind, what is next, and how
/// long is left.
pub(crate) fn time_line(incident: &Incident, calendar: &Calendar, now: Moment) -> String {
    let from = incident.anchor(Anchor::Received).unwrap_or(incident.opened);
    let t = incident.t();
    let items = schedule::agenda(incident, now);
    let open = |item: &&Item<'_>| {
        matches!(item.state, State::Upcoming | State::Due | State::Late | State::BlockedBy(_))
    };
    let last = items.iter().filter(open).filter_map(|item| item.due).max();
    let to = [t, last, incident.published(), Some(now)].into_iter().flatten().max().unwrap_or(now);
    let whole = to.signed_duration_since(from).num_seconds().max(1);
    let column = |at: Moment| {
        let gone = at.signed_duration_since(from).num_seconds().clamp(0, whole);
        let place = gone.saturating_mul(COLUMNS.saturating_sub(1)).checked_div(whole).unwrap_or(0);
        usize::try_from(place).unwrap_or(0)
    };
    let width = usize::try_from(COLUMNS).unwrap_or(0);
    let mut line: Vec<char> = vec!['-'; width];
    for place in line.iter_mut().take(column(now)) {
        *place = '=';
    }
    let mut mark = |at: Moment, sign: char| {
        if let Some(place) = line.get_mut(column(at)) {
            *place = sign;
        }
    };
    for item in items.iter().filter(open) {
        if let Some(due) = item.due {
            mark(due, if due < now { '!' } else { '.' });
        }
    }
    if let Some(t) = t {
        mark(t, 'T');
    }
    if let Some(at) = incident.published() {
        mark(at, 'P');
    }
    mark(now, '|');
    let line: String = line.into_iter().collect();
    let mut out = format!("  [{line}]\n");
    let _ = writeln!(out, "  received {}, now {}", calendar.say(from), calendar.say(now));
    let _ = match (t, incident.published()) {
        (_, Some(at)) => writeln!(out, "  public since {}", calendar.say(at)),
        (Some(t), None) => writeln!(out, "  T {}: {}", calendar.say(t), left(t, now)),
        (None, None) => writeln!(out, "  T is not set"),
    };
    let done = items.iter().filter(|item| matches!(item.state, State::Done(_))).count();
    let late = items.iter().filter(|item| item.state == State::Late).count();
    let next = items.iter().filter(open).filter(|i| i.due.is_some_and(|due| due >= now));
    let next = next.min_by_key(|item| item.due);
    let _ = write!(out, "  {done} done, {late} late");
    if let Some((item, due)) = next.and_then(|item| Some((item, item.due?))) {
        let _ = write!(out, "; next {} {}: {}", item.word(), calendar.say(due), left(due, now));
    }
    out.push('\n');
    out
}

/// How long is left, or how long it is ago.
pub(crate) fn left(at: Moment, now: Moment) -> String {
    let span = at.signed_duration_since(now);
    let gone = span < Span::zero();
    let span = if gone { now.signed_duration_since(at) } else { span };
    let (days, hours) = (span.num_days(), span.num_hours() % 24);
    let minutes = span.num_minutes() % 60;
    let text = match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    };
    if gone { format!("{text} ago") } else { format!("{text} left") }
}

/// The rows of several incidents.
pub(crate) fn rows<'a>(incidents: &[&'a Incident], now: Moment) -> Vec<Row<'a>> {
    let of = |incident: &&'a Incident| {
        let items = schedule::agenda(incident, now);
        items.iter().map(|item| row(incident, item)).collect::<Vec<_>>()
    };
    incidents.iter().flat_map(of).collect()
}

/// The agendas of several incidents, one below the other.
pub(crate) fn table(incidents: &[&Incident], zone: chrono_tz::Tz, now: Moment) -> String {
    let calendar = Calendar::plain(zone);
    let parts: Vec<String> =
        incidents.iter().map(|incident| shown(incident, &calendar, now)).collect();
    if parts.is_empty() { "No incident is open.".to_owned() } else { parts.join("\n") }
}

/// So many rows of several incidents are shown together.
const TOGETHER: usize = 40;

/// What is due soonest, of all incidents together: a line each, on one screen.
pub(crate) fn together(incidents: &[&Incident], zone: chrono_tz::Tz, now: Moment) -> String {
    let calendar = Calendar::plain(zone);
    let mut rows: Vec<(Moment, String)> = Vec::new();
    let mut late = 0_usize;
    for incident in incidents {
        for item in schedule::agenda(incident, now) {
            let is_open = matches!(item.state, State::Upcoming | State::Due | State::Late);
            let Some(due) = item.due.filter(|_| is_open) else { continue };
            late = late.saturating_add(usize::from(item.state == State::Late));
            let (handle, row) = (&incident.handle, row(incident, &item));
            let text = format!("{handle}  {:<9}{:<18}({})", row.state, row.task, row.role);
            rows.push((due, text));
        }
    }
    rows.sort();
    let (open, more) = (incidents.len(), rows.len().saturating_sub(TOGETHER));
    let mut out = format!("{open} incidents are open, {late} rows are late.\n\n");
    for (due, text) in rows.iter().take(TOGETHER) {
        let _ = writeln!(out, "  {}  {text}", calendar.say(*due));
    }
    if more > 0 {
        let _ = writeln!(out, "  and {more} more");
    }
    out.push_str(
        "\nOne in full: `embargod agenda HANDLE`. All of them: `embargod agenda --all`.\n",
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::facts::names::later;

    #[test]
    fn what_is_left_is_told_in_two_units() {
        let now: Moment = "2026-12-01T09:00:00Z".parse().unwrap();
        let at = |span: Span| left(later(now, span), now);
        assert_eq!(at(Span::minutes(5)), "5 min left");
        assert_eq!(at(Span::hours(25)), "1 d 1 h left");
        assert_eq!(at(Span::minutes(-90)), "1 h 30 min ago");
    }
}
