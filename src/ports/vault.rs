//! Opening and sealing, and the certificates that both need.
//!
//! The engine names keys by their fingerprints and holds none: whoever stands behind this trait does. A rehearsal
//! by the million puts somebody there who seals nothing and remembers what was to be sealed to whom.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::facts::key::KeyFacts;
use crate::domain::facts::letter::{Attachment, Letter};
use crate::domain::facts::names::{Fingerprint, Moment};
use crate::domain::facts::settings::Settings;
use crate::domain::outgoing::mail::Mail;
use crate::domain::outgoing::texts::Written;
use crate::error::Fault;
use crate::ports::store::{RawMail, Sealed, Spool};

/// A part of a mail as it stands in it: the same for everybody who gets it, and encoded once.
pub type Encoded = Arc<[u8]>;

/// A mail that is to be sealed.
#[derive(Debug)]
pub struct Job<'a> {
    /// What the domain wrote.
    pub mail: &'a Mail,
    /// Its words with everything filled in.
    pub written: Written,
    /// Its attachments.
    pub parts: Vec<Encoded>,
    /// The certificate of its key, where that is not one that is pinned or was met.
    pub certificate: Option<String>,
    /// Whether it is sealed in the newer form (SEIPDv2).
    pub newer: bool,
}

/// Why a mail was not made.
#[derive(Debug)]
pub enum Unsealed {
    /// It cannot be sealed to its recipient's key.
    Key(String),
    /// Something of ours is broken.
    Fault(Fault),
}

impl From<Fault> for Unsealed {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// A certificate that is pinned for somebody.
#[derive(Debug, Clone)]
pub struct Pin {
    /// For whom.
    pub owner: String,
    /// Its text.
    pub certificate: String,
    /// A revocation that came in, with the certificate around it; empty without one.
    pub revocation: String,
}

/// Opens and seals.
pub trait Vault: Send {
    /// Opens mails, on all cores, in their order.
    fn open(&self, mails: &[&RawMail], settings: &Settings) -> Vec<Letter>;

    /// Opens one with all that it holds, whoever wrote it.
    fn whole(&self, mail: &RawMail, settings: &Settings) -> Letter;

    /// Seals mails, on all cores, in their order.
    fn seal(
        &self,
        jobs: &[Job<'_>],
        spool: &dyn Spool,
        now: Moment,
    ) -> Vec<Result<Sealed, Unsealed>>;

    /// An attachment as a part of a mail.
    ///
    /// # Errors
    /// When it cannot be written as one.
    fn encoded(&self, attachment: &Attachment) -> Result<Encoded, Fault>;

    /// Pins certificates for people; what each says, or why it cannot be read.
    fn pin(&mut self, pins: &[Pin], now: Moment) -> Vec<Result<KeyFacts, String>>;

    /// Forgets those that are pinned and not among these.
    fn keep_pinned(&mut self, pinned: &BTreeSet<Fingerprint>);

    /// Takes note of certificates of strangers, by their texts; those that cannot be read are passed over.
    fn meet(&mut self, texts: &[&str]);

    /// Whether the certificate of a key is pinned or was met, or is the desk's own.
    fn knows(&self, key: &Fingerprint) -> bool;

    /// The desk's own key: for how long it is sealed to, and signs.
    fn own(&self, now: Moment) -> (Fingerprint, KeyFacts);
}
