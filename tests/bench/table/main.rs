//! The table: what each kind of work costs the real daemon, held against the same work done bare in the same
//! run. `scripts/bench` runs it; `docs/performance.md` says how it is measured. It prints figures and
//! ratios and passes no judgement.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a benchmark"
)]

mod bare;
mod far;
mod ground;
#[path = "../library.rs"]
mod library;
mod notice;
#[path = "../usage.rs"]
mod usage;

use std::time::{Duration, Instant};

use embargod::domain::facts::names::Moment;
use embargod::rehearsal::Who;

use crate::bare::{certs, cpu_each, gnupg, handed_over, wall_each};
use crate::ground::{Desk, Ground, Party, Plan, address, parties, report};

const MINUTES: Duration = Duration::from_secs(600);

/// A line of the table: what, the figure, and what it is held against.
fn row(what: &str, figure: String, bare: Option<(f64, f64, &str)>) {
    let ratio = bare.map_or_else(String::new, |(ours, bare, unit)| {
        format!("{:>8.2} x bare ({bare:.2} {unit})", ours / bare)
    });
    println!("{what:<58} {figure:>26} {ratio}");
}

fn now() -> Moment {
    Moment::from(std::time::SystemTime::now())
}

/// The middle of some figures, and the one that all but a hundredth are below.
fn spread(mut figures: Vec<f64>) -> (f64, f64) {
    figures.sort_by(f64::total_cmp);
    let at = |part: f64| figures[((figures.len() - 1) as f64 * part).round() as usize];
    (at(0.5), at(0.99))
}

/// What one report costs that is passed on to so many: CPU milliseconds of the whole daemon, peak memory, and
/// when the first and the last mail had left.
fn relayed(ground: &Ground, name: &str, plan: &Plan<'_>, size: usize, count: usize) -> [f64; 3] {
    let mut desk = Desk::open(ground, name, plan);
    let reporters = parties(&format!("{name}r"), count, now());
    let mails: Vec<Vec<u8>> =
        reporters.iter().map(|by| report(by, &desk.certificate, size, now())).collect();
    let (before, mut first) = (desk.used(), Vec::new());
    let each = plan.people.len() + 3;
    for (by, mail) in reporters.iter().zip(&mails) {
        let had = desk.log.sent.len();
        let begun = now();
        desk.live.send_raw(&address(&by.id), mail).unwrap();
        assert!(
            desk.until_sent(had + each, MINUTES),
            "{name}: {} of {each} left",
            desk.log.sent.len() - had
        );
        first.push((desk.log.sent[had] - begun).num_milliseconds() as f64 / 1e3);
    }
    desk.rest();
    let after = desk.used();
    desk.live.stop().unwrap();
    [(after.cpu - before.cpu) * 1e3 / count as f64, after.peak, spread(first).0]
}

fn relays(ground: &Ground) {
    let people = parties("p", 100, now());
    let belongs = "roles = [\"security_team\"]";
    let (bare, _) = bare::desk(&people[0], now());
    let known = certs(&people);
    let text = vec![b'x'; 2_500];
    let plan = Plan { people: &people, belongs, ..Plan::SMALL };
    let two = relayed(ground, "two", &Plan::SMALL, 2_000, 20)[0];
    let hundred = relayed(ground, "hundred", &plan, 2_000, 10)[0];
    let sealing = cpu_each(400, |n| drop(bare.seal(&known[n % 100], &text, false)));
    row("one report of 2 KB to 2 people, CPU", format!("{two:.1} ms"), None);
    let all = 100.0 * sealing;
    row(
        "one report of 2 KB to 102 people, CPU",
        format!("{hundred:.0} ms"),
        Some((hundred, all, "ms")),
    );
    let further = (hundred - two) / 100.0;
    row(
        "each further member, 2 KB, CPU",
        format!("{further:.2} ms"),
        Some((further, sealing, "ms")),
    );
    if let Some(gpg) = ground.gpg(&text, 20) {
        row("  GnuPG in a loop, each", format!("{gpg:.2} ms"), Some((gpg, sealing, "ms")));
    }
}

