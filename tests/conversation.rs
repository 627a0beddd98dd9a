//! Talk on an incident: who hears what, and what never travels. Whole mails in `tests/golden`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop, and says so"
)]

mod common;

use common::{Golden, World, only, subjects, to};
use embargod::domain::facts::names::{Handle, Span};
use embargod::domain::outgoing::verdict::{self, Outcome};
use embargod::rehearsal::mail::{Draft, Protected, Read};
use embargod::rehearsal::{Stage, Who};

/// Bytes that any program which touches text would change.
fn awkward_bytes() -> Vec<u8> {
    (0..=255).chain(b"\r\n.\n\nFrom me\n\t \n--parts\n".iter().copied()).collect()
}

#[test]
fn a_conversation_with_everybody_in_it() {
    let mut world = World::new();
    let mut golden = Golden::default();
    golden.scene("Mia accepts and says a word to the others");
    let new = world.says(Who::Mia, "/accept\n/title Overflow in tables\n\nTom, can you look?");
    assert_eq!(to(&new), [Who::Rita, Who::Mia, Who::Tom]);
    golden.add(&new);
    golden.scene("Tom answers without a command: Mia gets it, nobody else");
    let mut draft = Draft::answer(&only(&new, Who::Tom), "I can reproduce it.\n\nSee the trace.");
    draft.subject = "Re: Re: [...]".to_owned();
    draft.attachments.push(("trace.bin".to_owned(), awkward_bytes()));
    let new = world.sends(Who::Tom, &draft);
    assert_eq!(to(&new), [Who::Mia]);
    let mail = only(&new, Who::Mia);
    assert!(mail.subject.ends_with("] Overflow in tables"), "{}", mail.subject);
    assert_eq!(mail.attachments[0].1, awkward_bytes(), "byte for byte");
    golden.add(&new);
    golden.scene("Mia answers the reporter, with a file, and her key attached by her program");
    let mut draft = Draft::answer(
        &mail,
        "/reply\nThank you, Rita. Does this patch help?\n\nMia's words end here.",
    );
    draft.attachments.push(("fix.patch".to_owned(), awkward_bytes()));
    draft.with_key = true;
    let new = world.sends(Who::Mia, &draft);
    let reply = only(&new, Who::Rita);
    assert_eq!(reply.attachments.len(), 1, "no key of Mia's: {:?}", reply.attachments);
    assert_eq!(reply.attachments[0].1, awkward_bytes());
    for word in ["Mia <", "mia@", "Tom", "/reply", "> "] {
        assert!(!reply.says(word), "`{word}` in {}", reply.text);
    }
    golden.add(&new);
    golden.scene("The reporter answers; it comes back to those who talk");
    let mut draft = Draft::answer(&reply, "It helps.\n\nHere is another file.");
    draft.attachments.push(("second.bin".to_owned(), awkward_bytes()));
    let new = world.sends(Who::Rita, &draft);
    assert_eq!(to(&new), [Who::Mia, Who::Tom]);
    for (_, mail) in &new {
        assert_eq!(mail.attachments[0].1, awkward_bytes());
    }
    golden.add(&new);
    golden.scene("Uma, who has no role here, joins and hears the rest");
    world.confirms(Who::Mia, "/join uma fix_team");
    let new = world.says(Who::Tom, "Welcome, Uma.");
    assert_eq!(to(&new), [Who::Mia, Who::Uma]);
    golden.add(&new);
    golden.check("conversation");
}

/// Whether any of these bytes stands in anything that left, opened or not.
fn nowhere(mails: &[(Who, Read)], words: &[&str]) {
    for (who, mail) in mails {
        let mut all = vec![mail.text.as_bytes().to_vec(), mail.subject.as_bytes().to_vec()];
        all.extend(mail.attachments.iter().map(|(_, bytes)| bytes.clone()));
        for word in words {
            let held =
                all.iter().any(|bytes| bytes.windows(word.len()).any(|w| w == word.as_bytes()));
            assert!(!held, "`{word}` reached {} in `{}`", who.id(), mail.subject);
        }
    }
}

