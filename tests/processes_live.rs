//! The published processes on a real desk: the real daemon, Dovecot and Postfix, and people who write and
//! read with GnuPG. Offsets are shortened to seconds; the people write what the rehearsal of the same
//! process and config says, and every mail that leaves the team must be the one that the rehearsal has.
//! With EMBARGOD_LIVE=1 two of the five are played, with EMBARGOD_LIVE=all each of them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop, and says so"
)]

mod live_stack;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use chrono::{DateTime, Utc};
use embargod::config;
use embargod::domain::facts::letter::Protection;
use embargod::domain::facts::names::{Address, Moment, Span};
use embargod::edge::pgp::Certificate;
use embargod::rehearsal::live::Live;
use embargod::rehearsal::mail::{Draft, Read};
use embargod::rehearsal::play::{Play, Scene};
use embargod::rehearsal::team::{Pace, Team};
use embargod::rehearsal::{Stage, Who};
use live_stack::{PROGRAM, Stack};

/// How long a day is here, in seconds.
const DAY: i64 = 6;

/// An offset with its days as seconds.
fn shortened(offset: &str) -> String {
    let one = |part: &str| {
        let part = part.trim();
        for (unit, seconds) in [("bd", DAY), ("d", DAY), ("w", 7 * DAY), ("h", 1)] {
            if let Some(number) = part.strip_suffix(unit)
                && let Ok(number) = number.trim_start_matches('+').parse::<i64>()
            {
                let seconds =
                    if unit == "h" { (number * DAY / 24).max(1) } else { number * seconds };
                return format!("{}{seconds}s", if number > 0 { "+" } else { "" });
            }
        }
        part.to_owned()
    };
    offset.split("..").map(one).collect::<Vec<_>>().join("..")
}

/// A playbook whose days are seconds, without hours of the day and days of the week.
fn quick(text: &str) -> String {
    let mut out = String::new();
    let mut table = "";
    for line in text.lines() {
        if line.starts_with('[') {
            table = line;
        }
        let t = table == "[t]";
        if t && (line.starts_with("at =")
            || line.starts_with("days =")
            || line.starts_with("snap ="))
        {
            continue;
        }
        let mut parts = line.split('"');
        let mut made = String::new();
        let mut key = String::new();
        while let Some(plain) = parts.next() {
            made.push_str(plain);
            plain
                .trim_end()
                .trim_end_matches('=')
                .trim_end()
                .rsplit([' ', '{', ','])
                .next()
                .unwrap_or("")
                .clone_into(&mut key);
            let Some(value) = parts.next() else { break };
            let span = [
                "offset", "repeat", "min_lead", "slip", "due", "every", "after", "within", "span",
                "by",
            ]
            .contains(&key.as_str());
            let value = if span {
                shortened(value).trim_start_matches('+').to_owned()
            } else {
                value.to_owned()
            };
            let value = if key == "slip" { "30s".to_owned() } else { value };
            // Nothing comes again sooner than after a minute.
            let again = ["repeat", "every", "after", "within"].contains(&key.as_str());
            let value = if again && value.ends_with('s') { "1m".to_owned() } else { value };
            // A window keeps its signs.
            let value = if key == "offset" { shortened(&value) } else { value };
            let _ = write!(made, "\"{value}\"");
        }
        // What stays of moments of the day in rows.
        let made = made.replace(", at = \"16:00\", days = \"mon-thu\"", "");
        // Each public list of the process is the one of the story; two of them would be one mail.
        let made = if made.starts_with("public = [") {
            "public = [\"dev-list@people.test\"]".to_owned()
        } else {
            made
        };
        out.push_str(&made);
        out.push('\n');
    }
    out
}

struct Cast {
    name: &'static str,
    /// Roles of Mia, and of Tom.
    team: [&'static [&'static str]; 2],
    groups: &'static [&'static str],
    /// How long after the report T is.
    t: i64,
}

