//! What went wrong elsewhere with recipients, their keys, bounces and duplicates, by its number. What
//! went wrong with the keys themselves stands in `zoo.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on should stop"
)]

mod common;

use common::members::{RECORD, approve, at_desk, is_active, number, planned, report};
use common::{World, subjects, to};
use embargod::domain::facts::event::{Delivery, Recipient};
use embargod::domain::facts::names::{PersonId, Span, TaskId};
use embargod::domain::outgoing::verdict::{self, Outcome};
use embargod::edge::pgp::{Keyring, generate};
use embargod::rehearsal::mail::{Draft, Read};
use embargod::rehearsal::{Stage, Who};

/// A delivery report is evidence only; a forged one changes nothing at all.
#[test]
fn d2_a_delivery_report_changes_no_membership_and_a_forged_one_nothing() {
    let mut world = planned();
    approve(&mut world, "advance");
    world.waits(Span::days(11));
    let before = world.stage.engine().unwrap().desk().head.number;
    let new = report(&mut world, Who::Cleo, false, "failed", "5.1.1");
    assert!(new.is_empty(), "{:?}", subjects(&new));
    let desk = world.stage.engine().unwrap().desk();
    assert_eq!(desk.head.number, before + 1, "that it came is all");
    assert_eq!(desk.waitlist.machines().count(), 1, "a line in the digest");
    let new = report(&mut world, Who::Cleo, true, "failed", "5.1.1");
    assert!(to(&new).contains(&Who::Mia), "the team hears of it: {:?}", subjects(&new));
    assert!(is_active(&world, Who::Cleo));
    // However many come, the history does not grow with them.
    let head = world.stage.engine().unwrap().desk().head.number;
    for n in 0..10 {
        report(
            &mut world,
            Who::Cleo,
            true,
            if n % 2 == 0 { "delayed" } else { "failed" },
            &format!("4.0.{n}"),
        );
    }
    let grown = world.stage.engine().unwrap().desk().head.number - head;
    assert!(grown <= 4, "{grown} facts");
    assert!(is_active(&world, Who::Cleo));
}

/// L13: no member's address, name or key in another's mail, in any byte of it.
#[test]
fn l13_each_notice_is_for_one_member_and_says_nothing_of_the_others() {
    use sequoia_openpgp::parse::Parse;
    use sequoia_openpgp::{Packet, PacketPile};
    let mut world = planned();
    approve(&mut world, "advance");
    let new = world.waits(Span::days(11));
    let more = world.seconds(Who::Mia, "/disclose 2026-03-24", Who::Tom);
    let people: Vec<(Who, String, String)> = Who::DISTRIBUTORS
        .iter()
        .map(|who| {
            let id = PersonId::parse(who.id()).unwrap();
            let person = world.stage.engine().unwrap().desk().roster.person(&id).unwrap();
            (*who, person.name.clone(), person.fingerprint.to_string())
        })
        .collect();
    // Inside.
    let mut looked = 0;
    for (who, mail) in new.iter().chain(&more).filter(|(who, _)| Who::DISTRIBUTORS.contains(who)) {
        let mut whole = format!("{}\n{}", mail.subject, mail.text);
        for (_, bytes) in &mail.attachments {
            whole.push_str(&String::from_utf8_lossy(bytes));
        }
        for (other, name, fingerprint) in people.iter().filter(|(other, ..)| other != who) {
            let marks =
                [other.address(), name.clone(), fingerprint.clone(), fingerprint[24..].to_owned()];
            for mark in marks {
                assert!(!whole.contains(&mark), "{}'s mail holds {mark}", who.id());
            }
        }
        looked += 1;
    }
    assert_eq!(looked, 6);
    // Outside: one recipient, one key packet, nobody else's address or key id in any byte.
    for file in std::fs::read_dir(world.folder().join("mails")).unwrap().flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        let Some(to) = name.split("-desk-to-").nth(1).map(|to| to.trim_end_matches(".eml")) else {
            continue;
        };
        let Some((who, ..)) = people.iter().find(|(who, ..)| who.id() == to) else { continue };
        let mail = std::fs::read_to_string(file.path()).unwrap();
        let begin = mail.find("-----BEGIN PGP MESSAGE").unwrap();
        let pile = PacketPile::from_bytes(&mail.as_bytes()[begin..]).unwrap();
        let keys: Vec<String> = pile
            .children()
            .filter_map(|packet| match packet {
                Packet::PKESK(pkesk) => Some(pkesk.recipient().unwrap().to_string()),
                _ => None,
            })
            .collect();
        assert_eq!(keys.len(), 1, "{name}");
        for (other, ..) in people.iter().filter(|(other, ..)| other != who) {
            assert!(!mail.contains(&other.address()), "{name} names {}", other.id());
            let theirs = world.stage.keyring(*other).unwrap().certificate();
            let ids = theirs.facts(world.stage.now()).subkeys;
            assert!(ids.iter().all(|subkey| !keys[0].ends_with(&subkey.id)), "{name}");
        }
    }
}

