//! Opening and sealing without any arithmetic: a mail is what it says that it is.
//!
//! Whoever plays with these cannot break a seal, so nothing is lost for what is asked here: to whom a mail was
//! sealed, by which key one is signed, and whether what is inside would have been seen. The real vault is in its
//! place in one history of so many: see `real.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use embargod::domain::facts::foreign::Foreign;
use embargod::domain::facts::key::{KeyFacts, Subkey};
use embargod::domain::facts::letter::{
    Attachment, DeliveryReport, Failure, Fate, Letter, Protection, Signature, Signed, Verdict,
};
use embargod::domain::facts::names::{Address, Digest, Fingerprint, MessageId, Moment};
use embargod::domain::facts::outer_view::{Ciphertext, FoundKey, KeyRank, Place, Shape};
use embargod::domain::facts::settings::Settings;
use embargod::error::Fault;
use embargod::ports::store::{Kept, RawMail, Sealed, Spool};
use embargod::ports::vault::{Encoded, Job, Pin, Unsealed, Vault};
use serde::{Deserialize, Serialize};

/// A mail to the desk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Inbound {
    pub(crate) id: String,
    pub(crate) from: String,
    pub(crate) text: String,
    pub(crate) sealed: bool,
    /// The key that signed it, and when.
    pub(crate) signer: Option<(String, Moment)>,
    /// Makes its signature its own; the same once more is the same signed mail.
    pub(crate) drawn: u64,
    /// And its session key: another one is another seal around the same.
    pub(crate) session: u64,
    /// It is sealed to us, and does not open.
    pub(crate) damaged: bool,
    /// The certificate that lies in it.
    pub(crate) key: Option<String>,
    /// Whether that lies beside what is sealed, where anybody could have put it.
    pub(crate) beside: bool,
    /// Whether a machine sent it by itself.
    pub(crate) automatic: bool,
    /// To which return path it came.
    pub(crate) token: Option<String>,
    /// What it reports of the mail that was sent from there.
    pub(crate) fate: Option<Fate>,
    pub(crate) answers: Vec<String>,
}

/// A mail of the desk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outbound {
    pub(crate) id: String,
    pub(crate) to: String,
    /// The key that it is sealed to; in clear without one.
    pub(crate) key: Option<String>,
    pub(crate) subject: String,
    pub(crate) body: String,
    pub(crate) parts: usize,
    pub(crate) sealed_at: Moment,
    /// The mail that it answers.
    pub(crate) answers: Option<String>,
}

/// As it travels: what the desk reads of a mail before it is opened stands in front.
fn on_the_wire(id: &str, report: bool, it: &impl Serialize) -> Vec<u8> {
    let kind =
        if report { "Content-Type: multipart/report; report-type=delivery-status\r\n" } else { "" };
    let mut bytes = format!("Message-ID: <{id}>\r\n{kind}\r\n").into_bytes();
    serde_json::to_writer(&mut bytes, it).unwrap();
    bytes
}

fn off_the_wire<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    let body = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    serde_json::from_slice(&bytes[body..]).ok()
}

impl Inbound {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        on_the_wire(&self.id, self.fate.is_some(), self)
    }
}

impl Outbound {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        off_the_wire(bytes).unwrap()
    }
}

/// A certificate: of which key, of whom, and until when mails can be sealed to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Card {
    pub(crate) fingerprint: String,
    pub(crate) address: String,
    pub(crate) from: Moment,
    pub(crate) until: Option<Moment>,
    pub(crate) revoked: bool,
}

impl Card {
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).unwrap()
    }

    fn read(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|_| "it is no OpenPGP certificate".to_owned())
    }

    fn facts(&self) -> KeyFacts {
        let spans = if self.revoked { Vec::new() } else { vec![(self.from, self.until)] };
        KeyFacts {
            subkeys: vec![Subkey { id: self.fingerprint.clone(), spans }],
            addresses: Address::parse(&self.address).into_iter().collect(),
            name: self.address.clone(),
            revoked: self.revoked,
        }
    }
}

/// The vault.
#[derive(Debug)]
pub(crate) struct Glass {
    own: Card,
    pinned: BTreeMap<Fingerprint, Card>,
    met: BTreeMap<Fingerprint, Card>,
}

fn fingerprint(text: &str) -> Fingerprint {
    Fingerprint::parse(text).unwrap()
}

