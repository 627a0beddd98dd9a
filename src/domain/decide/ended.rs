//! The word to everybody who had a notice that the embargo has ended: what they may do now.

use std::collections::BTreeSet;

use crate::domain::decide::notice;
use crate::domain::decide::work::Work;
use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::event::{Event, Recipient};
use crate::domain::facts::names::{Moment, PersonId, TaskId};
use crate::domain::facts::seconded::Seconded;
use crate::domain::model::incident::Incident;
use crate::domain::outgoing::texts::{Problem, Written};
use crate::domain::process::playbook::Truth;

/// What it says where two people have seen it, of all that the record has; and where they have not, though what they
/// made public is out: then no word of the record, which one person may have changed since, goes to members with it.
#[must_use]
pub fn template(seen_by_two: bool) -> &'static str {
    if seen_by_two { "ended" } else { "ended-short" }
}

/// The template of a process that has a row for this.
const OF_A_ROW: &str = "embargo-lifted";

/// Everybody outside the team who is told: those who had a notice, and are to know of it still. Nobody where the process
/// tells them by a row of its own.
#[must_use]
pub fn holders(work: &Work<'_>, incident: &Incident) -> BTreeSet<Recipient> {
    let by_row = incident.notice_tasks().any(|task| {
        task.template.as_deref() == Some(OF_A_ROW) && incident.applies(task) != Truth::No
    });
    if by_row {
        return BTreeSet::new();
    }
    let told = incident.everybody_told().into_iter();
    let outside = |to: &Recipient| match to {
        Recipient::Person(id) => work.person(id).is_some_and(|person| !incident.is_team(person)),
        Recipient::List(_) | Recipient::Reporter | Recipient::Outsider(_) => false,
    };
    told.filter(outside)
        .filter(|to| incident.hears_of_what_they_had(&work.desk.roster, to))
        .collect()
}

/// What they would be told if it had been public at a moment, and how many there are, if there are any.
///
/// # Errors
/// The template's problem.
pub fn text(
    work: &Work<'_>,
    template: &str,
    public: Moment,
) -> Result<Option<(usize, Written)>, Problem> {
    let Some(incident) = &work.incident else { return Ok(None) };
    let count = holders(work, incident).len();
    if count == 0 {
        return Ok(None);
    }
    let mut trial = Work::on(work.desk, None, work.now, work.fresh.clone());
    trial.incident.clone_from(&work.incident);
    trial.add(Event::AnchorSet { anchor: Anchor::Public, moment: public });
    notice::render(&trial, template, None).map(|written| Some((count, written)))
}

/// Freezes and releases it. To be called when it is recorded as public.
///
/// # Errors
/// The template's problem.
pub fn tell(
    work: &mut Work<'_>,
    template: &str,
    by: &PersonId,
    seconded: Seconded,
) -> Result<usize, Problem> {
    let Some(incident) = work.incident.clone() else { return Ok(0) };
    let recipients = holders(work, &incident);
    if recipients.is_empty() {
        return Ok(0);
    }
    let written = notice::render(work, template, None)?;
    let (id, by) = (TaskId::ended(), Some(by.clone()));
    let enclosed = notice::Enclosed::default();
    let draft = notice::freeze(work, &id, template, &written, recipients.clone(), by, enclosed);
    let (number, count) = (draft.number, recipients.len());
    work.add(Event::Frozen(Box::new(draft)));
    work.add(Event::Approved { notice: id.clone(), number });
    let (late, seconded) = (false, Some(seconded));
    work.add(Event::Released { notice: id, number, late, recipients, seconded });
    Ok(count)
}
