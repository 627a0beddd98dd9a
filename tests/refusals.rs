//! Commands that must not count, each as a whole mail to the real engine: nothing happens, and the
//! refusal goes, sealed, to the pinned key and to nobody else.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop, and says so"
)]

mod common;

use common::{World, armor, report, start, subjects};
use embargod::domain::facts::names::{Handle, Moment, Span};
use embargod::domain::model::incident::Status;
use embargod::edge::pgp::{Keyring, generate};
use embargod::rehearsal::mail::{Draft, Guard, Protected, Read};
use embargod::rehearsal::{Stage, Who};

fn accept(world: &World) -> Draft {
    Draft::answer(&world.report, "/accept")
}

#[test]
fn a_command_that_is_right_counts() {
    let mut world = World::new();
    let draft = accept(&world);
    let mail = world.mail(Who::Mia, "1@x", &draft, &world.seal(Who::Mia, &draft.entity(None)));
    let new = world.deliver(mail);
    assert_eq!(world.incident().status, Status::Accepted, "{:?}", subjects(&new));
}

#[test]
fn an_unsigned_command_in_a_persons_name_is_told_to_that_person() {
    let mut world = World::new();
    let mut draft = accept(&world);
    draft.answers = None;
    draft.text = format!("/accept\n\n{}", world.reference());
    let mail = world.mail(Who::Mia, "1@x", &draft, &Protected::Clear(draft.entity(None)));
    let new = world.deliver(mail);
    assert_eq!(world.incident().status, Status::Received);
    let warned: Vec<_> =
        new.iter().filter(|(_, mail)| mail.subject.contains("in your name")).collect();
    assert_eq!(warned.len(), 1, "{:?}", subjects(&new));
    assert_eq!(warned[0].0, Who::Mia);
    assert!(warned[0].1.protection.is_encrypted() && warned[0].1.says("It is not signed."));
}

#[test]
fn a_mail_that_did_not_count_is_told_once_to_whoever_it_was_meant_to_be_of() {
    let mut world = World::new();
    let warned = |new: &[(Who, Read)], who: Who| {
        new.iter().filter(|(to, mail)| *to == who && mail.subject.contains("in your name")).count()
    };
    // Talk on an incident without a signature: the team reads it as from somebody, and Mia learns it.
    let (secret, _) = generate("Mia", &Who::Mia.address(), None, None, start()).unwrap();
    let stranger = Keyring::open(&[secret], None, [0; 32], world.stage.now()).unwrap();
    let writes = |world: &mut World, who: Who, id: &str, draft: &Draft| {
        let (desk, now) = (world.stage.desk(), world.stage.now());
        let sealed = stranger.seal(desk, &draft.entity(None), now).unwrap();
        let mail = world.mail(who, id, draft, &Protected::Encrypted(armor(sealed)));
        world.deliver(mail)
    };
    let talk = Draft::answer(&world.report, "I think it is old.");
    let new = writes(&mut world, Who::Mia, "1@x", &talk);
    assert_eq!(warned(&new, Who::Mia), 1, "{:?}", subjects(&new));
    let told = new.iter().find(|(_, mail)| mail.subject.contains("in your name")).unwrap();
    assert!(told.1.subject.contains("did not count as yours") && told.1.protection.is_encrypted());
    assert!(told.1.says("by a key that we do not know") && !told.1.says("commands"));
    let new = writes(&mut world, Who::Mia, "2@x", &talk);
    assert_eq!(warned(&new, Who::Mia), 0, "once an hour: {:?}", subjects(&new));
    // A sealed report in a member's name.
    let new = writes(&mut world, Who::Ann, "3@x", &Draft::sealed("A hole."));
    assert_eq!(warned(&new, Who::Ann), 1, "{:?}", subjects(&new));
    // Spam in a forged name is announced to nobody.
    let spam = Draft { guard: Guard::Plain, ..Draft::sealed("Buy now.") };
    let new = world.sends(Who::Tom, &spam);
    assert_eq!(warned(&new, Who::Tom), 0, "{:?}", subjects(&new));
}

