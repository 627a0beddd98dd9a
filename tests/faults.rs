//! Servers that misbehave: the real daemon between two of them, at every stage of the dialogue and at every
//! command. While they are ill nothing is lost and nobody is given up; once they are well all that waits is on
//! its way within half a minute.
//!
//! A part of the table is played with the tests; `scripts/faults` plays all of it.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on should stop, and says what it saw"
)]

#[path = "faults/desk.rs"]
mod desk;
#[path = "faults/imap.rs"]
mod imap;
#[path = "faults/smtp.rs"]
mod smtp;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use desk::{Desk, PROGRAM};

/// How long the servers are ill.
const ILL: Duration = Duration::from_secs(6);
/// How long it may take once they are well: half a minute, and what a busy machine adds.
const RECOVERS: Duration = Duration::from_secs(60);
/// Reports that come while they are.
const REPORTS: usize = 3;

/// What one cell of the table came to.
struct Seen {
    recovered: Option<Duration>,
    lost: usize,
    doubled: usize,
    tries: u32,
    alarms: String,
}

/// The servers are ill while reports come in, and then well.
async fn ill(make: impl FnOnce(&Desk), heal: impl FnOnce(&Desk)) -> Seen {
    let desk = Desk::new().await;
    make(&desk);
    for n in 0..REPORTS {
        desk.report(n);
    }
    tokio::time::sleep(ILL).await;
    let tries = desk.smtp.counts.lock().unwrap().get("connect").copied().unwrap_or(0);
    heal(&desk);
    // An acknowledgement to each reporter, and each report to Mia.
    let wanted = REPORTS * 2;
    let recovered = desk.until(RECOVERS, |desk| desk.mails().len() >= wanted).await;
    let (mails, status) = (desk.mails(), desk.status());
    let given_up =
        ["outbox_dead", "outbox_unknown"].map(|name| status[name].as_u64().unwrap_or(99));
    assert_eq!(given_up, [0, 0], "nobody is given up: {status}\n{}", desk.log());
    assert_eq!(status["inbox_aside"], 0, "no mail is put aside: {status}\n{}", desk.log());
    Seen {
        recovered,
        lost: wanted.saturating_sub(mails.len()),
        doubled: mails.values().filter(|(_, count)| *count > 1).count(),
        tries,
        alarms: status["alarms"].to_string(),
    }
}

fn say(name: &str, seen: &Seen) {
    let Seen { recovered, lost, doubled, tries, alarms } = seen;
    println!(
        "{name:<28} recovers {:>6}  lost {lost}  doubled {doubled}  connections while ill {tries}  alarms {alarms}",
        recovered.map_or("never".to_owned(), |it| format!("{:.1} s", it.as_secs_f64()))
    );
}

/// Whether all of the table is played.
fn in_full() -> bool {
    std::env::var("EMBARGOD_FAULTS").is_ok_and(|value| value == "full")
}