/// Commands leaked through the HTML alternative, at any depth of nesting.
#[test]
fn l1_no_byte_of_a_command_travels_in_another_form_of_the_text() {
    for depth in 1..=4 {
        for named in [false, true] {
            let mut world = World::new();
            let reference = world.reference();
            let name = if named { "; name=\"mail.html\"" } else { "" };
            let mut inner = format!(
                "Content-Type: multipart/alternative; boundary=b0\r\n\r\n--b0\r\nContent-Type: text/plain\r\n\r\n\
                 /reply\r\nThank you.\r\n\r\n> {reference}\r\n--b0\r\nContent-Type: text/html{name}\r\n\r\n\
                 <p>/reply</p><p>Thank you.</p><blockquote>{reference}</blockquote>\r\n--b0--\r\n"
            );
            for n in 1..depth {
                inner = format!(
                    "Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n{inner}\r\n--b{n}--\r\n"
                );
            }
            let draft = Draft::sealed("");
            let sealed = world.seal(Who::Mia, inner.as_bytes());
            let mail = world.mail(Who::Mia, "1@x", &draft, &sealed);
            let new = world.deliver(mail);
            let reply = only(&new, Who::Rita);
            assert!(reply.says("Thank you."), "{}", reply.text);
            let others: Vec<_> = new.into_iter().filter(|(who, _)| *who != Who::Mia).collect();
            let token = reference.split('/').nth(1).unwrap();
            nowhere(&others, &["/reply", token, "<p>"]);
        }
    }
}

/// A word in the middle of a text, which schleuder passed on.
#[test]
fn l1_a_word_below_the_text_stops_the_mail() {
    let mut world = World::new();
    for text in
        ["/reply\nThank you.\n/spam\n", "Thank you.\n\n/accept\n", "/note x\n\nwords\n/hold ALL"]
    {
        world.is_refused(Who::Mia, text, "stands below your text");
    }
    // A path, or a word that is none of ours, is text.
    let new = world.says(Who::Mia, "See\n/etc/passwd and\n/dance\n");
    assert_eq!(to(&new), [Who::Tom], "{:?}", subjects(&new));
}

/// The headers that were protected come along in a part of their own.
#[test]
fn l2_old_protected_headers_are_not_passed_on() {
    for attached in ["", "Content-Disposition: attachment; filename=\"headers.txt\"\r\n"] {
        let mut world = World::new();
        let reference = world.reference();
        let inner = format!(
            "Content-Type: multipart/mixed; boundary=b; protected-headers=\"v1\"\r\nSubject: The hidden quince\r\n\r\n\
             --b\r\nContent-Type: text/rfc822-headers; protected-headers=\"v1\"\r\n{attached}\r\nSubject: The hidden quince\r\n\r\n\
             --b\r\nContent-Type: text/plain\r\n\r\n/reply\r\nThank you.\r\n\r\n> {reference}\r\n--b--\r\n"
        );
        let sealed = world.seal(Who::Mia, inner.as_bytes());
        let mail = world.mail(Who::Mia, "1@x", &Draft::sealed(""), &sealed);
        let new = world.deliver(mail);
        let reply = only(&new, Who::Rita);
        assert!(reply.says("Thank you."));
        nowhere(&[(Who::Rita, reply)], &["quince", "rfc822"]);
    }
}

