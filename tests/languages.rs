//! Reporters are written to in their language, by headers that anybody can see, and nobody learns by it
//! whether a captured report opened.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on should stop"
)]

mod common;

use common::{World, only, subjects};
use embargod::domain::facts::names::{Handle, Span};
use embargod::rehearsal::mail::{Draft, Protected, Read};
use embargod::rehearsal::{Stage as _, Who};

fn world() -> World {
    World::bare(|sources| {
        sources.settings.languages = vec!["de".to_owned(), "ja".to_owned()];
    })
}

/// A mail with headers of its writer's program.
fn with(world: &World, who: Who, id: &str, headers: &str, protected: &Protected) -> Vec<u8> {
    let whole = world.mail(who, id, &Draft::sealed("x"), protected);
    let whole = String::from_utf8(whole).unwrap();
    whole
        .replacen("MIME-Version: 1.0\r\n", &format!("{headers}MIME-Version: 1.0\r\n"), 1)
        .into_bytes()
}

fn to(mails: &[(Who, Read)], who: Who) -> Vec<Read> {
    mails.iter().filter(|(to, _)| *to == who).map(|(_, mail)| mail.clone()).collect()
}

#[test]
fn a_reporter_hears_in_the_language_that_their_mail_asks_for() {
    for (headers, wanted) in [
        ("Content-Language: de-DE\r\n", "Danke, dass Sie Demo Desk geschrieben haben"),
        ("Accept-Language: fr, ja;q=0.7\r\n", "にご連絡いただきありがとうございます"),
        ("Accept-Language: en-GB, de\r\n", "Thank you for writing to Demo Desk"),
        ("Content-Language: es\r\n", "Thank you for writing to Demo Desk"),
        ("", "Thank you for writing to Demo Desk"),
    ] {
        let mut world = world();
        let sealed = world.seal_signed(Who::Rita, &Draft::sealed("It writes past its buffer."));
        let new = world.deliver(with(&world, Who::Rita, "a@x.test", headers, &sealed));
        let ack = only(&new, Who::Rita);
        assert!(ack.says(wanted), "{headers}: {}", ack.text);
        let handle = Handle::parse(&to(&new, Who::Mia)[0].handle().unwrap()).unwrap();
        assert!(ack.subject.contains(handle.as_str()), "{}", ack.subject);
        if headers.contains("de-DE") {
            assert!(!ack.says("Mon 2026"), "no weekday of another language: {}", ack.text);
            // Later words as well, and the commands stay what they are.
            let said = world.says_on(Who::Mia, &handle, "/accept");
            assert!(
                to(&said, Who::Rita)[0].says("Danke für Ihre Meldung"),
                "{:?}",
                subjects(&said)
            );
        }
    }
}

/// A thief mails in a captured report: it is answered like a mail that opened nothing, in the language of
/// the thief's own mail, at once and whenever the team writes to the reporter.
#[test]
fn a_captured_report_is_answered_in_its_senders_language() {
    for (theirs, ours) in [("", "Content-Language: de\r\n"), ("Content-Language: ja\r\n", "")] {
        let mut world = world();
        let sealed = world.seal_signed(Who::Rita, &Draft::sealed("It writes past its buffer."));
        let new = world.deliver(with(&world, Who::Rita, "a@x.test", ours, &sealed));
        let handle = Handle::parse(&to(&new, Who::Mia)[0].handle().unwrap()).unwrap();
        let copy = world.deliver(with(&world, Who::Paul, "b@x.test", theirs, &sealed));
        let bogus = "-----BEGIN PGP MESSAGE-----\r\n\r\nwcFMAwAAAAAAAAAAARAA\r\n-----END PGP MESSAGE-----\r\n";
        let bogus = world.deliver(with(
            &world,
            Who::Paul,
            "c@x.test",
            theirs,
            &Protected::Encrypted(bogus.to_owned()),
        ));
        let words = |mail: &Read| -> Vec<String> {
            let keeps =
                |word: &&str| !word.contains("DEMO-") && !word.chars().any(|c| c.is_ascii_digit());
            mail.text.split_whitespace().filter(keeps).map(str::to_owned).collect()
        };
        let (copy, bogus) = (only(&copy, Who::Paul), only(&bogus, Who::Paul));
        assert_eq!(words(&copy), words(&bogus), "{}\n{}", copy.text, bogus.text);
        let before = world.stage.mailbox(Who::Paul).unwrap().len();
        world.says_on(Who::Mia, &handle, "/accept");
        world.waits(Span::minutes(1));
        let said = world.stage.mailbox(Who::Paul).unwrap();
        let said: Vec<&Read> = said.iter().skip(before).collect();
        let german = said.iter().any(|mail| mail.says("Ihre Meldung"));
        assert!(!german, "in the language of the reporter: {}", said[0].text);
    }
}
