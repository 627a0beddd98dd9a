//! The words that say that two incidents are one.
//!
//! Nothing of one incident reaches somebody who is only on the other: those who hear of both are on
//! both, and no reporter learns of another one's incident.

use crate::domain::commands::triage::still_open;
use crate::domain::commands::turn::{Answer, Turn, needs, told};
use crate::domain::facts::event::{Event, Purpose};
use crate::domain::facts::names::Handle;
use crate::domain::facts::refusal::Refusal;
use crate::domain::model::incident::{Incident, Status};
use crate::domain::model::roster::Person;
use crate::domain::outgoing::texts::SealedFacts;
use crate::domain::process::vocabulary::Word;

/// The other incident that a command names.
fn other(turn: &Turn<'_, '_>, arguments: &str, word: &str) -> Result<Handle, Refusal> {
    needs(arguments, word, "HANDLE")?;
    let desk = turn.work.desk;
    let own = turn.incident()?.handle.clone();
    // One that the person is not on is as good as none: that it exists is not for them.
    let known = |handle: &Handle| -> Option<&Incident> {
        desk.incident(handle).filter(|incident| incident.is_team(turn.person))
    };
    let named = Handle::parse(arguments);
    // Who confirms must be on it as well.
    let confirms = |incident: &&Incident| {
        turn.confirmed.as_ref().is_none_or(|confirmed| incident.is_team(confirmed.by))
    };
    let Some(incident) = named.as_ref().and_then(known).filter(confirms) else {
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
    if word == "merge" && !incident.status.is_open() {
        return Err(Refusal::new(
            "the other one is closed",
            format!(
                "{} is {}, and nobody would go on with it.",
                incident.handle,
                incident.status.word()
            ),
            "write `| /reopen` there first, without the bar.",
        ));
    }
    Ok(incident.handle.clone())
}

/// Everybody who is on both incidents.
fn on_both<'d>(turn: &Turn<'_, 'd>, other: &Handle) -> Vec<&'d Person> {
    let other = turn.work.desk.incident(other);
    let team = turn.work.team().into_iter();
    team.filter(|person| other.is_some_and(|other| other.is_team(person))).collect()
}

/// `/duplicate HANDLE`
pub fn duplicate(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    let of = other(turn, arguments, "duplicate")?;
    turn.also_on = vec![of.clone()];
    let incident = turn.incident()?;
    let own = incident.handle.clone();
    if incident.status == Status::Accepted || turn.needs_second(Word::Duplicate) {
        let (open, basis) = still_open(turn)?;
        let what = format!("This closes it as a duplicate of {of}.{open}");
        if let Some(ask) = turn.confirmed(&what, &[of.as_str(), &basis])? {
            return Ok(ask);
        }
    }
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
    turn.also_on = vec![into.clone()];
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
    let lines = [format!("{} merged it into {into}.", turn.person.name)];
    turn.tell_concerned(
        &people,
        "Merged into another incident",
        &lines,
        "go on with the other one.",
    );
    Ok(format!("It goes on as {into}.{}", not_known_there(&incident, desk.incident(&into))))
}

/// What the record of the other incident lacks. Not written there by itself: others may read it
/// there, and other people may keep that record.
fn not_known_there(incident: &Incident, other: Option<&Incident>) -> String {
    let Some(other) = other else { return String::new() };
    let mut lines: Vec<String> =
        incident.cves.difference(&other.cves).map(|cve| format!("  | /cve {cve}")).collect();
    let fields = incident.fields.iter().filter(|(field, _)| !other.fields.contains_key(*field));
    lines.extend(fields.map(|(field, value)| format!("  | /set {field} {value}")));
    if lines.is_empty() {
        return String::new();
    }
    format!(
        "\nIts record lacks this; write it there if it belongs there:\n\n{}\n",
        lines.join("\n")
    )
}
