//! Certificates: which key a mail is sealed to, when, and until when.

use std::collections::BTreeSet;
use std::fmt;

use openpgp::cert::{CertParser, Preferences as _, ValidCert};
use openpgp::packet::Signature as SignaturePacket;
use openpgp::parse::{PacketParserBuilder, PacketParserResult, Parse};
use openpgp::policy::StandardPolicy;
use openpgp::serialize::SerializeInto;
use openpgp::serialize::stream::Recipient;
use openpgp::types::{Features, PublicKeyAlgorithm, RevocationStatus, SignatureType};
use openpgp::{Cert, KeyHandle, Packet};
use sequoia_openpgp as openpgp;

use crate::domain::facts::key::{KeyFacts, Subkey};
use crate::domain::facts::names::{Address, Fingerprint, Moment};
use crate::domain::outgoing::texts;
use crate::edge::pgp::policy::{policy, root_cause, time_of};

/// A certificate, parsed and checked once.
#[derive(Clone)]
pub struct Certificate(pub(super) Cert);

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.0.fingerprint())
    }
}

/// The largest certificate that is read: a reporter's key with a few user ids is a tenth of it.
const CERTIFICATE_MAX: usize = 256 * 1024;
/// The most certificates of one file that are read.
const READ_MAX: usize = 5;