/// Nothing of one incident reaches somebody who is only on another.
#[test]
fn l9_a_quote_from_another_incident_stops_the_mail() {
    let mut world = World::new();
    let second = common::report(&mut world.stage);
    let other = Handle::parse(&second.handle().unwrap()).unwrap();
    let quote = world.reference_of(Who::Mia, &other);
    let text = format!("Look at this too:\n> a secret of the second\n> {quote}\n");
    let new = world.says(Who::Mia, &text);
    assert_eq!(to(&new), [Who::Mia], "{:?}", subjects(&new));
    assert!(new[0].1.subject.contains("Not done: two incidents"), "{}", new[0].1.subject);
    // Uma is on the first only: a duplicate, a merge, a digest tell her nothing of the second.
    world.confirms(Who::Mia, "/join uma fix_team");
    world.does_on(Who::Mia, &other, "/accept\n/title The hidden quince\n/set impact quince rot");
    let handle = world.handle.clone();
    let nonce = world.does_on(Who::Mia, &other, &format!("/duplicate {handle}")).nonce().unwrap();
    let new = world.says_on(Who::Mia, &other, &format!("/confirm {nonce}"));
    let uma: Vec<_> = new.iter().filter(|(who, _)| *who == Who::Uma).cloned().collect();
    nowhere(&uma, &["quince", other.as_str()]);
    let rita: Vec<_> = new.iter().filter(|(who, _)| *who == Who::Rita).cloned().collect();
    assert_eq!(rita.len(), 1);
    nowhere(&rita, &["quince", handle.as_str()]);
    let new = world.waits(Span::hours(30));
    let uma: Vec<_> = new.iter().filter(|(who, _)| *who == Who::Uma).cloned().collect();
    nowhere(&uma, &["quince", other.as_str()]);
}

/// What the desk wrote to the team must not leave, whether the mail program marks quotes or not.
#[test]
fn a_quoted_mail_of_the_desk_never_reaches_the_reporter() {
    let report = |world: &World| world.report.text.clone();
    let outlook = |world: &World| {
        format!(
            "/reply\nThank you.\n\n-----Ursprüngliche Nachricht-----\nVon: Demo Desk <security@desk.test>\n\
             Gesendet: Montag, 2. März 2026 09:00\nAn: mia\nBetreff: [...]\n\n{}",
            report(world)
        )
    };
    let underscores = |world: &World| {
        format!(
            "/reply\nThank you.\n\n________________________________\nFrom: Demo Desk <security@desk.test>\n\
             Sent: Monday\nTo: mia\nSubject: x\n\n{}",
            report(world)
        )
    };
    let gmail = |world: &World| {
        format!(
            "/reply\nThank you.\n\nOn Mon, Mar 2, 2026 at 9:00 AM Demo Desk\n<security@desk.test> wrote:\n\n{}",
            report(world)
        )
    };
    for (n, quote) in
        [&outlook as &dyn Fn(&World) -> String, &underscores, &gmail].iter().enumerate()
    {
        let mut world = World::new();
        let text = quote(&world);
        let new = world.sends(Who::Mia, &Draft::sealed(&text));
        let reply = only(&new, Who::Rita);
        assert!(reply.text.starts_with("Thank you.\n\n-- \n"), "{n}: {}", reply.text);
        let mia = only(&new, Who::Mia);
        assert!(mia.says("was left out"), "{}", mia.text);
    }
    // Where nothing shows that it is a quote, nothing leaves.
    let mut world = World::new();
    let text = format!("/reply\nThank you.\n\n{}", report(&world));
    let new = world.sends(Who::Mia, &Draft::sealed(&text));
    let refusal = only(&new, Who::Mia);
    assert!(refusal.says("not marked as a quote"), "{}", refusal.text);
    assert_eq!(new.len(), 1, "{:?}", subjects(&new));
}

/// A reporter without a key gets no content, and the maintainer is told.
#[test]
fn l5_a_reply_to_somebody_without_a_key_is_not_sent() {
    let mut world = World::new();
    world.stage.write(Who::Paul, &Draft::plain("Bug", "A bug in version 2.")).unwrap();
    world.stage.pass(Span::seconds(10)).unwrap();
    let report = world.stage.mailbox(Who::Mia).unwrap().pop().unwrap();
    let mut draft = Draft::answer(&report, "/reply\nThe quince is in the parser.");
    draft.attachments.push(("quince.patch".to_owned(), b"quince".to_vec()));
    let new = world.sends(Who::Mia, &draft);
    let paul: Vec<_> = new.iter().filter(|(who, _)| *who == Who::Paul).cloned().collect();
    nowhere(&paul, &["quince", "parser"]);
    assert!(only(&new, Who::Mia).says("NOT sent"));
}

