//! The contract of a store: every method of its traits, against `&mut dyn Store`. A second database
//! is measured by these cases and no others; it adds a line to [`each_store`].
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on should stop"
)]

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::DateTime;
use embargod::domain::facts::event::{Event, Purpose, Recipient};
use embargod::domain::facts::names::{
    Digest, Fingerprint, Handle, MessageId, Moment, Span, TaskId, later,
};
use embargod::domain::facts::record::{Body, Head, Line, Record};
use embargod::domain::outgoing::mail::Label;
use embargod::domain::outgoing::tries::{Tries, UNKNOWN_LONGEST};
use embargod::edge::pgp::Passphrase;
use embargod::edge::sqlite::Sqlite;
use embargod::ports::store::{
    Commit, Content, Folder, Gather as _, Inbox as _, Journal as _, Kept, Location, Note,
    Outbox as _, Outgoing, RawMail, Sealed, Settled, Store, WITNESS, read_journal,
};

#[allow(dead_code, reason = "the rest of it is for the simulation")]
#[path = "simulation/store.rs"]
mod memory;

use memory::Memory;

/// Runs a case against a new store of each kind.
fn each_store(case: impl Fn(&mut dyn Store)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("desk.db");
    let mut store = Sqlite::create(&path, &Passphrase::new("x"), now()).unwrap();
    case(&mut store);
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    case(&mut Memory::new(now(), NUMBER.fetch_add(1, Ordering::Relaxed)));
}

fn now() -> Moment {
    "2026-03-02T09:00:00Z".parse().unwrap()
}

fn handle(n: u32) -> Handle {
    Handle::parse(&format!("EX-2026-0000{n}")).unwrap()
}

/// A record about an incident, and the line that it is after `head`.
fn line(head: Head, about: Option<Handle>) -> (Record, Line) {
    let event = Event::SignatureSpent {
        fingerprint: Fingerprint::parse(&"AB".repeat(20)).unwrap(),
        hash: Digest::of(&head.number.to_be_bytes()),
    };
    let number = head.number + 1;
    let record = Record { number, at: now(), incident: about, by: None, cause: None, event };
    let line = record.line(head).unwrap();
    (record, line)
}

fn head_of(line: &Line) -> Head {
    Head { number: line.number, hash: line.hash }
}

fn body(text: &str) -> Body {
    let salt = [7; 32];
    Body { name: Digest::of_parts(&[&salt, text.as_bytes()]), salt, text: text.to_owned() }
}

fn sealed(id: &str, not_before: Moment) -> Sealed {
    let label = Label { about: None, to: Recipient::Reporter, purpose: Purpose::Relay, key: None };
    Sealed {
        message_id: id.to_owned(),
        label,
        return_token: format!("token-{id}"),
        recipient: "ann@people.test".to_owned(),
        content: Kept::Here(id.as_bytes().to_vec()),
        not_before,
    }
}

fn put_after(store: &mut dyn Store, head: Head, mails: &[Sealed]) {
    store.commit(head, &Commit { mails, ..Commit::default() }).unwrap();
}

fn settled(id: i64, state: &'static str, next_attempt: Moment) -> Settled {
    Settled { id, state, next_attempt, tries: Tries::default(), reply: "250 ok".to_owned() }
}

fn raw(text: &str) -> RawMail {
    let at = now();
    RawMail {
        bytes: text.as_bytes().to_vec(),
        received: at,
        arrived: at,
        oversize: false,
        junk: false,
    }
}

fn folder(uidvalidity: u32) -> Folder {
    Folder { name: "INBOX".to_owned(), uidvalidity }
}

fn at(uid: u32) -> Option<Location> {
    Some(Location { folder: "INBOX".to_owned(), uidvalidity: 1, uid })
}

fn numbers(store: &dyn Store) -> Vec<u64> {
    let mut numbers = Vec::new();
    read_journal(store, |record, _| numbers.push(record.number)).unwrap();
    numbers
}

//------------ Gathering -----------------------------------------------------------------------------

#[test]
fn what_is_gathered_is_read_back_at_once_and_a_change_that_fails_takes_none_along() {
    each_store(|store| {
        store.gather();
        let (_, one) = line(Head::EMPTY, None);
        let lines = [one.clone()];
        store.commit(Head::EMPTY, &Commit { lines: &lines, ..Commit::default() }).unwrap();
        put_after(store, head_of(&one), &[sealed("a@desk.test", now())]);
        // The same Message-ID twice cannot be; neither is anything else of that change.
        let (_, two) = line(head_of(&one), None);
        let (lines, twice) = ([two], [sealed("a@desk.test", now())]);
        let wrong = Commit { lines: &lines, mails: &twice, ..Commit::default() };
        assert!(store.commit(head_of(&one), &wrong).is_err());
        assert_eq!(numbers(store), [1]);
        store.write_out().unwrap();
        assert_eq!((numbers(store), store.due_mails(now(), 9).unwrap().len()), (vec![1], 1));
        // Who knows less than is there is refused, gathered or not.
        let (_, other) = line(Head::EMPTY, None);
        let commit = Commit { lines: &[other], ..Commit::default() };
        assert!(store.commit(Head::EMPTY, &commit).is_err());
    });
}

