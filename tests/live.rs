//! The real daemon against a real Dovecot and a real Postfix, with GnuPG on the other side. Each
//! test starts servers of its own on loopback. They run with EMBARGOD_LIVE=1, as `scripts/test`
//! sets it; the servers need root.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop, and says so"
)]

mod live_stack;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use embargod::domain::facts::event::{Purpose, Recipient};
use embargod::domain::facts::letter::Protection;
use embargod::domain::facts::names::Span;
use embargod::domain::outgoing::mail::Label;
use embargod::domain::outgoing::tries::Tries;
use embargod::domain::outgoing::verdict::Outcome;
use embargod::edge::smtp::Courier;
use embargod::error::Fault;
use embargod::rehearsal::live::{Live, gpg};
use embargod::rehearsal::mail::{Draft, Guard, Read};
use embargod::rehearsal::story::{self, CANARY};
use embargod::rehearsal::{Stage, Who};
use live_stack::{PROGRAM, Stack, files_below, holds};

/// Waits for a new mail that fits.
fn wait(live: &mut Live, who: Who, from: usize, fits: impl Fn(&Read) -> bool) -> Read {
    loop {
        let found = live.mailbox(who).unwrap().into_iter().skip(from).find(&fits);
        if let Some(mail) = found {
            return mail;
        }
        assert!(live.step().unwrap(), "{} did not get it", who.id());
    }
}

#[test]
fn the_story_on_real_servers_leaves_no_word_of_a_report_in_clear() {
    let Some(stack) = Stack::start() else { return };
    let mut live = stack.desk();
    story::play(&mut live).unwrap();
    // What a member says of a notice is evidence like what the team orders.
    let notices = live.mailbox(Who::Ann).unwrap();
    let notice = notices.iter().find(|mail| mail.subject.contains("Advance notice")).unwrap();
    live.write(Who::Ann, &Draft::answer(notice, "/ack")).unwrap();
    live.pass(Span::seconds(5)).unwrap();
    let handle = notice.text.split("Ref: ").nth(1).unwrap().split('/').next().unwrap();
    let proved = evidence_holds(&mut live, handle);
    assert!(proved.iter().any(|name| name.contains("-ann")), "{proved:?}");
    // It is opened mail, for whoever has to judge.
    std::fs::remove_dir_all(live.desk().join("evidence")).unwrap();
    live.stop().unwrap();
    // Of the mails to itself the newest lies in the desk's mailbox, and no older one.
    let mut own = Vec::new();
    files_below(&stack.0.join("s/mail").join(embargod::rehearsal::DESK), &mut own);
    own.retain(|file| {
        holds(file, "To: security@desk.test") && holds(file, "Auto-Submitted: auto-")
    });
    assert_eq!(own.len(), 1, "{own:?}");
    let mut files = Vec::new();
    for part in ["s/mail", "d/desk"] {
        files_below(&stack.0.join(part), &mut files);
    }
    files.push(stack.0.join("d/daemon.log"));
    assert!(files.len() > 80, "only {} files", files.len());
    for file in files {
        assert!(!holds(&file, CANARY), "{} holds a word of the report", file.display());
    }
    for name in ["embargod.db", "embargod.db-wal"] {
        for word in ["SQLite format", "people.test", "nested tables"] {
            assert!(!holds(&live.desk().join(name), word), "{name} holds `{word}`");
        }
    }
    let verify = |more: &[&str]| {
        let config = live.desk().join("embargod.toml");
        let mut program = Command::new(PROGRAM);
        program.arg("--config").arg(config).args(["journal", "verify"]).args(more);
        let out = program.output().unwrap();
        let text = [out.stdout, out.stderr].concat();
        (out.status.success(), String::from_utf8_lossy(&text).into_owned())
    };
    let (whole, said) = verify(&["--signatures"]);
    assert!(whole && said.contains("is whole") && said.contains(" 0 are not kept"), "{said}");
    assert!(said.contains("Its witness has seen record"), "{said}");
    let orders = said.split(" signed mails ordered").next().unwrap().lines().last().unwrap();
    assert!(orders.parse::<usize>().unwrap() > 10, "{said}");
    // What a transcript carries is in it; what none carries is not.
    let head = said.lines().next().unwrap().rsplit(' ').next().unwrap();
    let number: u64 =
        said.split(" records").next().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(verify(&["--head", &format!("{number}:{head}")]).0);
    let (fits, said) = verify(&["--head", &format!("{}:{head}", number + 1)]);
    assert!(!fits && said.contains("this is an older copy"), "{said}");
    let (fits, said) = verify(&["--head", &format!("{}:{head}", number - 1)]);
    assert!(!fits && said.contains("is another one"), "{said}");
}

