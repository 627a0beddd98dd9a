//! A fact in its place in the history, and the chain that holds it there.

use serde::{Deserialize, Serialize};

use crate::domain::facts::event::{Blob, Event};
use crate::domain::facts::names::{Digest, Handle, Moment, PersonId};
use crate::error::{Fault, Place};

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

impl Head {
    /// Of a journal without records.
    pub const EMPTY: Self = Self { number: 0, hash: Digest([0; 32]) };
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

/// A record as it stands in the journal. Made once, and both hashed and written: what is hashed is
/// what is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The record's number.
    pub number: u64,
    /// Its text.
    pub json: String,
    /// Its hash in the chain: over the hash before it and its text.
    pub hash: Digest,
}

pub(crate) fn chain(before: Head, json: &str) -> Digest {
    Digest::of_parts(&[&before.hash.0, json.as_bytes()])
}

impl Record {
    /// The record as the line after `before`.
    ///
    /// # Errors
    /// When it has no text; then there is no such line.
    pub fn line(&self, before: Head) -> Result<Line, Fault> {
        let place = || format!("journal record {}", self.number);
        let json = serde_json::to_string(self).at(place)?;
        let hash = chain(before, &json);
        Ok(Line { number: self.number, json, hash })
    }
}

impl Line {
    /// The record in it and the head that it makes, if it is the line after `before`.
    ///
    /// # Errors
    /// What does not fit.
    pub fn read(&self, before: Head) -> Result<(Record, Head), Fault> {
        let number = self.number;
        let broken = |what: &str| {
            Fault::new(
                format!("journal record {number} {what}"),
                "restore a backup; compare the hashes in transcripts",
            )
        };
        let expected = before.number.saturating_add(1);
        if number != expected {
            return Err(broken(&format!("stands where {expected} should be")));
        }
        let hash = chain(before, &self.json);
        if hash != self.hash {
            return Err(broken("was changed: its hash does not fit"));
        }
        let record: Record = serde_json::from_str(&self.json)
            .map_err(|error| broken(&format!("cannot be read: {error}")))?;
        if record.number != expected {
            return Err(broken("carries another number inside"));
        }
        Ok((record, Head { number, hash }))
    }
}
