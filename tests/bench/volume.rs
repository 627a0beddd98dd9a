//! A notice to a thousand members: when the first and the last copy are handed over, what each costs,
//! and how that compares with the bare cost of sealing in the same run.
//!
//! `scripts/volume` runs it twice: in this process on the clock that jumps, and with the real daemon
//! against a real MTA. It prints figures and ratios and passes no judgement.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::panic,
    clippy::too_many_lines,
    missing_docs,
    reason = "a benchmark"
)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use embargod::config;
use embargod::config::Config;
use embargod::domain::facts::event::{Purpose, Recipient};
use embargod::domain::facts::names::{Address, Handle, Moment, PersonId, Span};
use embargod::domain::model::roster::Person;
use embargod::domain::outgoing::mail::Label;
use embargod::domain::outgoing::tries::Tries;
use embargod::domain::outgoing::verdict::Outcome;
use embargod::edge::pgp::{Certificate, Keyring, generate};
use embargod::edge::pool;
use embargod::edge::smtp::Courier;
use embargod::ports::store::Outgoing;
use embargod::rehearsal::live::{Live, Servers};
use embargod::rehearsal::mail::{Draft, Read};
use embargod::rehearsal::post_office::PostOffice;
use embargod::rehearsal::{Stage, Who};

const GROUP: &str = "private_distributors";

/// CPU seconds (user and system) and peak memory in MiB of a process.
fn used(pid: &str) -> (f64, f64) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields.get(11..13).unwrap().iter().map(|t| t.parse::<f64>().unwrap()).sum();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: f64 = peak.split_whitespace().next().unwrap().parse().unwrap();
    (ticks / 100.0, peak / 1024.0)
}

fn certificates(n: usize, now: Moment) -> Vec<Certificate> {
    let numbers: Vec<usize> = (0..n).collect();
    let born = now - Span::days(1);
    pool::map(&numbers, |n| {
        let (secret, _) =
            generate(&format!("m{n}"), &format!("m{n}@bulk.test"), None, None, born).unwrap();
        Certificate::read(&secret).unwrap()
    })
}

/// What sealing the same number of mails costs bare: CPU seconds and wall time, on all cores.
fn bare(certificates: &[Certificate], now: Moment, size: usize) -> (f64, Duration, Vec<Vec<u8>>) {
    let born = now - Span::days(1);
    let (secret, _) = generate("Desk", "security@desk.test", None, None, born).unwrap();
    let desk = Keyring::open(&[secret], None, [0; 32], now).unwrap();
    let entity: Vec<u8> = "A line of a notice of some sixty letters, again and again.\r\n"
        .bytes()
        .cycle()
        .take(size)
        .collect();
    let (before, started) = (used("self").0, Instant::now());
    let sealed = pool::map(certificates, |cert| desk.seal(cert, &entity, now).unwrap());
    (used("self").0 - before, started.elapsed(), sealed)
}

/// What handing the same number of sealed mails over costs bare: couriers, and nothing written down.
fn handed_over(config: &Config, mails: &[Vec<u8>], now: Moment) -> Duration {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let rows: Vec<_> = (0_i64..)
        .zip(mails)
        .map(|(n, sealed)| {
            let mut mail = format!("From: security@desk.test\r\nSubject: [...]\r\nMessage-ID: <bare-{n}@desk.test>\r\n\r\n").into_bytes();
            mail.extend(sealed);
            (row(n, now), mail)
        })
        .collect();
    let share = rows.len().div_ceil(config.smtp.connections);
    let started = Instant::now();
    runtime.block_on(async {
        let mut couriers = tokio::task::JoinSet::new();
        for rows in rows.chunks(share).map(<[_]>::to_vec) {
            let own = config.sources.settings.address.clone();
            let mut courier = Courier::new(config.smtp.server.clone(), own);
            couriers.spawn(async move {
                for (row, bytes) in rows {
                    let outcome = courier
                        .hand_over(&row, async { Ok(bytes) }, || {}, &tokio::sync::Notify::new())
                        .await;
                    assert!(matches!(outcome, Outcome::Accepted(_)), "{outcome:?}");
                }
            });
        }
        while let Some(done) = couriers.join_next().await {
            done.unwrap();
        }
    });
    started.elapsed()
}