impl Certificate {
    /// Reads one certificate, armored or not. Secret parts are dropped.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > CERTIFICATE_MAX {
            return Err("it is larger than any certificate should be".to_owned());
        }
        let cert =
            Cert::from_bytes(bytes).map_err(|_| "it is no OpenPGP certificate".to_owned())?;
        Self::of(cert).ok_or_else(|| "a part of it is broken".to_owned())
    }

    /// A certificate that can be written down again, without its secret parts. Some that are read cannot, and would
    /// be kept as nothing.
    fn of(cert: Cert) -> Option<Self> {
        let cert = cert.strip_secret_key_material();
        SerializeInto::to_vec(&cert).is_ok().then_some(Self(cert))
    }

    /// Whether it is a secret key, which nobody gives away.
    #[must_use]
    pub fn is_secret(bytes: &[u8]) -> bool {
        bytes.len() <= CERTIFICATE_MAX && Cert::from_bytes(bytes).is_ok_and(|cert| cert.is_tsk())
    }

    /// Reads the certificates of a file that may hold several, armored or not, as people export them.
    #[must_use]
    pub fn read_all(bytes: &[u8]) -> Vec<Self> {
        if bytes.len() > CERTIFICATE_MAX {
            return Vec::new();
        }
        let all = CertParser::from_bytes(bytes).ok().into_iter().flatten();
        all.take(READ_MAX).filter_map(Result::ok).filter_map(Self::of).collect()
    }

    /// Its primary fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint_of(&self.0)
    }

    /// As text.
    #[must_use]
    pub fn armored(&self) -> String {
        let bytes = SerializeInto::to_vec(&self.0.armored()).unwrap_or_default();
        String::from_utf8(bytes).unwrap_or_default()
    }

    /// As bytes.
    #[must_use]
    pub fn binary(&self) -> Vec<u8> {
        SerializeInto::to_vec(&self.0).unwrap_or_default()
    }

    /// Why no mail can be sealed to it at a moment, if so.
    ///
    /// # Errors
    /// A sentence for the operator and for its owner.
    pub fn check(&self, at: Moment) -> Result<(), String> {
        let policy = policy();
        recipient_key(&self.0, &policy, Form::Usual, at).map(|_| ())
    }

    /// Whether it says that the newer form of sealed mails is read.
    #[must_use]
    pub fn says_newer(&self, at: Moment) -> bool {
        let policy = policy();
        let valid = self.0.with_policy(&policy, time_of(at)).ok();
        valid.and_then(|valid| valid.features()).is_some_and(|f| f.supports_seipdv2())
    }

    /// When the last key that can be encrypted to expires, if it does.
    #[must_use]
    pub fn expires(&self, at: Moment) -> Option<Moment> {
        let policy = policy();
        let valid = self.0.with_policy(&policy, time_of(at)).ok()?;
        let primary = valid.primary_key().key_expiration_time();
        let mut subkeys = valid
            .keys()
            .alive()
            .revoked(false)
            .for_transport_encryption()
            .map(|key| key.key_expiration_time())
            .collect::<Vec<_>>();
        subkeys.sort_by_key(|at| at.map_or(i64::MAX, |at| Moment::from(at).timestamp()));
        let last = subkeys.last().copied().flatten();
        last.into_iter().chain(primary).min().map(Moment::from)
    }

    /// Whether one of its user ids bears this address. Says which of several keys a writer means,
    /// never who somebody is.
    #[must_use]
    pub fn is_for(&self, address: &Address) -> bool {
        self.0.userids().any(|user| {
            let email = user.userid().email().ok().flatten();
            email.and_then(Address::parse).is_some_and(|a| a.same_box(address))
        })
    }

    /// Whose it says to be: a name and an address, of the user id that is meant first.
    #[must_use]
    pub fn owner(&self, at: Moment) -> Option<(String, Address)> {
        let policy = policy();
        let valid = self.0.with_policy(&policy, time_of(at)).ok()?;
        let first = valid.primary_userid().into_iter().chain(valid.userids());
        first
            .filter_map(|user| {
                let address = Address::parse(user.userid().email().ok().flatten()?)?;
                let name = user.userid().name().ok().flatten();
                Some((name.map_or_else(|| address.local().to_owned(), ToOwned::to_owned), address))
            })
            .next()
    }

    /// What it says: which of its keys can be encrypted to, and when, from a moment on.
    #[must_use]
    pub fn facts(&self, from: Moment) -> KeyFacts {
        let mut facts = KeyFacts { revoked: self.is_revoked(from), ..KeyFacts::default() };
        // Only user ids that hold: anybody can append one, and an owner can give one up.
        let policy = policy();
        let valid = self.0.with_policy(&policy, time_of(from));
        let users = valid.iter().flat_map(|valid| valid.userids().revoked(false));
        for user in users {
            let address = user.userid().email().ok().flatten().and_then(Address::parse);
            if let Some(address) = address
                && !facts.addresses.contains(&address)
                && facts.addresses.len() < USER_IDS_MAX
            {
                facts.addresses.push(address);
            }
            if facts.name.is_empty() {
                let name = user.userid().name().ok().flatten().unwrap_or_default();
                facts.name = texts::clean_line(name, 80);
            }
        }
        let changes: Vec<Moment> = self.changes(from).into_iter().collect();
        for (n, at) in changes.iter().enumerate() {
            let until = changes.get(n.saturating_add(1)).copied();
            // What can be used at the beginning could be before; when exactly is no matter.
            let since = if n == 0 { Moment::UNIX_EPOCH } else { *at };
            for id in self.usable(*at) {
                let known = facts.subkeys.iter().position(|subkey| subkey.id == id);
                let Some(subkey) = known.and_then(|n| facts.subkeys.get_mut(n)) else {
                    facts.subkeys.push(Subkey { id, spans: vec![(since, until)] });
                    continue;
                };
                match subkey.spans.last_mut() {
                    Some((_, end)) if *end == Some(*at) => *end = until,
                    Some(_) | None => subkey.spans.push((*at, until)),
                }
            }
        }
        facts
    }

    /// The key to sign with at a moment that ends last, as a subkey whose end can be watched.
    #[must_use]
    pub fn signing(&self, at: Moment) -> Option<Subkey> {
        let policy = policy();
        let valid = self.0.with_policy(&policy, time_of(at)).ok()?;
        let keys = valid.keys().supported().alive().revoked(false).for_signing();
        let ends = keys.map(|key| {
            let end = end_of(&valid, key.key_expiration_time());
            (end, key.key().keyid().to_hex())
        });
        let (end, id) = ends.max_by_key(|(end, _)| (end.is_none(), *end))?;
        Some(Subkey { id, spans: vec![(Moment::UNIX_EPOCH, end)] })
    }

    /// The moments from one on at which it can change which keys are usable: births and ends.
    fn changes(&self, from: Moment) -> BTreeSet<Moment> {
        let policy = policy();
        let mut moments = BTreeSet::from([from]);
        let born = self.0.keys().map(|key| Moment::from(key.key().creation_time()));
        moments.extend(born.filter(|at| *at > from).take(CHANGES_MAX));
        let mut looked = BTreeSet::new();
        while let Some(at) = moments.iter().find(|at| !looked.contains(*at)).copied() {
            looked.insert(at);
            let Ok(valid) = self.0.with_policy(&policy, time_of(at)) else { continue };
            let ends = valid.keys().filter_map(|key| key.key_expiration_time());
            let ends = ends.map(Moment::from).filter(|end| *end > from);
            moments.extend(ends.take(CHANGES_MAX));
            if looked.len() >= CHANGES_MAX {
                break;
            }
        }
        moments
    }

    /// The ids of the keys that a mail could be sealed to at a moment.
    fn usable(&self, at: Moment) -> Vec<String> {
        let policy = policy();
        let Ok(valid) = self.0.with_policy(&policy, time_of(at)) else { return Vec::new() };
        if valid.alive().is_err() || self.is_revoked(at) {
            return Vec::new();
        }
        let keys = valid.keys().supported().alive().revoked(false).for_transport_encryption();
        keys.map(|key| key.key().keyid().to_hex()).collect()
    }

    fn is_revoked(&self, at: Moment) -> bool {
        let status = self.0.revocation_status(&policy(), time_of(at));
        matches!(status, RevocationStatus::Revoked(_))
    }

    /// This certificate with what another copy of it says besides. Nothing that is known is taken
    /// back: the union of both (an old copy cannot undo a revocation).
    #[must_use]
    pub fn merged(&self, other: &Self) -> Option<Self> {
        self.0.clone().merge_public(other.0.clone()).ok().and_then(Self::of)
    }

    /// This certificate with the revocations of it that stand in some bytes, if there are any that
    /// hold and are new. They are signed by the key itself, so it does not matter who sent them.
    #[must_use]
    pub fn with_revocations(&self, bytes: &[u8], at: Moment) -> Option<Self> {
        let found: Vec<Packet> = revocations(bytes).into_iter().map(Packet::from).collect();
        if found.is_empty() {
            return None;
        }
        let (cert, _) = self.0.clone().insert_packets(found).ok()?;
        let revoked = Self::of(cert)?;
        let (before, after) = (self.facts(at), revoked.facts(at));
        let fewer = after.subkeys.len() < before.subkeys.len();
        let ends = before.subkeys.iter().zip(&after.subkeys).any(|(b, a)| b != a);
        ((after.revoked && !before.revoked) || fewer || ends).then_some(revoked)
    }

    pub(super) fn answers_to(&self, id: &KeyHandle) -> bool {
        self.0.keys().any(|key| key.key().key_handle().aliases(id))
    }
}