#[test]
fn a_report_is_acknowledged_within_seconds_and_each_copy_opens_for_one_person() {
    let Some(stack) = Stack::start() else { return };
    let mut live = stack.desk();
    let mut mail = Draft::sealed("A report.");
    mail.with_key = true;
    live.write(Who::Rita, &mail).unwrap();
    let sent = std::time::SystemTime::now();
    let ack = wait(&mut live, Who::Rita, 0, |mail| mail.subject.contains("We received"));
    let took = sent.elapsed().unwrap();
    assert!(took < Duration::from_secs(5), "{took:?}");
    // Her key came inside only: the answer is the same whether or not it opened.
    assert!(ack.by_desk && ack.protection == Protection::Signed);
    for (who, other) in [(Who::Mia, Who::Tom), (Who::Tom, Who::Mia)] {
        wait(&mut live, who, 0, |mail| mail.subject.contains("New report"));
        let file = std::fs::read_dir(stack.maildir(who)).unwrap().flatten().next().unwrap().path();
        assert!(gpg(&live.home(who), &["--decrypt", file.to_str().unwrap()], b"").is_ok());
        assert!(gpg(&live.home(other), &["--decrypt", file.to_str().unwrap()], b"").is_err());
    }
}

/// A machine that answers whatever comes, to the return path or to the sender, and says nowhere that it is one.
#[test]
fn a_robot_that_answers_everything_is_acknowledged_once() {
    let Some(stack) = Stack::start() else { return };
    let mut live = stack.desk();
    live.write(Who::Paul, &Draft::plain("Ticket 1", "We opened a ticket for you.")).unwrap();
    let mut answered = std::collections::BTreeSet::new();
    let mut acknowledged = 0;
    for _ in 0..60 {
        live.pass(Span::milliseconds(250)).unwrap();
        for file in std::fs::read_dir(stack.maildir(Who::Paul)).into_iter().flatten().flatten() {
            if !answered.insert(file.path()) {
                continue;
            }
            let mail = std::fs::read_to_string(file.path()).unwrap();
            acknowledged += usize::from(mail.contains("We received your report"));
            let header = |name: &str| {
                let line = mail.lines().find_map(|line| line.strip_prefix(name));
                line.unwrap_or_default().trim().trim_matches(['<', '>']).to_owned()
            };
            for to in [header("Return-Path:"), embargod::rehearsal::DESK.to_owned()] {
                let n = answered.len();
                let robot = format!(
                    "From: <paul@people.test>\r\nTo: <{to}>\r\nSubject: Ticket {n}\r\nDate: {}\r\nMessage-ID: <t{n}-{}@people.test>\r\nIn-Reply-To: <{}>\r\n\r\nWe opened ticket {n} for you.\r\n",
                    header("Date:"),
                    to.len(),
                    header("Message-ID:"),
                );
                live.send_raw_to("paul@people.test", &to, robot.as_bytes()).unwrap();
            }
        }
    }
    assert_eq!((acknowledged, answered.len()), (1, 1), "{answered:?}");
    let reports = live.mailbox(Who::Mia).unwrap();
    let reports = reports.iter().filter(|mail| mail.subject.contains("New report")).count();
    assert_eq!(reports, 1);
}