//------------ Journal --------------------------------------------------------------------------------

#[test]
fn an_empty_journal_has_the_empty_head() {
    each_store(|store| {
        assert_eq!(read_journal(store, |_, _| panic!("there is no record")).unwrap(), Head::EMPTY);
    });
}

#[test]
fn lines_come_back_in_order_and_as_they_were() {
    each_store(|store| {
        let (first, one) = line(Head::EMPTY, None);
        let (second, two) = line(head_of(&one), Some(handle(1)));
        let lines = [one.clone(), two.clone()];
        store.commit(Head::EMPTY, &Commit { lines: &lines, ..Commit::default() }).unwrap();
        let mut seen = Vec::new();
        store
            .replay(&mut |line| {
                let _: () = seen.push(line);
                Ok(())
            })
            .unwrap();
        assert_eq!(seen, lines);
        let mut records = Vec::new();
        let head = read_journal(store, |record, _| records.push(record)).unwrap();
        assert_eq!(records, [first, second]);
        assert_eq!(head, head_of(&two));
    });
}

#[test]
fn replay_ends_at_the_first_refusal() {
    each_store(|store| {
        let (_, one) = line(Head::EMPTY, None);
        let (_, two) = line(head_of(&one), None);
        store.commit(Head::EMPTY, &Commit { lines: &[one, two], ..Commit::default() }).unwrap();
        let mut seen = 0;
        let ended = store.replay(&mut |_| {
            seen += 1;
            Err(embargod::error::Fault::new("enough", ""))
        });
        assert_eq!((ended.unwrap_err().what.as_str(), seen), ("enough", 1));
    });
}

#[test]
fn the_history_of_an_incident_has_its_records_only() {
    each_store(|store| {
        let (_, one) = line(Head::EMPTY, Some(handle(1)));
        let (_, two) = line(head_of(&one), Some(handle(2)));
        let (_, three) = line(head_of(&two), Some(handle(1)));
        let lines = [one, two, three];
        store.commit(Head::EMPTY, &Commit { lines: &lines, ..Commit::default() }).unwrap();
        let of = |n| {
            let records = store.history(&handle(n)).unwrap();
            records.iter().map(|record| record.number).collect::<Vec<_>>()
        };
        assert_eq!((of(1), of(2), of(3)), (vec![1, 3], vec![2], vec![]));
    });
}

#[test]
fn bodies_and_texts_are_found_by_their_names() {
    each_store(|store| {
        let (one, text) = (body("the report"), "the roster".to_owned());
        let texts = [(Digest::of(text.as_bytes()), text.clone())];
        let commit =
            Commit { bodies: std::slice::from_ref(&one), texts: &texts, ..Commit::default() };
        store.commit(Head::EMPTY, &commit).unwrap();
        assert_eq!(store.body(one.name).unwrap().as_deref(), Some("the report"));
        assert_eq!(store.body(Digest::of(b"none")).unwrap(), None);
        // A text that is there already is the same text.
        store.commit(Head::EMPTY, &Commit { texts: &texts, ..Commit::default() }).unwrap();
        assert_eq!(store.texts().unwrap(), [text]);
        let mut seen = Vec::new();
        store
            .bodies(&mut |name, salt, text| {
                seen.push((name.to_owned(), salt.to_vec(), text.to_owned()));
            })
            .unwrap();
        assert_eq!(seen, [(one.name.to_string(), one.salt.to_vec(), one.text.clone())]);
    });
}

#[test]
fn a_store_has_secrets_of_its_own_and_a_date() {
    each_store(|store| {
        let first = store.secrets().unwrap();
        assert_eq!(store.made().unwrap(), now());
        assert_ne!(first.ref_key, first.session_salt);
        each_store(|other| assert_ne!(other.secrets().unwrap().ref_key, first.ref_key));
    });
}

//------------ All or nothing, and the fence ----------------------------------------------------------

