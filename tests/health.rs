//! Whoever looks at a desk from outside sees how it is: `status`, the figures, the heartbeat, systemd; and the
//! operators are mailed. The real daemon, between servers that misbehave.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop, and says what it saw"
)]

mod common;
#[path = "faults/desk.rs"]
mod desk;
#[path = "faults/imap.rs"]
mod imap;
#[path = "faults/smtp.rs"]
mod smtp;

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use common::World;
use desk::Desk;
use embargod::domain::facts::names::Span;
use embargod::edge::imap::MailboxAsk;
use embargod::rehearsal::{Stage, Who};

/// Time enough for whatever is shown within a minute.
const SHOWN: Duration = Duration::from_secs(120);

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(test);
}

/// A desk with figures and a heartbeat that writes a line a second.
async fn watched() -> Desk {
    let desk = Desk::made("").await;
    let (beats, config) = (desk.at("beats"), desk.at("embargod.toml"));
    let text = std::fs::read_to_string(&config).unwrap();
    let more = format!(
        "[metrics]\nfile = \"figures.prom\"\n[heartbeat]\ncommand = [\"sh\", \"-c\", \"echo beat >> {}\"]\nevery_s = 1\n",
        beats.display()
    );
    std::fs::write(config, format!("{text}{more}")).unwrap();
    desk
}

fn beats(desk: &Desk) -> usize {
    std::fs::read_to_string(desk.at("beats")).unwrap_or_default().lines().count()
}

/// A figure of the file.
fn figure(desk: &Desk, name: &str) -> Option<f64> {
    let text = std::fs::read_to_string(desk.at("figures.prom")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("embargod_{name} ")))?;
    line.parse().ok()
}

fn trouble(desk: &Desk, kind: &str) -> bool {
    figure(desk, &format!("trouble{{kind=\"{kind}\"}}")) == Some(1.0)
}

/// It is shown in every way; and once it is over nothing of it is left, and the heart beats again.
async fn shown(desk: &Desk, kind: &str, words: &str) {
    let seen = desk.until(SHOWN, |desk| trouble(desk, kind)).await;
    let (code, said) = desk.says(&["status"]);
    assert!(seen.is_some(), "{kind}: {said}\n{}", desk.log());
    assert!(code == 1 && said.contains(words), "{kind}: {said}");
    let alarm =
        said.lines().find(|line| line.starts_with("ALARM") && line.contains(words)).unwrap();
    assert!(alarm.contains("; "), "the next step stands in it: {alarm}");
    assert_eq!(figure(desk, "well"), Some(0.0));
    let before = beats(desk);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(beats(desk), before, "{kind}: whoever watches from elsewhere hears nothing");
}

async fn over(desk: &Desk, kind: &str) {
    let before = beats(desk);
    let over = desk.until(SHOWN, |desk| !trouble(desk, kind) && beats(desk) > before).await;
    let (code, said) = desk.says(&["status"]);
    assert!(over.is_some() && code == 0, "{kind}: {said}\n{}", desk.log());
}

#[test]
fn a_desk_that_is_well_says_so_in_every_way() {
    block_on(async {
        let mut desk = watched().await;
        let (code, said) = desk.says(&["status"]);
        assert!(code == 1 && said.contains("no desk runs"), "before it begins: {said}");
        desk.run();
        over(&desk, "mailbox").await;
        assert_eq!(figure(&desk, "well"), Some(1.0));
        for name in ["started_seconds", "looked_seconds", "last_out_seconds", "room_bytes"] {
            assert!(figure(&desk, name).is_some_and(|value| value > 0.0), "{name}");
        }
        let status = desk.status();
        assert_eq!(status["runs"], true);
        assert_eq!(status["heart"]["version"], env!("CARGO_PKG_VERSION"));
        assert!(status["heart"]["folders"]["INBOX"]["ended"].is_string(), "{status}");
        // Nothing in the figures names anybody.
        let text = std::fs::read_to_string(desk.at("figures.prom")).unwrap();
        assert!(!text.contains('@') && !text.contains("DESK-"), "{text}");
        // Killed, it is missed by whoever asks, and by whoever waits for its heartbeat.
        let mut child = desk.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let (code, said) = desk.says(&["status"]);
        assert!(code == 1 && said.contains("no desk runs since"), "{said}");
        let before = beats(&desk);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(beats(&desk), before);
    });
}