/// Plays cells, some at a time; each must lose nothing and recover.
fn play<C, F>(cells: Vec<(String, C)>, run: impl Fn(C) -> F)
where
    F: Future<Output = Seen> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let at_once = if in_full() { 6 } else { 8 };
    let mut wrong = Vec::new();
    let only = std::env::var("EMBARGOD_CELLS").unwrap_or_default();
    let mut cells = cells.into_iter().filter(|(name, _)| name.contains(&only)).peekable();
    while cells.peek().is_some() {
        let some: Vec<(String, F)> =
            cells.by_ref().take(at_once).map(|(name, cell)| (name, run(cell))).collect();
        let seen = runtime.block_on(async {
            let tasks: Vec<_> =
                some.into_iter().map(|(name, cell)| (name, tokio::spawn(cell))).collect();
            let mut seen = Vec::new();
            for (name, task) in tasks {
                seen.push((name, task.await));
            }
            seen
        });
        for (name, seen) in seen {
            let Ok(seen) = seen else {
                wrong.push(name);
                continue;
            };
            say(&name, &seen);
            if seen.lost > 0 || seen.recovered.is_none() {
                wrong.push(name);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn whatever_the_mail_server_says_nothing_is_lost_and_nobody_given_up() {
    let stages = ["connect", "ehlo", "auth", "mail", "rcpt", "data", "dot"];
    let say = |text: &str| smtp::Act::Say(text.to_owned());
    let acts = [
        ("421", say("421 4.7.0 too many connections")),
        ("451", say("451 4.3.0 later")),
        ("450", say("450 4.7.1 greylisted")),
        ("550", say("550 5.7.1 refused")),
        ("550 quota", say("550 5.4.5 daily limit exceeded")),
        ("554", say("554 5.5.1 no valid recipients")),
        ("552", say("552 5.3.4 too big")),
        ("drop", smtp::Act::Drop),
        ("stall", smtp::Act::Stall),
        ("garbage", smtp::Act::Garbage),
    ];
    let mut cells = Vec::new();
    for stage in stages {
        for (name, act) in &acts {
            cells.push((format!("{stage} {name}"), (stage, act.clone())));
        }
    }
    cells.push(("dot take and drop".to_owned(), ("dot", smtp::Act::TakeAndDrop)));
    cells.push(("dot in other letters".to_owned(), ("dot", smtp::Act::Latin)));
    cells.push(("dot 354".to_owned(), ("dot", say("354 go on"))));
    for stage in ["mail", "rcpt", "data", "dot"] {
        cells.push((format!("{stage} twice"), (stage, smtp::Act::Twice)));
        cells.push((format!("{stage} endless"), (stage, smtp::Act::Endless)));
    }
    if !in_full() {
        let some = [
            "auth 554",
            "mail 550 quota",
            "rcpt 550",
            "rcpt 450",
            "data drop",
            "dot drop",
            "dot 552",
            "dot take and drop",
            "dot in other letters",
            "dot 354",
            "data twice",
            "rcpt endless",
        ];
        cells.retain(|(name, _)| some.contains(&name.as_str()));
    }
    play(cells, |(stage, act)| {
        ill(
            move |desk| {
                desk.smtp
                    .rule(move |at, _| if at == stage { act.clone() } else { smtp::Act::Behave });
            },
            |desk| desk.smtp.rule(|_, _| smtp::Act::Behave),
        )
    });
}

#[test]
fn whatever_the_mailbox_says_all_mails_are_taken_in() {
    use imap::Act::{Bad, Bye, Cut, Garbage, No, Noise, Nothing, Stall};
    let commands = ["login", "capability", "select", "search", "fetch", "body", "store", "idle"];
    let acts = [
        ("no", No),
        ("bad", Bad),
        ("bye", Bye),
        ("cut", Cut),
        ("stall", Stall),
        ("garbage", Garbage),
        ("noise", Noise),
        ("nothing", Nothing),
    ];
    let mut cells = Vec::new();
    for command in commands {
        for (name, act) in acts {
            cells.push((format!("{command} {name}"), (command, act)));
        }
    }
    let more = [
        ("search", "phantom", imap::Act::Phantom),
        ("search", "omit", imap::Act::Omit),
        ("body", "part", imap::Act::Part),
        ("fetch", "flood", imap::Act::Flood),
    ];
    for (command, name, act) in more {
        cells.push((format!("{command} {name}"), (command, act)));
    }
    if !in_full() {
        let some = [
            "search phantom",
            "search omit",
            "body part",
            "fetch flood",
            "login no",
            "search no",
            "search bye",
            "fetch no",
            "fetch noise",
            "body cut",
            "body garbage",
            "store no",
        ];
        cells.retain(|(name, _)| some.contains(&name.as_str()));
    }
    play(cells, |(command, act)| {
        ill(
            move |desk| {
                desk.imap.rule(move |at, _| if at == command { act } else { imap::Act::Behave });
            },
            |desk| desk.imap.rule(|_, _| imap::Act::Behave),
        )
    });
}

/// One mail that the server never hands out stands before no other, and is told.
#[test]
fn one_mail_that_never_comes_stops_no_other() {
    use imap::Act::{Bye, Cut, Lie, No, Nothing, Stall};
    let mut cells = vec![
        ("refused", No),
        ("nothing of it", Nothing),
        ("cut", Cut),
        ("bye", Bye),
        ("stall", Stall),
        ("wrong size", Lie),
    ];
    if !in_full() {
        cells.retain(|(name, _)| ["refused", "nothing of it", "cut"].contains(name));
    }
    let cells = cells.into_iter().map(|(name, act)| (format!("one mail: {name}"), act)).collect();
    play(cells, |act| async move {
        let desk = Desk::new().await;
        let culprit = 2;
        desk.imap.rule(
            move |at, uid| {
                if at == "body" && uid == culprit { act } else { imap::Act::Behave }
            },
        );
        for n in 0..5 {
            desk.report(n);
        }
        let others =
            desk.until(Duration::from_secs(120), |desk| desk.acknowledged().len() == 4).await;
        assert!(others.is_some(), "the others come: {:?}\n{}", desk.acknowledged(), desk.log());
        // Something comes now and then, so that it is clear whose fault it is.
        for n in 5..9 {
            desk.report(n);
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        let told =
            desk.until(Duration::from_secs(200), |desk| desk.status()["inbox_aside"] == 1).await;
        assert!(told.is_some(), "it is told: {}\n{}", desk.status(), desk.log());
        let alarms = desk.status()["alarms"].to_string();
        // By mail as well: Mia has the eight reports, and one more.
        let to_mia = |desk: &Desk| {
            desk.mails().into_values().filter(|(to, _)| to.starts_with("mia")).count()
        };
        let mailed = desk.until(Duration::from_secs(60), |desk| to_mia(desk) == 9).await;
        assert!(mailed.is_some(), "{:?}", desk.mails());
        // Looked after, and asked for again.
        desk.imap.rule(|_, _| imap::Act::Behave);
        let retry = Command::new(PROGRAM)
            .arg("--config")
            .arg(desk.at("embargod.toml"))
            .args(["aside", "--retry"])
            .output()
            .unwrap();
        assert!(retry.status.success());
        let all = desk.until(RECOVERS, |desk| desk.acknowledged().len() == 9).await;
        Seen { recovered: all.and(others), lost: 0, doubled: 0, tries: 0, alarms }
    });
}

/// The mailbox's clock is another witness than ours: where it says otherwise, early or late, that is told.
#[test]
fn a_mailbox_whose_clock_says_otherwise_is_heard() {
    let cells = [("ahead", 10_800), ("behind", -10_800)];
    let cells = cells.into_iter().map(|(name, by)| (format!("its clock is {name}"), by)).collect();
    play(cells, |by| async move {
        let desk = Desk::new().await;
        desk.imap.ahead_s.store(by, std::sync::atomic::Ordering::SeqCst);
        let to_itself = |desk: &Desk| {
            let taken = desk.smtp.taken.lock().unwrap();
            taken.iter().find(|mail| mail.to.starts_with("security@")).map(|mail| mail.text.clone())
        };
        let sent = desk.until(Duration::from_secs(60), |desk| to_itself(desk).is_some()).await;
        assert!(sent.is_some(), "{}", desk.log());
        desk.imap.add(&to_itself(&desk).unwrap());
        let says =
            |desk: &Desk| desk.status()["alarms"].to_string().contains("the mail server says");
        let told = desk.until(Duration::from_secs(60), says).await;
        let alarms = desk.status()["alarms"].to_string();
        assert!(told.is_some(), "{alarms}\n{}", desk.log());
        Seen { recovered: told, lost: 0, doubled: 0, tries: 0, alarms }
    });
}

/// Told to stop while the server thinks, the desk waits for its answer; nothing is left of unknown end.
#[test]
fn told_to_stop_the_desk_waits_for_the_answers_that_it_is_owed() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut desk = Desk::new().await;
        let slow = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let is_slow = Arc::clone(&slow);
        desk.smtp.rule(move |at, _| {
            if at == "dot" && is_slow.load(std::sync::atomic::Ordering::SeqCst) {
                std::thread::sleep(Duration::from_secs(4));
            }
            smtp::Act::Behave
        });
        let dots = |desk: &Desk| desk.smtp.counts.lock().unwrap().get("dot").copied().unwrap_or(0);
        let before = dots(&desk);
        desk.report(0);
        let handed = desk.until(Duration::from_secs(30), |desk| dots(desk) > before);
        handed.await.unwrap();
        let mut child = desk.child.take().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let ended = child.wait().unwrap();
        assert!(ended.success(), "{}", desk.log());
        let status = desk.status();
        assert!(desk.log().contains("Stopped in order"), "{}", desk.log());
        slow.store(false, std::sync::atomic::Ordering::SeqCst);
        desk.run();
        let all = desk.until(RECOVERS, |desk| desk.mails().len() >= 2).await;
        assert!(all.is_some(), "{status}\n{}", desk.log());
        let doubled = desk.mails().values().filter(|(_, count)| *count > 1).count();
        assert_eq!(doubled, 0, "{}", desk.log());
    });
}

/// Told a second time, it waits no longer.
#[test]
fn told_to_stop_twice_the_desk_waits_for_nobody() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut desk = Desk::new().await;
        desk.smtp.rule(|at, _| if at == "dot" { smtp::Act::Stall } else { smtp::Act::Behave });
        let dots = |desk: &Desk| desk.smtp.counts.lock().unwrap().get("dot").copied().unwrap_or(0);
        let before = dots(&desk);
        desk.report(0);
        let handed = desk.until(Duration::from_secs(30), |desk| dots(desk) > before);
        handed.await.unwrap();
        let mut child = desk.child.take().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        let stop = || rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        stop();
        let waits = desk.until(RECOVERS, |desk| desk.log().contains("A second signal")).await;
        assert!(waits.is_some(), "{}", desk.log());
        assert!(child.try_wait().unwrap().is_none(), "it waits for the answer");
        stop();
        assert!(child.wait().unwrap().success(), "{}", desk.log());
        assert!(desk.log().contains("may or may not have left"), "{}", desk.log());
        // What was on its way goes again after the next start, with its one Message-ID.
        desk.smtp.rule(|_, _| smtp::Act::Behave);
        desk.run();
        let all = desk.until(RECOVERS, |desk| desk.mails().len() >= 2).await;
        assert!(all.is_some(), "{}", desk.log());
    });
}

