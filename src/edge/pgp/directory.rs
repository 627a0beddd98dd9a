//! The certificates that the desk knows, and what comes in that changes them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

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

/// The most keys of strangers that are kept in memory, and the most that their texts may be together.
/// Anybody can send keys; who is forgotten is a reporter whose signature is not checked before they send
/// their key again.
const STRANGERS_MAX: usize = 2_000;
const STRANGERS_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Certificates by the ids of their keys.
#[derive(Debug, Default)]
struct Certificates {
    all: BTreeMap<Fingerprint, Certificate>,
    ids: BTreeMap<openpgp::KeyID, BTreeSet<Fingerprint>>,
}

impl Certificates {
    fn add(&mut self, certificate: Certificate) {
        let fingerprint = certificate.fingerprint();
        self.remove(&fingerprint);
        for key in certificate.0.keys() {
            self.ids.entry(key.key().keyid()).or_default().insert(fingerprint.clone());
        }
        self.all.insert(fingerprint, certificate);
    }

    fn remove(&mut self, fingerprint: &Fingerprint) {
        let Some(certificate) = self.all.remove(fingerprint) else { return };
        for key in certificate.0.keys() {
            if let Some(named) = self.ids.get_mut(&key.key().keyid()) {
                named.remove(fingerprint);
                if named.is_empty() {
                    self.ids.remove(&key.key().keyid());
                }
            }
        }
    }

    fn named(&self, id: &KeyHandle) -> Vec<Certificate> {
        let named = self.ids.get(&openpgp::KeyID::from(id)).into_iter().flatten();
        let certificates = named.filter_map(|fingerprint| self.all.get(fingerprint));
        certificates.filter(|certificate| certificate.answers_to(id)).cloned().collect()
    }
}

/// The certificates that the desk knows: those that are pinned for somebody, and apart from them those
/// of strangers. What is pinned is looked up first and alone, so that a stranger's certificate that
/// lists somebody's key as its own is never tried on their mails.
#[derive(Debug, Default)]
pub struct Directory {
    pinned: Certificates,
    owners: BTreeMap<Fingerprint, String>,
    strangers: Certificates,
    /// Strangers in the order in which they came, with the size of each.
    order: VecDeque<(Fingerprint, usize)>,
    bytes: usize,
}

impl Directory {
    /// Pins a certificate for a person of the roster.
    pub fn pin(&mut self, certificate: Certificate, owner: &str) {
        let fingerprint = certificate.fingerprint();
        self.strangers.remove(&fingerprint);
        self.owners.insert(fingerprint, owner.to_owned());
        self.pinned.add(certificate);
    }

    /// Takes note of a stranger's certificate of so many bytes; the oldest ones are forgotten. One that
    /// is pinned is replaced by nothing that anybody mails in: an old copy of it may lack a revocation
    /// or a new key.
    pub fn meet(&mut self, certificate: Certificate, bytes: usize) {
        let fingerprint = certificate.fingerprint();
        if self.is_pinned(&fingerprint) || bytes > GROWN_MAX {
            return;
        }
        if self.strangers.all.contains_key(&fingerprint) {
            self.strangers.add(certificate);
            return;
        }
        self.strangers.add(certificate);
        self.order.push_back((fingerprint, bytes));
        self.bytes = self.bytes.saturating_add(bytes);
        while self.order.len() > STRANGERS_MAX || self.bytes > STRANGERS_BYTES_MAX {
            let Some((oldest, size)) = self.order.pop_front() else { break };
            self.strangers.remove(&oldest);
            self.bytes = self.bytes.saturating_sub(size);
        }
    }

    /// Forgets the pinned certificates that are not among these: a member's who was removed, or a
    /// key that another one took the place of.
    pub fn keep_pinned(&mut self, pinned: &BTreeSet<Fingerprint>) {
        let gone: Vec<Fingerprint> =
            self.owners.keys().filter(|known| !pinned.contains(known)).cloned().collect();
        for fingerprint in gone {
            self.owners.remove(&fingerprint);
            self.pinned.remove(&fingerprint);
        }
    }

    /// The certificate with this fingerprint.
    #[must_use]
    pub fn get(&self, fingerprint: &Fingerprint) -> Option<&Certificate> {
        self.pinned.all.get(fingerprint).or_else(|| self.strangers.all.get(fingerprint))
    }
}

impl Known for Directory {
    fn certificates(&self, id: &KeyHandle) -> Vec<Certificate> {
        let pinned = self.pinned.named(id);
        if pinned.is_empty() { self.strangers.named(id) } else { pinned }
    }
    fn owner(&self, fingerprint: &Fingerprint) -> Option<&str> {
        self.owners.get(fingerprint).map(String::as_str)
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
