//! A past that cannot be put back unseen: an older copy of the store does nothing until somebody says so.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on should stop"
)]

mod common;

use common::{World, subjects, to};
use embargod::domain::facts::names::{Digest, Span};
use embargod::edge::imap::MailboxAsk;
use embargod::engine;
use embargod::ports::store::RawMail;
use embargod::rehearsal::mail::{Draft, Read};
use embargod::rehearsal::{Stage, Who};

fn alarms(world: &World) -> Vec<String> {
    engine::lock(&world.stage.engine().unwrap().store()).alarms().unwrap()
}

fn is_held(world: &World) -> bool {
    world.stage.engine().unwrap().held().is_some()
}

fn head(world: &World) -> u64 {
    world.stage.engine().unwrap().desk().head.number
}

/// Of people, what is not the word to the operators that all is held.
fn others(new: &[(Who, Read)]) -> Vec<(Who, Read)> {
    new.iter().filter(|(_, mail)| !mail.subject.contains("HELD")).cloned().collect()
}

#[test]
fn an_older_copy_does_nothing_and_says_so() {
    let mut world = World::new();
    let copy = world.folder().join("copy");
    world.stage.copy_store(&copy).unwrap();
    assert!(!is_held(&world), "stopped and started is no rollback");
    let reference = world.reference_of(Who::Mia, &world.handle);
    let command = Draft::sealed(&format!("/accept\n\n> {reference}\n"));
    let sealed = world.seal_signed(Who::Mia, &command);
    let bytes = world.mail(Who::Mia, "a1@people.test", &command, &sealed);
    let new = world.deliver(bytes.clone());
    assert!(to(&new).contains(&Who::Rita), "{:?}", subjects(&new));
    world.stage.put_back(&copy).unwrap();
    assert!(is_held(&world));
    let before = head(&world);
    // The same mail again, a new report, and time.
    let new = world.deliver(bytes);
    assert!(others(&new).is_empty(), "{:?}", subjects(&new));
    let held: Vec<Who> = to(&new);
    assert_eq!(held, [Who::Mia, Who::Uma], "the operators are told: {:?}", subjects(&new));
    world.stage.write(Who::Rita, &Draft::sealed("Another one.")).unwrap();
    let new = world.waits(Span::days(3));
    assert!(new.is_empty(), "{:?}", subjects(&new));
    assert_eq!(head(&world), before, "nothing is written to it");
    assert!(alarms(&world).iter().any(|alarm| alarm.contains("embargod restored --yes")));
    // The operator says that the rest is lost: what was signed before counts no more, and nobody is
    // answered a second time by itself.
    world.stage.restored().unwrap();
    assert!(!is_held(&world) && alarms(&world).is_empty(), "{:?}", alarms(&world));
    let new = world.waits(Span::minutes(5));
    assert!(!to(&new).contains(&Who::Rita), "{:?}", subjects(&new));
    let refused = new.iter().any(|(who, mail)| {
        *who == Who::Mia && mail.subject.contains("from before the desk was restored")
    });
    assert!(refused, "{:?}", subjects(&new));
    assert_eq!(world.incident().anchor(embargod::domain::facts::anchor::Anchor::Accepted), None);
    world.does(Who::Mia, "/accept");
}

/// The head that comes back is enough.
#[test]
fn the_right_store_put_back_in_place_goes_on() {
    let mut world = World::new();
    let (old, new) = (world.folder().join("old"), world.folder().join("new"));
    world.stage.copy_store(&old).unwrap();
    world.does(Who::Mia, "/accept");
    world.stage.copy_store(&new).unwrap();
    world.stage.put_back(&old).unwrap();
    assert!(is_held(&world));
    world.waits(Span::hours(1));
    world.stage.put_back(&new).unwrap();
    assert!(!is_held(&world));
    world.does(Who::Mia, "/title It goes on");
}

