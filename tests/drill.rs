//! The live drill: ten members of the private list with GnuPG, a real Dovecot and a real Postfix. One
//! has a key that ends, one a server that bounces, one never answers, one comes late, one is suspended;
//! the date moves twice, and then it gets out. Every mailbox is looked at, mail by mail. Runs with
//! EMBARGOD_LIVE=1, as `scripts/test` sets it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop, and says so"
)]

mod live_stack;

use std::collections::BTreeMap;
use std::process::Command;

use embargod::domain::facts::names::Span;
use embargod::rehearsal::live::{Live, gpg};
use embargod::rehearsal::mail::{Draft, Read};
use embargod::rehearsal::{Stage, Who};
use live_stack::{PROGRAM, Stack};

const TITLE: &str = "Overflow in the quince parser";

/// The drill's own process: ten minutes between the advance notice and the day.
fn process() -> String {
    include_str!("../config/playbooks/drill.toml")
        .replacen("offset = \"-20s\"", "offset = \"-600s\"", 1)
        .replacen("tlp = \"AMBER+STRICT\"\n", "tlp = \"AMBER+STRICT\"\nvouch = 1\n", 1)
        + r#"
[[task]]
id = "DR-V.1"
alias = "verify"
phase = "disclosure"
title = "Verify that all have received it"
role = "security_team"
kind = "auto"
action = "verify"
of = "DR-2.1"
when = { anchor = "T", offset = "-585s" }
origin = "local"
"#
}

