//! More than one folder, on a real Dovecot: reports that a host takes for junk, mails that people move before
//! the desk has them, and folders that are not there.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop, and says so"
)]

mod live_stack;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use embargod::domain::facts::names::Span;
use embargod::rehearsal::live::Live;
use embargod::rehearsal::mail::Draft;
use embargod::rehearsal::{DESK, Stage, Who};
use live_stack::{PROGRAM, Stack};

fn doveadm(stack: &Stack, words: &[&str], input: &[u8]) {
    let mut child = Command::new("doveadm")
        .arg("-c")
        .arg(stack.0.join("s/dovecot.conf"))
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    assert!(child.wait().unwrap().success(), "{words:?}");
}

/// The config of a desk that looks around every five seconds.
fn quick(desk: &Path, more: &str) {
    let path = desk.join("embargod.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("full_look_s = 120", "full_look_s = 5");
    std::fs::write(&path, text.replace("folders = []", more)).unwrap();
}

fn embargod(desk: &Path, words: &[&str]) -> String {
    let config = desk.join("embargod.toml");
    let out = Command::new(PROGRAM).arg("--config").arg(config).args(words).output().unwrap();
    String::from_utf8(out.stdout).unwrap()
}

fn status(live: &Live) -> serde_json::Value {
    serde_json::from_str(&embargod(&live.desk(), &["status", "--json"])).unwrap()
}

/// A sealed report as it lies in a mailbox.
fn report(live: &mut Live, text: &str) -> Vec<u8> {
    let mail = live.compose(Who::Rita, &Draft::sealed(text)).unwrap();
    [format!("Return-Path: <{}>\r\n", Who::Rita.address()).as_bytes(), &mail].concat()
}

fn reports_of(live: &mut Live, who: Who, word: &str) -> usize {
    live.mailbox(who).unwrap().iter().filter(|mail| mail.says(word)).count()
}

fn until(live: &mut Live, what: &str, mut holds: impl FnMut(&mut Live) -> bool) {
    while !holds(live) {
        assert!(live.step().unwrap(), "{what}: {}", status(live));
    }
}

#[test]
fn a_report_among_the_junk_is_read_by_the_team_and_answered_later() {
    let Some(stack) = Stack::start() else { return };
    doveadm(&stack, &["mailbox", "create", "-u", DESK, "Unwanted"], b"");
    let mut live = stack.desk_with(|desk| quick(desk, "folders = []"));
    let mail = report(&mut live, "marmalade overflows");
    doveadm(&stack, &["save", "-u", DESK, "-m", "Unwanted"], &mail);
    until(&mut live, "the team reads it", |live| reports_of(live, Who::Mia, "marmalade") == 1);
    let read = live.mailbox(Who::Mia).unwrap();
    let read = read.iter().find(|mail| mail.says("marmalade")).unwrap();
    assert!(read.text.replace('\n', " ").contains("folder for JUNK"), "{}", read.text);
    // Nobody is answered at once; the answer waits, and is not lost.
    live.pass(Span::seconds(5)).unwrap();
    assert!(live.mailbox(Who::Rita).unwrap().is_empty());
    let waits: serde_json::Value =
        serde_json::from_str(&embargod(&live.desk(), &["outbox", "list", "--json"])).unwrap();
    let row = waits.as_array().unwrap().iter().find(|row| row["purpose"] == "acknowledgement");
    let at: chrono::DateTime<chrono::Utc> =
        row.unwrap_or_else(|| panic!("{waits}"))["at"].as_str().unwrap().parse().unwrap();
    let hours = (at - chrono::DateTime::from(std::time::SystemTime::now())).num_minutes();
    assert!((225..=240).contains(&hours), "{hours}");
    // Found again by a person who moves it to the inbox, it is no second report.
    doveadm(&stack, &["move", "-u", DESK, "INBOX", "mailbox", "Unwanted", "all"], b"");
    live.pass(Span::seconds(8)).unwrap();
    assert_eq!(reports_of(&mut live, Who::Mia, "marmalade"), 1);
}

#[test]
fn what_the_operator_mends_meanwhile_is_seen_without_a_start() {
    let Some(stack) = Stack::start() else { return };
    let mut live = stack.desk_with(|desk| quick(desk, "folders = []"));
    live.stop().unwrap();
    let passwords = |desk: &Path, word: &str| {
        for name in ["imap-password", "smtp-password"] {
            std::fs::write(desk.join("keys").join(name), word).unwrap();
        }
    };
    passwords(&live.desk(), "mistyped");
    live.kill().unwrap();
    until(&mut live, "the log-in is refused", |live| {
        let said = status(live)["alarms"].to_string();
        said.contains("log-in: ") && !said.contains("info: Some")
    });
    let (desk, pid) = (live.desk(), status(&live)["heart"]["started"].clone());
    let said = embargod(&desk, &["check"]);
    assert_eq!(said.matches("imap-password").count(), 1, "the file is named: {said}");
    assert_eq!(said.matches("smtp-password").count(), 1, "the file is named: {said}");
    passwords(&desk, "rehearsal\n");
    until(&mut live, "the corrected password is read", |live| {
        status(live)["heart"]["folders"]["INBOX"]["ended"].is_string()
    });
    // The host makes its folder for junk when the first such mail comes.
    doveadm(&stack, &["mailbox", "create", "-u", DESK, "Unwanted"], b"");
    let mail = report(&mut live, "late marmalade");
    doveadm(&stack, &["save", "-u", DESK, "-m", "Unwanted"], &mail);
    until(&mut live, "it is read there", |live| reports_of(live, Who::Mia, "late marmalade") == 1);
    doveadm(&stack, &["mailbox", "delete", "-u", DESK, "Unwanted"], b"");
    until(&mut live, "that it is gone is told", |live| {
        status(live)["alarms"].to_string().contains("Unwanted")
    });
    assert_eq!(status(&live)["heart"]["started"], pid, "all by the desk that ran");
}

#[test]
fn a_mail_that_is_moved_while_the_desk_is_down_is_found_or_missed_aloud() {
    let Some(stack) = Stack::start() else { return };
    for name in ["Archive", "Elsewhere"] {
        doveadm(&stack, &["mailbox", "create", "-u", DESK, name], b"");
    }
    let mut live = stack.desk_with(|desk| quick(desk, "folders = [\"Archive\", \"Nowhere\"]"));
    until(&mut live, "it is at its desk", |live| {
        status(live)["alarms"].to_string().contains("Nowhere")
    });
    live.stop().unwrap();
    let mail = report(&mut live, "put away by hand");
    doveadm(&stack, &["save", "-u", DESK, "-m", "INBOX"], &mail);
    doveadm(&stack, &["move", "-u", DESK, "Archive", "mailbox", "INBOX", "all"], b"");
    live.kill().unwrap();
    until(&mut live, "it is found", |live| reports_of(live, Who::Mia, "put away by hand") == 1);
    live.pass(Span::seconds(20)).unwrap();
    let said = status(&live)["alarms"].to_string();
    assert!(!said.contains("were gone"), "it was found: {said}");
    // Into a folder that the desk does not look at.
    live.stop().unwrap();
    for n in 0..2 {
        let mail = report(&mut live, &format!("hidden {n}"));
        doveadm(&stack, &["save", "-u", DESK, "-m", "INBOX"], &mail);
        doveadm(&stack, &["move", "-u", DESK, "Elsewhere", "mailbox", "INBOX", "all"], b"");
    }
    live.kill().unwrap();
    until(&mut live, "it is missed", |live| {
        status(live)["alarms"].to_string().contains("2 mails came into INBOX and were gone before")
    });
    // Put back, they are taken in, and the word ends.
    doveadm(&stack, &["move", "-u", DESK, "Archive", "mailbox", "Elsewhere", "all"], b"");
    until(&mut live, "they are found", |live| reports_of(live, Who::Mia, "hidden") == 2);
    until(&mut live, "the word ends", |live| {
        !status(live)["alarms"].to_string().contains("were gone")
    });
}
