//! A past that cannot be put back unseen: an older copy of the store does nothing until somebody says so.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on should stop"
)]

mod common;

use common::members::{approve, planned};
use common::{World, subjects, to};
use embargod::domain::facts::names::{Digest, PersonId, Span};
use embargod::edge::imap::MailboxAsk;
use embargod::engine;
use embargod::ports::store::{Folder, Location, RawMail};
use embargod::rehearsal::mail::{Draft, Read};
use embargod::rehearsal::{Stage, Who};

fn alarms(world: &World) -> Vec<String> {
    world.troubles()
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
    RawMail { bytes, received: now, arrived: now, oversize: false, junk: false }
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

/// A witness that cannot be read, or is gone: reports are taken in and answered; of signed mails only
/// `/hold` counts, and their writers are told; nothing leaves that waited; the operator is told.
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
        assert!(alarms(&world).iter().any(|a| a.contains("witness")), "{:?}", alarms(&world));
        let new = world.says(Who::Mia, "/accept\n/lead me");
        assert!(!to(&new).contains(&Who::Rita), "{:?}", subjects(&new));
        let refused = new.iter().any(|(who, mail)| {
            *who == Who::Mia && mail.subject.contains("only holding counts now")
        });
        assert!(refused, "{:?}", subjects(&new));
        world.does(Who::Mia, "/hold ALL");
        assert!(world.incident().held.contains(&None));
        let new = world.sends(Who::Rita, &Draft { with_key: true, ..Draft::sealed("One more.") });
        assert!(to(&new).contains(&Who::Rita), "{:?}", subjects(&new));
        let told = |(who, mail): &(Who, Read)| {
            *who == Who::Uma && mail.subject.contains("Only reports are taken in")
        };
        let all: Vec<_> = world.stage.arrivals.iter().map(|(_, w, m)| (*w, m.clone())).collect();
        assert!(all.iter().any(told), "{:?}", subjects(&all));
        assert!(!alarms(&world).iter().any(|a| a.contains("clock")), "{:?}", alarms(&world));
        // Stopped, and the file put back, which is behind by now: it began with what is there still.
        world.stage.copy_store(&world.folder().join("again")).unwrap();
        std::fs::write(&witness, &good).unwrap();
        world.stage.put_back(&world.folder().join("again")).unwrap();
        world.does(Who::Mia, "/accept");
        assert!(alarms(&world).is_empty(), "{:?}", alarms(&world));
    }
}

/// An older copy, of which the mailbox knows better: nothing of it leaves or is decided before the desk has
/// looked there; and without a witness at all, nothing of it leaves that waited.
#[test]
fn what_waited_in_an_older_copy_does_not_leave_again() {
    for way in ["await", "unreadable", "gone"] {
        let mut world = planned();
        approve(&mut world, "advance");
        world.waits(Span::hours(10 * 24 - 1));
        let reference = world.reference_of(Who::Mia, &world.handle.clone());
        let reply = Draft::sealed(&format!("/reply\nThank you, Rita.\n\n> {reference}\n"));
        world.stage.write(Who::Mia, &reply).unwrap();
        world.stage.running().unwrap().work_inbox().unwrap();
        let copy = world.folder().join("copy");
        world.stage.copy_store(&copy).unwrap();
        let witness = world.folder().join("embargod.witness");
        let file = std::fs::read(&witness).unwrap();
        let before = world.stage.arrivals.len();
        world.waits(Span::minutes(5));
        let rita = |world: &World, from: usize| {
            world.stage.arrivals.iter().skip(from).any(|(_, who, _)| *who == Who::Rita)
        };
        assert!(rita(&world, before), "it left once");
        world.waits(Span::minutes(60));
        let before = world.stage.arrivals.len();
        match way {
            "await" => std::fs::write(&witness, &file).unwrap(),
            "unreadable" => std::fs::write(&witness, b"rubbish").unwrap(),
            _ => std::fs::remove_file(&witness).unwrap(),
        }
        world.stage.put_back(&copy).unwrap();
        let await_it = way == "await";
        if await_it {
            world.stage.running().unwrap().await_mailbox();
        }
        world.waits(if await_it { Span::days(5) } else { Span::minutes(30) });
        let others = world.stage.arrivals.iter().skip(before).filter(|(_, who, mail)| {
            !(matches!(who, Who::Mia | Who::Uma) && mail.subject.contains("Only reports"))
        });
        let others: Vec<_> = others.map(|(at, who, mail)| (at, who, &mail.subject)).collect();
        assert!(!rita(&world, before), "{way}: {others:?}");
        let outside = |who: &Who| Who::DISTRIBUTORS.contains(who);
        assert!(!others.iter().any(|(_, who, _)| outside(who)), "{way}: {others:?}");
    }
}

