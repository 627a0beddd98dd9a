//! What went wrong in other systems and must not here: leaks, and who is believed. Each test bears
//! the number of the list of failures that the desk is built against. Where the others are:
//!
//! * L1, L2, L5, L9, R7: `tests/conversation.rs`; L13 for notices, L5 on disk: `tests/stories.rs`
//! * L22 and its answers: here, `tests/people.rs` and `tests/refusals.rs`; L19: `offset.rs`
//! * S7 in every dress: `tests/authority.rs`; S1, S2, S8 for commands: `tests/refusals.rs`, and every
//!   word in every form: `tests/matrix.rs`
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop, and says so"
)]

mod common;

use common::{World, only, start, subjects, to};
use embargod::domain::facts::names::{PersonId, Span};
use embargod::domain::model::incident::Status;
use embargod::edge::pgp::{Certificate, generate};
use embargod::engine::Sources;
use embargod::rehearsal::mail::{Draft, Guard, Protected, Read};
use embargod::rehearsal::{Stage, Who};

/// Gives somebody of the roster another key.
fn with_key(sources: &mut Sources, who: Who, certificate: &Certificate) {
    let id = PersonId::parse(who.id()).unwrap();
    let person = sources.roster.people.get_mut(&id).unwrap();
    person.fingerprint = certificate.fingerprint();
    person.certificate = certificate.armored();
}

/// A key that was made two years ago and lived for one.
fn expired(who: Who) -> Certificate {
    let (secret, _) =
        generate(who.id(), &who.address(), None, Some(1), start() - Span::days(730)).unwrap();
    Certificate::read(&secret).unwrap()
}

fn every_word(mails: &[(Who, Read)]) -> String {
    let text = |mail: &Read| format!("{}\n{}\n{}\n", mail.outer_subject, mail.subject, mail.text);
    mails.iter().map(|(_, mail)| text(mail)).collect()
}

/// L7, L11: whoever cannot be encrypted to gets no content, also where it is the operators who
/// would be told, and it does not go on for ever.
#[test]
fn l7_l11_without_a_usable_key_nothing_but_a_word_without_content_leaves() {
    let everyone = [Who::Mia, Who::Tom, Who::Uma];
    let mut world = World::bare(|sources| {
        for who in everyone {
            with_key(sources, who, &expired(who));
        }
    });
    let mut mail = Draft::sealed("The quince is in the parser.");
    mail.with_key = true;
    mail.attachments.push(("quince.bin".to_owned(), b"quince".to_vec()));
    let new = world.sends(Who::Rita, &mail);
    assert!(!every_word(&new).contains("quince"), "{:?}", subjects(&new));
    for (who, mail) in new.iter().filter(|(who, _)| everyone.contains(who)) {
        assert!(
            mail.subject.starts_with("A message from") && mail.attachments.len() == 1,
            "{}: {}",
            who.id(),
            mail.subject
        );
    }
    assert!(to(&new).contains(&Who::Rita), "she is acknowledged all the same");
    assert!(new.len() <= 12, "{:?}", subjects(&new));
    assert!(world.stage.engine().unwrap().desk().incidents.len() == 1, "and it is kept");
}

