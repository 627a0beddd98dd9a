//! A fact in its place in the history, and the chain that holds it there.

use serde::{Deserialize, Serialize};

use crate::domain::facts::event::{Blob, Event};
use crate::domain::facts::names::{Digest, Handle, Moment, PersonId};

/// A fact in its place in the history.
//  Warning: this type is used in stored state (the journal).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number, from 1, without gaps.
    pub number: u64,
    /// When it was decided.
    pub at: Moment,
    /// The incident, unless it is about the desk as a whole.
    pub incident: Option<Handle>,
    /// The person whose signed mail caused it.
    pub by: Option<PersonId>,
    /// The mail that caused it, by the SHA-256 of its bytes.
    pub cause: Option<Digest>,
    /// What happened. Nested, not flattened: a fact may have a number or a moment of its own.
    #[serde(rename = "fact")]
    pub event: Event,
}

/// The end of the chain: the newest record's number and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The number; 0 while the journal is empty.
    pub number: u64,
    /// The hash.
    pub hash: Digest,
}

/// A body that the journal names by its salted hash.
#[derive(Debug, Clone)]
pub struct Body {
    /// Its name.
    pub name: Blob,
    /// The salt.
    pub salt: [u8; 32],
    /// The text.
    pub text: String,
}

/// The hash of a record in the chain: over the hash before it and its text.
#[must_use]
pub fn chain(before: Digest, json: &str) -> Digest {
    Digest::of_parts(&[&before.0, json.as_bytes()])
}