/// The most user ids and moments of change of one certificate that are looked at.
const USER_IDS_MAX: usize = 20;
const CHANGES_MAX: usize = 64;
/// The most revocations of one attachment that are looked at.
const REVOCATIONS_MAX: usize = 16;
/// The most packets of one attachment that are looked at for them.
const PACKETS_MAX: usize = 500;

/// The revocations in some bytes: those of a certificate that was exported with them, and those that
/// stand alone.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is no part of a certificate ends it")]
fn revocations(bytes: &[u8]) -> Vec<SignaturePacket> {
    if bytes.len() > CERTIFICATE_MAX {
        return Vec::new();
    }
    // Most of what is called `.asc` is the mail's own ciphertext.
    if bytes.trim_ascii_start().starts_with(b"-----BEGIN PGP MESSAGE") {
        return Vec::new();
    }
    let is_revocation = |kind: SignatureType| {
        matches!(kind, SignatureType::KeyRevocation | SignatureType::SubkeyRevocation)
    };
    let mut found = Vec::new();
    let parser = PacketParserBuilder::from_bytes(bytes).map(|b| b.max_recursion_depth(0));
    let mut next = parser.and_then(PacketParserBuilder::build).ok();
    // What is compressed or encrypted is never looked into: a bomb of a few kilobytes would be.
    for _ in 0..PACKETS_MAX {
        let Some(PacketParserResult::Some(here)) = next else { break };
        match &here.packet {
            Packet::Signature(signature) if is_revocation(signature.typ()) => {
                found.push(signature.clone());
            }
            Packet::Signature(_)
            | Packet::PublicKey(_)
            | Packet::PublicSubkey(_)
            | Packet::UserID(_)
            | Packet::UserAttribute(_)
            | Packet::Marker(_)
            | Packet::Trust(_)
            | Packet::Padding(_) => {}
            _ => break,
        }
        if found.len() >= REVOCATIONS_MAX {
            break;
        }
        next = here.next().ok().map(|(_, next)| next);
    }
    found
}