fn row(n: i64, now: Moment) -> Outgoing {
    Outgoing {
        id: n,
        message_id: format!("bare-{n}@desk.test"),
        label: Label {
            about: None,
            to: Recipient::Reporter,
            purpose: Purpose::ClockProbe,
            key: None,
        },
        return_token: format!("bare{n}"),
        recipient: format!("paul+m{n}@people.test"),
        written: now,
        attempts: 0,
        size: 0,
        tries: Tries::default(),
        unwanted: false,
        in_flight: false,
    }
}

struct Figures {
    n: usize,
    earliest: f64,
    latest: f64,
    cpu: f64,
    peak: f64,
}

/// The bare cost: CPU seconds and wall time of sealing, wall time of handing over.
struct Bare {
    cpu: f64,
    sealing: Duration,
    handing_over: Option<Duration>,
}

fn print(what: &str, figures: &Figures, bare: &Bare) {
    let each = figures.cpu * 1_000.0 / figures.n as f64;
    let bare_each = bare.cpu * 1_000.0 / figures.n as f64;
    println!("{what}, {} members", figures.n);
    println!("  first copy handed over   {:>8.0} ms after the moment", figures.earliest * 1_000.0);
    println!("  last copy handed over    {:>8.0} ms after the moment", figures.latest * 1_000.0);
    println!("  CPU for each recipient   {each:>8.2} ms");
    println!("  peak memory              {:>8.0} MiB", figures.peak);
    println!(
        "  bare sealing, CPU        {bare_each:>8.2} ms each; {:.0} ms for all, on all cores",
        bare.sealing.as_secs_f64() * 1_000.0
    );
    if let Some(wall) = bare.handing_over {
        println!(
            "  bare handing over        {:>8.0} ms for all; the last copy is {:.2} times that",
            wall.as_secs_f64() * 1_000.0,
            figures.latest / wall.as_secs_f64()
        );
    }
    println!("  ratio to bare sealing    {:>8.2}", each / bare_each);
}

fn reference(stage: &PostOffice, handle: &Handle, who: Who) -> String {
    let desk = stage.engine().unwrap().desk();
    let id = PersonId::parse(who.id()).unwrap();
    let party = embargod::domain::model::roster::Party::Person(&id);
    let token = desk.ref_key.token(&desk.settings.address, handle, party);
    format!("Ref: {handle}/{token}")
}

