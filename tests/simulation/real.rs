//! Real OpenPGP in a history: what its people write is signed and sealed as their programs would, and the desk's
//! mails are opened with the keys of those who get them. What is in the mails is the same as without it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::time::SystemTime;

use base64_simd::STANDARD;
use embargod::domain::facts::letter::{Fate, Signature};
use embargod::domain::facts::names::{Fingerprint, Moment};
use embargod::edge::mime::Mime;
use embargod::edge::pgp::{Certificate, Directory, Keyring, LIMITS, generate_for_gnupg, open};
use embargod::engine::Sources;
use embargod::rehearsal::mail::{Draft, Protected};
use sequoia_openpgp::armor::{Kind, Writer};
use sequoia_openpgp::parse::{PacketParser, PacketParserResult, Parse};
use sequoia_openpgp::policy::StandardPolicy;
use sequoia_openpgp::serialize::stream::{Encryptor, LiteralWriter, Message, Recipient, Signer};
use sequoia_openpgp::{Cert, KeyHandle, Packet};

use super::vault::{Card, Inbound, Outbound};
use super::world::{begin, card};

/// The desk, among those who have a key.
const DESK: &str = "desk";

/// Somebody with a key.
struct Holder {
    secret: Cert,
    ring: Keyring,
    certificate: Certificate,
}

/// Everybody's keys, and what was made with them.
pub(crate) struct Real {
    holders: BTreeMap<String, Holder>,
    /// Who has the key that is played by a fingerprint.
    ids: BTreeMap<String, String>,
    /// What somebody signed, and what was sealed: the same once more is the same.
    signed: BTreeMap<u64, Vec<u8>>,
    sealed: BTreeMap<u64, String>,
}

fn born() -> SystemTime {
    SystemTime::from(begin())
}

impl Holder {
    fn new(card: &Card) -> Self {
        let secret = generate_for_gnupg(&card.address, &card.address, card.from).unwrap();
        let ring = Keyring::open(std::slice::from_ref(&secret), None, [7; 32], begin()).unwrap();
        let certificate = ring.certificate();
        Self { secret: Cert::from_bytes(&secret).unwrap(), ring, certificate }
    }

    /// Something signed, for the desk.
    fn signed(&self, entity: &[u8], at: Moment, to: &Cert) -> Vec<u8> {
        let policy = StandardPolicy::new();
        let keys = self.secret.keys().with_policy(&policy, born()).secret().for_signing();
        let pair = keys.map(|key| key.key().clone().into_keypair().unwrap()).next().unwrap();
        let mut out = Vec::new();
        let signer = Signer::new(Message::new(&mut out), pair).unwrap();
        let signer = signer.add_intended_recipient(to).creation_time(SystemTime::from(at));
        literal(signer.build().unwrap(), entity);
        out
    }

    /// Packets sealed to it; damaged, they do not open.
    fn sealed(&self, packets: &[u8], damaged: bool) -> String {
        let policy = StandardPolicy::new();
        let keys = self.secret.keys().with_policy(&policy, born()).for_transport_encryption();
        let keys: Vec<Recipient<'_>> = keys.map(Recipient::from).collect();
        let mut out = Vec::new();
        let mut message = Encryptor::for_recipients(Message::new(&mut out), keys).build().unwrap();
        message.write_all(packets).unwrap();
        message.finalize().unwrap();
        if damaged {
            let last = out.len() - 30;
            out[last] ^= 0x55;
        }
        let mut armor = Writer::new(Vec::new(), Kind::Message).unwrap();
        armor.write_all(&out).unwrap();
        String::from_utf8(armor.finalize().unwrap()).unwrap()
    }
}

fn literal(message: Message<'_>, entity: &[u8]) {
    let mut literal = LiteralWriter::new(message).build().unwrap();
    literal.write_all(entity).unwrap();
    literal.finalize().unwrap();
}

/// Who writes, by the address.
fn id_of(address: &str) -> &str {
    address.split('@').next().unwrap()
}

impl Real {
    pub(crate) fn new() -> Self {
        let (holders, ids) = (BTreeMap::new(), BTreeMap::new());
        let mut real = Self { holders, ids, signed: BTreeMap::new(), sealed: BTreeMap::new() };
        real.meets(&super::world::own());
        real
    }