/// Servers look through a mail before they take it, and some never end: those whose answer is waited for
/// hold up no other.
#[test]
fn dialogues_that_hang_after_the_dot_hold_up_no_other() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let desk = Desk::new().await;
        let hung = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = Arc::clone(&hung);
        desk.smtp.rule(move |at, _| {
            let hangs = at == "dot" && count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2;
            if hangs { smtp::Act::Stall } else { smtp::Act::Behave }
        });
        for n in 0..4 {
            desk.report(n);
        }
        let others = desk.until(RECOVERS, |desk| desk.mails().len() >= 6).await;
        assert!(others.is_some(), "{:?}\n{}", desk.mails(), desk.log());
        println!("two hang, six others left in {others:?}");
        // The operator sees which, and for whom.
        let outbox = |words: &[&str]| {
            let config = desk.at("embargod.toml");
            let output = Command::new(PROGRAM)
                .arg("--config")
                .arg(config)
                .arg("outbox")
                .args(words)
                .output();
            String::from_utf8(output.unwrap().stdout).unwrap()
        };
        let list: serde_json::Value = serde_json::from_str(&outbox(&["list", "--json"])).unwrap();
        let rows = list.as_array().unwrap();
        assert_eq!(rows.len(), 2, "{list}");
        assert!(rows.iter().all(|row| row["state"] == "waiting"), "{list}");
        let table = outbox(&["list"]);
        assert_eq!(table.lines().filter(|line| line.contains("waiting")).count(), 2, "{table}");
        let shown = outbox(&["show", &rows[0]["id"].to_string()]);
        assert!(shown.contains("Message-ID") && shown.contains("1 attempts"), "{shown}");
    });
}

