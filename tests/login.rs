//! Logging in to a real Dovecot and a real Postfix in each way that they know: by tokens that end, and by
//! passwords that are not shown.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop, and says so"
)]

#[path = "login/host.rs"]
mod host;
mod live_stack;

use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use embargod::rehearsal::live::Live;
use embargod::rehearsal::mail::Draft;
use embargod::rehearsal::{Stage, Who, story};
use host::Host;
use live_stack::{PROGRAM, Stack, files_below, holds};

/// The config of a desk that logs in by tokens: without passwords, with this section.
fn by_tokens(desk: &Path, section: &str) {
    let path = desk.join("embargod.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("password_file")).collect();
    std::fs::write(&path, format!("{}\n[oauth]\n{section}\n", kept.join("\n"))).unwrap();
    for name in ["imap-password", "smtp-password"] {
        std::fs::remove_file(desk.join("keys").join(name)).unwrap();
    }
}

fn signed_in(host: &Host) -> String {
    format!(
        "client_id = \"desk\"\ntoken_url = \"{}\"\ndevice_url = \"{}\"\nscopes = [\"mail\", \"offline_access\"]",
        host.at("token"),
        host.at("device")
    )
}

/// Runs a command of the program on a desk; what it says, and whether it went well.
fn embargod(desk: &Path, words: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new(PROGRAM)
        .arg("--config")
        .arg(desk.join("embargod.toml"))
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    (out.status.success(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
}

fn report(live: &mut Live) {
    let before = live.mailbox(Who::Rita).unwrap().len();
    live.write(Who::Rita, &Draft::sealed("A report.")).unwrap();
    while live.mailbox(Who::Rita).unwrap().len() == before {
        assert!(live.step().unwrap(), "no acknowledgement");
    }
}

/// The servers speak XOAUTH2 and nothing else, and throw the desk out again and again; a token lasts
/// fifteen seconds.
#[test]
fn the_story_with_tokens_that_end_on_the_way() {
    let host = Host::start(Duration::from_secs(15));
    let tokens = host.at("introspect");
    let Some(stack) = Stack::start_with(&["--auth", "xoauth2", "--tokens", &tokens]) else {
        return;
    };
    let section = signed_in(&host);
    let mut live = stack.desk_with(move |desk| {
        by_tokens(desk, &section);
        let (fine, said) = embargod(desk, &["login"], "");
        assert!(fine && said.contains("ABCD-EFGH") && said.contains("host.example"), "{said}");
    });
    let stop = Arc::new(AtomicBool::new(false));
    let (is_over, config) = (Arc::clone(&stop), stack.0.join("s/dovecot.conf"));
    let thrower = std::thread::spawn(move || {
        let mut thrown = 0;
        while !is_over.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(500));
            thrown += 1;
            if thrown % 36 == 0 {
                let kick = ["kick", embargod::rehearsal::DESK];
                Command::new("doveadm").arg("-c").arg(&config).args(kick).output().unwrap();
            }
        }
    });
    story::play(&mut live).unwrap();
    stop.store(true, Ordering::SeqCst);
    thrower.join().unwrap();
    live.stop().unwrap();
    {
        let book = host.book.lock().unwrap();
        assert!(book.given >= 3, "the token ended twice: {} were given", book.given);
        assert_eq!(book.bad, 0, "none was shown after its end");
    }
    // What lasts is in the encrypted database, and nowhere else.
    let last = host.book.lock().unwrap().refresh.clone().unwrap();
    let mut files = Vec::new();
    files_below(&stack.0.join("d/desk"), &mut files);
    files.push(stack.0.join("d/daemon.log"));
    for file in files {
        assert!(!holds(&file, &last) && !holds(&file, "access-"), "{}", file.display());
    }
}

#[test]
fn a_token_that_is_taken_back_is_asked_for_anew_and_a_sign_in_that_ended_is_told() {
    let host = Host::start(Duration::from_secs(3_600));
    let tokens = host.at("introspect");
    let ways = ["--auth", "xoauth2 oauthbearer", "--tokens", &tokens];
    let Some(stack) = Stack::start_with(&ways) else { return };
    let section = signed_in(&host);
    host.book.lock().unwrap().device = vec!["authorization_pending", "slow_down"];
    let mut live = stack.desk_with(move |desk| {
        by_tokens(desk, &section);
        let (fine, said) = embargod(desk, &["check"], "");
        assert!(!fine && said.contains("embargod login"), "{said}");
        let (fine, said) = embargod(desk, &["login"], "");
        assert!(fine, "{said}");
    });
    let (fine, said) = embargod(&live.desk(), &["check"], "");
    assert!(fine && said.contains("logged in over TLS"), "{said}");
    report(&mut live);
    let kick = || {
        let config = stack.0.join("s/dovecot.conf");
        let kick = ["kick", embargod::rehearsal::DESK];
        Command::new("doveadm").arg("-c").arg(config).args(kick).output().unwrap();
    };
    // Taken back before its end: the server says no once, and the next is asked for.
    let before = host.given();
    host.take_back();
    kick();
    report(&mut live);
    assert!(host.given() > before, "another token");
    // The sign-in itself is over: what to do is said, and done while the desk runs.
    host.book.lock().unwrap().refresh = None;
    host.take_back();
    kick();
    let log = || std::fs::read_to_string(stack.0.join("d/daemon.log")).unwrap();
    while !log().contains("invalid_grant") {
        assert!(live.step().unwrap(), "{}", log());
    }
    let (fine, said) = embargod(&live.desk(), &["login"], "");
    assert!(fine, "{said}");
    live.pass(embargod::domain::facts::names::Span::seconds(1)).unwrap();
    report(&mut live);
}

#[test]
fn tokens_come_from_a_program_from_a_browser_or_to_the_application_itself() {
    let host = Host::start(Duration::from_secs(3_600));
    let tokens = host.at("introspect");
    let ways = ["--auth", "oauthbearer", "--tokens", &tokens];
    let Some(stack) = Stack::start_with(&ways) else { return };
    let url = host.at("token");
    let live = stack.desk_with(move |desk| {
        std::fs::write(desk.join("keys/secret"), "s3cret\n").unwrap();
        let application = format!(
            "grant = \"client_credentials\"\nclient_id = \"desk\"\nclient_secret_file = \"keys/secret\"\ntoken_url = \"{url}\"\nscopes = [\"mail\"]"
        );
        by_tokens(desk, &application);
    });
    let desk = live.desk();
    let config = desk.join("embargod.toml");
    let (fine, said) = embargod(&desk, &["check"], "");
    assert!(fine, "{said}");
    let text = std::fs::read_to_string(&config).unwrap();
    let (begin, _) = text.rsplit_once("[oauth]").unwrap();
    let change = |section: &str| {
        std::fs::write(&config, format!("{begin}[oauth]\n{section}\n")).unwrap();
    };
    // A program says one.
    host.book
        .lock()
        .unwrap()
        .tokens
        .insert("by-hand".to_owned(), std::time::Instant::now() + Duration::from_secs(600));
    change("token_command = [\"echo\", \"by-hand\"]");
    let (fine, said) = embargod(&desk, &["check"], "");
    assert!(fine, "{said}");
    change("token_command = [\"false\"]");
    let (fine, said) = embargod(&desk, &["check"], "");
    assert!(!fine && said.contains("`false` failed"), "{said}");
    // A secret that is wrong.
    let application = |secret: &str| {
        std::fs::write(desk.join("keys/secret"), secret).unwrap();
        change(&format!(
            "grant = \"client_credentials\"\nclient_id = \"desk\"\nclient_secret_file = \"keys/secret\"\ntoken_url = \"{}\"",
            host.at("token")
        ));
    };
    application("wrong");
    let (fine, said) = embargod(&desk, &["check"], "");
    assert!(!fine && said.contains("client_secret_file") && !said.contains("wrong\""), "{said}");
    // Somebody agrees in a browser, whose address line is pasted.
    change(&format!(
        "client_id = \"desk\"\ntoken_url = \"{}\"\nauthorize_url = \"https://host.example/agree\"\nscopes = [\"mail\"]",
        host.at("token")
    ));
    let (fine, said) =
        embargod(&desk, &["login"], "http://127.0.0.1/embargod?code=x&state=other\n");
    assert!(!fine && said.contains("not the answer"), "{said}");
    assert!(said.contains("code_challenge_method=S256") && said.contains("state="), "{said}");
    let mut login = Command::new(PROGRAM)
        .arg("--config")
        .arg(&config)
        .arg("login")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(login.stdout.take().unwrap()).lines();
    let url =
        lines.find_map(|line| line.unwrap().trim().strip_prefix("https://").map(str::to_owned));
    let url = url.unwrap();
    let state = url.split("state=").nth(1).unwrap().split('&').next().unwrap();
    let shown = format!("http://127.0.0.1/embargod?code=x&state={state}\n");
    login.stdin.take().unwrap().write_all(shown.as_bytes()).unwrap();
    assert!(lines.any(|line| line.unwrap().contains("Signed in")));
    assert!(login.wait().unwrap().success());
    let (fine, said) = embargod(&desk, &["check"], "");
    assert!(fine, "{said}");
}

#[test]
fn a_password_is_not_shown_to_a_server_that_asks_for_less() {
    for ways in ["scram-sha-256", "scram-sha-1 plain", "plain", "login"] {
        let Some(stack) = Stack::start_with(&["--auth", ways]) else { return };
        let mut live = stack.desk();
        report(&mut live);
        let log = std::fs::read_to_string(stack.0.join("s/dovecot.log")).unwrap();
        let way = ways.split(' ').next().unwrap().to_ascii_uppercase();
        assert!(log.contains(&format!("method={way}")), "{way}: {log}");
        std::fs::write(live.desk().join("keys/imap-password"), "wrong").unwrap();
        let (fine, said) = embargod(&live.desk(), &["check"], "");
        assert!(!fine && said.contains("[imap]") && !said.contains("wrong\""), "{ways}: {said}");
    }
}
