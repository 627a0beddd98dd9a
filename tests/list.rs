//! The private list: how somebody becomes a member and stops being one, keys that end and change,
//! what is known of each copy, dates that move, and an embargo that gets out.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on should stop"
)]

mod common;

use common::members::{
    RECORD, approve, at_desk, certificate, desk_reference, is_active, join, nonce, number, planned,
    refusal, report, sent, with_key,
};
use common::{Golden, World, only, subjects, to};
use embargod::domain::facts::event::{Delivery, Recipient};
use embargod::domain::facts::letter::Fate;
use embargod::domain::facts::names::{PersonId, Span, TaskId};
use embargod::edge::pgp::{Keyring, generate};
use embargod::rehearsal::Who;
use embargod::rehearsal::mail::{Draft, Read};

#[test]
fn somebody_becomes_a_member_by_all_the_steps_and_by_no_fewer() {
    let mut world = World::new();
    let mut golden = Golden::default();
    golden
        .scene("Dora is proposed, proves her key, accepts the terms, is vouched for and approved");
    join(&mut world, Who::Dora, &mut golden, "");
    assert!(is_active(&world, Who::Dora));
    let new = at_desk(&mut world, Who::Tom, "/member show dora\n/member list");
    golden.add(&new);
    golden.check("joining");
    for without in ["proof", "vouch", "criterion", "approval"] {
        let mut world = World::new();
        join(&mut world, Who::Dora, &mut Golden::default(), without);
        assert!(!is_active(&world, Who::Dora), "without {without}");
        assert_eq!(
            world.stage.engine().unwrap().desk().members,
            world.stage.replayed().unwrap().members
        );
    }
}

#[test]
fn one_person_alone_adds_nobody_and_an_approval_is_of_what_stood_then() {
    let mut world = World::new();
    join(&mut world, Who::Dora, &mut Golden::default(), "approval");
    let n = number(&world, Who::Dora);
    let new = at_desk(&mut world, Who::Mia, &format!("/member approve dora@{n}"));
    refusal(&new, Who::Mia, "needs two people");
    let new = at_desk(&mut world, Who::Tom, "/member approve dora@1");
    refusal(&new, Who::Tom, &format!("what you would approve of `dora` is dora@{n}"));
    // Who has no part in it.
    let new = at_desk(&mut world, Who::Uma, &format!("/member approve dora@{n}"));
    refusal(&new, Who::Uma, "you are not among them");
    let new = at_desk(&mut world, Who::Dora, &format!("/member approve dora@{n}"));
    refusal(&new, Who::Dora, "does not know the word");
    let new = at_desk(&mut world, Who::Dora, "/vouch dora");
    refusal(&new, Who::Dora, "nobody called `dora`");
    assert!(!is_active(&world, Who::Dora));
    // Somebody else's key, address or id.
    for (who, text, why) in [
        (Who::Ann, "/member propose new private_distributors", "is pinned for `ann`"),
        (Who::Dora, "/member propose other private_distributors", "is pinned for `dora`"),
        (Who::Eve, "/member propose tom private_distributors", "somebody of the team"),
        (
            Who::Eve,
            "/member propose eve private_distributors ann@people.test",
            "no address in the key",
        ),
        (Who::Eve, "/member propose eve dev_list", "no group with members"),
    ] {
        let draft = with_key(&world, text, who);
        let new = sent(&mut world, Who::Mia, draft);
        let mail = only(&new, Who::Mia);
        let said = format!("{} {}", mail.subject, mail.text).replace('\n', " ");
        assert!(mail.subject.contains("Not done") && said.contains(why), "{text}: {said}");
    }
}

#[test]
fn a_challenge_is_answered_with_the_key_it_was_sealed_to_and_by_nobody_else() {
    let mut world = World::new();
    let draft = with_key(&world, "/member propose dora private_distributors", Who::Dora);
    let proposed = sent(&mut world, Who::Mia, draft);
    let answer = format!("/key confirm {}", nonce(&only(&proposed, Who::Dora)));
    let new = at_desk(&mut world, Who::Ann, &answer);
    refusal(&new, Who::Ann, "no key of yours was asked that");
    let new = at_desk(&mut world, Who::Dora, "/key confirm 0000000000000000");
    refusal(&new, Who::Dora, "no key of yours was asked that");
    // An applicant is in no group yet: she answers nothing and steers nothing.
    for word in ["/ack", "/leak it is out", "/accept", "/member list"] {
        let new = at_desk(&mut world, Who::Dora, word);
        assert!(only(&new, Who::Dora).subject.contains("Not done"), "{word}: {:?}", subjects(&new));
    }
    let new = at_desk(&mut world, Who::Dora, &answer);
    assert!(only(&new, Who::Dora).subject.contains("Done"), "{:?}", subjects(&new));
}