fn command(live: &Live, args: &[&str]) -> (bool, String) {
    let config = live.desk().join("embargod.toml");
    let out = Command::new(PROGRAM).arg("--config").arg(config).args(args).output().unwrap();
    let said = [out.stdout, out.stderr].concat();
    (out.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// Waits for a new mail that fits.
fn wait(live: &mut Live, who: Who, from: usize, fits: impl Fn(&Read) -> bool) -> Read {
    loop {
        let found = live.mailbox(who).unwrap().into_iter().skip(from).find(&fits);
        if let Some(mail) = found {
            return mail;
        }
        if !live.step().unwrap() {
            let had = live.mailbox(who).unwrap();
            let had: Vec<&str> = had.iter().map(|mail| mail.subject.as_str()).collect();
            panic!("{} did not get it, but {had:?}", who.id());
        }
    }
}

/// Mia writes what takes two people; Tom is asked, and confirms it.
fn seconded(live: &mut Live, mias: &Read, toms: &Read, text: &str) {
    let before = live.mailbox(Who::Tom).unwrap().len();
    says(live, Who::Mia, mias, text);
    let asks = |mail: &Read| mail.subject.contains("asks you to confirm");
    let asked = wait(live, Who::Tom, before, asks);
    says(live, Who::Tom, toms, &format!("/confirm {}", asked.nonce().unwrap()));
}

/// Writes words in answer to a mail, and waits for the transcript.
fn says(live: &mut Live, who: Who, to: &Read, text: &str) -> Read {
    says_with(live, who, Draft::answer(to, text))
}

fn says_with(live: &mut Live, who: Who, draft: Draft) -> Read {
    let before = live.mailbox(who).unwrap().len();
    live.write(who, &draft).unwrap();
    let fits = |mail: &Read| {
        ["Done:", "Confirm:", "Not done:"].iter().any(|word| mail.subject.contains(word))
    };
    let answer = wait(live, who, before, fits);
    assert!(!answer.subject.contains("Not done"), "{}: {}\n{}", who.id(), draft.text, answer.text);
    answer
}

/// A second member's key: the signing key is there for good, and the one to encrypt to for seconds.
fn key_that_ends(live: &Live, who: Who, seconds: u32) {
    let home = live.desk().parent().unwrap().join(who.id());
    live.meet(who).unwrap();
    gpg(
        &home,
        &["--quick-gen-key", &format!("gus2 <{}>", who.address()), "ed25519", "default", "never"],
        b"",
    )
    .unwrap();
    let list = gpg(&home, &["--list-keys", "--with-colons", "gus2"], b"").unwrap().out;
    let list = String::from_utf8(list).unwrap();
    let fingerprint = list.lines().find(|line| line.starts_with("fpr:")).unwrap();
    let fingerprint = fingerprint.trim_matches(':').rsplit(':').next().unwrap().to_owned();
    gpg(
        &home,
        &["--quick-add-key", &fingerprint, "cv25519", "encr", &format!("seconds={seconds}")],
        b"",
    )
    .unwrap();
    let armor = gpg(&home, &["--armor", "--export", &fingerprint], b"").unwrap().out;
    std::fs::write(live.desk().join(format!("keys/{}.asc", who.id())), armor).unwrap();
}

fn subjects(live: &mut Live, who: Who) -> Vec<String> {
    let mails = live.mailbox(who).unwrap();
    mails
        .into_iter()
        .map(|mail| {
            // Without the handle, which is drawn anew each time, and the moments.
            let words = mail.subject.split(' ').filter(|word| !word.contains("DEMO-"));
            let words: Vec<&str> = words.collect();
            words.join(" ").split(": ").next().unwrap().trim().to_owned()
        })
        .collect()
}

#[test]
#[expect(clippy::too_many_lines, reason = "a story, from the first report to the leak")]
fn ten_members_a_date_that_moves_twice_and_a_leak() {
    let Some(stack) = Stack::start() else { return };
    let mut live = stack.desk();
    live.stop().unwrap();
    // Six come in by a file, beside the three of the config: Gus with a key that ends, Ida behind a
    // server that bounces.
    let listed = [Who::Dora, Who::Finn, Who::Gus, Who::Hal, Who::Ida, Who::Jon];
    for who in listed.into_iter().chain([Who::Eve]) {
        if who == Who::Gus {
            key_that_ends(&live, who, 15);
        } else {
            live.meet(who).unwrap();
        }
    }
    let mut file = String::new();
    for who in listed {
        let address = if who == Who::Ida { "bounce@people.test".to_owned() } else { who.address() };
        file.push_str(&format!(
            "[[member]]\nid = \"{0}\"\nname = \"{0} Linux\"\naddress = \"{address}\"\ngroups = [\"private_distributors\"]\ncertificate = \"keys/{0}.asc\"\n",
            who.id()
        ));
    }
    std::fs::write(live.desk().join("members.toml"), file).unwrap();
    std::fs::create_dir_all(live.desk().join("playbooks")).unwrap();
    std::fs::write(live.desk().join("playbooks/drill.toml"), process()).unwrap();
    let config = live.desk().join("embargod.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("[files]\nplaybooks = \"playbooks\"\n{text}")).unwrap();
    let path = live.desk().join("members.toml").display().to_string();
    let (fine, said) = command(&live, &["group", "import", &path]);
    assert!(fine && said.contains("6 members are in"), "{said}");
    let (fine, said) = command(&live, &["group", "list"]);
    assert!(fine && said.lines().count() == 9, "{said}");
    live.kill().unwrap();

    // A report, its record, and a date.
    let mut report = Draft::sealed("The quince parser overflows.");
    report.with_key = true;
    live.write(Who::Rita, &report).unwrap();
    let mias = wait(&mut live, Who::Mia, 0, |mail| mail.subject.contains("New report"));
    let toms = wait(&mut live, Who::Tom, 0, |mail| mail.subject.contains("New report"));
    let handle = mias.handle().unwrap();
    let record = format!(
        "/accept\n/lead me\n/title {TITLE}\n/set affected 1.0 to 3.1\n/set impact code execution\n/set fixed 3.2\n/set credit Rita\n/cve CVE-2026-41234"
    );
    says(&mut live, Who::Mia, &mias, &record);
    says(&mut live, Who::Tom, &toms, "/done fix-ready\n/done agree-day");
    let plan = "/done agree-day\n/done plan\n/disclose +630s";
    let set = says(&mut live, Who::Mia, &mias, plan);
    assert!(set.says("KEYS that end too early") && set.says("gus Linux"), "{}", set.text);
    let mut draft = Draft::answer(&mias, "/preview advance");
    let patch = b"--- a/parser.c\n+++ b/parser.c\n-quince\n+medlar\n".to_vec();
    draft.attachments.push(("fix.patch".to_owned(), patch.clone()));
    says_with(&mut live, Who::Mia, draft);
    let shown = wait(&mut live, Who::Tom, 0, |mail| mail.subject.contains("waits for approval"));
    assert!(shown.attachments.iter().any(|(name, bytes)| name == "fix.patch" && *bytes == patch));
    let rehearsed = says(&mut live, Who::Tom, &toms, "/rehearse advance");
    assert!(
        rehearsed
            .text
            .lines()
            .any(|line| line.contains("gus Linux") && line.contains("NO KEY THEN")),
        "{}",
        rehearsed.text
    );
    says(&mut live, Who::Tom, &toms, "/approve advance@1");

    // It leaves: each opens their own copy, with the patch and the entry for a calendar.
    let got = [Who::Ann, Who::Bob, Who::Cleo, Who::Dora, Who::Finn, Who::Hal, Who::Jon];
    let mut notices: BTreeMap<Who, Read> = BTreeMap::new();
    for who in got {
        let notice = wait(&mut live, who, 0, |mail| mail.subject.contains("Advance notice"));
        assert!(
            notice.by_desk && notice.protection.is_encrypted() && notice.outer_subject == "[...]"
        );
        assert!(
            notice.attachments.iter().any(|(name, bytes)| name == "fix.patch" && *bytes == patch)
        );
        let entry = notice.attachments.iter().find(|(name, _)| name == "embargo.ics").unwrap();
        assert!(String::from_utf8_lossy(&entry.1).contains("SEQUENCE:0"), "{}", notice.text);
        notices.insert(who, notice);
    }
    let gus = wait(&mut live, Who::Gus, 0, |mail| !mail.protection.is_encrypted());
    assert!(!gus.says(&handle) && !gus.says("quince"), "{}", gus.text);
    // All but Jon say that they have it.
    for who in got.into_iter().filter(|who| *who != Who::Jon) {
        let word = if who == Who::Ann { "/ready" } else { "/ack" };
        let notice = notices.get(&who).unwrap().clone();
        says(&mut live, who, &notice, word);
    }
    // The verification asks Jon for a word, and gives the team the table.
    wait(&mut live, Who::Jon, 0, |mail| mail.subject.contains("no word from you"));
    let table = wait(&mut live, Who::Mia, 0, |mail| mail.subject.contains("Who has the notice"));
    println!("{}", table.text);
    for (name, state) in [
        ("Ann of Aleph Linux", "READY, by their word"),
        ("Bob of Beth Linux", "received, by their word"),
        ("gus Linux", "WITHHELD: no usable key"),
        ("ida Linux", "BOUNCED, no word"),
    ] {
        let line = table.text.lines().find(|line| line.contains(name));
        assert!(line.is_some_and(|line| line.contains(state)), "{name}: {}", table.text);
    }
    let jons = table.text.lines().find(|line| line.contains("jon Linux")).unwrap();
    assert!(jons.contains("no word"), "{jons}");
    assert!(table.text.lines().all(|line| line.chars().count() <= 100), "{}", table.text);

    // Eve comes late, by every step; she gets the notice as a late copy.
    let mut draft = Draft::answer(&mias, "/member propose eve private_distributors Eve Linux");
    let armor = std::fs::read(live.desk().join("keys/eve.asc")).unwrap();
    draft.attachments.push(("eve.asc".to_owned(), armor));
    says_with(&mut live, Who::Mia, draft);
    let invited = wait(&mut live, Who::Eve, 0, |mail| mail.subject.contains("your membership"));
    let nonce =
        invited.text.lines().find(|line| line.trim().starts_with("| /key confirm")).unwrap();
    let nonce = nonce.split_whitespace().last().unwrap().to_owned();
    says(&mut live, Who::Eve, &invited, &format!("/key confirm {nonce}\n/terms accept"));
    let anns = notices.get(&Who::Ann).unwrap().clone();
    says(&mut live, Who::Ann, &anns, "/vouch eve");
    let waits =
        wait(&mut live, Who::Tom, 0, |mail| mail.subject.contains("waits for your approval"));
    let words = waits.text.split_whitespace().find(|word| word.starts_with("eve@")).unwrap();
    let number = words.trim_start_matches("eve@").trim_end_matches('`');
    says(&mut live, Who::Tom, &toms, &format!("/member approve eve@{number}"));
    let late = wait(&mut live, Who::Eve, 0, |mail| mail.subject.contains("Advance notice"));
    assert!(late.says("LATE COPY"), "{}", late.text);
    // Finn is suspended; the date moves twice.
    says(&mut live, Who::Mia, &mias, "/member suspend finn under suspicion");
    for (moved, t) in ["+700s", "+800s"].into_iter().enumerate() {
        seconded(&mut live, &mias, &toms, &format!("/disclose {t}"));
        for who in [Who::Ann, Who::Bob, Who::Cleo, Who::Dora, Who::Eve, Who::Hal, Who::Jon] {
            let wanted = format!("SEQUENCE:{}", moved + 1);
            wait(&mut live, who, 0, |mail| {
                mail.subject.contains("Date changed")
                    && mail.attachments.iter().any(|(name, bytes)| {
                        name == "embargo.ics" && String::from_utf8_lossy(bytes).contains(&wanted)
                    })
            });
        }
    }
    // It gets out: Mia says so, Tom confirms, everyone who had a notice is told.
    seconded(&mut live, &mias, &toms, "/leak unknown the advance notice stands in a forum");
    let told = [Who::Ann, Who::Bob, Who::Cleo, Who::Dora, Who::Eve, Who::Hal, Who::Jon];
    for who in told {
        wait(&mut live, who, 0, |mail| mail.subject.contains("EMBARGO ENDED"));
    }
    live.pass(Span::seconds(3)).unwrap();
    let ledger = says(&mut live, Who::Mia, &mias, "/ledger");
    println!("{}", ledger.text);

    // Every mailbox, mail by mail.
    let had = |live: &mut Live, who: Who| {
        let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
        for subject in subjects(live, who) {
            *kinds.entry(subject).or_default() += 1;
        }
        kinds
    };
    let advance = "[TLP:AMBER+STRICT] Advance notice";
    for who in Who::ALL {
        let kinds = had(&mut live, who);
        println!("{}: {kinds:?}", who.id());
        let count = |word: &str| -> u32 {
            kinds.iter().filter(|(kind, _)| kind.contains(word)).map(|(_, n)| *n).sum()
        };
        let wanted = match who {
            Who::Ann | Who::Bob | Who::Cleo | Who::Dora | Who::Hal | Who::Jon | Who::Eve => {
                (1, 2, 1)
            }
            Who::Finn => (1, 0, 0),
            Who::Rita
            | Who::Paul
            | Who::Mia
            | Who::Tom
            | Who::Uma
            | Who::Gus
            | Who::Ida
            | Who::List => (0, 0, 0),
        };
        let found = (count("Advance notice"), count("Date changed"), count("EMBARGO ENDED"));
        assert_eq!(found, wanted, "{}: {kinds:?}, {advance}", who.id());
    }
    assert_eq!(live.doubles, 0);
    // No word of it in any file of the servers or the desk.
    live.stop().unwrap();
    let mut files = Vec::new();
    for part in ["s/mail", "d/desk"] {
        live_stack::files_below(&stack.0.join(part), &mut files);
    }
    for file in files {
        for word in [TITLE, "medlar", "stands in a forum"] {
            assert!(!live_stack::holds(&file, word), "{} holds `{word}`", file.display());
        }
    }
    let (fine, said) = command(&live, &["journal", "verify"]);
    assert!(fine && said.contains("is whole"), "{said}");
}
