//! Opening and sealing with OpenPGP: the desk's keyring, and the certificates that it knows.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::domain::facts::key::KeyFacts;
use crate::domain::facts::letter::{Attachment, Letter};
use crate::domain::facts::names::{Fingerprint, Moment};
use crate::domain::facts::settings::Settings;
use crate::edge::compose::Sender;
use crate::edge::contained::contained;
use crate::edge::opening::Opener;
use crate::edge::pgp::{Certificate, Directory, Form, Keyring, LIMITS};
use crate::edge::{compose, pool};
use crate::error::Fault;
use crate::ports::store::{RawMail, Sealed, Spool};
use crate::ports::vault::{Encoded, Job, Pin, Unsealed, Vault};

/// What is said of a key at which the library panics.
const STOPS: &str = "the OpenPGP library cannot work with this certificate";

/// A desk's keys.
#[derive(Debug)]
pub(super) struct OpenPgp {
    keyring: Keyring,
    /// The certificate of its present key, and what it is called.
    own: Certificate,
    fingerprint: Fingerprint,
    directory: Directory,
    sender: Sender,
}

impl OpenPgp {
    /// With the desk's secret keys, and nobody's certificates yet.
    #[must_use]
    pub(super) fn new(keyring: Keyring, sender: Sender) -> Self {
        let own = keyring.certificate();
        let fingerprint = own.fingerprint();
        Self { keyring, own, fingerprint, directory: Directory::default(), sender }
    }

    fn opener<'a>(&'a self, settings: &'a Settings) -> Opener<'a> {
        let (keyring, known) = (&self.keyring, &self.directory);
        Opener { keyring, known, settings: Some(settings), limits: LIMITS }
    }

    /// The certificate that a mail is sealed to; read anew only where it is not in memory.
    fn certificate(&self, job: &Job<'_>) -> Option<Cow<'_, Certificate>> {
        let fingerprint = job.mail.key.as_ref()?;
        let own = (*fingerprint == self.fingerprint).then_some(&self.own);
        let known = own.or_else(|| self.directory.get(fingerprint)).map(Cow::Borrowed);
        let read = || Certificate::read(job.certificate.as_ref()?.as_bytes()).ok();
        known.or_else(|| read().map(Cow::Owned))
    }
}

impl Vault for OpenPgp {
    fn open(&self, mails: &[&RawMail], settings: &Settings) -> Vec<Letter> {
        let opener = self.opener(settings);
        pool::map(mails, |mail| opener.open(mail))
    }

    fn whole(&self, mail: &RawMail, settings: &Settings) -> Letter {
        self.opener(settings).whole(mail)
    }

    fn seal(
        &self,
        jobs: &[Job<'_>],
        spool: &dyn Spool,
        now: Moment,
    ) -> Vec<Result<Sealed, Unsealed>> {
        pool::map(jobs, |job| {
            let form = if job.newer { Form::Newer } else { Form::Usual };
            let certificate = self.certificate(job);
            let to = certificate.as_deref().map(|certificate| (certificate, form));
            let (keyring, sender) = (&self.keyring, &self.sender);
            let made = contained(|| {
                compose::make(keyring, sender, job.mail, &job.written, &job.parts, to, (now, spool))
            });
            made.unwrap_or_else(|| Err(Unsealed::Key(STOPS.to_owned())))
        })
    }

    fn encoded(&self, attachment: &Attachment) -> Result<Encoded, Fault> {
        compose::encoded(attachment)
    }

    fn pin(&mut self, pins: &[Pin], now: Moment) -> Vec<Result<KeyFacts, String>> {
        let read = pool::map(pins, |pin| {
            let read = contained(|| {
                let certificate = Certificate::read(pin.certificate.as_bytes())?;
                let revoked = Certificate::read(pin.revocation.as_bytes()).ok();
                let merged = revoked.and_then(|revoked| certificate.merged(&revoked));
                let certificate = merged.unwrap_or(certificate);
                let facts = certificate.facts(now);
                Ok::<_, String>((certificate, facts))
            });
            read.unwrap_or_else(|| Err(STOPS.to_owned()))
        });
        let mut said = Vec::new();
        for (pin, read) in pins.iter().zip(read) {
            said.push(read.map(|(certificate, facts)| {
                self.directory.pin(certificate, &pin.owner);
                facts
            }));
        }
        said
    }

    fn keep_pinned(&mut self, pinned: &BTreeSet<Fingerprint>) {
        self.directory.keep_pinned(pinned);
    }

    fn meet(&mut self, texts: &[&str]) {
        let read = pool::map(texts, |text| {
            contained(|| Certificate::read(text.as_bytes()).ok()).flatten()
        });
        for (text, certificate) in texts.iter().zip(read) {
            if let Some(certificate) = certificate {
                self.directory.meet(certificate, text.len());
            }
        }
    }

    fn knows(&self, key: &Fingerprint) -> bool {
        *key == self.fingerprint || self.directory.get(key).is_some()
    }

    fn own(&self, now: Moment) -> (Fingerprint, KeyFacts) {
        // It is looked at for its end only, and that of the key that signs is one as well.
        let mut facts = self.own.facts(now);
        facts.subkeys.extend(self.own.signing(now));
        (self.fingerprint.clone(), facts)
    }
}
