//! The forms in which ciphertext comes: from both sides. What people send is read; what an attacker wraps
//! tells them nothing.
#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::too_many_lines,
    clippy::string_slice,
    reason = "a test that cannot go on should stop"
)]

mod common;
#[path = "common/shapes.rs"]
mod shapes;

use common::{World, armor, encrypt_only, subjects};
use embargod::domain::facts::names::{Moment, Span};
use embargod::rehearsal::mail::{Draft, Read};
use embargod::rehearsal::{DESK, Stage as _, Who};
use shapes::{Sealed, pgp_mime, shapes};

const CANARY: &str = "The quince is in the parser.";

/// A mail of Paul's with this body.
fn from_paul(world: &World, id: &str, body: &str) -> Vec<u8> {
    format!(
        "From: <{}>\r\nTo: <{DESK}>\r\nSubject: Report {id}\r\nDate: {}\r\nMessage-ID: <{id}@people.test>\r\nMIME-Version: 1.0\r\n{body}",
        Who::Paul.address(),
        world.stage.now().to_rfc2822()
    )
    .into_bytes()
}

fn arrives(world: &mut World, bytes: Vec<u8>) -> Vec<(Who, Read)> {
    let before: Vec<usize> =
        Who::ALL.iter().map(|who| world.stage.mailbox(*who).unwrap().len()).collect();
    world.stage.deliver(&Who::Paul.address(), bytes).unwrap();
    world.stage.pass(Span::seconds(10)).unwrap();
    let mut new = Vec::new();
    for (who, before) in Who::ALL.into_iter().zip(before) {
        new.extend(
            world.stage.mailbox(who).unwrap().into_iter().skip(before).map(|mail| (who, mail)),
        );
    }
    new
}

fn all_shapes(world: &World, n: usize) -> Vec<(&'static str, String, bool)> {
    // Made anew for each, so that no session key is a copy of another's.
    let seal = |bytes: &[u8]| encrypt_only(world.stage.desk(), bytes);
    let entity = format!("Content-Type: text/plain\r\n\r\n{CANARY} {n}\r\n");
    let text = seal(format!("{CANARY} {n}\n").as_bytes());
    let key = world.stage.keyring(Who::Rita).unwrap().certificate().armored();
    let (entity, file) = (seal(entity.as_bytes()), seal(b"%PDF-1.4"));
    shapes(&Sealed { text: &text, entity: &entity, file: &file, key: &key })
}

#[test]
fn every_form_that_people_send_is_read_or_named() {
    let mut world = World::new();
    let count = all_shapes(&world, 0).len();
    for n in 0..count {
        let (name, body, opens) = all_shapes(&world, n).swap_remove(n);
        world.stage.pass(Span::hours(1)).unwrap();
        let mail = from_paul(&world, &format!("shape{n}"), &body);
        let new = arrives(&mut world, mail);
        let team: Vec<&Read> =
            new.iter().filter(|(who, _)| *who == Who::Mia).map(|(_, m)| m).collect();
        let report = team.iter().find(|mail| mail.subject.contains("New report")).unwrap();
        assert_eq!(report.text.contains(CANARY), opens, "{name}: {}", report.text);
        assert!(!report.text.contains("NOT encrypted"), "{name}: {}", report.text);
        if !opens {
            assert!(
                report.text.contains("left closed") && report.text.contains("ours"),
                "{name}: {}",
                report.text
            );
            assert!(report.text.contains("| /unreadable"), "{name}");
        }
        // Whoever sent it hears the same whatever it is, but for what anybody can see of it.
        let (_, ack) = new.iter().find(|(who, _)| *who == Who::Paul).unwrap();
        assert!(ack.text.contains("SHA-256 of the OpenPGP data"), "{name}: {}", ack.text);
        assert!(!ack.text.contains("quince"), "{name}");
        assert_eq!(!opens, ack.text.contains("we open nothing"), "{name}: {}", ack.text);
        let several = ["a text and an encrypted file", "two blocks"].contains(&name);
        assert_eq!(several, ack.text.contains("more than one encrypted"), "{name}: {}", ack.text);
    }
}