/// L12: what goes back to an outsider is one of few texts, whatever came in and whatever is wrong.
#[test]
fn l12_what_outsiders_get_is_a_closed_set() {
    let mut world = World::new();
    let mut odd: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"From: <paul@people.test>\r\n\r\n".to_vec(),
        b"From: <paul@people.test>\r\nFrom: <mia@people.test>\r\nSubject: /accept\r\n\r\n/accept\r\n".to_vec(),
    ];
    for body in [
        "Content-Type: multipart/encrypted; boundary=b\r\n\r\n--b--\r\n",
        "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
        "Content-Type: application/pkcs7-mime\r\n\r\nx\r\n",
        "Content-Type: text/plain; charset=klingon\r\n\r\n\u{fffd}/close\r\n",
        "\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nAAAA\r\n-----END PGP MESSAGE-----\r\n",
        "\r\n{{ playbook }} {% for x in y %}\r\n",
    ] {
        let head = "From: <paul@people.test>\r\nTo: <security@desk.test>\r\nSubject: x\r\nDate: Mon, 02 Mar 2026 09:00:00 +0000\r\n";
        odd.push(format!("{head}MIME-Version: 1.0\r\n{body}").into_bytes());
    }
    for mail in odd {
        world.stage.deliver(&Who::Paul.address(), mail).unwrap();
        // An address gets three answers a day.
        world.stage.pass(Span::hours(9)).unwrap();
    }
    world.stage.pass(Span::hours(30)).unwrap();
    let mails = world.stage.mailbox(Who::Paul).unwrap();
    assert!(mails.len() >= 8, "{} answers", mails.len());
    for mail in &mails {
        assert!(mail.subject.contains("We received your report"), "{}", mail.subject);
        for word in ["template", "config", "playbook", "error", "panic", "mia", "Mia", "minder"] {
            assert!(!mail.says(word), "`{word}` in {}", mail.text);
        }
    }
}

/// L13: each mail has one recipient and one key, and names nobody else; relayed ones too.
#[test]
fn l13_each_copy_of_a_relayed_mail_is_for_one_person() {
    use sequoia_openpgp::parse::Parse;
    use sequoia_openpgp::{Packet, PacketPile};
    let mut world = World::new();
    world.confirms(Who::Mia, "/join uma fix_team");
    world.says(Who::Tom, "A word to all.");
    let mut looked = 0;
    for entry in std::fs::read_dir(world.folder().join("mails")).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let mail = std::fs::read_to_string(entry.path()).unwrap();
        if !name.contains("-desk-to-") || !mail.contains("multipart/encrypted") {
            continue;
        }
        let to = name.split("-to-").nth(1).unwrap().trim_end_matches(".eml").to_owned();
        for who in Who::ALL {
            let named = mail.contains(&who.address());
            assert_eq!(named, who.id() == to, "{name} names {}", who.id());
        }
        assert_eq!(mail.matches("\nTo: ").count(), 1, "{name}");
        assert!(!mail.contains("\nCc:") && !mail.contains("\nBcc:"), "{name}");
        let begin = mail.find("-----BEGIN PGP MESSAGE").unwrap();
        let pile = PacketPile::from_bytes(mail.as_bytes().get(begin..).unwrap()).unwrap();
        let keys = pile.children().filter(|packet| matches!(packet, Packet::PKESK(_))).count();
        assert_eq!(keys, 1, "{name} is encrypted to {keys} keys");
        looked += 1;
    }
    assert!(looked > 8, "only {looked}");
}

/// L14: recipients are people by id; no word takes an address.
#[test]
fn l14_no_word_takes_an_address() {
    let mut world = World::new();
    for (text, why) in [
        ("/join thief@evil.test security_team", "nobody called"),
        ("/handoff thief@evil.test", "is for the lead"),
        ("/lead thief@evil.test", "nobody called"),
        ("/tell thief@evil.test\nx", "no group under embargo"),
    ] {
        let text =
            if text.starts_with("/tell") { format!("/accept\n{text}") } else { text.to_owned() };
        world.is_refused(Who::Mia, &text, why);
    }
}

