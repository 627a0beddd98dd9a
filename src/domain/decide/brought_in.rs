//! Who holds a role in the config hears of an incident when the first row for that role opens: what is asked, by
//! when, and the line that binds their answer. Until then they have no mail of it that they could answer.

use crate::domain::decide::work::Work;
use crate::domain::facts::event::Event;
use crate::domain::facts::names::PersonId;
use crate::domain::model::incident::Incident;
use crate::domain::model::roster::Person;
use crate::domain::model::schedule;
use crate::domain::process::playbook::Task;

/// Tells the holders of a role, once.
pub fn due(work: &mut Work<'_>, role: &str, mark: String) {
    tell(work, role);
    work.add(Event::Reminded { what: mark });
}

/// Tells the holders of a role that it has begun.
fn tell(work: &mut Work<'_>, role: &str) {
    let Some(incident) = work.incident.clone() else { return };
    // Whoever talks on it has mails of it, and rows of theirs are in their agenda.
    let on_it: Vec<PersonId> = work.circle().into_iter().map(|person| person.id.clone()).collect();
    let people = work.holders(role).into_iter().filter(|person| !on_it.contains(&person.id));
    let people: Vec<&Person> = people.collect();
    if people.is_empty() {
        return;
    }
    let label = incident.playbook.role_label(role);
    let mut lines = vec![format!(
        "{} is an incident that {} works on, and the process asks something of you as {label}:",
        incident.handle, work.desk.settings.name
    )];
    lines.extend(schedule::open_for(&incident, role).map(|task| asked(work, &incident, task)));
    let next = "answer this mail with `| /agenda` to see all of yours, `| /show` for the report and what was said, or `| /done ROW` when something is done (each without the bar).";
    work.inform(&people, &format!("You are asked for as {label}"), &lines, next);
}

fn asked(work: &Work<'_>, incident: &Incident, task: &Task) -> String {
    let due = match schedule::span_of(incident, task) {
        Some((_, Some(due))) => format!("by {}", work.say(due)),
        Some((_, None)) | None => "as soon as possible".to_owned(),
    };
    format!("  {:<13} {}, {due}", task.word(), task.title)
}