#[test]
fn what_stands_beside_is_shown_apart_and_is_no_command() {
    let mut world = World::new();
    let reference = world.reference_of(Who::Mia, &world.handle.clone());
    let entity = format!("Content-Type: text/plain\r\n\r\nWords.\r\n\r\n> {reference}\r\n");
    let key = world.stage.keyring(Who::Mia).unwrap();
    let sealed = armor(key.seal(world.stage.desk(), entity.as_bytes(), world.stage.now()).unwrap());
    let sealed = sealed.replace('\n', "\r\n");
    let body = format!(
        "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: text/plain\r\n\r\n/spam\r\n\r\n\
         --m\r\n{}\r\n--m\r\nContent-Type: text/plain\r\n\r\n/accept\r\n{reference}\r\n--m--\r\n",
        pgp_mime("application/octet-stream", &sealed)
    );
    let mail = from_paul(&world, "beside", &body);
    let new = arrives(&mut world, mail);
    assert_eq!(world.incident().status.word(), "received", "{:?}", subjects(&new));
    let (_, toms) = new.iter().find(|(who, _)| *who == Who::Tom).unwrap();
    let (inside, outside) = toms.text.split_once("Beside what was encrypted").unwrap();
    assert!(inside.contains("> Words.") && !inside.contains("/spam"), "{}", toms.text);
    assert!(outside.contains("> /spam") && outside.contains("> /accept"), "{}", toms.text);
}

/// A maintainer whose program, or whose list, wraps what they sealed is heard.
#[test]
fn commands_inside_a_wrapping_count() {
    let count = all_shapes(&World::new(), 0).len();
    for n in 0..count {
        let mut world = World::new();
        let reference = world.reference_of(Who::Mia, &world.handle.clone());
        let key = world.stage.keyring(Who::Mia).unwrap();
        let seal = |text: &str| {
            armor(key.seal(world.stage.desk(), text.as_bytes(), world.stage.now()).unwrap())
        };
        let words = format!("/accept\r\n\r\n> {reference}\r\n");
        let text = seal(&words);
        let entity = seal(&format!("Content-Type: text/plain\r\n\r\n{words}"));
        let sealed = Sealed { text: &text, entity: &entity, file: &seal("x"), key: "" };
        let (name, body, opens) = shapes(&sealed).swap_remove(n);
        let mail = from_paul(&world, "command", &body);
        let mail =
            String::from_utf8(mail).unwrap().replace(&Who::Paul.address(), &Who::Mia.address());
        world.stage.deliver(&Who::Mia.address(), mail.into_bytes()).unwrap();
        world.stage.pass(Span::seconds(10)).unwrap();
        let counted = world.incident().status.word() == "accepted";
        assert_eq!(counted, opens, "{name}");
    }
}

/// One mail of an outsider's, as far as they and everybody outside can tell it from another.
#[derive(Debug, PartialEq)]
struct Seen {
    to: String,
    subject: String,
    sealed: bool,
    after: i64,
    size: usize,
    hints: Vec<String>,
}

/// All that leaves to outsiders for a mail, within a day.
fn seen(world: &mut World, bytes: Vec<u8>) -> Vec<Seen> {
    let before: Vec<_> = files(world);
    let began = world.stage.now();
    world.stage.deliver(&Who::Paul.address(), bytes).unwrap();
    let mut all = Vec::new();
    let mut known = before;
    for _ in 0..40 {
        world.stage.pass(Span::seconds(1)).unwrap();
        collect(world, &mut known, began, &mut all);
    }
    world.stage.pass(Span::days(1)).unwrap();
    collect(world, &mut known, began, &mut all);
    all
}

fn files(world: &World) -> Vec<std::path::PathBuf> {
    let mut all: Vec<_> = std::fs::read_dir(world.folder().join("mails"))
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().contains("-desk-to-"))
        .collect();
    all.sort();
    all
}

fn collect(world: &World, known: &mut Vec<std::path::PathBuf>, began: Moment, all: &mut Vec<Seen>) {
    for path in files(world) {
        if known.contains(&path) {
            continue;
        }
        let name = path.to_string_lossy().into_owned();
        known.push(path.clone());
        let insider = ["mia", "tom", "uma", "ann", "bob", "cho", "desk"];
        let to = name.rsplit("-desk-to-").next().unwrap().trim_end_matches(".eml").to_owned();
        if insider.contains(&to.as_str()) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let subject = text.lines().find(|line| line.starts_with("Subject:")).unwrap();
        let subject = subject.split_once(']').map_or(subject, |(_, rest)| rest).to_owned();
        let words =
            ["none of the keys", "we open nothing", "more than one", "password", "cannot encrypt"];
        all.push(Seen {
            to,
            subject,
            sealed: text.contains("multipart/encrypted"),
            after: (world.stage.now() - began).num_seconds(),
            // Classes of a kilobyte: names and hashes are of one length, and folding differs.
            size: text.len() / 1_024,
            hints: words.iter().filter(|w| text.contains(**w)).map(|w| (*w).to_owned()).collect(),
        });
    }
}

