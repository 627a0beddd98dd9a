//! What opening and sealing one mail costs, held against the bare library in the same run.
//!
//! `cargo bench` prints the times and, at the end, the ratios: the desk's whole work on a mail
//! (taking it apart, headers, verdict; or composing it) over sequoia's decrypt+verify or
//! sign+encrypt of the same bytes.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::too_many_lines,
    missing_docs,
    reason = "a benchmark"
)]

use std::hint::black_box;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion};
use embargod::domain::facts::event::{Purpose, Recipient};
use embargod::domain::facts::letter::{Attachment, Protection};
use embargod::domain::facts::names::{Address, Fresh, MessageId, Moment};
use embargod::domain::outgoing::mail::{Mail, Words};
use embargod::domain::outgoing::texts::Written;
use embargod::edge::compose::{Sender, encoded, make};
use embargod::edge::opening::Opener;
use embargod::edge::pgp::{Certificate, Directory, Form, Keyring, LIMITS, generate};
use embargod::error::Fault;
use embargod::ports::store::{Kept, RawMail, Spool, Spooling};
use embargod::ports::vault::Encoded;
use embargod::rehearsal::mail::{Draft, Protected};
use openpgp::crypto::{KeyPair, SessionKey};
use openpgp::packet::{PKESK, SKESK};
use openpgp::parse::Parse;
use openpgp::parse::stream::{
    DecryptionHelper, DecryptorBuilder, MessageStructure, VerificationHelper,
};
use openpgp::policy::StandardPolicy;
use openpgp::serialize::stream::{Armorer, Encryptor, LiteralWriter, Message, Signer};
use openpgp::types::SymmetricAlgorithm;
use openpgp::{Cert, KeyHandle};
use sequoia_openpgp as openpgp;

/// Takes what is large and keeps none of it.
struct Nowhere;

impl Spool for Nowhere {
    fn begin(&self) -> Result<Box<dyn Spooling>, Fault> {
        Ok(Box::new(Self))
    }
}

