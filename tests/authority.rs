//! Who may, who must confirm, and what counts once: rights, second people, replay.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop, and says so"
)]

mod common;

use common::{Golden, World, armor, only, start, subjects, to};
use embargod::domain::facts::names::{Span, TaskId};
use embargod::domain::model::incident::Status;
use embargod::edge::pgp::{Keyring, generate};
use embargod::engine::Sources;
use embargod::rehearsal::mail::{Draft, Guard, Protected};
use embargod::rehearsal::{Stage, Who};

/// The process of the story, in which some words have other rights.
fn with_rights(sources: &mut Sources, rights: &str) {
    let minder = sources.playbooks.get_mut("minder").unwrap();
    minder.push_str(rights);
}

#[test]
fn a_word_that_needs_a_second_person_is_confirmed_by_another() {
    let mut golden = Golden::default();
    let rights = "\n[[right]]\nword = \"close\"\nsecond = true\norigin = \"local\"\n";
    let mut world = World::with(|sources| with_rights(sources, rights));
    golden.scene("Mia gives the command; Tom is asked");
    let new = world.says(Who::Mia, "/close");
    assert_eq!(to(&new), [Who::Mia, Who::Tom]);
    golden.add(&new);
    let (own, toms) = (only(&new, Who::Mia), only(&new, Who::Tom));
    let cancel = own.text.lines().find(|line| line.contains("/cancel ")).unwrap();
    let nonce = cancel.split_whitespace().last().unwrap().to_owned();
    golden.scene("Mia cannot confirm it herself, neither with her word nor with Tom's");
    let refusal = world.is_refused(Who::Mia, &format!("/confirm {nonce}"), "a second person");
    golden.add(&[(Who::Mia, refusal)]);
    world.is_refused(Who::Mia, &format!("/confirm {}", toms.nonce().unwrap()), "confirms nothing");
    assert_eq!(world.incident().status, Status::Received);
    golden.scene("Tom confirms it, and Mia is told");
    let new = world.says(Who::Tom, &format!("/confirm {}", toms.nonce().unwrap()));
    assert_eq!(world.incident().status, Status::Closed);
    golden.add(&new);
    golden.scene("It is used up, for everybody");
    let refusal = world.is_refused(
        Who::Tom,
        &format!("/confirm {}", toms.nonce().unwrap()),
        "confirms nothing",
    );
    golden.add(&[(Who::Tom, refusal)]);
    assert!(world.incident().asks.is_empty());
    golden.check("second-person");
}

#[test]
fn the_playbook_says_who_may_and_the_refusal_says_who() {
    let rights = "\n[[right]]\nword = \"title\"\nroles = [\"fix_team\"]\norigin = \"local\"\n";
    let mut world = World::with(|sources| with_rights(sources, rights));
    world.is_refused(Who::Mia, "/title Mine", "is for the Fix Team");
    world.does(Who::Tom, "/title His");
    assert_eq!(world.incident().title.as_deref(), Some("His"));
}

#[test]
fn a_confirmation_dies_with_what_it_rests_on_with_time_and_with_use() {
    let mut world = World::new();
    world.does(Who::Mia, "/accept");
    let nonce = world.does(Who::Mia, "/close").nonce().unwrap();
    // Something that the question showed has changed: a date is set, notices wait.
    world.confirms(Who::Mia, "/disclose 2026-04-06");
    world.is_refused(Who::Mia, &format!("/confirm {nonce}"), "something changed");
    let nonce = world.does(Who::Mia, "/close").nonce().unwrap();
    world.is_refused(Who::Tom, &format!("/confirm {nonce}"), "confirms nothing");
    world.stage.pass(Span::hours(25)).unwrap();
    world.is_refused(Who::Mia, &format!("/confirm {nonce}"), "had to be confirmed by");
    let asked = world.does(Who::Mia, "/close");
    world.does(Who::Mia, &format!("/cancel {}", asked.nonce().unwrap()));
    world.is_refused(Who::Mia, &format!("/confirm {}", asked.nonce().unwrap()), "confirms nothing");
    assert_eq!(world.incident().status, Status::Accepted);
}