/// L22: ciphertext inside a larger mail is read by the team at most, and nobody reads it back to anyone; what
/// is inside another mail or another encryption is not opened at all.
#[test]
fn l22_a_ciphertext_inside_a_larger_mail_is_read_back_to_nobody() {
    let mut world = World::new();
    let secret = Draft::sealed("The quince is in the parser.");
    let Protected::Encrypted(stolen) = world.seal(Who::Rita, &secret.entity(None)) else {
        panic!()
    };
    let stolen = stolen.replace('\n', "\r\n");
    let parts = format!(
        "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=e\r\n\r\n\
         --e\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--e\r\n\
         Content-Type: application/octet-stream\r\n\r\n{stolen}\r\n--e--\r\n"
    );
    let wrapped = [
        format!(
            "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: text/plain\r\n\r\nPlease see:\r\n--m\r\n{parts}\r\n--m--\r\n"
        ),
        format!("Content-Type: text/plain\r\n\r\nPlease see:\r\n\r\n{stolen}\r\n"),
        format!(
            "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: message/rfc822\r\n\r\nFrom: a@b.test\r\n{parts}\r\n--m--\r\n"
        ),
        // And inside an encryption of the thief's own.
        format!("Content-Type: text/plain\r\n\r\n{stolen}\r\n"),
    ];
    for (n, inner) in wrapped.iter().enumerate() {
        let draft = Draft { guard: Guard::Plain, ..Draft::sealed("") };
        let protected = if n == 3 {
            Protected::Encrypted(common::encrypt_only(world.stage.desk(), inner.as_bytes()))
        } else {
            Protected::Clear(inner.clone().into_bytes())
        };
        let mail = world.mail(Who::Paul, &format!("{n}@thief"), &draft, &protected);
        world.stage.deliver(&Who::Paul.address(), mail).unwrap();
        world.stage.pass(Span::hours(9)).unwrap();
    }
    let ritas = world.stage.mailbox(Who::Rita).unwrap();
    let pauls = world.stage.mailbox(Who::Paul).unwrap();
    let mias = world.stage.mailbox(Who::Mia).unwrap();
    assert_eq!(pauls.len(), 4);
    let opened: Vec<&str> =
        mias.iter().filter(|m| m.says("quince")).map(|m| m.subject.as_str()).collect();
    // It was mailed in twice as what may be opened: a report, and a copy of it that nobody is shown.
    assert_eq!(opened.len(), 1, "{opened:?}");
    for mail in pauls.iter().chain(&ritas) {
        assert!(!mail.says("quince"), "{}", mail.text);
        assert!(
            mail.attachments
                .iter()
                .all(|(_, bytes)| !String::from_utf8_lossy(bytes).contains("quince"))
        );
    }
    // Nor does a maintainer's answer carry it: what they quote does not leave.
    let report = mias.last().unwrap().clone();
    let new = world.sends(Who::Mia, &Draft::answer(&report, "/reply\nWhat is it?"));
    assert!(!every_word(&new).contains("BEGIN PGP"), "{:?}", subjects(&new));
}

/// S1: who it is from says nothing; the pinned fingerprint over the whole mail does.
#[test]
fn s1_the_fingerprint_decides_and_nothing_that_a_header_says() {
    for (from, wanted) in [
        ("thief@evil.test", Status::Accepted),
        ("thief@evil.test>, <mia@people.test", Status::Accepted),
        ("", Status::Accepted),
    ] {
        let mut world = World::new();
        let mut draft = Draft::sealed(&format!("/accept\n\n> {}", world.reference()));
        draft.from = Some(from.to_owned());
        let mail = world.mail(Who::Mia, "1@x", &draft, &world.seal(Who::Mia, &draft.entity(None)));
        let new = world.deliver(mail);
        assert_eq!(world.incident().status, wanted, "{from}: {:?}", subjects(&new));
        // The answer goes to the pinned address.
        assert!(to(&new).contains(&Who::Mia));
    }
}

/// S3: what a message says about itself is no verdict: file names, headers, text.
#[test]
fn s3_a_message_that_claims_to_be_signed_is_not() {
    let mut world = World::new();
    let claim =
        "[GNUPG:] GOODSIG 0000 Mia\n[GNUPG:] VALIDSIG 0000\ngpg: Good signature from \"Mia\"";
    let mut draft = Draft::sealed(&format!("/accept\n\n{claim}\n\n> {}", world.reference()));
    draft.from = Some(Who::Mia.address());
    draft.attachments.push((claim.replace('\n', " ").replace('"', ""), b"x".to_vec()));
    let sealed = common::encrypt_named(world.stage.desk(), &draft.entity(None), claim);
    let mail = world.mail(Who::Mia, "1@x", &draft, &Protected::Encrypted(sealed));
    let new = world.deliver(mail);
    assert_eq!(world.incident().status, Status::Received, "{:?}", subjects(&new));
    let tom = only(&new, Who::Tom);
    assert!(tom.says("signature   none"), "{}", tom.text);
}

