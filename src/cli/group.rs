//! `embargod group`: who is in the groups, on the operator's word.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use crate::config;
use crate::domain::facts::event::Event;
use crate::domain::facts::member_fact::MemberFact;
use crate::domain::facts::names::{Address, Moment, PersonId};
use crate::domain::model::desk::Desk;
use crate::domain::model::member::Member;
use crate::domain::model::roster::Person;
use crate::domain::outgoing::texts::clean_line;
use crate::domain::views::history;
use crate::edge::SystemEntropy;
use crate::edge::clock::WallClock;
use crate::edge::files;
use crate::edge::pgp::Certificate;
use crate::engine::Engine;
use crate::error::{Fault, Place};
use crate::ports::store;
use crate::ports::store::Journal;

use super::{Done, json, say};

/// Arguments of `group`.
#[derive(Debug, Args)]
pub(super) struct Group {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the members of the groups.
    List {
        /// Only this group.
        group: Option<String>,
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Show what is known of a member, and its history.
    Show {
        /// The member's id.
        who: String,
    },
    /// Put members in from a file, as `export` writes it; the desk must not be running.
    Import {
        /// The file; certificates stand in it, or are named by a path beside it.
        file: PathBuf,
    },
    /// Print all members as TOML.
    Export,
    /// Let somebody get nothing for now; the desk must not be running.
    Suspend {
        /// The member's id.
        who: String,
        /// Why.
        reason: String,
    },
    /// Let somebody in again; the desk must not be running.
    Reinstate {
        /// The member's id.
        who: String,
    },
    /// Take somebody out of every group; the desk must not be running.
    Remove {
        /// The member's id.
        who: String,
        /// Why.
        reason: String,
    },
}

/// A member in a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    name: String,
    address: String,
    groups: Vec<String>,
    /// A path, relative to the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<PathBuf>,
    /// The certificate itself, armored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    member: Vec<Row>,
}

impl Group {
    pub(super) fn run(&self, path: &Path, now: Moment) -> Done {
        match &self.what {
            What::List { group, json } => list(path, now, group.as_deref(), *json),
            What::Show { who } => show(path, now, who),
            What::Import { file } => import(path, now, file),
            What::Export => export(path, now),
            What::Suspend { reason, .. } | What::Remove { reason, .. }
                if reason.trim().is_empty() =>
            {
                Err(Fault::new("a reason is missing", "say why: it is kept, and the team reads it"))
            }
            What::Suspend { who, reason } => {
                let fact = MemberFact::Suspended { reason: clean_line(reason, 300) };
                order(path, now, who, fact, |member| match member.suspended {
                    None => Ok(()),
                    Some(_) => Err("is suspended already"),
                })
            }
            What::Reinstate { who } => {
                order(path, now, who, MemberFact::Reinstated { seconded: None }, |member| {
                    match member.suspended {
                        Some(_) => Ok(()),
                        None => Err("is not suspended"),
                    }
                })
            }
            What::Remove { who, reason } => {
                let fact = MemberFact::Removed { group: None, reason: clean_line(reason, 300) };
                order(path, now, who, fact, |_| Ok(()))
            }
        }
    }
}

fn start(path: &Path, now: Moment) -> Result<(Engine, std::fs::File), Fault> {
    let config = config::read_or_fault(path, now)?;
    let only_one = super::run::only_one(&config.store).map_err(|fault| {
        let next = "stop it first, or steer by mail: `/member`";
        Fault::new(fault.what, next)
    })?;
    let store = config.open_store_alone()?;
    let keyring = config::keyring(&config, store.secrets()?.session_salt, now)?;
    let clock = Box::new(WallClock);
    Ok((
        Engine::start(Box::new(store), keyring, &config.sources, clock, Box::new(SystemEntropy))?,
        only_one,
    ))
}

fn find<'a>(desk: &'a Desk, who: &str) -> Result<&'a Member, Fault> {
    let found = PersonId::parse(who).and_then(|id| desk.members.get(&id));
    found.ok_or_else(|| {
        Fault::new(format!("there is no member `{who}`"), "run `embargod group list` to see them")
    })
}

fn order(
    path: &Path,
    now: Moment,
    who: &str,
    fact: MemberFact,
    fits: impl Fn(&Member) -> Result<(), &'static str>,
) -> Done {
    let (mut engine, _only_one) = start(path, now)?;
    let member = find(engine.desk(), who)?;
    if member.removed.is_some() {
        return Err(Fault::new(format!("`{who}` is in no group any more"), ""));
    }
    fits(member).map_err(|why| Fault::new(format!("`{who}` {why}"), ""))?;
    let id = member.id.clone();
    let words = fact.words();
    engine.order(&id, fact)?;
    say(&format!("{id} {words}. The team is told when the desk runs."));
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Line<'a> {
    group: &'a str,
    id: &'a str,
    name: &'a str,
    address: &'a str,
    standing: &'static str,
    fingerprint: Option<&'a str>,
    key_usable_until: Option<String>,
    terms_accepted: Option<Moment>,
    imported: Option<&'a str>,
}

