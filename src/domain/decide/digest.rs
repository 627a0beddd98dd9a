//! The digest: what came in clear by nobody known and waits, one entry each, and what machines sent, a line each.
//! Whoever looks like a person stands first, and a flood is counted.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::domain::decide::decision::Decision;
use crate::domain::decide::work::Work;
use crate::domain::facts::event::{Author, Event, Purpose};
use crate::domain::facts::letter::Letter;
use crate::domain::facts::names::{Fresh, Handle, Moment};
use crate::domain::facts::source::Source;
use crate::domain::model::desk::Desk;
use crate::domain::model::desk::waiting::MACHINES_LISTED;
use crate::domain::model::incident::Incident;
use crate::domain::model::roster::Person;
use crate::domain::model::schedule;
use crate::domain::outgoing::texts::{blob_place, clean_line};

/// So many entries are written out; the others are counted.
const ROWS_MAX: usize = 100;
/// Of the first line of a text so much.
const LINE_MAX: usize = 100;

/// The line of a mail in the digest: its subject, how large it is, and how it begins.
#[must_use]
pub fn line(letter: &Letter, size: usize) -> String {
    let first = letter.text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("");
    let size = match size {
        0..2_048 => format!("{size} bytes"),
        _ => format!("{} KB", size / 1_024),
    };
    format!("{}\n({size}) {}", letter.subject, clean_line(first, LINE_MAX))
}

struct Row<'d> {
    incident: &'d Incident,
    /// In clear, and touched by nobody.
    is_plain: bool,
    /// What is wrong with waiting longer.
    is_late: bool,
    order: (usize, bool, bool, bool, usize, Moment),
}

/// What is known of a waiting report, in a few words.
fn how(incident: &Incident, vouched: bool) -> String {
    let how = match incident.letters.first() {
        Some(letter) if letter.failure.is_some() => "could not be opened",
        Some(letter) if letter.protection.is_encrypted() => "encrypted",
        Some(_) | None => "not encrypted",
    };
    let vouched = if vouched { "; your server vouches for the sender" } else { "" };
    format!("{how}{vouched}")
}

/// All that waits, in turn: the first of each domain, then the second of each, so that whoever has one domain has one
/// entry among the first. Of those first who look like people: whom the own server vouches for, who has written
/// again, what nobody was shown yet.
fn rows(desk: &Desk, now: Moment) -> Vec<Row<'_>> {
    // What was passed on whole stands here once people are to be reminded of it; and then until they touch it.
    let stood = desk.waitlist.plain().filter(|(_, waiting)| waiting.number.is_some());
    let mut handles: Vec<&Handle> = stood.map(|(handle, _)| handle).collect();
    let new = |handle: &&Handle| !handles.contains(handle);
    let gathered: Vec<&Handle> = desk.waitlist.gathered().filter(new).collect();
    handles.extend(gathered);
    let source = |handle: &Handle| desk.waitlist.source(handle);
    let mut rows: Vec<Row<'_>> = handles
        .into_iter()
        .filter_map(|handle| {
            let incident = desk.incident(handle).filter(|incident| incident.status.is_open())?;
            let vouched = source(handle).is_some_and(Source::is_vouched);
            let again = incident.letters.iter().skip(1).any(|it| it.author == Author::Reporter);
            let stood = desk.waitlist.stood(handle);
            Some(Row {
                incident,
                is_plain: desk.waitlist.holds(handle),
                is_late: incident.answered.is_none() && schedule::human_due(incident) < now,
                order: (0, !vouched, !again, stood, 0, incident.opened),
            })
        })
        .collect();
    rows.sort_by_key(|row| row.order);
    let mut turns: BTreeMap<String, usize> = BTreeMap::new();
    for row in &mut rows {
        let domain = source(&row.incident.handle).map(Source::domain).unwrap_or_default();
        let turn = turns.entry(domain).or_default();
        row.order.0 = *turn;
        *turn = turn.saturating_add(1);
    }
    // Where all else is equal, whose domain sent little.
    for row in &mut rows {
        let domain = source(&row.incident.handle).map(Source::domain).unwrap_or_default();
        row.order.4 = turns.get(&domain).copied().unwrap_or_default();
    }
    rows.sort_by_key(|row| row.order);
    rows
}

