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

use base64::Engine as _;
use common::{World, armor, encrypt_only, subjects};
use embargod::domain::facts::names::{Moment, Span};
use embargod::edge::pgp::{Certificate, Keyring, generate};
use embargod::rehearsal::mail::{Draft, Protected, Read};
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
        // An address gets three answers a day.
        world.stage.pass(Span::hours(9)).unwrap();
        let mail = from_paul(&world, &format!("shape{n}"), &body);
        let new = arrives(&mut world, mail);
        let team: Vec<&Read> =
            new.iter().filter(|(who, _)| *who == Who::Mia).map(|(_, m)| m).collect();
        let report = team.iter().find(|mail| mail.subject.contains("New report")).unwrap();
        assert_eq!(report.says(CANARY), opens, "{name}: {}", report.text);
        assert!(!report.says("NOT encrypted"), "{name}: {}", report.text);
        if !opens {
            assert!(report.says("left closed") && report.says("ours"), "{name}: {}", report.text);
            assert!(report.says("| /unreadable"), "{name}");
        }
        // Whoever sent it hears the same whatever it is, but for what anybody can see of it.
        let (_, ack) = new.iter().find(|(who, _)| *who == Who::Paul).unwrap();
        assert!(ack.says("SHA-256 of the OpenPGP data"), "{name}: {}", ack.text);
        assert!(!ack.says("quince"), "{name}");
        assert_eq!(!opens, ack.says("we open nothing"), "{name}: {}", ack.text);
        let several = ["a text and an encrypted file", "two blocks"].contains(&name);
        assert_eq!(several, ack.says("more than one encrypted"), "{name}: {}", ack.text);
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
    /// Of a mail in clear every word, but for what names it.
    words: String,
    #[allow(clippy::struct_field_names, reason = "what is asked with")]
    reference: Reference,
}

/// The line by which a mail is answered; each has another.
#[derive(Debug)]
struct Reference(Option<String>);

impl PartialEq for Reference {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_some() == other.0.is_some()
    }
}