/// Until when a key can be used, in words: read from the certificate, since no engine runs.
fn key_words(member: &Member, now: Moment) -> Option<String> {
    let key = member.keys.first()?;
    let facts = Certificate::read(key.certificate.as_bytes()).ok()?.facts(now);
    Some(match facts.usable_until(now) {
        None => "for ever".to_owned(),
        Some(until) if until <= now => "NOT USABLE".to_owned(),
        Some(until) => until.format("%Y-%m-%d").to_string(),
    })
}

fn list(path: &Path, now: Moment, only: Option<&str>, as_json: bool) -> Done {
    let (_, desk) = super::look::open(path, now)?;
    let mut lines = Vec::new();
    for group in desk.group_names() {
        if only.is_some_and(|only| only != group) {
            continue;
        }
        let rules = desk.group(group);
        let members = desk.members.iter().filter(|member| member.groups.contains_key(group));
        lines.extend(members.map(|member| Line {
            group,
            id: member.id.as_str(),
            name: &member.name,
            address: member.address.as_str(),
            standing: member.standing(group, rules).word(),
            fingerprint: member.keys.first().map(|key| key.fingerprint.as_str()),
            key_usable_until: key_words(member, now),
            terms_accepted: member.terms.map(|(at, _)| at),
            imported: member.imported.as_deref(),
        }));
    }
    if as_json {
        say(&json(&lines)?);
        return Ok(ExitCode::SUCCESS);
    }
    if let (Some(only), true) = (only, lines.is_empty())
        && !desk.group_names().contains(&only)
    {
        let names = desk.group_names().join(", ");
        return Err(Fault::new(
            format!("there is no group `{only}`"),
            format!("write one of {names}"),
        ));
    }
    let mut out = String::new();
    for Line { group, id, name, standing, key_usable_until, .. } in &lines {
        let key = key_usable_until.as_deref().unwrap_or("no key");
        let _ = writeln!(out, "{group:<22}{id:<16}{standing:<16}key {key:<12}{name}");
    }
    say(if out.is_empty() { "no members" } else { &out });
    Ok(ExitCode::SUCCESS)
}

fn show(path: &Path, now: Moment, who: &str) -> Done {
    let (store, desk) = super::look::open(path, now)?;
    let member = find(&desk, who)?;
    let mut out = format!("{}  {}  {}\n", member.id, member.name, member.address);
    for key in &member.keys {
        let _ = writeln!(out, "  key      {}", key.fingerprint.spaced());
    }
    for group in member.groups.keys() {
        let standing = member.standing(group, desk.group(group)).word();
        let _ = writeln!(out, "  {group}: {standing}");
    }
    out.push_str("\nHistory\n");
    store::read_journal(&store, |record, _| {
        if matches!(&record.event, Event::Member { member: id, .. } if *id == member.id) {
            let line = history::line(&record).unwrap_or_default();
            let cause =
                record.cause.map_or_else(String::new, |raw| format!("  mail {}", raw.short()));
            let _ = writeln!(out, "{line}{cause}");
        }
    })?;
    say(&out);
    Ok(ExitCode::SUCCESS)
}

fn export(path: &Path, now: Moment) -> Done {
    let (_, desk) = super::look::open(path, now)?;
    let member = desk
        .members
        .iter()
        .filter(|member| !member.active_groups().is_empty())
        .map(|member| Row {
            id: member.id.to_string(),
            name: member.name.clone(),
            address: member.address.to_string(),
            groups: member.active_groups().into_iter().collect(),
            certificate: None,
            key: member.keys.first().map(|key| key.certificate.clone()),
        })
        .collect();
    let left_out: Vec<&str> = desk
        .members
        .iter()
        .filter(|member| member.removed.is_none() && member.active_groups().is_empty())
        .map(|member| member.id.as_str())
        .collect();
    if !left_out.is_empty() {
        // A comment: an import would let them in, whom nobody has let in here.
        say(&format!("# Not active, and left out: {}", left_out.join(", ")));
    }
    say(&toml::to_string(&File { member }).at(|| "writing TOML".to_owned())?);
    Ok(ExitCode::SUCCESS)
}

