//! `embargod quickstart` on real servers: one command, a desk that runs, and a first report that is acknowledged; and
//! what it refuses before anything is written. Runs with EMBARGOD_LIVE=1, as `scripts/test` sets it.
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::too_many_lines,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop, and says so"
)]

mod live_stack;

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use embargod::domain::facts::names::Moment;
use embargod::edge::pgp::{Certificate, generate_for_gnupg};
use embargod::rehearsal::live::Servers;
use live_stack::{PROGRAM, Stack};
use serde_json::Value;

const ADDRESS: &str = embargod::rehearsal::DESK;

fn now() -> Moment {
    Moment::from(std::time::SystemTime::now())
}

/// A folder with what an operator has: certificates, the password, the servers' names.
struct Ready {
    stack: Stack,
    imap: String,
    smtp: String,
    ca: String,
}

impl Ready {
    fn new() -> Option<Self> {
        let stack = Stack::start()?;
        let servers = Servers::read(&stack.0.join("s/env")).unwrap();
        for (who, address) in [("mia", "mia@people.test"), ("tom", "tom@people.test")] {
            let secret = generate_for_gnupg(who, address, now()).unwrap();
            let public = Certificate::read(&secret).unwrap().armored();
            std::fs::write(stack.0.join(format!("{who}.asc")), public).unwrap();
            std::fs::write(stack.0.join(format!("{who}.secret")), secret).unwrap();
        }
        std::fs::write(stack.0.join("password"), "rehearsal\n").unwrap();
        std::fs::write(stack.0.join("wrong"), "another\n").unwrap();
        let of = |key: &str| servers.get(key).unwrap().to_owned();
        let (imap, smtp) = (
            format!("localhost:{}", of("IMAPS_PORT")),
            format!("localhost:{}", of("SUBMISSION_PORT")),
        );
        let ca = of("CA_FILE");
        Some(Self { stack, imap, smtp, ca })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.stack.0.join(name)
    }

    fn text(&self, name: &str) -> String {
        self.at(name).display().to_string()
    }

    fn run(&self, folder: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
        let out = Command::new(PROGRAM)
            .args([
                "quickstart",
                ADDRESS,
                "--folder",
                &self.text(folder),
                "--yes",
                "--ca-file",
                &self.ca,
            ])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (out.status.code(), text(out.stdout), text(out.stderr))
    }
}

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the desk of a config.
fn runs(config: &str, log: &Path) -> Daemon {
    let log = std::fs::File::create(log).unwrap();
    let child = Command::new(PROGRAM)
        .args(["--config", config, "run"])
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    Daemon(child)
}

fn texts_below(path: &Path) -> Vec<String> {
    let mut files = Vec::new();
    live_stack::files_below(path, &mut files);
    files.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect()
}

