//! `embargod check`: everything that can be known before it matters.

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Args;

use crate::config;
use crate::config::{Config, Finding, Level};
use crate::domain::facts::names::{Moment, Span, later};
use crate::domain::model::desk::Desk;
use crate::domain::process::playbook;
use crate::domain::process::playbook::Audience;
use crate::edge::clock::WallClock;
use crate::edge::pgp::Certificate;
use crate::engine::replay;
use crate::error::Fault;
use crate::ports::clock::Clock as _;

use super::login::InStore;
use super::{Done, json, say, trip};

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Print one JSON array.
    #[arg(long)]
    json: bool,
    /// Check each desk of this host.
    #[arg(long, conflicts_with = "json")]
    pub(super) all: bool,
    /// Do not log in to the servers.
    #[arg(long)]
    offline: bool,
    /// Log in, and send no mail to the desk's own address.
    #[arg(long, conflicts_with = "offline")]
    no_mail: bool,
    /// Wait so many seconds for a mail to the desk's own address.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u16,
    /// Let the exit code be 1 for warnings as well.
    #[arg(long)]
    strict: bool,
}

impl Check {
    pub(super) fn run(&self, path: &Path, now: Moment) -> Done {
        let online =
            (!self.offline).then(|| (!self.no_mail).then(|| Duration::from_secs(self.wait.into())));
        let mut findings = looked(path, now, online)?;
        findings.sort_by_key(|finding| finding.level);
        let count = |level| findings.iter().filter(|finding| finding.level == level).count();
        let (wrong, warned) = (count(Level::Wrong), count(Level::Warn));
        if self.json {
            say(&json(&findings)?);
        } else {
            findings.iter().for_each(|finding| say(&finding.to_string()));
            say(&summary(wrong, warned));
        }
        let is_well = wrong == 0 && (warned == 0 || !self.strict);
        Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// What `check` finds with the servers asked, and with a mail where it may wait for one.
pub(super) fn findings_of(
    path: &Path,
    now: Moment,
    wait: Option<Duration>,
) -> Result<Vec<Finding>, Fault> {
    looked(path, now, Some(wait))
}

/// `online` says whether the servers are asked, and how long a mail is waited for.
fn looked(
    path: &Path,
    now: Moment,
    online: Option<Option<Duration>>,
) -> Result<Vec<Finding>, Fault> {
    match config::read(path, now) {
        Ok(config) => look(path, &config, now, online),
        Err(findings) => Ok(findings),
    }
}

fn look(
    path: &Path,
    config: &Config,
    now: Moment,
    online: Option<Option<Duration>>,
) -> Result<Vec<Finding>, Fault> {
    let settings = &config.sources.settings;
    let people = config.sources.roster.people.len();
    let mut findings = vec![
        Finding::ok(
            path.display().to_string(),
            format!("read; {people} people; playbook `{}`", settings.playbook),
        ),
        Finding::ok("the desk's key".to_owned(), settings.fingerprint.spaced()),
    ];
    findings.extend(config.findings.iter().cloned());
    findings.extend(expiries(config, now));
    findings.extend(watchers(config));
    let place = config.store.display().to_string();
    match config.open_store().and_then(|store| replay(&store, settings.clone())) {
        Ok((desk, _)) => {
            let what = format!("opens; journal of {} records", desk.head.number);
            findings.push(Finding::ok(place, what));
            findings.push(forms(config, &desk));
            findings.extend(empty_groups(config, &desk));
        }
        Err(Fault { what, next }) => {
            findings.push(Finding::new(Level::Wrong, place, what, next));
        }
    }
    if let Some(wait) = online {
        if let (Some(giver), Ok(store)) = (&config.oauth, config.open_store()) {
            giver.keep_in(Arc::new(InStore(Mutex::new(store))));
        }
        let is_running = super::run::is_running(&config.store);
        let wait = wait.filter(|_| !is_running);
        findings.extend(trip::findings(config, || WallClock.now(), wait)?);
        if is_running {
            let what =
                "a desk runs and mails itself; `embargod status` says when its mail was back";
            findings.push(Finding::ok("a mail to ourselves", what));
        }
    }
    Ok(findings)
}

fn summary(wrong: usize, warned: usize) -> String {
    let things = |n: usize| if n == 1 { "1 thing".to_owned() } else { format!("{n} things") };
    let is = |n: usize| if n == 1 { "is" } else { "are" };
    match (wrong, warned) {
        (0, 0) => "All is in order. Next: embargod run".to_owned(),
        (0, n) => format!(
            "It can run; {} above {} for you to see to. Next: embargod run",
            things(n),
            is(n)
        ),
        (n, 0) => format!("{} {} wrong.", things(n), is(n)),
        (n, m) => format!("{} {} wrong; {} more {} for you to see to.", things(n), is(n), m, is(m)),
    }
}

/// Who is told how the desk is. Nobody is called: that would say that a desk runs.
fn watchers(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(file) = &config.metrics {
        let place = format!("[metrics] {}", file.display());
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        findings.push(match folder.filter(|folder| !folder.is_dir()) {
            None => Finding::ok(place, "figures are written there once a minute".to_owned()),
            Some(folder) => {
                let what = format!("there is no folder {}", folder.display());
                Finding::new(Level::Wrong, place, what, "make it, or name another file")
            }
        });
    }
    if let Some(beat) = &config.heartbeat {
        let every = beat.every.as_secs();
        let what =
            format!("called every {every} s while a desk runs and is well; not called by `check`");
        findings.push(Finding::ok("[heartbeat]".to_owned(), what));
    }
    findings
}

/// Groups that nobody is in, neither by the config nor by mail.
fn empty_groups(config: &Config, desk: &Desk) -> Vec<Finding> {
    let sources = &config.sources;
    let text = sources.playbooks.get(&sources.settings.playbook);
    let playbook = text.and_then(|text| playbook::load(text, &sources.calendars).ok());
    let mut findings = Vec::new();
    for id in
        playbook.iter().flat_map(|playbook| playbook.groups.keys().map(move |id| (playbook, id)))
    {
        let (playbook, id) = id;
        let audience = Some(Audience::Group(id.clone()));
        let notices = playbook.tasks.iter().filter(|task| task.audience == audience).count();
        let is_empty =
            sources.roster.members(id).next().is_none() && desk.roster.members(id).next().is_none();
        if notices > 0 && is_empty {
            let what = format!(
                "nobody is in the group `{id}`, which gets {notices} notices of playbook `{}`",
                playbook.id
            );
            let next = "`embargod group import FILE`, or let members in by mail; until then they go to nobody";
            findings.push(Finding::new(Level::Note, format!("group `{id}`"), what, next));
        }
    }
    findings
}

/// In which form mails to whom are sealed.
fn forms(config: &Config, desk: &Desk) -> Finding {
    let people = config.sources.roster.people.values();
    let newer = people.filter(|person| {
        let said = desk.limits.reads_newer(&person.fingerprint).unwrap_or(person.seal_newer);
        // A key of version 6, whose fingerprint has 32 bytes, knows no other form (RFC 9580, 5.13.2).
        said || person.fingerprint.as_str().len() == 64
    });
    let newer: Vec<&str> = newer.map(|person| person.id.as_str()).collect();
    let what = match newer.as_slice() {
        [] => "in v1 (SEIPDv1), which every program reads".to_owned(),
        some => {
            format!("in v1 (SEIPDv1), but for {} in v2, where the key says so", some.join(", "))
        }
    };
    Finding::ok("mails are sealed".to_owned(), what)
}

/// Keys that expire within ninety days.
fn expiries(config: &Config, now: Moment) -> Vec<Finding> {
    let soon = later(now, Span::days(90));
    let own = (config.sources.settings.name.clone(), config.sources.settings.certificate.clone());
    let people =
        config.sources.roster.people.values().map(|p| (p.id.to_string(), p.certificate.clone()));
    std::iter::once(own)
        .chain(people)
        .filter_map(|(who, text)| {
            let expires = Certificate::read(text.as_bytes()).ok()?.expires(now)?;
            (expires < soon).then(|| {
                let what = format!("expires on {}", expires.format("%Y-%m-%d"));
                let place = format!("the key of {who}");
                Finding::new(Level::Warn, place, what, "see to a new one in time")
            })
        })
        .collect()
}
