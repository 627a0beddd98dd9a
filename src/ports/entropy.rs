//! Where random numbers come from.

use crate::domain::facts::names::Fresh;
use crate::error::Fault;

/// Draws the randomness of one decision. A desk is then a function of its store, mails, clock and
/// this: with a seed instead of the system's, a run can be played again.
pub trait Entropy: Send {
    /// Randomness for one decision.
    ///
    /// # Errors
    /// When there is none; nothing is done without.
    fn fresh(&mut self) -> Result<Fresh, Fault>;
}