fn wait(what: &str, is_there: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(45);
    while !is_there() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn one_command_makes_a_desk_that_acknowledges() {
    let Some(ready) = Ready::new() else { return };
    let began = Instant::now();
    let (mia, tom) = (ready.text("mia.asc"), format!("{}:security_team", ready.text("tom.asc")));
    let (code, said, wrong) = ready.run(
        "desk",
        &[
            "--person",
            &mia,
            "--person",
            &tom,
            "--imap",
            &ready.imap,
            "--smtp",
            &ready.smtp,
            "--password-file",
            &ready.text("password"),
            "--name",
            "Example Security",
            "--json",
        ],
    );
    assert_eq!(code, Some(0), "{said}{wrong}");
    let report: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(report["imap"]["tls"], "implicit");
    assert_eq!(report["smtp"]["tls"], "starttls");
    assert_eq!(report["imap"]["user"], ADDRESS);
    assert_eq!(report["people"], serde_json::json!(["mia", "tom"]));
    let ok = |it: &&Value| it["what"].as_str().unwrap().contains("was back in INBOX");
    assert_eq!(report["findings"].as_array().unwrap().iter().filter(ok).count(), 2, "{said}");
    assert!(!said.contains("rehearsal\""), "no password is shown");
    let config = ready.text("desk/embargod.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(
        text.contains("roles = [\"security_team\"]") && text.contains("\"operator\""),
        "{text}"
    );
    assert!(text.contains("# the mailbox, and the From"), "its comments stay: {text}");
    let _daemon = runs(&config, &ready.at("log"));
    let log = || std::fs::read_to_string(ready.at("log")).unwrap_or_default();
    wait("it looks at the mailbox", || log().contains("is being watched"));
    let mailbox = |who: &str| ready.at(&format!("s/mail/{who}@people.test/Maildir"));
    let mail = "From: rita@people.test\r\nTo: security@desk.test\r\nSubject: A hole\r\nMessage-ID: <one@people.test>\r\n\r\nThe parser overflows.\r\n";
    let smtp = Servers::read(&ready.at("s/env")).unwrap().get("SMTP_PORT").unwrap().to_owned();
    send(&smtp, "rita@people.test", ADDRESS, mail);
    wait("Rita is acknowledged", || {
        texts_below(&mailbox("rita")).iter().any(|text| text.contains("We received"))
    });
    wait("Mia has it", || !texts_below(&mailbox("mia")).is_empty());
    println!("from nothing to the first acknowledged mail: {} s", began.elapsed().as_secs());
    // A second time nothing is written over.
    let (code, _, wrong) = ready.run(
        "desk",
        &[
            "--person",
            &mia,
            "--imap",
            &ready.imap,
            "--smtp",
            &ready.smtp,
            "--password-file",
            &ready.text("password"),
        ],
    );
    assert!(code == Some(2) && wrong.contains("exists already; nothing was written"), "{wrong}");
}

/// Hands a mail to the server at a port, as a stranger's server does.
fn send(port: &str, from: &str, to: &str, mail: &str) {
    use std::io::{BufRead, BufReader, Write};
    let stream = std::net::TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    let (mut lines, mut out) = (BufReader::new(stream.try_clone().unwrap()), stream);
    let mut answer = || {
        let mut line = String::new();
        while line.as_bytes().get(3) != Some(&b' ') {
            line.clear();
            lines.read_line(&mut line).unwrap();
        }
        line
    };
    answer();
    for word in
        ["EHLO people.test", &format!("MAIL FROM:<{from}>"), &format!("RCPT TO:<{to}>"), "DATA"]
    {
        write!(out, "{word}\r\n").unwrap();
        let said = answer();
        assert!(said.starts_with('2') || said.starts_with('3'), "{word}: {said}");
    }
    write!(out, "{mail}.\r\n").unwrap();
    assert!(answer().starts_with('2'));
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_written() {
    let Some(ready) = Ready::new() else { return };
    let (mia, secret, password) =
        (ready.text("mia.asc"), ready.text("mia.secret"), ready.text("password"));
    let both = ["--imap", ready.imap.as_str(), "--smtp", ready.smtp.as_str()];
    let wrong_password = ready.text("wrong");
    let role = format!("{mia}:king");
    let no_port = format!("localhost:{}", 9);
    let rows: [(&str, Vec<&str>, &str, &str); 8] = [
        (
            "a secret key",
            [&["--person", &secret, "--password-file", &password], &both[..]].concat(),
            "it is a secret key",
            "gpg --export",
        ),
        (
            "no such role",
            [&["--person", &role, "--password-file", &password], &both[..]].concat(),
            "`king` is no role",
            "the roles of `default` are",
        ),
        (
            "no file",
            [&["--person", "/nowhere/mia.asc", "--password-file", &password], &both[..]].concat(),
            "there is no folder /nowhere",
            "",
        ),
        (
            "no password",
            [&["--person", &mia], &both[..]].concat(),
            "no password was given",
            "--password-file",
        ),
        (
            "a wrong password",
            [&["--person", &mia, "--password-file", &wrong_password], &both[..]].concat(),
            "does not let us in",
            "`--user`",
        ),
        (
            "nobody there",
            vec![
                "--person",
                &mia,
                "--password-file",
                &password,
                "--imap",
                &no_port,
                "--smtp",
                &ready.smtp,
            ],
            "no imap server was found",
            "--imap HOST:PORT",
        ),
        (
            "no zone",
            [&["--person", &mia, "--password-file", &password, "--zone", "Mars/Base"], &both[..]]
                .concat(),
            "--zone: ",
            "Europe/Berlin",
        ),
        (
            "no playbook",
            [&["--person", &mia, "--password-file", &password, "--playbook", "none"], &both[..]]
                .concat(),
            "there is no playbook `none`",
            "name one of",
        ),
    ];
    for (name, arguments, what, next) in rows {
        let (code, said, wrong) = ready.run("none", &arguments);
        assert_eq!(code, Some(2), "{name}: {said}{wrong}");
        assert!(wrong.contains(what) && wrong.contains(next), "{name}: {wrong}");
        assert!(!ready.at("none").exists(), "{name}: nothing is written");
        assert!(!wrong.contains("rehearsal"), "{name}: no password is shown");
    }
}

/// A name server that names a host outside of the domain for every service, as whoever sits on the way can.
fn liar(port_of: &str) -> (String, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let place = socket.local_addr().unwrap().to_string();
    let (asked, port) = (Arc::new(AtomicUsize::new(0)), port_of.parse::<u16>().unwrap());
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        let mut bytes = [0_u8; 1_500];
        while let Ok((size, from)) = socket.recv_from(&mut bytes) {
            count.fetch_add(1, Ordering::SeqCst);
            // The question ends with its name's empty label, its kind and its class.
            let end = 12 + bytes[12..size].iter().position(|byte| *byte == 0).unwrap() + 5;
            let is_service = bytes[end - 4..end - 2] == [0, 33];
            let mut answer = bytes[..end].to_vec();
            answer[2..4].copy_from_slice(&[0x81, 0x80]);
            answer[6..12].copy_from_slice(&[0, u8::from(is_service), 0, 0, 0, 0]);
            if is_service {
                let target = b"\x09localhost\x00";
                answer.extend([
                    0xc0,
                    12,
                    0,
                    33,
                    0,
                    1,
                    0,
                    0,
                    0,
                    60,
                    0,
                    6 + target.len() as u8,
                    0,
                    1,
                    0,
                    1,
                ]);
                answer.extend(port.to_be_bytes());
                answer.extend(target);
            }
            let _ = socket.send_to(&answer, from);
        }
    });
    (place, asked)
}

#[test]
fn no_password_goes_to_a_host_that_only_a_name_server_names() {
    let Some(ready) = Ready::new() else { return };
    // The real server, so that the password would be taken if it were shown.
    let (place, asked) = liar(ready.imap.rsplit(':').next().unwrap());
    let mia = ready.text("mia.asc");
    let (code, said, wrong) = ready.run(
        "none",
        &["--person", &mia, "--password-file", &ready.text("password"), "--resolver", &place],
    );
    assert_eq!(code, Some(2), "{said}{wrong}");
    assert!(asked.load(Ordering::SeqCst) > 0, "it was asked");
    assert!(
        wrong.contains("it is outside of the domain; if it is right: --imap localhost:"),
        "{wrong}"
    );
    assert!(!ready.at("none").exists());
}
