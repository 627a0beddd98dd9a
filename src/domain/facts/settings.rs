//! What the config says about the desk itself; its text is named by the journal.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::domain::facts::names::{Address, Fingerprint};

/// What the config says about the desk itself.
//  Warning: this type is used in stored state (the settings text that `Configured` names).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What mails call the desk.
    pub name: String,
    /// The mailbox's address.
    pub address: Address,
    /// The first part of every handle.
    pub prefix: String,
    /// The zone that times are told in besides UTC.
    pub zone: Tz,
    /// The playbook of new incidents.
    pub playbook: String,
    /// The desk's own key.
    pub fingerprint: Fingerprint,
    /// The desk's certificate, armored, as it is handed out.
    pub certificate: String,
    /// Whether mails to the team name the first mail of their incident outside the encryption, so
    /// that every mail program threads them; anyone on the way can then count them.
    #[serde(default)]
    pub threads_outside: bool,
    /// Acknowledgements leave on a multiple of so many seconds after arrival.
    pub tick_s: u32,
    /// So many unencrypted reports an hour are passed on one by one; the rest in a digest.
    pub plain_per_hour: u32,
    /// So many encrypted reports an hour are passed on one by one; the rest in a digest.
    #[serde(default = "encrypted_per_hour")]
    pub encrypted_per_hour: u32,
    /// So many acknowledgements an hour leave at once to one source; the others later that day.
    pub acknowledgements_per_hour: u32,
    /// Where more unencrypted reports come in a day, they come in a digest.
    #[serde(default = "plain_per_day")]
    pub plain_per_day: u32,
    /// A mail that passes something on has so many bytes at most, as it leaves.
    #[serde(default = "relay_bytes")]
    pub relay_bytes: u32,
    /// An unencrypted report that nobody touches is closed quietly after so many days; 0 for never.
    #[serde(default = "quiet_days")]
    pub quiet_days: u32,
    /// The name by which the mailbox's own server writes its verdicts (RFC 8601, 2.5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdicts_of: Option<String>,
    /// The header by which it says that a mail is spam: the name, and how the value begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spam_header: Option<(String, String)>,
    /// The languages besides English in which reporters are written to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
    /// Whether people may answer a reporter in clear who wrote in clear; each time they are asked.
    #[serde(default = "yes")]
    pub clear_answers: bool,
    /// That the desk has one maintainer: so many minutes it waits where others ask a second person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone_minutes: Option<u32>,
}

impl Settings {
    /// Of a desk whose config says nothing but who it is: `name`, `prefix` and `playbook` as they are named there,
    /// its key and its certificate.
    #[must_use]
    pub fn plain(
        [name, prefix, playbook]: [&str; 3],
        address: Address,
        (fingerprint, certificate): (Fingerprint, String),
    ) -> Self {
        Self {
            name: name.to_owned(),
            address,
            prefix: prefix.to_owned(),
            zone: chrono_tz::Europe::Berlin,
            playbook: playbook.to_owned(),
            fingerprint,
            certificate,
            threads_outside: false,
            tick_s: TICK_S,
            plain_per_hour: PLAIN_PER_HOUR,
            encrypted_per_hour: ENCRYPTED_PER_HOUR,
            acknowledgements_per_hour: ACKNOWLEDGEMENTS_PER_HOUR,
            plain_per_day: PLAIN_PER_DAY,
            relay_bytes: RELAY_BYTES,
            quiet_days: QUIET_DAYS,
            verdicts_of: None,
            spam_header: None,
            languages: Vec::new(),
            clear_answers: true,
            alone_minutes: None,
        }
    }
}

/// Minutes that a desk with one maintainer waits.
pub const ALONE_MINUTES: u32 = 60;
/// Seconds: acknowledgements leave on a multiple of it.
pub const TICK_S: u32 = 2;
/// Unencrypted reports an hour that are passed on one by one.
pub const PLAIN_PER_HOUR: u32 = 10;
/// Encrypted ones.
pub const ENCRYPTED_PER_HOUR: u32 = 60;
/// Unencrypted reports a day that are passed on one by one.
pub const PLAIN_PER_DAY: u32 = 20;
/// Bytes of a mail that passes something on: what most servers take.
pub const RELAY_BYTES: u32 = 10_000_000;
/// Days after which an unencrypted report that nobody touched is closed.
pub const QUIET_DAYS: u32 = 14;
/// Acknowledgements an hour that leave at once to one source.
pub const ACKNOWLEDGEMENTS_PER_HOUR: u32 = 60;

fn plain_per_day() -> u32 {
    PLAIN_PER_DAY
}

fn relay_bytes() -> u32 {
    RELAY_BYTES
}

fn quiet_days() -> u32 {
    QUIET_DAYS
}

fn yes() -> bool {
    true
}

/// What a desk does whose settings were written before there was a limit.
fn encrypted_per_hour() -> u32 {
    ENCRYPTED_PER_HOUR
}