impl Glass {
    pub(crate) fn new(own: Card) -> Self {
        Self { own, pinned: BTreeMap::new(), met: BTreeMap::new() }
    }

    fn card(&self, key: &Fingerprint) -> Option<&Card> {
        let own = (key.to_string() == self.own.fingerprint).then_some(&self.own);
        own.or_else(|| self.pinned.get(key)).or_else(|| self.met.get(key))
    }

    fn letter(&self, mail: &RawMail) -> Letter {
        let raw = Digest::of(&mail.bytes);
        let blank = Letter {
            received: mail.taken(),
            arrived: mail.arrived,
            server_time: mail.received,
            size: mail.bytes.len(),
            junk: mail.junk,
            ..Letter::blank(raw, mail.received)
        };
        if let Some(ours) = off_the_wire::<Outbound>(&mail.bytes) {
            return self.of_ours(blank, &ours);
        }
        match off_the_wire::<Inbound>(&mail.bytes) {
            Some(said) => self.of_others(blank, &said),
            None => Letter { malformed: true, ..blank },
        }
    }

    /// A mail of the desk that came back to it.
    fn of_ours(&self, mut letter: Letter, mail: &Outbound) -> Letter {
        letter.outer.message_id = MessageId::parse(&mail.id);
        letter.outer.shape = Shape::Automatic;
        let own: Vec<Address> = Address::parse(&self.own.address).into_iter().collect();
        letter.outer.writers.return_path = Some(own.first().cloned());
        letter.outer.writers.from = own;
        letter.subject = Foreign::line(&mail.subject, 200);
        letter.text.clone_from(&mail.body);
        if mail.key.as_deref() == Some(&self.own.fingerprint) {
            letter.verdict.protection = Protection::Both;
            letter.verdict.session = Some(Digest::of(mail.id.as_bytes()));
        }
        letter
    }

    fn of_others(&self, mut letter: Letter, mail: &Inbound) -> Letter {
        let outer = &mut letter.outer;
        outer.message_id = MessageId::parse(&mail.id);
        outer.writers.from = Address::parse(&mail.from).into_iter().collect();
        outer.writers.return_path = Some(outer.writers.from.first().cloned());
        outer.shape = match (mail.fate, mail.automatic) {
            (Some(_), _) => Shape::DeliveryReport,
            (None, true) => Shape::Automatic,
            (None, false) => Shape::Mail,
        };
        letter.answers = mail.answers.iter().filter_map(|id| MessageId::parse(id)).collect();
        outer.answers.clone_from(&letter.answers);
        let session = Digest::of(&mail.session.to_be_bytes());
        if mail.sealed {
            outer.openpgp = Some(session);
            let recipients = vec![self.own.fingerprint.clone()];
            let (hidden, password) = (false, false);
            let place = Place::Whole;
            outer.ciphertexts.push(Ciphertext {
                place,
                recipients,
                hidden,
                password,
                ours: true,
                tried: true,
            });
        }
        letter.report = mail.fate.map(|fate| DeliveryReport { fate, status: "2.0.0".to_owned() });
        letter.return_token.clone_from(&mail.token);
        if mail.damaged {
            letter.verdict.protection = Protection::Encrypted;
            letter.verdict.failure = Some(Failure::CannotDecrypt);
            return letter;
        }
        letter.text.clone_from(&mail.text);
        letter.subject = Foreign::line("Re: ...", 100);
        letter.subject_protected = mail.sealed;
        letter.verdict = self.verdict(mail, session);
        if let Some(card) = mail.key.as_deref().and_then(|text| Card::read(text).ok()) {
            let key = fingerprint(&card.fingerprint);
            let signed = letter.verdict.signed().is_some_and(|by| by.fingerprint == key);
            let rank = match (signed, mail.sealed && !mail.beside) {
                (true, true) => KeyRank::Signer,
                (false, true) => KeyRank::Inside,
                _ => KeyRank::Outside,
            };
            let found = FoundKey { rank, fingerprint: key, certificate: card.text() };
            if rank == KeyRank::Outside {
                letter.outer.keys.push(found.clone());
            }
            letter.keys.push(found);
        }
        letter
    }