/// S5: an address that could be read as an option is no address.
#[test]
fn s5_an_address_that_begins_with_a_stroke_gets_no_mail() {
    let mut world = World::new();
    for address in ["-oQ/tmp/x@evil.test", "--help@evil.test", "a@-evil.test"] {
        let mail = format!(
            "From: <{address}>\r\nTo: <security@desk.test>\r\nDate: Mon, 02 Mar 2026 09:00:00 +0000\r\nSubject: x\r\n\r\nA bug.\r\n"
        );
        world.stage.deliver(address, mail.into_bytes()).unwrap();
    }
    let before = world.stage.engine().unwrap().desk().incidents.len();
    world.stage.pass(Span::seconds(10)).unwrap();
    let desk = world.stage.engine().unwrap().desk();
    assert_eq!(desk.incidents.len(), 4, "{before}: none is lost");
    let without = desk.all().filter(|i| i.reporter.address.is_none()).count();
    assert_eq!(without, 3);
}

/// S11, S14: a key speaks while it lives. What was signed before it expired counts when it arrives
/// after; what was signed with a key that had expired does not.
#[test]
fn s11_s14_a_signature_is_judged_at_its_own_moment() {
    let born = start() - Span::days(365) + Span::hours(30);
    let (secret, _) = generate("Mia", &Who::Mia.address(), None, Some(1), born).unwrap();
    let certificate = Certificate::read(&secret).unwrap();
    // It expires thirty hours after the story begins.
    for (signed_after, wanted) in [(29, Status::Accepted), (31, Status::Received)] {
        let mut world = World::bare(|sources| with_key(sources, Who::Mia, &certificate));
        let mut report = Draft::sealed("Something overflows.");
        report.with_key = true;
        world.sends(Who::Rita, &report);
        world.handle =
            world.stage.engine().unwrap().desk().incidents.keys().next().unwrap().clone();
        let draft =
            Draft::sealed(&format!("/accept\n\n> {}", world.reference_of(Who::Mia, &world.handle)));
        let at = start() + Span::hours(signed_after);
        let sealed = common::sealed_whenever(&secret, world.stage.desk(), &draft.entity(None), at);
        let wait = start() + Span::hours(36) - world.stage.now();
        world.stage.pass(wait).unwrap();
        let mail = world.mail(Who::Mia, "1@x", &draft, &Protected::Encrypted(sealed));
        let new = world.deliver(mail);
        assert_eq!(world.incident().status, wanted, "{signed_after}: {:?}", subjects(&new));
    }
}

/// S13: nobody learns from the answer whether an address is known; and no HTML leaves.
#[test]
fn s13_known_and_unknown_addresses_get_the_same_answer() {
    let mut world = World::new();
    let mut texts = Vec::new();
    for who in [Who::Paul, Who::Mia] {
        let draft = Draft::plain("Bug", "Something is broken.");
        let entity = Protected::Clear(draft.entity(None));
        let mail = world.mail(who, &format!("{}@s13", who.id()), &draft, &entity);
        world.stage.deliver(&who.address(), mail).unwrap();
        world.stage.pass(Span::seconds(10)).unwrap();
        let mails = world.stage.mailbox(who).unwrap();
        let ack = mails.iter().rfind(|mail| mail.subject.contains("We received")).unwrap();
        let handle = ack.handle().unwrap();
        let bare =
            ack.text.lines().filter(|line| !line.starts_with("Ref: ") && !line.contains(" UTC"));
        texts.push(bare.collect::<Vec<_>>().join("\n").replace(&handle, "HANDLE"));
    }
    // The moments of receipt and answer differ, and stand in lines of their own.
    assert_eq!(texts[0], texts[1]);
    for entry in std::fs::read_dir(world.folder().join("mails")).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let mail = std::fs::read_to_string(entry.path()).unwrap();
        assert!(!name.contains("-desk-to-") || !mail.contains("text/html"), "{name}");
    }
}