const MINDER: Cast = Cast {
    name: "minder",
    team: [&["security_team", "lead", "fix_team"], &["security_team", "fix_team"]],
    groups: &["private_distributors"],
    t: 84,
};
const ISC: Cast = Cast {
    name: "isc",
    team: [&["handlers", "support", "qa", "sweng"], &["handlers", "support", "qa", "sweng"]],
    groups: &["earliest", "asn_customers", "os_packagers", "third_parties", "customers", "cna"],
    t: 96,
};
const EMISSARY: Cast = Cast {
    name: "emissary",
    team: [&["emst", "maintainers", "fix_team"], &["emst", "maintainers", "fix_team"]],
    groups: &["cna"],
    t: 84,
};
const APEREO: Cast = Cast {
    name: "apereo",
    team: [
        &["team", "maintainers", "qa", "release_manager"],
        &["team", "umbrella_team", "maintainers", "release_manager"],
    ],
    groups: &["distributors", "cna"],
    t: 100,
};
const STALWART: Cast = Cast {
    name: "stalwart",
    team: [
        &["maintainers", "dev", "release", "analyst", "comms", "docs"],
        &["maintainers", "dev", "release", "analyst", "comms", "docs"],
    ],
    groups: &["packagers", "cna"],
    t: 90,
};

fn people(cast: &Cast, config: &str) -> String {
    let list = |names: &[&str]| {
        names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
    };
    let mut out = String::new();
    for (n, person) in config.split("\n[[person]]").enumerate() {
        if n == 0 {
            out.push_str(person);
            out.push_str("\n[files]\nplaybooks = \"playbooks\"\n\n");
            continue;
        }
        let belongs = match () {
            () if person.contains("id = \"mia\"") => {
                format!("roles = [{}, \"operator\"]", list(cast.team[0]))
            }
            () if person.contains("id = \"tom\"") => format!("roles = [{}]", list(cast.team[1])),
            () if person.contains("id = \"uma\"") => "roles = [\"operator\"]".to_owned(),
            () => format!("groups = [{}]", list(cast.groups)),
        };
        let kept = person
            .lines()
            .filter(|line| !line.starts_with("roles =") && !line.starts_with("groups ="));
        let _ = write!(out, "\n[[person]]{}\n{belongs}\n", kept.collect::<Vec<_>>().join("\n"));
    }
    out
}

fn prepare(cast: &'static Cast) -> impl Fn(&Path) {
    move |desk: &Path| {
        let shown = Command::new(PROGRAM).args(["playbook", "show", cast.name]).output().unwrap();
        let folder = desk.join("playbooks");
        std::fs::create_dir(&folder).unwrap();
        let text = quick(&String::from_utf8(shown.stdout).unwrap());
        let file = folder.join(format!("{}.toml", cast.name));
        std::fs::write(&file, &text).unwrap();
        let checked =
            Command::new(PROGRAM).args(["playbook", "check"]).arg(&file).output().unwrap();
        assert!(checked.status.success(), "{}\n{text}", String::from_utf8_lossy(&checked.stderr));
        let path = desk.join("embargod.toml");
        let config = std::fs::read_to_string(&path).unwrap();
        let config =
            config.replace("playbook = \"drill\"", &format!("playbook = \"{}\"", cast.name));
        std::fs::write(&path, people(cast, &config)).unwrap();
        let found = Command::new(PROGRAM)
            .arg("--config")
            .arg(&path)
            .args(["check", "--offline"])
            .output()
            .unwrap();
        assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stdout));
    }
}

/// What the rehearsal of the same config says, from now on.
fn rehearsed(desk: &Path, now: Moment, t: Moment) -> (Vec<Scene>, BTreeMap<String, String>) {
    let sources =
        config::rehearsal::read(&desk.join("embargod.toml"), now).map(|read| read.sources).unwrap();
    let mut keys = BTreeMap::new();
    for person in sources.roster.people.values() {
        let certificate = Certificate::read(person.certificate.as_bytes()).unwrap();
        keys.insert(person.fingerprint.clone(), certificate.facts(now));
    }
    let mut play = Play::of(&sources, &[], &keys, now).unwrap();
    play.writing = Span::seconds(1);
    play.report(&Address::parse(&Who::Rita.address()).unwrap(), "A report.").unwrap();
    let pace = Pace { first: Span::seconds(3), again: Span::seconds(3), after: Span::seconds(4) };
    let mut team = Team::new(Some(t), BTreeMap::new()).at_pace(pace);
    team.plays(&mut play, t + Span::seconds(10 * DAY)).unwrap();
    (play.scenes, team.blocked)
}

