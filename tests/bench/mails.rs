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

mod library;

use std::hint::black_box;
use std::io::Write;
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
use library::Bare;

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
    let bare_desk = Bare::new(&bench.desk, &bench.person);
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
                assert!(bare_desk.open(message) > 0);
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
                black_box(bare_desk.seal(&bare_desk.other, &entity, true));
            },
        );
        println!(
            "  seal {name}: {ours:?} / {bare:?} = {:.2}",
            ours.as_secs_f64() / bare.as_secs_f64()
        );
    }
    criterion.final_summary();
}
