//! Mails whose ciphertext was seen before. Their senders get what every sender gets, under a name of
//! their own; nobody is shown anything. Otherwise a thief of a captured report could mail it in and
//! have it read back, or learn from our answers whether it opened.

use crate::domain::commands::reporter;
use crate::domain::decide::decision::Decision;
use crate::domain::decide::work::Work;
use crate::domain::facts::event::{Event, Purpose, Recipient};
use crate::domain::facts::letter::{FoundKey, KeyRank, Letter};
use crate::domain::facts::names::{Address, Fresh, Handle, Moment};
use crate::domain::intake::acknowledge::{answer_address, answer_by, draw_handle, from_outside};
use crate::domain::intake::binding::Binding;
use crate::domain::model::desk::Desk;
use crate::domain::model::roster::Party;
use crate::domain::outgoing::mail::{Mail, Words};
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
    let address = answer_address(desk, letter).filter(|_| !letter.from_before);
    let at = desk.limits.acknowledge_at(&desk.settings, true, letter.arrived, now);
    work.add(Event::CopySeen {
        raw: letter.raw,
        alias: alias.clone(),
        acknowledge: address.is_some().then_some(at),
        address: address.clone(),
    });
    let Some(address) = address else {
        return work.done();
    };
    let mut facts = facts(&work, &alias);
    facts.received = work.say(letter.received);
    facts.answer_by = answer_by(&work, desk, letter.received);
    facts.openpgp = letter.verdict.openpgp.map(|digest| digest.to_string());
    let more = from_outside(outside_key(letter));
    post(&mut work, letter, address, "acknowledgement", (facts, more), at);
    work.done()
}

/// Somebody asks, under the name that a copy was acknowledged by, where it stands. They are answered
/// as any reporter is, and always in the same word: no answer at all would tell a thief that the
/// ciphertext is one that we could open.
pub(super) fn status_asked(
    desk: &Desk,
    letter: &Letter,
    handle: &Handle,
    place: &Binding<'_>,
    now: Moment,
    fresh: &Fresh,
) -> Option<Decision> {
    let name = place.alias.as_ref()?;
    let alias = desk.replay.alias(name)?;
    let mut work = Work::on(desk, Some(handle), now, fresh.clone());
    let words = reporter::words(letter, &place.parsed);
    if !words.iter().any(|line| line.word.eq_ignore_ascii_case("status")) {
        return None;
    }
    work.dispose("status asked");
    let address = alias.address.clone().filter(|_| reporter::may_answer(alias.asked, now));
    let Some(address) = address else { return Some(work.done()) };
    work.add(Event::StatusAsked { alias: Some(name.clone()) });
    let mut facts = facts(&work, name);
    "received".clone_into(&mut facts.state);
    post(&mut work, letter, address, "status", (facts, SealedFacts::default()), now);
    Some(work.done())
}

/// The key that came along outside. What was inside the ciphertext must not show in the answer, not
/// even by the key that the answer is sealed to.
fn outside_key(letter: &Letter) -> Option<&FoundKey> {
    letter.keys.iter().find(|key| key.rank == KeyRank::Outside)
}

/// What may be said under the name of a copy.
fn facts(work: &Work<'_>, name: &Handle) -> ClearFacts {
    let mut facts = work.clear_facts();
    let desk = work.desk;
    let token = desk.ref_key.token(&desk.settings.address, name, Party::Reporter);
    facts.reference = format!("Ref: {name}/{token}");
    facts.handle = name.to_string();
    facts
}

/// Writes to the sender of a copy, sealed when a key came along.
fn post(
    work: &mut Work<'_>,
    letter: &Letter,
    address: Address,
    template: &str,
    (facts, more): (ClearFacts, SealedFacts),
    at: Moment,
) {
    let key = outside_key(letter);
    let facts = ClearFacts { key_known: key.is_some(), ..facts };
    let texts = &work.desk.texts;
    let words = match key {
        Some(_) => texts.clear_but_sealed(template, &facts, &more).map(Words::Sealed),
        None => texts.clear(template, &facts).map(Words::Clear),
    };
    match words {
        Ok(words) => {
            let mail = Mail {
                message_id: work.message_id(),
                about: work.incident.as_ref().map(|incident| incident.handle.clone()),
                to: Recipient::Outsider(address.clone()),
                address,
                key: key.map(|key| key.fingerprint.clone()),
                purpose: Purpose::Acknowledgement,
                not_before: at,
                words,
                attachments: Vec::new(),
                with_our_key: true,
                answers: letter.message_id.clone(),
            };
            work.post(mail);
        }
        Err(problem) => work.fault(problem.to_string()),
    }
}