/// L3: whoever the config had in a group is a member in the journal, with their key, and is never
/// written to in clear for want of one.
#[test]
fn l3_members_of_an_older_config_are_taken_over_once_with_their_keys() {
    let world = World::new();
    let desk = world.stage.engine().unwrap().desk();
    for who in Who::DISTRIBUTORS {
        let id = PersonId::parse(who.id()).unwrap();
        let member = desk.members.get(&id).unwrap();
        assert_eq!(member.imported.as_deref(), Some("config"));
        let own = world.stage.keyring(who).unwrap().certificate().fingerprint();
        assert_eq!(member.keys[0].fingerprint, own);
    }
    assert!(desk.not_taken_over().is_empty());
}

/// The warnings about a key come on their days, each once, and about the day it really ends.
#[test]
fn d16_a_key_that_ends_is_told_on_its_days_and_on_no_other() {
    let born = common::start() - Span::days(265);
    let (secret, _) = generate("ann", &Who::Ann.address(), None, Some(1), born).unwrap();
    let ann = Keyring::open(&[secret], None, [0; 32], common::start()).unwrap();
    let (fingerprint, armored) = (ann.certificate().fingerprint(), ann.certificate().armored());
    let mut world = World::with(move |sources| {
        let person = sources.roster.people.get_mut(&PersonId::parse("ann").unwrap()).unwrap();
        (person.fingerprint, person.certificate) = (fingerprint, armored);
    });
    world.waits(Span::days(130));
    let end = born + Span::days(365);
    // Sealed ones cannot be opened by the story's own key for Ann; that they came is what counts.
    let mut days: Vec<i64> = world
        .stage
        .arrivals
        .iter()
        .filter(|(_, who, _)| *who == Who::Ann)
        .map(|(at, ..)| {
            (end - *at).num_hours().div_euclid(24)
                + i64::from((end - *at).num_seconds() % 86_400 != 0)
        })
        .collect();
    days.dedup();
    assert_eq!(days, [90, 30, 14, 7, 1, 0], "days before its end");
    let clear: Vec<&Read> = world
        .stage
        .arrivals
        .iter()
        .filter(|(_, who, mail)| *who == Who::Ann && mail.by_desk)
        .map(|(.., mail)| mail)
        .collect();
    assert_eq!(clear.len(), 3, "in clear at 7 days, 1 day and the end: {clear:?}");
    assert!(clear.iter().all(|mail| !mail.protection.is_encrypted()));
    assert!(clear.iter().all(|mail| !mail.says("DEMO-")));
    let told = world
        .stage
        .arrivals
        .iter()
        .filter(|(_, who, mail)| *who == Who::Tom && mail.subject.contains("key"));
    assert_eq!(told.count(), 6, "the team each time");
}

