//! Where the time comes from.

use crate::domain::facts::names::{Moment, Reading};

/// Where the time comes from.
pub trait Clock: Send {
    /// What both clocks of the machine say now.
    fn reading(&self) -> Reading;

    /// The present moment, as the wall clock has it.
    fn now(&self) -> Moment {
        self.reading().wall
    }
}
