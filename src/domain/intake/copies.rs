//! Mails whose ciphertext was seen before. Their senders get what every sender gets, under a name of
//! their own; nobody is shown anything. Otherwise a thief of a captured report could mail it in and
//! have it read back, or learn from our answers whether it opened.

use crate::domain::commands::reporter;
use crate::domain::decide::answered::{Answered, answered};
use crate::domain::decide::decision::Decision;
use crate::domain::decide::work::Work;
use crate::domain::facts::event::{Event, Purpose, Recipient};
use crate::domain::facts::language;
use crate::domain::facts::letter::Letter;
use crate::domain::facts::names::{Address, Fresh, Handle, Moment};
use crate::domain::intake::acknowledge;
use crate::domain::intake::acknowledge::{Named, draw_handle};
use crate::domain::intake::binding::Binding;
use crate::domain::model::desk::Desk;
use crate::domain::outgoing::mail::Mail;
use crate::domain::outgoing::texts::{ClearFacts, SealedFacts};

/// A ciphertext that opened an incident before.
pub(super) fn received(
    desk: &Desk,
    letter: &Letter,
    first: &Handle,
    now: Moment,
    fresh: Fresh,
) -> Decision {
    let mut work = Work::on(desk, Some(first), now, fresh);
    let alias = draw_handle(&mut work);
    work.dispose("copy of an earlier report");
    acknowledge(&mut work, letter, &alias, now);
    work.done()
}

/// Acknowledges a mail under a name of its own, as one that opened nothing would be.
fn acknowledge(work: &mut Work<'_>, letter: &Letter, alias: &Handle, now: Moment) {
    let desk = work.desk;
    let Answered { to, also, .. } = answered(&desk.settings.address, &letter.outer);
    let address = to.filter(|to| acknowledge::may(desk, letter, to, now));
    let at = acknowledge::at(desk, letter, now);
    let seen = Event::CopySeen {
        raw: letter.raw,
        alias: alias.clone(),
        acknowledge: address.is_some().then_some(at),
        address: address.clone(),
        language: language::chosen(&desk.settings.languages, &letter.outer.languages),
    };
    // Remembered in any case: whoever asks under this name is answered.
    match &work.incident {
        Some(_) => work.add(seen),
        None => work.add_to_desk(seen),
    }
    let Some(address) = address else { return };
    let to = Recipient::Outsider(address.clone());
    let named = Named { name: alias, to, address, received: letter.received };
    acknowledge::acknowledgement(work, &letter.outer, &named, also.as_ref(), at);
}

/// Acknowledges a mail that looked encrypted and was found to be something else than a report, where whoever
/// sent it is nobody of ours: it is answered as it would be if it had not opened.
pub(super) fn owed(
    desk: &Desk,
    letter: &Letter,
    decision: &Decision,
    now: Moment,
    fresh: Fresh,
) -> Option<Decision> {
    let in_thread = desk.thread(&letter.outer.answers).is_some();
    let to = answered(&desk.settings.address, &letter.outer).to?;
    let about = decision.entries.iter().find_map(|entry| entry.incident.clone());
    let incident = about.as_ref().and_then(|handle| desk.incident(handle));
    // Whoever forges the reporter's address does not see what comes to it, and the reporter would be told with
    // each mail that a report of theirs was received.
    let theirs = incident.and_then(|incident| incident.reporter.address.as_ref());
    let is_theirs = theirs.is_some_and(|theirs| theirs.same_box(&to));
    let is_answered = |at: &Address| {
        let acknowledges = |mail: &&Mail| mail.purpose == Purpose::Acknowledgement;
        decision.mails.iter().filter(acknowledges).any(|mail| mail.address.same_box(at))
    };
    if letter.outer.openpgp.is_none() || in_thread || letter.from_before {
        return None;
    }
    if acknowledge::is_ours(desk, letter, &to) || is_theirs || is_answered(&to) {
        return None;
    }
    let mut work = Work::on(desk, about.as_ref(), now, fresh);
    let alias = draw_handle(&mut work);
    acknowledge(&mut work, letter, &alias, now);
    Some(work.done())
}

/// Somebody asks, under the name that a copy was acknowledged by, where it stands. They are answered
/// as any reporter is, and always in the same word: no answer at all would tell a thief that the
/// ciphertext is one that we could open.
pub(super) fn status_asked(
    desk: &Desk,
    letter: &Letter,
    place: &Binding<'_>,
    now: Moment,
    fresh: &Fresh,
) -> Option<Decision> {
    let name = place.alias.as_ref()?;
    let alias = desk.replay.alias(name)?;
    let mut work = Work::on(desk, place.handle.as_ref(), now, fresh.clone());
    let words = reporter::words(letter, &place.parsed);
    if !words.iter().any(|line| line.word.eq_ignore_ascii_case("status")) {
        return None;
    }
    work.dispose("status asked");
    let address = alias.address.clone().filter(|_| reporter::may_answer(alias.asked, now));
    let Some(address) = address else { return Some(work.done()) };
    let asked = Event::StatusAsked { alias: Some(name.clone()) };
    match &work.incident {
        Some(_) => work.add(asked),
        None => work.add_to_desk(asked),
    }
    let facts = ClearFacts { state: "received".to_owned(), ..work.clear_facts_under(name) };
    let to = Recipient::Outsider(address.clone());
    let named = Named { name, to, address, received: letter.received };
    let facts = (facts, SealedFacts::default());
    acknowledge::post(&mut work, &letter.outer, &named, "status", facts, now);
    Some(work.done())
}