/// A copy from after each of the words of an incident, put back at its end: held each time.
#[test]
fn whichever_moment_a_copy_is_from_it_is_held() {
    let mut world = World::new();
    let words = [
        "/accept\n/lead me",
        "/title T",
        "/set affected all",
        "/disclose 2026-03-19",
        "/hold ALL",
        "/note x",
    ];
    for (n, word) in words.iter().enumerate() {
        let copy = world.folder().join(format!("copy{n}"));
        world.stage.copy_store(&copy).unwrap();
        world.does(Who::Mia, word);
    }
    let last = world.folder().join("last");
    world.stage.copy_store(&last).unwrap();
    for n in 0..words.len() {
        world.stage.put_back(&world.folder().join(format!("copy{n}"))).unwrap();
        assert!(is_held(&world), "{n}");
        let new = world.waits(Span::days(20));
        assert!(others(&new).is_empty(), "{n}: {:?}", subjects(&new));
    }
    world.stage.put_back(&last).unwrap();
    assert!(!is_held(&world));
}

fn raw(world: &World, bytes: Vec<u8>) -> RawMail {
    let now = world.stage.now();
    RawMail { bytes, received: now, arrived: now, oversize: false }
}

/// With the witness file put back as well, the mailbox knows: by our mark on a mail that this store never
/// had, or by a mail to ourselves from a later day.
#[test]
fn the_mailbox_knows_of_a_later_history() {
    for by_mark in [true, false] {
        let mut world = World::new();
        let copy = world.folder().join("copy");
        world.stage.copy_store(&copy).unwrap();
        let witness = world.folder().join("embargod.witness");
        let file = std::fs::read(&witness).unwrap();
        // A notice is planned, so the desk writes to itself; and goes on.
        world.does(Who::Mia, "/accept\n/lead me");
        world.does(Who::Mia, "/disclose 2026-03-19");
        world.does(Who::Tom, "/tell private_distributors\n\nx");
        world.does(Who::Mia, "/approve tell-1@1");
        world.waits(Span::hours(2));
        let own = world.mails_to_itself();
        assert!(!own.is_empty());
        std::fs::write(&witness, &file).unwrap();
        world.stage.put_back(&copy).unwrap();
        assert!(!is_held(&world), "by the file alone it is not seen");
        world.waits(Span::minutes(1));
        let (mail, marked) = if by_mark {
            let bytes = b"From: x@y.test\r\n\r\nhi\r\n".to_vec();
            (raw(&world, bytes.clone()), vec![Digest::of(&bytes)])
        } else {
            (raw(&world, own.last().unwrap().clone()), Vec::new())
        };
        let (told, _answer) = tokio::sync::oneshot::channel();
        let ask = MailboxAsk::Keep(vec![(None, mail)], marked, told);
        world.stage.running().unwrap().answer(ask).unwrap();
        assert!(is_held(&world), "by mark: {by_mark}");
        let new = world.waits(Span::days(1));
        assert!(others(&new).is_empty(), "{:?}", subjects(&new));
    }
}

/// What nobody but the desk can make is not made by others: a planted witness holds nothing.
#[test]
fn a_planted_witness_holds_nothing() {
    let mut world = World::new();
    let id = "0123456789abcdefghjkmnpqrstvwxyz0123456789abcdefghjk";
    assert_eq!(id.len(), 52);
    let bytes = format!("From: security@desk.test\r\nMessage-ID: <{id}@desk.test>\r\n\r\nx\r\n")
        .into_bytes();
    world.deliver(bytes);
    assert!(!is_held(&world));
}