/// Whoever writes in the names of people that there are not makes the server refuse the answers. That is no word about
/// the server, and keeps nobody else's answer.
#[test]
fn a_flood_in_names_that_there_are_not_keeps_no_answer_back() {
    let Some(stack) = Stack::start() else { return };
    let mut live = stack.desk();
    for n in 0..60 {
        // The first are unknown to the server, and it does not relay for the domain of the others.
        let domain = if n % 2 == 0 { "people.test".to_owned() } else { format!("e{n}.test") };
        let from = format!("ghost{n}@{domain}");
        let mail = format!(
            "From: <{from}>\r\nTo: <security@desk.test>\r\nSubject: Offer {n}\r\nDate: Thu, 26 Nov 2026 10:00:00 +0000\r\nMessage-ID: <ghost{n}@x.test>\r\n\r\nBuy.\r\n"
        );
        live.send_raw(&from, mail.as_bytes()).unwrap();
    }
    live.pass(Span::seconds(4)).unwrap();
    let sent = std::time::Instant::now();
    live.write(Who::Paul, &Draft::plain("A hole", "The parser overflows.")).unwrap();
    wait(&mut live, Who::Paul, 0, |mail| mail.subject.contains("We received"));
    assert!(sent.elapsed() < Duration::from_secs(20), "{:?}", sent.elapsed());
    // And the desk does not believe that its server is ill.
    let config = live.desk().join("embargod.toml");
    let out = Command::new(PROGRAM).arg("--config").arg(config).arg("status").output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(!said.contains("takes nothing"), "{said}");
}

/// What the mail server does not take is not passed on whole, whatever the config allows: its text and a list are,
/// and the word that brings a part.
#[test]
fn a_relay_over_the_servers_size_is_a_text_and_a_list() {
    let Some(stack) = Stack::start_with(&["--size", "2000000"]) else { return };
    let mut live = stack.desk();
    // The server has said it when the desk's mail to itself has left.
    live.pass(Span::seconds(2)).unwrap();
    let parts: Vec<Vec<u8>> =
        (0..2).map(|_| embargod::edge::random::<500_000>().unwrap().to_vec()).collect();
    let mut draft = Draft::sealed("A hole that needs two files.");
    for (n, part) in parts.iter().enumerate() {
        draft.attachments.push((format!("part{n}.bin"), part.clone()));
    }
    live.write(Who::Rita, &draft).unwrap();
    let report = wait(&mut live, Who::Mia, 0, |mail| mail.subject.contains("New report"));
    assert!(report.says("A hole that needs two files."), "{}", report.text);
    let text = report.text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("NOT attached, too large; `| /part 2` brings it"), "{text}");
    assert!(matches!(report.attachments.as_slice(), [(_, bytes)] if *bytes == parts[0]));
    live.write(Who::Mia, &Draft::answer(&report, "/part 2")).unwrap();
    let part = wait(&mut live, Who::Mia, 1, |mail| mail.subject.contains("A part of a mail"));
    assert!(matches!(part.attachments.as_slice(), [(_, bytes)] if *bytes == parts[1]));
}

/// The mail server takes the acknowledgement and gives it back: the incident shows it, and nobody is answered.
#[test]
fn an_acknowledgement_that_comes_back_is_shown_on_the_incident() {
    let Some(stack) = Stack::start() else { return };
    let mut live = stack.desk();
    let whole = live.compose(Who::Rita, &Draft::sealed("A report.")).unwrap();
    let gone = "gone@people.test";
    let whole = String::from_utf8(whole).unwrap().replace(&Who::Rita.address(), gone);
    live.send_raw(gone, whole.as_bytes()).unwrap();
    let told = wait(&mut live, Who::Mia, 0, |mail| mail.subject.contains("did not arrive"));
    assert!(told.says("another way to reach them"), "{}", told.text);
    let report = live.mailbox(Who::Mia).unwrap().into_iter().next().unwrap();
    live.write(Who::Mia, &Draft::answer(&report, "/status")).unwrap();
    let shown = wait(&mut live, Who::Mia, 2, |mail| mail.subject.contains("Done: status"));
    assert!(shown.says("the acknowledgement did not arrive (5."), "{}", shown.text);
    // The report about it opened nothing.
    live.pass(Span::seconds(3)).unwrap();
    let reports = live.mailbox(Who::Mia).unwrap();
    let reports = reports.iter().filter(|mail| mail.subject.contains("New report")).count();
    assert_eq!(reports, 1);
}

