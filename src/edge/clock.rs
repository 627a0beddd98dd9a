//! The one place that asks what time it is. Whether the answer is believed is decided in
//! `domain/model/clock.rs`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use rustix::time::{ClockId, clock_gettime};

use crate::domain::facts::names::{Moment, Reading, Span, later};
use crate::ports::clock::Clock;

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct WallClock;

#[expect(clippy::disallowed_methods, reason = "the one place that asks")]
fn wall() -> Moment {
    DateTime::<Utc>::from(std::time::SystemTime::now())
}

fn boot() -> Span {
    let since = clock_gettime(ClockId::Boottime);
    let nanos = u32::try_from(since.tv_nsec).unwrap_or(0);
    Span::new(since.tv_sec, nanos).unwrap_or_default()
}

impl Clock for WallClock {
    fn reading(&self) -> Reading {
        Reading { wall: wall(), boot: boot() }
    }
}

/// Clocks that stand where they are put: for rehearsals that jump from one due moment to the next.
#[derive(Debug, Clone)]
pub struct SetClock(Arc<Mutex<Stand>>);

#[derive(Debug)]
struct Stand {
    begun: Moment,
    /// The time as it is.
    truth: Moment,
    /// By how much the wall clock is ahead of it.
    ahead: Span,
}

impl SetClock {
    /// Clocks at a moment.
    #[must_use]
    pub fn at(moment: Moment) -> Self {
        let stand = Stand { begun: moment, truth: moment, ahead: Span::zero() };
        Self(Arc::new(Mutex::new(stand)))
    }

    fn stand(&self) -> MutexGuard<'_, Stand> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time goes on until another moment.
    pub fn set(&self, moment: Moment) {
        self.stand().truth = moment;
    }

    /// Somebody sets the wall clock: ahead of the time as it is, or behind it.
    pub fn put_ahead(&self, by: Span) {
        self.stand().ahead = by;
    }

    /// The time as it is when the wall clock is at a moment.
    #[must_use]
    pub fn truth_at(&self, wall: Moment) -> Moment {
        later(wall, -self.stand().ahead)
    }

    /// The time as it is.
    #[must_use]
    pub fn truth(&self) -> Moment {
        self.stand().truth
    }
}

impl Clock for SetClock {
    fn reading(&self) -> Reading {
        let stand = self.stand();
        let boot = stand.truth.signed_duration_since(stand.begun);
        Reading { wall: later(stand.truth, stand.ahead), boot }
    }
}
