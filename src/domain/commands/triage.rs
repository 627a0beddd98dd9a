//! The words that judge a report and answer its reporter.

use serde_json::json;

use super::super::event::{Event, Purpose};
use super::super::incident::Status;
use super::super::names::PersonId;
use super::super::outbox::Words;
use super::super::refusal::Refusal;
use super::super::roster::Party;
use super::super::texts::{SealedFacts, clean};
use super::super::work::Work;
use super::{Turn, needs};

type Answer = Result<String, Refusal>;

/// What becomes of an answer to the reporter, for the transcript.
fn told(work: &Work<'_>) -> &'static str {
    let reporter = work.incident.as_ref().map(|incident| &incident.reporter);
    match reporter {
        Some(reporter) if reporter.address.is_none() => {
            "The reporter left no address; nobody is told."
        }
        Some(reporter) if reporter.key.is_some() => "The reporter is told, sealed to their key.",
        _ => "The reporter is told in clear, without content: we have no key of theirs.",
    }
}

/// `/accept`
pub fn accept(turn: &mut Turn<'_, '_>, _: &str) -> Answer {
    let incident = turn.open_incident()?;
    if incident.status == Status::Accepted {
        return Err(Refusal::new("accepted already", "it was accepted before.", ""));
    }
    turn.work.add(Event::Accepted);
    let lead = turn.incident()?.lead.clone();
    if lead.is_none() && turn.person.roles.contains("lead") {
        turn.work.add(Event::LeadSet { person: turn.person.id.clone() });
    }
    let facts = turn.work.clear_facts();
    let now = turn.work.now;
    turn.work.write_reporter(Purpose::Answer, "answer", &facts, &SealedFacts::default(), now);
    Ok(format!("Accepted. {}", told(turn.work)))
}

/// `/reject REASON`; the reason may also stand below.
pub fn reject(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    let reason = if arguments.is_empty() {
        turn.text_used = true;
        clean(turn.text)
    } else {
        clean(arguments)
    };
    needs(&reason, "reject", "REASON")?;
    if turn.incident()?.status == Status::Accepted {
        let (open, basis) = still_open(turn)?;
        let what = format!("It was accepted before; this says that it is no vulnerability.{open}");
        if let Some(ask) = turn.confirmed(&what, &[&basis])? {
            return Ok(ask);
        }
    }
    let kept = turn.work.keep(reason.clone());
    let sent = content_for_reporter(turn.work, "reject", &json!({ "reason": reason }));
    turn.work.add(Event::Rejected { reason: kept });
    Ok(format!("Rejected. {sent}"))
}

/// `/unreadable`
pub fn unreadable(turn: &mut Turn<'_, '_>, _: &str) -> Answer {
    turn.open_incident()?;
    turn.work.add(Event::Unreadable);
    let facts = turn.work.clear_facts();
    let now = turn.work.now;
    turn.work.write_reporter(Purpose::Answer, "unreadable", &facts, &SealedFacts::default(), now);
    Ok(format!("The reporter is asked to send it again. {}", told(turn.work)))
}

/// `/spam`
pub fn spam(turn: &mut Turn<'_, '_>, _: &str) -> Answer {
    if turn.open_incident()?.status == Status::Accepted {
        return Err(Refusal::new(
            "it was accepted",
            "an incident that was accepted is not closed quietly.",
            "write `| /close`, without the bar.",
        ));
    }
    turn.work.add(Event::Spam);
    Ok("Closed quietly; nothing is sent.".to_owned())
}

/// `/close`
pub fn close(turn: &mut Turn<'_, '_>, _: &str) -> Answer {
    turn.open_incident()?;
    let (open, basis) = still_open(turn)?;
    if let Some(ask) = turn.confirmed(&format!("This closes the incident.{open}"), &[&basis])? {
        return Ok(ask);
    }
    turn.work.add(Event::Closed);
    Ok("Closed.".to_owned())
}

/// What is not done yet and would not be done any more, in words and as a basis.
fn still_open(turn: &Turn<'_, '_>) -> Result<(String, String), Refusal> {
    use super::super::playbook::Kind;
    use super::super::schedule::{State, agenda};
    let incident = turn.incident()?;
    let mut tasks = Vec::new();
    let mut notices = Vec::new();
    for item in agenda(incident, &incident.playbook, turn.work.now) {
        let word = item.task.word().to_string();
        match item.state {
            State::Done(_) | State::Always | State::Moot => {}
            _ if item.task.kind == Kind::Draft => notices.push(word),
            State::Due | State::Late | State::BlockedBy(_) => tasks.push(word),
            State::Upcoming | State::WaitingFor(_) => {}
        }
    }
    let mut text = String::new();
    if !notices.is_empty() {
        text.push_str(&format!(
            "\nThese notices would NOT be sent any more: {}.",
            notices.join(", ")
        ));
    }
    let holders = incident.holders_of_a_date().len();
    if holders > 0 && incident.published().is_none() {
        text.push_str(&format!("\n{holders} people hold a date from us and would hear no more."));
    }
    if !tasks.is_empty() {
        text.push_str(&format!("\nStill to be done: {}.", tasks.join(", ")));
    }
    let basis = format!("{tasks:?} {notices:?} {holders} {:?}", incident.t());
    Ok((text, basis))
}

/// `/reply`, with the text below the commands.
pub fn reply(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.incident()?;
    let text = [arguments, turn.text].join("\n");
    let text = clean(&text);
    needs(&text, "reply", "and below it your text to the reporter")?;
    turn.text_used = true;
    let kept = turn.work.keep(text.clone());
    turn.work.add(Event::Noted { note: kept });
    let subject = "Your report".to_owned();
    Ok(content_for_reporter(
        turn.work,
        "reply",
        &json!({ "text": text.trim(), "subject": subject }),
    ))
}

/// Sends the reporter words with content: sealed to a key that is known to be theirs, or not at
/// all. Without one the reporter is told, without content, what to do.
fn content_for_reporter(work: &mut Work<'_>, template: &str, facts: &serde_json::Value) -> String {
    let Some(reporter) = work.incident.as_ref().map(|incident| incident.reporter.clone()) else {
        return String::new();
    };
    let Some(address) = reporter.address else {
        return "The reporter left no address; nothing was sent.".to_owned();
    };
    let now = work.now;
    match reporter.key {
        Some(key) if reporter.key_proven => {
            let mut facts = facts.clone();
            if let serde_json::Value::Object(map) = &mut facts {
                map.insert("ref".to_owned(), work.reference(Party::Reporter).into());
            }
            let written = work.write(template, &facts);
            let words = Words::Sealed(written);
            work.post_reporter(Purpose::Answer, address, Some(key.fingerprint), words, now, false);
            "Sent to the reporter, sealed to their key.".to_owned()
        }
        _ => {
            let facts = work.clear_facts();
            work.write_reporter(Purpose::Answer, "answer", &facts, &SealedFacts::default(), now);
            "NOT sent: we have no proven key of the reporter, and content leaves sealed only. The \
             reporter was asked, without content, for a key. Send it again when it is there."
                .to_owned()
        }
    }
}

/// A person's id, from what a command says.
pub(crate) fn person_id(turn: &Turn<'_, '_>, word: &str) -> Result<PersonId, Refusal> {
    let roster = &turn.work.desk.roster;
    let id = PersonId::parse(word)
        .filter(|id| roster.person(id).is_some_and(super::super::roster::Person::is_maintainer));
    id.ok_or_else(|| {
        let known = roster.people.values().filter(|p| p.is_maintainer()).map(|p| p.id.as_str());
        let next = super::nearest(word, known.clone()).map_or_else(
            || format!("write one of {}.", known.collect::<Vec<_>>().join(", ")),
            |hint| format!("did you mean `{hint}`?"),
        );
        Refusal::new("no such person", format!("the roster has no maintainer `{word}`."), next)
    })
}