#[test]
fn an_approval_is_of_one_draft_by_another_and_void_with_the_next() {
    let mut world = World::new();
    world.does(Who::Mia, "/accept\n/title T\n/set affected all\n/set impact much");
    world.does(Who::Mia, "/disclose 2026-03-23\n/preview advance");
    world.is_refused(Who::Mia, "/approve advance@1", "your own approval does not count");
    world.does(Who::Tom, "/approve advance@1");
    let id = TaskId::parse("MI-3.1").unwrap();
    assert_eq!(world.incident().notices[&id].approvals.len(), 1);
    world.does(Who::Mia, "/preview advance");
    assert!(world.incident().notices[&id].approvals.is_empty(), "void with the new draft");
    world.is_refused(Who::Tom, "/approve advance@1", "is not the newest");
    world.confirms(Who::Mia, "/disclose 2026-04-13");
    world.is_refused(Who::Tom, "/approve advance@2", "a date that has moved");
}

#[test]
fn the_last_lead_and_the_last_of_the_intake_role_stay() {
    let mut world = World::new();
    world.does(Who::Mia, "/accept");
    world.is_refused(Who::Mia, "/leave", "you lead this incident");
    world.does(Who::Mia, "/handoff tom");
    world.is_refused(Who::Mia, "/leave", "you lead this incident");
    world.does(Who::Tom, "/take");
    world.confirms(Who::Mia, "/leave");
    // She is off it: no word of hers counts, and no mail reaches her.
    let new = world.says(Who::Mia, "/status");
    assert!(new.iter().all(|(_, mail)| !mail.says("accepted")), "{:?}", subjects(&new));
    assert_eq!(to(&world.says(Who::Tom, "Talk.")), []);
    world.is_refused(Who::Tom, "/leave", "you lead this incident");
    world.does(Who::Tom, "/lead me");
    // And back, by somebody who may.
    world.confirms(Who::Tom, "/join mia security_team");
    world.does(Who::Mia, "/status");
}

#[test]
fn those_whom_a_word_touches_are_told() {
    let mut golden = Golden::default();
    let mut world = World::new();
    world.does(Who::Mia, "/accept");
    for (what, who, text) in [
        ("Mia names a deputy", Who::Mia, "/deputy tom"),
        ("Mia hands over to Tom", Who::Mia, "/handoff tom"),
        ("Tom takes it", Who::Tom, "/take"),
    ] {
        golden.scene(what);
        golden.add(&world.says(who, text));
    }
    golden.scene("Uma joins");
    let nonce = world.does(Who::Tom, "/join uma fix_team").nonce().unwrap();
    let new = world.says(Who::Tom, &format!("/confirm {nonce}"));
    assert_eq!(to(&new), [Who::Mia, Who::Tom, Who::Uma]);
    golden.add(&new);
    golden.scene("and leaves");
    let nonce = world.does(Who::Uma, "/leave").nonce().unwrap();
    let new = world.says(Who::Uma, &format!("/confirm {nonce}"));
    assert_eq!(to(&new), [Who::Mia, Who::Tom, Who::Uma]);
    golden.add(&new);
    golden.check("touched");
}

//------------ Replay -----------------------------------------------------------------------------

/// What was signed once is done once.
#[test]
fn s7_the_same_signed_bytes_never_count_again() {
    let mut world = World::new();
    let draft = Draft::sealed(&format!("/note once\n\n> {}", world.reference()));
    let entity = draft.entity(None);
    let now = world.stage.now();
    let key = world.stage.keyring(Who::Mia).unwrap();
    let sealed = armor(key.seal(world.stage.desk(), &entity, now).unwrap());
    let mail = world.mail(Who::Mia, "1@x", &draft, &Protected::Encrypted(sealed.clone()));
    world.deliver(mail);
    assert_eq!(world.incident().notes.len(), 1);
    let dresses: Vec<(&str, Protected)> = vec![
        ("as it was, under another id", Protected::Encrypted(sealed.clone())),
        ("encrypted anew", Protected::Encrypted(re_encrypted(&world, &sealed, false))),
        ("with another unhashed area", Protected::Encrypted(re_encrypted(&world, &sealed, true))),
    ];
    for (n, (what, protected)) in dresses.iter().enumerate() {
        let mail = world.mail(Who::Ann, &format!("{n}@replay"), &draft, protected);
        let new = world.deliver(mail);
        assert_eq!(world.incident().notes.len(), 1, "{what}");
        assert!(new.iter().all(|(who, _)| *who == Who::Mia), "{what}: {:?}", subjects(&new));
    }
    // Forwarded as an attachment, and in a list's frame with a footer: nothing is opened inside.
    let inner = world.mail(Who::Mia, "1@x", &draft, &Protected::Encrypted(sealed.clone()));
    let inner = String::from_utf8(inner).unwrap();
    let forwarded = format!(
        "Content-Type: multipart/mixed; boundary=f\r\n\r\n--f\r\nContent-Type: text/plain\r\n\r\nsee below\r\n\
         --f\r\nContent-Type: message/rfc822\r\n\r\n{inner}\r\n--f--\r\n"
    );
    let body = inner.split_once("MIME-Version: 1.0\r\n").unwrap().1;
    let footer = format!(
        "Content-Type: multipart/mixed; boundary=l\r\n\r\n--l\r\n{body}\r\n--l\r\nContent-Type: text/plain\r\n\r\n\
         _______\r\nthe list\r\n--l--\r\n"
    );
    for (n, whole) in [forwarded, footer].into_iter().enumerate() {
        let plain = Draft { guard: Guard::Plain, ..Draft::sealed("") };
        let mail = world.mail(
            Who::Mia,
            &format!("{n}@frame"),
            &plain,
            &Protected::Clear(whole.into_bytes()),
        );
        world.deliver(mail);
        assert_eq!(world.incident().notes.len(), 1);
    }
}