#[test]
fn a_log_in_that_is_refused_is_shown_at_once_where_it_never_worked() {
    block_on(async {
        let mut desk = watched().await;
        desk.imap.rule(|at, _| if at == "login" { imap::Act::No } else { imap::Act::Behave });
        desk.run();
        shown(&desk, "mailbox", "the mailbox cannot be read").await;
        assert!(desk.says(&["status"]).1.contains("log-in"));
        desk.imap.rule(|_, _| imap::Act::Behave);
        over(&desk, "mailbox").await;
    });
}

#[test]
fn whoever_measures_or_watches_and_is_not_reached_is_missed() {
    block_on(async {
        let mut desk = watched().await;
        let config = std::fs::read_to_string(desk.at("embargod.toml")).unwrap();
        let config = config.replace("figures.prom", "nowhere/figures.prom");
        let (_, beat) = config.split_once("[heartbeat]").unwrap();
        let gate = desk.at("gate");
        let command = format!("command = [\"test\", \"-e\", \"{}\"]", gate.display());
        let closed = format!("\n{command}\nevery_s = 1\n");
        std::fs::write(desk.at("embargod.toml"), config.replace(beat, &closed)).unwrap();
        let (code, said) = desk.says(&["check", "--offline"]);
        assert!(code == 1 && said.contains("there is no folder"), "{said}");
        desk.run();
        let both = |desk: &Desk| {
            let said = desk.says(&["status"]).1;
            said.contains("the file of [metrics] is not written") && said.contains("is not reached")
        };
        assert!(desk.until(SHOWN, both).await.is_some(), "{}", desk.says(&["status"]).1);
        std::fs::create_dir(desk.at("nowhere")).unwrap();
        std::fs::write(gate, "").unwrap();
        let none = |desk: &Desk| desk.says(&["status"]).0 == 0;
        assert!(desk.until(SHOWN, none).await.is_some(), "{}", desk.says(&["status"]).1);
        assert!(desk.log().contains("The heartbeat is heard again."), "{}", desk.log());
    });
}

#[test]
fn a_folder_that_is_gone_and_a_server_that_is_silent_are_shown() {
    block_on(async {
        let mut desk = watched().await;
        desk.run();
        over(&desk, "mailbox").await;
        desk.imap.rule(|at, _| if at == "select" { imap::Act::No } else { imap::Act::Behave });
        shown(&desk, "folder", "INBOX").await;
        desk.imap.rule(|_, _| imap::Act::Behave);
        over(&desk, "folder").await;
        desk.imap.rule(|_, _| imap::Act::Stall);
        shown(&desk, "mailbox", "the server did not answer").await;
        desk.imap.rule(|_, _| imap::Act::Behave);
        over(&desk, "mailbox").await;
    });
}

#[test]
fn a_mail_server_that_takes_nothing_is_shown() {
    block_on(async {
        let mut desk = watched().await;
        desk.run();
        over(&desk, "server").await;
        desk.smtp.rule(|at, _| {
            let say = smtp::Act::Say("535 5.7.8 authentication failed".to_owned());
            if at == "auth" { say } else { smtp::Act::Behave }
        });
        desk.report(0);
        shown(&desk, "server", "the mail server has taken nothing").await;
        assert!(desk.says(&["status"]).1.contains("535"));
        desk.smtp.rule(|_, _| smtp::Act::Behave);
        over(&desk, "server").await;
    });
}

/// A disk of a few megabytes, if this machine lets us have one.
struct Disk(std::path::PathBuf);