#[test]
fn commands_that_gnupg_users_get_wrong_are_refused_and_told_to_them_only() {
    let Some(_stack) = Stack::start() else { return };
    let mut live = _stack.desk();
    let mut mail = Draft::sealed("A report.");
    mail.with_key = true;
    live.write(Who::Rita, &mail).unwrap();
    let report = wait(&mut live, Who::Mia, 0, |mail| mail.subject.contains("New report"));
    let accept = |guard| Draft { guard, ..Draft::answer(&report, "/accept") };
    // Signed, not encrypted.
    live.write(Who::Mia, &accept(Guard::Signed)).unwrap();
    let told = wait(&mut live, Who::Mia, 1, |mail| mail.subject.contains("Not done"));
    assert!(told.says("signed and not encrypted"), "{}", told.text);
    // Encrypted, not signed: somebody in Mia's name.
    live.write(Who::Mia, &accept(Guard::Encrypted)).unwrap();
    let told = wait(&mut live, Who::Mia, 2, |mail| mail.subject.contains("in your name"));
    assert!(told.says("It is not signed."), "{}", told.text);
    // A replay, byte for byte in a new mail.
    let ping = Draft::answer(&report, "/ping");
    let bytes = live.compose(Who::Mia, &ping).unwrap();
    live.send_raw(&Who::Mia.address(), &bytes).unwrap();
    let pong = wait(&mut live, Who::Mia, 3, |mail| mail.subject.contains("Done: ping"));
    assert!(pong.says("Commands in a mail like this one count."), "{}", pong.text);
    let again = String::from_utf8(bytes).unwrap().replace("Message-ID: <", "Message-ID: <again.");
    live.send_raw(&Who::Tom.address(), again.as_bytes()).unwrap();
    let told = wait(&mut live, Who::Mia, 4, |mail| mail.subject.contains("Not done"));
    assert!(told.says("taken before"), "{}", told.text);
    // Nothing of it happened, and nobody else was told.
    let out = Command::new(PROGRAM)
        .arg("--config")
        .arg(live.desk().join("embargod.toml"))
        .args(["show", "--json"])
        .arg(report.handle().unwrap())
        .output()
        .unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(shown["status"], "received");
    let toms = live.mailbox(Who::Tom).unwrap();
    assert!(
        toms.iter()
            .all(|mail| !mail.subject.contains("Not done") && !mail.subject.contains("your name"))
    );
}