/// Whatever in a commit cannot be written, nothing of it was.
#[test]
fn a_commit_is_all_or_nothing() {
    each_store(|store| {
        store.take_in(&[(None, raw("a report"))]).unwrap();
        let row = store.waiting(1, u64::MAX, true).unwrap()[0].id;
        let (_, one) = line(Head::EMPTY, None);
        let kept = sealed("kept@desk.test", now());
        let first = Commit { mails: std::slice::from_ref(&kept), ..Commit::default() };
        store.commit(Head::EMPTY, &first).unwrap();
        let twice = [sealed("new@desk.test", now()), kept];
        let text = "a text".to_owned();
        let texts = [(Digest::of(text.as_bytes()), text)];
        let commit = Commit {
            lines: &[one],
            bodies: &[body("a body")],
            texts: &texts,
            mails: &twice,
            inbox: Some((row, "report")),
            outbox: &[settled(1, "sent", now())],
            told: &[],
        };
        assert!(store.commit(Head::EMPTY, &commit).is_err(), "a Message-ID is used once");
        assert_eq!(numbers(store), Vec::<u64>::new());
        assert_eq!(store.body(body("a body").name).unwrap(), None);
        assert_eq!(store.texts().unwrap(), Vec::<String>::new());
        assert!(!store.is_ours("new@desk.test").unwrap());
        assert_eq!(store.waiting(9, u64::MAX, true).unwrap().len(), 1);
        assert_eq!(store.due_mails(now(), 9).unwrap().len(), 1);
    });
}

#[test]
fn a_desk_that_another_has_overtaken_writes_nothing() {
    each_store(|store| {
        let (_, one) = line(Head::EMPTY, None);
        store
            .commit(Head::EMPTY, &Commit { lines: std::slice::from_ref(&one), ..Commit::default() })
            .unwrap();
        let (_, other) = line(Head::EMPTY, Some(handle(1)));
        let mails = [sealed("late@desk.test", now())];
        let late = Commit { lines: &[other], mails: &mails, ..Commit::default() };
        for behind in [
            Head::EMPTY,
            Head { number: 1, hash: Digest::of(b"another history") },
            Head { number: 2, hash: one.hash },
        ] {
            let fault = store.commit(behind, &late).unwrap_err();
            assert!(fault.what.contains("does not end with record"), "{fault}");
            // What has no lines is fenced as well: the couriers of a desk that was overtaken.
            let only = Commit { mails: &mails, ..Commit::default() };
            assert!(store.commit(behind, &only).is_err());
        }
        assert_eq!(numbers(store), [1]);
        assert!(!store.is_ours("late@desk.test").unwrap());
        let (_, two) = line(head_of(&one), None);
        store.commit(head_of(&one), &Commit { lines: &[two], ..Commit::default() }).unwrap();
        assert_eq!(numbers(store), [1, 2]);
    });
}

//------------ Inbox ----------------------------------------------------------------------------------

#[test]
fn the_same_bytes_are_kept_once_with_each_place() {
    each_store(|store| {
        store.take_in(&[(at(1), raw("a report")), (at(2), raw("a report"))]).unwrap();
        store.take_in(&[(at(2), raw("a report")), (None, raw("another"))]).unwrap();
        let waiting = store.waiting(9, u64::MAX, true).unwrap();
        let bytes: Vec<_> = waiting.iter().map(|row| row.mail.bytes.clone()).collect();
        assert_eq!(bytes, [b"a report".to_vec(), b"another".to_vec()], "in the order of arrival");
        assert_eq!(store.known_uids(&folder(1), 1).unwrap(), [1, 2].into());
        assert_eq!(store.known_uids(&folder(1), 2).unwrap(), [2].into());
        assert_eq!(store.known_uids(&folder(2), 1).unwrap(), [].into());
    });
}

#[test]
fn a_mail_comes_back_as_it_came() {
    each_store(|store| {
        let mail = RawMail {
            bytes: vec![0, 255, 13, 10],
            received: now(),
            arrived: later(now(), Span::milliseconds(1_234)),
            oversize: true,
            junk: false,
        };
        store.take_in(&[(None, mail.clone())]).unwrap();
        let kept = store.mail(Digest::of(&mail.bytes)).unwrap().unwrap();
        assert_eq!((kept.bytes, kept.received), (mail.bytes, mail.received));
        assert_eq!((kept.arrived, kept.oversize), (mail.arrived, mail.oversize));
        assert!(store.mail(Digest::of(b"none")).unwrap().is_none());
    });
}

