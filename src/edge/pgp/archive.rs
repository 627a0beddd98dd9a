//! Sealing what is too large to hold: an archive that is written once, to several people's keys, and read again
//! piece by piece.
//!
//! Nothing of it is signed: what it holds says itself who made it, since whoever opens it by hand passes on
//! what is inside alone.

use std::fmt;
use std::io::{Read, Write};

use openpgp::crypto::SessionKey;
use openpgp::packet::{PKESK, SKESK};
use openpgp::parse::Parse;
use openpgp::parse::stream::{
    DecryptionHelper, DecryptorBuilder, MessageStructure, VerificationHelper,
};
use openpgp::serialize::stream::{Encryptor, LiteralWriter, Message};
use openpgp::types::SymmetricAlgorithm;
use openpgp::{Cert, KeyHandle};
use sequoia_openpgp as openpgp;

use crate::domain::facts::names::Moment;
use crate::edge::pgp::certificate::recipient_key;
use crate::edge::pgp::keyring::Keyring;
use crate::edge::pgp::policy::{policy, root_cause, time_of};
use crate::edge::pgp::{Certificate, Form};
use crate::edge::random;

/// What opens one archive: known to whoever has just written it, so that it can be read back.
pub struct ArchiveKey(SessionKey);

impl fmt::Debug for ArchiveKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ArchiveKey")
    }
}

/// Seals what is written to several keys, in the form that every OpenPGP program opens.
///
/// # Errors
/// Why one of the keys cannot be sealed to, or what `write` says; what was written then is to be thrown away.
pub fn seal_archive(
    to: &[Certificate],
    at: Moment,
    sink: &mut (dyn Write + Send + Sync),
    write: impl FnOnce(&mut dyn Write) -> Result<(), String>,
) -> Result<ArchiveKey, String> {
    let text = |error: openpgp::anyhow::Error| root_cause(&error);
    let policy = policy();
    let keys: Result<Vec<_>, String> = to
        .iter()
        .map(|certificate| {
            let key = recipient_key(&certificate.0, &policy, Form::Usual, at);
            key.map_err(|why| format!("{}: {why}", certificate.fingerprint()))
        })
        .collect();
    let session = SessionKey::from(random::<32>().map_err(|fault| fault.what)?.to_vec());
    let message = Message::new(sink);
    let message = Encryptor::with_session_key(message, SymmetricAlgorithm::AES256, session.clone())
        .map_err(text)?
        .add_recipients(keys?)
        .build()
        .map_err(text)?;
    let mut message = LiteralWriter::new(message).build().map_err(text)?;
    write(&mut message)?;
    message.finalize().map_err(text)?;
    Ok(ArchiveKey(session))
}

/// What opens an archive.
pub enum Opener<'a> {
    /// Somebody's secret key.
    Key(&'a Keyring),
    /// The archive's own.
    Own(&'a ArchiveKey),
}

impl fmt::Debug for Opener<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener")
    }
}

struct Helper<'a>(Opener<'a>);

impl VerificationHelper for Helper<'_> {
    fn get_certs(&mut self, _: &[KeyHandle]) -> openpgp::Result<Vec<Cert>> {
        Ok(Vec::new())
    }

    fn check(&mut self, _: MessageStructure<'_>) -> openpgp::Result<()> {
        Ok(())
    }
}

