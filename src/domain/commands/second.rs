//! What takes two people: found out by what a line would bring, whatever its word.
//!
//! Every line is tried on a copy first. Where that shows that something would happen which nobody takes
//! back, the second person is asked, and is told what would happen, to whom and when.

use std::collections::BTreeSet;

use serde_json::json;

use crate::domain::commands::dispatch::run;
use crate::domain::commands::turn::{Answer, Turn};
use crate::domain::decide::notice;
use crate::domain::decide::work::{Question, ShownDraft, Work};
use crate::domain::facts::event::Purpose;
use crate::domain::facts::names::{PersonId, TaskId};
use crate::domain::facts::refusal::Refusal;
use crate::domain::model::roster::Party;
use crate::domain::model::schedule::{Wider, approvals_missing};
use crate::domain::outgoing::texts::wrapped;
use crate::domain::process::vocabulary::Row;

/// Carries a line out if one person may, or two have said it; otherwise asks the second.
///
/// # Errors
/// Why it is not done.
pub fn carry_out(turn: &mut Turn<'_, '_>, row: &Row, arguments: &str) -> Answer {
    turn.work.seconded = None;
    let wider = tried(turn, row, arguments)?;
    if wider.is_empty() {
        return run(turn, row, arguments);
    }
    turn.must_second = true;
    turn.rests_on = basis(turn.work, &wider);
    // The word itself says what it does; what follows from that stands behind it.
    let follows = |wider: &&Wider| matches!(wider, Wider::GateOpen(_) | Wider::Sooner(..));
    turn.brings = brings(turn.work, wider.iter().filter(follows));
    let before = turn.work.clone();
    let (text_used, line) = (turn.text_used, turn.line.clone());
    let done = run(turn, row, arguments)?;
    if turn.work.wider.is_empty() {
        turn.work.seconded = None;
        return Ok(done);
    }
    // A word that does not ask by itself.
    *turn.work = before;
    (turn.text_used, turn.line) = (text_used, line);
    turn.brings.clear();
    let what = brings(turn.work, wider.iter());
    if let Some(ask) = turn.confirmed(&what, &[])? {
        return Ok(ask);
    }
    let done = run(turn, row, arguments);
    turn.work.seconded = None;
    done
}

/// What a line would bring; nothing comes of it.
fn tried(turn: &mut Turn<'_, '_>, row: &Row, arguments: &str) -> Result<Vec<Wider>, Refusal> {
    let mut work = turn.work.clone();
    work.trial = true;
    let mut trial = Turn::new(&mut work, turn.letter, turn.person, turn.line.clone(), turn.text);
    (trial.trial, trial.text_used) = (true, turn.text_used);
    run(&mut trial, row, arguments)?;
    Ok(work.wider)
}

/// What a question rests on. Not the moments: what is due now is due a little later when it is
/// confirmed.
fn basis(work: &Work<'_>, wider: &[Wider]) -> BTreeSet<String> {
    let key = |wider: &Wider| match wider {
        Wider::Sooner(notice, _) => format!("sooner {notice}"),
        // Who was suspended meanwhile is another one than was asked about.
        Wider::Reader(id) => {
            format!("reader {id} {:?}", work.desk.roster.person(id).map(|person| &person.groups))
        }
        Wider::GateOpen(_) | Wider::Date(_) | Wider::Public | Wider::Word | Wider::Audience(_) => {
            format!("{wider:?}")
        }
    };
    wider.iter().map(key).collect()
}

/// The same for the person who is asked.
fn brings<'w>(work: &Work<'_>, wider: impl Iterator<Item = &'w Wider>) -> String {
    let mut lines: Vec<String> = Vec::new();
    for wider in wider {
        let line = match wider {
            Wider::GateOpen(id) => opened(work, id),
            Wider::Sooner(id, at) => {
                let when = if *at <= work.now { "now".to_owned() } else { work.say(*at) };
                format!("`{id}`, which was approved, leaves {when}, for {}.", audience(work, id))
            }
            Wider::Date(t) => format!("T would be {}.", work.say(*t)),
            Wider::Public => {
                "It would be recorded as public, and the embargo would be over.".to_owned()
            }
            Wider::Reader(person) => format!("{} would read everything of it.", who(work, person)),
            Wider::Audience(group) => {
                format!("More people of `{group}` get what it sends to them.")
            }
            Wider::Word => continue,
        };
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.join("\n")
}

