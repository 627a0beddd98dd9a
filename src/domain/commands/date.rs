//! Setting the date of disclosure: of one incident, and of all that share a release.

use crate::domain::commands::rights;
use crate::domain::commands::turn::{Turn, broken};
use crate::domain::decide::notice::{Enclosed, freeze, render};
use crate::domain::decide::outdated;
use crate::domain::decide::work::Work;
use crate::domain::facts::event::{Event, Recipient};
use crate::domain::facts::names::{Handle, Moment, TaskId};
use crate::domain::facts::refusal::Refusal;
use crate::domain::facts::seconded::Seconded;
use crate::domain::model::incident::Incident;
use crate::domain::model::roster::Person;
use crate::domain::process::vocabulary::{team_word, unknown};

/// Sets T and tells everyone who had another; says how many.
pub(crate) fn set_t(work: &mut Work<'_>, person: &Person, t: Moment) -> Result<usize, Refusal> {
    let Some(incident) = &work.incident else { return Ok(0) };
    if incident.t() == Some(t) {
        return Ok(0);
    }
    let roster = &work.desk.roster;
    let holders: std::collections::BTreeSet<Recipient> = incident
        .holders_of_a_date()
        .into_keys()
        .filter(|to| incident.hears_of_what_they_had(roster, to))
        .collect();
    let count = holders.len();
    work.add(Event::TSet { t });
    if count > 0
        && let Some(seconded) = work.two()
    {
        tell_new_date(work, person, holders, seconded)?;
    }
    Ok(count)
}

/// Freezes and releases "date changed" to everyone who had the old date.
pub(crate) fn tell_new_date(
    work: &mut Work<'_>,
    person: &Person,
    to: std::collections::BTreeSet<Recipient>,
    seconded: Seconded,
) -> Result<(), Refusal> {
    let written = render(work, "date-changed", None).map_err(broken)?;
    let id = TaskId::date_changed();
    let by = Some(person.id.clone());
    let enclosed = Enclosed::default().with_entry(work, None);
    let draft = freeze(work, &id, "date-changed", &written, to.clone(), by, enclosed);
    let number = draft.number;
    work.add(Event::Frozen(Box::new(draft)));
    work.add(Event::Approved { notice: id.clone(), number });
    let (late, seconded) = (false, Some(seconded));
    work.add(Event::Released { notice: id, number, late, recipients: to, seconded });
    Ok(())
}

/// The others that share the release and still wait for it, if this person may set the date of all
/// of them: it is set for all or for none, and by the rights of each.
///
/// # Errors
/// When there is one that they are not on, or whose date they may not set.
pub(crate) fn others(turn: &mut Turn<'_, '_>) -> Result<Vec<Handle>, Refusal> {
    let incident = turn.incident()?;
    let (batch, own) = (incident.batch.clone().unwrap_or_default(), incident.handle.clone());
    members(turn, &batch, &own)
}

pub(crate) fn members(
    turn: &mut Turn<'_, '_>,
    name: &str,
    own: &Handle,
) -> Result<Vec<Handle>, Refusal> {
    let (desk, person) = (turn.work.desk, turn.person);
    let handles = desk.batches.get(name).into_iter().flatten().filter(|handle| *handle != own);
    let waits =
        |incident: &&Incident| incident.published().is_none() && incident.known_public().is_none();
    let incidents: Vec<&Incident> = handles
        .filter_map(|handle| desk.incident(handle))
        .filter(|incident| incident.status.is_open())
        .collect();
    if incidents.iter().any(|incident| !incident.is_team(person)) {
        return Err(Refusal::new(
            "not on all of them",
            format!("the release `{name}` fixes an incident that you are not on."),
            "ask somebody who is on all of them, or choose another name.",
        ));
    }
    // Whose T is set with it: what is public has no date ahead.
    let handles: Vec<Handle> =
        incidents.into_iter().filter(waits).map(|incident| incident.handle.clone()).collect();
    let disclose = team_word("disclose").ok_or_else(|| unknown("disclose"))?;
    for handle in &handles {
        let mut may = Ok(());
        turn.work.on_other(handle, |work| may = rights::may_use(work, person, disclose));
        may?;
    }
    Ok(handles)
}

/// Whether a process asks for a second person where a date is set.
pub(crate) fn two_set_its_date(incident: &Incident) -> bool {
    incident.playbook.rights.get("disclose").is_some_and(|right| right.second)
}

/// The same of any of the others.
pub(crate) fn two_set_theirs(turn: &Turn<'_, '_>, others: &[Handle]) -> bool {
    let desk = turn.work.desk;
    others.iter().filter_map(|handle| desk.incident(handle)).any(two_set_its_date)
}

/// Where the process of one of the others asks for a second person, so does the date of all.
pub(crate) fn second_for(turn: &Turn<'_, '_>, others: &[Handle]) -> Vec<String> {
    if !two_set_theirs(turn, others) {
        return Vec::new();
    }
    let own = turn.work.incident.as_ref().map(|incident| &incident.playbook);
    let roles = own.and_then(|own| own.rights.get("disclose")).map(|right| right.roles.clone());
    let roles = roles.filter(|roles| !roles.is_empty());
    roles.unwrap_or_else(|| own.iter().map(|own| own.intake.clone()).collect())
}

/// Sets T for this incident and all that share its release.
pub(crate) fn set_t_of_all(
    turn: &mut Turn<'_, '_>,
    t: Moment,
    others: &[Handle],
) -> Result<usize, Refusal> {
    let person = turn.person;
    let mut told = set_t(turn.work, person, t)?;
    for handle in others {
        let mut result = Ok(0);
        turn.work.on_other(handle, |work| {
            result = set_t(work, person, t);
            if let Some(before) = work.desk.incident(handle) {
                outdated::tell_of_the_day(work, before);
            }
        });
        told = told.saturating_add(result?);
    }
    Ok(told)
}