impl Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(black_box(bytes).len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Spooling for Nowhere {
    fn end(self: Box<Self>) -> Result<Kept, Fault> {
        Ok(Kept::Here(Vec::new()))
    }
}

struct Bench {
    desk: Vec<u8>,
    person: Vec<u8>,
    now: Moment,
}

fn keyring(secret: &[u8], now: Moment) -> Keyring {
    Keyring::open(&[secret.to_vec()], None, [0; 32], now).unwrap()
}

/// Bare sequoia, as its documentation shows it.
struct Bare {
    own: Cert,
    pair: KeyPair,
    other: Cert,
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
    fn new(own: &[u8], other: &[u8]) -> Self {
        let own = Cert::from_bytes(own).unwrap();
        let policy = StandardPolicy::new();
        let pair = own
            .keys()
            .with_policy(&policy, None)
            .for_transport_encryption()
            .secret()
            .next()
            .unwrap();
        let pair = pair.key().clone().into_keypair().unwrap();
        Self { own, pair, other: Cert::from_bytes(other).unwrap() }
    }

    fn open(&self, message: &[u8]) -> Vec<u8> {
        let policy = StandardPolicy::new();
        let mut out = Vec::new();
        let builder = DecryptorBuilder::from_bytes(message).unwrap().buffer_size(64 * 1024);
        builder.with_policy(&policy, None, self).unwrap().read_to_end(&mut out).unwrap();
        out
    }

    fn seal(&self, content: &[u8]) -> Vec<u8> {
        let policy = StandardPolicy::new();
        let signer =
            self.own.keys().with_policy(&policy, None).for_signing().secret().next().unwrap();
        let signer = signer.key().clone().into_keypair().unwrap();
        let keys = self.other.keys().with_policy(&policy, None).for_transport_encryption();
        let mut out = Vec::new();
        let message = Armorer::new(Message::new(&mut out)).build().unwrap();
        let message = Encryptor::for_recipients(message, keys).build().unwrap();
        let message = Signer::new(message, signer).unwrap().build().unwrap();
        let mut message = LiteralWriter::new(message).build().unwrap();
        message.write_all(content).unwrap();
        message.finalize().unwrap();
        out
    }
}

impl Bench {
    fn new() -> Self {
        let now = Moment::from(std::time::SystemTime::now());
        let born = now - chrono::TimeDelta::days(1);
        let key =
            |name: &str| generate(name, &format!("{name}@x.test"), None, None, born).unwrap().0;
        Self { desk: key("desk"), person: key("person"), now }
    }

    fn text(size: usize) -> String {
        "Seventy letters of plain English text, and then the line is at its end.\n"
            .repeat(size / 72 + 1)
    }

    /// A fresh mail to the desk each time: signatures that were verified once are cached.
    fn incoming(&self, entity: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let desk = keyring(&self.desk, self.now).certificate();
        let armor = keyring(&self.person, self.now).seal(&desk, entity, self.now).unwrap();
        let text = String::from_utf8(armor.clone()).unwrap();
        let date = self.now.to_rfc2822();
        let mail =
            Draft::sealed("").whole("person@x.test", "1@x", &date, &Protected::Encrypted(text));
        (mail, armor)
    }

    fn outgoing(&self, size: usize) -> (Mail, Written) {
        let id = MessageId::draw("x.test", &mut Fresh::new([1; 32]));
        let address = Address::parse("person@x.test").unwrap();
        let bytes: std::sync::Arc<[u8]> = Self::text(size).into_bytes().into();
        let attachments = if size > 100_000 {
            vec![Attachment {
                of_other_form: false,
                outside: false,
                stored: None,
                left: None,
                name: embargod::domain::facts::foreign::Foreign::line("a.bin", 99),
                media: "application/octet-stream".into(),
                parameters: String::new(),
                bytes,
            }]
        } else {
            Vec::new()
        };
        let body = Self::text(size.min(2_000));
        let mail = Mail {
            message_id: id,
            about: None,
            to: Recipient::Outsider(address.clone()),
            address,
            key: Some(keyring(&self.person, self.now).certificate().fingerprint()),
            purpose: Purpose::Relay,
            not_before: self.now,
            words: Words::Sealed(Written { subject: "s".into(), body: body.clone() }),
            attachments,
            with_our_key: false,
            answers: None,
        };
        (mail, Written { subject: "s".into(), body })
    }
}

/// The mean of many runs, each on a fresh input.
fn mean<I>(rounds: u32, mut input: impl FnMut() -> I, mut run: impl FnMut(&I)) -> Duration {
    let mut all = Duration::ZERO;
    for _ in 0..rounds {
        let input = input();
        let begun = Instant::now();
        run(black_box(&input));
        all += begun.elapsed();
    }
    all / rounds
}

fn main() {
    let bench = Bench::new();
    let (desk, person) =
        (keyring(&bench.desk, bench.now), keyring(&bench.person, bench.now).certificate());
    let mut known = Directory::default();
    known.pin(person.clone(), "person");
    let opener = Opener { keyring: &desk, known: &known, settings: None, limits: LIMITS };
    let sender = Sender {
        name: "Desk".into(),
        address: "desk@x.test".into(),
        certificate: String::new(),
        threads_outside: false,
    };
    let (bare_desk, bare_person) =
        (Bare::new(&bench.desk, &bench.person), Bare::new(&bench.desk, &bench.person));
    let raw = |bytes: Vec<u8>| RawMail {
        bytes,
        received: bench.now,
        arrived: bench.now,
        oversize: false,
        junk: false,
    };
    let seal = |mail: &(Mail, Written), to: &Certificate| {
        let parts: Vec<Encoded> =
            mail.0.attachments.iter().map(|it| encoded(it).unwrap()).collect();
        let to = Some((to, Form::Newer));
        let sealed = make(&desk, &sender, &mail.0, &mail.1, &parts, to, (bench.now, &Nowhere));
        assert!(sealed.is_ok());
        sealed.ok()
    };

    let mut criterion = Criterion::default().without_plots().sample_size(50).configure_from_args();
    let entity = Draft::sealed(&Bench::text(2_000)).entity(None);
    criterion.bench_function("open 2 KB", |b| {
        b.iter_batched(
            || raw(bench.incoming(&entity).0),
            |mail| opener.open(&mail),
            BatchSize::SmallInput,
        );
    });
    criterion.bench_function("seal 2 KB", |b| {
        b.iter_batched(
            || bench.outgoing(2_000),
            |mail| seal(&mail, &person),
            BatchSize::SmallInput,
        );
    });

    println!("\nRatio to the bare library in this run (desk / bare):");
    for (name, size, rounds) in [("2 KB", 2_000, 200), ("1 MB", 1_000_000, 20)] {
        let mut draft = Draft::sealed(&Bench::text(2_000));
        if size > 100_000 {
            draft.attachments.push(("a.bin".into(), Bench::text(size).into_bytes()));
        }
        let entity = draft.entity(None);
        let ours = mean(
            rounds,
            || raw(bench.incoming(&entity).0),
            |mail| {
                let letter = opener.open(mail);
                assert_eq!(letter.verdict.protection, Protection::Both);
            },
        );
        let bare = mean(
            rounds,
            || bench.incoming(&entity).1,
            |message| {
                assert!(!bare_desk.open(message).is_empty());
            },
        );
        println!(
            "  open {name}: {ours:?} / {bare:?} = {:.2}",
            ours.as_secs_f64() / bare.as_secs_f64()
        );
        let mail = bench.outgoing(size);
        let ours = mean(
            rounds,
            || (),
            |()| {
                black_box(seal(&mail, &person));
            },
        );
        let bare = mean(
            rounds,
            || (),
            |()| {
                black_box(bare_person.seal(&entity));
            },
        );
        println!(
            "  seal {name}: {ours:?} / {bare:?} = {:.2}",
            ours.as_secs_f64() / bare.as_secs_f64()
        );
    }
    criterion.final_summary();
}