#[test]
fn who_joins_late_gets_what_they_missed_and_who_is_out_gets_nothing_more() {
    let mut world = planned();
    approve(&mut world, "advance");
    at_desk(&mut world, Who::Mia, "/member suspend cleo does not answer");
    assert!(!is_active(&world, Who::Cleo));
    let new = world.waits(Span::days(11));
    let notices: Vec<Who> = new
        .iter()
        .filter(|(_, mail)| mail.subject.contains("Advance notice"))
        .map(|(who, _)| *who)
        .collect();
    assert_eq!(notices, [Who::Ann, Who::Bob], "{:?}", subjects(&new));
    // Dora joins: she gets it, marked as a late copy, with the entry for her calendar.
    join(&mut world, Who::Dora, &mut Golden::default(), "approval");
    let n = number(&world, Who::Dora);
    let new = at_desk(&mut world, Who::Tom, &format!("/member approve dora@{n}"));
    let late: Vec<&Read> = new
        .iter()
        .filter(|(who, mail)| *who == Who::Dora && mail.subject.contains("Advance notice"))
        .map(|(_, mail)| mail)
        .collect();
    assert_eq!(late.len(), 1, "{:?}", subjects(&new));
    assert!(late[0].says("This is a LATE COPY for you."), "{}", late[0].text);
    assert_eq!(late[0].attachments[0].0, "embargo.ics");
    // Cleo is let in again by two, and gets it as well.
    at_desk(&mut world, Who::Mia, "/member reinstate cleo");
    let new = at_desk(&mut world, Who::Mia, "/member approve cleo@2");
    refusal(&new, Who::Mia, "needs two people");
    let new = at_desk(&mut world, Who::Tom, "/member approve cleo@2");
    let cleos =
        new.iter().filter(|(who, mail)| *who == Who::Cleo && mail.subject.contains("Advance"));
    assert_eq!(cleos.count(), 1, "{:?}", subjects(&new));
    // Bob is removed: the final text goes to the others.
    at_desk(&mut world, Who::Tom, "/member remove bob shared what the list says");
    approve(&mut world, "final");
    let new = world.waits(Span::days(7));
    let finals: Vec<Who> = new
        .iter()
        .filter(|(_, m)| m.subject.contains("Reminder") || m.subject.contains("Final"))
        .map(|(w, _)| *w)
        .collect();
    assert!(finals.contains(&Who::Ann) && finals.contains(&Who::Dora), "{:?}", subjects(&new));
    assert!(!to(&new).contains(&Who::Bob), "{:?}", subjects(&new));
    // Nobody had the same thing twice.
    assert_eq!(world.stage.doubles, 0);
    // His key is dropped with him: what he signs is nobody's.
    let desk = world.stage.engine().unwrap().desk();
    assert!(desk.roster.person(&PersonId::parse("bob").unwrap()).is_none());
    assert_eq!(desk.members, world.stage.replayed().unwrap().members);
}

#[test]
fn a_member_who_is_taken_out_between_release_and_dialling_gets_nothing() {
    let mut world = planned();
    approve(&mut world, "advance");
    world.does(Who::Mia, "/hold ALL");
    world.waits(Span::days(11));
    at_desk(&mut world, Who::Mia, "/member suspend bob late");
    world.does(Who::Mia, "/audience private_distributors ann");
    let new = world.seconds(Who::Mia, "/resume ALL", Who::Tom);
    let outside: Vec<Who> =
        to(&new).into_iter().filter(|w| Who::DISTRIBUTORS.contains(w)).collect();
    assert_eq!(outside, [Who::Ann], "{:?}", subjects(&new));
}