#[test]
fn mails_of_an_incident_hang_together_and_say_nothing_outside() {
    let mut world = World::new();
    let mut ids = Vec::new();
    for text in ["/accept", "/title A", "Talk."] {
        let new = world.says(Who::Tom, text);
        for (who, mail) in new.iter().filter(|(who, _)| *who == Who::Mia) {
            assert_eq!(mail.outer_subject, "[...]", "{}", who.id());
            ids.push(mail.references.clone());
        }
    }
    // All answer the first mail that Mia got on it, inside the protection.
    let root = world.report.message_id.clone().unwrap();
    assert!(!ids.is_empty() && ids.iter().all(|refs| refs == &vec![root.clone()]), "{ids:?}");
}

#[test]
fn an_operator_can_choose_threads_for_every_program() {
    for outside in [false, true] {
        let mut world = World::with(|sources| sources.settings.threads_outside = outside);
        world.says(Who::Tom, "Talk.");
        let mails = world.folder().join("mails");
        let mut named = 0;
        for entry in std::fs::read_dir(mails).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let head = std::fs::read_to_string(entry.path()).unwrap();
            let head = head.split("\r\n\r\n").next().unwrap().to_owned();
            // What may leave in clear is seen whole in any case.
            if name.contains("-desk-to-") && head.contains("multipart/encrypted") {
                named += usize::from(head.contains("\nReferences: <"));
            }
        }
        assert_eq!(named > 0, outside);
    }
}

#[test]
fn garbage_in_a_thread_becomes_one_word_and_not_a_hundred() {
    let mut world = World::new();
    let root = world.report.message_id.clone();
    let before = world.stage.mailbox(Who::Mia).unwrap().len();
    for n in 0..100 {
        let mut draft = Draft::plain("Re: x", &format!("Garbage {n}."));
        draft.answers.clone_from(&root);
        let entity = Protected::Clear(draft.entity(None));
        let mail = world.mail(Who::Paul, &format!("{n}@heap"), &draft, &entity);
        world.stage.deliver(&Who::Paul.address(), mail).unwrap();
    }
    world.stage.pass(Span::seconds(10)).unwrap();
    let new = world.stage.mailbox(Who::Mia).unwrap().split_off(before);
    let heaps = new.iter().filter(|mail| mail.subject.contains("in heaps")).count();
    // A hundred mails take fifty minutes here, so they lie in one hour or two.
    assert!((1..=2).contains(&heaps) && new.len() <= 24, "{} mails, {heaps} heaps", new.len());
    assert_eq!(world.incident().letters.len(), 101, "none is lost");
}

/// Garbage that cannot be opened comes as one list.
#[test]
fn r7_a_hundred_mails_that_cannot_be_opened_are_one_list() {
    let mut world = World::new();
    let before = world.stage.mailbox(Who::Mia).unwrap().len();
    for n in 0..100 {
        let draft = Draft::sealed("");
        let armor =
            format!("-----BEGIN PGP MESSAGE-----\n\nZ2FyYmFnZQ{n:02}\n-----END PGP MESSAGE-----\n");
        let mail =
            world.mail(Who::Paul, &format!("{n}@heap"), &draft, &Protected::Encrypted(armor));
        world.stage.deliver(&Who::Paul.address(), mail).unwrap();
    }
    world.stage.pass(Span::hours(1)).unwrap();
    let new = world.stage.mailbox(Who::Mia).unwrap().split_off(before);
    let one_by_one = new.iter().filter(|mail| mail.subject.contains("New report")).count();
    let listed: usize =
        new.iter().map(|mail| mail.text.matches("could not be opened").count()).sum();
    assert!(one_by_one <= 20, "{one_by_one} one by one");
    assert_eq!(one_by_one + listed, 100, "each is shown once");
    assert!(new.len() <= 40, "{:?}", new.iter().map(|m| &m.subject).collect::<Vec<_>>());
}

//------------ What a second look found -----------------------------------------------------------