fn one_person(sources: &mut engine::Sources) {
    sources.settings.alone_minutes = Some(60);
    sources.roster.people.remove(&PersonId::parse("tom").unwrap());
}

/// At a desk with one person, what was said and called off is not carried out by an older copy, and can be
/// held while there is no witness.
#[test]
fn what_waits_for_the_time_to_pass_waits_for_the_witness_as_well() {
    for way in ["await", "unreadable", "held"] {
        let mut world = World::with(one_person);
        world.does(Who::Mia, "/accept\n/lead me");
        world.does(Who::Mia, "/published");
        let copy = world.folder().join("copy");
        world.stage.copy_store(&copy).unwrap();
        let witness = world.folder().join("embargod.witness");
        let file = std::fs::read(&witness).unwrap();
        world.does(Who::Mia, "/hold ALL");
        match way {
            "await" => std::fs::write(&witness, &file).unwrap(),
            _ => std::fs::write(&witness, b"rubbish").unwrap(),
        }
        world.stage.put_back(&copy).unwrap();
        match way {
            "await" => world.stage.running().unwrap().await_mailbox(),
            "held" => {
                world.does(Who::Mia, "/hold ALL");
            }
            _ => {}
        }
        world.waits(Span::minutes(70));
        assert_eq!(world.incident().published(), None, "{way}");
        if way == "held" {
            assert!(world.incident().held.contains(&None));
        }
    }
}

/// What said that a copy is old is taken in by then, and would not be seen again: it stays held, however
/// often it is started.
#[test]
fn a_copy_that_was_held_stays_held() {
    for by_mark in [true, false] {
        let mut world = World::new();
        let copy = world.folder().join("copy");
        world.stage.copy_store(&copy).unwrap();
        let witness = world.folder().join("embargod.witness");
        let file = std::fs::read(&witness).unwrap();
        let reference = world.reference_of(Who::Mia, &world.handle);
        let command = Draft::sealed(&format!("/accept\n\n> {reference}\n"));
        let sealed = world.seal_signed(Who::Mia, &command);
        let bytes = world.mail(Who::Mia, "a1@people.test", &command, &sealed);
        world.deliver(bytes.clone());
        world.waits(Span::hours(2));
        let own = world.mails_to_itself();
        std::fs::write(&witness, &file).unwrap();
        world.stage.put_back(&copy).unwrap();
        world.stage.running().unwrap().await_mailbox();
        let envelope = b"Return-Path: <mia@people.test>\r\nDelivered-To: security@desk.test\r\n";
        let bytes = [envelope.as_slice(), &bytes].concat();
        let mut mails = vec![(None, raw(&world, bytes.clone()))];
        let mut marked = Vec::new();
        if by_mark {
            marked.push(Digest::of(&bytes));
        } else {
            mails.extend(own.into_iter().map(|mail| (None, raw(&world, mail))));
        }
        let (told, _answer) = tokio::sync::oneshot::channel();
        let ask = MailboxAsk::Keep(mails, marked, told);
        world.stage.running().unwrap().answer(ask).unwrap();
        assert!(is_held(&world), "by mark: {by_mark}");
        for _ in 0..2 {
            world.stage.is_down(Span::minutes(5)).unwrap();
            world.stage.running().unwrap().await_mailbox();
            let (told, _answer) = tokio::sync::oneshot::channel();
            world
                .stage
                .running()
                .unwrap()
                .answer(MailboxAsk::Looked(vec![String::new()], Vec::new(), told))
                .unwrap();
            assert!(is_held(&world), "by mark: {by_mark}");
            assert!(!alarms(&world).is_empty());
            let new = world.waits(Span::hours(1));
            assert!(others(&new).is_empty(), "{:?}", subjects(&new));
        }
        world.stage.restored().unwrap();
        assert!(!is_held(&world));
    }
}

