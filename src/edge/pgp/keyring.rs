//! The desk's own keys: sealing and signing with the present one, and making new ones.

use std::fmt;
use std::io::Write;

use openpgp::Cert;
use openpgp::cert::prelude::*;
use openpgp::crypto::Password;
use openpgp::packet::Signature as SignaturePacket;
use openpgp::parse::Parse;
use openpgp::serialize::SerializeInto;
use openpgp::serialize::stream::{Armorer, Encryptor, LiteralWriter, Message, Signer};
use openpgp::types::{Features, HashAlgorithm};
use sequoia_openpgp as openpgp;

use crate::domain::facts::names::{Fingerprint, Moment};
use crate::edge::pgp::armor::Armor;
use crate::edge::pgp::certificate::{Certificate, Form, end_of, fingerprint_of, recipient_key};
use crate::edge::pgp::policy::{policy, root_cause, time_of};
use crate::edge::pgp::seen::OurIds;

/// The desk's secret keys: the present one, and old ones that still open what was encrypted to
/// them.
pub struct Keyring {
    current: Cert,
    old: Vec<Cert>,
    /// The key that signs, and its end.
    signer: Option<(openpgp::crypto::KeyPair, Option<Moment>)>,
    pub(super) session_salt: [u8; 32],
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({})", self.current.fingerprint())
    }
}

/// A passphrase; never printed.
#[derive(Clone)]
pub struct Passphrase(Password);