/// What a maintainer signed elsewhere is no talk here, however it is brought in.
#[test]
fn talk_that_was_signed_elsewhere_is_passed_on_to_nobody() {
    let mut world = World::new();
    let mut draft = Draft::sealed("Yes, I agree. Publish it today.");
    draft.answers.clone_from(&world.report.message_id);
    let entity = draft.entity(None);
    let body = entity.strip_suffix(b"\r\n").unwrap().to_vec();
    let key = world.stage.keyring(Who::Mia).unwrap();
    let signature = common::armor(key.sign(&body, world.stage.now()).unwrap());
    let mail = world.mail(Who::Mia, "1@x", &draft, &Protected::Signed(body, signature));
    let new = world.deliver(mail);
    assert_eq!(to(&new), [Who::Mia], "{:?}", subjects(&new));
    assert!(new[0].1.subject.contains("not bound"), "{}", new[0].1.subject);
    // Nor does a word that changes something at the desk count, if it names nobody.
    let tom = world.says(Who::Tom, "/away 2026-12-24");
    assert!(only(&tom, Who::Tom).subject.contains("Done"), "with a reference it does");
}

/// A reporter's reference in what is quoted moves nobody's words to another incident.
#[test]
fn a_reporters_reference_neither_travels_nor_steers() {
    for blank in [" ", "", "\n", "\u{a0}", "\t "] {
        let mut world = World::new();
        let first = world.handle.clone();
        let token = world.reference_of(Who::Rita, &first);
        let token = token.strip_prefix("Ref: ").unwrap();
        let second = common::report(&mut world.stage);
        let other = Handle::parse(&second.handle().unwrap()).unwrap();
        let own = world.reference_of(Who::Rita, &other);
        let text = format!("More on it.\nRef:{blank}{token}\n\n{own}\n");
        let new = world.sends(Who::Rita, &Draft::sealed(&text));
        let secret = token.split('/').nth(1).unwrap();
        for (who, mail) in &new {
            assert!(!mail.says(secret), "{blank:?}: {} got it", who.id());
        }
        // A maintainer who quotes it all the same speaks of the incident that their own is for.
        let mias = world.reference_of(Who::Mia, &other);
        let text = format!("Words on the second.\n\n> Ref: {token}\n> {mias}\n");
        let new = world.sends(Who::Mia, &Draft::sealed(&text));
        assert_eq!(to(&new), [Who::Mia], "a quote from another incident: {:?}", subjects(&new));
    }
}

/// Nothing that is attached shows who wrote an answer, whatever it is called.
#[test]
fn attachments_of_an_answer_tell_nothing_about_its_writer() {
    let mut world = World::new();
    let key = world.stage.keyring(Who::Mia).unwrap().certificate().armored().into_bytes();
    let mut draft = Draft::answer(&world.report, "/reply\nAll fine.");
    for (name, bytes) in [
        ("fix.patch", b"--- a\n+++ b\n".to_vec()),
        ("notes.txt", key.clone()),
        ("0xMIA_public.asc", key),
        ("mia.vcf", b"BEGIN:VCARD\nFN:Mia\nEND:VCARD".to_vec()),
        ("card.bin", b"BEGIN:VCARD\nFN:Mia\nEND:VCARD".to_vec()),
        ("invite.ics", b"BEGIN:VCALENDAR\nORGANIZER:mia".to_vec()),
        ("fix.patch.sig", vec![0x88, 1, 2]),
    ] {
        draft.attachments.push((name.to_owned(), bytes));
    }
    let new = world.sends(Who::Mia, &draft);
    let names: Vec<_> =
        only(&new, Who::Rita).attachments.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, ["fix.patch"]);
    let answer = only(&new, Who::Mia);
    assert!(answer.says("Left out") && answer.says("mia.vcf"), "{}", answer.text);
    assert!(only(&new, Who::Tom).says("(attached: fix.patch)"));
    // A mail of the desk as an attachment stops it.
    let mut draft = Draft::answer(&world.report, "/reply\nSee this.");
    draft.attachments.push(("mail.txt".to_owned(), world.report.text.clone().into_bytes()));
    let new = world.sends(Who::Mia, &draft);
    assert_eq!(to(&new), [Who::Mia], "{:?}", subjects(&new));
    assert!(new[0].1.says("repeats a mail of the desk"), "{}", new[0].1.text);
}