#[test]
fn a_command_signed_but_not_encrypted_is_refused() {
    let mut world = World::new();
    let draft = accept(&world);
    let entity = draft.entity(None);
    let key = world.stage.keyring(Who::Mia).unwrap();
    let signature =
        armor(key.sign(entity.strip_suffix(b"\r\n").unwrap(), world.stage.now()).unwrap());
    let body = entity.strip_suffix(b"\r\n").unwrap().to_vec();
    let mail = world.mail(Who::Mia, "1@x", &draft, &Protected::Signed(body, signature));
    let new = world.deliver(mail);
    world.refused(&new, "signed and not encrypted");
}

#[test]
fn a_command_signed_by_somebody_else_is_nobodys_command() {
    let mut world = World::new();
    let draft = accept(&world);
    let mut draft = Draft { from: Some(Who::Mia.address()), ..draft };
    // A distributor is pinned and is no maintainer, and the reference in it is Mia's.
    let mail = world.mail(Who::Ann, "1@x", &draft, &world.seal(Who::Ann, &draft.entity(None)));
    let new = world.deliver(mail);
    assert_eq!(world.incident().status, Status::Received);
    // Nor is it talk. Ann alone is told.
    let [(who, told)] = new.as_slice() else { panic!("{:?}", subjects(&new)) };
    assert!(*who == Who::Ann && told.subject.contains("not yours"), "{}", told.subject);
    // A stranger in Mia's name: Mia is told.
    draft.text = format!("/accept\n\n{}", world.reference());
    let (secret, _) = generate("Mia", &Who::Mia.address(), None, None, start()).unwrap();
    let stranger = Keyring::open(&[secret], None, [0; 32], world.stage.now()).unwrap();
    let sealed = stranger.seal(world.stage.desk(), &draft.entity(None), world.stage.now()).unwrap();
    let mail = world.mail(Who::Mia, "2@x", &draft, &Protected::Encrypted(armor(sealed)));
    let new = world.deliver(mail);
    assert_eq!(world.incident().status, Status::Received);
    let warned =
        new.iter().filter(|(who, mail)| *who == Who::Mia && mail.subject.contains("in your name"));
    assert_eq!(warned.count(), 1, "{:?}", subjects(&new));
}

#[test]
fn a_replayed_command_is_refused_whatever_is_wrapped_around_it() {
    let mut world = World::new();
    let draft = Draft::answer(&world.report, "/note first");
    let sealed = world.seal(Who::Mia, &draft.entity(None));
    let mail = world.mail(Who::Mia, "1@x", &draft, &sealed);
    world.deliver(mail);
    assert_eq!(world.incident().notes.len(), 1);
    // The same signed bytes under another Message-ID, another From and another subject.
    let other = Draft { subject: "Fwd: news".to_owned(), ..draft };
    let mail = world.mail(Who::Ann, "2@x", &other, &sealed);
    let new = world.deliver(mail);
    assert_eq!(world.incident().notes.len(), 1);
    world.refused(&new, "a mail with this very signature was taken before");
}

#[test]
fn an_old_signature_and_one_from_the_future_are_refused() {
    for (ago, why) in
        [(Span::hours(49), "49 hours old"), (Span::minutes(-20), "minutes ahead of our clock")]
    {
        let mut world = World::new();
        world.stage.pass(Span::hours(60)).unwrap();
        let draft = accept(&world);
        let made = world.stage.now() - ago + Span::seconds(30);
        let key = world.stage.keyring(Who::Mia).unwrap();
        let sealed = key.seal(world.stage.desk(), &draft.entity(None), made).unwrap();
        let mail = world.mail(Who::Mia, "1@x", &draft, &Protected::Encrypted(armor(sealed)));
        let new = world.deliver(mail);
        world.refused(&new, why);
    }
}