/// A text without what differs between any two mails.
fn bare(text: &str) -> String {
    let text = text.replace("=\n", "").replace("=\r\n", "");
    let is_name = |word: &str| {
        let is_of_key = word.len() == 4 && word.bytes().all(|b| b.is_ascii_hexdigit());
        is_of_key
            || word.contains("DEMO-")
            || word.contains("Ref:")
            || word.len() > 30
            || word.contains(':')
    };
    let (_, body) = text.split_once("Your mail to").unwrap_or(("", &text));
    let body = body.split("-----BEGIN PGP SIGNATURE").next().unwrap_or_default();
    body.split_whitespace().filter(|word| !is_name(word)).collect::<Vec<_>>().join(" ")
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
        let sealed = text.contains("multipart/encrypted");
        let line = text.lines().find(|line| line.starts_with("Ref:")).map(|line| line.to_owned());
        all.push(Seen {
            to,
            subject,
            sealed,
            after: (world.stage.now() - began).num_seconds(),
            // Classes of a kilobyte: names and hashes are of one length, and folding differs.
            size: text.len() / 1_024,
            words: if sealed { String::new() } else { bare(&text) },
            reference: Reference(line),
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
        for (with_key, sealed) in [(false, false), (true, true)] {
            let got = same_for_the_thief(name, &Who::Paul.address(), with_key, make);
            let first = got.iter().find(|mail| mail.to == "paul");
            let first = first.unwrap_or_else(|| panic!("{name}: nobody was answered"));
            assert_eq!(first.sealed, sealed, "{name}: {got:?}");
        }
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
        same_for_the_thief(name, &from.address(), false, make);
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

/// A key of the thief's own, made for this, that no desk has seen.
fn thiefs_key() -> &'static str {
    static KEY: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    KEY.get_or_init(|| {
        let (secret, _) =
            generate("Paul", &Who::Paul.address(), None, None, common::start()).unwrap();
        Certificate::read(&secret).unwrap().armored()
    })
}

/// Mails one in as it is and one damaged, to two desks; what anybody outside gets from both is equal, also where
/// the thief asks on with what they were given.
fn same_for_the_thief(name: &str, from: &str, with_key: bool, make: Make) -> Vec<Seen> {
    let plays = |spoil: bool| {
        let mut world = World::new();
        let (armor, wrap) = make(&world);
        let body = wrap(&if spoil { damaged(&armor) } else { armor });
        let body = if with_key {
            let key = thiefs_key().replace('\n', "\r\n");
            format!(
                "Content-Type: multipart/mixed; boundary=k\r\n\r\n--k\r\n{body}\r\n--k\r\n\
                 Content-Type: application/pgp-keys\r\n\r\n{key}\r\n--k--\r\n"
            )
        } else {
            body
        };
        let mail = String::from_utf8(from_paul(&world, "thief", &body)).unwrap();
        let mut all = seen(&mut world, mail.replacen(&Who::Paul.address(), from, 1).into_bytes());
        let reference =
            all.iter().find_map(|mail| mail.reference.0.clone().filter(|_| mail.to == "paul"));
        for (n, word) in ["/status", "And one thing more."].into_iter().enumerate() {
            let Some(reference) = &reference else { continue };
            let body = format!("Content-Type: text/plain\r\n\r\n{word}\r\n\r\n> {reference}\r\n");
            let asks = from_paul(&world, &format!("asks{n}"), &body);
            all.extend(seen(&mut world, asks));
        }
        all
    };
    // What a word does is seen by whom it concerns.
    let does = name.contains("command") || name.contains("question") || from == Who::Rita.address();
    let outsiders = |all: Vec<Seen>| -> Vec<Seen> {
        all.into_iter().filter(|mail| mail.to == "paul" || !does).collect()
    };
    let (opened, closed) = (outsiders(plays(false)), outsiders(plays(true)));
    assert_eq!(opened, closed, "{name}, with a key: {with_key}");
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

fn told(world: &mut World, id: &str, body: &str) -> String {
    world.stage.pass(Span::hours(9)).unwrap();
    let mail = from_paul(world, id, body);
    let new = arrives(world, mail);
    let (_, report) = new.iter().find(|(who, _)| *who == Who::Mia).unwrap();
    report.text.clone()
}

/// What only speaks of ciphertext is text, and is shown whole; what is ciphertext in a form that is not read is
/// never called readable.
#[test]
fn a_word_about_ciphertext_is_text_and_ciphertext_is_never_called_clear() {
    let mut world = World::new();
    for (n, talk) in [
        "It prints\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nand then stops.\r\n\r\nSteps: quince.\r\n",
        "It prints -----BEGIN PGP MESSAGE----- in the middle.\r\n\r\nSteps: quince.\r\n",
        "-----BEGIN PGP MESSAGE-----\r\n\r\nnot one\r\n-----END PGP MESSAGE-----\r\nSteps: quince.\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        let body = format!("Content-Type: text/plain\r\n\r\n{talk}");
        let text = told(&mut world, &format!("talk{n}"), &body);
        assert!(text.contains("Steps: quince.") && text.contains("NOT encrypted"), "{text}");
    }
    let sealed = encrypt_only(world.stage.desk(), CANARY.as_bytes());
    let wide: Vec<u8> = sealed.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wide = base64::engine::general_purpose::STANDARD.encode(wide);
    let crlf = sealed.replace('\n', "\r\n");
    for (n, body) in [
        format!("Content-Type: text/plain; charset=utf-16le\r\nContent-Transfer-Encoding: base64\r\n\r\n{wide}\r\n"),
        format!("Content-Type: text/markdown\r\n\r\nHere it is:\r\n\r\n{crlf}\r\n"),
        format!(
            "Content-Type: text/html\r\n\r\n<p>Hi</p><!-- {} -->\r\n",
            crlf.replace("PGP MESSAGE", "PGP&nbsp;MESSAGE")
        ),
        format!("Content-Type: multipart/mixed; boundary=m\r\n\r\n{crlf}\r\n--m\r\nContent-Type: text/plain\r\n\r\nHi\r\n--m--\r\n"),
        "Content-Type: application/octet-stream; name=smime.p7m\r\n\r\nx\r\n".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let text = told(&mut world, &format!("odd{n}"), &body);
        assert!(!text.contains("NOT encrypted"), "{body}\n{text}");
    }
    // A file that is called what PGP/MIME needs is a file.
    let file = encrypt_only(world.stage.desk(), b"%PDF-1.4").replace('\n', "\r\n");
    let text = told(
        &mut world,
        "named",
        &format!(
            "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: text/plain\r\n\r\n{crlf}\r\n--m\r\n\
             Content-Type: application/pgp-encrypted; name=\"poc.pdf.asc\"\r\n\r\n{file}\r\n--m--\r\n"
        ),
    );
    assert!(text.contains("encrypted: the file poc.pdf.asc") && text.contains(CANARY), "{text}");
}

/// The reporter's reference with a signature that is not theirs is an alarm, whether or not its key came along; a
/// key that comes later in clear is told.
#[test]
fn another_key_is_no_reporter_and_a_key_in_clear_is_told() {
    let mut world = World::new();
    let rita = world.stage.mailbox(Who::Rita).unwrap().pop().unwrap();
    let (secret, _) = generate("Eve", "eve@evil.test", None, None, common::start()).unwrap();
    let eve = Keyring::open(&[secret], None, [0; 32], world.stage.now()).unwrap();
    let draft = Draft::answer(&rita, "I am the reporter.");
    let sealed = eve.seal(world.stage.desk(), &draft.entity(None), world.stage.now()).unwrap();
    let mail = world.mail(Who::Rita, "eve@x", &draft, &Protected::Encrypted(armor(sealed)));
    let new = world.deliver(mail);
    let told: Vec<&Read> = new.iter().filter(|(who, _)| *who == Who::Mia).map(|(_, m)| m).collect();
    assert!(told.iter().any(|mail| mail.subject.contains("Another key")), "{:?}", subjects(&new));
    assert!(told.iter().any(|mail| mail.says("ANOTHER KEY")), "{:?}", subjects(&new));
    assert!(told.iter().all(|mail| !mail.says("from        the reporter")));
    // Paul reports without a key, and pastes one below a later mail.
    let report = from_paul(&world, "plain", "Content-Type: text/plain\r\n\r\nIt crashes.\r\n");
    arrives(&mut world, report);
    let ack = world.stage.mailbox(Who::Paul).unwrap().pop().unwrap();
    let reference = ack.text.lines().find(|line| line.starts_with("Ref:")).unwrap();
    let key = thiefs_key().replace('\n', "\r\n");
    let later =
        format!("Content-Type: text/plain\r\n\r\nMy key.\r\n\r\n> {reference}\r\n\r\n{key}\r\n");
    let later = from_paul(&world, "later", &later);
    let new = arrives(&mut world, later);
    let (_, told) = new.iter().find(|(who, _)| *who == Who::Mia).unwrap();
    assert!(told.text.replace('\n', " ").contains("came with it in clear"), "{}", told.text);
}
