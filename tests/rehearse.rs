//! The dry run of a desk's own process: the six playbooks with ten people of the team and forty members,
//! each mail in its final words; what blocks, what falls on a day off, and whose key has ended.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use embargod::domain::facts::names::{Moment, Span};
use embargod::edge::pgp::{Keyring, generate};
use serde_json::Value;

const TEAM: [&str; 10] = ["mia", "tom", "uma", "ole", "pia", "quin", "ravi", "sue", "tess", "vic"];

fn embargod(folder: &Path, arguments: &[&str]) -> Output {
    let config = folder.join("embargod.toml");
    Command::new(env!("CARGO_BIN_EXE_embargod"))
        .args(["--config", config.to_str().unwrap()])
        .args(arguments)
        .output()
        .unwrap()
}

fn certificate(folder: &Path, who: &str, years: Option<u64>) {
    let made: Moment = "2025-12-10T00:00:00Z".parse().unwrap();
    let address = format!("{who}@people.test");
    let (secret, _) = generate(who, &address, None, years, made).unwrap();
    let keyring = Keyring::open(&[secret], None, [0; 32], made + Span::minutes(1)).unwrap();
    std::fs::write(folder.join(format!("{who}.asc")), keyring.certificate().armored()).unwrap();
}

/// What `init` writes into a new folder, without its people.
fn sample(folder: &Path) -> String {
    let made = Command::new(env!("CARGO_BIN_EXE_embargod"))
        .args(["init", "--address", "security@desk.test", "--name", "Demo Desk"])
        .arg(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let text = std::fs::read_to_string(folder.join("embargod.toml")).unwrap();
    text.split("[[person]]").next().unwrap().to_owned()
}

fn add(config: &mut String, id: &str, belongs: &str) {
    let _ = write!(
        config,
        "\n[[person]]\nid = \"{id}\"\nname = \"{id}\"\naddress = \"{id}@people.test\"\n\
         certificate = \"{id}.asc\"\n{belongs}\n"
    );
}

/// A desk's folder: no server, no passwords, ten people of the team, forty members.
fn desk() -> &'static PathBuf {
    static DESK: OnceLock<PathBuf> = OnceLock::new();
    DESK.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("embargod-rehearse-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let mut text = sample(&folder);
        for (n, who) in TEAM.iter().enumerate() {
            certificate(&folder, who, None);
            let role = ["security_team", "fix_team", "lead"][n % 3];
            add(&mut text, who, &format!("roles = [\"{role}\", \"security_team\", \"operator\"]"));
        }
        for n in 0..40 {
            let who = format!("dist{n:02}");
            // One whose key ends before the day.
            certificate(&folder, &who, (n == 7).then_some(1));
            add(&mut text, &who, "groups = [\"private_distributors\"]");
        }
        std::fs::write(folder.join("embargod.toml"), text).unwrap();
        folder
    })
}

fn rehearsed(arguments: &[&str]) -> (Value, Option<i32>) {
    let mut all = vec!["rehearse"];
    all.extend(arguments);
    all.extend(["--received", "2026-12-01 09:00 UTC", "--json"]);
    let out = embargod(desk(), &all);
    let text = String::from_utf8_lossy(&out.stdout);
    let value = serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&out.stderr)));
    (value, out.status.code())
}

fn mails<'v>(value: &'v Value, subject: &str) -> Vec<&'v Value> {
    let scenes = value["scenes"].as_array().unwrap().iter();
    scenes
        .filter(|scene| scene["what"] == "sent")
        .filter(|mail| mail["subject"].as_str().unwrap().contains(subject))
        .collect()
}