impl DecryptionHelper for Helper<'_> {
    fn decrypt(
        &mut self,
        pkesks: &[PKESK],
        _: &[SKESK],
        sym_algo: Option<SymmetricAlgorithm>,
        decrypt: &mut dyn FnMut(Option<SymmetricAlgorithm>, &SessionKey) -> bool,
    ) -> openpgp::Result<Option<Cert>> {
        let ring = match &self.0 {
            Opener::Own(ArchiveKey(session)) => {
                return if decrypt(Some(SymmetricAlgorithm::AES256), session) {
                    Ok(None)
                } else {
                    Err(openpgp::anyhow::anyhow!("it is another archive"))
                };
            }
            Opener::Key(ring) => ring,
        };
        for pkesk in pkesks {
            for cert in ring.all() {
                for key in cert.keys().unencrypted_secret() {
                    let handle = key.key().key_handle();
                    let is_named = pkesk.recipient().is_none_or(|id| handle.aliases(&id));
                    let Ok(mut pair) = key.key().clone().into_keypair() else { continue };
                    let session = is_named.then(|| pkesk.decrypt(&mut pair, sym_algo)).flatten();
                    if session.is_some_and(|(algo, session)| decrypt(algo, &session)) {
                        return Ok(Some(cert.clone()));
                    }
                }
            }
        }
        Err(openpgp::anyhow::anyhow!("it is not sealed to this key"))
    }
}

/// Reads a sealed archive from its beginning to its end. Only at its end it is known that nothing was changed:
/// whoever reads keeps nothing before `read` has come back.
///
/// # Errors
/// Why it does not open or is not whole, or what `read` says.
pub fn open_archive<T>(
    opener: Opener<'_>,
    sealed: impl Read + Send + Sync,
    at: Moment,
    read: impl FnOnce(&mut dyn Read) -> Result<T, String>,
) -> Result<T, String> {
    let text = |error: openpgp::anyhow::Error| root_cause(&error);
    let policy = policy();
    let builder = DecryptorBuilder::from_reader(sealed).map_err(text)?;
    let mut content =
        builder.with_policy(&policy, Some(time_of(at)), Helper(opener)).map_err(text)?;
    let done = read(&mut content)?;
    // What stands behind the archive, and the code over all of it.
    std::io::copy(&mut content, &mut std::io::sink()).map_err(|error| error.to_string())?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::pgp::{Passphrase, generate_for_gnupg};

    fn now() -> Moment {
        "2026-11-27T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn an_archive_opens_for_each_of_its_readers_and_not_when_it_was_changed() {
        let secret = |who: &str| generate_for_gnupg(who, "who@team.example", now()).unwrap();
        let (mia, tom, eve) = (secret("Mia"), secret("Tom"), secret("Eve"));
        let ring =
            |secret: &[u8]| Keyring::for_looking(&[secret.to_vec()], None::<&Passphrase>).unwrap();
        let to = [Certificate::read(&mia).unwrap(), Certificate::read(&tom).unwrap()];
        let content: Vec<u8> = (0_u8..=250).cycle().take(300_000).collect();
        let mut sealed = Vec::new();
        let write = |sink: &mut dyn Write| {
            content
                .chunks(1000)
                .try_for_each(|piece| sink.write_all(piece).map_err(|error| error.to_string()))
        };
        let own = seal_archive(&to, now(), &mut sealed, write).unwrap();
        let all = |content: &mut dyn Read| {
            let mut out = Vec::new();
            content.read_to_end(&mut out).map_err(|error| error.to_string())?;
            Ok(out)
        };
        for secret in [&mia, &tom] {
            let read = open_archive(Opener::Key(&ring(secret)), &*sealed, now(), all).unwrap();
            assert_eq!(read, content);
        }
        assert_eq!(open_archive(Opener::Own(&own), &*sealed, now(), all).unwrap(), content);
        assert!(open_archive(Opener::Key(&ring(&eve)), &*sealed, now(), all).is_err());
        for at in [sealed.len() / 2, sealed.len() - 3] {
            let mut wrong = sealed.clone();
            wrong[at] ^= 1;
            assert!(open_archive(Opener::Own(&own), &*wrong, now(), all).is_err(), "at {at}");
        }
        let cut = &sealed[..sealed.len() - 30];
        assert!(open_archive(Opener::Own(&own), cut, now(), all).is_err());
        assert!(!sealed.windows(40).any(|window| content.starts_with(window)));
    }
}
