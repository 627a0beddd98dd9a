//! The words that say that two incidents are one.
//!
//! Nothing of one incident reaches somebody who is only on the other: those who hear of both are on
//! both, and no reporter learns of another one's incident (FAILURES L9).

use crate::domain::event::{Event, Purpose};
use crate::domain::incident::Incident;
use crate::domain::names::Handle;
use crate::domain::refusal::Refusal;
use crate::domain::texts::SealedFacts;

use super::triage::{still_open, told};
use super::{Turn, needs};

type Answer = Result<String, Refusal>;

/// The other incident that a command names.
fn other(turn: &Turn<'_, '_>, arguments: &str, word: &str) -> Result<Handle, Refusal> {
    needs(arguments, word, "HANDLE")?;
    let desk = turn.work.desk;
    let own = turn.incident()?.handle.clone();
    // One that the person is not on is as good as none: that it exists is not for them.
    let known = |handle: &Handle| -> Option<&Incident> {
        desk.incidents.get(handle).filter(|incident| incident.is_team(turn.person))
    };
    let named = Handle::parse(arguments);
    let Some(incident) = named.as_ref().and_then(known) else {
        return Err(Refusal::new(
            "no such incident",
            format!("`{arguments}` is no incident that you are on."),
            "write `| /list` to see them, without the bar.",
        ));
    };
    if incident.handle == own {
        return Err(Refusal::new("the same incident", "that is the incident itself.", ""));
    }
    if let Some(further) = &incident.same_as {
        return Err(Refusal::new(
            "it goes on elsewhere",
            format!("{} goes on as {further} itself.", incident.handle),
            format!("write `| /{word} {further}`, without the bar."),
        ));
    }
    Ok(incident.handle.clone())
}

/// Everybody who is on both incidents.
fn on_both<'d>(turn: &Turn<'_, 'd>, other: &Handle) -> Vec<&'d crate::domain::roster::Person> {
    let other = turn.work.desk.incidents.get(other);
    let team = turn.work.team().into_iter();
    team.filter(|person| other.is_some_and(|other| other.is_team(person))).collect()
}

/// `/duplicate HANDLE`
pub fn duplicate(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    let of = other(turn, arguments, "duplicate")?;
    let own = turn.incident()?.handle.clone();
    let people = on_both(turn, &of);
    let (facts, now) = (turn.work.clear_facts(), turn.work.now);
    turn.work.write_reporter(Purpose::Answer, "duplicate", &facts, &SealedFacts::default(), now);
    turn.work.add(Event::Duplicated { of: of.clone() });
    turn.work.add_about(&of, Event::Linked { handle: own, merged: false });
    let lines = [format!("{} found it to be a duplicate of {of}.", turn.person.name)];
    turn.tell_concerned(&people, "A duplicate", &lines, "go on with the other one.");
    Ok(format!("A duplicate of {of}; closed. {}", told(turn.work)))
}

/// `/merge HANDLE`
pub fn merge(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    let into = other(turn, arguments, "merge")?;
    let (open, basis) = still_open(turn)?;
    let what = format!(
        "This incident goes on as {into}, and its own agenda ends. Its reporter is told nothing, and is still answered here.{open}"
    );
    if let Some(ask) = turn.confirmed(&what, &[into.as_str(), &basis])? {
        return Ok(ask);
    }
    let incident = turn.incident()?.clone();
    let desk = turn.work.desk;
    let people = on_both(turn, &into);
    turn.work.add(Event::Merged { into: into.clone() });
    turn.work.add_about(&into, Event::Linked { handle: incident.handle.clone(), merged: true });
    // What the other one does not know yet is taken over; what it knows stays.
    if let Some(target) = desk.incidents.get(&into).filter(|target| target.status.is_open()) {
        for cve in incident.cves.difference(&target.cves) {
            turn.work.add_about(&into, Event::CveSet { cve: cve.clone() });
        }
        for (field, value) in &incident.fields {
            if field != "credit" && !target.fields.contains_key(field) {
                let (field, value) = (field.clone(), value.clone());
                turn.work.add_about(&into, Event::FieldSet { field, value });
            }
        }
    }
    let lines = [format!("{} merged it into {into}.", turn.person.name)];
    turn.tell_concerned(
        &people,
        "Merged into another incident",
        &lines,
        "go on with the other one.",
    );
    Ok(format!("It goes on as {into}."))
}