fn clock() -> Moment {
    DateTime::<Utc>::from(std::time::SystemTime::now())
}

struct Table {
    live: Live,
    handle: String,
    used: Vec<String>,
}

impl Table {
    fn who(name: &str) -> Who {
        Who::ALL.into_iter().find(|who| who.id().eq_ignore_ascii_case(name)).unwrap()
    }

    /// The newest mail with a reference to the incident.
    fn newest(&mut self, who: Who) -> Option<Read> {
        let mails = self.live.mailbox(who).unwrap();
        mails.into_iter().rev().find(|mail| mail.says(&format!("Ref: {}/", self.handle)))
    }

    /// Writes what the rehearsal has somebody write; a confirmation by the word that came in a mail.
    fn says(&mut self, by: &str, lines: &[String]) {
        let who = Self::who(by);
        let mut lines: Vec<String> = lines.to_vec();
        if lines.first().is_some_and(|line| line.starts_with("/confirm")) {
            let word = loop {
                let mails = self.live.mailbox(who).unwrap();
                let asked = mails.iter().rev().find_map(Read::nonce);
                if let Some(word) = asked.filter(|word| !self.used.contains(word)) {
                    break word;
                }
                assert!(self.live.step().unwrap(), "nobody asked {by} to confirm");
            };
            self.used.push(word.clone());
            lines = vec![format!("/confirm {word}")];
        }
        let known = loop {
            if let Some(mail) = self.newest(who) {
                break mail;
            }
            assert!(self.live.step().unwrap(), "{by} never heard of it");
        };
        let reference = known.text.lines().find(|line| line.starts_with("Ref: ")).unwrap();
        let text = format!("{}\n\n{reference}\n", lines.join("\n"));
        self.live.write(who, &Draft::sealed(&text)).unwrap();
    }
}

/// A subject as both have it: the handle is another.
fn subject(text: &str) -> String {
    let mut out = Vec::new();
    for word in text.split(' ') {
        out.push(if word.contains("DEMO-") { "HANDLE" } else { word });
    }
    out.join(" ")
}

fn play(cast: &'static Cast) {
    let Some(stack) = Stack::start() else { return };
    let mut live = stack.desk_with(prepare(cast));
    // Whole seconds: what people name as a date is one.
    let now = chrono::SubsecRound::trunc_subsecs(clock(), 0);
    let mut report = Draft::sealed("A query stops the server.");
    report.with_key = true;
    live.write(Who::Rita, &report).unwrap();
    let first = loop {
        let mails = live.mailbox(Who::Mia).unwrap();
        if let Some(mail) = mails.into_iter().find(|mail| mail.subject.contains("New report")) {
            break mail;
        }
        assert!(live.step().unwrap(), "no report came");
    };
    let t = now + Span::seconds(cast.t);
    let desk = live.desk();
    let (scenes, blocked) = rehearsed(&desk, now, t);
    assert!(blocked.is_empty(), "{}: {blocked:?}", cast.name);
    let mut table = Table { live, handle: first.handle().unwrap(), used: Vec::new() };
    for scene in &scenes {
        let Scene::Said(said) = scene else { continue };
        let wait = said.at - clock();
        if wait > Span::zero() {
            table.live.pass(wait).unwrap();
        }
        table.says(&said.by, &said.lines);
    }
    table.live.pass(Span::seconds(12)).unwrap();
    if let Some(folder) = std::env::var_os("EMBARGOD_KEEP") {
        keep(&Path::new(&folder).join(cast.name), &mut table);
    }
    compare(cast, &mut table, &scenes);
    show(cast, &table, &desk);
    table.live.stop().unwrap();
}

