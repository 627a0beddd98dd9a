//! Opening and verifying: what a message holds, and whose signature holds over it.

use std::borrow::Cow;
use std::io::Read;

use openpgp::crypto::SessionKey;
use openpgp::packet::{PKESK, SKESK, Signature as SignaturePacket, Tag};
use openpgp::parse::stream::{
    DecryptionHelper, DecryptorBuilder, DetachedVerifierBuilder, GoodChecksum, MessageLayer,
    MessageStructure, VerificationError, VerificationHelper, VerificationResult, VerifierBuilder,
};
use openpgp::parse::{PacketParserBuilder, PacketParserResult, Parse};
use openpgp::policy::Policy as _;
use openpgp::types::{PublicKeyAlgorithm, SymmetricAlgorithm};
use openpgp::{Cert, KeyHandle, Packet};
use sequoia_openpgp as openpgp;

use crate::domain::facts::letter::{Failure, Signature, Signed};
use crate::domain::facts::names::{Digest, Moment};
use crate::edge::pgp::armor;
use crate::edge::pgp::certificate::{Certificate, fingerprint_of};
use crate::edge::pgp::directory::Known;
use crate::edge::pgp::keyring::Keyring;
use crate::edge::pgp::policy::{policy, time_to_verify};
use crate::edge::pgp::seen::without_unreadable_keys;

/// Certificates that came along with a mail, besides the known ones.
struct Also<'a> {
    known: &'a dyn Known,
    more: &'a [Certificate],
}

impl Also<'_> {
    fn certificates(&self, id: &KeyHandle) -> Vec<Cert> {
        let known = self.known.certificates(id);
        // What came along with the mail is asked only about keys that are pinned for nobody: neither is a
        // copy of a pinned certificate the pinned one, nor may another one claim its keys.
        if known.iter().any(|cert| self.known.is_pinned(&cert.fingerprint())) {
            return known.into_iter().map(|cert| cert.0).collect();
        }
        let more = self.more.iter().filter(|cert| cert.answers_to(id)).cloned();
        known.into_iter().chain(more).map(|cert| cert.0).collect()
    }
}

/// What opening an OpenPGP message gave.
#[derive(Debug)]
pub struct Opened {
    /// The content, to the last byte, with its integrity known.
    pub content: Vec<u8>,
    /// The signature over it.
    pub signature: Signature,
    /// A keyed hash of the session key.
    pub session: Digest,
    /// Which of the certificates that came along made the signature.
    pub signer: Option<Certificate>,
    /// The signature that holds: over the content, as a detached one would be.
    pub proof: Option<HoldingSignature>,
}

/// A signature that holds, for whoever wants to show it to another program.
#[derive(Debug)]
pub struct HoldingSignature(SignaturePacket);

/// How much may come out of one message, and how many keys are tried.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of content.
    pub content_max: u64,
    /// Times the size of the message that the content may be: a decompression bomb has thousands.
    pub ratio_max: u64,
}

/// The most packets with an encrypted session key that are looked at.
const SESSION_KEYS_MAX: usize = 128;
/// The most of those that hide their recipient and are tried with each of our keys.
const HIDDEN_MAX: usize = 8;

struct Helper<'a> {
    keyring: Option<&'a Keyring>,
    also: Also<'a>,
    names_us: Vec<openpgp::Fingerprint>,
    session: Option<Digest>,
    signature: Signature,
    signer: Option<Cert>,
    proof: Option<SignaturePacket>,
    to_us: bool,
    /// Whether a session key is encrypted to some key; not known before the message is read.
    any_recipient: Option<bool>,
}

impl<'a> Helper<'a> {
    fn new(keyring: Option<&'a Keyring>, also: Also<'a>) -> Self {
        let names_us = keyring.iter().flat_map(|ring| ring.all().map(Cert::fingerprint)).collect();
        Self {
            keyring,
            also,
            names_us,
            session: None,
            signature: Signature::None,
            signer: None,
            proof: None,
            to_us: false,
            any_recipient: None,
        }
    }