#[test]
fn a_reference_of_another_incident_or_person_is_refused() {
    let mut world = World::new();
    let other = report(&mut world.stage);
    let other_reference =
        other.text.lines().find(|line| line.starts_with("Ref: ")).unwrap().to_owned();
    let toms = world.stage.mailbox(Who::Tom).unwrap();
    let toms_reference =
        toms[0].text.lines().find(|line| line.starts_with("Ref: ")).unwrap().to_owned();
    let token = other_reference.split('/').nth(1).unwrap().to_owned();
    for (n, (text, why)) in [
        (format!("/accept\n\n{}\n{other_reference}", world.reference()), "two incidents at once"),
        (format!("/accept\n\n{toms_reference}"), "not made out to you"),
        (format!("/accept\n\nRef: {}/{token}", world.handle), "not made out to you"),
        ("/accept".to_owned(), "names none"),
    ]
    .into_iter()
    .enumerate()
    {
        let draft = Draft { answers: None, ..Draft::sealed(&text) };
        let mail = world.mail(
            Who::Mia,
            &format!("{n}@x"),
            &draft,
            &world.seal(Who::Mia, &draft.entity(None)),
        );
        let new = world.deliver(mail);
        world.refused(&new, why);
    }
    // Answering one incident's mail with another one's reference.
    let mut draft = Draft::sealed(&format!("/accept\n\n{other_reference}"));
    draft.answers.clone_from(&world.report.message_id);
    let mail = world.mail(Who::Mia, "9@x", &draft, &world.seal(Who::Mia, &draft.entity(None)));
    let new = world.deliver(mail);
    world.refused(&new, "two incidents at once");
}

#[test]
fn commands_outside_the_signed_plain_text_do_nothing() {
    let mut world = World::new();
    let reference = world.reference();
    // In the unsigned part of a mixed mail: a signed part inside, the command beside it.
    let inner = format!("Content-Type: text/plain\r\n\r\nhello\r\n{reference}");
    let key = world.stage.keyring(Who::Mia).unwrap();
    let signature =
        armor(key.sign(inner.as_bytes(), world.stage.now()).unwrap()).replace('\n', "\r\n");
    let mixed = format!(
        "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: text/plain\r\n\r\n/accept\r\n{reference}\r\n--m\r\n\
         Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha256; boundary=s\r\n\r\n\
         --s\r\n{inner}\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\n{signature}\r\n--s--\r\n--m--\r\n"
    );
    let draft = Draft { guard: Guard::Plain, ..Draft::sealed("") };
    let mail = world.mail(Who::Mia, "1@x", &draft, &Protected::Clear(mixed.into_bytes()));
    let new = world.deliver(mail);
    assert_eq!(world.incident().status, Status::Received, "{:?}", subjects(&new));
    let warned = new.iter().find(|(_, mail)| mail.subject.contains("in your name")).unwrap();
    assert!(warned.0 == Who::Mia && warned.1.says("Only a part of it is signed."));
    // In quoted text: it is no command, the mail is a word to the team.
    let draft = Draft::sealed(&format!("I agree.\n\n> /accept\n> {reference}\n"));
    let mail = world.mail(Who::Mia, "2@x", &draft, &world.seal(Who::Mia, &draft.entity(None)));
    let new = world.deliver(mail);
    assert_eq!(world.incident().status, Status::Received);
    assert!(new.iter().all(|(who, _)| *who == Who::Tom), "{:?}", subjects(&new));
    // In HTML only.
    let html = format!(
        "Content-Type: text/html; charset=utf-8\r\n\r\n<p>/accept</p><p>{reference}</p>\r\n"
    );
    let draft = Draft::sealed("");
    let mail = world.mail(Who::Mia, "3@x", &draft, &world.seal(Who::Mia, html.as_bytes()));
    let new = world.deliver(mail);
    world.refused(&new, "plain text only");
}

#[test]
fn several_commands_happen_together_or_not_at_all() {
    let mut world = World::new();
    for (n, (text, why)) in [
        ("/accept\n/title x\n/frobnicate", "does not know the word `/frobnicate`"),
        ("/acept\n/title x\n/frobnicate", "does not know the words `/acept`, `/frobnicate`"),
        ("/accept\n/cve 2026", "no CVE number"),
        ("/accept\n/disclose yesterday", "no moment"),
        ("/accept\n/approve advance@1", "there is no draft of `advance`"),
        ("/accept\n/set colour red", "no field `colour`"),
    ]
    .into_iter()
    .enumerate()
    {
        let draft = Draft::answer(&world.report, text);
        let mail = world.mail(
            Who::Mia,
            &format!("{n}@x"),
            &draft,
            &world.seal(Who::Mia, &draft.entity(None)),
        );
        let new = world.deliver(mail);
        world.refused(&new, why);
        assert_eq!(world.incident().title, None);
    }
}