/// Opens a message with the desk's key, and encrypts what is inside once more; with `change`, the
/// part of the signature that is not signed is another one.
fn re_encrypted(world: &World, sealed: &str, change: bool) -> String {
    let path = world.folder().join("keys/desk.secret.asc");
    common::re_encrypt(&std::fs::read(path).unwrap(), world.stage.desk(), sealed, change)
}

#[test]
fn what_was_signed_for_another_desk_counts_at_none() {
    let mut world = World::new();
    let (secret, _) = generate("Other", "security@other.test", None, None, start()).unwrap();
    let other =
        Keyring::open(std::slice::from_ref(&secret), None, [0; 32], world.stage.now()).unwrap();
    let draft = Draft::sealed(&format!("/accept\n\n> {}", world.reference()));
    let key = world.stage.keyring(Who::Mia).unwrap();
    let sealed =
        armor(key.seal(&other.certificate(), &draft.entity(None), world.stage.now()).unwrap());
    // The other desk's people encrypt it to us.
    let carried = common::re_encrypt(&secret, world.stage.desk(), &sealed, false);
    let mail = world.mail(Who::Mia, "1@x", &draft, &Protected::Encrypted(carried));
    let new = world.deliver(mail);
    assert_eq!(world.incident().status, Status::Received, "{:?}", subjects(&new));
    // It was opened, and its signature found to be for somebody else.
    let told = new.iter().find(|(_, mail)| mail.subject.contains("in your name"));
    let (who, told) = told.unwrap_or_else(|| panic!("{:?}", subjects(&new)));
    assert!(*who == Who::Mia && told.says("does not hold"), "{}", told.text);
}

#[test]
fn a_mail_with_two_peoples_signatures_speaks_for_nobody() {
    for (second, pinned) in [(Who::Tom, true), (Who::Rita, false)] {
        let mut world = World::new();
        let draft = Draft::sealed(&format!("/accept\n\n> {}", world.reference()));
        let sealed = common::sealed_by_two(&world, Who::Mia, second, &draft.entity(None));
        let mail = world.mail(Who::Mia, "1@x", &draft, &Protected::Encrypted(sealed));
        let new = world.deliver(mail);
        // Two people of the roster: nobody. One, and somebody else's beside it: that one.
        let wanted = if pinned { Status::Received } else { Status::Accepted };
        assert_eq!(world.incident().status, wanted, "{}: {:?}", second.id(), subjects(&new));
    }
}

#[test]
fn after_a_restore_nothing_that_was_signed_before_counts() {
    let mut world = World::new();
    let draft = Draft::sealed(&format!("/accept\n\n> {}", world.reference()));
    let mail = world.mail(Who::Mia, "1@x", &draft, &world.seal(Who::Mia, &draft.entity(None)));
    let hold = Draft::sealed(&format!("/hold ALL\n\n> {}", world.reference()));
    let late = world.mail(Who::Mia, "2@x", &hold, &world.seal(Who::Mia, &hold.entity(None)));
    world.stage.pass(Span::minutes(5)).unwrap();
    let (_, held) = world.stage.restored().unwrap();
    assert_eq!(held, 1);
    let new = world.deliver(mail);
    world.refused(&new, "put back from a backup");
    assert!(world.incident().is_held(&TaskId::parse("MI-3.1").unwrap()));
    // Holding back counts whenever it was signed; and what is signed anew counts.
    let new = world.deliver(late);
    assert!(only(&new, Who::Mia).subject.contains("Done: hold"), "{:?}", subjects(&new));
    world.does(Who::Mia, "/accept");
}

