//! The OpenPGP library alone, as its documentation shows it: what the desk's work is held against.

use openpgp::crypto::{KeyPair, SessionKey};
use openpgp::packet::{PKESK, SKESK};
use openpgp::parse::Parse;
use openpgp::parse::stream::{
    DecryptionHelper, DecryptorBuilder, MessageStructure, VerificationHelper,
};
use openpgp::policy::StandardPolicy;
use openpgp::serialize::stream::{
    Armorer, Encryptor, LiteralWriter, Message, Recipient as To, Signer,
};
use openpgp::types::SymmetricAlgorithm;
use openpgp::{Cert, KeyHandle};
use sequoia_openpgp as openpgp;

/// Somebody who opens and seals with it.
pub(crate) struct Bare {
    own: Cert,
    pair: KeyPair,
    signer: KeyPair,
    pub(crate) other: Cert,
}

impl VerificationHelper for &Bare {
    fn get_certs(&mut self, _: &[KeyHandle]) -> openpgp::Result<Vec<Cert>> {
        Ok(vec![self.other.clone()])
    }
    fn check(&mut self, _: MessageStructure<'_>) -> openpgp::Result<()> {
        Ok(())
    }
}

impl DecryptionHelper for &Bare {
    fn decrypt(
        &mut self,
        pkesks: &[PKESK],
        _: &[SKESK],
        algo: Option<SymmetricAlgorithm>,
        decrypt: &mut dyn FnMut(Option<SymmetricAlgorithm>, &SessionKey) -> bool,
    ) -> openpgp::Result<Option<Cert>> {
        for pkesk in pkesks {
            let mut pair = self.pair.clone();
            if let Some((algo, key)) = pkesk.decrypt(&mut pair, algo)
                && decrypt(algo, &key)
            {
                return Ok(Some(self.own.clone()));
            }
        }
        Err(openpgp::anyhow::anyhow!("no key"))
    }
}

impl Bare {
    /// With a secret key of its own, and somebody else's certificate.
    pub(crate) fn new(own: &[u8], other: &[u8]) -> Self {
        let own = Cert::from_bytes(own).unwrap();
        let policy = StandardPolicy::new();
        let valid = own.with_policy(&policy, None).unwrap();
        let opens = valid.keys().for_transport_encryption().unencrypted_secret().next().unwrap();
        let signs = valid.keys().for_signing().unencrypted_secret().next().unwrap();
        let pair = opens.key().clone().into_keypair().unwrap();
        let signer = signs.key().clone().into_keypair().unwrap();
        Self { own: own.clone(), pair, signer, other: Cert::from_bytes(other).unwrap() }
    }

    pub(crate) fn open(&self, message: &[u8]) -> usize {
        let policy = StandardPolicy::new();
        let mut out = Vec::new();
        let builder = DecryptorBuilder::from_bytes(message).unwrap().buffer_size(64 * 1024);
        let mut reader = builder.with_policy(&policy, None, self).unwrap();
        std::io::Read::read_to_end(&mut reader, &mut out).unwrap();
        out.len()
    }

    /// Signs and encrypts to one, armored.
    pub(crate) fn seal(&self, to: &Cert, content: &[u8], newer: bool) -> Vec<u8> {
        let policy = StandardPolicy::new();
        let valid = to.with_policy(&policy, None).unwrap();
        let keys = valid.keys().supported().alive().revoked(false).for_transport_encryption();
        let features = if newer {
            openpgp::types::Features::sequoia()
        } else {
            openpgp::types::Features::empty().set_seipdv1()
        };
        let keys: Vec<To<'_>> =
            keys.map(|key| To::new(features.clone(), key.key().key_handle(), key.key())).collect();
        let mut out = Vec::with_capacity(content.len() * 3 / 2 + 2_048);
        let message = Armorer::new(Message::new(&mut out)).build().unwrap();
        let message = Encryptor::for_recipients(message, keys).build().unwrap();
        let message = Signer::new(message, self.signer.clone()).unwrap().build().unwrap();
        let mut message = LiteralWriter::new(message).build().unwrap();
        std::io::Write::write_all(&mut message, content).unwrap();
        message.finalize().unwrap();
        out
    }
}
