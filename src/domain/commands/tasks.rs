//! The words about the rows of the process: done, not done after all, and will not be done.

use crate::domain::commands::record::VALUE_MAX;
use crate::domain::commands::turn::{Answer, Turn, needs};
use crate::domain::decide::{auto, notice, reminders};
use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::event::Event;
use crate::domain::facts::names::{PersonId, TaskId};
use crate::domain::facts::refusal::Refusal;
use crate::domain::model::incident::Notice;
use crate::domain::model::{incident, schedule};
use crate::domain::outgoing::texts::clean_line;
use crate::domain::process::playbook::{Audience, FieldType, Kind, Task, Truth};
use crate::domain::process::vocabulary::Word;

/// The longest evidence: a hundred hashes of commits.
const EVIDENCE_MAX: usize = 5_000;

/// `/done TASK [EVIDENCE]`
pub fn done(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    let (task, id, said) = turn.task_part(arguments)?;
    may_be_done(turn, &task, &id)?;
    let evidence = evidence(turn, &task, said)?;
    if !task.agree.is_empty() || task.people > 1 {
        return agree(turn, &task);
    }
    if let Some(ask) = compare(turn, &task, evidence.as_deref())? {
        return Ok(ask);
    }
    if let Some(ask) = not_the_day_yet(turn, &task)? {
        return Ok(ask);
    }
    // What has parts is done, and sets its fact, with the last of them.
    let last = match task.fan_out.and_then(|fan_out| turn.work.incident.as_ref()?.parts(fan_out)) {
        None => true,
        Some(parts) => {
            let incident = turn.incident()?;
            parts.iter().map(|part| task.id.part(part)).all(|part| {
                part == id
                    || incident.done.contains_key(&part)
                    || incident.skipped.contains_key(&part)
            })
        }
    };
    let sets = task.sets.filter(|_| last);
    let seconded = turn.work.seconded.clone();
    turn.work.add(Event::TaskDone { task: id, evidence, sets, seconded });
    Ok(format!("Done: {}", task.title))
}

/// `/release`: opens the gate before the public notices, as `/done` on that gate does.
pub fn release(turn: &mut Turn<'_, '_>, _: &str) -> Answer {
    let incident = turn.open_incident()?;
    let public = |task: &&Task| matches!(task.audience, Some(Audience::Public(_)));
    let before = incident.notice_tasks().filter(public).flat_map(|task| &task.after);
    let gates = before.filter_map(|id| incident.task(id)).filter(|task| task.kind == Kind::Gate);
    let mut open: Vec<String> = gates
        .filter(|gate| schedule::done_at(incident, gate).is_none())
        .filter(|gate| incident.applies(gate) != Truth::No)
        .map(|gate| gate.word().to_string())
        .collect();
    open.sort();
    open.dedup();
    match open.as_slice() {
        [gate] => done(turn, &gate.clone()),
        [] => Err(Refusal::new(
            "no gate is closed",
            "no closed gate stands before a public notice.",
            "see `| /agenda`, without the bar.",
        )),
        gates => Err(Refusal::new(
            "several gates",
            format!("several gates are closed: {}.", gates.join(", ")),
            "open each with `| /done GATE`, without the bar.",
        )),
    }
}

/// Asks before somebody says that it is released although its day has not come: rows count from
/// that, and roles end with it.
fn not_the_day_yet(turn: &mut Turn<'_, '_>, task: &Task) -> Result<Option<String>, Refusal> {
    let incident = turn.incident()?;
    let earliest = schedule::span_of(incident, task).map(|(earliest, _)| earliest);
    let early = earliest.filter(|at| *at > turn.work.now);
    let (Some(Anchor::Released), Some(at)) = (task.sets, early) else { return Ok(None) };
    let what = format!(
        "`{}` is planned for {}. This says that it is released now.",
        task.word(),
        turn.work.say(at)
    );
    turn.confirmed(&what, &[&at.to_string()])
}