fn attached(ground: &Ground) {
    let people = parties("q", 100, now());
    let belongs = "roles = [\"security_team\"]";
    let (bare, _) = bare::desk(&people[0], now());
    let known = certs(&people);
    let large = ground::stuff(1_370_000);
    let plan = Plan { people: &people, belongs, ..Plan::SMALL };
    let seals = |newer: bool, count: usize| {
        cpu_each(count, |n| drop(bare.seal(&known[n % known.len()], &large, newer)))
    };
    for (name, newer) in [("SEIPDv1", false), ("SEIPDv2", true)] {
        let of = |n: &str| format!("{n}{name}").to_lowercase();
        let few = Plan { people: &people[..10], newer, ..plan };
        let [few, _, _] = relayed(ground, &of("few"), &few, 1_000_000, 3);
        let plan = Plan { newer, ..plan };
        let [many, peak, first] = relayed(ground, &of("many"), &plan, 1_000_000, 2);
        let (sealing, further) = (seals(newer, 20), (many - few) / 90.0);
        let what = format!("each further member, 1 MB, {name}, CPU");
        row(&what, format!("{further:.1} ms"), Some((further, sealing, "ms")));
        row("  1 MB to 102 people: peak, first copy", format!("{peak:.0} MB, {first:.2} s"), None);
    }
    if let Some(gpg) = ground.gpg(&large, 5) {
        row("  GnuPG in a loop without compression, each", format!("{gpg:.1} ms"), None);
    }
    for (name, count) in [("pair", 0), ("ten", 8)] {
        let plan = Plan { people: &people[..count], belongs, ..Plan::SMALL };
        let [_, peak, _] = relayed(ground, &format!("{name}large"), &plan, 20_000_000, 1);
        row(
            &format!("20 MB attached, to {} people: peak memory", count + 2),
            format!("{peak:.0} MB, {:.1} x its size", peak / 20.0),
            None,
        );
    }
}

fn notices(ground: &Ground, rounds: usize) {
    let members = parties("m", 1_000, now());
    let (bare, _) = bare::desk(&members[0], now());
    let known = certs(&members);
    for (what, size) in [("text", 0), ("1 MB", 1_000_000)] {
        let content = ground::stuff(2_048 + size * 4 / 3);
        let count = if size > 0 { 100 } else { 1_000 };
        let sealing = cpu_each(count, |n| drop(bare.seal(&known[n], &content, false)));
        let figures = notice::in_process(&parties("m", 1_000, notice::begin()), size);
        row(
            &format!("notice to 1,000 in one process, {what}: CPU for each"),
            format!("{:.2} ms", figures.each),
            Some((figures.each, sealing, "ms")),
        );
        row(
            "  first and last copy after the moment; peak",
            format!("{:.2} s, {:.2} s; {:.0} MB", figures.first, figures.last, figures.peak),
            None,
        );
    }
    let content = vec![b'x'; 2_048];
    let sealed: Vec<Vec<u8>> = known.iter().map(|to| bare.seal(to, &content, false)).collect();
    for round in 1..=rounds {
        let name = format!("notice{round}");
        let figures = notice::live(ground, &name, &members, 0, None);
        let desk = ground.folder.join(name).join("desk");
        let wall = |n: usize| handed_over(&desk, &sealed, n, now()).as_secs_f64();
        let handing = [2, 4, 8].map(wall).into_iter().fold(f64::MAX, f64::min);
        row(
            "notice to 1,000 through a real MTA: last copy",
            format!("{:.2} s", figures.last),
            Some((figures.last, handing, "s")),
        );
        row(
            "  first copy; CPU for each; peak",
            format!("{:.2} s; {:.2} ms; {:.0} MB", figures.first, figures.each, figures.peak),
            None,
        );
    }
}