/// Whoever has read the acknowledgement in clear can bring a key of their own; the team is told.
#[test]
fn a_new_key_of_a_reporter_is_announced_and_not_taken_from_another_address() {
    let mut world = World::new();
    world.stage.write(Who::Paul, &Draft::plain("Bug", "A bug in version 2.")).unwrap();
    world.stage.pass(Span::seconds(10)).unwrap();
    let ack = world.stage.mailbox(Who::Paul).unwrap().pop().unwrap();
    let line = ack.text.lines().find(|line| line.starts_with("Ref: ")).unwrap().to_owned();
    let mut thief = Draft::sealed(&format!("Here is my key.\n\n{line}"));
    thief.with_key = true;
    let new = world.sends(Who::Rita, &thief);
    let told = only(&new, Who::Mia);
    assert!(told.says("was NOT taken"), "{}", told.text);
    let handle = Handle::parse(&ack.handle().unwrap()).unwrap();
    assert!(world.stage.engine().unwrap().desk().incidents[&handle].reporter.key.is_none());
    thief.from = Some(Who::Paul.address());
    let new = world.sends(Who::Rita, &Draft { text: format!("My key again.\n\n{line}"), ..thief });
    assert!(only(&new, Who::Mia).says("NEW KEY of the reporter"));
}

/// A mail that only asks what its program did is answered, and is no report.
#[test]
fn a_lonely_ping_opens_no_incident() {
    let mut world = World::new();
    let before = world.stage.engine().unwrap().desk().incidents.len();
    let mut draft = Draft::plain("x", "/ping\n");
    draft.from = Some(Who::Mia.address());
    let entity = Protected::Clear(draft.entity(None));
    let mail = world.mail(Who::Mia, "1@x", &draft, &entity);
    let new = world.deliver(mail);
    assert_eq!(to(&new), [Who::Mia], "{:?}", subjects(&new));
    assert!(new[0].1.says("switch signing on"), "{}", new[0].1.text);
    assert_eq!(world.stage.engine().unwrap().desk().incidents.len(), before);
}

/// What looks like a reference in a stranger's words binds nothing, contradicts nothing, and does not
/// push the true one out: only what the desk made out to somebody is one.
#[test]
fn planted_references_neither_count_nor_contradict() {
    let mut world = World::new();
    let known = world.handle.clone();
    // Of an incident that exists, of many that do not, and in front of the true one.
    let planted = |n: u32| match n {
        0 => format!("Ref: {known}/0123456789ABCDEF"),
        n => format!("Ref: AAA-2026-{n:05}/0123456789ABCDEF"),
    };
    let lines: Vec<String> = (0..80).map(planted).collect();
    let mut draft = Draft::plain("A bug", &lines.join("\n"));
    draft.subject = format!("A bug {} {}", planted(0), planted(1));
    let new = world.sends(Who::Paul, &draft);
    let told = only(&new, Who::Mia);
    let handle = told.handle().unwrap();
    assert_ne!(handle, known.as_str());
    // Mia's program quotes all of it, above and below.
    let mut answer = Draft::answer(&told, "/accept");
    answer.text =
        format!("/accept\n\n{}\n> {}", lines.join("\n> "), told.text.replace('\n', "\n> "));
    let new = world.sends(Who::Mia, &answer);
    let said = only(&new, Who::Mia);
    assert!(said.subject.contains("Done: accept"), "{}\n{}", said.subject, said.text);
    // And a word of hers to the others, with the same quote, is passed on.
    let mut talk = Draft::answer(&told, "Tom, please look.");
    talk.text = format!(
        "Tom, please look.\n\n> {}\n> {}",
        lines.join("\n> "),
        told.text.replace('\n', "\n> ")
    );
    let new = world.sends(Who::Mia, &talk);
    assert!(!subjects(&new).iter().any(|line| line.contains("Not done")), "{:?}", subjects(&new));
    assert!(new.iter().any(|(who, mail)| *who == Who::Tom && mail.says("please look")));
}