#[test]
fn a_captured_report_gives_its_thief_nothing() {
    let mut world = World::new();
    let draft = Draft { with_key: true, ..Draft::sealed("The thief's words around it.") };
    let original = Draft::sealed("A second secret report.");
    let sealed = world.seal(Who::Rita, &original.entity(None));
    let mail = world.mail(Who::Rita, "1@x", &original, &sealed);
    world.deliver(mail);
    let incidents = world.stage.engine().unwrap().desk().incidents.len();
    // The same ciphertext, from the thief's address.
    let mail = world.mail(Who::Paul, "2@x", &draft, &sealed);
    world.stage.deliver(&Who::Paul.address(), mail).unwrap();
    world.stage.pass(Span::seconds(10)).unwrap();
    assert_eq!(
        world.stage.engine().unwrap().desk().incidents.len(),
        incidents,
        "no incident is opened"
    );
    let paul = world.stage.mailbox(Who::Paul).unwrap();
    let [ack] = paul.as_slice() else { panic!("{} mails", paul.len()) };
    assert!(ack.subject.contains("We received your report"), "answered like any other");
    assert!(!ack.says("second secret"));
    let handle = Handle::parse(&ack.handle().unwrap()).unwrap();
    assert!(
        !world.stage.engine().unwrap().desk().incidents.contains_key(&handle),
        "under a name of its own"
    );
}

#[test]
fn heaps_of_plain_mail_reach_people_as_one_list_and_none_is_dropped() {
    let mut world = World::new();
    let mia = world.stage.mailbox(Who::Mia).unwrap().len();
    for n in 0..40 {
        let draft = Draft::plain(&format!("Report {n}"), &format!("Number {n} is a plain report."));
        let mail = world.mail(
            Who::Paul,
            &format!("{n}@heap"),
            &draft,
            &Protected::Clear(draft.entity(None)),
        );
        world.stage.deliver(&Who::Paul.address(), mail).unwrap();
    }
    world.stage.pass(Span::hours(2)).unwrap();
    assert_eq!(
        world.stage.engine().unwrap().desk().incidents.len(),
        41,
        "each is an incident of its own"
    );
    let new: Vec<_> = world.stage.mailbox(Who::Mia).unwrap().into_iter().skip(mia).collect();
    let one_by_one = new.iter().filter(|mail| mail.subject.contains("New report")).count();
    let lists: Vec<_> =
        new.iter().filter(|mail| mail.subject.contains("reports wait to be looked at")).collect();
    assert_eq!(
        (one_by_one, lists.len()),
        (4, 1),
        "{:?}",
        new.iter().map(|m| &m.subject).collect::<Vec<_>>()
    );
    assert_eq!(lists[0].text.matches("from paul@people.test").count(), 36);
    let answered = world.stage.mailbox(Who::Paul).unwrap();
    // Whoever's address it really is gets three mails in a day, and no more.
    assert_eq!(answered.iter().filter(|mail| mail.subject.contains("We received")).count(), 3);
}

#[test]
fn a_refused_command_is_used_up_and_cannot_be_replayed_once_it_would_fit() {
    let mut world = World::new();
    let draft = Draft::answer(&world.report, "/disclose +30d");
    let sealed = world.seal(Who::Mia, &draft.entity(None));
    let mail = world.mail(Who::Mia, "1@x", &draft, &sealed);
    let new = world.deliver(mail);
    world.refused(&new, "a date belongs to a report that was accepted");
    let accept = accept(&world);
    let mail = world.mail(Who::Mia, "2@x", &accept, &world.seal(Who::Mia, &accept.entity(None)));
    world.deliver(mail);
    assert_eq!(world.incident().status, Status::Accepted);
    // Somebody kept a copy, and sends it ten times.
    let mut told = 0;
    for n in 0..10 {
        let mail = world.mail(Who::Ann, &format!("{n}@copy"), &draft, &sealed);
        told += world.deliver(mail).len();
    }
    assert_eq!(world.incident().t(), None);
    assert_eq!(told, 1, "told once an hour, however many copies come");
}

