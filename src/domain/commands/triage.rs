//! The words that judge a report and answer its reporter.

use serde_json::json;

use crate::domain::commands::talk::{content_for_reporter, take_text, tell_what_was_answered};
use crate::domain::commands::turn::{Answer, Turn, needs, told};
use crate::domain::decide::letters::settle_answer;
use crate::domain::decide::news;
use crate::domain::facts::event::{Event, Purpose};
use crate::domain::facts::refusal::Refusal;
use crate::domain::model::incident::Status;
use crate::domain::outgoing::texts::{OWN_ANSWER, SealedFacts, clean, clean_line};
use crate::domain::process::vocabulary::Word;

/// `/accept`
pub fn accept(turn: &mut Turn<'_, '_>, _: &str) -> Answer {
    let incident = turn.open_incident()?;
    if incident.status == Status::Accepted {
        return Err(Refusal::new("accepted already", "it was accepted before.", ""));
    }
    turn.work.add(Event::Accepted);
    let lead = turn.incident()?.lead.clone();
    let free = lead.is_none() && turn.incident()?.offer.is_none();
    if free && turn.incident()?.holds(turn.person, "lead") {
        turn.work.add(Event::LeadSet { person: turn.person.id.clone(), turn: false });
    }
    let facts = turn.work.clear_facts();
    let now = turn.work.now;
    turn.work.write_reporter(Purpose::Answer, "answer", &facts, &SealedFacts::default(), now);
    let leads =
        if turn.incident()?.lead.as_ref() == Some(&turn.person.id) { " You lead it." } else { "" };
    Ok(format!("Accepted.{leads} {}", told(turn.work)))
}

/// `/reject REASON`; the reason may also stand below.
pub fn reject(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    let reason = if arguments.is_empty() {
        take_text(turn)?;
        clean(turn.text)
    } else {
        clean(arguments)
    };
    needs(&reason, "reject", "REASON")?;
    let accepted = turn.incident()?.status == Status::Accepted;
    if accepted || turn.needs_second(Word::Reject) {
        // The reason is a part of what is confirmed, so it stands in the line.
        turn.line = format!("/reject {}", clean_line(&reason, 1_000));
        let (open, basis) = still_open(turn)?;
        let before = if accepted { "It was accepted before; this" } else { "This" };
        let what = format!("{before} says that it is no vulnerability.{open}");
        if let Some(ask) = turn.confirmed(&what, &[&basis])? {
            return Ok(ask);
        }
    }
    let kept = turn.work.keep(reason.clone());
    let facts = json!({ "reason": reason });
    let answered = content_for_reporter(turn.work, "reject", &facts, Vec::new());
    let what = "They were told that it is no vulnerability:";
    tell_what_was_answered(turn, &answered, what, &reason);
    if answered.left {
        settle_answer(turn.work, OWN_ANSWER);
    }
    let sent = answered.said;
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

/// `/report NAME`
pub fn make_report(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    needs(arguments, "report", "NAME")?;
    let machine = turn.work.desk.waitlist.machine(arguments.trim());
    let Some(raw) = machine.map(|machine| machine.raw) else {
        let why = format!("no machine's mail is called `{}`.", clean_line(arguments, 40));
        let next = "take the name from the digest; what is older lies in the mailbox.";
        return Err(Refusal::new("no such mail", why, next));
    };
    turn.work.add_to_desk(Event::MadeReport { raw });
    Ok("It is opened as a report, and comes to those who take reports in.".to_owned())
}

/// `/close`
pub fn close(turn: &mut Turn<'_, '_>, _: &str) -> Answer {
    turn.open_incident()?;
    let (open, basis) = still_open(turn)?;
    if let Some(ask) = turn.confirmed(&format!("This closes the incident.{open}"), &[&basis])? {
        return Ok(ask);
    }
    news::tell_end(turn.work);
    turn.work.add(Event::Closed);
    Ok("Closed.".to_owned())
}

/// What is not done yet and would not be done any more, in words and as a basis.
pub(super) fn still_open(turn: &Turn<'_, '_>) -> Result<(String, String), Refusal> {
    use crate::domain::model::schedule::{State, agenda};
    let incident = turn.incident()?;
    let mut tasks = Vec::new();
    let mut notices = Vec::new();
    for item in agenda(incident, turn.work.now) {
        let word = item.word();
        match item.state {
            State::Done(_)
            | State::Skipped(_)
            | State::Always
            | State::Moot
            | State::Elsewhere(_)
            | State::NotHere(_) => {}
            _ if item.task.is_notice() => notices.push(word),
            State::Due | State::Late | State::BlockedBy(_) => tasks.push(word),
            State::Upcoming | State::Open | State::WaitingFor(_) => {}
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

/// `/reopen`
pub fn reopen(turn: &mut Turn<'_, '_>, _: &str) -> Answer {
    let incident = turn.incident()?;
    if incident.status.is_open() {
        return Err(Refusal::new("it is open", "the incident is open.", ""));
    }
    let (was, same_as) = (incident.status.word(), incident.same_as.clone());
    let basis = format!("{was} {same_as:?} {}", incident.letters.len());
    if let Some(ask) = turn.confirmed(&format!("It is {was}. This opens it again."), &[&basis])? {
        return Ok(ask);
    }
    if let Some(other) = same_as {
        let handle = turn.incident()?.handle.clone();
        turn.work.add_about(&other, Event::Unlinked { handle });
    }
    turn.work.add(Event::Reopened);
    let state = turn.incident()?.status.word();
    let team = turn.work.team();
    let lines = [format!("{} opened it again. It was {was} and is {state} now.", turn.person.name)];
    turn.tell_concerned(
        &team,
        "The incident is open again",
        &lines,
        "see `| /agenda`, without the bar.",
    );
    Ok(format!("Open again: {state}."))
}