/// Sends what waits to those who take reports in, in one mail each; closes quietly what nobody touched.
pub fn digest(desk: &Desk, now: Moment, fresh: Fresh) -> Decision {
    let mut work = Work::on(desk, None, now, fresh);
    let days = desk.settings.quiet_days;
    let untouched: Vec<Handle> = desk.waitlist.untouched(days, now).cloned().collect();
    for handle in &untouched {
        work.add_about(handle, Event::Untouched);
    }
    let mut rows = rows(desk, now);
    rows.retain(|row| !untouched.contains(&row.incident.handle));
    let mut next = 0_u32;
    let numbered: Vec<(Option<u32>, &Row<'_>)> = rows
        .iter()
        .take(ROWS_MAX)
        .map(|row| {
            let number = || desk.waitlist.number(&row.incident.handle, &mut next);
            (row.is_plain.then(number), row)
        })
        .collect();
    let machines: Vec<Value> = desk
        .waitlist
        .machines()
        .take(MACHINES_LISTED)
        .map(|machine| {
            json!({ "name": machine.name(), "received": work.say(machine.at), "line": blob_place(machine.line) })
        })
        .collect();
    let count = desk.waitlist.machines().count();
    let late = rows.iter().filter(|row| row.is_late).count();
    if numbered.is_empty() && count == 0 && untouched.is_empty() {
        work.add_to_desk(Event::Digested { handles: Vec::new() });
        return work.done();
    }
    for person in people(desk, &rows) {
        let own: Vec<Value> = numbered
            .iter()
            .filter(|(_, row)| takes_in(desk, person, row.incident))
            .map(|(number, row)| entry(&work, *number, row))
            .collect();
        let facts = json!({
            "count": rows.len(),
            "rows": own,
            "more": rows.len().saturating_sub(ROWS_MAX),
            "late": late,
            "machines": machines,
            "machines_count": count,
            "machines_more": count.saturating_sub(MACHINES_LISTED),
            "closed": untouched.len(),
            "days": days,
            "ref": work.desk_reference(&person.id),
        });
        work.tell(person, Purpose::Alert, "digest", facts);
    }
    let handles = numbered.iter().map(|(_, row)| row.incident.handle.clone()).collect();
    work.add_to_desk(Event::Digested { handles });
    work.done()
}

fn entry(work: &Work<'_>, number: Option<u32>, row: &Row<'_>) -> Value {
    let incident = row.incident;
    let from = incident.reporter.address.as_ref();
    let (_, vouched, again, ..) = row.order;
    json!({
        "number": number.map_or_else(|| "-".to_owned(), |number| number.to_string()),
        "handle": incident.handle,
        "received": work.say(incident.opened),
        "from": from.map_or_else(|| "(nobody who can be answered)".to_owned(), ToString::to_string),
        "how": how(incident, !vouched),
        "late": row.is_late,
        "again": !again,
        "line": work.desk.waitlist.line(&incident.handle).map_or_else(String::new, blob_place),
    })
}

/// Whether somebody takes reports of an incident's process in, or is asked where they wait too long.
fn takes_in(desk: &Desk, person: &Person, incident: &Incident) -> bool {
    let process = &incident.playbook;
    let late = process.human_answer.escalate.iter();
    let is = |role: &String| desk.roster.holders(role).any(|holder| holder.id == person.id);
    is(&process.intake) || late.into_iter().any(is)
}

/// Those who take reports in; and where some wait too long, whoever the process names then.
fn people<'d>(desk: &'d Desk, rows: &[Row<'d>]) -> Vec<&'d Person> {
    let usual = desk.playbooks.get(&desk.settings.playbook);
    let mut roles: Vec<&String> = usual.map(|playbook| &playbook.intake).into_iter().collect();
    for row in rows {
        roles.push(&row.incident.playbook.intake);
        if row.is_late {
            roles.extend(&row.incident.playbook.human_answer.escalate);
        }
    }
    let mut people: Vec<&Person> = Vec::new();
    for person in roles.into_iter().flat_map(|role| desk.roster.holders(role)) {
        if !people.iter().any(|known| known.id == person.id) {
            people.push(person);
        }
    }
    people
}