#[test]
fn what_was_tried_before_comes_alone() {
    each_store(|store| {
        store.take_in(&[(None, raw("1")), (None, raw("2")), (None, raw("3"))]).unwrap();
        let ids: Vec<i64> =
            store.waiting(9, u64::MAX, true).unwrap().iter().map(|row| row.id).collect();
        assert_eq!(
            store.waiting(2, u64::MAX, true).unwrap().len(),
            2,
            "no more than were asked for"
        );
        store.charge(&[ids[1]]).unwrap();
        let waiting = store.waiting(9, u64::MAX, true).unwrap();
        assert_eq!(waiting.iter().map(|row| row.id).collect::<Vec<_>>(), [ids[0]]);
        store
            .commit(Head::EMPTY, &Commit { inbox: Some((ids[0], "x")), ..Commit::default() })
            .unwrap();
        let waiting = store.waiting(9, u64::MAX, true).unwrap();
        assert_eq!(
            waiting.iter().map(|row| (row.id, row.attempts)).collect::<Vec<_>>(),
            [(ids[1], 1)]
        );
    });
}

#[test]
fn what_is_set_aside_waits_until_it_is_tried_again() {
    each_store(|store| {
        store.take_in(&[(None, raw("1"))]).unwrap();
        let id = store.waiting(9, u64::MAX, true).unwrap()[0].id;
        store.charge(&[id]).unwrap();
        store.set_aside(id, "stopped the desk").unwrap();
        assert!(store.waiting(9, u64::MAX, true).unwrap().is_empty());
        assert_eq!(store.counts().unwrap().inbox_aside, 1);
        assert_eq!(store.retry_aside().unwrap(), 1);
        assert_eq!(store.waiting(9, u64::MAX, true).unwrap()[0].attempts, 0);
        assert_eq!(store.retry_aside().unwrap(), 0);
    });
}

#[test]
fn the_bookmark_of_a_folder_only_moves_up() {
    each_store(|store| {
        let mark = |store: &dyn Store, incarnation| {
            let mark = store.bookmark(&folder(incarnation)).unwrap();
            assert_eq!(mark.made, now());
            (mark.low_water, mark.incarnations)
        };
        assert_eq!(mark(store, 1), (None, 0));
        store.set_bookmark(&folder(1), 5, false).unwrap();
        store.set_bookmark(&folder(1), 3, false).unwrap();
        assert_eq!(mark(store, 1), (Some(5), 1));
        assert_eq!(mark(store, 2), (None, 1), "numbered anew");
        store.set_bookmark(&folder(2), 1, false).unwrap();
        assert_eq!((mark(store, 2), mark(store, 1)), ((Some(1), 2), (Some(5), 2)));
        let other = Folder { name: "Reports".to_owned(), uidvalidity: 1 };
        assert_eq!(store.bookmark(&other).unwrap().incarnations, 0);
    });
}

#[test]
fn what_is_marked_on_the_server_is_not_marked_again() {
    each_store(|store| {
        store.take_in(&[(at(1), raw("1")), (at(2), raw("2")), (at(3), raw("3"))]).unwrap();
        assert_eq!(store.to_mark(&folder(1)).unwrap(), [1, 2, 3]);
        store.marked(&folder(1), &[1, 3]).unwrap();
        store.marked(&folder(2), &[2]).unwrap();
        assert_eq!(store.to_mark(&folder(1)).unwrap(), [2]);
    });
}

//------------ Outbox ---------------------------------------------------------------------------------

fn put(store: &mut dyn Store, mails: &[Sealed]) {
    store.commit(Head::EMPTY, &Commit { mails, ..Commit::default() }).unwrap();
}

#[test]
fn mails_are_due_in_their_order_and_not_before() {
    each_store(|store| {
        let soon = later(now(), Span::hours(1));
        let mails = [sealed("b@desk.test", soon), sealed("a@desk.test", now())];
        put(store, &mails);
        let due = |store: &dyn Store, at| {
            let due = store.due_mails(at, 9).unwrap();
            due.into_iter().map(|row| row.message_id).collect::<Vec<_>>()
        };
        assert_eq!(store.next_mail().unwrap(), Some(now()));
        assert_eq!(due(store, later(now(), Span::seconds(-1))), Vec::<String>::new());
        assert_eq!(due(store, now()), ["a@desk.test"]);
        assert_eq!(due(store, soon), ["a@desk.test", "b@desk.test"]);
        assert_eq!(store.due_mails(soon, 1).unwrap().len(), 1);
        let row = &store.due_mails(now(), 1).unwrap()[0];
        assert_eq!((row.label.clone(), row.written), (mails[1].label.clone(), now()));
        assert_eq!((row.attempts, row.tries, row.in_flight), (0, Tries::default(), false));
        assert_eq!(row.recipient, "ann@people.test");
    });
}

#[test]
fn an_attempt_is_counted_and_puts_the_next_off() {
    each_store(|store| {
        put(store, &[sealed("a@desk.test", now())]);
        let id = store.due_mails(now(), 1).unwrap()[0].id;
        let next = later(now(), Span::minutes(5));
        store.attempt(&[(id, next)]).unwrap();
        assert!(store.due_mails(now(), 9).unwrap().is_empty());
        assert_eq!(store.due_mails(next, 9).unwrap()[0].attempts, 1);
        assert_eq!(store.next_mail().unwrap(), Some(next));
    });
}

