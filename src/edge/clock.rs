//! The one place that asks what time it is, and whether the answer may be trusted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use rustix::time::{ClockId, clock_gettime};

use crate::domain::facts::names::{Moment, Span, later};
use crate::ports::clock::Clock;

/// The machine's clock, held against the time since it was started, which nobody sets.
pub struct WallClock {
    wall: Moment,
    boot: Span,
}

/// How far the two may drift apart: what a time service corrects without anyone noticing.
const DRIFT_MAX: Span = Span::seconds(5);

impl WallClock {
    /// Looks at both clocks for the first time.
    #[must_use]
    pub fn start() -> Self {
        Self { wall: wall(), boot: boot() }
    }
}

/// How far the clock may be behind the newest record: what a time service takes back in one step
/// without anyone noticing. A clock that is behind makes notices later, never earlier.
const BEHIND_MAX: Span = Span::seconds(1);

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
    fn now(&self) -> Moment {
        wall()
    }

    fn vouch(&self, newest_record: Option<Moment>) -> Result<(), String> {
        let now = wall();
        let gone_wall = now.signed_duration_since(self.wall);
        let gone_boot = boot().checked_sub(&self.boot).unwrap_or_default();
        let apart = gone_wall.checked_sub(&gone_boot).unwrap_or(Span::MAX);
        if apart.abs() > DRIFT_MAX {
            return Err(format!(
                "the clock was set by {} seconds while the desk was running; restart it once the time is right",
                apart.num_seconds()
            ));
        }
        match newest_record {
            Some(newest) if later(now, BEHIND_MAX) < newest => Err(format!(
                "the clock is {} seconds behind the journal's newest record",
                newest.signed_duration_since(now).num_seconds()
            )),
            _ => Ok(()),
        }
    }
}

/// A clock that stands where it is put: for rehearsals that jump from one due moment to the next.
#[derive(Debug, Clone)]
pub struct SetClock {
    moment: Arc<Mutex<Moment>>,
    trusted: Arc<AtomicBool>,
}

impl SetClock {
    /// A clock at a moment.
    #[must_use]
    pub fn at(moment: Moment) -> Self {
        Self { moment: Arc::new(Mutex::new(moment)), trusted: Arc::new(AtomicBool::new(true)) }
    }

    /// Puts it to another moment.
    pub fn set(&self, moment: Moment) {
        *self.moment.lock().unwrap_or_else(PoisonError::into_inner) = moment;
    }

    /// Makes it one that is vouched for, or one that is not.
    pub fn trust(&self, trusted: bool) {
        self.trusted.store(trusted, Ordering::Relaxed);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Moment {
        *self.moment.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn vouch(&self, newest_record: Option<Moment>) -> Result<(), String> {
        match newest_record {
            _ if !self.trusted.load(Ordering::Relaxed) => Err("it was set".to_owned()),
            Some(newest) if self.now() < newest => Err("it is behind the journal".to_owned()),
            _ => Ok(()),
        }
    }
}
