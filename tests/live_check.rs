//! What `embargod check` finds on real servers: set-ups that are broken, one thing each, and the one that is in order.
//! Runs with EMBARGOD_LIVE=1, as `scripts/test` sets it.
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

use embargod::rehearsal::live::Live;
use live_stack::{PROGRAM, Stack};
use serde_json::Value;

/// What is found: level, place, what and next.
fn found(live: &Live) -> Vec<[String; 4]> {
    let config = live.desk().join("embargod.toml");
    let out = Command::new(PROGRAM)
        .arg("--config")
        .arg(config)
        .args(["check", "--json", "--wait", "6"])
        .output()
        .unwrap();
    let said = String::from_utf8([out.stdout, out.stderr].concat()).unwrap();
    let all: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
    let all = all.as_array().unwrap().iter();
    all.map(|one| {
        ["level", "place", "what", "next"].map(|key| one[key].as_str().unwrap().to_owned())
    })
    .collect()
}

/// One line of a section of the config, in other words.
fn swap<'a>(section: &'a str, key: &'a str, value: &'a str) -> impl Fn(&Path) + 'a {
    move |desk| {
        let path = desk.join("embargod.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let (mut inside, mut done) = (false, false);
        let lines = text.lines().map(|line| {
            if line.starts_with('[') {
                inside = line == format!("[{section}]");
            }
            if inside && line.starts_with(&format!("{key} = ")) {
                done = true;
                return format!("{key} = {value}");
            }
            line.to_owned()
        });
        let text = lines.collect::<Vec<_>>().join("\n");
        assert!(done, "{section} {key}: {text}");
        std::fs::write(&path, text).unwrap();
    }
}

fn password(name: &'static str) -> impl Fn(&Path) {
    move |desk| {
        let text = std::fs::read_to_string(desk.join("embargod.toml")).unwrap();
        let after = text.split(&format!("[{name}]")).nth(1).unwrap();
        let file = after.split("password_file = \"").nth(1).unwrap().split('"').next().unwrap();
        std::fs::write(desk.join(file), "another\n").unwrap();
    }
}

type Row<'a> = (&'a str, Box<dyn Fn(&Path) + 'a>, &'a str, &'a str, &'a str, &'a str);

fn rows<'a>() -> Vec<Row<'a>> {
    vec![
        ("nothing", Box::new(|_| {}), "", "", "", ""),
        (
            "a host that there is not",
            Box::new(swap("imap", "host", "\"imap.invalid\"")),
            "wrong",
            "[imap] imap.invalid",
            "connecting",
            "look at [imap]: host",
        ),
        (
            "a port that nobody listens at",
            Box::new(swap("smtp", "port", "9")),
            "wrong",
            "[smtp]",
            "refused",
            "look at [smtp]: host, port",
        ),
        (
            "a wrong password",
            Box::new(password("imap")),
            "wrong",
            "[imap]",
            "log-in",
            "see that `user` and the password",
        ),
        (
            "a wrong password to send",
            Box::new(password("smtp")),
            "wrong",
            "[smtp]",
            "535",
            "see that `user` and the password",
        ),
        (
            "a folder that there is not",
            Box::new(swap("imap", "folder", "\"Reports\"")),
            "wrong",
            "[imap]",
            "the folder `Reports` cannot be opened",
            "name a folder",
        ),
        (
            "a folder beside",
            Box::new(swap("imap", "folders", "[\"Old\"]")),
            "warn",
            "[imap]",
            "the folder `Old` cannot be opened",
            "name a folder",
        ),
        (
            "an address that is somebody else's mailbox",
            Box::new(swap("desk", "address", "\"mia@people.test\"")),
            "wrong",
            "a mail to mia@people.test",
            "is not in the mailbox of",
            "what people write to",
        ),
        (
            "an address that there is not",
            Box::new(swap("desk", "address", "\"secruity@desk.test\"")),
            "wrong",
            "[smtp]",
            "does not take a mail from us to secruity@desk.test",
            "may send as the desk's address",
        ),
    ]
}

#[test]
fn each_broken_set_up_is_named_with_its_next_step() {
    let Some(stack) = Stack::start() else { return };
    let mut live = stack.desk();
    live.stop().unwrap();
    let whole = stack.0.join("whole");
    let copy = |from: &Path, to: &Path| {
        let _ = std::fs::remove_dir_all(to);
        assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
    };
    copy(&live.desk(), &whole);
    for (name, change, level, place, what, next) in rows() {
        copy(&whole, &live.desk());
        change(&live.desk());
        let all = found(&live);
        if level.is_empty() {
            let wrong: Vec<_> = all.iter().filter(|[level, ..]| level == "wrong").collect();
            assert!(wrong.is_empty(), "{name}: {wrong:?}");
            let back = |[level, place, what, _]: &&[String; 4]| {
                level == "ok"
                    && place.starts_with("a mail to security")
                    && what.contains("was back in INBOX")
            };
            assert_eq!(all.iter().filter(back).count(), 2, "itself and with a plus: {all:?}");
            continue;
        }
        let is_it = |one: &&[String; 4]| {
            one[0] == level
                && one[1].contains(place)
                && one[2].contains(what)
                && one[3].contains(next)
        };
        assert!(all.iter().any(|one| is_it(&one)), "{name}: {all:#?}");
        // Nobody's password stands in what is said.
        assert!(!all.iter().flatten().any(|text| text.contains("rehearsal")), "{name}: {all:?}");
    }
    // What was sent is gone again: no desk takes it for a report.
    copy(&whole, &live.desk());
    let left = stack.0.join("s/mail").join(embargod::rehearsal::DESK).join("Maildir");
    let mut mails = Vec::new();
    live_stack::files_below(&left, &mut mails);
    let ours = mails.iter().filter(|path| {
        std::fs::read_to_string(path).is_ok_and(|text| text.contains("Message-ID: <check."))
    });
    assert_eq!(ours.count(), 0);
}