fn bytes_of(store: &mut dyn Store, id: i64) -> Option<Vec<u8>> {
    store.in_flight(&[id]).unwrap().remove(0).map(Content::whole).transpose().unwrap()
}

/// Something large, written apart.
fn apart(store: &dyn Store, bytes: &[u8]) -> Kept {
    let mut file = store.spool().begin().unwrap();
    file.write_all(bytes).unwrap();
    file.end().unwrap()
}

#[test]
fn what_is_large_is_kept_apart_and_read_back() {
    each_store(|store| {
        let bytes: Vec<u8> = (0_u8..=250).cycle().take(300_000).collect();
        let content = apart(store, &bytes);
        assert_eq!(content.size(), 300_000);
        put(store, &[Sealed { content, ..sealed("a@desk.test", now()) }]);
        let row = store.due_mails(now(), 1).unwrap().remove(0);
        assert_eq!((row.size, bytes_of(store, row.id).unwrap()), (300_000, bytes));
        let sent = settled(row.id, "sent", now());
        store.commit(Head::EMPTY, &Commit { outbox: &[sent], ..Commit::default() }).unwrap();
        assert_eq!(bytes_of(store, row.id), None);
    });
}

#[test]
fn a_large_mail_comes_back_as_it_came() {
    each_store(|store| {
        let large = RawMail { bytes: vec![b'x'; 300_000], ..raw("") };
        store.take_in(&[(at(1), large.clone()), (at(2), raw("small"))]).unwrap();
        store.take_in(&[(at(3), large.clone())]).unwrap();
        let waiting = store.waiting(9, u64::MAX, true).unwrap();
        let sizes: Vec<usize> = waiting.iter().map(|row| row.mail.bytes.len()).collect();
        assert_eq!(sizes, [300_000, 5]);
        let kept = store.mail(Digest::of(&large.bytes)).unwrap().unwrap();
        assert_eq!(kept.bytes, large.bytes);
        assert!(store.waiting(9, 1_000, true).unwrap().iter().all(|row| row.mail.bytes.len() == 5));
    });
}

#[test]
fn who_has_the_bytes_is_written_down() {
    each_store(|store| {
        put(store, &[sealed("a@desk.test", now())]);
        let id = store.due_mails(now(), 1).unwrap()[0].id;
        assert!(store.left_in_flight().unwrap().is_empty());
        assert_eq!(bytes_of(store, id).unwrap(), b"a@desk.test");
        let left = store.left_in_flight().unwrap();
        assert!(left[0].in_flight && left.len() == 1);
        let again = settled(id, "waiting", later(now(), Span::hours(1)));
        store.commit(Head::EMPTY, &Commit { outbox: &[again], ..Commit::default() }).unwrap();
        assert!(store.left_in_flight().unwrap().is_empty());
        assert_eq!(bytes_of(store, id).unwrap(), b"a@desk.test", "kept while it waits");
    });
}

#[test]
fn the_bytes_of_what_is_settled_are_gone_and_of_what_was_given_up_later() {
    each_store(|store| {
        for (n, state) in ["sent", "dead", "unknown", "withdrawn"].into_iter().enumerate() {
            put(store, &[sealed(&format!("{n}@desk.test"), now())]);
            let id = store.due_mails(now(), 1).unwrap()[0].id;
            let done = settled(id, state, now());
            store.commit(Head::EMPTY, &Commit { outbox: &[done], ..Commit::default() }).unwrap();
            let given_up = ["dead", "unknown"].contains(&state);
            let has_bytes = |store: &mut dyn Store| store.in_flight(&[id]).unwrap()[0].is_some();
            assert_eq!(has_bytes(store), given_up, "{state}");
            assert!(store.due_mails(DateTime::<chrono::Utc>::MAX_UTC, 9).unwrap().is_empty());
            assert_eq!(store.forget_given_up(now()).unwrap(), 0, "not before its time");
            let later = later(now(), Span::seconds(1));
            assert_eq!(store.forget_given_up(later).unwrap(), usize::from(given_up));
            assert!(!has_bytes(store), "{state}");
        }
        let counts = store.counts().unwrap();
        assert_eq!((counts.outbox_waiting, counts.outbox_dead, counts.outbox_unknown), (0, 1, 1));
    });
}