/// The same mail with one letter changed in the middle of the ciphertext.
fn damaged(armor: &str) -> String {
    let lines: Vec<&str> = armor.lines().collect();
    let middle = lines.len() / 2;
    let line = lines[middle];
    let other = if line.starts_with('A') { "B" } else { "A" };
    let changed = format!("{other}{}", &line[1..]);
    let lines: Vec<&str> = lines
        .iter()
        .enumerate()
        .map(|(n, l)| if n == middle { changed.as_str() } else { *l })
        .collect();
    lines.join("\n") + "\n"
}

/// A thief mails in what somebody else sealed, once as it was and once damaged: nothing that they or anybody
/// outside can see tells the two apart.
#[test]
fn whether_it_opened_shows_in_nothing_that_leaves() {
    fn whole(armor: &str) -> String {
        pgp_mime("application/octet-stream", &armor.trim_end().replace('\n', "\r\n"))
    }
    fn inline(armor: &str) -> String {
        format!("Content-Type: text/plain\r\n\r\n{}", armor.replace('\n', "\r\n"))
    }
    fn greeted(armor: &str) -> String {
        format!(
            "Content-Type: text/plain\r\n\r\nHello,\r\n\r\n{}\r\n-- \r\nx\r\n",
            armor.replace('\n', "\r\n")
        )
    }
    fn attached(armor: &str) -> String {
        format!(
            "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: text/plain\r\n\r\n\r\n--m\r\n\
             Content-Type: application/octet-stream; name=\"a.asc\"\r\n\r\n{}\r\n--m--\r\n",
            armor.replace('\n', "\r\n")
        )
    }
    fn by(world: &World, who: Who, entity: &str) -> String {
        let key = world.stage.keyring(who).unwrap();
        armor(key.seal(world.stage.desk(), entity.as_bytes(), world.stage.now()).unwrap())
    }
    fn text(words: &str) -> String {
        format!("Content-Type: text/plain\r\n\r\n{words}\r\n")
    }
    let pairs: Vec<(&str, Make)> = vec![
        ("signed and encrypted", |w| {
            (by(w, Who::Rita, &text(&"It overflows. ".repeat(40))), whole)
        }),
        ("encrypted only", |w| {
            (encrypt_only(w.stage.desk(), text(&"It overflows. ".repeat(40)).as_bytes()), whole)
        }),
        ("inline", |w| {
            (encrypt_only(w.stage.desk(), "It overflows. ".repeat(40).as_bytes()), inline)
        }),
        ("a greeting around", |w| {
            (encrypt_only(w.stage.desk(), "It overflows. ".repeat(40).as_bytes()), greeted)
        }),
        ("attached", |w| (by(w, Who::Rita, &"It overflows. ".repeat(40)), attached)),
        ("with a key inside", |w| {
            let mut draft = Draft::sealed(&"It overflows. ".repeat(20));
            draft.with_key = true;
            let key = w.stage.keyring(Who::Rita).unwrap().certificate().armored();
            (encrypt_only(w.stage.desk(), &draft.entity(Some(&key))), whole)
        }),
        ("a command of a maintainer's", |w| {
            let reference = w.reference_of(Who::Mia, &w.handle.clone());
            (
                by(
                    w,
                    Who::Mia,
                    &text(&format!("/accept\r\n\r\nWords. {}\r\n> {reference}", "x ".repeat(200))),
                ),
                whole,
            )
        }),
        ("a word of a maintainer's to the desk", |w| {
            (by(w, Who::Mia, &text(&format!("/ping\r\n\r\n{}", "x ".repeat(200)))), whole)
        }),
        ("the reporter's next mail", |w| {
            let reference = w.reference_of(Who::Rita, &w.handle.clone());
            (
                by(
                    w,
                    Who::Rita,
                    &text(&format!("More of it. {}\r\n> {reference}", "x ".repeat(200))),
                ),
                whole,
            )
        }),
        ("the reporter's question", |w| {
            let reference = w.reference_of(Who::Rita, &w.handle.clone());
            (
                by(
                    w,
                    Who::Rita,
                    &text(&format!("/status\r\n\r\n> {reference}\r\n> {}", "x ".repeat(200))),
                ),
                whole,
            )
        }),
        ("a mail program's machine inside", |w| {
            (
                by(
                    w,
                    Who::Rita,
                    &format!("Auto-Submitted: auto-replied\r\n{}", text(&"I am away. ".repeat(40))),
                ),
                whole,
            )
        }),
    ];
    for (name, make) in pairs {
        let got = same_for_the_thief(name, &Who::Paul.address(), make);
        assert!(!got.is_empty(), "{name}: nobody was answered");
    }
    // The thief names somebody else as the writer, and their own address in the envelope alone.
    let forged: [(&str, Who, Make); 3] = [
        ("a command, as if it came from its writer", Who::Mia, |w| {
            let reference = w.reference_of(Who::Mia, &w.handle.clone());
            let words = format!("/accept\r\n\r\nWords. {}\r\n> {reference}", "x ".repeat(200));
            (by(w, Who::Mia, &text(&words)), whole)
        }),
        ("a reporter's mail, as if it came from them", Who::Rita, |w| {
            let reference = w.reference_of(Who::Rita, &w.handle.clone());
            let words = format!("More of it. {}\r\n> {reference}", "x ".repeat(200));
            (by(w, Who::Rita, &text(&words)), whole)
        }),
        ("a report, as if it came from its writer", Who::Rita, |w| {
            (by(w, Who::Rita, &text(&"It overflows. ".repeat(40))), whole)
        }),
    ];
    for (name, from, make) in forged {
        same_for_the_thief(name, &from.address(), make);
    }
    // In clear both addresses hear of it; that is no secret of ours.
    let mut world = World::new();
    let mail = String::from_utf8(from_paul(
        &world,
        "doubt",
        "Content-Type: text/plain\r\n\r\nIt crashes.\r\n",
    ));
    let mail = mail.unwrap().replacen(&Who::Paul.address(), &Who::Rita.address(), 1);
    let told = seen(&mut world, mail.into_bytes());
    let subjects: Vec<(&str, &str)> =
        told.iter().map(|mail| (mail.to.as_str(), mail.subject.trim())).collect();
    let wanted = [("paul", "A mail that names your address"), ("rita", "We received your report")];
    assert!(wanted.iter().all(|one| subjects.contains(one)), "{subjects:?}");
}