/// The one mail that tries whether a server that took nothing is well again may itself be let wait.
#[test]
fn a_try_that_hangs_holds_up_no_other() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let desk = Desk::new().await;
        let count = std::sync::atomic::AtomicUsize::new(0);
        desk.smtp.rule(|at, _| if at == "mail" { smtp::Act::Drop } else { smtp::Act::Behave });
        for n in 0..3 {
            desk.report(n);
        }
        let closed = desk.until(RECOVERS, |desk| desk.log().contains("takes nothing")).await;
        assert!(closed.is_some(), "{}", desk.log());
        desk.smtp.rule(move |at, _| {
            let first = at == "dot" && count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
            if first { smtp::Act::Stall } else { smtp::Act::Behave }
        });
        let others = desk.until(RECOVERS, |desk| desk.mails().len() >= 5).await;
        assert!(others.is_some(), "{:?}\n{}", desk.mails(), desk.log());
    });
}

/// A small generator: what it draws is the same each time.
struct Dice(u64);

impl Dice {
    fn draw(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// The daemon is killed again and again between servers that are ill every now and then: each mail leaves, and
/// one that leaves twice does so with its one Message-ID.
#[test]
fn killed_again_and_again_between_ill_servers_nothing_is_lost() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let few = std::env::var("EMBARGOD_KILLS").ok().and_then(|kills| kills.parse().ok());
        let kills = few.unwrap_or_else(|| if in_full() { 500 } else { 12 });
        let reports = if kills > 100 { 100 } else { 10 };
        let mut desk = Desk::new().await;
        let dice = std::sync::Mutex::new(Dice(7));
        desk.smtp.rule(move |at, _| {
            let mut dice = dice.lock().unwrap();
            if dice.draw(12) > 0 {
                return smtp::Act::Behave;
            }
            match dice.draw(5) {
                0 => smtp::Act::Drop,
                1 => smtp::Act::Say("451 4.3.0 later".to_owned()),
                2 => smtp::Act::Say("550 5.7.1 refused".to_owned()),
                3 if at == "dot" => smtp::Act::TakeAndDrop,
                _ => smtp::Act::Garbage,
            }
        });
        let dice = std::sync::Mutex::new(Dice(11));
        desk.imap.rule(move |_, _| {
            let mut dice = dice.lock().unwrap();
            if dice.draw(15) > 0 {
                return imap::Act::Behave;
            }
            match dice.draw(3) {
                0 => imap::Act::No,
                1 => imap::Act::Cut,
                _ => imap::Act::Noise,
            }
        });
        let mut dice = Dice(13);
        let mut sent = 0;
        for kill in 0..kills {
            while sent < reports && sent * kills <= kill * reports {
                desk.report(sent);
                sent += 1;
            }
            tokio::time::sleep(Duration::from_millis(400 + dice.draw(1_200))).await;
            let mut child = desk.child.take().unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
            desk.run();
        }
        while sent < reports {
            desk.report(sent);
            sent += 1;
        }
        desk.smtp.rule(|_, _| smtp::Act::Behave);
        desk.imap.rule(|_, _| imap::Act::Behave);
        let wanted = reports * 2;
        let recovered = desk.until(RECOVERS, |desk| desk.mails().len() >= wanted).await;
        let mails = desk.mails();
        let doubled = mails.values().filter(|(_, count)| *count > 1).count();
        let status = desk.status();
        println!(
            "{kills} kills: {} of {wanted} mails, {doubled} of them more than once, recovered in {recovered:?}; {status}",
            mails.len()
        );
        assert!(recovered.is_some(), "{}", desk.log());
        assert_eq!(mails.len(), wanted, "each once: one Message-ID for each");
        assert_eq!(desk.acknowledged().len(), reports);
        let given_up = ["outbox_dead", "outbox_unknown", "inbox_aside"];
        assert!(given_up.iter().all(|name| status[*name] == 0), "{status}");
    });
}

/// What of a mail comes where the server's own words are expected, and what a mail server quotes in its answer,
/// stands in no log and in no alarm.
#[test]
fn no_word_of_a_mail_comes_into_a_log() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let desk = Desk::new().await;
        desk.imap.rule(|at, _| if at == "body" { imap::Act::Less } else { imap::Act::Behave });
        desk.report(0);
        let broken = desk.until(RECOVERS, |desk| desk.log().contains("not reachable")).await;
        assert!(broken.is_some(), "{}", desk.log());
        desk.imap.rule(|_, _| imap::Act::Behave);
        desk.smtp.rule(|at, to| {
            let said = format!("554 5.7.1 <{to}> we do not like: It breaks in place 0");
            if at == "dot" { smtp::Act::Say(said) } else { smtp::Act::Behave }
        });
        desk.until(Duration::from_secs(30), |desk| desk.log().contains("554")).await.unwrap();
        let said = format!("{}{}", desk.log(), desk.status()["alarms"]);
        for word in ["It breaks", "rita0@", "mia@", "bug 0"] {
            assert!(!said.contains(word), "{word}: {said}");
        }
    });
}