    /// Makes a key where there is none yet.
    fn meets(&mut self, card: &Card) -> &Holder {
        let id = match card.address.as_str() {
            "security@desk.test" => DESK,
            address => id_of(address),
        };
        self.ids.insert(card.fingerprint.clone(), id.to_owned());
        self.holders.entry(id.to_owned()).or_insert_with(|| Holder::new(card))
    }

    pub(crate) fn keyring(&self) -> Keyring {
        let mut secret = Vec::new();
        let cert = &self.holders[DESK].secret;
        sequoia_openpgp::serialize::Serialize::serialize(&cert.as_tsk(), &mut secret).unwrap();
        Keyring::open(&[secret], None, [7; 32], begin()).unwrap()
    }

    /// The same people with their keys.
    pub(crate) fn sources(&mut self, mut sources: Sources) -> Sources {
        for person in sources.roster.people.values_mut() {
            let certificate = &self.meets(&card(person.id.as_str(), begin())).certificate;
            person.fingerprint = certificate.fingerprint();
            person.certificate = certificate.armored();
        }
        let own = &self.holders[DESK].certificate;
        sources.settings.fingerprint = own.fingerprint();
        sources.settings.certificate = own.armored();
        sources
    }

    // ---- To the desk ------------------------------------------------------------------------------

    /// A mail as its writer's program sends it, and servers bring it.
    pub(crate) fn bytes(&mut self, mail: &Inbound) -> Vec<u8> {
        let mut head = format!(
            "Return-Path: <{}>\r\nDelivered-To: {}\r\nFrom: <{}>\r\nSubject: Re: ...\r\n",
            if mail.fate.is_some() { "" } else { &mail.from },
            mail.token.as_ref().map_or_else(
                || "security@desk.test".to_owned(),
                |token| format!("security+r-{token}@desk.test")
            ),
            mail.from,
        );
        head.push_str(&format!("Message-ID: <{}>\r\nMIME-Version: 1.0\r\n", mail.id));
        if !mail.answers.is_empty() {
            let all: Vec<String> = mail.answers.iter().map(|id| format!("<{id}>")).collect();
            write!(head, "References: {}\r\n", all.join(" ")).unwrap();
        }
        if mail.beside {
            let letters = STANDARD.encode_to_string(self.key_of(mail).unwrap().binary());
            write!(head, "Autocrypt: addr={}; keydata=", mail.from).unwrap();
            for line in letters.as_bytes().chunks(70) {
                write!(head, "\r\n {}", String::from_utf8_lossy(line)).unwrap();
            }
            head.push_str("\r\n");
        }
        if mail.automatic {
            head.push_str("Auto-Submitted: auto-generated\r\n");
        }
        if let Some(fate) = mail.fate {
            head.push_str(&report(fate));
            return head.into_bytes();
        }
        let protected = self.protected(mail);
        let draft = Draft::plain("", "");
        let whole = String::from_utf8(draft.whole("", "", "", &protected)).unwrap();
        // What it says of itself was said above.
        let rest = whole.split_once("MIME-Version: 1.0\r\n").unwrap().1;
        (head + rest).into_bytes()
    }

    /// The certificate that comes along.
    fn key_of(&mut self, mail: &Inbound) -> Option<&Certificate> {
        let card: Card = serde_json::from_str(mail.key.as_ref()?).unwrap();
        Some(&self.meets(&card).certificate)
    }

    fn protected(&mut self, mail: &Inbound) -> Protected {
        let key = self.key_of(mail).filter(|_| !mail.beside).map(Certificate::armored);
        let mut draft = Draft::plain("", &mail.text);
        draft.with_key = key.is_some();
        let entity = draft.entity(key.as_deref());
        let signer = mail.signer.clone().map(|(by, at)| {
            if !self.ids.contains_key(&by) {
                // Whoever writes in their own name, without their certificate.
                let address = mail.from.clone();
                self.meets(&Card { address, ..card(id_of(&mail.from), begin()) });
            }
            (self.ids[&by].clone(), at)
        });
        let desk = &self.holders[DESK];
        match (mail.sealed, signer) {
            (false, None) => Protected::Clear(entity),
            (false, Some((who, at))) => {
                let signature = self.holders[&who].ring.sign(&entity, at).unwrap();
                Protected::Signed(entity, String::from_utf8(signature).unwrap())
            }
            (true, signer) => {
                let packets = match signer {
                    None => {
                        let mut out = Vec::new();
                        literal(Message::new(&mut out), &entity);
                        out
                    }
                    Some((who, at)) => {
                        let sign = || self.holders[&who].signed(&entity, at, &desk.secret);
                        self.signed.entry(mail.drawn).or_insert_with(sign).clone()
                    }
                };
                let seal = || desk.sealed(&packets, mail.damaged);
                Protected::Encrypted(self.sealed.entry(mail.session).or_insert_with(seal).clone())
            }
        }
    }