#[test]
fn a_mailed_in_copy_of_a_pinned_certificate_replaces_nothing() {
    use embargod::edge::pgp::{Certificate, Directory, Known};
    use sequoia_openpgp::parse::Parse;
    use sequoia_openpgp::serialize::SerializeInto;
    let world = World::new();
    let pinned = world.stage.keyring(Who::Mia).unwrap().certificate();
    let mut directory = Directory::default();
    directory.pin(pinned.clone(), "mia");
    // The same primary key without its subkeys, as anybody can strip it.
    let whole = sequoia_openpgp::Cert::from_bytes(pinned.armored().as_bytes()).unwrap();
    let bare = whole.strip_secret_key_material().retain_subkeys(|_| false);
    let bytes = SerializeInto::to_vec(&bare.armored()).unwrap();
    let stripped = Certificate::read(&bytes).unwrap();
    assert_ne!(stripped.armored(), pinned.armored());
    let before = directory.get(&pinned.fingerprint()).unwrap().armored();
    directory.meet(stripped, 1);
    assert!(directory.is_pinned(&pinned.fingerprint()));
    assert_eq!(directory.get(&pinned.fingerprint()).unwrap().armored(), before);
}

/// When a mail arrived is the mailbox's word: whoever holds that keeps a signed mail for months, and
/// files it with a date that fits. All but looking and holding is measured against the present as well,
/// less the time in which the desk itself was down.
#[test]
fn what_was_kept_back_by_the_mailbox_is_old() {
    use embargod::ports::store::RawMail;
    let mut world = World::new();
    let reference = world.reference_of(Who::Mia, &world.handle);
    let signed = |world: &World, text: &str| {
        let draft = Draft::sealed(&format!("{text}\n\n> {reference}\n"));
        let sealed = world.seal_signed(Who::Mia, &draft);
        world.mail(Who::Mia, &format!("{}@x", text.len()), &draft, &sealed)
    };
    let words = ["/accept", "/set affected all", "/hold ALL", "/status", "/note it was seen"];
    let mails: Vec<Vec<u8>> = words.iter().map(|word| signed(&world, word)).collect();
    let made = world.stage.now();
    world.waits(Span::days(60));
    let mut done = Vec::new();
    for (word, bytes) in words.iter().zip(&mails) {
        let filed = RawMail {
            bytes: bytes.clone(),
            received: made + Span::minutes(1),
            arrived: world.stage.now(),
            oversize: false,
            junk: false,
        };
        world.stage.running().unwrap().take_in(&[(None, filed)]).unwrap();
        let new = world.waits(Span::seconds(10));
        let answer = new.iter().find(|(who, _)| *who == Who::Mia).unwrap();
        if answer.1.subject.contains("] Done:") {
            done.push(*word);
        } else {
            assert!(answer.1.says("hours old by now"), "{word}: {}", answer.1.text);
        }
    }
    assert_eq!(done, ["/hold ALL", "/status"]);
    // What waited because nobody was here is not old by that.
    let mut world = World::new();
    let reference = world.reference_of(Who::Mia, &world.handle);
    let draft = Draft::sealed(&format!("/accept\n\n> {reference}\n"));
    let sealed = world.seal_signed(Who::Mia, &draft);
    let bytes = world.mail(Who::Mia, "w@x", &draft, &sealed);
    let received = world.stage.now() + Span::minutes(1);
    world.stage.is_down(Span::days(4)).unwrap();
    let arrived = world.stage.now();
    let filed = RawMail { bytes, received, arrived, oversize: false, junk: false };
    world.stage.running().unwrap().take_in(&[(None, filed)]).unwrap();
    world.waits(Span::seconds(10));
    assert_eq!(world.incident().status, Status::Accepted);
}