/// One address that is refused and one that is put off hold up nobody, and are not the same.
#[test]
fn d18_one_recipient_that_is_refused_stops_no_other() {
    let mut world = planned();
    approve(&mut world, "advance");
    let refused = Outcome::Said(verdict::Stage::To, "550 5.1.1 no such user".to_owned());
    let busy = Outcome::Said(verdict::Stage::To, "451 4.7.1 try again".to_owned());
    world.stage.answers.insert(Who::Ann, [refused.clone(), refused].into());
    world.stage.answers.insert(Who::Bob, [busy.clone(), busy].into());
    let new = world.waits(Span::days(11));
    let had = |who: Who| {
        new.iter().filter(|(to, m)| *to == who && m.subject.contains("Advance notice")).count()
    };
    assert_eq!(Who::DISTRIBUTORS.map(had), [0, 1, 1], "{:?}", subjects(&new));
    let ledger = world.incident().ledger(&TaskId::parse("MI-3.1").unwrap());
    let delivery = |who: Who| {
        let person = Recipient::Person(PersonId::parse(who.id()).unwrap());
        ledger[&person].1.delivery
    };
    assert_eq!(delivery(Who::Ann), Delivery::Dead);
    assert_eq!(delivery(Who::Bob), Delivery::Accepted, "put off is not refused");
    let told = new.iter().any(|(to, mail)| *to == Who::Mia && mail.says("550 5.1.1"));
    assert!(told, "the team reads what the server said: {:?}", subjects(&new));
}

/// D19, R1, R9: the power goes again and again while a notice leaves: each member has it once, and
/// nothing is called taken before the server took it.
#[test]
fn r9_d19_each_member_gets_a_notice_once_whatever_stops_the_desk() {
    let mut world = planned();
    approve(&mut world, "advance");
    world.stage.cut_power_every(5);
    world.waits(Span::days(11));
    assert!(world.stage.cuts > 3, "only {} cuts", world.stage.cuts);
    for who in Who::DISTRIBUTORS {
        let mails = world.stage.mailbox(who).unwrap();
        let notices = mails.iter().filter(|mail| mail.subject.contains("Advance notice"));
        assert_eq!(notices.count(), 1, "{}", who.id());
    }
    let ledger = world.incident().ledger(&TaskId::parse("MI-3.1").unwrap());
    assert!(ledger.values().all(|(_, entry)| entry.delivery == Delivery::Accepted), "{ledger:?}");
}

/// Minder with a date, where Bob's key ends five days from now, before the notice.
fn with_bobs_key_ending() -> World {
    let born = common::start() - Span::days(360);
    let (secret, _) = generate("bob", &Who::Bob.address(), None, Some(1), born).unwrap();
    let bob = Keyring::open(&[secret], None, [0; 32], common::start()).unwrap();
    let (fingerprint, armored) = (bob.certificate().fingerprint(), bob.certificate().armored());
    let mut world = World::with(move |sources| {
        let person = sources.roster.people.get_mut(&PersonId::parse("bob").unwrap()).unwrap();
        (person.fingerprint, person.certificate) = (fingerprint, armored);
    });
    world.does(Who::Mia, "/accept\n/lead me");
    world.does(Who::Mia, RECORD);
    world.does(Who::Mia, "/disclose 2026-03-19");
    world.does(Who::Tom, "/done fix-ready\n/done agree-day");
    world.does(Who::Mia, "/done agree-day\n/done plan");
    world
}

/// R4: a certificate that looks usable and is not is tried once, and not at every turn.
#[test]
fn r4_a_copy_that_cannot_be_sealed_is_not_tried_for_ever() {
    let mut world = with_bobs_key_ending();
    approve(&mut world, "advance");
    world.waits(Span::days(11));
    let before = world.stage.mailbox(Who::Bob).unwrap().len();
    for n in 0..5 {
        at_desk(&mut world, Who::Mia, &format!("/member suspend cleo {n}"));
        at_desk(&mut world, Who::Mia, "/member reinstate cleo");
        let n = number(&world, Who::Cleo);
        at_desk(&mut world, Who::Tom, &format!("/member approve cleo@{n}"));
    }
    assert_eq!(world.stage.mailbox(Who::Bob).unwrap().len(), before, "not once more");
}