fn who(work: &Work<'_>, person: &PersonId) -> String {
    format!("{} ({person})", work.name(person))
}

fn audience(work: &Work<'_>, id: &TaskId) -> String {
    let incident = work.incident.as_ref();
    let audience = incident.and_then(|incident| {
        let audience = incident.task(id)?.audience.as_ref()?;
        Some(notice::label(incident, audience))
    });
    audience.unwrap_or_default()
}

/// What an open gate means for one public notice.
fn opened(work: &Work<'_>, id: &TaskId) -> String {
    let Some(task) = work.incident.as_ref().and_then(|incident| incident.task(id)) else {
        return String::new();
    };
    if !task.is_notice() {
        return format!(
            "No closed gate stands any more before: {} (`{}`).",
            task.title,
            task.word()
        );
    }
    let missing = work.incident.as_ref().is_none_or(|incident| {
        let notice = incident.notices.get(id);
        notice.is_none_or(|notice| approvals_missing(incident, notice, task) > 0)
    });
    let then = if missing {
        "Once two have approved it, it leaves"
    } else {
        "It was approved, and leaves"
    };
    format!(
        "No closed gate stands any more before `{}`, which is for {}. {then}:\n  {}",
        task.word(),
        audience(work, id),
        notice::moment(work, task)
    )
}

/// Sends everybody one mail with all that one command mail has for them to decide: drafts to approve,
/// and commands to confirm.
pub fn send_questions(work: &mut Work<'_>) {
    let questions = std::mem::take(&mut work.questions);
    let shown = std::mem::take(&mut work.shown);
    let asked = questions.iter().flat_map(|question| question.asked.iter().map(|(id, _)| id));
    let mut people: Vec<PersonId> = Vec::new();
    for id in shown.iter().flat_map(|draft| &draft.to).chain(asked) {
        if !people.contains(id) {
            people.push(id.clone());
        }
    }
    for id in people {
        let Some(person) = work.person(&id) else { continue };
        let drafts: Vec<&ShownDraft> =
            shown.iter().filter(|draft| draft.to.contains(&id)).collect();
        let theirs = questions.iter().filter_map(|question| {
            let (_, nonce) = question.asked.iter().find(|(asked, _)| *asked == id)?;
            Some((question, nonce.as_str()))
        });
        let theirs: Vec<(&Question, &str)> = theirs.collect();
        let rows: Vec<_> = theirs
            .iter()
            .map(|(question, nonce)| {
                json!({ "line": question.line, "what": wrapped(&question.what), "nonce": nonce })
            })
            .collect();
        let first = theirs.first().map(|(question, _)| question);
        let by = first.map_or_else(String::new, |question| work.name(&question.by));
        let until = first.map_or_else(String::new, |question| work.say(question.until));
        let mut facts = json!({ "by": by, "count": rows.len(), "rows": rows, "until": until });
        if drafts.is_empty() {
            work.tell(person, Purpose::Reminder, "confirm", facts);
            continue;
        }
        let names: Vec<&str> = drafts.iter().map(|draft| draft.name.as_str()).collect();
        let mut heading = match names.as_slice() {
            [one] => format!("Draft {one} waits for approval"),
            names => format!("Drafts {} wait for approval", names.join(", ")),
        };
        if !theirs.is_empty() {
            heading.push_str(", and a command for a second person");
        }
        let reference = work.reference(Party::Person(&id));
        if let serde_json::Value::Object(map) = &mut facts {
            let drafts = drafts.iter().map(|draft| draft.facts.clone()).collect();
            map.insert("drafts".to_owned(), serde_json::Value::Array(drafts));
            map.insert("heading".to_owned(), heading.into());
            map.insert("ref".to_owned(), reference.into());
        }
        let written = work.write("preview", &facts);
        let attachments = drafts.iter().flat_map(|draft| draft.attachments.clone()).collect();
        work.tell_written(person, Purpose::Relay, written, attachments, None);
    }
}