/// Refuses what cannot be said to be done now.
fn may_be_done(turn: &Turn<'_, '_>, task: &Task, id: &TaskId) -> Result<(), Refusal> {
    let incident = turn.incident()?;
    let word = task.word().to_string();
    let refuse = |reason: &str, why: String, next: &str| Err(Refusal::new(reason, why, next));
    let repeats = task.when.as_ref().is_some_and(|when| when.repeat.is_some());
    let at = schedule::done_at(incident, task)
        .or_else(|| incident.done.get(id).filter(|_| !repeats).map(|done| done.at));
    if let Some(at) = at {
        let why = format!("`{word}` was done {}.", turn.work.say(at));
        return refuse("done already", why, "");
    }
    match incident.applies(task) {
        Truth::Yes => {}
        Truth::No => {
            let why = format!("the process does not ask for `{word}` on this incident.");
            return refuse("not asked for here", why, "see `| /agenda`, without the bar.");
        }
        Truth::Unknown(missing) => {
            let names = incident::names(&missing);
            let why = format!("whether the process asks for `{word}` depends on: {names}.");
            return refuse(
                "not known yet",
                why,
                "set them with `| /set` or `| /cvss`, without the bar.",
            );
        }
    }
    let closes = task.is_closed_by_a_person();
    let desk_does = task.kind == Kind::Auto && !closes;
    let given = schedule::is_with_a_person(incident, task)
        || task.is_notice() && notice::has_nobody(turn.work, task);
    if task.is_standing() || (task.is_notice() && !given) || desk_does {
        let next = if task.is_notice() {
            format!("write `| /preview {word}` and approve the draft, without the bar.")
        } else {
            String::new()
        };
        let why = format!("`{word}` is not a task that a person does.");
        return refuse("nothing to be done", why, &next);
    }
    if let Some(answer) = &task.answer {
        let answer = reminders::answer_word(answer);
        let next = format!("write `| {answer}`, without the bar.");
        let why = format!("`{word}` is done by `| {answer}` to the reporter.");
        return refuse("an answer does it", why, &next);
    }
    if let Some(follows) = task.follows {
        let why = format!("`{word}` is done once T is that of `{follows}`.");
        return refuse("the date does it", why, "write `| /disclose WHEN`, without the bar.");
    }
    // What waits for a fact, and must: a gate, and what comes after the release.
    let waits = task.when.as_ref().is_some_and(|when| {
        task.kind == Kind::Gate || when.anchors.iter().all(|anchor| anchor.is_after_release())
    });
    if waits && schedule::span_of(incident, task).is_none() {
        let names: Vec<_> =
            task.when.iter().flat_map(|when| &when.anchors).map(ToString::to_string).collect();
        let why = format!("`{word}` waits for `{}`, which is not known yet.", names.join("` or `"));
        return refuse("too early", why, "see `| /agenda`, without the bar.");
    }
    let missing: Vec<_> = schedule::missing(incident, task).map(ToOwned::to_owned).collect();
    if !missing.is_empty() {
        let why = format!("`{word}` needs these in the record first: {}.", missing.join(", "));
        return refuse("the record is incomplete", why, &reminders::field_words(&missing));
    }
    let before: Vec<_> = schedule::open_before(incident, task).map(ToString::to_string).collect();
    if !before.is_empty() {
        let why = format!("before `{word}` come {}.", before.join(", "));
        return refuse("others come first", why, "");
    }
    Ok(())
}

/// What was said to be the evidence, in the form that the row asks for.
fn evidence(turn: &Turn<'_, '_>, task: &Task, said: &str) -> Result<Option<String>, Refusal> {
    let incident = turn.incident()?;
    let word = task.word();
    // A row that is settled by a fact can be settled otherwise, but not without a word.
    let somebody_missing =
        task.of.as_ref().is_some_and(|_| auto::is_somebody_missing(turn.work, incident, task));
    let given = task.is_notice() && notice::has_nobody(turn.work, task);
    let asks = task.evidence.is_some() || !task.fact.is_empty() || somebody_missing || given;
    let said = clean_line(said, EVIDENCE_MAX);
    if said.is_empty() {
        if !asks {
            return Ok(None);
        }
        let why = match (&task.evidence, somebody_missing) {
            (Some(kind), _) => format!("`{word}` asks by what: {}.", kind.example()),
            (None, true) => {
                format!("not everybody was reached, so `{word}` is closed with a note only.")
            }
            (None, false) => format!("`{word}` is closed by hand with a reason only."),
        };
        let next = format!("write `| /done {word} EVIDENCE`, without the bar.");
        return Err(Refusal::new("evidence is needed", why, next));
    }
    let kind = task.evidence.as_ref().unwrap_or(&FieldType::Text);
    kind.check(&said, turn.work.now, &incident.playbook.calendar).map(Some).map_err(|why| {
        let next = format!("write `| /done {word} EVIDENCE`, without the bar.");
        Refusal::new("the evidence does not fit", format!("{why}."), next)
    })
}

