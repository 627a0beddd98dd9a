//! A clock that is wrong and put right: no notice is ever early, and the desk goes back to work by itself once
//! the world agrees; where it cannot know, by a word of the operator.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on should stop"
)]

mod common;

use common::World;
use common::members::{approve, planned};
use embargod::domain::facts::names::{Moment, Span};
use embargod::engine;
use embargod::ports::store::Note;
use embargod::rehearsal::{Stage, Who};

/// The moment of the notice: a week before the 19th at 16:00, by everybody's clock.
fn moment() -> Moment {
    "2026-03-12T16:00:00Z".parse().unwrap()
}

fn ready() -> World {
    let mut world = planned();
    approve(&mut world, "advance");
    assert_eq!(world.stage.engine().unwrap().desk().next_notice(), Some(moment()));
    world
}

/// When Ann got the notice.
fn came(world: &World) -> Option<Moment> {
    let notice = |who: Who, subject: &str| who == Who::Ann && !subject.contains("key");
    world.stage.arrivals.iter().find(|(_, who, mail)| notice(*who, &mail.subject)).map(|it| it.0)
}

/// Time goes on; the daemon looks around every now and then, whatever is due.
fn goes_on(world: &mut World, span: Span) {
    let end = world.stage.now() + span;
    while world.stage.now() < end {
        let step = Span::minutes(1).min(end - world.stage.now());
        world.stage.pass(step).unwrap();
    }
}

/// Waits until so long before the notice.
fn until_before(world: &mut World, before: Span) {
    let left = moment() - before - world.stage.now();
    world.waits(left);
}

fn is_doubted(world: &World) -> bool {
    world.troubles().iter().any(|trouble| trouble.contains("clock of the desk"))
}

fn says_the_operator(world: &World) {
    let store = world.stage.engine().unwrap().store();
    engine::lock(&store).set_note(Note::ClockWord, Some("it is right")).unwrap();
}

/// The clock is right again: believed within one mail to itself, and the notice leaves at its moment.
fn goes_on_time(world: &mut World, by: Span, rest: Span) {
    goes_on(world, Span::minutes(3));
    assert!(!is_doubted(world), "{by}: {:?}", world.troubles());
    goes_on(world, rest);
    assert_eq!(came(world), None, "{by}: early");
    goes_on(world, Span::minutes(5));
    let late = came(world).unwrap() - moment();
    assert!(late < Span::minutes(2), "{by}: {late} late");
}

const SPANS: [Span; 6] = [
    Span::hours(1),
    Span::days(1),
    Span::days(30),
    Span::hours(-1),
    Span::days(-1),
    Span::days(-30),
];

/// Whether somebody was mailed with such a subject.
fn told(world: &World, words: &str) -> bool {
    world
        .stage
        .arrivals
        .iter()
        .any(|(_, who, mail)| *who == Who::Uma && mail.subject.contains(words))
}

#[test]
fn set_while_it_runs_and_set_back() {
    for by in SPANS {
        let mut world = ready();
        until_before(&mut world, Span::hours(2));
        world.stage.put_clock_ahead(by);
        goes_on(&mut world, Span::minutes(30));
        assert!(is_doubted(&world), "{by}");
        // A month ago their keys had not been made, so that `status` alone can say it then.
        let can_be_sealed = by > Span::days(-30);
        assert!(told(&world, "the clock") || !can_be_sealed, "{by}: the operators hear of it");
        goes_on(&mut world, Span::minutes(30));
        assert_eq!(came(&world), None, "{by}: early");
        world.stage.put_clock_ahead(Span::zero());
        goes_on_time(&mut world, by, Span::minutes(56));
        assert!(told(&world, "is over") || !can_be_sealed, "{by}: and that it is over");
        assert!(!told(&world, "does not arrive"), "{by}: it did");
    }
}

#[test]
fn wrong_at_its_start_and_put_right_while_it_runs() {
    for by in SPANS {
        let mut world = ready();
        until_before(&mut world, Span::hours(3));
        world.stage.put_clock_ahead(by);
        world.stage.is_down(Span::minutes(10)).unwrap();
        goes_on(&mut world, Span::minutes(50));
        assert_eq!(came(&world), None, "{by}: early");
        // One that is behind is found out by the first mail to itself; it makes nothing early.
        assert!(is_doubted(&world) || by < Span::zero(), "{by}");
        world.stage.put_clock_ahead(Span::zero());
        goes_on_time(&mut world, by, Span::minutes(116));
    }
}

