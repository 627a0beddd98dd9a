//! The commands about playbooks, as a person types them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop"
)]

use std::process::{Command, Output};

fn embargod(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_embargod")).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

const MOMENTS: [&str; 4] = ["--received", "2026-12-01 09:00 UTC", "--t", "2026-12-16 15:00 UTC"];

#[test]
fn a_playbook_is_checked_with_file_and_line() {
    let good = embargod(&["playbook", "check", "isc"]);
    assert!(good.status.success());
    assert!(said(&good).contains("42 rows, 39 of them lines of"), "{}", said(&good));
    let folder = std::env::temp_dir().join(format!("embargod-cli-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("own.toml");
    let text = said(&embargod(&["playbook", "show", "isc"]));
    std::fs::write(&file, text.replacen("offset = \"-5bd\"", "offset = \"-5 working days\"", 1))
        .unwrap();
    let bad = embargod(&["playbook", "check", file.to_str().unwrap()]);
    assert_eq!(bad.status.code(), Some(1));
    let lines = String::from_utf8(bad.stderr).unwrap();
    let line = text.lines().position(|line| line.contains("id = \"ISC-2.1\"")).unwrap();
    assert!(lines.contains(&format!("own.toml:{line}: `-5 working days` is no offset")), "{lines}");
    // A calendar of one's own, from a folder.
    std::fs::write(folder.join("ours.txt"), "2026-12-15 Day of the founders\n").unwrap();
    std::fs::write(&file, text.replace("calendar = \"us-federal\"", "calendar = \"ours\""))
        .unwrap();
    let mut arguments = vec![
        "playbook",
        "--calendars",
        folder.to_str().unwrap(),
        "preview",
        file.to_str().unwrap(),
    ];
    arguments.extend(MOMENTS);
    let shown = said(&embargod(&arguments));
    assert!(shown.contains("[T -1bd]  Mon 2026-12-14 15:00 UTC"), "{shown}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_preview_says_who_does_what_when() {
    let with = |more: &'static str| {
        let mut arguments = vec!["playbook", "preview", "isc"];
        arguments.extend(MOMENTS);
        arguments.extend((!more.is_empty()).then_some(more));
        embargod(&arguments)
    };
    let table = said(&with(""));
    assert!(
        table.contains("ISC-2.1   asn               draft   Support -> asn_customers"),
        "{table}"
    );
    assert!(table.contains("[T -5bd]  Wed 2026-12-09 15:00 UTC"), "{table}");
    assert!(table.contains("only if product in [\"bind9\"]"), "{table}");
    let rows: serde_json::Value = serde_json::from_str(&said(&with("--json"))).unwrap();
    let verify = rows.as_array().unwrap().iter().find(|row| row["id"] == "ISC-3.1").unwrap();
    assert_eq!(verify["due"], "2026-12-10T15:00:00Z");
    let ics = said(&with("--ics"));
    assert_eq!(ics, said(&with("--ics")), "the same preview gives the same file");
    assert!(ics.starts_with("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n"), "{ics}");
    assert!(ics.contains("DTSTART:20261209T150000Z\r\n"), "{ics}");
    assert!(ics.lines().all(|line| line.len() <= 75), "RFC 5545, 3.1: lines are folded");
    let late = embargod(&[
        "playbook",
        "preview",
        "isc",
        "--received",
        "2026-12-20 09:00 UTC",
        "--t",
        "2026-12-16 15:00 UTC",
    ]);
    assert_eq!(late.status.code(), Some(2));
}

#[test]
fn a_difference_is_told_row_by_row() {
    let none = said(&embargod(&["playbook", "diff", "isc", "isc"]));
    assert_eq!(none.trim(), "There is no difference.");
    let some = said(&embargod(&["playbook", "diff", "tests/journal/minder-v1.toml", "minder"]));
    for line in [
        "~ playbook  version: 1 -> 4",
        "~ MI-2.6  kind: human -> draft",
        "+ MI-2.12  row: CVSS under 4.0",
        "+ branch slow  is: if done(MI-2.12)",
    ] {
        assert!(some.contains(line), "{line}: {some}");
    }
}

/// A number that is none of those that it may be is refused with its line, and never put right in
/// silence: who wrote it believes that it holds.
#[test]
fn numbers_out_of_their_range_are_refused_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("embargod.toml");
    let sample = include_str!("../config/embargod.toml");
    let wrong = [
        ("tick_s", "2", "90", "1 to 60"),
        ("acknowledgements_per_hour", "60", "0", "1 to 100000"),
        ("full_look_s", "120", "1", "5 to 3600"),
        ("letter_bytes_max", "31457280", "1000", "65536 to 209715200"),
        ("connections", "2", "21", "1 to 20"),
    ];
    let mut text = sample.to_owned();
    for (key, good, bad, _) in wrong {
        let line = format!("{key} = {good}");
        assert!(text.contains(&line), "the sample has no `{line}`");
        text = text.replacen(&line, &format!("{key} = {bad}"), 1);
    }
    std::fs::write(&file, &text).unwrap();
    let output = embargod(&["--config", file.to_str().unwrap(), "check"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap() + &String::from_utf8_lossy(&output.stdout);
    for (key, _, bad, range) in wrong {
        let line =
            text.lines().position(|line| line.starts_with(&format!("{key} = "))).unwrap() + 1;
        let what = format!("embargod.toml:{line}: `{key}` is {bad}, and may be {range}");
        assert!(told.contains(&what), "{what} is not in\n{told}");
    }
}

/// A crash leaves no keys and no opened reports on disk.
#[test]
fn no_core_dump_is_written() {
    use std::io::{BufRead, BufReader};
    let mut demo = Command::new(env!("CARGO_BIN_EXE_embargod"))
        .arg("demo")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(demo.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", demo.id())).unwrap();
    demo.kill().unwrap();
    demo.wait().unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let figures: Vec<&str> = line.split_whitespace().skip(4).take(2).collect();
    assert_eq!(figures, ["0", "0"], "{line}");
}

/// The story leaves a desk that can be looked at as any other, by handles that are typed as people type them.
#[test]
fn a_demo_can_be_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("demo").display().to_string();
    assert!(embargod(&["demo", "--folder", &place]).status.success());
    let config = format!("{place}/embargod.toml");
    let looks = |arguments: &[&str]| {
        let output = embargod(&[&["--config", config.as_str()], arguments].concat());
        (output.status.code(), said(&output), String::from_utf8(output.stderr).unwrap())
    };
    let (code, all, why) = looks(&["list", "--all"]);
    assert_eq!(code, Some(0), "{why}");
    let handle = all.lines().nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let short = handle.rsplit('-').next().unwrap().to_ascii_lowercase();
    for words in [vec!["show", &short], vec!["log", &short], vec!["agenda", &short]] {
        let (code, text, why) = looks(&words);
        assert_eq!(code, Some(0), "{words:?}: {why}");
        assert!(text.contains(&handle) || words[0] == "log", "{words:?}: {text}");
    }
    let (_, closed, _) = looks(&["list", "--closed", "--json"]);
    assert!(closed.contains(&handle), "{closed}");
    let (_, none, _) = looks(&["list"]);
    assert!(none.contains("There is no open incident"), "{none}");
    let (_, found, _) = looks(&["list", "--all", "overfl"]);
    assert!(found.contains("Overflow in nested tables"), "{found}");
    let (code, _, why) = looks(&["show", "nothing"]);
    assert!(code == Some(2) && why.contains("embargod list --all"), "{why}");
}

/// Desks of one host, each by its name.
#[test]
fn a_desk_among_several_is_named_and_all_are_looked_at() {
    let root = tempfile::tempdir().unwrap();
    let folder = |name: &str| root.path().join(name).display().to_string();
    let run = |arguments: &[&str]| {
        let program = env!("CARGO_BIN_EXE_embargod");
        let mut command = Command::new(program);
        command.env("EMBARGOD_DESKS", root.path().join("etc")).current_dir(root.path());
        let out = command.args(arguments).output().unwrap();
        let text = String::from_utf8([out.stdout, out.stderr].concat()).unwrap();
        (out.status.code(), text)
    };
    std::fs::create_dir(root.path().join("etc")).unwrap();
    let (code, text) = run(&["status", "--all"]);
    assert!(code == Some(2) && text.contains("no desk has its config"), "{text}");
    for name in ["alpha", "beta"] {
        let place = folder(name);
        let address = format!("security@{name}.example");
        let (code, text) = run(&["init", &place, "--address", &address, "--name", name]);
        assert_eq!(code, Some(0), "{text}");
        let config = root.path().join(name).join("embargod.toml");
        // A link is followed: what the config names lies beside it.
        std::os::unix::fs::symlink(config, root.path().join(format!("etc/{name}.toml"))).unwrap();
    }
    let (_, text) = run(&["--desk", "beta", "check", "--offline"]);
    assert!(text.contains("/beta/") && !text.contains("/alpha/"), "{text}");
    let (code, text) = run(&["check", "--all", "--offline"]);
    assert_eq!(code, Some(1), "{text}");
    let at = |word: &str| text.find(word).unwrap_or_else(|| panic!("{word}: {text}"));
    assert!(at("== alpha") < at("== beta"));
    let (code, text) = run(&["--desk", "../etc/alpha", "status"]);
    assert!(code == Some(2) && text.contains("is no name of a desk"), "{text}");
}