fn in_process(n: usize, enclosed: usize) {
    let folder = std::env::temp_dir().join(format!("embargod-volume-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let start: Moment = "2026-03-02T09:00:00Z".parse().unwrap();
    let mut stage = PostOffice::open(&folder, start, Box::new(|_| {})).unwrap();
    let certificates = certificates(n, start);
    let people: Vec<Person> =
        certificates.iter().enumerate().map(|(n, cert)| member(n, cert, "bulk.test")).collect();
    stage.import(&people, "a file").unwrap();
    let mut report = Draft::sealed("Something overflows.");
    report.with_key = true;
    stage.write(Who::Rita, &report).unwrap();
    stage.pass(Span::seconds(10)).unwrap();
    let mail = stage
        .mailbox(Who::Mia)
        .unwrap()
        .into_iter()
        .find(|m| m.subject.contains("New report"))
        .unwrap();
    let handle = Handle::parse(&mail.handle().unwrap()).unwrap();
    let say = |stage: &mut PostOffice, who: Who, text: &str, file: usize| {
        let reference = reference(stage, &handle, who);
        let mut draft = Draft::sealed(&format!("{text}\n\n> {reference}\n"));
        if file > 0 {
            draft.attachments.push(("fix.patch".to_owned(), vec![b'x'; file]));
        }
        stage.write(who, &draft).unwrap();
        stage.pass(Span::seconds(5)).unwrap();
    };
    say(
        &mut stage,
        Who::Mia,
        "/accept\n/lead me\n/title T\n/set affected all\n/set impact much\n/disclose 2026-03-19",
        0,
    );
    say(&mut stage, Who::Tom, "/done fix-ready\n/done agree-day", 0);
    say(&mut stage, Who::Mia, "/done agree-day\n/done plan", 0);
    say(&mut stage, Who::Mia, "/preview advance", enclosed);
    say(&mut stage, Who::Tom, "/approve advance@1", 0);
    // Up to a minute before the moment: the clock has its witness, and nothing is sealed.
    let moment: Moment = "2026-03-12T16:00:00Z".parse().unwrap();
    let left = moment - stage.now() - Span::seconds(60);
    stage.pass(left).unwrap();
    let handed: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let seen = Arc::clone(&handed);
    stage.bulk = Some(Box::new(move |_| seen.lock().unwrap().push(Instant::now())));
    stage.pass(Span::seconds(59)).unwrap();
    assert!(handed.lock().unwrap().is_empty(), "something left before the moment");
    let (before, began) = (used("self").0, Instant::now());
    stage.pass(Span::seconds(2)).unwrap();
    let cpu = used("self").0 - before;
    let times = handed.lock().unwrap().clone();
    assert_eq!(times.len(), n, "not every copy was handed over");
    let since = |at: &Instant| at.duration_since(began).as_secs_f64();
    let figures = Figures {
        n,
        earliest: since(times.first().unwrap()),
        latest: since(times.last().unwrap()),
        cpu,
        peak: used("self").1,
    };
    let (cpu, sealing, _) = bare(&certificates, start, 2_048 + enclosed * 4 / 3);
    let with = if enclosed > 0 { ", with 1 MB attached" } else { "" };
    print(
        &format!("in one process, a real store, a post office that only counts{with}"),
        &figures,
        &Bare { cpu, sealing, handing_over: None },
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

fn member(n: usize, certificate: &Certificate, domain: &str) -> Person {
    Person {
        id: PersonId::parse(&format!("m{n}")).unwrap(),
        name: format!("Member {n}"),
        address: Address::parse(&format!("m{n}@{domain}")).unwrap(),
        fingerprint: certificate.fingerprint(),
        certificate: certificate.armored(),
        roles: std::collections::BTreeSet::new(),
        groups: std::iter::once(GROUP.to_owned()).collect(),
        seal_newer: false,
        further: Vec::new(),
    }
}

fn embargod(live: &Live, program: &Path, args: &[&str]) -> String {
    let config = live.desk().join("embargod.toml");
    let out = std::process::Command::new(program)
        .arg("--config")
        .arg(config)
        .args(args)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

fn wait(live: &mut Live, who: Who, from: usize, fits: impl Fn(&Read) -> bool) -> Read {
    loop {
        if let Some(mail) = live.mailbox(who).unwrap().into_iter().skip(from).find(&fits) {
            return mail;
        }
        assert!(live.step().unwrap(), "{} did not get it", who.id());
    }
}

fn on_a_real_mta(n: usize, servers: &Path, folder: &Path, program: PathBuf) {
    let servers = Servers::read(servers).unwrap();
    let mut live =
        Live::with_program(folder, servers, None, program.clone(), Box::new(|_| {}), &|_| {})
            .unwrap();
    live.stop().unwrap();
    let now = Moment::from(std::time::SystemTime::now());
    let certificates = certificates(n, now);
    let mut file = String::new();
    for (n, certificate) in certificates.iter().enumerate() {
        file.push_str(&format!(
            "[[member]]\nid = \"m{n}\"\nname = \"Member {n}\"\naddress = \"paul+m{n}@people.test\"\ngroups = [\"{GROUP}\"]\nkey = \"\"\"\n{}\"\"\"\n",
            certificate.armored()
        ));
    }
    let path = live.desk().join("members.toml");
    std::fs::write(&path, file).unwrap();
    println!(
        "{}",
        embargod(&live, &program, &["group", "import", &path.display().to_string()]).trim()
    );
    live.kill().unwrap();
    let mut report = Draft::sealed("Something overflows.");
    report.with_key = true;
    live.write(Who::Rita, &report).unwrap();
    let mias = wait(&mut live, Who::Mia, 0, |mail| mail.subject.contains("New report"));
    let toms = wait(&mut live, Who::Tom, 0, |mail| mail.subject.contains("New report"));
    let says = |live: &mut Live, who: Who, to: &Read, text: &str| {
        let from = live.mailbox(who).unwrap().len();
        live.write(who, &Draft::answer(to, text)).unwrap();
        wait(live, who, from, |mail| {
            mail.subject.contains("] Done") || mail.subject.contains("] Confirm")
        })
    };
    says(
        &mut live,
        Who::Mia,
        &mias,
        "/accept\n/lead me\n/title T\n/set affected all\n/set impact much\n/set fixed 2",
    );
    says(&mut live, Who::Tom, &toms, "/done fix-ready\n/done agree-day");
    says(
        &mut live,
        Who::Mia,
        &mias,
        "/done agree-day\n/done plan\n/disclose +50s\n/preview advance",
    );
    says(&mut live, Who::Tom, &toms, "/approve advance@1");
    let pid = live.daemon().to_string();
    let handle = mias.handle().unwrap();
    // Its own log is looked at and nothing else, so that nobody else needs the cores meanwhile.
    let log = live.desk().join("../daemon.log");
    let sent = || std::fs::read_to_string(&log).unwrap().matches("state=\"sent\"").count();
    let (at_rest, mut before) = (sent(), used(&pid).0);
    let (cpu, peak) = loop {
        std::thread::sleep(Duration::from_millis(20));
        match sent() - at_rest {
            // What leaves before the notice is a word to somebody of the team.
            0..10 => before = used(&pid).0,
            more if more >= n => break used(&pid),
            _ => {}
        }
    };
    std::thread::sleep(Duration::from_secs(1));
    let shown: serde_json::Value =
        serde_json::from_str(&embargod(&live, &program, &["show", "--json", &handle])).unwrap();
    let t: Moment = shown.get("t").unwrap().as_str().unwrap().parse().unwrap();
    let moment = t - Span::seconds(20);
    let copies = shown.pointer("/notices/0/copies").and_then(|c| c.as_array()).unwrap();
    let taken: Vec<Moment> = copies
        .iter()
        .filter(|copy| copy.get("delivery").is_some_and(|d| d == "accepted"))
        .map(|copy| copy.get("since").unwrap().as_str().unwrap().parse().unwrap())
        .collect();
    assert!(taken.len() >= n, "not every copy was taken");
    let after = |at: &Moment| (*at - moment).num_milliseconds() as f64 / 1_000.0;
    let figures = Figures {
        n,
        earliest: after(taken.iter().min().unwrap()),
        latest: after(taken.iter().max().unwrap()),
        cpu: cpu - before,
        peak,
    };
    live.stop().unwrap();
    let (cpu, sealing, mails) = bare(&certificates, now, 2_048);
    let config = config::read_or_fault(&live.desk().join("embargod.toml"), now).unwrap();
    let handing_over = Some(handed_over(&config, &mails, now));
    print(
        "the daemon, SMTP over TLS to a real MTA that writes each to a mailbox",
        &figures,
        &Bare { cpu, sealing, handing_over },
    );
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    match arguments.next().as_deref() {
        Some("--live") => {
            let (servers, folder, program) =
                (arguments.next().unwrap(), arguments.next().unwrap(), arguments.next().unwrap());
            on_a_real_mta(1_000, Path::new(&servers), Path::new(&folder), program.into());
        }
        Some(size) => in_process(1_000, size.parse().unwrap()),
        None => {
            in_process(1_000, 0);
            in_process(1_000, 1_000_000);
        }
    }
}