    fn verdict(&self, mail: &Inbound, session: Digest) -> Verdict {
        let came = mail.key.as_deref().and_then(|text| Card::read(text).ok());
        let signature = match &mail.signer {
            None => Signature::None,
            Some((key, made)) => {
                let known = self.card(&fingerprint(key)).or(came.as_ref());
                let fits = known.is_some_and(|card| card.fingerprint == *key);
                let hash = Digest::of_parts(&[b"signed", &mail.drawn.to_be_bytes()]);
                let fingerprint = fingerprint(key);
                let signed = Signed { fingerprint, made: *made, hash, names_us: true };
                if fits { Signature::Valid(signed) } else { Signature::UnknownKey }
            }
        };
        let protection = match (mail.sealed, mail.signer.is_some()) {
            (true, true) => Protection::Both,
            (true, false) => Protection::Encrypted,
            (false, true) => Protection::Signed,
            (false, false) => Protection::None,
        };
        let session = mail.sealed.then_some(session);
        Verdict { protection, signature, session, ..Verdict::plain() }
    }

    fn sealed(&self, job: &Job<'_>, now: Moment) -> Result<Sealed, Unsealed> {
        let mail = job.mail;
        let card = match &mail.key {
            None => None,
            Some(key) => {
                let read = job.certificate.as_deref().and_then(|text| Card::read(text).ok());
                let card = self.card(key).cloned().or(read);
                let card = card.ok_or_else(|| Unsealed::Key("there is no key for it".into()))?;
                if !card.facts().is_usable(now) {
                    return Err(Unsealed::Key("the certificate cannot be encrypted to".into()));
                }
                Some(card)
            }
        };
        let outbound = Outbound {
            id: mail.message_id.to_string(),
            to: mail.address.wire(),
            key: card.map(|card| card.fingerprint),
            subject: job.written.subject.clone(),
            body: job.written.body.clone(),
            parts: job.parts.len(),
            sealed_at: now,
            answers: mail.answers.as_ref().map(ToString::to_string),
        };
        let bytes = on_the_wire(&outbound.id, false, &outbound);
        Ok(Sealed {
            message_id: mail.message_id.to_string(),
            label: embargod::domain::outgoing::mail::Label {
                about: mail.about.clone(),
                to: mail.to.clone(),
                purpose: mail.purpose.clone(),
                key: mail.key.clone(),
            },
            // Nobody guesses here; what it must be is one for each mail.
            return_token: Digest::of(mail.message_id.as_str().as_bytes()).to_string(),
            recipient: mail.address.wire(),
            content: Kept::Here(bytes),
            not_before: mail.not_before,
        })
    }
}

impl Vault for Glass {
    fn open(&self, mails: &[&RawMail], _: &Settings) -> Vec<Letter> {
        mails.iter().map(|mail| self.letter(mail)).collect()
    }

    fn whole(&self, mail: &RawMail, _: &Settings) -> Letter {
        self.letter(mail)
    }

    fn seal(&self, jobs: &[Job<'_>], _: &dyn Spool, now: Moment) -> Vec<Result<Sealed, Unsealed>> {
        jobs.iter().map(|job| self.sealed(job, now)).collect()
    }

    fn encoded(&self, attachment: &Attachment) -> Result<Encoded, Fault> {
        Ok(Arc::clone(&attachment.bytes))
    }

    fn pin(&mut self, pins: &[Pin], _: Moment) -> Vec<Result<KeyFacts, String>> {
        let mut said = Vec::new();
        for pin in pins {
            said.push(Card::read(&pin.certificate).map(|mut card| {
                card.revoked |= Card::read(&pin.revocation).is_ok_and(|card| card.revoked);
                let facts = card.facts();
                self.pinned.insert(fingerprint(&card.fingerprint), card);
                facts
            }));
        }
        said
    }

    fn keep_pinned(&mut self, pinned: &BTreeSet<Fingerprint>) {
        self.pinned.retain(|key, _| pinned.contains(key));
    }

    fn meet(&mut self, texts: &[&str]) {
        for card in texts.iter().filter_map(|text| Card::read(text).ok()) {
            self.met.insert(fingerprint(&card.fingerprint), card);
        }
    }

    fn knows(&self, key: &Fingerprint) -> bool {
        self.card(key).is_some()
    }

    fn own(&self, _: Moment) -> (Fingerprint, KeyFacts) {
        (fingerprint(&self.own.fingerprint), self.own.facts())
    }
}