#[test]
fn the_most_urgent_goes_first_and_one_that_tries_is_the_longest_due() {
    each_store(|store| {
        let of = |id: &str, purpose: Purpose, at| {
            let mail = sealed(id, at);
            Sealed { label: Label { purpose, ..mail.label.clone() }, ..mail }
        };
        let notice = Purpose::Notice { notice: TaskId::parse("MI-3.1").unwrap(), number: 1 };
        let soon = later(now(), Span::seconds(9));
        put(store, &[of("alert@x.test", Purpose::Alert, now())]);
        put(store, &[of("answer@x.test", Purpose::Answer, soon)]);
        put(store, &[of("notice@x.test", notice, soon), of("ack@x.test", Purpose::Key, now())]);
        let ids = |rows: Vec<Outgoing>| -> Vec<String> {
            rows.into_iter().map(|row| row.message_id).collect()
        };
        let all = ["notice@x.test", "answer@x.test", "ack@x.test", "alert@x.test"];
        assert_eq!(ids(store.due_mails(soon, 9).unwrap()), all);
        assert_eq!(ids(store.due_mails(soon, 2).unwrap()), all[..2]);
        assert_eq!(ids(store.due_mails(now(), 9).unwrap()), all[2..]);
        let try_next = |store: &dyn Store| store.mails_to_try(now(), 1).unwrap().pop().unwrap();
        let first = try_next(store);
        assert_eq!(first.message_id, "alert@x.test", "to somebody whom we know");
        let next = later(now(), Span::hours(8));
        let put_off = |store: &mut dyn Store, row: &Outgoing, unknowns: u32| {
            store.attempt(&[(row.id, next)]).unwrap();
            let tries = Tries { deferrals: 1, unknowns, ..row.tries };
            let (state, reply) = ("waiting", String::new());
            let settled = Settled { id: row.id, state, next_attempt: next, tries, reply };
            let commit = Commit { outbox: &[settled], ..Commit::default() };
            store.commit(Head::EMPTY, &commit).unwrap();
        };
        put_off(store, &first, 0);
        let other = try_next(store);
        assert_eq!(other.message_id, "ack@x.test", "one that was not tried");
        // What was tried tries again for the others, however late it would be due itself; but not what may have
        // left.
        put_off(store, &other, 1);
        assert_eq!(try_next(store).id, first.id);
        put_off(store, &first, 1);
        assert!(store.mails_to_try(now(), 9).unwrap().is_empty());
        put_off(store, &first, 0);
        put_off(store, &other, 0);
        assert!(store.due_mails(now(), 9).unwrap().is_empty());
        assert_eq!(store.let_go(now(), false).unwrap(), 2);
        assert_eq!(store.due_mails(now(), 9).unwrap().len(), 2);
        // What waits for a moment that a wrong clock said goes only where that is known, and then all of it.
        put(store, &[sealed("later@x.test", later(now(), Span::hours(9)))]);
        assert_eq!(store.let_go(now(), false).unwrap(), 2);
        assert_eq!(store.due_mails(now(), 9).unwrap().len(), 2);
        assert_eq!(store.let_go(now(), true).unwrap(), 5);
        assert_eq!(store.due_mails(now(), 9).unwrap().len(), 5);
        // What may have left goes again at its own time, which a wrong clock put off for longer than it ever is.
        put_off(store, &first, 1);
        let goes = |store: &mut dyn Store, at| {
            store.due_mails(at, 9).unwrap().iter().any(|row| row.id == first.id)
        };
        let soon = later(now(), UNKNOWN_LONGEST);
        store.let_go(now(), false).unwrap();
        assert!(!goes(store, soon), "the clock was right");
        store.let_go(now(), true).unwrap();
        assert!(!goes(store, now()) && goes(store, soon));
    });
}

#[test]
fn what_was_given_up_is_tried_again_once_with_its_message_id() {
    each_store(|store| {
        put(store, &[sealed("a@desk.test", now())]);
        let id = store.due_mails(now(), 1).unwrap()[0].id;
        assert!(!store.retry(id, now()).unwrap(), "it is due anyway");
        for again in [true, false] {
            let dead = settled(id, "unknown", now());
            store.commit(Head::EMPTY, &Commit { outbox: &[dead], ..Commit::default() }).unwrap();
            assert_eq!(store.untold().unwrap()[0].row.id, id);
            store.commit(Head::EMPTY, &Commit { told: &[id], ..Commit::default() }).unwrap();
            assert!(store.untold().unwrap().is_empty());
            assert_eq!(store.retry(id, now()).unwrap(), again);
        }
        assert_eq!(store.listed(Some(id), 1).unwrap()[0].retried, 1);
        // What was refused has not left, however often it is tried.
        for _ in 0..2 {
            let dead = settled(id, "dead", now());
            store.commit(Head::EMPTY, &Commit { outbox: &[dead], ..Commit::default() }).unwrap();
            assert!(store.retry(id, now()).unwrap());
        }
        let unknown = settled(id, "unknown", now());
        store.commit(Head::EMPTY, &Commit { outbox: &[unknown], ..Commit::default() }).unwrap();
        assert!(!store.withdraw(id, now()).unwrap(), "nothing waits");
        put(store, &[sealed("b@desk.test", later(now(), Span::hours(1)))]);
        let other = store.listed(None, 1).unwrap().remove(0);
        assert_eq!(other.row.message_id, "b@desk.test");
        assert!(store.withdraw(other.row.id, now()).unwrap());
        assert!(store.due_mails(now(), 1).unwrap()[0].unwanted);
    });
}