#[test]
fn what_members_say_and_what_servers_report_stands_in_the_ledger() {
    let mut golden = Golden::default();
    let mut world = planned();
    approve(&mut world, "advance");
    golden.scene("The rehearsal");
    let new = world.says(Who::Mia, "/rehearse advance");
    golden.add(&new);
    world.waits(Span::days(11));
    golden.scene("Ann has it, and is ready; Bob objects; Cleo's comes back");
    golden.add(&world.says(Who::Ann, "/ack"));
    golden.add(&world.says(Who::Ann, "/ready advance"));
    golden.add(&world.says(Who::Bob, "/ack\n/objection\n\nThat is a holiday here."));
    report(&mut world, Who::Cleo, true, "failed", "5.1.1");
    golden.scene("The ledger");
    golden.add(&world.says(Who::Mia, "/ledger advance"));
    golden.check("ledger");
    let ledger = world.incident().ledger(&TaskId::parse("MI-3.1").unwrap());
    let entry = |who: Who| ledger[&Recipient::Person(PersonId::parse(who.id()).unwrap())].1.clone();
    assert!(entry(Who::Ann).ready.is_some() && entry(Who::Bob).received.is_some());
    assert_eq!(entry(Who::Cleo).report.unwrap().1, Fate::Failed);
    assert_eq!(entry(Who::Cleo).delivery, Delivery::Accepted);
}

/// The entry for a calendar among the attachments.
fn entry(mail: &Read) -> String {
    let found = mail.attachments.iter().find(|(name, _)| name == "embargo.ics");
    String::from_utf8(found.unwrap_or_else(|| panic!("{}", mail.text)).1.clone()).unwrap()
}

#[test]
fn a_date_that_moves_twice_is_told_once_each_and_the_entry_takes_the_place_of_the_last() {
    let mut world = planned();
    approve(&mut world, "advance");
    let new = world.waits(Span::days(11));
    let first = entry(&only(&new, Who::Ann));
    let value = |text: &str, key: &str| {
        text.lines()
            .find(|line| line.starts_with(key))
            .unwrap_or_else(|| panic!("{key}: {text}"))
            .to_owned()
    };
    assert!(
        first.contains("METHOD:PUBLISH") && first.contains("DTSTART:20260319T160000Z"),
        "{first}"
    );
    assert!(!first.contains('T') || !first.contains("Overflow"), "{first}");
    let dates = [("2026-03-24", "20260324T160000Z"), ("2026-03-26", "20260326T160000Z")];
    for ((day, start), moved) in dates.into_iter().zip(1_u32..) {
        let new = world.seconds(Who::Mia, &format!("/disclose {day}"), Who::Tom);
        for who in Who::DISTRIBUTORS {
            let told = only(&new, who);
            assert!(told.subject.contains("Date changed"), "{}", told.subject);
            let entry = entry(&told);
            assert_eq!(value(&entry, "UID:"), value(&first, "UID:"));
            assert_eq!(value(&entry, "DTSTART"), format!("DTSTART:{start}"));
            let sequence: u32 = value(&entry, "SEQUENCE:")[9..].parse().unwrap();
            assert_eq!(sequence, moved, "{entry}");
        }
    }
    assert_eq!(world.stage.doubles, 0);
}

//------------ Keys -------------------------------------------------------------------------------

/// Another key for somebody, and a way to write with it.
fn another_key(world: &World, who: Who) -> (Keyring, Vec<u8>) {
    let born = world.stage.now() - Span::hours(1);
    let (secret, _) = generate(who.id(), &who.address(), None, None, born).unwrap();
    let keyring = Keyring::open(&[secret], None, [0; 32], world.stage.now()).unwrap();
    let certificate = keyring.certificate().armored().into_bytes();
    (keyring, certificate)
}

fn by_key(world: &mut World, keyring: &Keyring, who: Who, text: &str) -> Vec<(Who, Read)> {
    let reference = desk_reference(world, who);
    let draft = Draft::sealed(&format!("{text}\n\n> {reference}\n"));
    let sealed = keyring.seal(world.stage.desk(), &draft.entity(None), world.stage.now()).unwrap();
    let protected =
        embargod::rehearsal::mail::Protected::Encrypted(String::from_utf8(sealed).unwrap());
    let id = format!("{}@x", world.stage.now().timestamp_millis());
    let mail = world.mail(who, &id, &draft, &protected);
    world.deliver(mail)
}