/// The ids of the keys that made the revocations in some bytes.
pub(super) fn revokers(bytes: &[u8]) -> Vec<KeyHandle> {
    revocations(bytes).iter().flat_map(SignaturePacket::get_issuers).take(REVOCATIONS_MAX).collect()
}

pub(super) fn fingerprint_of(cert: &Cert) -> Fingerprint {
    let hex = cert.fingerprint().to_hex();
    // A fingerprint prints as 40 or 64 hex digits, so this cannot fail; a value that can never
    // match keeps it a total function.
    Fingerprint::parse(&hex).unwrap_or_else(Fingerprint::nobody)
}

/// When a key of a certificate ends: at its own end, or at that of the primary.
pub(super) fn end_of(cert: &ValidCert<'_>, key: Option<std::time::SystemTime>) -> Option<Moment> {
    let primary = cert.primary_key().key_expiration_time();
    [primary, key].into_iter().flatten().min().map(Moment::from)
}

/// In which form a mail is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The one that every program reads which reads the certificate at all: a certificate of version 4 may
    /// say more than its owner's program can (made by a newer one, or with another's defaults).
    Usual,
    /// The newer one (SEIPDv2), where the certificate says that it is read.
    Newer,
}

/// The one key of a certificate that a mail is sealed to: the newest that may be encrypted to.
pub(super) fn recipient_key<'a>(
    cert: &'a Cert,
    policy: &'a StandardPolicy<'a>,
    form: Form,
    at: Moment,
) -> Result<Recipient<'a>, String> {
    let valid = cert.with_policy(policy, time_of(at)).map_err(|error| {
        let kind = cert.primary_key().key().pk_algo();
        if kind.is_supported() {
            format!("the certificate is not valid ({})", root_cause(&error))
        } else {
            // What a key of such a kind has signed cannot be checked, so nothing in it seems to hold.
            format!("it is made by a key {OTHER_KIND} ({kind})")
        }
    })?;
    if let RevocationStatus::Revoked(_) = valid.revocation_status() {
        return Err("the certificate is revoked".to_owned());
    }
    valid.alive().map_err(|_| "the certificate has expired, or is not valid yet".to_owned())?;
    let newest = valid
        .keys()
        .supported()
        .alive()
        .revoked(false)
        .for_transport_encryption()
        .max_by_key(|key| key.key().creation_time());
    let newest = newest.ok_or_else(|| why_none(&valid))?;
    let usual = form == Form::Usual && newest.key().version() == 4;
    Ok(if usual {
        let id = KeyHandle::KeyID(newest.key().keyid());
        Recipient::new(Features::empty().set_seipdv1(), id, newest.key())
    } else {
        Recipient::from(newest)
    })
}

/// What to ask of somebody whose certificate cannot be used, by why not.
#[must_use]
pub fn mend_key(why: &str) -> &'static str {
    if why.contains(OTHER_KIND) {
        "ask them for a certificate with a key of a usual kind (X25519, a NIST curve or RSA)"
    } else {
        "ask them for their present certificate"
    }
}

/// How a kind of key is told that is not used here.
const OTHER_KIND: &str = "of a kind that this desk does not use";

/// Why a certificate has no key that can be encrypted to.
fn why_none(valid: &ValidCert<'_>) -> String {
    // Without the policy, which leaves out what it does not accept.
    #[expect(deprecated, reason = "the kinds that nobody should use any more")]
    let is_old = |kind: PublicKeyAlgorithm| {
        matches!(kind, PublicKeyAlgorithm::ElGamalEncrypt | PublicKeyAlgorithm::ElGamalEncryptSign)
    };
    let kinds = valid.cert().keys().map(|key| key.key().pk_algo());
    let foreign = kinds.into_iter().find(|kind| is_old(*kind) || !kind.is_supported());
    match foreign {
        Some(kind) => {
            format!("its key to encrypt to is {OTHER_KIND} ({kind})")
        }
        None => "it has no key to encrypt to that is valid now".to_owned(),
    }
}