    // ---- From the desk ----------------------------------------------------------------------------

    /// Whose key a message is sealed to: one person's.
    fn sealed_to(&self, message: &[u8]) -> &str {
        let mut to: Vec<KeyHandle> = Vec::new();
        let mut next = PacketParser::from_bytes(message).unwrap();
        while let PacketParserResult::Some(here) = next {
            if let Packet::PKESK(pkesk) = &here.packet {
                to.extend(pkesk.recipient());
            }
            next = here.next().unwrap().1;
        }
        let [only] = to.as_slice() else { panic!("sealed to {} keys", to.len()) };
        let has =
            |holder: &Holder| holder.secret.keys().any(|key| key.key().key_handle().aliases(only));
        self.holders.iter().find(|(_, holder)| has(holder)).unwrap().0
    }

    /// A mail of the desk's, opened with the key that it is sealed to.
    pub(crate) fn read(&self, bytes: &[u8]) -> Outbound {
        let outer = Mime::parse(bytes).unwrap();
        let sent: Moment = outer
            .header("Date")
            .map(|date| chrono::DateTime::parse_from_rfc2822(date.trim()).unwrap().into())
            .unwrap();
        let begins = b"-----BEGIN PGP MESSAGE-----";
        let sealed = bytes.windows(begins.len()).position(|text| text == begins);
        let (key, inner) = match sealed {
            None => (None, bytes.to_vec()),
            Some(at) => {
                let who = self.sealed_to(&bytes[at..]);
                let holder = &self.holders[who];
                let mut known = Directory::default();
                known.pin(self.holders[DESK].certificate.clone(), DESK);
                let opened = open(&holder.ring, &known, &[], &bytes[at..], sent, LIMITS).unwrap();
                let Signature::Valid(by) = &opened.signature else {
                    panic!("a mail of the desk's: {:?}", opened.signature)
                };
                assert_eq!(by.fingerprint, self.own(), "the desk signs");
                let played = self.ids.iter().find(|(_, id)| *id == who).unwrap().0;
                (Some(played.clone()), opened.content.to_vec())
            }
        };
        let inside = Mime::parse(&inner).unwrap();
        let body = inside.body();
        let (ids, to) = (inside.ids(), outer.addresses_in(&["To"]));
        let [to] = to.as_slice() else { panic!("one recipient") };
        Outbound {
            id: outer.ids().0.unwrap().to_string(),
            to: to.wire(),
            key,
            subject: inside.subject().unwrap_or_default(),
            body: body.plain.join("\n"),
            parts: body.attachments.len(),
            sealed_at: sent,
            answers: ids.1.first().map(ToString::to_string),
        }
    }

    fn own(&self) -> Fingerprint {
        self.holders[DESK].certificate.fingerprint()
    }

    /// What the last server writes in front of a mail that the desk sends to itself.
    pub(crate) fn delivered(&self, bytes: &[u8]) -> Vec<u8> {
        let head = b"Return-Path: <security@desk.test>\r\nDelivered-To: security@desk.test\r\n";
        [head, bytes].concat()
    }
}

fn report(fate: Fate) -> String {
    let (action, status) = match fate {
        Fate::Delayed => ("delayed", "4.4.1"),
        Fate::Failed => ("failed", "5.1.1"),
        Fate::Delivered | Fate::Relayed => ("delivered", "2.0.0"),
    };
    format!(
        "Content-Type: multipart/report; report-type=delivery-status; boundary=\"r\"\r\n\r\n\
         --r\r\nContent-Type: text/plain\r\n\r\nAbout your mail.\r\n\
         --r\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; relay.test\r\n\r\n\
         Final-Recipient: rfc822; somebody@people.test\r\nAction: {action}\r\nStatus: {status}\r\n\r\n--r--\r\n"
    )
}