/// The nonce of a challenge that was sealed to a key that its holder's mailbox does not open.
fn nonce_by(world: &World, keyring: &Keyring, who: Who) -> String {
    let mut files: Vec<_> =
        std::fs::read_dir(world.folder().join("mails")).unwrap().flatten().collect();
    files.sort_by_key(std::fs::DirEntry::file_name);
    let known = embargod::edge::pgp::Directory::default();
    for file in files.iter().rev().filter(|f| {
        f.file_name().to_string_lossy().ends_with(&format!("-desk-to-{}.eml", who.id()))
    }) {
        let bytes = std::fs::read(file.path()).unwrap();
        let at = world.stage.now();
        let raw = embargod::ports::store::RawMail {
            bytes,
            received: at,
            arrived: at,
            oversize: false,
            junk: false,
        };
        let opener = embargod::edge::opening::Opener {
            keyring,
            known: &known,
            settings: None,
            limits: embargod::edge::pgp::LIMITS,
        };
        let text = opener.open(&raw).text;
        if let Some(line) = text.lines().find(|line| line.trim().starts_with("| /key confirm ")) {
            return line.split_whitespace().last().unwrap().to_owned();
        }
    }
    panic!("no challenge")
}

fn fingerprint(world: &World, who: Who) -> String {
    let id = PersonId::parse(who.id()).unwrap();
    world.stage.engine().unwrap().desk().roster.person(&id).unwrap().fingerprint.to_string()
}

#[test]
fn a_new_key_that_the_old_one_signed_needs_one_of_the_team_and_an_answer() {
    let mut world = World::new();
    let (new_key, certificate) = another_key(&world, Who::Ann);
    let mut draft = Draft::sealed("/key replace");
    draft.attachments.push(("new.asc".to_owned(), certificate));
    let old = fingerprint(&world, Who::Ann);
    sent(&mut world, Who::Ann, draft);
    // Not in force: it can answer for itself, and nothing else.
    for word in ["/key replace", "/leave", "/terms accept", "/vouch dora"] {
        let new = by_key(&mut world, &new_key, Who::Ann, word);
        assert_eq!(fingerprint(&world, Who::Ann), old, "{word}: {:?}", subjects(&new));
        assert!(is_active(&world, Who::Ann), "{word}");
    }
    let n = number(&world, Who::Ann);
    let new = at_desk(&mut world, Who::Mia, &format!("/key approve ann@{n}"));
    assert!(only(&new, Who::Mia).subject.contains("Done"), "{}", only(&new, Who::Mia).text);
    assert_eq!(fingerprint(&world, Who::Ann), old, "nobody has answered");
    let nonce = nonce_by(&world, &new_key, Who::Ann);
    // The old key does not answer for the new one.
    let new = at_desk(&mut world, Who::Ann, &format!("/key confirm {nonce}"));
    refusal(&new, Who::Ann, "signed by another key");
    let new = by_key(&mut world, &new_key, Who::Ann, &format!("/key confirm {nonce}"));
    let now = fingerprint(&world, Who::Ann);
    let texts: Vec<&str> = new.iter().map(|(_, mail)| mail.text.as_str()).collect();
    assert_eq!(now, new_key.certificate().fingerprint().to_string(), "{texts:?}");
    // For a while both count, and then the old one no more.
    let new = at_desk(&mut world, Who::Ann, "/key show");
    assert!(!new.iter().any(|(_, mail)| mail.subject.contains("Not done")), "{:?}", subjects(&new));
    world.waits(Span::days(31));
    let id = PersonId::parse("ann").unwrap();
    let person = world.stage.engine().unwrap().desk().roster.person(&id).unwrap().clone();
    assert_eq!(person.fingerprints().count(), 1);
}