/// Where a row's evidence must be that of another, asks if it is not, and alarms the team.
fn compare(
    turn: &mut Turn<'_, '_>,
    task: &Task,
    evidence: Option<&str>,
) -> Result<Option<String>, Refusal> {
    let incident = turn.incident()?;
    let Some(other) = task.same_as.as_ref().and_then(|other| incident.task(other)) else {
        return Ok(None);
    };
    let then = incident.done.get(&other.id).and_then(|done| done.evidence.clone());
    let set = |text: &str| -> std::collections::BTreeSet<String> {
        text.split(", ").map(str::to_owned).collect()
    };
    let (then, now) = (set(then.as_deref().unwrap_or("nothing")), set(evidence.unwrap_or("")));
    if then == now {
        return Ok(None);
    }
    let list = |set: &mut dyn Iterator<Item = &String>| {
        let words: Vec<_> = set.cloned().collect();
        if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
    };
    let lines = [
        format!("`{}` was done with other commits than `{}`.", task.word(), other.word()),
        format!("Missing now: {}", list(&mut then.difference(&now))),
        format!("New: {}", list(&mut now.difference(&then))),
    ];
    let ask = turn.confirmed(&lines.join("\n"), &[&format!("{then:?}")])?;
    if ask.is_some() {
        let team = turn.work.team();
        let next = "look at the release before anybody relies on it.";
        turn.tell_concerned(
            &team,
            "ALARM: the commits are not those that were ready",
            &lines,
            next,
        );
    }
    Ok(ask)
}

/// A gate at which several roles must agree, each by a person of its own.
fn agree(turn: &mut Turn<'_, '_>, task: &Task) -> Answer {
    let incident = turn.incident()?.clone();
    let agreed = incident.agreed.get(&task.id).cloned().unwrap_or_default();
    if agreed.values().any(|person| *person == turn.person.id) {
        return Err(Refusal::new(
            "agreed already",
            "you have agreed; it takes another person as well.",
            "",
        ));
    }
    let free = |role: &&String| !agreed.contains_key(*role) && incident.holds(turn.person, role);
    let role = if task.people > 1 {
        // Several of the same role: each in a place of its own.
        let held = task.roles().find(|role| incident.holds(turn.person, role));
        let taken = |n: &usize| agreed.keys().any(|role| role.ends_with(&format!("#{n}")));
        let place = (1..=task.people).find(|n| !taken(n)).unwrap_or(task.people);
        held.map(|role| format!("{role}#{place}"))
    } else {
        task.agree.iter().find(free).cloned()
    };
    let Some(role) = role else {
        return Err(Refusal::new(
            "not your role",
            "the roles that have not agreed yet are not yours.",
            "ask somebody who holds them.",
        ));
    };
    turn.work.add(Event::Agreed { task: task.id.clone(), role });
    let people = turn.incident()?.agreed.get(&task.id).cloned().unwrap_or_default();
    let agreed = people.len();
    // Those who agree are the two, where they are two.
    let people: Vec<&PersonId> = people.values().collect();
    let two = turn.incident()?.two_of(&people);
    let missing = task.agree.len().max(task.people).saturating_sub(agreed);
    if missing > 0 {
        let who = if task.people > 1 { "person" } else { "role" };
        return Ok(format!("You agree. {missing} more {who} must."));
    }
    if two.is_some() {
        turn.work.seconded = two;
    }
    let (id, sets, seconded) = (task.id.clone(), task.sets, turn.work.seconded.clone());
    turn.work.add(Event::TaskDone { task: id, evidence: None, sets, seconded });
    Ok(format!("All agree: {}", task.title))
}