impl Disk {
    fn at(path: std::path::PathBuf) -> Option<Self> {
        std::fs::create_dir(&path).unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=40m", "tmpfs"];
        let mounted = Command::new("mount").args(mount).arg(&path).output();
        mounted.is_ok_and(|out| out.status.success()).then_some(Self(path))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk_is_shown_and_nothing_is_lost_by_it() {
    block_on(async {
        let mut desk = watched().await;
        let Some(disk) = Disk::at(desk.at("small")) else {
            eprintln!("skipped: this machine lets us mount no small disk");
            return;
        };
        let config = desk.at("embargod.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        let text = text.replace("path = \"embargod.db\"", "path = \"small/embargod.db\"");
        std::fs::write(&config, text).unwrap();
        for ending in ["db", "db.key", "witness"] {
            let name = format!("embargod.{ending}");
            if desk.at(&name).exists() {
                std::fs::copy(desk.at(&name), disk.0.join(&name)).unwrap();
            }
        }
        for name in std::fs::read_dir(desk.at("")).unwrap().flatten() {
            let name = name.file_name().into_string().unwrap();
            if name.starts_with("embargod.")
                && !name.ends_with("toml")
                && !disk.0.join(&name).exists()
            {
                std::fs::copy(desk.at(&name), disk.0.join(&name)).unwrap();
            }
        }
        desk.run();
        over(&desk, "disk").await;
        std::fs::write(disk.0.join("filler"), vec![0; 34 * 1024 * 1024]).unwrap();
        desk.report(0);
        shown(&desk, "disk", "the disk is full").await;
        assert!(desk.mails().is_empty(), "nothing is half done: {:?}", desk.mails());
        std::fs::remove_file(disk.0.join("filler")).unwrap();
        over(&desk, "disk").await;
        let taken = desk.until(SHOWN, |desk| desk.acknowledged().len() == 1).await;
        assert!(taken.is_some(), "{}", desk.log());
    });
}

/// What stands in for systemd: hears what the desk says, and starts it again when it says nothing.
#[test]
fn a_desk_that_hangs_is_started_again_by_systemd() {
    block_on(async {
        let mut desk = watched().await;
        let socket = desk.at("notify");
        let systemd = UnixDatagram::bind(&socket).unwrap();
        systemd.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        desk.environment = vec![
            ("NOTIFY_SOCKET".to_owned(), socket.display().to_string()),
            ("WATCHDOG_USEC".to_owned(), "3000000".to_owned()),
        ];
        let hear = || {
            let mut bytes = [0; 4096];
            let read = systemd.recv(&mut bytes).ok()?;
            Some(String::from_utf8_lossy(&bytes[..read]).into_owned())
        };
        for _ in 0..2 {
            desk.run();
            let mut said = Vec::new();
            while said.iter().filter(|line: &&String| line.contains("WATCHDOG=1")).count() < 4 {
                said.push(hear().unwrap_or_else(|| panic!("{said:?}\n{}", desk.log())));
            }
            assert!(said.iter().any(|line| line.contains("READY=1")), "{said:?}");
            // A hang is planted: the whole of it stands still.
            let child = desk.child.as_mut().unwrap();
            let pid = rustix::process::Pid::from_child(child);
            rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
            while hear().is_some() {}
            // As systemd does then (WatchdogSignal=, Restart=on-failure).
            child.kill().unwrap();
            child.wait().unwrap();
        }
        // Nobody listens any more.
        desk.environment.clear();
        desk.run();
        over(&desk, "mailbox").await;
    });
}

/// The mailbox cannot be read for a while: one mail when it has lasted, and one when it is over.
#[test]
fn the_operators_are_mailed_once_and_when_it_is_over() {
    let mut world = World::new();
    let before = world.stage.mailbox(Who::Uma).unwrap().len();
    let engine = world.stage.running().unwrap();
    engine.looks_every("INBOX", 120);
    engine.answer(MailboxAsk::Unreachable("log-in: no".to_owned())).unwrap();
    for _ in 0..90 {
        world.waits(Span::minutes(1));
        let ask = MailboxAsk::Unreachable("log-in: no".to_owned());
        world.stage.running().unwrap().answer(ask).unwrap();
    }
    let subjects = |world: &mut World| -> Vec<String> {
        let mails = world.stage.mailbox(Who::Uma).unwrap();
        mails.into_iter().skip(before).map(|mail| mail.subject).collect()
    };
    assert_eq!(subjects(&mut world).len(), 1, "{:?}", subjects(&mut world));
    assert!(subjects(&mut world)[0].contains("The mailbox cannot be read"));
    let (told, _answer) = tokio::sync::oneshot::channel();
    let looked = MailboxAsk::Looked(vec!["INBOX".to_owned()], Vec::new(), told);
    world.stage.running().unwrap().answer(looked).unwrap();
    world.waits(Span::minutes(1));
    world.waits(Span::minutes(1));
    world.waits(Span::minutes(1));
    let subjects = subjects(&mut world);
    assert!(subjects.len() == 2 && subjects[1].contains("It is over"), "{subjects:?}");
    let mail = world.stage.mailbox(Who::Uma).unwrap().pop().unwrap();
    assert!(mail.says("goes on by itself"), "{}", mail.text);
}