    /// What a group of signatures over the same bytes comes to.
    fn judge(&mut self, results: Vec<VerificationResult<'_>>) {
        let mut good: Vec<(Signed, Cert, SignaturePacket)> = Vec::new();
        let (mut unknown, mut invalid) = (false, false);
        let mut unsupported = None;
        for result in results {
            match result {
                Ok(GoodChecksum { sig, ka, .. }) => {
                    let cert = ka.cert();
                    match self.signed(sig, cert) {
                        Some(signed) => {
                            if !good
                                .iter()
                                .any(|(known, ..)| known.fingerprint == signed.fingerprint)
                            {
                                good.push((signed, cert.clone(), sig.clone()));
                            }
                        }
                        None => invalid = true,
                    }
                }
                Err(error) => match (kind_not_known(&error), error) {
                    (Some(kind), _) => unsupported = Some(kind),
                    (None, VerificationError::MissingKey { .. }) => unknown = true,
                    (None, _) => invalid = true,
                },
            }
        }
        // Of several signers exactly one pinned person may speak; among strangers nobody does. Two
        // keys of one person are one person.
        let mut pinned: Vec<_> = good
            .iter()
            .filter(|(signed, ..)| self.also.known.is_pinned(&signed.fingerprint))
            .cloned()
            .collect();
        pinned.dedup_by_key(|(signed, ..)| {
            self.also.known.owner(&signed.fingerprint).map(ToOwned::to_owned)
        });
        let speaks = match (pinned.as_slice(), good.as_slice()) {
            ([one], _) => Some(one.clone()),
            ([], [one]) if !invalid => Some(one.clone()),
            _ => None,
        };
        self.signature = match speaks {
            Some((signed, cert, proof)) => {
                self.signer = Some(cert);
                self.proof = Some(proof);
                Signature::Valid(signed)
            }
            None if good.len() > 1 => Signature::Several,
            None if invalid => Signature::Invalid,
            None => match unsupported {
                Some(kind) => Signature::Unsupported(kind),
                None if unknown => Signature::UnknownKey,
                None => Signature::None,
            },
        };
    }

    fn signed(&self, sig: &SignaturePacket, cert: &Cert) -> Option<Signed> {
        let hash = sig.computed_digest()?;
        let made = sig.signature_creation_time()?;
        let mut names_us = false;
        let mut names_others = false;
        for recipient in sig.intended_recipients() {
            let us = self.names_us.contains(recipient);
            names_us |= us;
            names_others |= !us;
        }
        // Signed for somebody else and brought to us by whoever got it.
        if names_others && !names_us && self.keyring.is_some() {
            return None;
        }
        Some(Signed {
            fingerprint: fingerprint_of(cert),
            made: Moment::from(made),
            hash: Digest::of(hash),
            names_us,
        })
    }
}

impl VerificationHelper for &mut Helper<'_> {
    fn get_certs(&mut self, ids: &[KeyHandle]) -> openpgp::Result<Vec<Cert>> {
        Ok(ids.iter().take(32).flat_map(|id| self.also.certificates(id)).collect())
    }

    fn check(&mut self, structure: MessageStructure<'_>) -> openpgp::Result<()> {
        // enc( [compressed] signed( literal ) ), each at most once and in this order. Anything
        // else is refused whole: what is nested deeper could be read two ways.
        let mut step = 0;
        for layer in structure {
            let this = match layer {
                MessageLayer::Encryption { .. } => 1,
                MessageLayer::Compression { .. } => 2,
                MessageLayer::SignatureGroup { results } => {
                    self.judge(results);
                    3
                }
            };
            // Compression inside the signature is what no program makes.
            if this <= step {
                return Err(openpgp::anyhow::anyhow!("nested layers"));
            }
            step = this;
        }
        Ok(())
    }
}