#[test]
fn each_of_the_six_comes_from_the_report_to_its_end() {
    let of = |name: &'static str, notices: &'static [(&'static str, usize)]| (name, notices);
    let six = [
        of("minder", &[("Advance notice", 40), ("Reminder", 40), ("Security release", 1)]),
        of("default", &[("Advance notice", 40), ("Security release", 1), ("Retrospective", 1)]),
        of(
            "isc",
            &[
                ("Earliest", 40),
                ("Advance security", 40),
                ("For packagers", 40),
                ("Security release on", 1),
            ],
        ),
        of("emissary", &[("Security fix on", 1), ("Security release", 1), ("Retrospective", 1)]),
        of("apereo", &[("Advance notice", 40), ("Security release", 3)]),
        of(
            "stalwart",
            &[("Advance notice", 40), ("Security release", 1), ("Security advisory, draft", 1)],
        ),
    ];
    for (name, notices) in six {
        let (found, _) = rehearsed(&[name]);
        assert_eq!(found["blocked"], serde_json::json!({}), "{name}");
        assert!(found["public"].is_string(), "{name}: {}", found["open"]);
        for (subject, count) in notices {
            let mails = mails(&found, subject);
            assert!(mails.len() >= *count, "{name}: {subject}: {}", mails.len());
            // Final words: no place is left open, and no value missing.
            for mail in mails {
                let text = mail["body"].as_str().unwrap();
                assert!(!text.contains(['\u{E000}', '\u{E001}', '\u{E002}', '\u{E005}']), "{text}");
                assert!(!text.contains("  not known yet"), "{name}: {text}");
            }
        }
    }
}

#[test]
fn what_blocks_is_named_and_so_is_a_key_that_has_ended() {
    // A year after it was made the key of one is no key any more; T is later than that.
    let (found, code) = rehearsed(&["minder", "--t", "2026-12-17 16:00 UTC"]);
    assert_eq!(code, Some(1));
    let keys = found["keys"].to_string();
    assert!(keys.contains("dist07") && !keys.contains("dist08"), "{keys}");
    // A team of one: whatever needs two is named.
    let one = desk().with_extension("one");
    let _ = std::fs::remove_dir_all(&one);
    std::fs::create_dir(&one).unwrap();
    for entry in std::fs::read_dir(desk()).unwrap().flatten() {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), one.join(entry.file_name())).unwrap();
        }
    }
    std::fs::create_dir(one.join("keys")).unwrap();
    for entry in std::fs::read_dir(desk().join("keys")).unwrap().flatten() {
        std::fs::copy(entry.path(), one.join("keys").join(entry.file_name())).unwrap();
    }
    let file = one.join("embargod.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let (head, people) = text.split_once("[[person]]").unwrap();
    let kept: Vec<&str> = people
        .split("[[person]]")
        .filter(|person| !TEAM[1..].iter().any(|id| person.contains(&format!("id = \"{id}\""))))
        .collect();
    std::fs::write(&file, format!("{head}[[person]]{}", kept.join("[[person]]"))).unwrap();
    let out = embargod(&one, &["rehearse", "--received", "2026-12-01 09:00 UTC"]);
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.status.code(), Some(1));
    assert!(text.contains("Blocked:") && text.contains("nobody else may approve it"), "{text}");
    assert!(
        text.contains("fix-team: nobody is Fix Team") || text.contains("nobody is Fix Team"),
        "{text}"
    );
}

/// No distributor is written to on a day on which nobody works, and the first of January is no release.
#[test]
fn no_member_hears_on_a_day_off() {
    for (name, received) in
        [("minder", "2026-12-14"), ("isc", "2026-12-15"), ("default", "2026-12-11")]
    {
        let when = format!("{received} 09:00 UTC");
        for t in ["2026-12-29 16:00 UTC", "2026-12-31 16:00 UTC", "2027-01-05 16:00 UTC"] {
            let mut all = vec!["rehearse", name, "--json", "--received", &when, "--t", t];
            let out = embargod(desk(), &all);
            let found: Value = serde_json::from_slice(&out.stdout).unwrap();
            let off: Vec<&Value> = found["days_off"].as_array().unwrap().iter().collect();
            let at = |mail: &&Value| mail["at"].as_str().unwrap().starts_with("2026-12-25");
            let on_christmas = mails(&found, "").into_iter().filter(|mail| mail["inside"] == false);
            let written: Vec<&Value> = on_christmas.filter(at).collect();
            let to_members =
                written.iter().filter(|mail| mail["to"].as_str().unwrap().contains("dist"));
            assert_eq!(to_members.count(), 0, "{name} {t}: {off:?}");
            all.clear();
        }
    }
}

#[test]
fn every_mail_is_a_file_and_the_time_line_beside() {
    let folder = desk().with_extension("mails");
    let _ = std::fs::remove_dir_all(&folder);
    let arguments = [
        "rehearse",
        "--received",
        "2026-12-01 09:00 UTC",
        "--set",
        "affected=2.0 to 3.1",
        "--folder",
        folder.to_str().unwrap(),
    ];
    let out = embargod(desk(), &arguments);
    let shown = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(shown.contains("Nothing was sent.") && shown.contains("-> 40 people"), "{shown}");
    let files: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert!(files.len() > 100 && files.contains(&"timeline.txt".to_owned()), "{}", files.len());
    let advance = files.iter().filter(|name| name.contains("to-dist00"));
    let texts: Vec<String> =
        advance.map(|name| std::fs::read_to_string(folder.join(name)).unwrap()).collect();
    let advance = texts.iter().find(|text| text.contains("Advance notice")).unwrap();
    assert!(
        advance.contains("affected    2.0 to 3.1") && advance.contains("To dist00"),
        "{advance}"
    );
    // A folder that is there is not written into.
    assert_eq!(embargod(desk(), &arguments).status.code(), Some(2));
    let store = desk().join("embargod.db");
    assert!(!store.exists() || std::fs::metadata(&store).unwrap().len() > 0, "it makes no store");
}

#[test]
fn what_cannot_be_rehearsed_says_why() {
    let none = embargod(desk(), &["rehearse", "mender"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&none.stderr).contains("there is no playbook `mender`"));
    let bad = embargod(desk(), &["rehearse", "--t", "soon"]);
    assert!(String::from_utf8_lossy(&bad.stderr).contains("2026-12-16 16:00 UTC"));
    let elsewhere = std::env::temp_dir().join("embargod-no-such-folder");
    let none = embargod(&elsewhere, &["rehearse"]);
    assert!(String::from_utf8_lossy(&none.stderr).contains("embargod init"));
}