fn far_away(ground: &Ground) {
    let members = parties("f", 1_000, now());
    let servers = embargod::rehearsal::live::Servers::read(&ground.servers.join("env")).unwrap();
    let port = servers.get("SUBMISSION_PORT").unwrap().parse().unwrap();
    let far = far::listen(port, Duration::from_millis(20));
    for count in [100, 1_000] {
        let figures = notice::live(ground, &format!("far{count}"), &members[..count], 0, Some(far));
        row(
            &format!("notice to {count} with a round trip of 40 ms: last copy"),
            format!("{:.2} s (first {:.2} s)", figures.last, figures.first),
            None,
        );
    }
}

fn backlog(ground: &Ground, count: usize) {
    let mut desk = Desk::open(ground, "backlog", &Plan::SMALL);
    let idle = desk.used();
    row(
        "a small desk: memory now, at most",
        format!("{:.0} MB, {:.0} MB", idle.memory, idle.peak),
        None,
    );
    desk.live.stop().unwrap();
    let reporters = parties("b", count, now());
    let mails: Vec<Vec<u8>> =
        reporters.iter().map(|by| report(by, &desk.certificate, 2_000, now())).collect();
    let bytes = mails.iter().map(Vec::len).sum::<usize>() as f64 / count as f64;
    desk.lay(ground, &mails);
    let stored = desk.stored();
    let begun = Instant::now();
    desk.live.kill().unwrap();
    let (sent, taken_in) = (desk.log.sent.len(), desk.log.taken_in.len());
    assert!(desk.until(MINUTES, |log| log.taken_in.len() >= taken_in + count));
    let opened = begun.elapsed().as_secs_f64();
    assert!(desk.until(MINUTES, |log| log.sent.len() >= sent + 3 * count));
    let all = begun.elapsed().as_secs_f64();
    let after = desk.used();
    let (first, last) = (desk.log.sent[sent], desk.log.sent[sent + 3 * count - 1]);
    let leaving = (last - first).num_milliseconds() as f64 / 1e3;
    let bare = bare_of_one(&reporters, 400);
    let rate = count as f64 / all;
    row(
        &format!("backlog of {count} sealed reports, 2 maintainers: all done"),
        format!("{all:.0} s, {rate:.0}/s"),
        Some((all * 1e3 / count as f64, bare, "ms wall, both cores")),
    );
    row(
        "  taken in; mails out; CPU for each report; peak",
        format!(
            "{:.0}/s; {:.0}/s; {:.2} ms; {:.0} MB",
            count as f64 / opened,
            (3 * count) as f64 / leaving,
            after.cpu * 1e3 / count as f64,
            after.peak
        ),
        None,
    );
    desk.rest();
    row(
        "database for each report of 2 KB",
        format!(
            "{:.1} kB ({:.1} kB a mail)",
            (desk.stored() - stored) / 1e3 / count as f64,
            bytes / 1e3
        ),
        None,
    );
    starts(&mut desk);
}

/// Opening one and sealing three, on all cores: wall milliseconds.
fn bare_of_one(reporters: &[Party], count: usize) -> f64 {
    let (bare, desk) = bare::desk(&reporters[0], now());
    let mut draft = embargod::rehearsal::mail::Draft::sealed(&"A line of text.\n".repeat(120));
    draft.with_key = true;
    let mails: Vec<Vec<u8>> = reporters[..count]
        .iter()
        .map(|by| {
            let ring = embargod::edge::pgp::Keyring::open(
                std::slice::from_ref(&by.secret),
                None,
                [0; 32],
                now(),
            );
            ring.unwrap()
                .seal(&desk, &draft.entity(Some(&by.certificate.armored())), now())
                .unwrap()
        })
        .collect();
    let known = certs(&reporters[..count]);
    let text = vec![b'x'; 2_500];
    wall_each(count, |n| {
        bare.open(&mails[n]);
        for to in [&known[n], &known[0], &known[1]] {
            drop(bare.seal(to, &text, false));
        }
    })
}

