//! One attacker sends thousands of mails in minutes, half of them sealed, all of them in other people's names,
//! and two people report a hole in the middle of it. The real daemon, a real IMAP server and a real MTA.
//!
//! `scripts/flood` runs it: how long the two waited, what the team got, what the people got whose names were
//! used, and what it cost in bytes, memory and CPU. It prints figures and passes no judgement.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::too_many_lines,
    missing_docs,
    reason = "a benchmark"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use embargod::domain::facts::names::{Moment, Span};
use embargod::edge::pgp::{Certificate, Keyring, generate};
use embargod::edge::pool;
use embargod::rehearsal::live::{Live, Servers};
use embargod::rehearsal::mail::{Draft, Read};
use embargod::rehearsal::{DESK, Stage, Who};
use lettre::address::Envelope;
use lettre::{SmtpTransport, Transport};
use usage::Used;

mod usage;

/// The people whose names are used: mailboxes of the private servers.
const VICTIMS: usize = 40;
const DOMAINS: usize = 8;
/// What the two write.
const PAULS: &str = "The parser overflows where a table holds itself.";
const RITAS: &str = "Anybody can become root with a crafted file.";

fn victim(n: usize) -> String {
    format!("v{}@d{}.test", n % VICTIMS, n % DOMAINS)
}

/// From whom the attacker says that a mail is: mostly of people that there are, and of some that there are not.
fn from(n: usize) -> String {
    if n % 4 == 3 { format!("nobody{n}@d{}.test", n % DOMAINS) } else { victim(n) }
}

fn headers(from: &str, n: usize, now: Moment) -> String {
    format!(
        "From: <{from}>\r\nTo: <{DESK}>\r\nSubject: Offer {n}\r\nDate: {}\r\nMessage-ID: <flood-{n}@elsewhere.test>\r\nMIME-Version: 1.0\r\n",
        now.to_rfc2822()
    )
}

/// All mails of the attack, in their order: the return path and the bytes.
fn attack(count: usize, desk: &Certificate, now: Moment) -> Vec<(String, Vec<u8>)> {
    let born = now - Span::days(1);
    let (secret, _) = generate("Nobody", "nobody@elsewhere.test", None, None, born).unwrap();
    let attacker = Keyring::open(&[secret], None, [0; 32], now).unwrap();
    let numbers: Vec<usize> = (0..count).collect();
    pool::map(&numbers, |n| {
        let n = *n;
        let from = from(n);
        let head = headers(&from, n, now);
        let body = if n % 2 == 0 {
            format!(
                "Content-Type: text/plain\r\n\r\nBuy {n} of them now, {}.\r\n",
                "and more ".repeat(20)
            )
        } else {
            let entity = format!("Content-Type: text/plain\r\n\r\nHole number {n}.\r\n");
            let sealed = attacker.seal(desk, entity.as_bytes(), now).unwrap();
            let sealed = String::from_utf8(sealed).unwrap().replace('\n', "\r\n");
            format!(
                "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n{sealed}\r\n--b--\r\n"
            )
        };
        (from, format!("{head}{body}").into_bytes())
    })
}

fn used(pid: u32) -> Used {
    usage::used(&pid.to_string())
}

fn database(live: &Live) -> f64 {
    let files = ["embargod.db", "embargod.db-wal"];
    let size = |name: &&str| std::fs::metadata(live.desk().join(name)).map_or(0, |m| m.len());
    files.iter().map(size).sum::<u64>() as f64 / 1e6
}

fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Sends at an even pace from a thread of its own; gives how long it took.
fn send(
    port: u16,
    mails: Vec<(String, Vec<u8>)>,
    over: Duration,
) -> std::thread::JoinHandle<Duration> {
    std::thread::spawn(move || {
        let server = SmtpTransport::builder_dangerous("127.0.0.1").port(port).build();
        let began = Instant::now();
        let each = over.div_f64(mails.len() as f64);
        for (at, (from, bytes)) in (0_u32..).zip(mails) {
            let wait = each.saturating_mul(at).saturating_sub(began.elapsed());
            std::thread::sleep(wait);
            let envelope = Envelope::new(Some(from.parse().unwrap()), vec![DESK.parse().unwrap()]);
            server.send_raw(&envelope.unwrap(), &bytes).unwrap();
        }
        began.elapsed()
    })
}

fn embargod(live: &Live, program: &Path, args: &[&str]) -> String {
    let config = live.desk().join("embargod.toml");
    let out = Command::new(program).arg("--config").arg(config).args(args).output().unwrap();
    String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
}

/// Waits until the daemon has nothing to do; gives how long it worked on.
fn until_idle(pid: u32) -> Duration {
    let began = Instant::now();
    let mut quiet = 0;
    while quiet < 3 {
        let before = used(pid).cpu;
        std::thread::sleep(Duration::from_secs(2));
        quiet = if used(pid).cpu - before < 0.2 { quiet + 1 } else { 0 };
    }
    began.elapsed().saturating_sub(Duration::from_secs(6))
}