impl DecryptionHelper for &mut Helper<'_> {
    fn decrypt(
        &mut self,
        pkesks: &[PKESK],
        skesks: &[SKESK],
        sym_algo: Option<SymmetricAlgorithm>,
        decrypt: &mut dyn FnMut(Option<SymmetricAlgorithm>, &SessionKey) -> bool,
    ) -> openpgp::Result<Option<Cert>> {
        self.any_recipient = Some(!pkesks.is_empty() || skesks.is_empty());
        let Some(keyring) = self.keyring else {
            return Err(openpgp::anyhow::anyhow!("no key"));
        };
        let mut hidden = 0;
        for pkesk in pkesks.iter().take(SESSION_KEYS_MAX) {
            let recipient = pkesk.recipient();
            if recipient.is_none() {
                // Whether it is to us only our secret key can tell, so nobody is told.
                self.to_us = true;
                hidden += 1;
                if hidden > HIDDEN_MAX {
                    continue;
                }
            }
            for cert in keyring.all() {
                for key in cert.keys().unencrypted_secret() {
                    let named =
                        recipient.as_ref().is_some_and(|id| key.key().key_handle().aliases(id));
                    if recipient.is_some() && !named {
                        continue;
                    }
                    self.to_us |= named;
                    let Ok(mut pair) = key.key().clone().into_keypair() else { continue };
                    let Some((algo, session)) = pkesk.decrypt(&mut pair, sym_algo) else {
                        continue;
                    };
                    if decrypt(algo, &session) {
                        let digest = Digest::of_parts(&[&keyring.session_salt, &session]);
                        self.session = Some(digest);
                        self.to_us = true;
                        return Ok(Some(cert.clone()));
                    }
                }
            }
        }
        Err(openpgp::anyhow::anyhow!("no session key"))
    }
}

/// Opens an encrypted OpenPGP message, armored or not.
///
/// # Errors
/// One word for whatever went wrong inside; only what anyone can see (to whom it is encrypted) is
/// told apart.
pub fn open(
    keyring: &Keyring,
    known: &dyn Known,
    more: &[Certificate],
    message: &[u8],
    at: Moment,
    limits: Limits,
) -> Result<Opened, Failure> {
    let tried = open_as_it_is(keyring, known, more, message, at, limits);
    // Only where it did not open, since taking keys out of it reads all of it once more.
    match (&tried, tried.is_err().then(|| without_unreadable_keys(message))) {
        (Err(_), Some(Cow::Owned(clean))) => {
            open_as_it_is(keyring, known, more, &clean, at, limits)
        }
        _ => tried,
    }
}

fn open_as_it_is(
    keyring: &Keyring,
    known: &dyn Known,
    more: &[Certificate],
    message: &[u8],
    at: Moment,
    limits: Limits,
) -> Result<Opened, Failure> {
    let mut helper = Helper::new(Some(keyring), Also { known, more });
    let binary = armor::read(message);
    let content = read_encrypted(&mut helper, binary.as_deref().unwrap_or(message), at, limits);
    drop(binary);
    match (content, helper.session) {
        (Some(content), Some(session)) => Ok(Opened {
            content,
            signature: helper.signature,
            session,
            proof: helper.proof.map(HoldingSignature),
            signer: helper.signer.map(Certificate),
        }),
        _ if helper.any_recipient == Some(false) => Err(Failure::PasswordOnly),
        _ if helper.any_recipient == Some(true) && helper.session.is_none() && !helper.to_us => {
            Err(Failure::NotToUs)
        }
        _ => Err(Failure::CannotDecrypt),
    }
}

/// Why a message that is for us was not opened, as far as its sender's program is to blame: for the team,
/// who can pass it on, and for no outsider.
#[must_use]
pub fn reason(keyring: &Keyring, message: &[u8]) -> Option<String> {
    let message = without_unreadable_keys(message);
    let parser = PacketParserBuilder::from_bytes(message.as_ref());
    let mut next = parser.and_then(|b| b.max_recursion_depth(0).build()).ok();
    let mut cipher = None;
    for _ in 0..SESSION_KEYS_MAX {
        let Some(PacketParserResult::Some(here)) = next else { break };
        if let Packet::PKESK(pkesk) = &here.packet {
            let ours = keyring.all().flat_map(|cert| cert.keys().unencrypted_secret());
            let to = pkesk.recipient();
            let ours =
                ours.filter(|key| to.as_ref().is_none_or(|id| key.key().key_handle().aliases(id)));
            for key in ours {
                let kind = pkesk.pk_algo();
                if !kind.is_supported() {
                    return Some(format!(
                        "it is sealed with {kind}, which is not accepted any more"
                    ));
                }
                let Ok(mut pair) = key.key().clone().into_keypair() else { continue };
                cipher =
                    cipher.or_else(|| pkesk.decrypt(&mut pair, None).and_then(|(algo, _)| algo));
            }
        }
        let tag = here.packet.tag();
        if tag == Tag::SED {
            let why = "nothing shows whether it was changed on the way (no integrity protection)";
            return Some(why.to_owned());
        }
        if tag == Tag::SEIP {
            break;
        }
        next = here.next().ok().map(|(_, next)| next);
    }
    let cipher = cipher.filter(|cipher| policy().symmetric_algorithm(*cipher).is_err())?;
    Some(format!("its cipher is {cipher}, which is not accepted any more"))
}