#[test]
fn a_mail_of_ours_is_known_by_its_id_and_its_return_path() {
    each_store(|store| {
        let mail = sealed("a@desk.test", now());
        put(store, std::slice::from_ref(&mail));
        let id = MessageId::parse("a@desk.test").unwrap();
        assert!(store.is_ours("a@desk.test").unwrap());
        assert!(!store.is_ours("b@desk.test").unwrap());
        let known = store.returned("token-a@desk.test").unwrap();
        assert_eq!(known, Some((id.clone(), mail.label)));
        assert_eq!(store.returned("token").unwrap(), None);
        assert_eq!(store.return_token(&id).unwrap().as_deref(), Some("token-a@desk.test"));
    });
}

//------------ What is kept beside the history ---------------------------------------------------------

#[test]
fn a_note_stands_until_it_is_cleared() {
    each_store(|store| {
        store.set_note(Note::Heart, Some("one")).unwrap();
        store.set_note(Note::Heart, Some("two")).unwrap();
        store.set_note(Note::SignIn, Some("away")).unwrap();
        assert_eq!(store.note(Note::Heart).unwrap().as_deref(), Some("two"));
        assert_eq!(store.note(Note::ClockWord).unwrap(), None);
        store.set_note(Note::Heart, None).unwrap();
        store.set_note(Note::Heart, None).unwrap();
        assert_eq!(store.note(Note::Heart).unwrap(), None);
        assert_eq!(store.note(Note::SignIn).unwrap().as_deref(), Some("away"));
    });
}

#[test]
fn the_newest_head_is_known_outside_of_the_store() {
    each_store(|store| {
        assert_eq!(store.witness().unwrap(), None);
        let (_, one) = line(Head::EMPTY, None);
        let (_, two) = line(head_of(&one), None);
        let lines = [one.clone(), two.clone()];
        store.commit(Head::EMPTY, &Commit { lines: &lines, ..Commit::default() }).unwrap();
        assert_eq!(store.witness().unwrap(), Some(head_of(&two)));
        assert_eq!(store.line_hash(1).unwrap(), Some(one.hash));
        assert_eq!(store.line_hash(3).unwrap(), None);
        // What writes no line leaves it as it is.
        store.commit(head_of(&two), &Commit::default()).unwrap();
        assert_eq!(store.witness().unwrap(), Some(head_of(&two)));
        assert_eq!(store.alive().unwrap(), None);
        store.set_alive(now()).unwrap();
        assert_eq!(store.alive().unwrap(), Some(now()));
    });
}

#[test]
fn of_the_mails_to_ourselves_the_newest_stays_in_the_mailbox() {
    each_store(|store| {
        let mails = [(at(1), raw("a")), (at(2), raw("b")), (at(3), raw("c")), (at(4), raw("d"))];
        assert!(!store.knows(Digest::of(&raw("a").bytes)).unwrap());
        store.take_in(&mails).unwrap();
        assert!(store.knows(Digest::of(&raw("a").bytes)).unwrap());
        let ids: Vec<i64> =
            store.waiting(9, u64::MAX, true).unwrap().iter().map(|mail| mail.id).collect();
        for (n, what) in [(0, WITNESS), (1, "report"), (2, WITNESS)] {
            let inbox = Some((ids[n], what));
            store.commit(Head::EMPTY, &Commit { inbox, ..Commit::default() }).unwrap();
        }
        assert_eq!(store.spent_witnesses(&folder(1)).unwrap(), [1]);
        store.removed(&folder(1), &[1]).unwrap();
        assert!(store.spent_witnesses(&folder(1)).unwrap().is_empty());
        assert_eq!(store.known_uids(&folder(1), 1).unwrap(), [2, 3, 4].into());
    });
}