/// S10: what changes a key is told to both keys, and content-free to the address.
#[test]
fn s10_a_new_key_by_the_team_takes_two_a_day_and_can_be_called_off_by_either_key() {
    let mut world = World::new();
    let old = fingerprint(&world, Who::Ann);
    let (new_key, certificate) = another_key(&world, Who::Ann);
    let offer = |world: &mut World| {
        let mut draft = Draft::sealed("/key replace ann");
        draft.attachments.push(("new.asc".to_owned(), certificate.clone()));
        sent(world, Who::Mia, draft);
        number(world, Who::Ann)
    };
    let n = offer(&mut world);
    let new = at_desk(&mut world, Who::Mia, &format!("/key approve ann@{n}"));
    refusal(&new, Who::Mia, "another of the team must approve it");
    let new = at_desk(&mut world, Who::Tom, &format!("/key approve ann@{n}"));
    let anns: Vec<&Read> = new.iter().filter(|(who, _)| *who == Who::Ann).map(|(_, m)| m).collect();
    // To the old key, to the new one (which this mailbox does not open), and in clear.
    assert_eq!(anns.len(), 3, "{:?}", subjects(&new));
    assert!(anns.iter().any(|m| m.says("The team has put a new key in")), "{:?}", subjects(&new));
    assert!(anns.iter().any(|m| !m.protection.is_encrypted() && m.says("| /key cancel")));
    let nonce = nonce_by(&world, &new_key, Who::Ann);
    by_key(&mut world, &new_key, Who::Ann, &format!("/key confirm {nonce}"));
    world.waits(Span::hours(23));
    assert_eq!(fingerprint(&world, Who::Ann), old, "a day has not passed");
    at_desk(&mut world, Who::Ann, "/key cancel");
    world.waits(Span::hours(2));
    assert_eq!(fingerprint(&world, Who::Ann), old, "the old key said no");
    // Nobody says no.
    let n = offer(&mut world);
    let nonce = nonce_by(&world, &new_key, Who::Ann);
    by_key(&mut world, &new_key, Who::Ann, &format!("/key confirm {nonce}"));
    at_desk(&mut world, Who::Tom, &format!("/key approve ann@{n}"));
    world.waits(Span::hours(25));
    assert_eq!(fingerprint(&world, Who::Ann), new_key.certificate().fingerprint().to_string());
    let new = at_desk(&mut world, Who::Ann, "/key cancel");
    assert!(!new.iter().any(|(_, m)| m.subject.contains("Done")), "the old key is nobody's now");
}

/// A revocation counts at once, whoever brings it; what is not one changes nothing.
#[test]
fn a_revocation_counts_whoever_sends_it() {
    let mut world = planned();
    // Bob's key with its own revocation, made when the key was made.
    let born = world.stage.now() - Span::days(1);
    let (secret, revocation) = generate("bob", &Who::Bob.address(), None, None, born).unwrap();
    let keyring = Keyring::open(&[secret], None, [0; 32], world.stage.now()).unwrap();
    let mut draft = Draft::sealed("/key replace");
    draft.attachments.push(("new.asc".to_owned(), keyring.certificate().armored().into_bytes()));
    sent(&mut world, Who::Bob, draft);
    let n = number(&world, Who::Bob);
    at_desk(&mut world, Who::Mia, &format!("/key approve bob@{n}"));
    let nonce = nonce_by(&world, &keyring, Who::Bob);
    by_key(&mut world, &keyring, Who::Bob, &format!("/key confirm {nonce}"));
    assert_eq!(fingerprint(&world, Who::Bob), keyring.certificate().fingerprint().to_string());
    world.waits(Span::days(31));
    // A stranger attaches a certificate of somebody else and calls it a revocation: nothing.
    let mut draft = Draft::plain("a key", "revoked!");
    draft.attachments.push(("r.asc".to_owned(), certificate(&world, Who::Ann)));
    world.sends(Who::Paul, &draft);
    assert!(
        world.stage.engine().unwrap().desk().can_seal(
            world
                .stage
                .engine()
                .unwrap()
                .desk()
                .roster
                .person(&PersonId::parse("ann").unwrap())
                .unwrap(),
            world.stage.now()
        )
    );
    let open = world.stage.engine().unwrap().desk().incidents.len();
    let mut draft = Draft::plain("my key", "It was stolen.");
    draft.attachments.push(("revocation.asc".to_owned(), revocation));
    let new = world.sends(Who::Paul, &draft);
    let told = only(&new, Who::Mia);
    assert!(
        told.subject.contains("A key was revoked") && told.says("It was stolen."),
        "{}",
        told.text
    );
    assert_eq!(world.stage.engine().unwrap().desk().incidents.len(), open, "it is no report");
    // Nothing is sealed to it from then on; the copy is withheld and said so.
    let new = by_key(&mut world, &keyring, Who::Bob, "/key show");
    assert!(!new.iter().any(|(_, m)| m.subject.contains("Done")), "{:?}", subjects(&new));
    let id = PersonId::parse("bob").unwrap();
    let desk = world.stage.engine().unwrap().desk();
    assert!(!desk.can_seal(desk.roster.person(&id).unwrap(), world.stage.now()));
    assert_eq!(desk.members, world.stage.replayed().unwrap().members);
}