/// A witness that cannot be read, or is gone: reports are taken in and answered, signed mails and notices
/// wait, the operator is told; and once it is there again, what waited is carried out.
#[test]
fn without_its_witness_the_desk_takes_in_reports_only() {
    for rubbish in [Some(b"rubbish\n"), None] {
        let mut world = World::new();
        let copy = world.folder().join("copy");
        world.stage.copy_store(&copy).unwrap();
        let witness = world.folder().join("embargod.witness");
        let good = std::fs::read(&witness).unwrap();
        match rubbish {
            Some(rubbish) => std::fs::write(&witness, rubbish).unwrap(),
            None => std::fs::remove_file(&witness).unwrap(),
        }
        world.stage.put_back(&copy).unwrap();
        assert!(!is_held(&world));
        assert!(
            alarms(&world).iter().any(|alarm| alarm.contains("witness")),
            "{:?}",
            alarms(&world)
        );
        let new = world.says(Who::Mia, "/accept\n/lead me");
        let word = |(_, mail): &(Who, Read)| mail.subject.contains("Only reports");
        assert!(new.iter().all(word), "{:?}", subjects(&new));
        let new = world.sends(Who::Rita, &Draft { with_key: true, ..Draft::sealed("One more.") });
        assert!(to(&new).contains(&Who::Rita), "{:?}", subjects(&new));
        let told = |(who, mail): &(Who, Read)| {
            *who == Who::Uma && mail.subject.contains("Only reports are taken in")
        };
        let all: Vec<_> = world.stage.arrivals.iter().map(|(_, w, m)| (*w, m.clone())).collect();
        assert!(all.iter().any(told), "{:?}", subjects(&all));
        assert!(
            !alarms(&world).iter().any(|alarm| alarm.contains("clock")),
            "{:?}",
            alarms(&world)
        );
        // Stopped, and the file put back, which is behind by now: it began with what is there still.
        world.stage.copy_store(&world.folder().join("again")).unwrap();
        std::fs::write(&witness, &good).unwrap();
        world.stage.put_back(&world.folder().join("again")).unwrap();
        let new = world.waits(Span::minutes(2));
        assert!(to(&new).contains(&Who::Rita), "{:?}", subjects(&new));
        assert!(
            world.incident().anchor(embargod::domain::facts::anchor::Anchor::Accepted).is_some()
        );
        assert!(alarms(&world).is_empty(), "{:?}", alarms(&world));
    }
}

/// The mails to ourselves follow the journal, notice or not, and stop where it rests.
#[test]
fn the_desk_writes_to_itself_while_the_journal_grows() {
    let mut world = World::new();
    world.waits(Span::minutes(15));
    let first = world.mails_to_itself().len();
    assert!((1..=2).contains(&first), "{first}");
    world.waits(Span::days(1));
    let rests = world.mails_to_itself().len();
    world.does(Who::Mia, "/title It grows");
    world.waits(Span::minutes(15));
    let grown = world.mails_to_itself().len();
    assert!((rests + 1..=rests + 2).contains(&grown), "{first} {rests} {grown}");
    let before = (head(&world), world.mails_to_itself().len());
    world.waits(Span::hours(6));
    let records = head(&world) - before.0;
    let mails = world.mails_to_itself().len() - before.1;
    assert!(mails as u64 <= records, "{mails} mails for {records} records: they feed each other");
    assert!(world.stage.engine().unwrap().mark().starts_with("$embargod-"));
    assert_ne!(world.stage.engine().unwrap().mark(), World::new().stage.engine().unwrap().mark());
}

/// A mail of the history that was given up comes in late: it holds nothing. One of a history that this store
/// knows nothing of does, whatever its number.
#[test]
fn a_late_mail_of_the_history_that_was_given_up_holds_nothing() {
    let mut world = World::new();
    let copy = world.folder().join("copy");
    world.stage.copy_store(&copy).unwrap();
    for n in 0..20 {
        world.does(Who::Mia, &format!("/title T{n}"));
    }
    world.waits(Span::hours(1));
    let of_the_lost = world.mails_to_itself().last().unwrap().clone();
    world.stage.put_back(&copy).unwrap();
    assert!(is_held(&world));
    world.stage.restored().unwrap();
    let before = world.folder().join("before");
    world.stage.copy_store(&before).unwrap();
    world.waits(Span::hours(1));
    let new = world.deliver(of_the_lost);
    assert!(!is_held(&world) && new.is_empty(), "{:?}", subjects(&new));
    let later = world.mails_to_itself().last().unwrap().clone();
    // A copy from before it was put back, with its witness.
    let witness = world.folder().join("embargod.witness");
    world.stage.put_back(&copy).unwrap();
    assert!(is_held(&world));
    std::fs::remove_file(&witness).unwrap();
    world.stage.put_back(&copy).unwrap();
    assert!(!is_held(&world));
    world.deliver(later);
    assert!(is_held(&world));
}
