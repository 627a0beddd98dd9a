//! One report from its first mail to its end, and the machine that stops at each call that writes.

use super::plan::{Act, Step, told};
use super::run::{Ended, play};

/// From the report to the close.
const DAYS: u32 = 40;
/// The history whose first report goes to the list and to the public within them.
const SEED: u64 = 5;

fn with(stop: Option<Act>) -> Ended {
    let mut steps = told(SEED);
    steps.retain(|step| !matches!(step.act, Act::Attack { .. }));
    // Calls are counted from the first minute on.
    steps.splice(0..0, stop.map(|act| Step { at: 0, act }));
    play(SEED, &steps, DAYS, false)
}

/// Without a stop; how many calls write is in its sum.
pub(crate) fn whole() -> Ended {
    with(None)
}

/// With one.
pub(crate) fn stopped(calls: u64, after: bool) -> Ended {
    with(Some(Act::Stop { calls, after, minutes: 240 }))
}