/// Waits for a mail; gives how long after the moment that was.
fn wait(
    live: &mut Live,
    who: Who,
    since: Instant,
    most: Duration,
    fits: impl Fn(&Read) -> bool,
) -> Option<Duration> {
    while since.elapsed() < most {
        if live.mailbox(who).unwrap().iter().any(&fits) {
            return Some(since.elapsed());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    None
}

fn said(time: Option<Duration>) -> String {
    time.map_or_else(|| "never".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()))
}

struct Ground {
    servers: PathBuf,
    folder: PathBuf,
    program: PathBuf,
}

/// The process of a team that has none of its own, with hours and days and not the seconds of the rehearsal.
fn real(desk: &Path) {
    let path = desk.join("embargod.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    // There the lead is whoever takes it.
    let text = text.replace("playbook = \"drill\"", "playbook = \"default\"");
    std::fs::write(path, text.replace("\"lead\", ", "")).unwrap();
}

/// How far a desk was filled and what it held then.
struct Cost {
    mails: usize,
    database: f64,
    cpu: f64,
    memory: f64,
}

fn play(ground: &Ground, count: usize, seconds: u64, reads: bool) -> Cost {
    let servers = Servers::read(&ground.servers.join("env")).unwrap();
    let port = servers.get("SMTP_PORT").unwrap().parse().unwrap();
    let program = ground.program.clone();
    let folder = ground.folder.join(count.to_string());
    let mut live =
        Live::with_program(&folder, servers, None, program.clone(), Box::new(|_| {}), &real)
            .unwrap();
    let pid = live.daemon();
    let now = Moment::from(std::time::SystemTime::now());
    let desk = std::fs::read(live.desk().join("keys/desk.public.asc")).unwrap();
    let mails = attack(count, &Certificate::read(&desk).unwrap(), now);
    let sent: usize = mails.iter().map(|(_, bytes)| bytes.len()).sum();
    let mut rita = Draft::sealed(RITAS);
    rita.with_key = true;
    let rita = live.compose(Who::Rita, &rita).unwrap();
    let paul = live.compose(Who::Paul, &Draft::plain("A hole", PAULS)).unwrap();
    let before: BTreeMap<usize, usize> = victims(ground);
    let team: usize = mailbox(ground, &Who::Mia.address()).len();
    let cpu_before = used(pid).cpu;
    let disk = database(&live);
    let over = Duration::from_secs(seconds);
    println!("{count} mails of {:.1} MB in {seconds} s", sent as f64 / 1e6);
    let sender = send(port, mails, over);
    std::thread::sleep(over / 2);
    live.send_raw(&Who::Paul.address(), &paul).unwrap();
    live.send_raw(&Who::Rita.address(), &rita).unwrap();
    let real = Instant::now();
    let ack = |mail: &Read| mail.subject.contains("We received");
    let minute = Duration::from_secs(600);
    let pauls = wait(&mut live, Who::Paul, real, minute, ack);
    let ritas = wait(&mut live, Who::Rita, real, minute, ack);
    println!(
        "  acknowledged: the one in clear after {}, the sealed one after {}",
        said(pauls),
        said(ritas)
    );
    let took = sender.join().unwrap();
    let worked_on = until_idle(pid);
    let Used { cpu, memory, peak } = used(pid);
    let grown = database(&live) - disk;
    println!(
        "  sent within {:.0} s; the desk was done {:.0} s later",
        took.as_secs_f64(),
        worked_on.as_secs_f64()
    );
    println!(
        "  CPU {:.1} s ({:.1} ms a mail), memory {memory:.0} MB, at most {peak:.0} MB",
        cpu - cpu_before,
        (cpu - cpu_before) * 1e3 / count as f64
    );
    println!(
        "  database {grown:.1} MB: {:.1} kB a mail of {:.1} kB",
        grown * 1e3 / count as f64,
        sent as f64 / 1e3 / count as f64
    );
    let waiting = victims_wait(&embargod(&live, &program, &["outbox", "list", "--json"]));
    let got = victims(ground).into_iter().map(|(n, all)| {
        let name = format!("v{n}@");
        let waits = waiting.iter().filter(|to| to.starts_with(&name)).count();
        all - before.get(&n).copied().unwrap_or_default() + waits
    });
    println!(
        "  mails to each whose name was used, with those that wait: at most {}",
        got.max().unwrap_or_default()
    );
    // The digest comes a quarter of an hour after the first that waits.
    let digest = Duration::from_secs(if reads { 20 * 60 } else { 0 });
    for (what, text) in [("sealed report", RITAS), ("report in clear", PAULS)] {
        let read = wait(&mut live, Who::Mia, real, digest, |mail| mail.says(text));
        println!("  Mia read the {what} after {}", said(read));
    }
    let team = mailbox(ground, &Who::Mia.address()).len() - team;
    println!("  Mia got {team} mails");
    let mut kinds = BTreeMap::<String, usize>::new();
    for mail in live.mailbox(Who::Mia).unwrap() {
        *kinds
            .entry(mail.subject.split(']').next_back().unwrap_or("").trim().to_owned())
            .or_default() += 1;
    }
    for (kind, n) in kinds {
        println!("    {n:>5}  {kind}");
    }
    println!(
        "  status: {}",
        embargod(&live, &program, &["status"])
            .lines()
            .take(6)
            .collect::<Vec<_>>()
            .join("\n          ")
    );
    live.stop().unwrap();
    Cost { mails: count, database: grown, cpu: cpu - cpu_before, memory }
}

/// Bytes that a packer makes small, and some that it does not.
fn stuff(size: usize, packs: bool) -> Vec<u8> {
    let mut state = 1_u32;
    let byte = |n: usize| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        if packs && n % 1_500 > 6 { 0 } else { state.to_le_bytes()[0] }
    };
    (0..size).map(byte).collect()
}

/// One mail that is small and opens to a large one, or is large: what it costs everywhere.
fn weigh(ground: &Ground, what: &str, size: usize, packs: bool) {
    let servers = Servers::read(&ground.servers.join("env")).unwrap();
    let folder = ground.folder.join(what);
    let program = ground.program.clone();
    let mut live =
        Live::with_program(&folder, servers, None, program, Box::new(|_| {}), &real).unwrap();
    let pid = live.daemon();
    let mut draft = Draft::sealed("A hole that needs a large file to be seen.");
    draft.attachments.push(("large.bin".to_owned(), stuff(size, packs)));
    let mail = live.compose(Who::Rita, &draft).unwrap();
    let Used { cpu, memory: idle, .. } = used(pid);
    let disk = database(&live);
    let boxes = || {
        let all = [Who::Mia, Who::Tom].map(|who| mailbox(ground, &who.address()));
        all.concat().iter().map(|file| std::fs::metadata(file).map_or(0, |m| m.len())).sum::<u64>()
    };
    let before = boxes();
    let sent = Instant::now();
    live.send_raw(&Who::Rita.address(), &mail).unwrap();
    let most = Duration::from_secs(120);
    let read = wait(&mut live, Who::Mia, sent, most, |mail| mail.says("A hole that needs"));
    until_idle(pid);
    let Used { cpu: after, peak, .. } = used(pid);
    println!(
        "{what}: a mail of {:.2} MB that opens to {:.1} MB",
        mail.len() as f64 / 1e6,
        size as f64 / 1e6
    );
    println!(
        "  Mia read it after {}; CPU {:.1} s; memory at most {peak:.0} MB, {idle:.0} before",
        said(read),
        after - cpu
    );
    println!(
        "  database {:.2} MB more; {:.2} MB to the two of the team",
        database(&live) - disk,
        (boxes() - before) as f64 / 1e6
    );
    live.stop().unwrap();
}

/// To whom mails wait.
fn victims_wait(outbox: &str) -> Vec<String> {
    let rows: Vec<serde_json::Value> = serde_json::from_str(outbox).unwrap_or_default();
    let text = |row: &serde_json::Value, key: &str| {
        row.get(key).and_then(|v| v.as_str()).unwrap_or("").to_owned()
    };
    rows.iter()
        .filter(|row| text(row, "state") == "waiting")
        .map(|row| text(row, "recipient"))
        .collect()
}

fn mailbox(ground: &Ground, address: &str) -> Vec<PathBuf> {
    files(&ground.servers.join("mail").join(address).join("Maildir/new"))
}

/// How many mails each of those got whose names were used.
fn victims(ground: &Ground) -> BTreeMap<usize, usize> {
    (0..VICTIMS).map(|n| (n, mailbox(ground, &victim(n)).len())).collect()
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    if arguments.next().as_deref() != Some("--live") {
        return println!("It needs servers: run scripts/flood.");
    }
    let mut next = || arguments.next().unwrap();
    let ground = Ground { servers: next().into(), folder: next().into(), program: next().into() };
    let (count, seconds): (usize, u64) = (next().parse().unwrap(), next().parse().unwrap());
    weigh(&ground, "small", 26_000_000, true);
    weigh(&ground, "large", 18_000_000, false);
    let small = play(&ground, count / 10, seconds / 10, false);
    let large = play(&ground, count, seconds, true);
    let each = |of: fn(&Cost) -> f64| {
        (of(&large) / large.mails as f64) / (of(&small) / small.mails as f64)
    };
    println!("Each mail of {} against each of {}:", large.mails, small.mails);
    println!(
        "  database {:.2}, CPU {:.2}, memory {:.2} times as much",
        each(|c| c.database),
        each(|c| c.cpu),
        each(|c| c.memory)
    );
}
