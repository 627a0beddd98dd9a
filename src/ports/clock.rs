//! Where the time comes from.

use crate::domain::facts::names::Moment;

/// Where the time comes from.
pub trait Clock: Send {
    /// The present moment.
    fn now(&self) -> Moment;

    /// Whether notices may leave on this clock now: it has not jumped since it
    /// was first looked at, and is not behind what the journal has seen.
    ///
    /// # Errors
    /// Why not, for the operator.
    fn vouch(&self, newest_record: Option<Moment>) -> Result<(), String>;
}