#[test]
fn wrong_while_it_runs_and_put_right_while_it_is_down() {
    for by in SPANS {
        let mut world = ready();
        until_before(&mut world, Span::hours(3));
        world.stage.put_clock_ahead(by);
        goes_on(&mut world, Span::minutes(50));
        world.stage.put_clock_ahead(Span::zero());
        world.stage.is_down(Span::minutes(10)).unwrap();
        goes_on_time(&mut world, by, Span::minutes(116));
    }
}

/// Desk and mail server on one machine, whose clock goes ahead: nobody else says whether that is right.
#[test]
fn both_ahead_together_wait_for_a_word() {
    for by in [Span::hours(3), Span::days(30)] {
        let mut world = ready();
        until_before(&mut world, Span::hours(2));
        world.stage.put_clock_ahead(by);
        world.stage.server_ahead = by;
        goes_on(&mut world, Span::minutes(60));
        assert_eq!(came(&world), None, "{by}: early");
        assert!(
            world.troubles().iter().any(|it| it.contains("embargod clock trust")),
            "{by} {:?}",
            world.troubles()
        );
        // It was right: the machine had stood still.
        says_the_operator(&world);
        goes_on(&mut world, Span::minutes(2));
        assert!(!is_doubted(&world), "{by}: {:?}", world.troubles());
        // A month late it is no news any more, and people are asked.
        assert_eq!(came(&world).is_some(), by < Span::days(1), "{by}");
    }
}

/// A word that was left while nothing was doubted says nothing of what comes later.
#[test]
fn a_word_of_long_ago_counts_for_nothing() {
    let mut world = ready();
    until_before(&mut world, Span::hours(2));
    goes_on(&mut world, Span::minutes(5));
    says_the_operator(&world);
    goes_on(&mut world, Span::minutes(20));
    let by = Span::hours(3);
    world.stage.put_clock_ahead(by);
    world.stage.server_ahead = by;
    goes_on(&mut world, Span::minutes(60));
    assert_eq!(came(&world), None, "early");
    assert!(is_doubted(&world));
}

/// Sure of a moment that is still to come, because the mail server was wrong as well: not waited out.
#[test]
fn what_the_desk_was_sure_of_is_taken_back_by_a_word() {
    let by = Span::days(2);
    let mut world = ready();
    until_before(&mut world, Span::days(4));
    world.stage.put_clock_ahead(by);
    world.stage.server_ahead = by;
    world.stage.is_down(Span::minutes(10)).unwrap();
    goes_on(&mut world, Span::days(1) + Span::hours(22));
    assert_eq!(came(&world), None, "both were wrong, and nothing was due");
    world.stage.put_clock_ahead(Span::zero());
    world.stage.server_ahead = Span::zero();
    world.stage.is_down(Span::minutes(10)).unwrap();
    goes_on(&mut world, Span::minutes(20));
    assert!(
        world.troubles().iter().any(|it| it.contains("embargod clock trust")),
        "{:?}",
        world.troubles()
    );
    says_the_operator(&world);
    goes_on(&mut world, Span::minutes(2));
    assert!(!is_doubted(&world), "{:?}", world.troubles());
    until_before(&mut world, Span::minutes(1));
    assert_eq!(came(&world), None, "early");
    goes_on(&mut world, Span::minutes(3));
    assert!(came(&world).is_some());
}

/// What waits, the words of each day, and the mails to itself do not hang in a future that never comes.
#[test]
fn a_month_ahead_puts_nothing_off_by_a_month() {
    let mut world = ready();
    world.stage.put_clock_ahead(Span::days(30));
    goes_on(&mut world, Span::hours(1));
    world.stage.put_clock_ahead(Span::zero());
    goes_on(&mut world, Span::minutes(5));
    let before = world.mails_to_itself().len();
    let draft = embargod::rehearsal::mail::Draft::sealed("Another report.");
    let new = world.sends(Who::Rita, &draft);
    assert!(new.iter().any(|(who, _)| *who == Who::Rita), "acknowledged");
    assert!(new.iter().any(|(who, _)| *who == Who::Mia), "passed on");
    goes_on(&mut world, Span::minutes(30));
    assert!(world.mails_to_itself().len() > before, "a witness of the journal left");
    assert!(!is_doubted(&world), "{:?}", world.troubles());
}

/// Time that a sleeping machine slept is no jump: the clock that nobody sets counts it.
#[test]
fn sleep_is_no_jump() {
    let mut world = ready();
    until_before(&mut world, Span::hours(5));
    world.stage.is_down(Span::hours(3)).unwrap();
    goes_on(&mut world, Span::minutes(3));
    assert!(!is_doubted(&world));
    until_before(&mut world, Span::minutes(1));
    assert_eq!(came(&world), None);
    goes_on(&mut world, Span::minutes(3));
    assert!(came(&world).is_some());
}