/// Each page carries a MAC of its own: one that was changed on the disk is found, whatever it holds.
#[test]
fn a_page_that_was_changed_on_the_disk_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (path, passphrase) = (folder.path().join("desk.db"), Passphrase::new("x"));
    let mut store = Sqlite::create(&path, &passphrase, now()).unwrap();
    put(&mut store, &[sealed("a@desk.test", now())]);
    assert_eq!(store.damage().unwrap(), Vec::<String>::new());
    drop(store);
    let whole = std::fs::read(&path).unwrap();
    for page in 1..whole.len() / 4096 {
        let mut bytes = whole.clone();
        bytes[page * 4096 + 1000] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let found = Sqlite::open(&path, &passphrase).and_then(|store| store.damage());
        assert!(found.is_err() || !found.unwrap().is_empty(), "page {page}");
    }
}

/// What was gathered and not written out is not there after a stop; and a file that is let go of is there until
/// that is durable.
#[test]
fn a_stop_leaves_what_was_written_out_and_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("desk.db");
    let files = || std::fs::read_dir(folder.path().join("desk.spool")).unwrap().count();
    let mut store = Sqlite::create(&path, &Passphrase::new("x"), now()).unwrap();
    store.gather();
    let content = apart(&store, &vec![1; 100_000]);
    put(&mut store, &[Sealed { content, ..sealed("kept@desk.test", now()) }]);
    store.write_out().unwrap();
    let content = apart(&store, &vec![2; 100_000]);
    put(&mut store, &[Sealed { content, ..sealed("lost@desk.test", now()) }]);
    let kept = store.due_mails(now(), 9).unwrap().remove(0);
    assert_eq!((store.due_mails(now(), 9).unwrap().len(), files()), (2, 2));
    let sent = settled(kept.id, "sent", now());
    store
        .commit(Head::EMPTY, &Commit { outbox: std::slice::from_ref(&sent), ..Commit::default() })
        .unwrap();
    drop(store);
    let mut store = Sqlite::open_alone(&path, &Passphrase::new("x")).unwrap();
    let due = store.due_mails(now(), 9).unwrap();
    assert_eq!(
        due.iter().map(|row| row.message_id.as_str()).collect::<Vec<_>>(),
        ["kept@desk.test"]
    );
    assert_eq!(bytes_of(&mut store, kept.id).unwrap().len(), 100_000);
    store.commit(Head::EMPTY, &Commit { outbox: &[sent], ..Commit::default() }).unwrap();
    assert_eq!(files(), 1, "its own is gone; the one that nobody names stays a week");
}

/// An older copy that is put in place by mistake, and put away again, takes nothing of the newest one along.
#[test]
fn an_older_copy_removes_no_file_of_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("desk.db");
    let (older, newest) = (folder.path().join("older"), folder.path().join("newest"));
    drop(Sqlite::create(&path, &Passphrase::new("x"), now()).unwrap());
    std::fs::copy(&path, &older).unwrap();
    let mut store = Sqlite::open_alone(&path, &Passphrase::new("x")).unwrap();
    let large = RawMail { bytes: vec![b'x'; 300_000], ..raw("") };
    store.take_in(&[(at(1), large.clone())]).unwrap();
    drop(store);
    std::fs::copy(&path, &newest).unwrap();
    std::fs::copy(&older, &path).unwrap();
    let store = Sqlite::open_alone(&path, &Passphrase::new("x")).unwrap();
    assert!(store.mail(Digest::of(&large.bytes)).unwrap().is_none());
    drop(store);
    std::fs::copy(&newest, &path).unwrap();
    let store = Sqlite::open_alone(&path, &Passphrase::new("x")).unwrap();
    assert!(store.mail(Digest::of(&large.bytes)).unwrap().is_some());
}

#[test]
fn memory_forgets_at_a_stop_what_was_not_written_out() {
    let mut store = Memory::new(now(), 1);
    store.gather();
    put(&mut store, &[sealed("kept@desk.test", now())]);
    store.write_out().unwrap();
    put(&mut store, &[sealed("lost@desk.test", now())]);
    assert_eq!(store.due_mails(now(), 9).unwrap().len(), 2);
    store.stop();
    assert_eq!(store.due_mails(now(), 9).unwrap().len(), 1);
    // And at the call that it is stopped at: before its effect, and after it.
    for (plan, kept) in [(memory::Plan::StopBefore(1), 1), (memory::Plan::StopAfter(1), 2)] {
        store.plan(plan);
        let mails = [sealed(&format!("{kept}@desk.test"), now())];
        let commit = Commit { mails: &mails, ..Commit::default() };
        assert_eq!(store.commit(Head::EMPTY, &commit).unwrap_err().what, memory::STOPPED);
        assert!(store.commit(Head::EMPTY, &commit).is_err(), "nothing more is written");
        store.stop();
        assert_eq!(store.due_mails(now(), 9).unwrap().len(), kept);
    }
}
