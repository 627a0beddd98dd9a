//! A notice never leaves saying what is no longer true without somebody knowing it, and the end reaches everybody who
//! had one.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on should stop"
)]

mod common;

use common::members::{approve, planned};
use common::{only, subjects};
use embargod::domain::facts::names::Span;
use embargod::rehearsal::Who;
use embargod::rehearsal::mail::Read;

fn of<'m>(new: &'m [(Who, Read)], who: Who, words: &str) -> Option<&'m Read> {
    let mut found = new.iter().filter(|(to, mail)| *to == who && mail.subject.contains(words));
    let first = found.next().map(|(_, mail)| mail);
    assert!(found.next().is_none(), "twice: {:?}", subjects(new));
    first
}

#[test]
fn who_froze_and_who_approved_a_draft_hear_that_the_record_has_changed() {
    let mut world = planned();
    approve(&mut world, "advance");
    let new = world.says(Who::Mia, "/set mitigation Turn the cache off");
    for who in [Who::Mia, Who::Tom] {
        let told =
            of(&new, who, "no longer true").unwrap_or_else(|| panic!("{:?}", subjects(&new)));
        let text = told.text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("advance@1: The record has changed"), "{text}");
        assert!(text.contains("mitigation: nothing -> Turn the cache off"), "{text}");
        assert!(
            text.contains("/preview advance") && text.contains("leave on Thu 2026-03-12 16:00 UTC"),
            "{text}"
        );
    }
    // What the draft does not say is no matter.
    let new = world.says(Who::Mia, "/set credit Rita");
    assert!(of(&new, Who::Tom, "no longer true").is_none(), "{:?}", subjects(&new));
    // Whoever freezes it anew in the same mail needs no word.
    let new = world.says(Who::Mia, "/set mitigation Turn it off\n/preview advance");
    assert!(of(&new, Who::Tom, "no longer true").is_none(), "{:?}", subjects(&new));
    assert!(of(&new, Who::Tom, "waits for approval").is_some(), "{:?}", subjects(&new));
}

#[test]
fn a_day_that_moves_voids_approvals_aloud() {
    let mut world = planned();
    approve(&mut world, "advance");
    let new = world.says(Who::Mia, "/disclose 2026-03-23");
    let nonce = only(&new, Who::Mia).nonce().unwrap();
    let new = world.says(Who::Mia, &format!("/confirm {nonce}"));
    for who in [Who::Mia, Who::Tom] {
        let told =
            of(&new, who, "a day that has moved").unwrap_or_else(|| panic!("{:?}", subjects(&new)));
        let text = told.text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("its approvals count no more"), "{text}");
        assert!(text.contains("/preview advance"), "{text}");
    }
}

#[test]
fn the_end_reaches_everybody_who_had_a_notice() {
    let mut world = planned();
    approve(&mut world, "advance");
    world.waits(Span::days(11));
    let new = world.says(Who::Mia, "/published");
    let asked = only(&new, Who::Tom);
    assert!(asked.text.contains("Those who had a notice (3) get this"), "{}", asked.text);
    let nonce = asked.nonce().unwrap();
    let new = world.says(Who::Tom, &format!("/confirm {nonce}"));
    for who in Who::DISTRIBUTORS {
        let told = of(&new, who, "Public: ").unwrap_or_else(|| panic!("{:?}", subjects(&new)));
        assert!(told.text.starts_with("TLP:CLEAR") && told.text.contains("publish your update"));
        assert!(!told.outer_subject.contains("Public"));
    }
    // And nobody is told afterwards that it is not.
    let new = world.waits(Span::days(9));
    assert!(
        new.iter().all(|(_, mail)| !mail.subject.contains("Not yet public")),
        "{:?}",
        subjects(&new)
    );
}