/// What left for somebody, as it lay on the wire.
fn on_the_wire(world: &World, who: Who) -> Vec<String> {
    let of = |file: std::fs::DirEntry| {
        let name = file.file_name().to_string_lossy().into_owned();
        let theirs = name.contains(&format!("-desk-to-{}.eml", who.id()));
        theirs.then(|| std::fs::read_to_string(file.path()).unwrap())
    };
    std::fs::read_dir(world.folder().join("mails")).unwrap().flatten().filter_map(of).collect()
}

/// L10: where a key is missing, no part of the mail leaves, attachments and all.
#[test]
fn l10_without_a_key_no_part_of_a_notice_leaves() {
    let mut world = with_bobs_key_ending();
    let mut draft = Draft::sealed(&format!("/preview advance\n\n> {}", world.reference()));
    let patch = b"the quince in the parser".to_vec();
    draft.attachments.push(("quince.patch".to_owned(), patch.clone()));
    world.sends(Who::Mia, &draft);
    world.does(Who::Tom, "/approve advance@1");
    let new = world.waits(Span::days(11));
    let anns = new.iter().find(|(who, m)| *who == Who::Ann && m.subject.contains("Advance notice"));
    let (name, bytes) = &anns.unwrap().1.attachments[0];
    assert_eq!((name.as_str(), bytes), ("quince.patch", &patch), "to whom it can be sealed");
    let bobs = on_the_wire(&world, Who::Bob);
    assert!(bobs.iter().any(|mail| mail.contains("key")), "he is told, and told nothing");
    for mail in bobs.iter().filter(|mail| !mail.contains("-----BEGIN PGP MESSAGE")) {
        for word in
            ["quince", "dGhlIHF1aW5jZSBpbiB0aGUgcGFyc2Vy", "Advance", "CVE-", world.handle.as_str()]
        {
            assert!(!mail.contains(word), "{word} in clear: {mail}");
        }
    }
    let ledger = world.incident().ledger(&TaskId::parse("MI-3.1").unwrap());
    let bob = Recipient::Person(PersonId::parse("bob").unwrap());
    assert_eq!(ledger[&bob].1.delivery, Delivery::Withheld);
}

/// L15, R8: to the one address that is pinned and to no other, encrypted, once, with one signed text
/// inside and no second envelope.
#[test]
fn l15_r8_a_notice_is_encrypted_once_to_one_address() {
    use sequoia_openpgp::parse::Parse;
    use sequoia_openpgp::{Packet, PacketPile};
    let mut world = planned();
    approve(&mut world, "advance");
    let new = world.waits(Span::days(11));
    for who in Who::DISTRIBUTORS {
        let notices = new.iter().filter(|(to, m)| *to == who && m.subject.contains("Advance"));
        let inside: Vec<_> = notices.collect();
        assert_eq!(inside.len(), 1, "{}", who.id());
        assert!(!inside[0].1.says("BEGIN PGP"), "{}", inside[0].1.text);
        let sealed = on_the_wire(&world, who);
        for mail in &sealed {
            let (head, body) = mail.split_once("\r\n\r\n").unwrap();
            let to: Vec<&str> = head.lines().filter(|line| line.starts_with("To:")).collect();
            assert_eq!(to, [format!("To: {}", who.address())]);
            assert!(!head.contains("\nCc:") && !head.contains("\nBcc:"), "{head}");
            assert!(head.contains("multipart/encrypted"), "{head}");
            assert_eq!(body.matches("-----BEGIN PGP").count(), 1);
            let begin = body.find("-----BEGIN PGP MESSAGE").unwrap();
            let pile = PacketPile::from_bytes(&body.as_bytes()[begin..]).unwrap();
            let kinds: Vec<bool> =
                pile.children().map(|packet| matches!(packet, Packet::PKESK(_))).collect();
            assert_eq!(kinds, [true, false], "one key, one envelope");
        }
        assert!(!sealed.is_empty());
    }
}

