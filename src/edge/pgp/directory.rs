//! The certificates that the desk knows, and what comes in that changes them.

use std::collections::{BTreeMap, BTreeSet};

use openpgp::KeyHandle;
use sequoia_openpgp as openpgp;

use crate::domain::facts::letter::AttachedKey;
use crate::domain::facts::names::{Fingerprint, Moment};
use crate::edge::pgp::certificate;
use crate::edge::pgp::certificate::Certificate;

/// Certificates that signatures are checked against.
pub trait Known: Sync {
    /// The certificates that have a key of this id.
    fn certificates(&self, id: &KeyHandle) -> Vec<Certificate>;
    /// For whom of the roster a fingerprint is pinned, if it is.
    fn owner(&self, fingerprint: &Fingerprint) -> Option<&str>;
    /// Whether a fingerprint is pinned for a person of the roster.
    fn is_pinned(&self, fingerprint: &Fingerprint) -> bool {
        self.owner(fingerprint).is_some()
    }
}

/// The certificates that the desk knows, found by the ids of their keys.
#[derive(Debug, Default)]
pub struct Directory {
    certificates: BTreeMap<Fingerprint, (Certificate, Option<String>)>,
    ids: BTreeMap<openpgp::KeyID, BTreeSet<Fingerprint>>,
}

impl Directory {
    /// Adds a certificate; `owner` is the id of the person of the roster for whom it is pinned. A
    /// pinned one is replaced by nothing that is not: an old copy of a maintainer's certificate,
    /// mailed in by anybody, may lack a revocation or a new key.
    pub fn add(&mut self, certificate: Certificate, owner: Option<&str>) {
        let fingerprint = certificate.fingerprint();
        if owner.is_none() && self.is_pinned(&fingerprint) {
            return;
        }
        for key in certificate.0.keys() {
            self.ids.entry(key.key().keyid()).or_default().insert(fingerprint.clone());
        }
        let owner = owner.map(ToOwned::to_owned);
        self.certificates.insert(fingerprint, (certificate, owner));
    }

    /// Forgets the pinned certificates that are not among these: a member's who was removed, or a
    /// key that another one took the place of.
    pub fn keep_pinned(&mut self, pinned: &BTreeSet<Fingerprint>) {
        self.certificates.retain(|fpr, (_, owner)| owner.is_none() || pinned.contains(fpr));
    }

    /// The certificate with this fingerprint.
    #[must_use]
    pub fn get(&self, fingerprint: &Fingerprint) -> Option<&Certificate> {
        self.certificates.get(fingerprint).map(|(certificate, _)| certificate)
    }
}

impl Known for Directory {
    fn certificates(&self, id: &KeyHandle) -> Vec<Certificate> {
        let named = self.ids.get(&openpgp::KeyID::from(id)).into_iter().flatten();
        named.filter_map(|fpr| self.get(fpr)).filter(|cert| cert.answers_to(id)).cloned().collect()
    }
    fn owner(&self, fingerprint: &Fingerprint) -> Option<&str> {
        self.certificates.get(fingerprint).and_then(|(_, owner)| owner.as_deref())
    }
}

/// A certificate that somebody attached, and what follows from it for what is pinned.
#[must_use]
pub fn attached(known: &dyn Known, bytes: &[u8], at: Moment) -> Option<AttachedKey> {
    let found = Certificate::read(bytes).ok()?;
    let fingerprint = found.fingerprint();
    let handle = KeyHandle::from(found.0.fingerprint());
    let pinned = known
        .certificates(&handle)
        .into_iter()
        .find(|pinned| pinned.fingerprint() == fingerprint && known.is_pinned(&fingerprint));
    let certificate = match pinned {
        Some(pinned) => pinned.merged(&found)?,
        None => found,
    };
    let facts = certificate.facts(at);
    let text = certificate.armored();
    // Anybody can make a certificate grow, a little with each copy.
    (text.len() <= GROWN_MAX).then_some(AttachedKey { fingerprint, certificate: text, facts })
}

/// The most that a certificate may grow to: what is kept is read at every start.
pub(crate) const GROWN_MAX: usize = 96 * 1024;

/// The pinned certificates that something in some bytes revokes, wholly or in part, with the
/// revocation in them.
#[must_use]
pub fn revoked(known: &dyn Known, bytes: &[u8], at: Moment) -> Vec<AttachedKey> {
    let mut found: Vec<AttachedKey> = Vec::new();
    for id in certificate::revokers(bytes) {
        for pinned in known.certificates(&id) {
            let fingerprint = pinned.fingerprint();
            let new = !found.iter().any(|key| key.fingerprint == fingerprint);
            if let (true, true, Some(revoked)) =
                (new, known.is_pinned(&fingerprint), pinned.with_revocations(bytes, at))
            {
                let facts = revoked.facts(at);
                found.push(AttachedKey { fingerprint, certificate: revoked.armored(), facts });
            }
        }
    }
    found
}