//------------ What your mail program did ---------------------------------------------------------

/// `/ping` in every form of mail: the answer goes to the pinned key, and says what to change.
#[test]
fn ping_tells_what_the_mail_program_did() {
    let mut golden = Golden::default();
    let mut world = World::new();
    let reference = world.reference();
    let draft = Draft::sealed(&format!("/ping\n\n> {reference}"));
    let entity = draft.entity(None);
    let html = format!("Content-Type: text/html\r\n\r\n<p>/ping</p><p>{reference}</p>\r\n");
    let key = world.stage.keyring(Who::Mia).unwrap();
    let body = entity.strip_suffix(b"\r\n").unwrap().to_vec();
    let signature = armor(key.sign(&body, world.stage.now()).unwrap());
    let inner = "Content-Type: text/plain\r\n\r\nhello";
    let part = armor(key.sign(inner.as_bytes(), world.stage.now()).unwrap()).replace('\n', "\r\n");
    let partly = format!(
        "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: text/plain\r\n\r\n/ping\r\n--m\r\n\
         Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha256; boundary=s\r\n\r\n\
         --s\r\n{inner}\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\n{part}\r\n--s--\r\n--m--\r\n"
    );
    let forms = [
        (
            "signed and encrypted",
            world.seal(Who::Mia, &entity),
            "Commands in a mail like this one count",
        ),
        ("HTML only", world.seal(Who::Mia, html.as_bytes()), "plain text only"),
        ("signed only", Protected::Signed(body, signature), "signed and not encrypted"),
        ("partly signed", Protected::Clear(partly.into_bytes()), "sign the whole mail"),
    ];
    for (n, (what, protected, says)) in forms.into_iter().enumerate() {
        golden.scene(what);
        let mail = world.mail(Who::Mia, &format!("{n}@ping"), &draft, &protected);
        let new: Vec<_> =
            world.deliver(mail).into_iter().filter(|(who, _)| *who == Who::Mia).collect();
        let answers: Vec<_> =
            new.iter().filter(|(_, mail)| !mail.says("What was")).cloned().collect();
        // What is no command of hers is a report in her name, and acknowledged as one.
        let answers: Vec<_> =
            answers.into_iter().filter(|(_, mail)| !mail.subject.contains("We received")).collect();
        assert_eq!(answers.len(), 1, "{what}: {:?}", subjects(&new));
        assert!(
            answers[0].1.text.replace('\n', " ").contains(says),
            "{what}: {}",
            answers[0].1.text
        );
        golden.add(&answers);
    }
    golden.scene("without a reference");
    let new = world.sends(Who::Mia, &Draft::sealed("/ping"));
    assert!(only(&new, Who::Mia).says("need our Ref line"), "{:?}", subjects(&new));
    golden.add(&new);
    // Nobody learns anything who is not pinned.
    let new = world.sends(Who::Ann, &Draft::sealed("/ping"));
    assert!(new.iter().all(|(_, mail)| !mail.says("would NOT have")), "{:?}", subjects(&new));
    golden.check("ping");
}

//------------ What a second look found -----------------------------------------------------------

#[test]
fn what_stands_below_a_confirmation_is_never_a_part_of_what_is_confirmed() {
    let mut world = World::new();
    world.does(Who::Mia, "/accept");
    let asked = world.does(Who::Mia, "/reject\nIt needs root anyway.");
    assert!(asked.says("/confirm"), "{}", asked.text);
    let nonce = asked.nonce().unwrap();
    let new = world.says(Who::Mia, &format!("/confirm {nonce}\n\nTom, the real one is elsewhere."));
    let rita = only(&new, Who::Rita);
    assert!(rita.says("needs root") && !rita.says("elsewhere"), "{}", rita.text);
    assert!(new.iter().any(|(who, mail)| *who == Who::Tom && mail.says("elsewhere")));
}