/// What was signed long ago is no newer for a clock that was set back: by the mailbox's word, and by what the desk
/// was sure of where the mailbox has the same clock.
#[test]
fn a_clock_that_was_set_back_makes_nothing_new() {
    use embargod::ports::store::RawMail;
    for has_same_clock in [false, true] {
        let mut world = World::new();
        let reference = world.reference_of(Who::Mia, &world.handle);
        let draft = Draft::sealed(&format!("/accept\n\n> {reference}\n"));
        let sealed = world.seal_signed(Who::Mia, &draft);
        let bytes = world.mail(Who::Mia, "b@x", &draft, &sealed);
        world.waits(Span::days(3));
        let truth = world.stage.now();
        world.stage.put_clock_ahead(Span::hours(-71));
        let arrived = truth - Span::hours(71);
        let received = if has_same_clock { arrived } else { truth };
        let filed = RawMail { bytes, received, arrived, oversize: false, junk: false };
        world.stage.running().unwrap().take_in(&[(None, filed)]).unwrap();
        let new = world.waits(Span::seconds(10));
        assert_eq!(world.incident().status, Status::Received, "{has_same_clock}");
        let answer = new.iter().find(|(who, _)| *who == Who::Mia).unwrap();
        assert!(answer.1.says("and 48 is the most that counts"), "{}", answer.1.text);
    }
}

/// Who reports something and is of the team has two references: with the reporter's a word of the team's is not passed
/// on as talk, but refused.
#[test]
fn a_maintainer_who_reported_is_told_which_reference_counts() {
    let mut world = World::new();
    let new = world.deliver({
        let draft = Draft::sealed("I have found that it overflows.");
        let sealed = world.seal_signed(Who::Mia, &draft);
        world.mail(Who::Mia, "own@x", &draft, &sealed)
    });
    let is_ack =
        |(who, mail): &&(Who, Read)| *who == Who::Mia && mail.subject.contains("We received");
    let ack = &new.iter().find(is_ack).unwrap().1;
    let reference = ack.text.lines().find(|line| line.starts_with("Ref: ")).unwrap().to_owned();
    let handle = Handle::parse(&ack.handle().unwrap()).unwrap();
    let draft = Draft::sealed(&format!("/accept\n\n> {reference}\n"));
    let new = world.sends(Who::Mia, &draft);
    assert_eq!(common::to(&new), [Who::Mia], "{:?}", subjects(&new));
    assert!(new[0].1.says("answer a mail that you got as one of the team"), "{}", new[0].1.text);
    let desk = world.stage.engine().unwrap().desk();
    assert_eq!(desk.incident(&handle).unwrap().status, Status::Received);
    // Their words as a reporter go on.
    let draft = Draft::sealed(&format!("/status\n\n> {reference}\n"));
    let new = world.sends(Who::Mia, &draft);
    assert!(new[0].1.says("received"), "{}", new[0].1.text);
}

/// What announces the publication means nothing once all is public: nobody freezes or approves it, and is told that
/// it leaves, when it never will.
#[test]
fn what_has_lost_its_meaning_is_neither_frozen_nor_approved() {
    let mut world = common::members::planned();
    world.does(Who::Mia, "/preview advance");
    world.does(Who::Mia, "/preview final");
    world.does(Who::Mia, "/skip final nobody needs it");
    assert!(world.does(Who::Tom, "/approve final@1").says("It does NOT leave as it is"));
    world.confirms(Who::Tom, "/known-public");
    world.is_refused(Who::Tom, "/approve advance@1", "does not leave any more");
    world.is_refused(Who::Mia, "/preview advance", "does not leave any more");
}

