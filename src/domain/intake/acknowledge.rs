//! The first answer to a report: where it may go, and what it says.

use crate::domain::decide::work::Work;
use crate::domain::facts::event::Purpose;
use crate::domain::facts::letter::{Failure, FoundKey, KeyRank, Letter};
use crate::domain::facts::names::{Address, Handle, Moment};
use crate::domain::model::desk::Desk;
use crate::domain::outgoing::texts::SealedFacts;

/// What an acknowledgement says about a key that came in from outside.
pub(crate) fn from_outside(key: Option<&FoundKey>) -> SealedFacts {
    let outside = key.filter(|key| key.rank == KeyRank::Outside);
    let prove = "We found your key in a place that others could have changed.";
    SealedFacts { opened_with: None, prove: outside.map(|_| prove.to_owned()) }
}

pub(crate) fn answer_by(work: &Work<'_>, desk: &Desk, received: Moment) -> String {
    let playbook = desk.playbooks.get(&desk.settings.playbook);
    playbook.map_or_else(String::new, |p| work.say(p.human_answer.due.from(received, &p.calendar)))
}

/// Where an automatic answer may go; never to ourselves.
pub(crate) fn answer_address(desk: &Desk, letter: &Letter) -> Option<Address> {
    let ours = &desk.settings.address;
    let to_us = |address: &Address| {
        let local = address.local().split('+').next().unwrap_or("");
        address.domain() == ours.domain() && local.eq_ignore_ascii_case(ours.local())
    };
    letter.answer_address().filter(|address| !to_us(address)).cloned()
}

pub(crate) fn draw_handle(work: &mut Work<'_>) -> Handle {
    use chrono::Datelike;
    // Two reports drawing the same five letters is rare; drawing again ends it. The bound is for
    // a generator that is broken.
    let mut handle = Handle::draw(&work.desk.settings.prefix, work.now.year(), &mut work.fresh);
    for _ in 0..1_000 {
        if !work.desk.is_taken(&handle) {
            break;
        }
        handle = Handle::draw(&work.desk.settings.prefix, work.now.year(), &mut work.fresh);
    }
    handle
}

pub(crate) fn acknowledgement(work: &mut Work<'_>, letter: &Letter, at: Moment) {
    let mut facts = work.clear_facts();
    facts.openpgp = letter.verdict.openpgp.map(|digest| digest.to_string());
    facts.not_to_us = letter.verdict.failure == Some(Failure::NotToUs);
    let key = letter.keys.first();
    let more = SealedFacts {
        opened_with: key
            .filter(|key| key.rank == KeyRank::Signer)
            .map(|_| work.desk.settings.fingerprint.spaced()),
        ..from_outside(key)
    };
    work.write_reporter(Purpose::Acknowledgement, "acknowledgement", &facts, &more, at);
}