/// Everybody's mails as GnuPG opened them, and the checklist, for whoever wants to read them.
fn keep(folder: &Path, table: &mut Table) {
    std::fs::create_dir_all(folder).unwrap();
    for who in Who::ALL {
        for (n, mail) in table.live.mailbox(who).unwrap().iter().enumerate() {
            let how = format!("{:?}, signed by the desk: {}", mail.protection, mail.by_desk);
            let text = format!(
                "To: {}\nProtected: {how}\nSubject: {}\n\n{}",
                who.address(),
                mail.subject,
                mail.text
            );
            std::fs::write(folder.join(format!("{}-{n:02}.txt", who.id())), text).unwrap();
        }
    }
    let config = table.live.desk().join("embargod.toml");
    let list = Command::new(PROGRAM)
        .args([
            "--config",
            config.to_str().unwrap(),
            "agenda",
            &table.handle,
            "--format",
            "markdown",
        ])
        .output()
        .unwrap();
    std::fs::write(folder.join("checklist.md"), list.stdout).unwrap();
}

/// Each of those outside the team got what the rehearsal says, and nothing else; every mail was sealed, and
/// signed by the desk.
fn compare(cast: &Cast, table: &mut Table, scenes: &[Scene]) {
    for who in [Who::Ann, Who::Bob, Who::Cleo, Who::Rita, Who::List] {
        let address = who.address();
        let mut wanted: Vec<String> = scenes
            .iter()
            .filter_map(|scene| match scene {
                Scene::Sent(sent) if sent.to.contains(&address) => Some(subject(&sent.subject)),
                Scene::Sent(_) | Scene::Said(_) => None,
            })
            .collect();
        let mails = table.live.mailbox(who).unwrap();
        let mut got: Vec<String> = mails.iter().map(|mail| subject(&mail.subject)).collect();
        wanted.sort();
        got.sort();
        assert_eq!(got, wanted, "{}: what {} got, and what the rehearsal has", cast.name, who.id());
        for mail in &mails {
            assert!(mail.by_desk, "{}: {} is not signed by the desk", cast.name, mail.subject);
            let sealed = mail.protection == Protection::Both;
            let free = who == Who::List || mail.subject.contains("We received your report");
            assert!(sealed || free, "{}: {} came in clear", cast.name, mail.subject);
        }
        println!("{:<10}{:<10}{} mails, as rehearsed", cast.name, who.id(), mails.len());
    }
}

/// The rows of the document beside what happened.
fn show(cast: &Cast, table: &Table, desk: &Path) {
    let config = desk.join("embargod.toml");
    let said = Command::new(PROGRAM)
        .args(["--config", config.to_str().unwrap(), "agenda", &table.handle, "--format", "json"])
        .output()
        .unwrap();
    let rows: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    let rows = rows.as_array().unwrap();
    let word = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap_or("").to_owned();
    let mut undone = Vec::new();
    println!("\n{}: line, row, whose, what happened, when", cast.name);
    for row in rows {
        let (source, state) = (word(row, "source"), word(row, "state"));
        let done = word(row, "done");
        println!(
            "{source:<12}{:<10}{:<16}{state:<9}{:<10}{}",
            word(row, "id"),
            word(row, "role"),
            done.get(11..19).unwrap_or(""),
            word(row, "title")
        );
        if ["due", "LATE", "open", "blocked", "upcoming"].contains(&state.as_str()) {
            undone.push(format!("{} {state}", word(row, "id")));
        }
    }
    assert!(undone.is_empty(), "{}: {undone:?}", cast.name);
}

fn is_short() -> bool {
    std::env::var("EMBARGOD_LIVE").is_ok_and(|value| value != "all")
}

#[test]
fn minder_on_real_servers() {
    play(&MINDER);
}

#[test]
fn isc_on_real_servers() {
    play(&ISC);
}

#[test]
fn emissary_on_real_servers() {
    if !is_short() {
        play(&EMISSARY);
    }
}

#[test]
fn apereo_on_real_servers() {
    if !is_short() {
        play(&APEREO);
    }
}

#[test]
fn stalwart_on_real_servers() {
    if !is_short() {
        play(&STALWART);
    }
}