fn import(path: &Path, now: Moment, file: &Path) -> Done {
    let (mut engine, _only_one) = start(path, now)?;
    let text = files::text(file)?;
    let rows: File = toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| {
            text.bytes().take(span.start).filter(|b| *b == b'\n').count().saturating_add(1)
        });
        let next = "compare with what `embargod group export` writes";
        Fault::new(format!("{}:{line}: {}", file.display(), error.message()), next)
    })?;
    if rows.member.is_empty() {
        return Err(Fault::new(
            format!("{} names nobody", file.display()),
            "write a [[member]] for each, as `embargod group export` does",
        ));
    }
    // All or nothing: a list that is half there would be taken for the whole.
    let mut people: Vec<Person> = Vec::new();
    let mut problems = Vec::new();
    for row in &rows.member {
        match person(engine.desk(), &people, row, file, now) {
            Ok(person) => people.push(person),
            Err(why) => problems.push(format!("  `{}`: {why}", row.id)),
        }
    }
    if !problems.is_empty() {
        return Err(Fault::new(
            format!("{}: nobody was put in:\n{}", file.display(), problems.join("\n")),
            "mend these, and run it again",
        ));
    }
    let source =
        file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    engine.import(&people, &format!("import of {}", clean_line(&source, 60)))?;
    say(&format!("{} members are in. The team is told when the desk runs.", people.len()));
    Ok(ExitCode::SUCCESS)
}

fn person(
    desk: &Desk,
    others: &[Person],
    row: &Row,
    file: &Path,
    now: Moment,
) -> Result<Person, String> {
    let id = PersonId::parse(&row.id).ok_or("it is no id")?;
    let address = Address::parse(&row.address)
        .ok_or_else(|| format!("`{}` is no mail address", row.address))?;
    let bytes = match (&row.certificate, &row.key) {
        (None, Some(key)) => key.clone().into_bytes(),
        (Some(path), None) => {
            let path = file.parent().map_or_else(|| path.clone(), |folder| folder.join(path));
            files::read(&path).map_err(|fault| fault.line())?
        }
        _ => return Err("give `certificate` (a file) or `key` (its text)".to_owned()),
    };
    let certificate = Certificate::read(&bytes)?;
    certificate.check(now)?;
    let fingerprint = certificate.fingerprint();
    if desk.is_reserved(&id) {
        return Err("its id is a word of the desk, or names a group or a role".to_owned());
    }
    if desk.is_own_address(&address) || desk.settings.fingerprint == fingerprint {
        return Err("it has the desk's own address or key".to_owned());
    }
    if bytes.windows(22).any(|part| part == b"BEGIN PGP PRIVATE KEY ") {
        return Err("its file holds a SECRET key; export the certificate alone".to_owned());
    }
    if desk.revocation(&fingerprint).is_some() {
        return Err("its key was revoked, also where this copy does not say so".to_owned());
    }
    if let Some(holder) = desk.members.lost_by(&fingerprint) {
        return Err(format!("its key was `{holder}`'s, and is not to be trusted any more"));
    }
    if desk.members.was_another(&id, &fingerprint) {
        return Err("its id was somebody's with another key, who was removed".to_owned());
    }
    let groups = groups(desk, others, row)?;
    if desk.roster.person(&id).is_some_and(Person::is_maintainer) {
        return Err("the config gives this id a role; give the member another".to_owned());
    }
    let known = desk.members.get(&id).filter(|member| member.removed.is_none());
    if known.is_some() {
        return Err("is a member already; by mail they get another key or group".to_owned());
    }
    for other in desk.roster.people.values().chain(others) {
        if other.id == id {
            return Err("stands there twice".to_owned());
        }
        if other.fingerprints().any(|known| *known == fingerprint) {
            return Err(format!("has the same key as `{}`", other.id));
        }
        if other.address.same_box(&address) {
            return Err(format!("has the same address as `{}`", other.id));
        }
    }
    Ok(Person {
        id,
        name: clean_line(&row.name, 80),
        address,
        fingerprint,
        certificate: certificate.armored(),
        roles: BTreeSet::new(),
        groups,
        seal_newer: false,
        further: Vec::new(),
    })
}

/// The groups of a row, each of them known and with room.
fn groups(desk: &Desk, others: &[Person], row: &Row) -> Result<BTreeSet<String>, String> {
    let groups: BTreeSet<String> = row.groups.iter().cloned().collect();
    let unknown = groups.iter().find(|group| desk.group(group).is_none());
    if let Some(unknown) = unknown {
        return Err(format!("no playbook has the group `{unknown}`"));
    }
    if groups.is_empty() {
        return Err("it is in no group".to_owned());
    }
    for group in &groups {
        let full = desk.group(group).and_then(|rules| rules.cap);
        let new = others.iter().filter(|other| other.groups.contains(group)).count();
        if full.is_some_and(|cap| desk.members.places(group).saturating_add(new) >= cap) {
            return Err(format!("the group `{group}` is full"));
        }
    }
    Ok(groups)
}