/// Whoever reads the mailbox knows the ids of the desk's mails to itself. Under one of them a report is a
/// report, and is not cleaned away.
#[test]
fn a_report_under_the_id_of_a_witness_is_a_report() {
    let mut world = World::new();
    world.waits(Span::minutes(15));
    let own = world.mails_to_itself().pop().unwrap();
    let own = String::from_utf8_lossy(&own).into_owned();
    let id = own.lines().find_map(|line| line.strip_prefix("Message-ID: <")).unwrap();
    let bytes = format!(
        "From: paul@people.test\r\nTo: security@desk.test\r\nDate: {}\r\nSubject: A bug\r\nMessage-ID: <{id}\r\n\r\nIt breaks.\r\n",
        world.stage.now().to_rfc2822()
    )
    .into_bytes();
    let folder = Folder { name: "INBOX".to_owned(), uidvalidity: 1 };
    let place = Location { folder: "INBOX".to_owned(), uidvalidity: 1, uid: 77 };
    let mail = raw(&world, bytes.clone());
    let (told, _answer) = tokio::sync::oneshot::channel();
    let ask = MailboxAsk::Keep(vec![(Some(place), mail)], Vec::new(), told);
    world.stage.running().unwrap().answer(ask).unwrap();
    let new = world.waits(Span::minutes(1));
    assert!(to(&new).contains(&Who::Mia), "{:?}", subjects(&new));
    world.does(Who::Mia, "/title It grows");
    world.waits(Span::minutes(30));
    let (told, mut answer) = tokio::sync::oneshot::channel();
    world.stage.running().unwrap().answer(MailboxAsk::Spent(folder, told)).unwrap();
    assert_eq!(answer.try_recv().unwrap().unwrap(), Vec::<u32>::new());
}

/// Two desks on one mailbox: each sees the other's mails to itself, and neither makes anything of them.
#[test]
fn two_desks_on_one_mailbox_leave_each_other_alone() {
    let (mut one, mut other) = (World::new(), World::new());
    one.does(Who::Mia, "/title It grows");
    one.waits(Span::minutes(15));
    let mails = one.mails_to_itself();
    assert!(!mails.is_empty());
    let before = (head(&other), other.stage.engine().unwrap().desk().incidents.len());
    for mail in mails {
        let new = other.deliver(mail);
        assert!(new.is_empty(), "{:?}", subjects(&new));
    }
    assert_eq!((head(&other), other.stage.engine().unwrap().desk().incidents.len()), before);
}

/// Somebody takes an attachment off a mail of long ago and files it again: that is no later history.
#[test]
fn a_marked_mail_of_long_ago_in_other_bytes_holds_nothing() {
    let mut world = World::new();
    world.waits(Span::hours(1));
    let bytes = b"From: x@y.test\r\nMessage-ID: <a@y.test>\r\n\r\nhi\r\n".to_vec();
    let mail = raw(&world, bytes.clone());
    world.waits(Span::hours(5));
    world.stage.is_down(Span::minutes(1)).unwrap();
    let (told, _answer) = tokio::sync::oneshot::channel();
    let ask = MailboxAsk::Keep(vec![(None, mail)], vec![Digest::of(&bytes)], told);
    world.stage.running().unwrap().answer(ask).unwrap();
    assert!(!is_held(&world));
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
