//! The rows that the desk carries out by itself when their moment comes.

use super::event::{Delivery, Event, Recipient};
use super::incident::Incident;
use super::names::TaskId;
use super::notice;
use super::playbook::{Action, Task};
use super::roster::Person;
use super::work::Work;
use super::{batch, relay};

/// Carries out a row. `mark` is what is left in the history, so that it happens once.
pub fn act(work: &mut Work<'_>, id: &TaskId, mark: String) {
    let Some(incident) = work.incident.clone() else { return };
    let Some(task) = incident.task(id).cloned() else { return };
    let to = task.to.clone().unwrap_or_default();
    match task.action {
        Some(Action::Tell) => tell(work, &task, &to),
        Some(Action::ListBatch) => batch::tell_list(work, &task.role),
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
    if task.action.is_some_and(Action::is_closed_by_a_person) {
        work.add(Event::Reminded { what: mark });
    } else {
        work.add(Event::TaskDone { task: id.clone(), evidence: None, sets: task.sets });
    }
}

fn tell(work: &mut Work<'_>, task: &Task, role: &str) {
    let mut people = work.holders(role);
    if people.is_empty() {
        people = work.team();
    }
    let lines = [format!("The process asks for this now: {}", task.title)];
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

/// The table of who was reached by a notice, for the role that verifies it.
fn verify(work: &mut Work<'_>, incident: &Incident, task: &Task, new_only: bool) {
    let Some(of) = task.of.as_ref().and_then(|of| incident.task(of)) else { return };
    let mut lines = Vec::new();
    let reached = ledger(work, incident, of);
    if reached.is_empty() {
        let lines = [format!("{}: the notice `{}` has not left.", task.title, of.word())];
        let next = format!(
            "see `| /agenda` for what it waits for; close this with `| /done {} NOTE`, without the bar.",
            task.word()
        );
        let people = work.holders(&task.role);
        let people = if people.is_empty() { work.team() } else { people };
        work.inform(&people, "The notice has NOT left", &lines, &next);
        return;
    }
    if new_only {
        let now = of.audience.as_ref().map(|audience| notice::recipients(work, audience));
        for to in now.into_iter().flatten() {
            if !reached.iter().any(|(known, _)| *known == to) {
                lines.push(format!("  {:<40}has NOT had it", relay::who(work.desk, &to)));
            }
        }
        if lines.is_empty() {
            lines.push("Nobody has become a member since it left.".to_owned());
        }
    } else {
        for (to, state) in &reached {
            lines.push(format!("  {:<40}{}", relay::who(work.desk, to), words(*state)));
        }
    }
    lines.insert(0, format!("{}: who was reached by `{}`", task.title, of.word()));
    let mut people: Vec<&Person> = task.roles().flat_map(|role| work.holders(role)).collect();
    if people.is_empty() {
        people = work.team();
    }
    let next = format!(
        "reach those who are missing by another way, then close it with `| /done {} NOTE`, without the bar.",
        task.word()
    );
    work.inform(&people, "Who has the notice", &lines, &next);
}

fn ledger(work: &Work<'_>, incident: &Incident, of: &Task) -> Vec<(Recipient, Delivery)> {
    let Some(notice) = incident.notices.get(&of.id) else { return Vec::new() };
    let mut rows: Vec<(Recipient, Delivery)> = Vec::new();
    for release in notice.releases.values() {
        for (to, state) in &release.copies {
            rows.retain(|(known, _)| known != to);
            rows.push((to.clone(), *state));
        }
        let waiting = release.pending.iter().map(|to| (to.clone(), Delivery::Queued));
        rows.extend(waiting);
    }
    rows.sort_by_key(|(to, _)| relay::who(work.desk, to));
    rows
}

/// Whether somebody is missing from the ledger of a notice: then closing its verification needs a
/// note.
#[must_use]
pub fn is_somebody_missing(work: &Work<'_>, incident: &Incident, of: &TaskId) -> bool {
    let Some(of) = incident.task(of) else { return true };
    let reached = ledger(work, incident, of);
    let now = of.audience.as_ref().map(|audience| notice::recipients(work, audience));
    let taken = |to: &Recipient| {
        reached.iter().any(|(known, state)| known == to && *state == Delivery::Accepted)
    };
    reached.is_empty() || !now.into_iter().flatten().all(|to| taken(&to))
}

fn words(state: Delivery) -> &'static str {
    match state {
        Delivery::Queued => "on its way",
        Delivery::Accepted => "taken by the mail server",
        Delivery::Dead => "REFUSED by the mail server",
        Delivery::Unknown => "NOT KNOWN whether it left",
        Delivery::Withheld => "WITHHELD: no usable key",
        Delivery::Withdrawn => "withdrawn: no longer a member",
    }
}