/// `/undo TASK`: takes back a `/done` or a `/skip`. What left in the meantime has left.
pub fn undo(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    needs(arguments, "undo", "TASK")?;
    let (task, id, _) = turn.task_part(arguments)?;
    let incident = turn.incident()?;
    let word = arguments.split_whitespace().next().unwrap_or("").to_owned();
    let agreed = incident.agreed.get(&id).is_some_and(|agreed| !agreed.is_empty());
    let said = incident.done.contains_key(&id) || incident.skipped.contains_key(&id);
    if !said && !agreed {
        return Err(Refusal::new(
            "nothing to take back",
            format!("nobody has said that `{word}` is done or skipped."),
            "write `| /agenda` for the list, without the bar.",
        ));
    }
    let by = incident.done.get(&id).and_then(|done| done.by.clone());
    turn.work.add(Event::TaskUndone { task: id });
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
    let (task, id, reason) = turn.task_part(arguments)?;
    needs(reason, "skip", "TASK REASON")?;
    let incident = turn.incident()?;
    let word = task.word().to_string();
    let left = incident.notices.get(&task.id).is_some_and(Notice::has_left);
    // What left for the public and was taken by nobody can be given up.
    let public = matches!(task.audience, Some(Audience::Public(_)));
    let done = schedule::done_at(incident, &task).is_some() || incident.done.contains_key(&id);
    if (left && !public) || done || incident.skipped.contains_key(&id) {
        return Err(Refusal::new(
            "done already",
            format!("`{word}` was done, sent or skipped before."),
            "write `| /agenda` for the list, without the bar.",
        ));
    }
    if task.must {
        return Err(Refusal::new(
            "it may not be skipped",
            format!("the process does not let `{word}` be skipped."),
            "do it, and say so.",
        ));
    }
    let closes = task.is_closed_by_a_person();
    if task.is_standing() || (task.kind == Kind::Auto && !closes) {
        return Err(Refusal::new(
            "nothing to be skipped",
            format!("`{word}` is not a task that a person does."),
            "write `| /agenda` for the list, without the bar.",
        ));
    }
    let reason = clean_line(reason, VALUE_MAX);
    if task.kind == Kind::Gate {
        if let Some(ask) = skip_gate(turn, &task)? {
            return Ok(ask);
        }
    } else if turn.must_second || turn.needs_second(Word::Skip) {
        let what = format!("`{word}` would not be done: {}", task.title);
        if let Some(ask) = turn.confirmed(&what, &[])? {
            return Ok(ask);
        }
    }
    turn.work.add(Event::TaskSkipped { task: id, reason });
    Ok(format!("Skipped: {}", task.title))
}

/// Asks whether a gate is really to be skipped, and says what that opens.
fn skip_gate(turn: &mut Turn<'_, '_>, task: &Task) -> Result<Option<String>, Refusal> {
    let incident = turn.incident()?;
    let word = task.word();
    let then: Vec<_> = incident
        .tasks()
        .filter(|other| other.after.contains(&task.id))
        .filter(|other| !matches!(other.audience, Some(Audience::Public(_))))
        .map(|other| other.word().to_string())
        .collect();
    let then = if then.is_empty() { "nothing".to_owned() } else { then.join(", ") };
    let public: Vec<_> = incident
        .tasks()
        .filter(|other| other.after.contains(&task.id))
        .filter(|other| matches!(other.audience, Some(Audience::Public(_))))
        .map(|other| other.word().to_string())
        .collect();
    // Nothing becomes public by a gate that nobody opened.
    let waits = if public.is_empty() {
        String::new()
    } else {
        format!("\nThis waits all the same until somebody opens it: {}.", public.join(", "))
    };
    let what = format!(
        "`{word}` is a gate: {}\nSkipping it opens the way for: {then}.{waits}",
        task.title
    );
    let basis = format!("{:?} {:?}", incident.agreed.get(&task.id), incident.t());
    // Where several roles must agree, one person must not skip what they were to agree on.
    let not_own = |role: &&String| !incident.holds(turn.person, role);
    let others: Vec<String> = task.agree.iter().filter(not_own).cloned().collect();
    turn.also_holds = if task.people > 1 {
        task.roles().cloned().collect()
    } else if others.is_empty() {
        task.agree.clone()
    } else {
        others
    };
    let ask = turn.confirmed(&what, &[&basis]);
    turn.also_holds.clear();
    ask
}