impl HoldingSignature {
    /// As a detached signature that any OpenPGP program reads.
    #[must_use]
    pub fn armored(&self) -> Option<Vec<u8>> {
        use openpgp::serialize::Marshal;
        let mut out = Vec::new();
        let kind = openpgp::armor::Kind::Signature;
        let mut writer = openpgp::armor::Writer::new(&mut out, kind).ok()?;
        Packet::from(self.0.clone()).serialize(&mut writer).ok()?;
        writer.finalize().ok()?;
        Some(out)
    }
}

fn read_encrypted(
    helper: &mut Helper<'_>,
    message: &[u8],
    at: Moment,
    limits: Limits,
) -> Option<Vec<u8>> {
    let policy = policy();
    let decryptor = DecryptorBuilder::from_bytes(message)
        .ok()?
        // The library's own buffer is for those who stream. We read to the end and throw all of
        // it away on any error, so the smaller one, which is faster for small mails, is enough.
        .buffer_size(64 * 1024)
        .with_policy(&policy, time_to_verify(at), helper);
    read_to_end(decryptor.ok()?, message.len(), limits)
}

fn read_to_end(reader: impl Read, size: usize, limits: Limits) -> Option<Vec<u8>> {
    let by_ratio = u64::try_from(size).unwrap_or(u64::MAX).saturating_mul(limits.ratio_max);
    // Small messages compress well without being bombs.
    let max = limits.content_max.min(by_ratio.max(1024 * 1024));
    // What is not written to takes no memory; growing by doubling would.
    let likely = size.saturating_add(4_096).min(usize::try_from(max).unwrap_or(usize::MAX));
    let mut content = Vec::with_capacity(likely);
    // Piece by piece: the library keeps as much ready as it is asked for.
    let (mut reader, mut read) = (reader.take(max.saturating_add(1)), 0_usize);
    let mut piece = vec![0; 64 * 1024];
    loop {
        let count = reader.read(&mut piece).ok()?;
        if count == 0 {
            break;
        }
        content.extend_from_slice(piece.get(..count)?);
        read = read.saturating_add(count);
    }
    (u64::try_from(read).unwrap_or(u64::MAX) <= max).then_some(content)
}

/// Checks a detached signature over the exact bytes of a MIME entity.
#[must_use]
pub fn verify_detached(
    keyring: Option<&Keyring>,
    known: &dyn Known,
    more: &[Certificate],
    entity: &[u8],
    signature: &[u8],
    at: Moment,
) -> (Signature, Option<Certificate>) {
    let mut helper = Helper::new(keyring, Also { known, more });
    let policy = policy();
    let done = DetachedVerifierBuilder::from_bytes(signature)
        .and_then(|builder| builder.with_policy(&policy, time_to_verify(at), &mut helper))
        .and_then(|mut verifier| verifier.verify_bytes(entity))
        .is_ok();
    finish(done, helper)
}

/// Checks a clear-signed (or an unencrypted, signed) inline message and gives its content.
#[must_use]
pub fn verify_inline(
    keyring: Option<&Keyring>,
    known: &dyn Known,
    message: &[u8],
    at: Moment,
    limits: Limits,
) -> Option<(Vec<u8>, Signature, Option<Certificate>)> {
    let mut helper = Helper::new(keyring, Also { known, more: &[] });
    let policy = policy();
    let verifier = VerifierBuilder::from_bytes(message)
        .ok()?
        .with_policy(&policy, time_to_verify(at), &mut helper)
        .ok()?;
    let content = read_to_end(verifier, message.len(), limits)?;
    let (signature, signer) = finish(true, helper);
    Some((content, signature, signer))
}

