//! Two audiences, two types: a person gets a [`Refusal`](crate::domain::facts::refusal::Refusal), the
//! operator a [`Fault`]; a loop at the edge tries again.

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

    /// All of it in one line.
    #[must_use]
    pub fn line(&self) -> String {
        let (what, next) = (&self.what, &self.next);
        if next.is_empty() { what.clone() } else { format!("{what}; {next}") }
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
