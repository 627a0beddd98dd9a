//! The shape of the config file: its sections and their keys, and what holds where one is left out.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use crate::config::oauth::OauthPart;
use crate::domain::facts::settings;

/// What a number may be; anything else is refused with its place, and never put right in silence.
pub(super) const TICK_S: RangeInclusive<u64> = 1..=60;
/// At least one: a desk that acknowledges nothing breaks its first promise.
/// A mail that passes something on: room for a text at least.
pub(super) const RELAY_BYTES: RangeInclusive<u64> = 1_000_000..=100_000_000;
pub(super) const ACKNOWLEDGEMENTS_PER_HOUR: RangeInclusive<u64> = 1..=100_000;
/// Time enough to see it and call it off; no more than a week.
pub(super) const ALONE_MINUTES: RangeInclusive<u64> = 10..=10_080;
pub(super) const FULL_LOOK_S: RangeInclusive<u64> = 5..=3_600;
pub(super) const LETTER_BYTES: RangeInclusive<u64> = 64 * 1024..=200 * 1024 * 1024;
pub(super) const CONNECTIONS: RangeInclusive<u64> = 1..=20;
pub(super) const CONNECTIONS_MAX: u64 = 40;
/// What is used where nothing is said, unless more are handed over at a time anyway.
pub(super) const CONNECTIONS_STAND: u8 = 16;
pub(super) const HEARTBEAT_S: RangeInclusive<u64> = 1..=86_400;
pub(super) const STOP_S: RangeInclusive<u64> = 1..=600;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) desk: Spanned<DeskPart>,
    pub(super) keys: Spanned<KeysPart>,
    pub(super) store: Spanned<StorePart>,
    pub(super) imap: Spanned<ImapPart>,
    pub(super) smtp: Spanned<SmtpPart>,
    pub(super) oauth: Option<Spanned<OauthPart>>,
    pub(super) limits: Option<Spanned<LimitsPart>>,
    #[serde(default)]
    pub(super) metrics: MetricsPart,
    pub(super) heartbeat: Option<Spanned<HeartbeatPart>>,
    #[serde(default)]
    pub(super) files: FilesPart,
    #[serde(default)]
    pub(super) publish: PublishPart,
    #[serde(default, rename = "person")]
    pub(super) people: Vec<Spanned<PersonPart>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeskPart {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) prefix: String,
    #[serde(default)]
    pub(super) zone: Option<String>,
    pub(super) playbook: String,
    #[serde(default)]
    pub(super) languages: Vec<String>,
    #[serde(default)]
    pub(super) threads_outside: bool,
    #[serde(default)]
    pub(super) clear_answers: Option<ClearAnswers>,
    #[serde(default)]
    pub(super) alone: bool,
    #[serde(default = "alone_minutes")]
    pub(super) alone_minutes: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeysPart {
    pub(super) secret: PathBuf,
    #[serde(default)]
    pub(super) old: Vec<PathBuf>,
    pub(super) passphrase_file: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StorePart {
    pub(super) path: PathBuf,
    pub(super) witness: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Tls {
    Implicit,
    Starttls,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImapPart {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Tls,
    pub(super) user: String,
    pub(super) password_file: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
    #[serde(default = "inbox")]
    pub(super) folder: String,
    #[serde(default = "auto")]
    pub(super) junk: String,
    #[serde(default)]
    pub(super) folders: Vec<String>,
    #[serde(default = "full_look")]
    pub(super) full_look_s: u64,
    #[serde(default = "letter_bytes")]
    pub(super) letter_bytes_max: u32,
    pub(super) verdicts_of: Option<String>,
    pub(super) spam_header: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SmtpPart {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Tls,
    pub(super) user: String,
    pub(super) password_file: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
    #[serde(default = "connections")]
    pub(super) connections: u8,
    pub(super) connections_max: Option<u8>,
    #[serde(default = "stop")]
    pub(super) stop_s: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsPart {
    pub(super) tick_s: u32,
    pub(super) plain_per_hour: u32,
    pub(super) plain_per_day: u32,
    pub(super) quiet_days: u32,
    pub(super) relay_bytes: u32,
    pub(super) encrypted_per_hour: u32,
    pub(super) acknowledgements_per_hour: u32,
}

impl Default for LimitsPart {
    fn default() -> Self {
        Self {
            tick_s: settings::TICK_S,
            plain_per_hour: settings::PLAIN_PER_HOUR,
            plain_per_day: settings::PLAIN_PER_DAY,
            quiet_days: settings::QUIET_DAYS,
            relay_bytes: settings::RELAY_BYTES,
            encrypted_per_hour: settings::ENCRYPTED_PER_HOUR,
            acknowledgements_per_hour: settings::ACKNOWLEDGEMENTS_PER_HOUR,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MetricsPart {
    pub(super) file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeartbeatPart {
    pub(super) url: Option<String>,
    pub(super) command: Option<Vec<String>>,
    #[serde(default = "heartbeat_s")]
    pub(super) every_s: u64,
    pub(super) ca_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PublishPart {
    pub(super) folder: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FilesPart {
    pub(super) templates: Option<PathBuf>,
    pub(super) playbooks: Option<PathBuf>,
    pub(super) calendars: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PersonPart {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) address: String,
    pub(super) certificate: PathBuf,
    #[serde(default)]
    pub(super) roles: Vec<String>,
    #[serde(default)]
    pub(super) groups: Vec<String>,
    #[serde(default)]
    pub(super) seal: Option<String>,
}

/// Whether people may answer in clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ClearAnswers {
    /// Never.
    Never,
    /// When they were asked, and have confirmed it.
    Ask,
}

fn alone_minutes() -> u32 {
    settings::ALONE_MINUTES
}
fn heartbeat_s() -> u64 {
    60
}
fn auto() -> String {
    "auto".to_owned()
}
fn inbox() -> String {
    "INBOX".to_owned()
}
fn full_look() -> u64 {
    120
}
fn letter_bytes() -> u32 {
    30 * 1024 * 1024
}
fn connections() -> u8 {
    2
}
fn stop() -> u64 {
    20
}
