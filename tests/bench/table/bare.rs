//! What the same work costs bare: the library alone, GnuPG in a loop, couriers that write nothing down.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use embargod::config;
use embargod::domain::facts::event::{Purpose, Recipient};
use embargod::domain::facts::names::{Moment, Span};
use embargod::domain::outgoing::mail::Label;
use embargod::domain::outgoing::tries::Tries;
use embargod::domain::outgoing::verdict::Outcome;
use embargod::edge::pgp::{Certificate, generate};
use embargod::edge::pool;
use embargod::edge::smtp::Courier;
use embargod::ports::store::{Content, Outgoing};
use sequoia_openpgp::Cert;
use sequoia_openpgp::parse::Parse as _;

use crate::ground::Party;
use crate::library::Bare;
use crate::usage::used;

/// A desk of the library alone, and its certificate.
pub(crate) fn desk(known: &Party, now: Moment) -> (Bare, Certificate) {
    let born = now - Span::days(1);
    let (secret, _) = generate("Desk", "security@desk.test", None, None, born).unwrap();
    let bare = Bare::new(&secret, &known.certificate.binary());
    (bare, Certificate::read(&secret).unwrap())
}

/// CPU milliseconds for each of so many, of this process, on one core.
pub(crate) fn cpu_each(count: usize, mut work: impl FnMut(usize)) -> f64 {
    let before = used("self").cpu;
    for n in 0..count {
        work(n);
    }
    (used("self").cpu - before) * 1e3 / count as f64
}

/// The same on all cores: wall milliseconds for each.
pub(crate) fn wall_each(count: usize, work: impl Fn(usize) + Sync) -> f64 {
    let numbers: Vec<usize> = (0..count).collect();
    let began = Instant::now();
    pool::map(&numbers, |n| work(*n));
    began.elapsed().as_secs_f64() * 1e3 / count as f64
}

/// Certificates as the library has them, checked once before: their signatures are cached then.
pub(crate) fn certs(parties: &[Party]) -> Vec<Cert> {
    parties.iter().map(|party| Cert::from_bytes(&party.certificate.binary()).unwrap()).collect()
}

/// Hands sealed mails over and writes nothing down: over so many connections as it is told.
pub(crate) fn handed_over(
    desk: &Path,
    mails: &[Vec<u8>],
    connections: usize,
    now: Moment,
) -> Duration {
    let config = config::read_or_fault(&desk.join("embargod.toml"), now).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let rows: Vec<_> = (0_i64..)
        .zip(mails)
        .map(|(n, sealed)| {
            let mut mail = format!("From: security@desk.test\r\nSubject: [...]\r\nMessage-ID: <bare-{n}@desk.test>\r\n\r\n").into_bytes();
            mail.extend(sealed);
            (row(n, now), mail)
        })
        .collect();
    let share = rows.len().div_ceil(connections);
    let started = Instant::now();
    runtime.block_on(async {
        let mut couriers = tokio::task::JoinSet::new();
        for rows in rows.chunks(share).map(<[_]>::to_vec) {
            let own = config.sources.settings.address.clone();
            let mut courier = Courier::new(config.smtp.server.clone(), own);
            couriers.spawn(async move {
                for (row, bytes) in rows {
                    let nobody = tokio::sync::Notify::new();
                    let outcome = courier
                        .hand_over(&row, async { Ok(Content::Here(bytes)) }, || {}, &nobody)
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
        recipient: format!("m{n}@strangers.test"),
        written: now,
        attempts: 0,
        size: 0,
        tries: Tries::default(),
        unwanted: false,
        in_flight: false,
    }
}

/// CPU milliseconds that GnuPG takes to sign and encrypt for one, its agent included; none where it is not
/// installed.
pub(crate) fn gnupg(home: &Path, to: &str, content: &[u8], count: u32) -> Option<f64> {
    let agent = Command::new("gpg-connect-agent")
        .arg("--homedir")
        .arg(home)
        .args(["getinfo pid", "/bye"])
        .output()
        .ok()?;
    let agent =
        String::from_utf8_lossy(&agent.stdout).lines().next()?.strip_prefix("D ")?.to_owned();
    let before = children() + used(&agent).cpu;
    for _ in 0..count {
        let mut gpg = Command::new("gpg");
        gpg.arg("--homedir").arg(home).args([
            "--batch",
            "--quiet",
            "--trust-model",
            "always",
            "--armor",
        ]);
        gpg.args(["--pinentry-mode", "loopback", "--passphrase", "", "--compress-algo", "none"]);
        if !fed(gpg.args(["--sign", "--encrypt", "--recipient", to]), content) {
            return None;
        }
    }
    Some((children() + used(&agent).cpu - before) * 1e3 / f64::from(count))
}

/// CPU seconds of the processes that were waited for.
fn children() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields.get(13..15).unwrap().iter().map(|t| t.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

/// Runs a program with an input, and waits for it.
fn fed(command: &mut Command, input: &[u8]) -> bool {
    use std::io::Write as _;
    let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = child else { return false };
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input).unwrap();
    drop(stdin);
    child.wait().unwrap().success()
}