impl Passphrase {
    /// Takes a passphrase as a file or a prompt gave it; a final line end is not part of it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Password::from(text.trim_end_matches(['\r', '\n'])))
    }

    /// Runs a function on its bytes.
    pub fn with<T>(&self, run: impl FnOnce(&[u8]) -> T) -> T {
        self.0.map(|bytes| run(bytes))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

fn unlock(cert: Cert, passphrase: Option<&Passphrase>) -> Result<Cert, String> {
    let mut packets = Vec::new();
    for key in cert.keys().secret() {
        let key = key.key().clone();
        if key.has_unencrypted_secret() {
            continue;
        }
        let Some(passphrase) = passphrase else {
            return Err("it is locked and no passphrase was given".to_owned());
        };
        let primary = key.fingerprint() == cert.fingerprint();
        let open = key
            .decrypt_secret(&passphrase.0)
            .map_err(|_| "the passphrase does not open it".to_owned())?;
        packets.push(if primary {
            openpgp::Packet::from(open.role_into_primary())
        } else {
            openpgp::Packet::from(open.role_into_subordinate())
        });
    }
    let (cert, _) = cert.insert_packets(packets).map_err(|error| root_cause(&error))?;
    Ok(cert)
}

impl Keyring {
    /// Takes the desk's secret keys, the present one first, and opens them.
    ///
    /// # Errors
    /// A sentence that says which key cannot be used, and why.
    pub fn open(
        keys: &[Vec<u8>],
        passphrase: Option<&Passphrase>,
        session_salt: [u8; 32],
        now: Moment,
    ) -> Result<Self, String> {
        let mut ring = Self::for_looking(keys, passphrase)?;
        ring.session_salt = session_salt;
        let policy = policy();
        recipient_key(&ring.current, &policy, Form::Usual, now)?;
        let valid = ring.current.with_policy(&policy, time_of(now));
        let valid = valid.map_err(|error| root_cause(&error))?;
        let keys = valid.keys().supported().alive().revoked(false).for_signing();
        let (signer, end) = keys
            .unencrypted_secret()
            .map(|key| (key.key().clone(), end_of(&valid, key.key_expiration_time())))
            .max_by_key(|(_, end)| (end.is_none(), *end))
            .ok_or_else(|| "it has no key to sign with that is valid now".to_owned())?;
        let signer = signer.into_keypair().map_err(|error| root_cause(&error))?;
        ring.signer = Some((signer, end));
        Ok(ring)
    }

    /// Takes secret keys that only open mails, whatever their state: nothing can be sealed with
    /// this keyring.
    ///
    /// # Errors
    /// A sentence that says which key cannot be used, and why.
    pub fn for_looking(keys: &[Vec<u8>], passphrase: Option<&Passphrase>) -> Result<Self, String> {
        let mut certs = Vec::new();
        for bytes in keys {
            let cert = Cert::from_bytes(bytes).map_err(|_| "it is no OpenPGP key".to_owned())?;
            if !cert.is_tsk() {
                return Err("it is a certificate without its secret key".to_owned());
            }
            certs.push(unlock(cert, passphrase)?);
        }
        let mut certs = certs.into_iter();
        let current = certs.next().ok_or_else(|| "there is no key".to_owned())?;
        Ok(Self { current, old: certs.collect(), signer: None, session_salt: [0; 32] })
    }

    /// The key that signs. None once it has ended: what is signed then is bad mail to whoever checks.
    fn signer(&self, at: Moment) -> Result<openpgp::crypto::KeyPair, String> {
        match &self.signer {
            Some((_, Some(end))) if *end <= at => {
                Err(format!("the desk's own key ended on {}", end.format("%Y-%m-%d %H:%M UTC")))
            }
            Some((signer, _)) => Ok(signer.clone()),
            None => Err("this keyring only opens".to_owned()),
        }
    }

    /// Whether it can sign at a moment.
    ///
    /// # Errors
    /// Why not.
    pub fn can_sign(&self, at: Moment) -> Result<(), String> {
        self.signer(at).map(drop)
    }

    /// The desk's present certificate.
    #[must_use]
    pub fn certificate(&self) -> Certificate {
        Certificate(self.current.clone().strip_secret_key_material())
    }

    /// The ids of its keys, which are public.
    #[must_use]
    pub fn ids(&self) -> OurIds {
        OurIds::of(self.all())
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Cert> {
        std::iter::once(&self.current).chain(&self.old)
    }

    /// Signs and encrypts a finished MIME entity to one certificate: one message, one recipient,
    /// one key, armored, in the form that every program reads.
    ///
    /// # Errors
    /// Why the certificate cannot be encrypted to at that moment. Nothing was produced.
    pub fn seal(&self, to: &Certificate, entity: &[u8], at: Moment) -> Result<Vec<u8>, String> {
        self.seal_in(Form::Usual, to, entity, at)
    }

    /// The same in a form of choice.
    ///
    /// # Errors
    /// As [`Self::seal`].
    pub fn seal_in(
        &self,
        form: Form,
        to: &Certificate,
        entity: &[u8],
        at: Moment,
    ) -> Result<Vec<u8>, String> {
        self.seal_by(self.signer(at)?, form, to, entity, at)
    }

    fn seal_by(
        &self,
        signer: openpgp::crypto::KeyPair,
        form: Form,
        to: &Certificate,
        entity: &[u8],
        at: Moment,
    ) -> Result<Vec<u8>, String> {
        let mut sealed = Vec::with_capacity(entity.len().saturating_mul(3) / 2 + 2048);
        seal_into(signer, form, to, &[entity], at, ("\n", &mut sealed))?;
        if sealed.is_empty() {
            return Err("sealing gave nothing".to_owned());
        }
        Ok(sealed)
    }

    /// The same for an entity in pieces, in lines as mail carries them, to be written where it is wanted; by
    /// the key before the present one where that is what the recipient knows.
    ///
    /// # Errors
    /// As [`Self::seal`]; what was written then is to be thrown away.
    pub fn seal_into(
        &self,
        (form, as_before): (Form, bool),
        to: &Certificate,
        pieces: &[&[u8]],
        at: Moment,
        sink: &mut (dyn Write + Send + Sync),
    ) -> Result<(), String> {
        let before = if as_before { self.signer_before(at) } else { None };
        let signer = before.map_or_else(|| self.signer(at), Ok)?;
        seal_into(signer, form, to, pieces, at, ("\r\n", sink))
    }

    /// The key before the present one, to sign with, if it still can be used.
    fn signer_before(&self, at: Moment) -> Option<openpgp::crypto::KeyPair> {
        let policy = policy();
        let keys = self.old.first()?.keys().with_policy(&policy, time_of(at));
        let mut keys = keys.supported().alive().revoked(false).for_signing().unencrypted_secret();
        keys.next()?.key().clone().into_keypair().ok()
    }

    /// A text with its signature around it, as people read it (RFC 9580, 7).
    ///
    /// # Errors
    /// What the library says.
    pub fn clear_signed(&self, text: &str, at: Moment) -> Result<Vec<u8>, String> {
        let wrong = |error: openpgp::anyhow::Error| root_cause(&error);
        let mut out = Vec::new();
        let mut message = Signer::new(Message::new(&mut out), self.signer(at)?)
            .map_err(wrong)?
            .cleartext()
            .hash_algo(HashAlgorithm::SHA256)
            .map_err(wrong)?
            .creation_time(time_of(at))
            .build()
            .map_err(wrong)?;
        message.write_all(text.as_bytes()).map_err(|error| error.to_string())?;
        message.finalize().map_err(wrong)?;
        Ok(out)
    }

    /// A detached signature over a finished MIME entity, armored. Its hash is SHA-256.
    ///
    /// # Errors
    /// What the library says; the mail is not sent.
    pub fn sign(&self, entity: &[u8], at: Moment) -> Result<Vec<u8>, String> {
        let text = |error: openpgp::anyhow::Error| root_cause(&error);
        let mut signature = Vec::new();
        let message = Message::new(&mut signature);
        let message =
            Armorer::new(message).kind(openpgp::armor::Kind::Signature).build().map_err(text)?;
        let mut message = Signer::new(message, self.signer(at)?)
            .map_err(text)?
            .hash_algo(HashAlgorithm::SHA256)
            .map_err(text)?
            .creation_time(time_of(at))
            .detached()
            .build()
            .map_err(text)?;
        message.write_all(entity).map_err(|error| error.to_string())?;
        message.finalize().map_err(text)?;
        Ok(signature)
    }
}

/// Signs and encrypts to one key: a signature for each, since it names whom it is meant for.
fn seal_into(
    signer: openpgp::crypto::KeyPair,
    form: Form,
    to: &Certificate,
    pieces: &[&[u8]],
    at: Moment,
    (line_end, sink): (&'static str, &mut (dyn Write + Send + Sync)),
) -> Result<(), String> {
    let policy = policy();
    let key = recipient_key(&to.0, &policy, form, at)?;
    let text = |error: openpgp::anyhow::Error| root_cause(&error);
    let wrong = |error: std::io::Error| error.to_string();
    let mut armor = Armor::message(sink, line_end, form == Form::Usual).map_err(wrong)?;
    let message = Message::new(&mut armor);
    let message = Encryptor::for_recipients(message, [key]).build().map_err(text)?;
    let message = Signer::new(message, signer)
        .map_err(text)?
        .hash_algo(HashAlgorithm::SHA256)
        .map_err(text)?
        .creation_time(time_of(at))
        .add_intended_recipient(&to.0)
        .build()
        .map_err(text)?;
    let mut message = LiteralWriter::new(message).build().map_err(text)?;
    for piece in pieces {
        message.write_all(piece).map_err(wrong)?;
    }
    message.finalize().map_err(text)?;
    armor.finish().map_err(wrong).map(drop)
}

/// Makes a new secret key for an address: one certificate that GnuPG reads (version 4,
/// Ed25519 and X25519), locked with the passphrase, and its revocation certificate.
///
/// # Errors
/// What the library says.
pub fn generate(
    name: &str,
    address: &str,
    passphrase: Option<&Passphrase>,
    years: Option<u64>,
    created: Moment,
) -> Result<(Vec<u8>, Vec<u8>), String> {
    make(name, address, passphrase, years, created, Features::sequoia())
}

/// A key as GnuPG 2.2 makes one: whoever writes to it seals in a form that GnuPG opens (SEIPDv1, RFC
/// 9580, 5.13.1), and not in the newer one that ours advertise.
///
/// # Errors
/// As [`generate`].
pub fn generate_for_gnupg(name: &str, address: &str, created: Moment) -> Result<Vec<u8>, String> {
    let features = Features::empty().set_seipdv1();
    make(name, address, None, None, created, features).map(|(secret, _)| secret)
}

fn make(
    name: &str,
    address: &str,
    passphrase: Option<&Passphrase>,
    years: Option<u64>,
    created: Moment,
    features: Features,
) -> Result<(Vec<u8>, Vec<u8>), String> {
    let text = |error: openpgp::anyhow::Error| root_cause(&error);
    let (cert, revocation) = CertBuilder::new()
        .set_features(features)
        .map_err(text)?
        .set_creation_time(Some(time_of(created)))
        .set_cipher_suite(CipherSuite::Cv25519)
        .add_userid(format!("{name} <{address}>"))
        .add_signing_subkey()
        .add_transport_encryption_subkey()
        .set_validity_period(years.map(|y| std::time::Duration::from_secs(y * 365 * 86_400)))
        .set_password(passphrase.map(|passphrase| passphrase.0.clone()))
        .generate()
        .map_err(text)?;
    let secret = SerializeInto::to_vec(&cert.as_tsk().armored()).map_err(text)?;
    let revocation = revocation_text(&cert, revocation)?;
    Ok((secret, revocation))
}

fn revocation_text(cert: &Cert, revocation: SignaturePacket) -> Result<Vec<u8>, String> {
    use openpgp::serialize::Marshal;
    let mut out = Vec::new();
    let head =
        [("Comment", format!("Revocation of {}. Keep it off the machine.", cert.fingerprint()))];
    let mut writer =
        openpgp::armor::Writer::with_headers(&mut out, openpgp::armor::Kind::PublicKey, head)
            .map_err(|error| error.to_string())?;
    openpgp::Packet::from(revocation).serialize(&mut writer).map_err(|error| root_cause(&error))?;
    writer.finalize().map_err(|error| error.to_string())?;
    Ok(out)
}

/// Reads a secret key file and says which key it is, without opening it.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn secret_fingerprint(bytes: &[u8]) -> Result<Fingerprint, String> {
    let cert = Cert::from_bytes(bytes).map_err(|_| "it is no OpenPGP key".to_owned())?;
    if !cert.is_tsk() {
        return Err("it is a certificate without its secret key".to_owned());
    }
    Ok(fingerprint_of(&cert))
}