fn starts(desk: &mut Desk) {
    let (journal, _) = desk.embargod(&["journal", "verify"]);
    let mut taken = Vec::new();
    let mut memory = 0.0;
    for _ in 0..3 {
        desk.live.stop().unwrap();
        let text = || std::fs::read_to_string(desk.live.desk().join("../daemon.log")).unwrap();
        let had = text().matches("The database is open").count();
        let begun = Instant::now();
        desk.live.kill().unwrap();
        let text = || std::fs::read_to_string(desk.live.desk().join("../daemon.log")).unwrap();
        while text().matches("The database is open").count() == had {
            std::thread::sleep(Duration::from_millis(5));
        }
        taken.push(begun.elapsed().as_secs_f64());
        memory = desk.used().memory;
    }
    let open = desk.embargod(&["status", "--json"]).0.matches("\"handle\":").count();
    row(
        &format!("start with {open} open incidents ({})", journal.lines().next().unwrap_or("")),
        format!("{:.2} s, {memory:.0} MB", spread(taken).0),
        None,
    );
    desk.rest();
    for what in ["status", "agenda"] {
        let mut taken = Vec::new();
        let mut text = String::new();
        for _ in 0..3 {
            let (said, time) = desk.embargod(&[what]);
            text = said;
            taken.push(time.as_secs_f64());
        }
        row(
            &format!("  `{what}`"),
            format!(
                "{:.2} s, {:.1} kB, {} lines",
                spread(taken).0,
                text.len() as f64 / 1e3,
                text.lines().count()
            ),
            None,
        );
    }
}

fn idle(ground: &Ground) {
    let mut desk = Desk::open(ground, "idle", &Plan::SMALL);
    let reporters = parties("i", 40, now());
    let mut waits = Vec::new();
    for by in &reporters {
        let mail = report(by, &desk.certificate, 2_000, now());
        let had = desk.log.taken_in.len();
        desk.live.send_raw(&address(&by.id), &mail).unwrap();
        let begun = now();
        assert!(desk.until(MINUTES, |log| log.taken_in.len() > had));
        waits.push((desk.log.taken_in[had] - begun).num_microseconds().unwrap() as f64 / 1e3);
        std::thread::sleep(Duration::from_millis(300));
    }
    let (p50, p99) = spread(waits);
    row("MTA took a report -> the desk took it in", format!("p50 {p50:.0}, p99 {p99:.0} ms"), None);
    desk.live.stop().unwrap();
}

impl Ground {
    /// GnuPG in the home of one of the rehearsal's people.
    fn gpg(&self, content: &[u8], count: u32) -> Option<f64> {
        let home = std::fs::read_dir(&self.folder)
            .ok()?
            .flatten()
            .map(|desk| desk.path().join("mia"))
            .find(|home| home.exists())?;
        gnupg(&home, &Who::Mia.address(), content, count)
    }
}

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [live, servers, folder, program, sections @ ..] = arguments.as_slice() else {
        return println!("It needs servers: run scripts/bench.");
    };
    assert_eq!(live, "--live");
    let ground = Ground { servers: servers.into(), folder: folder.into(), program: program.into() };
    let wanted = |name: &str| {
        let named = sections.iter().find_map(|section| match section.split_once('=') {
            Some((known, count)) if known == name => Some(count.parse().ok()),
            None if section == name => Some(None),
            _ => None,
        });
        if sections.is_empty() { Some(None) } else { named }
    };
    if wanted("relay").is_some() {
        relays(&ground);
    }
    if wanted("attached").is_some() {
        attached(&ground);
    }
    if let Some(rounds) = wanted("notice") {
        notices(&ground, rounds.unwrap_or(3));
    }
    if wanted("far").is_some() {
        far_away(&ground);
    }
    if let Some(count) = wanted("backlog") {
        backlog(&ground, count.unwrap_or(5_000));
    }
    if wanted("idle").is_some() {
        idle(&ground);
    }
}