/// The algorithm of a signature that cannot be checked here, whoever made it: a key of the future says nothing
/// bad of its mail.
fn kind_not_known(error: &VerificationError<'_>) -> Option<String> {
    let kind = match error {
        VerificationError::MissingKey { sig }
        | VerificationError::UnboundKey { sig, .. }
        | VerificationError::BadKey { sig, .. }
        | VerificationError::BadSignature { sig, .. }
        | VerificationError::MalformedSignature { sig, .. } => sig.pk_algo(),
        // What the library does not take apart (RFC 9580, 5.2.3: version, type, algorithm).
        VerificationError::UnknownSignature { sig } => match sig.body() {
            [4 | 6, _, kind, ..] => PublicKeyAlgorithm::from(*kind),
            [version, ..] => return Some(format!("a signature of version {version}")),
            [] => return None,
        },
        _ => return None,
    };
    (!kind.is_supported()).then(|| kind.to_string())
}

fn finish(done: bool, helper: Helper<'_>) -> (Signature, Option<Certificate>) {
    match (done, helper.signature) {
        // A signature that did not verify leaves an error behind; it says what it was.
        (false, Signature::None | Signature::Valid(_)) => (Signature::Invalid, None),
        (_, signature) => (signature, helper.signer.map(Certificate)),
    }
}

/// How much may come out of one mail, for the desk and for everything else that opens mails.
pub const LIMITS: Limits = Limits { content_max: 64 * 1024 * 1024, ratio_max: 200 };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::pgp::{Directory, generate};

    /// Where the body of the first packet begins.
    fn framed_at(packet: &[u8]) -> usize {
        match packet[1] {
            0..=191 => 2,
            192..=223 => 3,
            _ => 6,
        }
    }

    /// What a sender's program made of somebody else's key closes nothing that is for us.
    #[test]
    fn a_key_of_others_that_cannot_be_read_closes_nothing() {
        let at: Moment = "2026-03-02T09:00:00Z".parse().unwrap();
        let made = |name: &str| {
            let (secret, _) = generate(name, &format!("{name}@x.test"), None, None, at).unwrap();
            Keyring::open(&[secret], None, [0; 32], at).unwrap()
        };
        let (desk, rita) = (made("desk"), made("rita"));
        let sealed = rita.seal(&desk.certificate(), b"It overflows.", at).unwrap();
        let mut binary = Vec::new();
        let mut reader = openpgp::armor::Reader::from_bytes(&sealed, None);
        reader.read_to_end(&mut binary).unwrap();
        let known = Directory::default();
        let opens = |message: &[u8]| {
            open(&desk, &known, &[], message, at, LIMITS).map(|opened| opened.content)
        };
        assert_eq!(opens(&sealed), Ok(b"It overflows.".to_vec()));
        // Session keys of an unknown version, of an unknown kind, and with nothing in them.
        for foreign in [
            [0xc1, 3, 9, 9, 9].as_slice(),
            &[0xc1, 12, 3, 1, 2, 3, 4, 5, 6, 7, 8, 99, 1, 2],
            &[0xc1, 10, 3, 1, 2, 3, 4, 5, 6, 7, 8, 1],
            &[0x84, 1, 3],
        ] {
            let message = [foreign, &binary].concat();
            assert_eq!(opens(&message), Ok(b"It overflows.".to_vec()), "{foreign:?}");
        }
        // A signature of a kind that is not known here, of somebody pinned or of a stranger.
        let armored = rita.sign(b"It overflows.", at).unwrap();
        let mut signature = Vec::new();
        let mut reader = openpgp::armor::Reader::from_bytes(&armored, None);
        reader.read_to_end(&mut signature).unwrap();
        let body = framed_at(&signature);
        let mut pinned = Directory::default();
        pinned.pin(rita.certificate(), "rita");
        let is = |known: &Directory, signature: &[u8]| {
            verify_detached(None, known, &[], b"It overflows.", signature, at).0
        };
        assert!(matches!(is(&pinned, &signature), Signature::Valid(_)));
        signature[body.saturating_add(2)] = 99;
        for known in [&known, &pinned] {
            let signature = is(known, &signature);
            let named = matches!(&signature, Signature::Unsupported(kind) if kind.contains("99"));
            assert!(named, "{signature:?}");
        }
        // Damage elsewhere stays damage.
        let last = binary.len().saturating_sub(3);
        binary.truncate(last);
        assert!(opens(&binary).is_err());
    }
}