#[test]
fn one_person_alone_reaches_nobody_by_saying_that_it_is_public() {
    let mut world = World::new();
    world.does(Who::Mia, "/accept\n/title T\n/set affected all\n/set impact much");
    world.confirms(Who::Mia, "/known-public");
    world.is_refused(Who::Mia, "/approve public-1@1", "your own approval does not count");
    let new = world.says(Who::Tom, "/approve public-1@1");
    assert!(to(&new).contains(&Who::Ann));
}

#[test]
fn what_ends_an_accepted_incident_is_asked_about_as_closing_is() {
    let rights = "\n[[right]]\nword = \"close\"\nsecond = true\norigin = \"local\"\n";
    let mut world = World::with(|sources| with_rights(sources, rights));
    let other = common::report(&mut world.stage).handle().unwrap();
    world.does(Who::Mia, "/accept");
    for word in [format!("/duplicate {other}"), format!("/merge {other}"), "/reject x".to_owned()] {
        let answer = world.does(Who::Mia, &word);
        assert!(
            answer.text.replace('\n', " ").contains("A second person must confirm"),
            "{}",
            answer.text
        );
    }
    assert_eq!(world.incident().status, Status::Accepted);
}

#[test]
fn who_has_left_approves_confirms_and_hears_nothing() {
    let mut world = World::new();
    world.does(Who::Mia, "/accept\n/title T\n/set affected all\n/set impact much");
    world.does(Who::Tom, "/done fix-ready\n/done agree-day");
    world.does(Who::Mia, "/done agree-day\n/done plan\n/disclose 2026-03-23\n/preview advance");
    world.does(Who::Tom, "/approve advance@1");
    world.confirms(Who::Tom, "/leave");
    let id = TaskId::parse("MI-3.1").unwrap();
    assert!(world.incident().notices[&id].approvals.is_empty(), "his approval went with him");
    // He joins with one role, and has that one.
    world.confirms(Who::Mia, "/join tom fix_team");
    world.is_refused(Who::Tom, "/close", "you are not among them");
    // Uma was never on it: not even that it is late reaches her with its title.
    let mut world = World::new();
    world.does(Who::Mia, "/title The hidden quince");
    let new = world.waits(Span::hours(30));
    let umas: Vec<_> = new.iter().filter(|(who, _)| *who == Who::Uma).collect();
    assert!(!umas.is_empty(), "an operator hears of it");
    for (_, mail) in umas {
        let reference = format!("Ref: {}", world.handle);
        assert!(!mail.says("quince") && !mail.says(&reference), "{}", mail.text);
    }
}

#[test]
fn a_gate_that_two_must_agree_on_is_skipped_by_two() {
    let mut world = World::new();
    world.does(Who::Mia, "/accept");
    let asked = world.does(Who::Mia, "/skip agree-day no need");
    assert!(
        asked.text.replace('\n', " ").contains("A second person must confirm"),
        "{}",
        asked.text
    );
}

#[test]
fn a_mail_with_too_many_words_does_none_of_them() {
    let mut world = World::new();
    let many = "/note x\n".repeat(50);
    world.is_refused(Who::Mia, &format!("{many}/hold ALL"), "more than 50 lines");
    assert!(world.incident().notes.is_empty());
    world.is_refused(Who::Mia, "/reply\n/tell private_distributors\nhello", "one place only");
}

/// A signed mail that anybody can have opens no incidents in somebody's name.
#[test]
fn s7_a_public_signed_mail_opens_no_heap_of_reports() {
    let mut world = World::new();
    let draft = Draft::plain("Release 3", "We have released version 3.");
    let entity = draft.entity(None);
    let body = entity.strip_suffix(b"\r\n").unwrap().to_vec();
    let key = world.stage.keyring(Who::Mia).unwrap();
    let signature = armor(key.sign(&body, world.stage.now()).unwrap());
    let before = world.stage.mailbox(Who::Tom).unwrap().len();
    for n in 0..25 {
        let protected = Protected::Signed(body.clone(), signature.clone());
        let mail = world.mail(Who::Mia, &format!("{n}@list"), &draft, &protected);
        world.stage.deliver("list@people.test", mail).unwrap();
    }
    world.stage.pass(Span::hours(1)).unwrap();
    let new = world.stage.mailbox(Who::Tom).unwrap().split_off(before);
    assert!(new.len() <= 12, "{}", new.len());
    assert!(new.iter().all(|mail| !mail.says("proven by signature")));
}
