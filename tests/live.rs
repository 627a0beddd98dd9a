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

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use embargod::domain::names::Span;
use embargod::rehearsal::live::{Live, Servers, gpg};
use embargod::rehearsal::mail::{Draft, Guard, Read};
use embargod::rehearsal::story::{self, CANARY};
use embargod::rehearsal::{Stage, Who};

const PROGRAM: &str = env!("CARGO_BIN_EXE_embargod");

/// Servers in a folder of their own; stopped and removed at the end.
struct Stack(PathBuf);

impl Stack {
    fn start() -> Option<Self> {
        if std::env::var_os("EMBARGOD_LIVE").is_none() {
            eprintln!("skipped: set EMBARGOD_LIVE=1 to run against real servers");
            return None;
        }
        // Short: GnuPG and the servers put sockets below it.
        let random = embargod::edge::random::<4>().unwrap();
        let name: String = random.iter().map(|b| format!("{b:02x}")).collect();
        let path = Path::new("/tmp").join(format!("emb-{name}"));
        std::fs::create_dir(&path).unwrap();
        let users =
            Who::ALL.iter().map(|who| who.address()).chain([embargod::rehearsal::DESK.to_owned()]);
        let users = users.flat_map(|address| ["--user".to_owned(), format!("{address}:rehearsal")]);
        let out = Command::new("scripts/mailstack")
            .arg("start")
            .arg(path.join("s"))
            .args(users)
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        Some(Self(path))
    }

    fn desk(&self) -> Live {
        let servers = Servers::read(&self.0.join("s/env")).unwrap();
        Live::with_program(&self.0.join("d"), servers, None, PROGRAM.into(), Box::new(|_| {}))
            .unwrap()
    }

    fn maildir(&self, who: Who) -> PathBuf {
        self.0.join("s/mail").join(who.address()).join("Maildir/new")
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = Command::new("scripts/mailstack").arg("stop").arg(self.0.join("s")).output();
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn files_below(path: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_below(&entry.path(), out),
            Ok(kind) if kind.is_file() => out.push(entry.path()),
            _ => {}
        }
    }
}

fn holds(path: &Path, word: &str) -> bool {
    std::fs::read(path)
        .is_ok_and(|bytes| bytes.windows(word.len()).any(|part| part == word.as_bytes()))
}

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
    live.stop().unwrap();
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
    let out = Command::new(PROGRAM)
        .arg("--config")
        .arg(live.desk().join("embargod.toml"))
        .args(["journal", "verify"])
        .output()
        .unwrap();
    assert!(out.status.success() && String::from_utf8_lossy(&out.stdout).contains("is whole"));
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
    assert!(ack.by_desk && ack.protection.is_encrypted());
    for (who, other) in [(Who::Mia, Who::Tom), (Who::Tom, Who::Mia)] {
        wait(&mut live, who, 0, |mail| mail.subject.contains("New report"));
        let file = std::fs::read_dir(stack.maildir(who)).unwrap().flatten().next().unwrap().path();
        assert!(gpg(&live.home(who), &["--decrypt", file.to_str().unwrap()], b"").is_ok());
        assert!(gpg(&live.home(other), &["--decrypt", file.to_str().unwrap()], b"").is_err());
    }
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
    assert!(told.text.contains("signed and not encrypted"), "{}", told.text);
    // Encrypted, not signed: somebody in Mia's name.
    live.write(Who::Mia, &accept(Guard::Encrypted)).unwrap();
    let told = wait(&mut live, Who::Mia, 2, |mail| mail.subject.contains("in your name"));
    assert!(told.text.contains("It is not signed."), "{}", told.text);
    // A replay, byte for byte in a new mail.
    let ping = Draft::answer(&report, "/ping");
    let bytes = live.compose(Who::Mia, &ping).unwrap();
    live.send_raw(&Who::Mia.address(), &bytes).unwrap();
    let pong = wait(&mut live, Who::Mia, 3, |mail| mail.subject.contains("Done: ping"));
    assert!(pong.text.contains("Commands in it count."), "{}", pong.text);
    let again = String::from_utf8(bytes).unwrap().replace("Message-ID: <", "Message-ID: <again.");
    live.send_raw(&Who::Tom.address(), again.as_bytes()).unwrap();
    let told = wait(&mut live, Who::Mia, 4, |mail| mail.subject.contains("Not done"));
    assert!(told.text.contains("taken before"), "{}", told.text);
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
    assert!(told.text.contains("Tom") && told.text.contains("refused for good"), "{}", told.text);
    live.pass(Span::seconds(1)).unwrap();
    let status = Command::new(PROGRAM).arg("--config").arg(&path).arg("status").output().unwrap();
    assert!(!status.status.success(), "an alarm stands");
    assert!(String::from_utf8_lossy(&status.stdout).contains("refused for good"));
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
    let (expired, _) = embargod::edge::pgp::generate(
        "Ann",
        "ann@people.test",
        None,
        Some(1),
        "2020-01-01T00:00:00Z".parse().unwrap(),
    )
    .unwrap();
    std::fs::write(live.desk().join("keys/ann.asc"), expired).unwrap();
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
    assert!(shown.text.contains("larger than the desk reads"), "{}", shown.text);
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
