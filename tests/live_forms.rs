//! The forms in which mail programs send ciphertext, made with GnuPG and delivered by real servers: the team
//! reads the text, and the reporter hears what anybody can see.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::too_many_lines,
    reason = "a test that cannot go on should stop"
)]

#[path = "common/shapes.rs"]
mod shapes;

mod live_stack;

use embargod::rehearsal::live::{Live, gpg};
use embargod::rehearsal::mail::Read;
use embargod::rehearsal::{DESK, Stage as _, Who};
use live_stack::Stack;
use shapes::{Sealed, shapes};

fn wait(live: &mut Live, who: Who, from: usize, what: &str) -> Read {
    loop {
        let found = live.mailbox(who).unwrap().into_iter().skip(from);
        if let Some(mail) = found.into_iter().find(|mail| mail.subject.contains(what)) {
            return mail;
        }
        assert!(live.step().unwrap(), "{} did not get `{what}`", who.id());
    }
}

#[test]
fn what_gnupg_sealed_in_a_dozen_forms_is_read() {
    let Some(stack) = Stack::start() else { return };
    let mut live = stack.desk_with(|desk| {
        let path = desk.join("embargod.toml");
        let config = std::fs::read_to_string(&path).unwrap();
        let config = config.replace("plain_per_hour = 10 ", "plain_per_hour = 100 ");
        std::fs::write(&path, config).unwrap();
    });
    let home = live.home(Who::Rita);
    let seal = |text: &str| {
        let args = ["--armor", "--encrypt", "--recipient", DESK];
        String::from_utf8(gpg(&home, &args, text.as_bytes()).unwrap().out).unwrap()
    };
    let key = gpg(&home, &["--armor", "--export", &Who::Rita.address()], b"").unwrap().out;
    let key = String::from_utf8(key).unwrap();
    let made = |n: usize| {
        let words = format!("CANARY-{n}: the length is not checked.\n");
        let (text, file) = (seal(&words), seal("%PDF-1.4 x"));
        let entity = seal(&format!("Content-Type: text/plain\r\n\r\n{words}"));
        let sealed = Sealed { text: &text, entity: &entity, file: &file, key: &key };
        shapes(&sealed).swap_remove(n)
    };
    let count = {
        let sealed = Sealed { text: "x", entity: "x", file: "x", key: "x" };
        shapes(&sealed).len()
    };
    let mut opened = 0;
    for n in 0..count {
        let (name, body, opens) = made(n);
        let (mias, ritas) =
            (live.mailbox(Who::Mia).unwrap().len(), live.mailbox(Who::Rita).unwrap().len());
        let mail = format!(
            "From: <{}>\r\nTo: <{DESK}>\r\nSubject: Report {n}\r\nDate: Thu, 26 Nov 2026 10:00:00 +0000\r\n\
             Message-ID: <shape{n}@people.test>\r\nMIME-Version: 1.0\r\n{body}",
            Who::Rita.address()
        );
        live.send_raw(&Who::Rita.address(), mail.as_bytes()).unwrap();
        let report = wait(&mut live, Who::Mia, mias, "New report");
        assert_eq!(report.says(&format!("CANARY-{n}")), opens, "{name}: {}", report.text);
        assert!(!report.says("NOT encrypted"), "{name}: {}", report.text);
        let ack = wait(&mut live, Who::Rita, ritas, "We received");
        assert!(ack.says("SHA-256 of the OpenPGP data"), "{name}: {}", ack.text);
        assert!(!ack.says("CANARY"), "{name}");
        opened += usize::from(opens);
        if n == 0 {
            // Once she has answered, the address is hers, and gets more than three answers a day.
            let reference = ack.text.lines().find(|line| line.starts_with("Ref:")).unwrap();
            let before = live.mailbox(Who::Mia).unwrap().len();
            let answer = format!(
                "From: <{}>\r\nTo: <{DESK}>\r\nSubject: Re: Report\r\nDate: Thu, 26 Nov 2026 10:00:00 +0000\r\n\
                 Message-ID: <answer@people.test>\r\n\r\nThank you.\r\n\r\n> {reference}\r\n",
                Who::Rita.address()
            );
            live.send_raw(&Who::Rita.address(), answer.as_bytes()).unwrap();
            wait(&mut live, Who::Mia, before, "");
        }
    }
    assert!(opened >= 12, "{opened}");
}
