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
    assert!(asked.says("Those who had a notice (3) get this"), "{}", asked.text);
    let nonce = asked.nonce().unwrap();
    let new = world.says(Who::Tom, &format!("/confirm {nonce}"));
    for who in Who::DISTRIBUTORS {
        let told = of(&new, who, "Public: ").unwrap_or_else(|| panic!("{:?}", subjects(&new)));
        assert!(told.text.starts_with("TLP:CLEAR") && told.says("publish your update"));
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

/// The announcement that two approved is out: nobody is told that it is not public, and one person alone, who may write
/// that down, sends the members no word of their own with it.
#[test]
fn after_the_announcement_one_person_ends_it_and_adds_nothing() {
    let mut world = planned();
    approve(&mut world, "advance");
    approve(&mut world, "announce");
    let new = world.waits(Span::hours(17 * 24 + 9));
    assert!(of(&new, Who::List, "Security release").is_some(), "{:?}", subjects(&new));
    let slipped = |(_, mail): &(Who, Read)| mail.subject.contains("Not yet public");
    assert!(!new.iter().any(slipped), "{:?}", subjects(&new));
    assert!(of(&new, Who::Mia, "It is announced").is_some(), "{:?}", subjects(&new));
    world.does(Who::Mia, "/set binaries https://attacker.example/fix");
    let mut new = world.says(Who::Mia, "/published");
    if let Some(nonce) = only(&new, Who::Mia).nonce() {
        assert!(!only(&new, Who::Mia).says("attacker.example"));
        new = world.says(Who::Mia, &format!("/confirm {nonce}"));
    }
    assert!(world.incident().published().is_some(), "{:?}", subjects(&new));
    for who in Who::DISTRIBUTORS {
        let told = of(&new, who, "Public: ").unwrap_or_else(|| panic!("{:?}", subjects(&new)));
        assert!(told.says("The embargo has ended."), "{}", told.text);
        assert!(!told.says("attacker.example"), "{}", told.text);
    }
}

/// What two were asked about is what leaves: a record that changes meanwhile is asked about anew.
#[test]
fn the_end_that_was_shown_is_the_one_that_leaves() {
    let mut world = planned();
    approve(&mut world, "advance");
    world.waits(Span::days(11));
    let new = world.says(Who::Mia, "/published");
    let nonce = only(&new, Who::Tom).nonce().unwrap();
    world.does(Who::Mia, "/set binaries https://attacker.example/fix");
    let new = world.says(Who::Tom, &format!("/confirm {nonce}"));
    assert!(world.incident().published().is_none(), "{:?}", subjects(&new));
    assert!(of(&new, Who::Ann, "Public: ").is_none(), "{:?}", subjects(&new));
}

#[test]
fn who_takes_the_lead_names_the_deputy_in_the_same_mail() {
    let mut world = common::World::new();
    world.does(Who::Mia, "/accept\n/lead me\n/deputy tom");
    let deputy = world.incident().deputy.as_ref().map(ToString::to_string);
    assert_eq!(deputy.as_deref(), Some("tom"));
}