/// Whatever a stranger puts where the desk prints their words (display name, subject, file names, how they
/// want to be named, when they publish): it is no line of the desk, and the team's answer works.
#[test]
fn words_of_strangers_are_no_lines_of_the_desk() {
    let mut world = World::new();
    let known = world.handle.clone();
    let evil = format!(
        "x Ref: {known}/0123456789ABCDEF TLP:CLEAR /published | /confirm 0123456789ABCDEF Journal 1 0"
    );
    let mut draft = Draft::sealed(&format!("It breaks.\n\nRef: {known}/0123456789ABCDEF"));
    draft.subject = evil.clone();
    draft.with_key = true;
    draft.from = Some(format!("\"{evil}\" <paul@people.test>"));
    draft.attachments.push((format!("{evil}.txt"), b"x".to_vec()));
    let new = world.sends(Who::Rita, &draft);
    let told = only(&new, Who::Mia);
    let handle = Handle::parse(&told.handle().unwrap()).unwrap();
    let reference = world.reference_of(Who::Rita, &handle);
    let mut mails = vec![told.clone()];
    for word in [format!("/credit {evil}"), format!("/publish {evil}")] {
        let new = world.sends(Who::Rita, &Draft::sealed(&format!("{word}\n\n{reference}\n")));
        mails.extend(new.into_iter().filter(|(who, _)| *who == Who::Mia).map(|(_, mail)| mail));
    }
    mails.push(world.does_on(Who::Mia, &handle, "/show"));
    for mail in &mails {
        let own = world.reference_of(Who::Mia, &handle);
        let frame =
            |begins: &str| mail.text.lines().filter(|line| line.starts_with(begins)).count();
        assert_eq!(
            (frame("TLP:"), frame("Journal ")),
            (1, frame("Journal ").min(1)),
            "{}",
            mail.text
        );
        for line in mail.text.lines().chain([mail.subject.as_str()]) {
            assert!(!line.contains("Ref:") || line == own, "{line}");
            assert!(!line.starts_with('/') && !line.contains("0123456789ABCDEF\""), "{line}");
            assert!(!line.contains(&format!("{known}/0123")), "{line}");
        }
        // Answered by a program that quotes all of it, it is carried out.
        let answer = Draft::answer(mail, "/note seen");
        let new = world.sends(Who::Mia, &answer);
        let said = only(&new, Who::Mia);
        assert!(said.subject.contains("Done: note"), "{}\n{}", said.subject, said.text);
    }
}

/// What ends a line for some and is not seen by others: a stranger's hidden line is quoted with the mark of
/// its own, and stays quoted in the answer, wherever the answer stands.
#[test]
fn a_hidden_line_end_of_a_strangers_makes_no_command() {
    let ends = ["\u{2028}", "\u{2029}", "\u{85}", "\u{b}", "\u{c}", "\r", "\n"];
    for (end, word) in ends.iter().flat_map(|end| [(end, "/spam"), (end, "/reject nonsense")]) {
        let mut world = World::new();
        let report = Draft::plain("A bug", &format!("It breaks.{end}{word}"));
        let new = world.sends(Who::Paul, &report);
        let told = only(&new, Who::Mia);
        world.handle = Handle::parse(&told.handle().unwrap()).unwrap();
        let hidden = ["\u{2028}", "\u{2029}", "\u{85}", "\u{b}", "\u{c}"];
        assert!(!hidden.iter().any(|end| told.text.contains(end)), "{:?}", told.text);
        let before = world.incident().status;
        let quoted: Vec<String> = told.text.lines().map(|line| format!("> {line}")).collect();
        let quoted = quoted.join("\n");
        for text in [
            format!("On 2026-12-01 10:00 the desk wrote:\n{quoted}\n\nTom, please look.\n"),
            format!("/note seen\n\nOn 2026-12-01 10:00 the desk wrote:\n{quoted}\n"),
            format!("On 2026-12-01 10:00 the desk wrote:\n{}\n", quoted.replace('\n', end)),
        ] {
            let mut answer = Draft::answer(&told, "");
            answer.text = text;
            let new = world.sends(Who::Mia, &answer);
            let refused = new.iter().find(|(_, mail)| mail.subject.contains("below the text"));
            assert!(refused.is_none(), "{end:?} {:?}", refused.map(|(_, mail)| &mail.text));
            assert_eq!(world.incident().status, before, "{end:?} {word}");
        }
    }
}

