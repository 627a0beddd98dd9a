//! Certificates: which key a mail is sealed to, when, and until when.

use std::fmt;

use sequoia_openpgp as openpgp;

use openpgp::parse::Parse;
use openpgp::policy::StandardPolicy;
use openpgp::serialize::SerializeInto;
use openpgp::serialize::stream::Recipient;
use openpgp::{Cert, KeyHandle};

use crate::domain::names::{Fingerprint, Moment};

use super::{policy, root_cause, time_of};

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
        Ok(Self(cert.strip_secret_key_material()))
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

    /// Why no mail can be sealed to it at a moment, if so.
    ///
    /// # Errors
    /// A sentence for the operator and for its owner.
    pub fn check(&self, at: Moment) -> Result<(), String> {
        let policy = policy();
        recipient_key(&self.0, &policy, at).map(|_| ())
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
    pub fn is_for(&self, address: &crate::domain::names::Address) -> bool {
        self.0.userids().any(|user| {
            let email = user.userid().email().ok().flatten();
            email
                .and_then(crate::domain::names::Address::parse)
                .is_some_and(|a| a.same_box(address))
        })
    }

    pub(super) fn answers_to(&self, id: &KeyHandle) -> bool {
        self.0.keys().any(|key| key.key().key_handle().aliases(id))
    }
}

pub(super) fn fingerprint_of(cert: &Cert) -> Fingerprint {
    let hex = cert.fingerprint().to_hex();
    // A fingerprint prints as 40 or 64 hex digits, so this cannot fail; a value that can never
    // match keeps it a total function.
    Fingerprint::parse(&hex).unwrap_or_else(Fingerprint::nobody)
}

/// The one key of a certificate that a mail is sealed to: the newest that may be encrypted to.
pub(super) fn recipient_key<'a>(
    cert: &'a Cert,
    policy: &'a StandardPolicy<'a>,
    at: Moment,
) -> Result<Recipient<'a>, String> {
    let valid = cert
        .with_policy(policy, time_of(at))
        .map_err(|error| format!("the certificate is not valid ({})", root_cause(&error)))?;
    if let openpgp::types::RevocationStatus::Revoked(_) = valid.revocation_status() {
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
    newest
        .map(Recipient::from)
        .ok_or_else(|| "it has no key to encrypt to that is valid now".to_owned())
}
