//! Mails that are to leave, as the domain writes them.
//!
//! A [`Mail`] names its recipient by what they are, carries the words as a type that says whether
//! they may leave in clear, and is turned into bytes by the sealer at the edge.

use serde::{Deserialize, Serialize};

use crate::domain::facts::event::{Blob, Enclosure, Purpose, Recipient};
use crate::domain::facts::letter::Attachment;
use crate::domain::facts::names::{Address, Fingerprint, Handle, MessageId, Moment};
use crate::domain::outgoing::texts::{ClearText, Written};

/// Proof that the gates before a public notice were open when it was released. Only
/// [`crate::domain::decide::time`] makes one.
#[derive(Debug, Clone)]
pub struct GateOpen {
    pub(crate) _proof: (),
}

/// Proof that a person typed something for a reporter, saw what will leave in clear and to whom, and confirmed
/// it. Only [`crate::domain::commands::in_clear`] makes one.
#[derive(Debug, Clone)]
pub struct SaidByAPerson {
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
    /// A person's own words to a reporter who wrote in clear: signed and in clear, as they were confirmed.
    SaidInClear {
        /// The frozen text.
        draft: Blob,
        /// That a person was shown what leaves and to whom, and confirmed it.
        by: SaidByAPerson,
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

impl Label {
    /// How urgent a mail is among all that may leave now, 0 first: notices at their moment and the mail that
    /// vouches for their clock; what people wait for; what was promised in hours; what can be late; and what
    /// is said when something is wrong, of which there may be many.
    #[must_use]
    pub fn urgency(&self) -> u8 {
        match self.purpose {
            Purpose::Notice { .. } | Purpose::ClockProbe => 0,
            Purpose::Answer | Purpose::Transcript => 1,
            Purpose::Acknowledgement | Purpose::Key | Purpose::Relay | Purpose::Refusal => 2,
            Purpose::Reminder
            | Purpose::Nudge
            | Purpose::NewKey
            | Purpose::Waiting
            | Purpose::Update => 3,
            Purpose::Alert => 4,
        }
    }

    /// The least urgent.
    pub const LEAST_URGENT: u8 = 4;
}
