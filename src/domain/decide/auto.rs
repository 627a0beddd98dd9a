//! The rows that the desk carries out by itself when their moment comes.

use serde_json::json;

use crate::domain::decide::notice;
use crate::domain::decide::work::Work;
use crate::domain::decide::{batch, delivery_table, relay};
use crate::domain::facts::event::{Event, Purpose, Recipient};
use crate::domain::facts::names::TaskId;
use crate::domain::model::incident::Incident;
use crate::domain::model::roster::Person;
use crate::domain::process::playbook::{Action, Task};

/// Carries out a row. `mark` is what is left in the history, so that it happens once.
pub fn act(work: &mut Work<'_>, id: &TaskId, mark: String) {
    let Some(incident) = work.incident.clone() else { return };
    let Some(task) = incident.task(id).cloned() else { return };
    let to = task.to.clone().unwrap_or_default();
    match task.action {
        Some(Action::Tell) => tell(work, &task, &to),
        Some(Action::ListBatch) => batch::tell_list(work, &task),
        Some(Action::EndRole) => end_role(work, &incident, &to),
        Some(Action::Verify) => verify(work, &incident, &task, false),
        Some(Action::VerifyNew) => verify(work, &incident, &task, true),
        Some(
            Action::Open
            | Action::Acknowledge
            | Action::AskDetails
            | Action::SendKey
            | Action::AskLead
            | Action::Link,
        )
        | None => return,
    }
    if task.action == Some(Action::EndRole) && task.close {
        let people: Vec<&Person> = task.roles().flat_map(|role| work.holders(role)).collect();
        let lines = [
            format!("The process has come to this: {}", task.title),
            "The desk has done its part: it writes to that role no more on this incident."
                .to_owned(),
        ];
        let next =
            format!("do what is left, and say so with `| /done {}`, without the bar.", task.word());
        work.inform(&people, &task.title, &lines, &next);
    }
    if task.is_closed_by_a_person() {
        work.add(Event::Reminded { what: mark });
    } else {
        let (task, sets) = (id.clone(), task.sets);
        work.add(Event::TaskDone { task, evidence: None, sets, seconded: None });
    }
}

fn tell(work: &mut Work<'_>, task: &Task, role: &str) {
    let mut people = work.holders(role);
    if people.is_empty() {
        people = work.team();
    }
    let mut lines = vec![format!("The process has come to this: {}", task.title)];
    // What it waited for, with the link or the commit that somebody named then.
    if let Some(incident) = &work.incident {
        let anchors = task.when.iter().flat_map(|when| &when.anchors);
        for anchor in anchors {
            let rows = incident.tasks().filter(|row| row.sets == Some(*anchor));
            let done = rows.filter_map(|row| Some((row, incident.done.get(&row.id)?)));
            lines.extend(done.map(|(row, done)| {
                let by = done.by.as_ref().map_or_else(|| "the desk".to_owned(), |by| work.name(by));
                let said =
                    done.evidence.as_ref().map_or_else(String::new, |said| format!(": {said}"));
                format!("  {}, by {by} on {}{said}", row.title, work.say(done.at))
            }));
        }
    }
    let next = "see `| /show` for the record and `| /agenda` for your part, without the bar.";
    work.inform(&people, &task.title, &lines, next);
}

fn end_role(work: &mut Work<'_>, incident: &Incident, role: &str) {
    let label = incident.playbook.role_label(role).to_owned();
    let before = work.holders(role);
    work.add(Event::RoleEnded { role: role.to_owned() });
    let lines = [
        format!("With the release the {label} ends on {}, as the process has it.", incident.handle),
        "Thank you for your work on it.".to_owned(),
    ];
    let heading = format!("The {label} has ended");
    // Who is on it by another role hears it there; who is off it gets no word of it any more, and
    // this one names it only.
    let still = |person: &&Person| work.incident.as_ref().is_some_and(|i| i.is_team(person));
    let (on, off): (Vec<&Person>, Vec<&Person>) = before.into_iter().partition(still);
    let next = "nothing else is asked of you by that role.";
    work.inform(&on, &heading, &lines, next);
    let next = "delete the copies that you need no more; nothing else is asked of you.";
    relay::tell_outside(work, &off, &heading, &lines, next);
}

/// The table of who was reached by a notice, for the role that verifies it; those who said nothing
/// are asked for a word.
fn verify(work: &mut Work<'_>, incident: &Incident, task: &Task, new_only: bool) {
    let Some(of) = task.of.as_ref().and_then(|of| incident.task(of)) else { return };
    let mut people: Vec<&Person> = task.roles().flat_map(|role| work.holders(role)).collect();
    if people.is_empty() {
        people = work.team();
    }
    let reached = delivery_table::of(work.desk, incident, &of.id);
    if reached.is_empty() {
        let lines = [format!("{}: the notice `{}` has not left.", task.title, of.word())];
        let next = format!(
            "see `| /agenda` for what it waits for; close this with `| /done {} NOTE`, without the bar.",
            task.word()
        );
        work.inform(&people, "The notice has NOT left", &lines, &next);
        return;
    }
    let mut lines = vec![format!("{}: who was reached by `{}`", task.title, of.word())];
    let now = of.audience.as_ref().map(|audience| notice::recipients(work, audience));
    let without = now.into_iter().flatten().filter(|to| reached.iter().all(|line| line.to != *to));
    let without: Vec<String> = without
        .map(|to| format!("  {:<37}has NOT had it", relay::who_in(work.desk, &to, 36)))
        .collect();
    if new_only && without.is_empty() {
        lines.push("Everybody who is a member now has a copy.".to_owned());
    }
    lines.extend(without);
    if !new_only {
        lines.extend(delivery_table::table(&reached));
        nudge(work, incident, of);
    }
    let word = task.word();
    let next = if is_somebody_missing(work, incident, task) {
        format!(
            "reach those who are missing or silent by another way, then close it with `| /done {word} NOTE`, without the bar."
        )
    } else {
        format!("close it with `| /done {word}`, without the bar.")
    };
    work.inform(&people, "Who has the notice", &lines, &next);
}

/// Asks those who have a notice and have said nothing for a word.
fn nudge(work: &mut Work<'_>, incident: &Incident, of: &Task) {
    for line in delivery_table::of(work.desk, incident, &of.id) {
        let Recipient::Person(id) = &line.to else { continue };
        let Some(person) = work.person(id).filter(|person| incident.is_for_what_they_had(person))
        else {
            continue;
        };
        if delivery_table::is_silent(&line.entry) && work.desk.can_seal(person, work.now) {
            let facts = json!({
                "name": person.name, "title": of.title, "moment": work.say(line.entry.since)
            });
            work.tell(person, Purpose::Nudge, "silent", facts);
        }
    }
}

/// Whether closing a row that verifies a notice needs a note: somebody has no copy, or has said
/// nothing. That a server took a mail does not say that anybody has read it.
#[must_use]
pub fn is_somebody_missing(work: &Work<'_>, incident: &Incident, task: &Task) -> bool {
    let Some(of) = task.of.as_ref().and_then(|of| incident.task(of)) else { return true };
    let reached = incident.ledger(&of.id);
    let now = of.audience.as_ref().map(|audience| notice::recipients(work, audience));
    let new_only = task.action == Some(Action::VerifyNew);
    let fits = |to: &Recipient| {
        reached
            .get(to)
            .is_some_and(|(_, entry)| entry.received.is_some() || (new_only && entry.went_out()))
    };
    reached.is_empty() || !now.into_iter().flatten().all(|to| fits(&to))
}