/// A key that ends between the preview and the notice: told ahead, to the member and the team;
/// and the copy that was withheld leaves once it is renewed.
#[test]
fn d8_a_key_that_ends_before_a_notice_is_told_ahead_and_the_copy_follows_the_renewed_key() {
    let born = common::start() - Span::days(355);
    let (secret, _) = generate("bob", &Who::Bob.address(), None, Some(1), born).unwrap();
    let bob = Keyring::open(std::slice::from_ref(&secret), None, [0; 32], common::start()).unwrap();
    let (fingerprint, armored) = (bob.certificate().fingerprint(), bob.certificate().armored());
    let mut world = World::with(move |sources| {
        let person = sources.roster.people.get_mut(&PersonId::parse("bob").unwrap()).unwrap();
        (person.fingerprint, person.certificate) = (fingerprint, armored);
    });
    world.does(Who::Mia, "/accept\n/lead me");
    world.does(Who::Mia, RECORD);
    // Ten days are left; the notice leaves a day after that.
    let said = world.does(Who::Mia, "/disclose 2026-03-20 16:00 UTC");
    let said = match said.nonce() {
        Some(nonce) => world.does(Who::Mia, &format!("/confirm {nonce}")),
        None => said,
    };
    assert!(said.says("KEYS that end too early") && said.says("Bob"), "{}", said.text);
    world.does(Who::Tom, "/done fix-ready\n/done agree-day");
    world.does(Who::Mia, "/done agree-day\n/done plan");
    approve(&mut world, "advance");
    let shown = world.does(Who::Mia, "/rehearse advance");
    assert!(shown.says("NO KEY THEN"), "{}", shown.text);
    let new = world.waits(Span::days(12));
    let mias: Vec<&Read> = new.iter().filter(|(who, _)| *who == Who::Mia).map(|(_, m)| m).collect();
    assert!(mias.iter().any(|m| m.says("could not be sealed to them")), "{:?}", subjects(&new));
    let ledger = world.incident().ledger(&TaskId::parse("MI-3.1").unwrap());
    assert_eq!(
        ledger[&Recipient::Person(PersonId::parse("bob").unwrap())].1.delivery,
        Delivery::Withheld
    );
    // In clear, without a word of what it is about.
    let clear: Vec<&Read> = new
        .iter()
        .filter(|(who, m)| *who == Who::Bob && !m.protection.is_encrypted())
        .map(|(_, m)| m)
        .collect();
    assert!(!clear.is_empty());
    assert!(clear.iter().all(|m| !m.says("DEMO-2026")), "no incident in clear");
    // Two of the team put the renewed certificate in; it is the same key, so one is enough.
    let renewed = renewed(&secret, world.stage.now());
    let mut draft = Draft::sealed("/key replace bob");
    draft.attachments.push(("bob.asc".to_owned(), renewed));
    let new = sent(&mut world, Who::Mia, draft);
    let bobs: Vec<&Read> = new.iter().filter(|(who, _)| *who == Who::Bob).map(|(_, m)| m).collect();
    assert_eq!(bobs.len(), 1, "{:?}", subjects(&new));
}

/// A certificate with a later end, by its own primary key.
fn renewed(secret: &[u8], now: embargod::domain::facts::names::Moment) -> Vec<u8> {
    use sequoia_openpgp::Cert;
    use sequoia_openpgp::packet::Packet;
    use sequoia_openpgp::parse::Parse;
    use sequoia_openpgp::policy::StandardPolicy;
    use sequoia_openpgp::serialize::SerializeInto;
    let policy = StandardPolicy::new();
    let cert = Cert::from_bytes(secret).unwrap();
    let before = std::time::SystemTime::from(common::start());
    let at = std::time::SystemTime::from(now);
    let end = at + std::time::Duration::from_secs(700 * 86_400);
    let mut signer =
        cert.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
    let mut packets: Vec<Packet> = Vec::new();
    let valid = cert.with_policy(&policy, before).unwrap();
    for key in valid.keys() {
        let mut builders = sequoia_openpgp::packet::signature::SignatureBuilder::from(
            key.binding_signature().clone(),
        );
        builders = builders.set_signature_creation_time(at).unwrap();
        builders = builders.set_key_expiration_time(key.key(), Some(end)).unwrap();
        if key.key().fingerprint() == cert.fingerprint() {
            let user = valid.userids().next().unwrap();
            let mut direct = sequoia_openpgp::packet::signature::SignatureBuilder::from(
                user.binding_signature().clone(),
            );
            direct = direct.set_signature_creation_time(at).unwrap();
            direct = direct.set_key_expiration_time(key.key(), Some(end)).unwrap();
            let signature = user.userid().bind(&mut signer, &cert, direct).unwrap();
            packets.push(signature.into());
            if let Ok(direct) = valid.direct_key_signature() {
                let mut again =
                    sequoia_openpgp::packet::signature::SignatureBuilder::from(direct.clone());
                again = again.set_signature_creation_time(at).unwrap();
                again = again.set_key_expiration_time(key.key(), Some(end)).unwrap();
                packets.push(again.sign_direct_key(&mut signer, None).unwrap().into());
            }
        } else if key.for_transport_encryption() {
            let subkey = key.key().clone().parts_into_public().role_into_subordinate();
            let signature = subkey.bind(&mut signer, &cert, builders).unwrap();
            packets.push(signature.into());
        }
    }
    let (cert, _) = cert.insert_packets(packets).unwrap();
    SerializeInto::to_vec(&cert.strip_secret_key_material().armored()).unwrap()
}

