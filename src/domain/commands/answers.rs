//! What recipients say about a notice: that they have it, that they are ready, that they object, that
//! it got out. It adds to the ledger and to the record, and changes nothing else.

use crate::domain::commands::talk;
use crate::domain::commands::turn::{Answer, Turn};
use crate::domain::facts::event::{Answer as Said, Event, Recipient};
use crate::domain::facts::names::{Moment, TaskId};
use crate::domain::facts::refusal::Refusal;
use crate::domain::model::incident::Incident;
use crate::domain::outgoing::texts::{clean, quote};

/// The notices that somebody has a copy of, newest last; one of them if it is named.
fn theirs(turn: &Turn<'_, '_>, named: &str) -> Result<Vec<(TaskId, u32)>, Refusal> {
    let nothing = || {
        Refusal::new(
            "no notice of that",
            "you have no notice on this incident, or none of that name.",
            "answer the notice that you mean, and keep its `Ref:` line.",
        )
    };
    let incident = turn.incident().map_err(|_| nothing())?;
    let me = Recipient::Person(turn.person.id.clone());
    let word = named.trim().split('@').next().unwrap_or("");
    let mut found: Vec<(Moment, TaskId, u32)> = Vec::new();
    for (id, notice) in &incident.notices {
        let called = word.is_empty()
            || id.as_str().eq_ignore_ascii_case(word)
            || incident.task(id).is_some_and(|task| task.is_called(word));
        for (number, release) in &notice.releases {
            if called && release.copies.contains_key(&me) {
                found.push((release.at, id.clone(), *number));
            }
        }
    }
    found.sort();
    if found.is_empty() {
        return Err(nothing());
    }
    Ok(found.into_iter().map(|(_, id, number)| (id, number)).collect())
}

fn answer(turn: &mut Turn<'_, '_>, arguments: &str, said: Said) -> Answer {
    let notices = theirs(turn, arguments)?;
    let me = Recipient::Person(turn.person.id.clone());
    let mut names = Vec::new();
    for (notice, number) in notices {
        let entry = |incident: &Incident| {
            incident.notices.get(&notice)?.releases.get(&number)?.copies.get(&me).cloned()
        };
        let known = turn.incident().ok().and_then(|incident| entry(incident));
        let new = known.is_some_and(|entry| match said {
            Said::Received => entry.received.is_none(),
            Said::Ready => entry.ready.is_none(),
        });
        let incident = turn.incident()?;
        let word =
            incident.task(&notice).map_or_else(|| notice.to_string(), |t| t.word().to_string());
        names.push(format!("{word}@{number}"));
        if new {
            turn.work.add(Event::Answered { notice, number, answer: said });
        }
    }
    let what = match said {
        Said::Received => "you have",
        Said::Ready => "you are ready for",
    };
    Ok(format!("Recorded: {what} {}. Thank you.", names.join(", ")))
}

/// `/ack [NOTICE]`
pub fn ack(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    answer(turn, arguments, Said::Received)
}

/// `/ready [NOTICE]`
pub fn ready(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    answer(turn, arguments, Said::Ready)
}

/// What somebody wrote, on the line and below it.
fn words(turn: &mut Turn<'_, '_>, arguments: &str) -> Result<String, Refusal> {
    let text = clean(&[arguments, turn.text].join("\n")).trim().to_owned();
    talk::take_text(turn)?;
    if text.is_empty() {
        return Err(Refusal::new(
            "say what",
            "your mail has no words of yours.",
            "write them below the word, after an empty line.",
        ));
    }
    Ok(text)
}

/// `/objection [TEXT]`
pub fn objection(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    theirs(turn, "")?;
    let text = words(turn, arguments)?;
    let kept = turn.work.keep(text.clone());
    turn.work.add(Event::Objected { words: kept });
    let lines = [
        format!("{} ({}) objects:", turn.person.name, turn.person.id),
        String::new(),
        quote(&text),
    ];
    let next = "talk to them by another way, or move the date with `| /disclose WHEN`, without the bar; nothing else follows from it.";
    let people = turn.work.circle();
    turn.tell_concerned(&people, "A recipient objects", &lines, next);
    Ok("Your objection is with the team. Until you hear otherwise the date stands.".to_owned())
}

/// `/leak [TEXT]`, by a member: it is told to the team at once, and changes nothing by itself.
pub fn leak(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    theirs(turn, "")?;
    let text = words(turn, arguments)?;
    let kept = turn.work.keep(text.clone());
    turn.work.add(Event::Noted { note: kept });
    let lines = [
        format!("{} ({}) says that it has got out:", turn.person.name, turn.person.id),
        String::new(),
        quote(&text),
    ];
    let next = "find out what is true of it. If it is: `| /leak WHO WHAT AND HOW`, without the bar, which another of you confirms; WHO is a member's id, or `unknown`.";
    let people = turn.work.team();
    turn.tell_concerned(&people, "A LEAK is reported", &lines, next);
    Ok("The team is told at once. Keep the embargo until you hear from us.".to_owned())
}
