//! Mails that are to leave, as the domain writes them, and what becomes of an attempt.
//!
//! A [`Mail`] names its recipient by what they are, carries the words as a type that says whether
//! they may leave in clear, and is turned into bytes by the sealer at the edge. The ladder of
//! attempts is [`after`].

use serde::{Deserialize, Serialize};

use crate::domain::facts::event::{Blob, Enclosure, Purpose, Recipient};
use crate::domain::facts::letter::Attachment;
use crate::domain::facts::names::{Address, Fingerprint, Handle, MessageId, Moment, Span, later};
use crate::domain::outgoing::texts::{ClearText, Written};

/// Proof that the gates before a public notice were open when it was released. Only
/// [`crate::domain::decide::time`] makes one.
#[derive(Debug, Clone)]
pub struct GateOpen {
    pub(crate) _proof: (),
}

/// What a mail says, and so how it may leave.
#[derive(Debug, Clone)]
pub enum Words {
    /// For one key only. May hold places for stored letters.
    Sealed(Written),
    /// A frozen draft, for one key only, with what is filled in for its recipient.
    Frozen {
        /// The frozen draft.
        draft: Blob,
        /// The recipient's name.
        name: String,
        /// Their reference line.
        reference: String,
        /// The line that says it is late.
        late: Option<String>,
        /// What goes with it.
        enclosures: Vec<Enclosure>,
    },
    /// A frozen draft for everyone, signed and in clear.
    Public {
        /// The frozen draft.
        draft: Blob,
        /// The line that says it is late.
        late: Option<String>,
        /// That it may be public.
        gate: GateOpen,
    },
    /// Content-free: sealed when a key is known, otherwise signed and in clear.
    Clear(ClearText),
}

/// A mail that is to leave.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Its Message-ID, fixed from here on whatever happens.
    pub message_id: MessageId,
    /// The incident it is about.
    pub about: Option<Handle>,
    /// Who gets it.
    pub to: Recipient,
    /// Where that is.
    pub address: Address,
    /// The one key that it is sealed to.
    pub key: Option<Fingerprint>,
    /// What for.
    pub purpose: Purpose,
    /// Not before this.
    pub not_before: Moment,
    /// What it says.
    pub words: Words,
    /// Passed on byte for byte.
    pub attachments: Vec<Attachment>,
    /// Whether our certificate is attached.
    pub with_our_key: bool,
    /// The mail that it answers.
    pub answers: Option<MessageId>,
}

/// What the outbox row remembers about a mail, next to its sealed bytes.
//  Warning: this type is used in stored state (the `about` column of `outbox`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The incident it is about.
    pub about: Option<Handle>,
    /// Who gets it.
    pub to: Recipient,
    /// What for.
    pub purpose: Purpose,
    /// The key that it is sealed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Fingerprint>,
}

/// What a mail server did with a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It answered 250 after the last byte; its words.
    Accepted(String),
    /// It refused for now, or could not be reached: 4xx, a broken connection before the last byte.
    Later(String),
    /// It refused for good: 5xx.
    Refused(String),
    /// The connection broke, or we stopped, between the last byte and the answer.
    Unknown,
}

/// What follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It left.
    Sent,
    /// Try again then.
    Again(Moment),
    /// It may have left twice already; not tried again, people are told.
    Unknown,
    /// It will not leave; people are told.
    Dead,
}

/// How long to wait after the n-th failed attempt, in seconds. The last one repeats.
const LADDER_S: [i64; 9] = [15, 60, 300, 900, 1_800, 3_600, 7_200, 14_400, 28_800];

/// After so long a mail that was only ever refused for now is dead.
const GIVE_UP: Span = Span::days(5);

/// Decides what becomes of a mail after an attempt. `unknowns` counts attempts whose end is not
/// known, this one included: one more try with the same Message-ID is what the promise allows.
#[must_use]
pub fn after(
    outcome: &Outcome,
    attempts: u32,
    unknowns: u32,
    written: Moment,
    now: Moment,
) -> Next {
    match outcome {
        Outcome::Accepted(_) => Next::Sent,
        Outcome::Refused(_) => Next::Dead,
        Outcome::Unknown if unknowns >= 2 => Next::Unknown,
        Outcome::Unknown => Next::Again(now),
        Outcome::Later(_) if now > later(written, GIVE_UP) => Next::Dead,
        Outcome::Later(_) => Next::Again(next_attempt(attempts, now)),
    }
}

/// When the next attempt is due if this one, the n-th, comes to nothing. Written to the row before
/// the server is dialled, so that whatever happens then does not bother it again at once.
#[must_use]
pub fn next_attempt(attempts: u32, now: Moment) -> Moment {
    let step = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let wait = LADDER_S.get(step).or(LADDER_S.last()).copied().unwrap_or(3_600);
    later(now, Span::seconds(wait))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_refusals_are_tried_again_and_permanent_ones_are_not() {
        let now: Moment = "2026-12-01T00:00:00Z".parse().unwrap();
        let soon = Outcome::Later("451".into());
        assert_eq!(after(&soon, 1, 0, now, now), Next::Again(later(now, Span::seconds(15))));
        assert_eq!(after(&soon, 99, 0, now, now), Next::Again(later(now, Span::hours(8))));
        assert_eq!(after(&soon, 9, 0, now, later(now, Span::days(6))), Next::Dead);
        assert_eq!(after(&Outcome::Refused("550".into()), 1, 0, now, now), Next::Dead);
        assert_eq!(after(&Outcome::Unknown, 1, 1, now, now), Next::Again(now));
        assert_eq!(after(&Outcome::Unknown, 2, 2, now, now), Next::Unknown);
    }
}