/// L17: a desk whose signing key has ended seals nothing, rather than unsigned.
#[test]
fn l17_without_a_signing_key_nothing_is_made() {
    let born = common::start() - Span::days(360);
    let (secret, _) = generate("Desk", "security@desk.test", None, Some(1), born).unwrap();
    let desk = Keyring::open(&[secret], None, [0; 32], born).unwrap();
    let (to, _) = generate("bob", &Who::Bob.address(), None, None, born).unwrap();
    let to = embargod::edge::pgp::Certificate::read(&to).unwrap();
    let (before, after) = (common::start(), common::start() + Span::days(30));
    assert!(desk.seal(&to, b"text\r\n", before).is_ok() && desk.sign(b"text\r\n", before).is_ok());
    assert!(desk.seal(&to, b"text\r\n", after).is_err(), "not unsigned, and not in clear");
    assert!(desk.sign(b"text\r\n", after).is_err());
}

/// What a bounce is shows in its structure and its return path, and in no word of a person.
#[test]
fn d1_people_who_write_like_a_bounce_are_heard() {
    let words =
        "Undelivered Mail: DoS: delayed auto-reply overflow, vacation, Automatische Antwort";
    let like = "550 5.7.1 rejected\nStatus: 5.1.1\nAction: failed\nDiagnostic-Code: smtp; 550";
    let mut world = planned();
    let mut draft = Draft::sealed(like);
    draft.subject = words.to_owned();
    draft.with_key = true;
    let new = world.sends(Who::Rita, &draft);
    assert!(to(&new).contains(&Who::Rita), "acknowledged: {:?}", subjects(&new));
    assert_eq!(world.stage.engine().unwrap().desk().incidents.len(), 2);
    approve(&mut world, "advance");
    world.waits(Span::days(11));
    let reference = world.reference_of(Who::Ann, &world.handle);
    let mut draft = Draft::sealed(&format!("/ack\n\n{like}\n\n> {reference}"));
    draft.subject = words.to_owned();
    world.sends(Who::Ann, &draft);
    let ledger = world.incident().ledger(&TaskId::parse("MI-3.1").unwrap());
    let ann = Recipient::Person(PersonId::parse("ann").unwrap());
    assert!(ledger[&ann].1.received.is_some(), "{:?}", ledger[&ann]);
}

/// An address is judged by the rules of mail, and not by a list of endings.
#[test]
fn d24_addresses_of_every_ending_are_members_addresses() {
    for text in [
        "psirt@acme.photography",
        "a.b+c_d@xn--bcher-kva.xn--vermgensberatung-pwb",
        "x@y.construction",
        "o'brien@sub.sub.sub.example.museum",
    ] {
        assert!(embargod::domain::facts::names::Address::parse(text).is_some(), "{text}");
        assert!(text.parse::<lettre::Address>().is_ok(), "{text}: the courier takes it as well");
    }
}

/// R3: a machine that answers every mail of ours gets none for it, whether it says that it is one or not.
#[test]
fn r3_a_machine_that_answers_everything_is_not_answered_for_ever() {
    for marked in [true, false] {
        let mut world = planned();
        approve(&mut world, "advance");
        let mut waiting = world.waits(Span::days(11));
        let mut got = 0;
        for n in 0..30 {
            let anns = waiting.iter().rfind(|(who, _)| *who == Who::Ann);
            let Some((_, mail)) = anns else { break };
            got += 1;
            let mark = if marked { "Auto-Submitted: auto-replied\r\n" } else { "" };
            let answer = format!(
                "From: {}\r\nTo: security@desk.test\r\nSubject: Away: Re: {}\r\nDate: {}\r\n\
                 Message-ID: <away{n}@people.test>\r\nIn-Reply-To: <{}>\r\n{mark}\r\nI am away.\r\n",
                Who::Ann.address(),
                mail.outer_subject,
                world.stage.now().to_rfc2822(),
                mail.message_id.clone().unwrap(),
            );
            waiting = world.deliver(answer.into_bytes());
        }
        assert!(got <= if marked { 1 } else { 3 }, "marked: {marked}, {got} mails");
    }
}

