//! Whole desks over months: the real engine on a disk that stops, a clock that jumps and servers that fail. The short
//! form of `scripts/simulate`, and the histories by which something was found.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop"
)]

mod simulation;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use simulation::plan::{Act, Fault, How, Step};
use simulation::{plan, run, stops};

const DAY: u32 = 24 * 60;

fn step(at: u32, act: Act) -> Step {
    Step { at, act }
}

fn report(case: u32, at: u32) -> Step {
    step(
        at,
        Act::Report { case, how: How { sealed: true, key: None, signed: false, damaged: false } },
    )
}

fn holds(what: &str, ended: run::Ended) -> run::Sum {
    if let Some(broken) = ended.broken {
        let story = ended.story.join("\n  ");
        panic!("{what}: {broken}\n  {story}");
    }
    ended.sum
}

/// As many incident-days as `EMBARGOD_DAYS` says; a few hundred without a word.
#[test]
fn promises_hold_through_months_of_trouble() {
    let wanted: Option<f64> = std::env::var("EMBARGOD_DAYS").ok().map(|days| days.parse().unwrap());
    let length = if wanted.is_some() { run::DAYS } else { 45 };
    let played = Mutex::new(0.0);
    // Five and six are ten thousand.
    let next = AtomicU64::new(5);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while *played.lock().unwrap() < wanted.unwrap_or(100.0) {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    let steps = plan::drawn(seed, length);
                    let sum = holds(&format!("seed {seed}"), run::play(seed, &steps, length, true));
                    assert!(sum.incidents > 3 && sum.mails_out > 200, "{sum}");
                    *played.lock().unwrap() += sum.incident_days;
                }
            });
        }
    });
    assert!(played.into_inner().unwrap() >= wanted.unwrap_or(100.0));
}

/// What was to wait until a moment that a wrong clock said is not waited for: seed 47 had an acknowledgement leave
/// fifteen hours late.
#[test]
fn an_acknowledgement_of_a_clock_that_was_ahead_leaves_when_it_is_right() {
    let steps = [
        step(2 * DAY, Act::Fault { what: Fault::DiskFull, minutes: 60 }),
        report(0, 2 * DAY + 5),
        step(2 * DAY + 50, Act::Clock { seconds: 20 * 3_600, minutes: 10 }),
    ];
    holds("an acknowledgement", run::play(1, &steps, 4, true));
}

/// The desk starts with a clock that is ahead by weeks while the server's answers are lost, and the clock is put right:
/// whatever was put off by it goes on at once (seed 101).
#[test]
fn a_desk_that_began_with_a_clock_that_was_ahead_goes_on_when_it_is_right() {
    let steps = [
        report(0, DAY),
        step(2 * DAY, Act::Fault { what: Fault::AnswerLost, minutes: 1_000 }),
        step(2 * DAY + 400, Act::Clock { seconds: 2_461_972, minutes: 270 }),
        step(2 * DAY + 500, Act::Restart { in_order: false, minutes: 10 }),
        step(2 * DAY + 700, Act::Says { who: "mia", case: 0, text: "/take".to_owned() }),
    ];
    holds("a start", run::play(1, &steps, 6, true));
}

/// A full disk and a server that takes nothing are waited for, and not asked about fifty times a second (seeds 2, 4).
#[test]
fn what_cannot_be_done_is_not_tried_without_end() {
    let minutes = 3 * DAY;
    for what in [Fault::DiskFull, Fault::RefusesAll, Fault::ServerAway, Fault::MailboxAway] {
        let steps =
            [report(0, DAY / 2), step(DAY, Act::Fault { what, minutes }), report(1, DAY + 9)];
        let sum = holds("waiting", run::play(1, &steps, 5, true));
        // A few times a minute at most.
        assert!(sum.turns < 8 * 60 * 24 * 5, "{what:?}: {sum}");
        assert!(sum.mails_out < 3 * 60 * 24 * 5, "{what:?}: {sum}");
    }
}

/// The same months with real OpenPGP, sealed and opened with everybody's own keys.
#[test]
fn promises_hold_in_earnest() {
    let sum = holds("in earnest", run::play_in_earnest(3, &plan::drawn(3, 40), 40, true));
    assert!(sum.incidents > 3 && sum.mails_out > 100, "{sum}");
}

/// One report from its first mail to its end, and the machine stops before and after every four hundredth call that
/// writes; `scripts/simulate --stops` does so at each.
#[test]
fn promises_hold_wherever_the_machine_stops() {
    let sum = holds("without a stop", stops::whole());
    let calls = sum.writes;
    assert!(calls > 100 && sum.notices > 0, "{sum}");
    for call in (1..=calls).step_by(400) {
        for after in [false, true] {
            holds(&format!("call {call}, after: {after}"), stops::stopped(call, after));
        }
    }
}

/// Each defect that is planted is one text of the program, so that the list does not go out of date unnoticed.
#[test]
fn what_is_planted_has_its_place() {
    let list: toml::Table = toml::from_str(include_str!("simulation/planted.toml")).unwrap();
    let defects = list["defect"].as_array().unwrap();
    assert!(defects.len() >= 20, "{}", defects.len());
    for defect in defects {
        let of = |key: &str| defect[key].as_str().unwrap();
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(of("file"));
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text.matches(of("old")).count(), 1, "{} in {}", of("name"), of("file"));
        assert_ne!(of("old"), of("new"));
    }
}