/// Anybody can make a certificate that lists a maintainer's subkey as its own: it is not tried on their
/// mails. And what strangers send does not grow for ever.
#[test]
fn keys_of_strangers_are_apart_and_bounded() {
    use embargod::edge::pgp::{Certificate, Directory, Known, generate};
    use sequoia_openpgp::parse::Parse;
    use sequoia_openpgp::serialize::SerializeInto;
    let world = World::new();
    let pinned = world.stage.keyring(Who::Mia).unwrap().certificate();
    let certificate = |text: &[u8]| Certificate::read(text).unwrap();
    let mut directory = Directory::default();
    directory.pin(pinned.clone(), "mia");
    let whole = sequoia_openpgp::Cert::from_bytes(pinned.armored().as_bytes()).unwrap();
    let stranger =
        certificate(world.stage.keyring(Who::Rita).unwrap().certificate().armored().as_bytes());
    let theirs = sequoia_openpgp::Cert::from_bytes(stranger.armored().as_bytes()).unwrap();
    // Her subkeys, behind a primary key of theirs.
    let claimed: Vec<sequoia_openpgp::Packet> = theirs
        .clone()
        .into_packets()
        .chain(whole.keys().subkeys().map(|sub| sub.key().clone().role_into_subordinate().into()))
        .collect();
    let thief = sequoia_openpgp::Cert::from_packets(claimed.into_iter()).unwrap();
    let text = SerializeInto::to_vec(&thief.armored()).unwrap();
    directory.meet(certificate(&text), text.len());
    for key in whole.keys() {
        let handle = key.key().key_handle();
        let tried: Vec<_> =
            directory.certificates(&handle).iter().map(Certificate::fingerprint).collect();
        assert_eq!(tried, [pinned.fingerprint()], "{handle}");
    }
    // One is enough to grow a map: the same size three thousand times over.
    let now = world.stage.now();
    let new = |n: u32| {
        let (secret, _) = generate(&n.to_string(), "n@x.test", None, None, now).unwrap();
        Keyring::open(&[secret], None, [0; 32], now).unwrap().certificate()
    };
    let first = new(0);
    directory.meet(first.clone(), 9_000);
    for n in 1..12 {
        directory.meet(new(n), 96 * 1024);
    }
    assert!(directory.get(&first.fingerprint()).is_some());
    for n in 12..180 {
        directory.meet(new(n), 96 * 1024);
    }
    assert!(directory.get(&first.fingerprint()).is_none(), "16 MiB of them, and no more");
    assert!(directory.is_pinned(&pinned.fingerprint()));
}

#[test]
fn whether_a_ciphertext_opened_does_not_show_in_when_it_is_answered() {
    let mut world = World::new();
    // More plain mails than are answered in an hour, so that the plain queue is full.
    for n in 0..70 {
        let draft = Draft::plain("x", &format!("Number {n}."));
        let mail = world.mail(
            Who::Paul,
            &format!("{n}@heap"),
            &draft,
            &Protected::Clear(draft.entity(None)),
        );
        world.stage.deliver(&Who::Paul.address(), mail).unwrap();
    }
    let draft = Draft::sealed("A report.");
    let Protected::Encrypted(good) = world.seal(Who::Rita, &draft.entity(None)) else { panic!() };
    // One letter in the middle of the armor is another.
    let at = good.len() / 2;
    let other = if good.as_bytes()[at] == b'A' { "B" } else { "A" };
    let bad = format!("{}{other}{}", &good[..at], &good[at + 1..]);
    let mut answered = Vec::new();
    for (n, armor) in [good, bad].into_iter().enumerate() {
        let mail =
            world.mail(Who::Rita, &format!("{n}@rita"), &draft, &Protected::Encrypted(armor));
        world.stage.deliver(&Who::Rita.address(), mail).unwrap();
        let before = world.stage.mailbox(Who::Rita).unwrap().len();
        world.stage.pass(Span::seconds(5)).unwrap();
        answered.push(world.stage.mailbox(Who::Rita).unwrap().len() - before);
    }
    assert_eq!(answered, [1, 1], "both at once, or both later");
}

#[test]
fn acknowledgements_of_copies_wait_their_turn_like_any_other() {
    let mut world = World::new();
    let draft = Draft::sealed("Another report.");
    let sealed = world.seal(Who::Rita, &draft.entity(None));
    for n in 0..100 {
        let mail = world.mail(Who::Paul, &format!("{n}@copy"), &draft, &sealed);
        world.stage.deliver(&Who::Paul.address(), mail).unwrap();
        world.stage.pass(Span::seconds(1)).unwrap();
    }
    let paul = world.stage.mailbox(Who::Paul).unwrap().len();
    assert!(paul <= 61, "{paul} acknowledgements in less than an hour");
}