//------------ The end ----------------------------------------------------------------------------

#[test]
fn a_leak_is_said_by_one_confirmed_by_another_and_told_to_all_who_had_a_notice() {
    let mut golden = Golden::default();
    let mut world = planned();
    approve(&mut world, "advance");
    world.waits(Span::days(11));
    approve(&mut world, "final");
    golden.scene("Ann says that it has got out");
    golden.add(
        &world.says(Who::Ann, "/leak\n\nIt stands in a forum, posted by somebody of Beth Linux."),
    );
    golden.scene("Mia says so, and suspends Bob by it");
    let asked = world.says(Who::Mia, "/leak bob suspend the advisory stands in a forum");
    golden.add(&asked);
    assert!(
        asked.iter().all(|(who, _)| !Who::DISTRIBUTORS.contains(who)),
        "{:?}",
        subjects(&asked)
    );
    assert!(is_active(&world, Who::Bob), "nothing is done by one person");
    let own = only(&asked, Who::Mia).nonce();
    assert_eq!(own, None, "who gave it does not confirm it");
    golden.scene("Tom confirms");
    let nonce = only(&asked, Who::Tom).nonce().unwrap();
    let new = world.says(Who::Tom, &format!("/confirm {nonce}"));
    golden.add(&new);
    golden.check("leak");
    let told: Vec<Who> = new
        .iter()
        .filter(|(_, mail)| mail.subject.contains("EMBARGO ENDED"))
        .map(|(who, _)| *who)
        .collect();
    assert_eq!(told, [Who::Ann, Who::Cleo], "{:?}", subjects(&new));
    assert!(!is_active(&world, Who::Bob));
    assert!(world.incident().known_public().is_some());
    // A word that is written now names no planned moment.
    let shown = world.says(Who::Mia, "/tell ann\nThank you for the word.");
    let shown = only(&shown, Who::Tom).text.replace('\n', " ");
    assert!(
        shown.contains("which the public knows of since") && !shown.contains("Planned"),
        "{shown}"
    );
    // What was to announce the date does not leave any more, and nothing became public by it.
    let new = world.waits(Span::days(9));
    assert!(
        new.iter().all(|(who, _)| !Who::DISTRIBUTORS.contains(who) && *who != Who::List),
        "{:?}",
        subjects(&new)
    );
}

/// The third witness of the clock: a mail to ourselves.
#[test]
fn no_notice_leaves_while_the_mail_servers_clock_says_otherwise() {
    let mut world = planned();
    approve(&mut world, "advance");
    world.stage.server_ahead = Span::hours(1);
    let new = world.waits(Span::days(11));
    assert!(to(&new).iter().all(|who| !Who::DISTRIBUTORS.contains(who)), "{:?}", subjects(&new));
    let alarmed =
        new.iter().any(|(who, mail)| *who == Who::Uma && mail.subject.contains("the clock"));
    assert!(alarmed, "the operators hear of it: {:?}", subjects(&new));
    world.stage.server_ahead = Span::zero();
    let new = world.waits(Span::hours(1));
    let sent = to(&new).into_iter().filter(|who| Who::DISTRIBUTORS.contains(who)).count();
    assert_eq!(sent, 3, "late, and said so: {:?}", subjects(&new));
    assert!(only(&new, Who::Ann).says("LATE"));
}