/// P3: an alias that is dead for long is seen before the notice that matters.
#[test]
fn p3_an_address_that_bounced_stands_in_the_next_rehearsal() {
    let mut world = planned();
    approve(&mut world, "advance");
    world.waits(Span::days(11));
    report(&mut world, Who::Cleo, true, "failed", "5.1.1");
    world.does(Who::Mia, "/preview final");
    let shown = world.does(Who::Mia, "/rehearse final");
    let line = shown.text.lines().find(|line| line.contains("Cleo")).unwrap();
    assert!(line.contains("last mail BOUNCED 5.1.1"), "{line}");
}

/// Many that are refused are one word to each of the team, and not one for each; and each of them can be tried
/// once more.
#[test]
fn many_that_are_refused_are_told_in_one_word() {
    let mut world = planned();
    approve(&mut world, "advance");
    let refused = Outcome::Said(verdict::Stage::To, "550 5.1.1 no such user".to_owned());
    for who in Who::DISTRIBUTORS {
        world.stage.answers.insert(who, vec![refused.clone(); 50].into());
    }
    let new = world.waits(Span::days(11));
    let told: Vec<&(Who, Read)> =
        new.iter().filter(|(_, mail)| mail.subject.contains("could not be delivered")).collect();
    let to_mia: Vec<_> = told.iter().filter(|(who, _)| *who == Who::Mia).collect();
    assert_eq!(to_mia.len(), 1, "{:?}", subjects(&new));
    for name in ["Ann", "Bob", "Cleo"] {
        assert!(to_mia[0].1.says(name), "{}", to_mia[0].1.text);
    }
    let store = world.stage.engine().unwrap().store();
    let given_up: Vec<i64> = {
        let store = embargod::engine::lock(&store);
        let all = store.listed(None, 100).unwrap();
        all.iter().filter(|listed| listed.state == "dead").map(|listed| listed.row.id).collect()
    };
    assert_eq!(given_up.len(), 3);
    world.stage.answers.clear();
    for id in given_up {
        let now = world.stage.now();
        assert!(embargod::engine::lock(&store).retry(id, now).unwrap());
    }
    drop(store);
    let new = world.waits(Span::hours(1));
    let had =
        |who: Who| new.iter().filter(|(to, m)| *to == who && m.subject.contains("Advance")).count();
    assert_eq!(Who::DISTRIBUTORS.map(had), [1, 1, 1], "{:?}", subjects(&new));
    let ledger = world.incident().ledger(&TaskId::parse("MI-3.1").unwrap());
    assert!(ledger.values().all(|(_, entry)| entry.delivery == Delivery::Accepted), "{ledger:?}");
}

/// A mail server that takes nothing for hours: nobody is given up, `status` says so, and once it is well all
/// of it leaves.
#[test]
fn a_server_that_takes_nothing_loses_nothing_and_is_shown() {
    for said in ["530 5.7.0 authentication required", "550 5.1.1 no such user", "451 4.3.0 later"] {
        let mut world = planned();
        approve(&mut world, "advance");
        world.waits(Span::hours(9 * 24 + 28));
        let answer = Outcome::Said(verdict::Stage::To, said.to_owned());
        for who in Who::ALL {
            world.stage.answers.insert(who, vec![answer.clone(); 100_000].into());
        }
        world.stage.answers_itself = Some(answer);
        let before = world.stage.arrivals.len();
        world.waits(Span::hours(6));
        assert_eq!(world.stage.arrivals.len(), before, "{said}");
        let store = world.stage.engine().unwrap().store();
        let counts = embargod::engine::lock(&store).counts().unwrap();
        let alarms = world.troubles();
        assert!(
            alarms.iter().any(|alarm| alarm.contains("taken nothing since")),
            "{said} {alarms:?} {counts:?}"
        );
        assert_eq!((counts.outbox_dead, counts.outbox_unknown), (0, 0), "{said}");
        drop(store);
        world.stage.answers.clear();
        world.stage.answers_itself = None;
        world.waits(Span::minutes(2));
        let store = world.stage.engine().unwrap().store();
        let store = embargod::engine::lock(&store);
        assert_eq!(store.counts().unwrap().outbox_waiting, 0, "{said}");
        drop(store);
        assert!(world.troubles().iter().all(|alarm| !alarm.contains("taken nothing")));
    }
}