#[test]
fn a_reference_in_foreign_text_neither_blocks_the_team_nor_travels() {
    let mut world = World::new();
    let text = format!(
        "Look at this.\nRef: {}/AAAAAAAAAAAAAAAA\nRef: EXA-2026-AAAAA/AAAAAAAAAAAAAAAA",
        world.handle
    );
    let mail = Draft { with_key: true, ..Draft::sealed(&text) };
    let before = world.stage.mailbox(Who::Mia).unwrap().len();
    world.stage.write(Who::Rita, &mail).unwrap();
    world.stage.pass(Span::seconds(10)).unwrap();
    let report = world.stage.mailbox(Who::Mia).unwrap().into_iter().nth(before).unwrap();
    // Mia quotes all of it, and keeps the reference unquoted as well.
    let own = report.text.lines().find(|line| line.starts_with("Ref: ")).unwrap().to_owned();
    let draft = Draft::answer(&report, &format!("/accept\n/reply\nThank you.\n{own}"));
    let mail = world.mail(Who::Mia, "1@x", &draft, &world.seal(Who::Mia, &draft.entity(None)));
    let new = world.deliver(mail);
    assert!(
        new.iter()
            .any(|(who, mail)| *who == Who::Mia && mail.subject.contains("Done: accept, reply")),
        "{:?}",
        subjects(&new)
    );
    let token = own.split('/').nth(1).unwrap();
    for (who, mail) in new.iter().filter(|(who, _)| *who != Who::Mia) {
        assert!(!mail.says(token), "{} got Mia's reference", who.id());
    }
}

#[test]
fn a_reporters_key_that_comes_later_is_taken_when_it_comes_with_the_reference() {
    let mut world = World::new();
    let before = world.stage.mailbox(Who::Mia).unwrap().len();
    world
        .stage
        .write(Who::Rita, &Draft { with_key: false, ..Draft::plain("Bug", "A bug in version 2.") })
        .unwrap();
    world.stage.pass(Span::seconds(10)).unwrap();
    let report = world.stage.mailbox(Who::Mia).unwrap().into_iter().nth(before).unwrap();
    let ack = world.stage.mailbox(Who::Rita).unwrap().pop().unwrap();
    world
        .stage
        .write(Who::Rita, &Draft { with_key: true, ..Draft::answer(&ack, "Here is my key.") })
        .unwrap();
    world.stage.pass(Span::seconds(10)).unwrap();
    world.stage.write(Who::Mia, &Draft::answer(&report, "/reply\nThe word is marmalade.")).unwrap();
    world.stage.pass(Span::seconds(10)).unwrap();
    let reply = world.stage.mailbox(Who::Rita).unwrap().pop().unwrap();
    assert!(reply.says("marmalade") && reply.protection.is_encrypted(), "{}", reply.text);
}

#[test]
fn no_notice_leaves_on_a_clock_that_nobody_vouches_for() {
    let mut world = World::new();
    let toms = world.stage.mailbox(Who::Tom).unwrap().remove(0);
    let mias = world.report.clone();
    for (who, to, text) in [
        (Who::Mia, &mias, "/accept\n/title T\n/set affected all\n/set impact much"),
        (Who::Tom, &toms, "/done fix-ready\n/done agree-day"),
        (Who::Mia, &mias, "/done agree-day\n/done plan\n/disclose 2026-03-23\n/preview advance"),
        (Who::Tom, &toms, "/approve advance@1"),
    ] {
        world.stage.write(who, &Draft::answer(to, text)).unwrap();
        world.stage.pass(Span::seconds(5)).unwrap();
        let answer = world.stage.mailbox(who).unwrap().pop().unwrap();
        assert!(answer.subject.contains("Done:"), "{}", answer.text);
    }
    let ann = |world: &mut World| world.stage.mailbox(Who::Ann).unwrap().len();
    // The moment is a week before T, on the 16th at 16:00.
    world.stage.put_clock_ahead(Span::hours(1));
    let until: Moment = "2026-03-16T16:30:00Z".parse().unwrap();
    let left = until - world.stage.now();
    world.stage.pass(left).unwrap();
    assert_eq!(ann(&mut world), 0, "it left on a clock that nobody vouches for");
    let told = world
        .stage
        .mailbox(Who::Mia)
        .unwrap()
        .iter()
        .any(|mail| mail.subject.contains("Notices are held"));
    assert!(told, "the operator was not told");
    world.stage.put_clock_ahead(Span::zero());
    world.stage.pass(Span::seconds(10)).unwrap();
    assert_eq!(ann(&mut world), 1);
    let notice = world.stage.mailbox(Who::Ann).unwrap().pop().unwrap();
    assert!(notice.says("This notice is LATE"), "{}", notice.text);
}