type Make = fn(&World) -> (String, fn(&str) -> String);

/// Mails one in as it is and one damaged, to two desks; what the thief gets from both is equal.
fn same_for_the_thief(name: &str, from: &str, make: Make) -> Vec<Seen> {
    let (mut one, mut other) = (World::new(), World::new());
    let forged = |mail: Vec<u8>| {
        let mail = String::from_utf8(mail).unwrap();
        mail.replacen(&Who::Paul.address(), from, 1).into_bytes()
    };
    let (good, wrap) = make(&one);
    let good = forged(from_paul(&one, "thief", &wrap(&good)));
    let (bad, wrap) = make(&other);
    let bad = forged(from_paul(&other, "thief", &wrap(&damaged(&bad))));
    let thief =
        |all: Vec<Seen>| -> Vec<Seen> { all.into_iter().filter(|m| m.to == "paul").collect() };
    let (opened, closed) = (thief(seen(&mut one, good)), thief(seen(&mut other, bad)));
    assert_eq!(opened, closed, "{name}");
    opened
}

/// A name that a stranger chose leads nowhere on the machine of whoever saves the file.
#[test]
fn what_comes_out_of_a_file_is_called_by_a_name_and_no_path() {
    let mut world = World::new();
    let sealed = encrypt_only(world.stage.desk(), b"%PDF-1.4").replace('\n', "\r\n");
    let body = format!(
        "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: text/plain\r\n\r\nSee.\r\n--m\r\n\
         Content-Type: application/octet-stream\r\nContent-Disposition: attachment; \
         filename=\"../../.ssh/keys.pdf.gpg\"\r\n\r\n{sealed}\r\n--m--\r\n"
    );
    let mail = from_paul(&world, "path", &body);
    let new = arrives(&mut world, mail);
    let (_, report) = new.iter().find(|(who, _)| *who == Who::Mia).unwrap();
    let names: Vec<&str> = report.attachments.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["keys.pdf"]);
    assert_eq!(report.attachments[0].1, b"%PDF-1.4");
}
