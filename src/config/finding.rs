//! What a check finds.

use std::fmt;

use serde::Serialize;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The desk does not run, or does not do what it is for.
    Wrong,
    /// It runs, and something does not work until somebody sees to it.
    Warn,
    /// It works, and is worth a thought.
    Note,
    /// It is in order.
    Ok,
}

/// Something that was looked at, with its place and the next step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// File and line, or the server.
    pub place: String,
    /// What was found.
    pub what: String,
    /// What to do; empty where all is well.
    pub next: String,
}

impl Finding {
    /// One with its next step.
    pub fn new(
        level: Level,
        place: impl Into<String>,
        what: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self { level, place: place.into(), what: what.into(), next: next.into() }
    }

    /// What is in order.
    pub fn ok(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(Level::Ok, place, what, "")
    }

    /// Whether the desk cannot run like this.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        self.level == Level::Wrong
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.level {
            Level::Wrong => "wrong",
            Level::Warn => "warn ",
            Level::Note => "note ",
            Level::Ok => "ok   ",
        };
        write!(f, "{mark} {}: {}", self.place, self.what)?;
        if self.next.is_empty() { Ok(()) } else { write!(f, "\n      next: {}", self.next) }
    }
}