/// A desk of its own, with more in its config.
fn own_desk(name: &str, desk: &str, people: &[(&str, &str)]) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("embargod-own-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let mut text = sample(&folder);
    text = text.replace("alone = false", desk);
    for line in ["[files]", "templates = ", "playbooks = "] {
        text = text.replace(&format!("# {line}"), line);
    }
    for (id, belongs) in people {
        certificate(&folder, id, None);
        add(&mut text, id, belongs);
    }
    std::fs::write(folder.join("embargod.toml"), text).unwrap();
    for folder in ["templates", "playbooks"].map(|name| folder.join(name)) {
        std::fs::create_dir_all(folder).unwrap();
    }
    folder
}

const LONE: (&str, &str) = ("mia", "roles = [\"security_team\", \"fix_team\", \"operator\"]");
const OTHER: (&str, &str) = ("tom", "roles = [\"security_team\", \"fix_team\"]");
const MEMBER: (&str, &str) = ("ann", "groups = [\"private_distributors\"]");

fn rehearse(folder: &Path, more: &[&str]) -> (String, String, Option<i32>) {
    let mut all = vec!["rehearse", "minder", "--received", "2026-12-01 09:00 UTC"];
    all.extend(more);
    let out = embargod(folder, &all);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&out.stdout), text(&out.stderr), out.status.code())
}

/// What somebody said alone and waits holds although the announcement leaves meanwhile: then it would
/// bring less than was shown.
#[test]
fn a_desk_of_one_comes_to_its_end() {
    let folder = own_desk("alone", "alone = true", &[LONE, MEMBER]);
    let (out, err, _) = rehearse(&folder, &[]);
    assert!(!out.contains("Not done after all"), "{out}{err}");
    assert!(out.contains("-> ann <ann@people.test>") && out.contains("Public: "), "{out}");
    assert_eq!(out.matches("writes /published").count(), 1, "{out}");
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn what_is_wrong_with_the_config_is_said_and_never_played_over() {
    let folder = own_desk("wrong", "", &[LONE, OTHER, MEMBER]);
    let refused = |more: &[&str], what: &str| {
        let (out, err, code) = rehearse(&folder, more);
        assert!(code != Some(0) && err.contains(what), "{what}: {out}{err}");
        assert!(!out.contains("writes /accept"), "{what}: played all the same");
    };
    refused(&["--set", "nosuch=1"], "no field `nosuch`");
    refused(&["--set", "=1"], "no field ``");
    refused(&["--set", "impact=one\n/accept"], "not one line");
    refused(&["--set", "impact=\u{1b}[31mred"], "not one line");
    refused(&["--t", "2020-01-01 00:00 UTC"], "not after the moment of the report");
    refused(&["--t", "9999-01-01 00:00 UTC"], "from 2000 to 2199");
    // A template that would keep it busy, or fill the memory.
    let template = folder.join("templates/final.txt");
    for text in [
        "{% for a in fields %}{% for b in fields %}{% for c in fields %}{% for d in fields %}{% for e in fields \
         %}x{% endfor %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
        "{{ \"x\" * 10000000000 }}",
        "{% set x = \"xxxxxxxx\" %}{% set x = x ~ x ~ x %}{{ x }}",
        "{% for i in range(100000) %}x{% endfor %}",
    ] {
        std::fs::write(&template, format!("Subject: x\n\n{text}\n")).unwrap();
        let (out, err, code) = rehearse(&folder, &[]);
        assert!(code != Some(0) && format!("{out}{err}").contains("final"), "{text}: {out}{err}");
    }
    std::fs::remove_file(&template).unwrap();
    // An own playbook that cannot be used is not played as the program's.
    let own = embargod(&folder, &["playbook", "show", "minder"]).stdout;
    let own = String::from_utf8(own).unwrap().replacen("kind = \"draft\"", "kind = \"draught\"", 1);
    std::fs::write(folder.join("playbooks/minder.toml"), own).unwrap();
    refused(&[], "playbooks/minder.toml:");
    std::fs::remove_file(folder.join("playbooks/minder.toml")).unwrap();
    // Somebody whose certificate cannot be read is named.
    std::fs::write(folder.join("ann.asc"), "garbage").unwrap();
    let (out, _, code) = rehearse(&folder, &[]);
    assert!(code == Some(1) && out.contains("ann.asc: it is no OpenPGP certificate"), "{out}");
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn what_never_leaves_is_named_and_the_mails_are_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = own_desk("early", "", &[LONE, OTHER, MEMBER]);
    let (out, _, code) = rehearse(&folder, &["--t", "2026-12-04 16:00 UTC"]);
    assert!(code == Some(1) && out.contains("T is a Friday"), "{out}");
    let mails = folder.join("mails");
    let (_, err, _) = rehearse(&folder, &["--folder", mails.to_str().unwrap()]);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&mails), 0o700, "{err}");
    for file in std::fs::read_dir(&mails).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
    let (_, err, code) = rehearse(&folder, &["--folder", mails.to_str().unwrap()]);
    assert!(code != Some(0) && err.contains("no empty folder"), "{err}");
    let _ = std::fs::remove_dir_all(&folder);
}
