//! The words about the rows of the process: done, not done after all, and will not be done.

use crate::domain::event::Event;
use crate::domain::playbook::Kind;
use crate::domain::refusal::Refusal;
use crate::domain::schedule;
use crate::domain::texts::clean_line;

use super::record::VALUE_MAX;
use super::{Turn, needs};

type Answer = Result<String, Refusal>;

/// `/done TASK [EVIDENCE]`
pub fn done(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    let (task, evidence) = turn.task(arguments)?;
    let incident = turn.incident()?;
    let word = task.word().to_string();
    let refuse = |reason: &str, why: String, next: String| Err(Refusal::new(reason, why, next));
    if let Some(at) = schedule::done_at(incident, &task) {
        return refuse(
            "done already",
            format!("`{word}` was done {}.", turn.work.say(at)),
            String::new(),
        );
    }
    if task.is_standing() || matches!(task.kind, Kind::Auto | Kind::Draft) {
        let next = match task.kind {
            Kind::Draft => {
                format!("write `| /preview {word}` and approve the draft, without the bar.")
            }
            Kind::Auto | Kind::Human | Kind::Decide | Kind::Gate | Kind::Record => String::new(),
        };
        return refuse(
            "nothing to be done",
            format!("`{word}` is not a task that a person does."),
            next,
        );
    }
    let missing: Vec<_> = schedule::missing(incident, &task).map(ToOwned::to_owned).collect();
    if !missing.is_empty() {
        let why = format!("`{word}` needs these in the record first: {}.", missing.join(", "));
        return refuse(
            "the record is incomplete",
            why,
            "set them with `| /set`, `| /cve` or `| /cvss`.".into(),
        );
    }
    let before: Vec<_> = schedule::open_before(incident, &task).map(ToString::to_string).collect();
    if !before.is_empty() {
        return refuse(
            "others come first",
            format!("before `{word}` come {}.", before.join(", ")),
            String::new(),
        );
    }
    if task.evidence && evidence.is_empty() {
        return refuse(
            "evidence is needed",
            format!("`{word}` asks by what."),
            format!("write `| /done {word} EVIDENCE`."),
        );
    }
    if !task.agree.is_empty() {
        return agree(turn, &task);
    }
    let evidence = (!evidence.is_empty()).then(|| clean_line(evidence, VALUE_MAX));
    turn.work.add(Event::TaskDone { task: task.id.clone(), evidence, sets: task.sets });
    Ok(format!("Done: {}", task.title))
}

/// A gate at which several roles must agree, each by a person of its own.
fn agree(turn: &mut Turn<'_, '_>, task: &crate::domain::playbook::Task) -> Answer {
    let incident = turn.incident()?.clone();
    let agreed = incident.agreed.get(&task.id).cloned().unwrap_or_default();
    if agreed.values().any(|person| *person == turn.person.id) {
        return Err(Refusal::new(
            "agreed already",
            "you have agreed; the other role must be another person.",
            "",
        ));
    }
    let role = task
        .agree
        .iter()
        .find(|role| !agreed.contains_key(*role) && incident.holds(turn.person, role));
    let Some(role) = role.cloned() else {
        return Err(Refusal::new(
            "not your role",
            "the roles that have not agreed yet are not yours.",
            "ask somebody who holds them.",
        ));
    };
    turn.work.add(Event::Agreed { task: task.id.clone(), role });
    let agreed = turn.incident()?.agreed.get(&task.id).map_or(0, std::collections::BTreeMap::len);
    let missing = task.agree.len().saturating_sub(agreed);
    if missing > 0 {
        return Ok(format!("You agree. {missing} more role must."));
    }
    turn.work.add(Event::TaskDone { task: task.id.clone(), evidence: None, sets: task.sets });
    Ok(format!("All agree: {}", task.title))
}

/// `/undo TASK`: takes back a `/done` or a `/skip`. What left in the meantime has left.
pub fn undo(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    needs(arguments, "undo", "TASK")?;
    let (task, _) = turn.task(arguments)?;
    let incident = turn.incident()?;
    let word = task.word().to_string();
    let agreed = incident.agreed.get(&task.id).is_some_and(|agreed| !agreed.is_empty());
    let said = incident.done.contains_key(&task.id) || incident.skipped.contains_key(&task.id);
    if !said && !agreed {
        return Err(Refusal::new(
            "nothing to take back",
            format!("nobody has said that `{word}` is done or skipped."),
            "write `| /agenda` for the list, without the bar.",
        ));
    }
    let by = incident.done.get(&task.id).and_then(|done| done.by.clone());
    turn.work.add(Event::TaskUndone { task: task.id.clone() });
    let lines = [format!("{} took back that `{word}` is done: {}", turn.person.name, task.title)];
    let concerned: Vec<_> = by.iter().filter_map(|id| turn.work.person(id)).collect();
    turn.tell_concerned(
        &concerned,
        "A task is open again",
        &lines,
        "see `| /agenda`, without the bar.",
    );
    Ok(format!("Open again: {}", task.title))
}

/// `/skip TASK REASON`
pub fn skip(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    needs(arguments, "skip", "TASK REASON")?;
    let (task, reason) = turn.task(arguments)?;
    needs(reason, "skip", "TASK REASON")?;
    let incident = turn.incident()?;
    let word = task.word().to_string();
    let left =
        incident.notices.get(&task.id).is_some_and(crate::domain::incident::Notice::has_left);
    if left || schedule::done_at(incident, &task).is_some() {
        return Err(Refusal::new(
            "done already",
            format!("`{word}` was done, sent or skipped before."),
            "write `| /agenda` for the list, without the bar.",
        ));
    }
    if task.is_standing() || task.kind == Kind::Auto {
        return Err(Refusal::new(
            "nothing to be skipped",
            format!("`{word}` is not a task that a person does."),
            "write `| /agenda` for the list, without the bar.",
        ));
    }
    let reason = clean_line(reason, VALUE_MAX);
    if task.kind == Kind::Gate {
        let then: Vec<_> = incident
            .tasks()
            .filter(|other| other.after.contains(&task.id))
            .map(|other| other.word().to_string())
            .collect();
        let then = if then.is_empty() { "nothing".to_owned() } else { then.join(", ") };
        let what =
            format!("`{word}` is a gate: {}\nSkipping it opens the way for: {then}.", task.title);
        let basis = format!("{:?} {:?}", incident.agreed.get(&task.id), incident.t());
        // Where several roles must agree, one person must not skip what they were to agree on.
        let not_own = |role: &&String| !incident.holds(turn.person, role);
        let others: Vec<String> = task.agree.iter().filter(not_own).cloned().collect();
        turn.also_holds = if others.is_empty() { task.agree.clone() } else { others };
        let ask = turn.confirmed(&what, &[&basis]);
        turn.also_holds.clear();
        if let Some(ask) = ask? {
            return Ok(ask);
        }
    } else if turn.needs_second("skip") {
        let what = format!("`{word}` would not be done: {}", task.title);
        if let Some(ask) = turn.confirmed(&what, &[])? {
            return Ok(ask);
        }
    }
    turn.work.add(Event::TaskSkipped { task: task.id.clone(), reason });
    Ok(format!("Skipped: {}", task.title))
}