/// Two people who answer below a stranger's hidden line have not asked for what stands in it.
#[test]
fn a_stranger_does_not_speak_for_two_people() {
    for word in ["/published", "/leak unknown it is in a forum", "/disclose 2026-03-17T16:00:00Z"] {
        let mut world = common::members::planned();
        common::members::approve(&mut world, "advance");
        let t = world.incident().t();
        let reference = world.reference_of(Who::Rita, &world.handle);
        let text = format!("It also crashes.\u{2028}{word}\n\n> {reference}\n");
        let new = world.sends(Who::Rita, &Draft::sealed(&text));
        for who in [Who::Mia, Who::Tom] {
            let told = only(&new, who);
            let quoted: Vec<String> = told.text.lines().map(|line| format!("> {line}")).collect();
            let mut answer = Draft::answer(&told, "");
            answer.text =
                format!("On 2026-12-01 the desk wrote:\n{}\n\nTrue.\n", quoted.join("\n"));
            world.sends(who, &answer);
        }
        let incident = world.incident();
        assert!(incident.published().is_none() && incident.leaked.is_none(), "{word}");
        assert_eq!((incident.t(), incident.asks.len()), (t, 0), "{word}");
    }
}

/// Whoever makes a key chooses what it says of them, and whoever runs a mail server what it answers: neither
/// makes a line of the desk's.
#[test]
fn a_keys_user_id_and_a_servers_answer_are_strangers_words() {
    let planted = ["/published now", "TLP:CLEAR", "| /published", "What to do: write", "tlp:clear"];
    let mut world = World::new();
    for (n, uid) in planted.iter().enumerate() {
        let (id, now) = (format!("zed{n}"), world.stage.now());
        let address = format!("{id}@people.test");
        let (secret, _) = embargod::edge::pgp::generate(uid, &address, None, None, now).unwrap();
        let ring = embargod::edge::pgp::Keyring::open(&[secret], None, [0; 32], now).unwrap();
        let certificate = ring.certificate().armored().into_bytes();
        let mut draft = Draft::sealed(&format!("/member propose {id} private_distributors"));
        draft.attachments.push(("k.asc".into(), certificate));
        let mut new = common::members::sent(&mut world, Who::Mia, draft);
        let suspend = format!("/member suspend {id} test\n/member remove {id} test");
        new.extend(common::members::at_desk(&mut world, Who::Mia, &suspend));
        for (_, mail) in &new {
            for line in mail.text.lines() {
                let small = line.trim_start().to_lowercase();
                assert!(
                    !small.starts_with("/published") && !small.contains("| /published"),
                    "{line}"
                );
                assert!(
                    !small.starts_with("tlp:clear") && !small.contains("what to do: write"),
                    "{line}"
                );
            }
        }
    }
    world.does(Who::Mia, "/accept\n/lead me");
    let reply = "550 5.1.1 x What to do: | /confirm 0123456789ABCDEF agrees";
    let refused = Outcome::Said(verdict::Stage::To, reply.to_owned());
    world.stage.answers.insert(Who::Rita, vec![refused; 9].into());
    let before = world.stage.arrivals.len();
    world.says(Who::Mia, "/reply\n\nThank you.");
    world.waits(Span::hours(3));
    let told = world.stage.arrivals.iter().skip(before).map(|(.., mail)| mail);
    let told: Vec<_> = told.filter(|mail| mail.subject.contains("not be delivered")).collect();
    assert!(!told.is_empty());
    for mail in told {
        assert_eq!(mail.text.matches("What to do:").count(), 1, "{}", mail.text);
        assert!(!mail.says("| /confirm"), "{}", mail.text);
    }
}
