//! Three audiences, three types: a person gets a [`Refusal`](crate::domain::facts::refusal::Refusal), the
//! operator a [`Fault`], a loop at the edge a [`Setback`] with the time to try again.

use std::fmt;

/// Something that the operator must see and mend. Holds the place and the next step, never
/// content, subjects or addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    /// What went wrong, with its place.
    pub what: String,
    /// What to do about it; may be empty.
    pub next: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if self.next.is_empty() { Ok(()) } else { write!(f, "\n  next: {}", self.next) }
    }
}

impl Fault {
    /// A fault with its next step.
    pub fn new(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { what: what.into(), next: next.into() }
    }
}

/// Adds the place to whatever went wrong there.
pub trait Place<T> {
    /// Makes it a fault: the place, then what the other side said.
    ///
    /// # Errors
    /// The fault, if there was an error.
    fn at(self, place: impl FnOnce() -> String) -> Result<T, Fault>;
}

impl<T, E: fmt::Display> Place<T> for Result<T, E> {
    fn at(self, place: impl FnOnce() -> String) -> Result<T, Fault> {
        self.map_err(|error| Fault::new(format!("{}: {error}", place()), ""))
    }
}

/// Something at the edge did not work for now: a server that is away, a connection that broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Setback(pub String);
