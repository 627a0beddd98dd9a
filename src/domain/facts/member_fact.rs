//! The facts that a membership is made of.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::facts::key::PinnedKey;
use crate::domain::facts::names::{Address, Digest, Fingerprint};
use crate::domain::facts::seconded::Seconded;

/// A fact about a member. Stored for ever, in the words of the day on which it happened.
//  Warning: this type is used in stored state. Variants and fields may be added with a default;
//  none may be renamed, removed, or given another meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum MemberFact {
    /// Somebody was proposed for a group; with a key, unless they are in another group already.
    Proposed {
        name: String,
        address: Address,
        group: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<PinnedKey>,
    },
    /// The operator put somebody in groups, from a file or from the config.
    Imported {
        name: String,
        address: Address,
        groups: BTreeSet<String>,
        key: PinnedKey,
        source: String,
    },
    /// A key was sent a nonce that its holder is to answer; remembered by its hash.
    Challenged { nonce: Digest, fingerprint: Fingerprint },
    /// Its holder answered.
    KeyShown { fingerprint: Fingerprint },
    /// They accepted the terms, by the hash of their text.
    TermsAccepted { terms: Digest },
    /// A member vouched for them.
    Vouched { group: String },
    /// A criterion was judged.
    Judged { group: String, criterion: String, met: bool, evidence: String },
    /// One of the team approved the proposal as it stands.
    Approved { group: String, number: u32 },
    /// They get what the group gets from here on.
    Activated {
        group: String,
        #[serde(
            default = "Seconded::before_it_was_asked",
            skip_serializing_if = "Seconded::is_of_before"
        )]
        seconded: Seconded,
    },
    /// They get nothing for now.
    Suspended { reason: String },
    /// One of the team wants to let them in again.
    ReinstatementAsked,
    /// They get what their groups get again; by the operator where nobody stands behind it.
    Reinstated {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconded: Option<Seconded>,
    },
    /// They are out of a group, or of all; with the last one their key is dropped.
    Removed {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<String>,
        reason: String,
    },
    /// They were looked at, and stay.
    Reviewed { group: String, note: String },
    /// Another key is to take the place of theirs; `by_old` if the old one signed that.
    KeyOffered { key: PinnedKey, by_old: bool },
    /// One of the team approved that.
    KeyApproved { number: u32 },
    /// It was called off.
    KeyCancelled,
    /// It took the place.
    KeyTaken { fingerprint: Fingerprint },
    /// A certificate of theirs has a newer text: extended, or revoked.
    KeyUpdated {
        key: PinnedKey,
        #[serde(default, skip_serializing_if = "is_false")]
        revoked: bool,
    },
    /// A key of theirs counts no more.
    KeyDropped { fingerprint: Fingerprint },
    /// A key of theirs is not to be trusted any more: it says who somebody was, and nothing else.
    KeyDistrusted { fingerprint: Fingerprint },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_false(value: &bool) -> bool {
    !value
}

impl MemberFact {
    /// The key that it pins, or may.
    #[must_use]
    pub fn key(&self) -> Option<&PinnedKey> {
        match self {
            Self::Proposed { key, .. } => key.as_ref(),
            Self::Imported { key, .. }
            | Self::KeyOffered { key, .. }
            | Self::KeyUpdated { key, .. } => Some(key),
            Self::Challenged { .. }
            | Self::KeyShown { .. }
            | Self::TermsAccepted { .. }
            | Self::Vouched { .. }
            | Self::Judged { .. }
            | Self::Approved { .. }
            | Self::Activated { .. }
            | Self::Suspended { .. }
            | Self::ReinstatementAsked
            | Self::Reinstated { .. }
            | Self::Removed { .. }
            | Self::Reviewed { .. }
            | Self::KeyApproved { .. }
            | Self::KeyCancelled
            | Self::KeyTaken { .. }
            | Self::KeyDropped { .. }
            | Self::KeyDistrusted { .. } => None,
        }
    }

    /// For the history.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Proposed { group, .. } => format!("proposed for {group}"),
            Self::Imported { groups, source, .. } => {
                let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
                format!("put in {} by the operator ({source})", groups.join(", "))
            }
            Self::Challenged { fingerprint, .. } => {
                format!("asked to answer with {}", fingerprint.spaced())
            }
            Self::KeyShown { fingerprint } => format!("answered with {}", fingerprint.spaced()),
            Self::TermsAccepted { terms } => format!("accepted the terms {}", terms.short()),
            Self::Vouched { group } => format!("vouched for, for {group}"),
            Self::Judged { criterion, met, evidence, .. } => {
                let met = if *met { "met" } else { "NOT met" };
                format!("criterion {criterion} {met}: {evidence}")
            }
            Self::Approved { group, number } => format!("approved for {group}, @{number}"),
            Self::Activated { group, .. } => format!("is active in {group}"),
            Self::Suspended { reason } => format!("suspended: {reason}"),
            Self::ReinstatementAsked => "is to be let in again".to_owned(),
            Self::Reinstated { .. } => "is let in again".to_owned(),
            Self::Removed { group, reason } => {
                let from = group.as_deref().unwrap_or("all groups");
                format!("removed from {from}: {reason}")
            }
            Self::Reviewed { group, note } => format!("reviewed in {group}: {note}"),
            Self::KeyOffered { key, by_old } => {
                let by = if *by_old { "by their own key" } else { "by the team" };
                format!("a new key was offered {by}: {}", key.fingerprint.spaced())
            }
            Self::KeyApproved { number } => format!("the new key was approved, @{number}"),
            Self::KeyCancelled => "the new key was called off".to_owned(),
            Self::KeyTaken { fingerprint } => format!("the key is now {}", fingerprint.spaced()),
            Self::KeyUpdated { key, revoked: true } => {
                format!("REVOKED, wholly or in part: {}", key.fingerprint.spaced())
            }
            Self::KeyUpdated { key, revoked: false } => {
                format!("the certificate {} was renewed", key.fingerprint.spaced())
            }
            Self::KeyDistrusted { fingerprint } => {
                format!("the key {} is not trusted any more", fingerprint.spaced())
            }
            Self::KeyDropped { fingerprint } => {
                format!("the key {} counts no more", fingerprint.spaced())
            }
        }
    }
}