#[test]
fn a_server_that_refuses_one_recipient_does_not_stop_the_others() {
    let Some(stack) = Stack::start() else { return };
    let config = |text: String| {
        text.replace("address = \"tom@people.test\"", "address = \"never@people.test\"")
    };
    let mut live = stack.desk();
    let path = live.desk().join("embargod.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config(text)).unwrap();
    live.kill().unwrap();
    let mut mail = Draft::sealed("A report.");
    mail.with_key = true;
    live.write(Who::Rita, &mail).unwrap();
    wait(&mut live, Who::Mia, 0, |mail| mail.subject.contains("New report"));
    wait(&mut live, Who::Rita, 0, |mail| mail.subject.contains("We received"));
    let told = wait(&mut live, Who::Mia, 0, |mail| mail.subject.contains("could not be delivered"));
    assert!(told.says("Tom") && told.says("refused for good"), "{}", told.text);
    live.pass(Span::seconds(1)).unwrap();
    let status = Command::new(PROGRAM).arg("--config").arg(&path).arg("status").output().unwrap();
    assert!(!status.status.success(), "an alarm stands");
    assert!(String::from_utf8_lossy(&status.stdout).contains("refused for good"));
}

/// A mail that is called back once the server waits for it leaves nothing of itself, and nothing of
/// the next mail is taken for it.
#[test]
fn a_mail_that_is_called_back_at_the_last_moment_leaves_nothing_behind() {
    let Some(stack) = Stack::start() else { return };
    let mut live = stack.desk();
    let now = std::time::SystemTime::now().into();
    let path = live.desk().join("embargod.toml");
    let config = embargod::config::read_or_fault(&path, now).unwrap();
    let row = |who: Who| embargod::ports::store::Outgoing {
        id: 1,
        message_id: format!("{}@desk.test", who.id()),
        label: Label {
            about: None,
            to: Recipient::Reporter,
            purpose: Purpose::ClockProbe,
            key: None,
        },
        return_token: "none".to_owned(),
        recipient: who.address(),
        written: now,
        attempts: 0,
        size: 0,
        tries: Tries::default(),
        unwanted: false,
        in_flight: false,
    };
    let mail = b"From: security@desk.test\r\nSubject: the second\r\n\r\nText.\r\n".to_vec();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (first, second) = runtime.block_on(async {
        let mut courier = Courier::new(config.smtp.server, config.sources.settings.address);
        let room = tokio::sync::Notify::new();
        let back = async { Err(Fault::new(embargod::ports::store::CALLED_BACK, "")) };
        (
            courier.hand_over(&row(Who::Ann), back, || {}, &room).await,
            courier
                .hand_over(
                    &row(Who::Bob),
                    async { Ok(embargod::ports::store::Content::Here(mail)) },
                    || {},
                    &room,
                )
                .await,
        )
    });
    assert_eq!(first, Outcome::Untried);
    assert!(matches!(second, Outcome::Accepted(_)), "{second:?}");
    wait(&mut live, Who::Bob, 0, |mail| mail.outer_subject == "the second");
    assert_eq!(live.mailbox(Who::Ann).unwrap().len(), 0);
    assert_eq!(live.mailbox(Who::Bob).unwrap().len(), 1);
}

#[test]
fn check_names_each_problem_with_its_place() {
    let Some(stack) = Stack::start() else { return };
    let live = stack.desk();
    let path = live.desk().join("embargod.toml");
    let check = || {
        let out = Command::new(PROGRAM).arg("--config").arg(&path).arg("check").output().unwrap();
        (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned())
    };
    let (fine, said) = check();
    assert!(fine && said.matches("logged in over TLS").count() == 2, "{said}");
    let text = std::fs::read_to_string(&path).unwrap();
    // A wrong host.
    std::fs::write(&path, text.replacen("host = \"localhost\"", "host = \"nowhere.invalid\"", 1))
        .unwrap();
    let (fine, said) = check();
    assert!(!fine && said.contains("wrong [imap] nowhere.invalid"), "{said}");
    // A host that the certificate does not bear.
    std::fs::write(&path, text.replacen("host = \"localhost\"", "host = \"127.0.0.2\"", 1))
        .unwrap();
    let (fine, said) = check();
    assert!(!fine && said.contains("wrong [imap] 127.0.0.2"), "{said}");
    // An expired key, an unknown playbook key and a broken template, all named at once.
    let home = live.home(Who::Ann);
    let armor = gpg(&home, &["--armor", "--export", &Who::Ann.address()], b"").unwrap().out;
    assert!(!armor.is_empty());
    let made = "2020-01-01T00:00:00Z".parse().unwrap();
    let (expired, _) =
        embargod::edge::pgp::generate("Ann", "ann@people.test", None, Some(1), made).unwrap();
    let expired = embargod::edge::pgp::Keyring::open(&[expired], None, [0; 32], made).unwrap();
    std::fs::write(live.desk().join("keys/ann.asc"), expired.certificate().armored()).unwrap();
    for name in ["templates", "playbooks"] {
        std::fs::create_dir_all(live.desk().join(name)).unwrap();
    }
    std::fs::write(
        live.desk().join("templates/advance.txt"),
        "Subject: x\n\n{{ title }}\n{{ wrong }}\n",
    )
    .unwrap();
    let drill = include_str!("../config/playbooks/drill.toml").replacen(
        "title = \"Open the incident\"",
        "titel = \"Open the incident\"",
        1,
    );
    std::fs::write(live.desk().join("playbooks/drill.toml"), drill).unwrap();
    let files = "\n[files]\ntemplates = \"templates\"\nplaybooks = \"playbooks\"\n";
    std::fs::write(&path, format!("{text}{files}")).unwrap();
    let (fine, said) = check();
    assert!(!fine);
    for place in ["keys/ann.asc", "templates/advance.txt:4", "playbooks/drill.toml:"] {
        assert!(said.contains(place), "{place} is not named: {said}");
    }
    for what in ["unknown field `titel`", "names a field that this mail does not have", "expired"] {
        assert!(said.contains(what), "{what} is not said: {said}");
    }
}

/// D6, D13.
#[test]
fn starttls_large_mails_and_a_folder_that_is_numbered_anew() {
    let Some(stack) = Stack::start() else { return };
    let servers = std::fs::read_to_string(stack.0.join("s/env")).unwrap();
    let port = |name: &str| {
        let line = servers.lines().find(|line| line.starts_with(&format!("{name}="))).unwrap();
        line.split_once('=').unwrap().1.to_owned()
    };
    let mut live = stack.desk();
    let path = live.desk().join("embargod.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text
        .replace(
            &format!("port = {}", port("IMAPS_PORT")),
            &format!("port = {}", port("IMAP_PORT")),
        )
        .replacen("tls = \"implicit\"", "tls = \"starttls\"", 1)
        .replace("letter_bytes_max = 31457280", "letter_bytes_max = 65536");
    std::fs::write(&path, text).unwrap();
    live.kill().unwrap();
    // Larger than the desk reads: its beginning is kept, it is answered and shown, marked so.
    let large = Draft::plain(
        "Large",
        &"A long report line of some sixty letters, again and again.\n".repeat(4_000),
    );
    live.write(Who::Paul, &large).unwrap();
    let shown = wait(&mut live, Who::Mia, 0, |mail| mail.subject.contains("Large"));
    assert!(shown.says("larger than the desk reads"), "{}", shown.text);
    wait(&mut live, Who::Paul, 0, |mail| mail.subject.contains("We received"));
    // The server forgets its numbers while the desk is down.
    live.stop().unwrap();
    let root = stack.0.join("s/mail").join(embargod::rehearsal::DESK).join("Maildir");
    let before = std::fs::read_to_string(root.join("dovecot-uidlist")).unwrap();
    for entry in std::fs::read_dir(&root).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("dovecot") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    std::thread::sleep(Duration::from_millis(1_100));
    live.kill().unwrap();
    live.write(Who::Paul, &Draft::plain("Small", "A second report.")).unwrap();
    wait(&mut live, Who::Mia, 0, |mail| mail.subject.contains("Small"));
    live.pass(Span::seconds(4)).unwrap();
    let after = std::fs::read_to_string(root.join("dovecot-uidlist")).unwrap();
    assert_ne!(before.lines().next(), after.lines().next(), "the server did not number anew");
    let answers = live.mailbox(Who::Paul).unwrap();
    assert_eq!(answers.iter().filter(|mail| mail.subject.contains("We received")).count(), 2);
    let reports = live.mailbox(Who::Mia).unwrap();
    assert_eq!(reports.iter().filter(|mail| mail.subject.contains("New report")).count(), 2);
}

/// A file of a few thousand bytes that no program may touch, another for each mail.
fn awkward(n: u32) -> Vec<u8> {
    let seed = n.to_be_bytes();
    let mut bytes: Vec<u8> = (0..=255).collect();
    for round in 0..100_u8 {
        bytes.extend(embargod::domain::facts::names::Digest::of_parts(&[&seed, &[round]]).0);
    }
    bytes.extend(b"\r\n.\n--\nFrom me\n \t\n\r");
    bytes
}

/// What a mail of the conversation holds, so that it is found wherever it went.
fn marker(round: u32, who: Who) -> String {
    format!("round {round} by {} ends.", who.id())
}

#[test]
fn forty_mails_between_three_maintainers_and_a_reporter_arrive_whole() {
    const ROUNDS: u32 = 10;
    let Some(stack) = Stack::start() else { return };
    let mut live = stack.desk();
    let mut report = Draft::sealed("The parser overflows.");
    report.with_key = true;
    live.write(Who::Rita, &report).unwrap();
    let ack = wait(&mut live, Who::Rita, 0, |mail| mail.subject.contains("We received"));
    let copy = wait(&mut live, Who::Mia, 0, |mail| mail.subject.contains("New report"));
    let toms = wait(&mut live, Who::Tom, 0, |mail| mail.subject.contains("New report"));
    let text = "/accept\n/title Overflow\n/join uma security_team";
    live.write(Who::Mia, &Draft::answer(&copy, text)).unwrap();
    let asked = wait(&mut live, Who::Mia, 0, |mail| mail.subject.contains("Confirm:"));
    let confirm = format!("/confirm {}", asked.nonce().unwrap());
    live.write(Who::Mia, &Draft::answer(&asked, &confirm)).unwrap();
    let umas = wait(&mut live, Who::Uma, 0, |mail| mail.subject.contains("You have joined"));
    let begins = [(Who::Rita, &ack), (Who::Mia, &copy), (Who::Tom, &toms), (Who::Uma, &umas)];
    for round in 0..ROUNDS {
        for (n, (who, to)) in begins.iter().enumerate() {
            let before = if *who == Who::Uma { "/reply\n" } else { "" };
            let mut draft = Draft::answer(to, &format!("{before}Grüße,\n{}", marker(round, *who)));
            let number = round * 4 + u32::try_from(n).unwrap();
            draft.attachments.push((format!("file {number}.bin"), awkward(number)));
            live.write(*who, &draft).unwrap();
        }
        // Everybody has everything of this round before the next begins.
        for (writer, _) in begins {
            for reader in readers(writer) {
                let word = marker(round, writer);
                wait(&mut live, reader, 0, |mail| mail.says(&word));
            }
        }
    }
    let mut compared = 0;
    for (n, (writer, _)) in begins.iter().enumerate() {
        for reader in readers(*writer) {
            let mails = live.mailbox(reader).unwrap();
            for round in 0..ROUNDS {
                let word = marker(round, *writer);
                let copies: Vec<_> = mails.iter().filter(|mail| mail.says(&word)).collect();
                assert_eq!(copies.len(), 1, "{word} to {}", reader.id());
                assert!(copies[0].by_desk && copies[0].protection.is_encrypted());
                assert_eq!(copies[0].outer_subject, "[...]");
                // The team is told what was said to the reporter, without the file.
                if *writer == Who::Uma && reader != Who::Rita {
                    continue;
                }
                let number = round * 4 + u32::try_from(n).unwrap();
                let [(name, bytes)] = copies[0].attachments.as_slice() else { panic!("{word}") };
                assert_eq!(*name, format!("file {number}.bin"));
                assert!(*bytes == awkward(number), "{word} to {}: the file differs", reader.id());
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 80, "ten rounds: three and two and two copies, and one to the reporter");
    let ritas = live.mailbox(Who::Rita).unwrap();
    for mail in &ritas {
        for word in ["/reply", "Mia", "Tom", "Uma", "uma@", "TLP:"] {
            assert!(!mail.says(word), "`{word}` reached the reporter: {}", mail.text);
        }
    }
    let proved = evidence_holds(&mut live, &ack.handle().unwrap());
    assert_eq!(proved.len(), 32, "{proved:?}");
    live.stop().unwrap();
}

/// To whom a mail of the conversation goes.
fn readers(writer: Who) -> Vec<Who> {
    let team = [Who::Mia, Who::Tom, Who::Uma];
    let mut readers: Vec<Who> = team.into_iter().filter(|who| *who != writer).collect();
    if writer == Who::Uma {
        readers.push(Who::Rita);
    }
    readers
}

/// Writes out what ordered everything, and lets GnuPG check it, which knows the desk no more. Gives the names
/// of the mails.
fn evidence_holds(live: &mut Live, handle: &str) -> Vec<String> {
    let desk = live.desk();
    let folder = desk.join("evidence");
    let out = Command::new(PROGRAM)
        .args(["--config"])
        .arg(desk.join("embargod.toml"))
        .args(["log", handle, "--evidence"])
        .arg(&folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{said}{}", String::from_utf8_lossy(&out.stderr));
    let home = desk.join("../judge");
    std::fs::create_dir(&home).unwrap();
    let mut files = Vec::new();
    files_below(&folder, &mut files);
    for key in files.iter().filter(|file| file.to_string_lossy().contains("/key-")) {
        gpg(&home, &["--import", key.to_str().unwrap()], b"").unwrap();
    }
    let list = std::fs::read_to_string(folder.join("README.txt")).unwrap();
    let mails: Vec<_> =
        files.iter().filter(|file| file.extension().is_some_and(|e| e == "eml")).collect();
    let mut names = Vec::new();
    for mail in mails {
        let name = mail.file_name().unwrap().to_string_lossy().into_owned();
        let who = name.split(['-', '.']).nth(1).unwrap().to_owned();
        let signature = format!("{}.asc", mail.display());
        let out = Command::new("gpg")
            .arg("--homedir")
            .arg(&home)
            .args(["--batch", "--status-fd", "1", "--verify", &signature])
            .arg(mail)
            .output()
            .unwrap();
        let status = String::from_utf8_lossy(&out.stdout).into_owned();
        let good = status.lines().find(|line| line.contains(" GOODSIG ")).unwrap_or("").to_owned();
        assert!(
            out.status.success() && good.contains(&format!("{who}@people.test")),
            "{name}: {status}"
        );
        assert!(list.contains(&format!("ordered by {name}")), "{name} is not in the list");
        assert!(holds(mail, "Ref: "), "{name} is not the mail");
        names.push(name);
    }
    names
}

/// A snapshot of the machine is put back with everything that lies on it: the mailbox knows better, and
/// neither is a command carried out a second time nor anybody written to.
#[test]
fn a_snapshot_that_is_put_back_is_held_by_what_the_mailbox_knows() {
    let Some(stack) = Stack::start() else { return };
    let mut live = stack.desk();
    let mut report = Draft::sealed("The parser overflows.");
    report.with_key = true;
    live.write(Who::Rita, &report).unwrap();
    let copy = wait(&mut live, Who::Mia, 0, |mail| mail.subject.contains("New report"));
    wait(&mut live, Who::Rita, 0, |mail| mail.subject.contains("We received"));
    live.pass(Span::seconds(3)).unwrap();
    live.stop().unwrap();
    let snapshot = stack.0.join("snapshot");
    std::fs::create_dir_all(&snapshot).unwrap();
    let files = |from: &Path, to: &Path| {
        for entry in std::fs::read_dir(from).unwrap().flatten() {
            if entry.file_name().to_string_lossy().starts_with("embargod.") {
                std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
    };
    files(&live.desk(), &snapshot);
    live.kill().unwrap();
    live.write(Who::Mia, &Draft::answer(&copy, "/accept")).unwrap();
    wait(&mut live, Who::Rita, 0, |mail| mail.subject.contains("A person has read"));
    live.pass(Span::seconds(4)).unwrap();
    live.stop().unwrap();
    let count = |live: &mut Live| {
        [Who::Rita, Who::Mia, Who::Tom].map(|who| live.mailbox(who).unwrap().len())
    };
    let before = count(&mut live);
    for name in ["embargod.db-wal", "embargod.db-shm"] {
        let _ = std::fs::remove_file(live.desk().join(name));
    }
    files(&snapshot, &live.desk());
    live.kill().unwrap();
    wait(&mut live, Who::Uma, 0, |mail| mail.subject.contains("HELD"));
    live.pass(Span::seconds(5)).unwrap();
    let after = count(&mut live);
    // Mia is an operator as well.
    assert_eq!(after, [before[0], before[1] + 1, before[2]]);
    let out = Command::new(PROGRAM)
        .arg("--config")
        .arg(live.desk().join("embargod.toml"))
        .arg("status")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(!out.status.success() && said.contains("embargod restored --yes"), "{said}");
}
