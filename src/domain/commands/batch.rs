//! The word about a release that several incidents share.

use crate::domain::commands::date::{
    members, others, set_t_of_all, two_set_its_date, two_set_theirs,
};
use crate::domain::commands::turn::{Answer, Turn};
use crate::domain::decide::batch;
use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::event::Event;
use crate::domain::facts::names::{Handle, Moment, is_id};
use crate::domain::facts::refusal::Refusal;
use crate::domain::model::incident::{Incident, Status};
use crate::domain::process::playbook::{Action, Task};

/// `/batch NAME`, `/batch leave`, `/batch final`
pub fn batch(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    match arguments.to_ascii_lowercase().as_str() {
        "" => shown(turn),
        "leave" => leave(turn),
        "final" => set_is_final(turn),
        name => join(turn, name),
    }
}

fn shown(turn: &Turn<'_, '_>) -> Answer {
    let incident = turn.incident()?;
    match &incident.batch {
        Some(name) => {
            Ok(format!("Release `{name}`:\n{}", batch::list(turn.work.desk, incident, turn.person)))
        }
        None => Ok("It shares its release with no other incident.".to_owned()),
    }
}

fn join(turn: &mut Turn<'_, '_>, name: &str) -> Answer {
    let incident = turn.incident()?.clone();
    let refuse = |reason: &str, why: String, next: &str| Err(Refusal::new(reason, why, next));
    if !is_id(name) || name.len() > 40 {
        let why = format!("`{name}` is no name of a release; use letters, digits, `-` and `_`.");
        return refuse("no such name", why, "");
    }
    if let Some(known) = &incident.batch {
        let why = format!("it is part of the release `{known}`.");
        return refuse("part of a release", why, "write `| /batch leave` first, without the bar.");
    }
    if incident.status != Status::Accepted || incident.published().is_some() {
        let why = "a release fixes what was accepted and is not public yet.".to_owned();
        return refuse("not to be fixed", why, "");
    }
    let others = members(turn, name, &incident.handle)?;
    let is_final = |handle: &Handle| {
        let other = turn.work.desk.incident(handle);
        other.is_some_and(|other| other.anchor(Anchor::BatchFinal).is_some())
    };
    let all = turn.work.desk.batches.get(name).into_iter().flatten();
    if all.clone().any(is_final) {
        let why = format!("it was said that no more incidents come to the release `{name}`.");
        return refuse("the release is final", why, "choose another name.");
    }
    let (moves, theirs) = date_of_all(turn, name, &others)?;
    let two = two_set_theirs(turn, &others) || two_set_its_date(&incident);
    if moves.is_some() && two {
        let why =
            "the date of one of them is set by two people, and joining would set it.".to_owned();
        let next = "set the same date there with `| /disclose WHEN` first, without the bar.";
        return refuse("two people set that date", why, next);
    }
    turn.also_on.clone_from(&others);
    if turn.work.desk.batches.get(name).is_some_and(|members| !members.is_empty()) {
        let t = moves.or(theirs);
        let when =
            t.map_or_else(|| "is not set".to_owned(), |t| format!("is {}", turn.work.say(t)));
        let what = format!(
            "It would be part of the release `{name}` with {} more, and T of all {when}. Whoever leads the \
             first of them speaks for all to packagers and third parties.",
            others.len()
        );
        if let Some(ask) = turn.confirmed(&what, &[&format!("{others:?} {t:?}")])? {
            return Ok(ask);
        }
    }
    turn.work.add(Event::BatchJoined { batch: name.to_owned() });
    if let Some(t) = moves {
        set_t_of_all(turn, t, &others)?;
    }
    let team = turn.work.team();
    let lines = [format!("{} made it part of the release `{name}`.", turn.person.name)];
    let next =
        "see `| /batch` for the others, without the bar; `| /disclose` sets the date of all.";
    turn.tell_concerned(&team, "It shares a release", &lines, next);
    let (person, lines) =
        (turn.person, [format!("{} put one more incident in it.", turn.person.name)]);
    for handle in &others {
        turn.work.on_other(handle, |work| {
            let team: Vec<_> = work.team().into_iter().filter(|p| p.id != person.id).collect();
            work.inform(&team, "The release fixes one more", &lines, next);
        });
    }
    Ok(format!("Part of the release `{name}`, with {} more.", others.len()))
}

/// The T that joining would set, here or for the others, and what theirs is.
fn date_of_all(
    turn: &Turn<'_, '_>,
    name: &str,
    others: &[Handle],
) -> Result<(Option<Moment>, Option<Moment>), Refusal> {
    let incident = turn.incident()?;
    let first = others.first().and_then(|handle| turn.work.desk.incident(handle));
    let theirs = first.and_then(Incident::t);
    let moves: Option<Moment> = match (incident.t(), theirs) {
        (Some(own), Some(theirs)) if own != theirs => {
            let (own, theirs) = (turn.work.say(own), turn.work.say(theirs));
            let why = format!("T is {own} here, and {theirs} for the release `{name}`.");
            let next = "bring them together first, with `| /disclose WHEN` here or there.";
            return Err(Refusal::new("two dates", why, next));
        }
        (None, Some(theirs)) => Some(theirs),
        (Some(own), None) if !others.is_empty() => Some(own),
        _ => None,
    };
    Ok((moves, theirs))
}

fn leave(turn: &mut Turn<'_, '_>) -> Answer {
    let incident = turn.incident()?;
    let Some(name) = incident.batch.clone() else {
        return Err(Refusal::new("part of no release", "it shares its release with nobody.", ""));
    };
    let t = incident.t().map_or_else(|| "not set".to_owned(), |t| turn.work.say(t));
    let what = format!("It would leave the release `{name}`. T stays as it is here: {t}.");
    if let Some(ask) = turn.confirmed(&what, &[&name])? {
        return Ok(ask);
    }
    turn.work.add(Event::BatchLeft);
    Ok(format!("It has left the release `{name}`."))
}

fn set_is_final(turn: &mut Turn<'_, '_>) -> Answer {
    if turn.incident()?.batch.is_none() {
        return Err(Refusal::new(
            "part of no release",
            "which incidents a release fixes is said of a release.",
            "write `| /batch NAME` first, without the bar.",
        ));
    }
    let others = others(turn)?;
    let now = turn.work.now;
    let said = Event::AnchorSet { anchor: Anchor::BatchFinal, moment: now };
    turn.work.add(said.clone());
    for handle in &others {
        turn.work.on_other(handle, |work| work.add(said.clone()));
    }
    let lists = |task: &&Task| task.action == Some(Action::ListBatch);
    let rows: Vec<Task> = turn.incident()?.tasks().filter(lists).cloned().collect();
    for row in &rows {
        batch::tell_list(turn.work, row);
    }
    let list = batch::list(turn.work.desk, turn.incident()?, turn.person);
    Ok(format!("No more incidents come to this release. In the order of their numbers:\n{list}"))
}
