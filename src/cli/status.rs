//! `embargod status`: how the desk stands, and what needs its operator.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::config;
use crate::config::Config;
use crate::domain::facts::heart::{Ailment, Heart};
use crate::domain::facts::names::{Digest, Moment, Span, later};
use crate::domain::model::desk::Desk;
use crate::domain::model::incident::Incident;
use crate::domain::model::schedule;
use crate::domain::process::offset::Calendar;
use crate::domain::views::health;
use crate::domain::views::health::Runs;
use crate::edge::pgp::{Certificate, mend_key};
use crate::edge::wkd;
use crate::engine::heart_of;
use crate::ports::store::{Alarms as _, Counts, Note};

use super::look::open_by;
use super::run::is_running;
use super::{Done, json, say};

/// Arguments of `status`.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Show each desk of this host.
    #[arg(long, conflicts_with = "json")]
    pub(super) all: bool,
}

#[derive(Serialize)]
struct StatusReport {
    incidents_open: usize,
    incidents: usize,
    journal: u64,
    journal_hash: Digest,
    next_due: Option<Moment>,
    #[serde(flatten)]
    counts: Counts,
    /// Minutes that a desk with one maintainer waits where others ask a second person.
    #[serde(skip_serializing_if = "Option::is_none")]
    alone_minutes: Option<u32>,
    /// Until when the desk's own key signs and is sealed to; without an end none.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_ends: Option<Moment>,
    /// When the last backup was begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    backed_up: Option<Moment>,
    /// Whether a desk runs.
    runs: bool,
    /// How it was when it last wrote that down.
    #[serde(skip_serializing_if = "Option::is_none")]
    heart: Option<Heart>,
    /// What is wrong with it: what, since when, what to do.
    troubles: Vec<TroubleReport>,
    /// All that needs the operator, in words.
    alarms: Vec<String>,
}

#[derive(Serialize)]
struct TroubleReport {
    what: &'static str,
    since: Moment,
    words: String,
    next: &'static str,
}

/// So many incidents are shown, those first that have something due soonest; and so many of one kind of alarm.
const INCIDENTS_SHOWN: usize = 12;
const ALARMS_SHOWN: usize = 5;
/// A week's backup may be a day late.
const BACKUP_OLD: Span = Span::days(8);

impl Status {
    pub(super) fn run(&self, path: &Path, now: Moment) -> Done {
        let config = config::read_or_fault(path, now)?;
        let (store, desk) = open_by(&config)?;
        let counts = store.counts()?;
        let heart = heart_of(&store)?;
        let is_running = is_running(&config.store);
        let runs = if is_running { Runs::Yes } else { Runs::No };
        let troubles = health::troubles(heart.as_ref(), runs, now);
        let mut alarms: Vec<String> =
            troubles.iter().map(|trouble| format!("{}; {}", trouble.what, trouble.next)).collect();
        let mut alarm = |count: u64, what: &str| {
            if count > 0 {
                alarms.push(format!("{count} {what}"));
            }
        };
        alarm(
            counts.inbox_aside,
            "mails were set aside; look at them and run `embargod aside --retry`",
        );
        alarm(counts.outbox_dead, "mails were refused for good; `embargod outbox list` shows them");
        alarm(
            counts.outbox_unknown,
            "mails may or may not have left; `embargod outbox list` shows them",
        );
        alarms.extend(unanswered(&desk, if self.json { usize::MAX } else { ALARMS_SHOWN }, now));
        let settings = &config.sources.settings;
        let key_ends = key_end(&settings.certificate, now);
        alarms.extend(about_keys(&config, key_ends, now));
        let backed_up = store.note(Note::BackedUp)?.and_then(|at| at.parse().ok());
        alarms.extend(old_backup(backed_up, now));
        let report = StatusReport {
            incidents_open: desk.open().count(),
            incidents: desk.incidents.len(),
            journal: desk.head.number,
            journal_hash: desk.head.hash,
            next_due: desk.next_due(),
            counts,
            alone_minutes: settings.alone_minutes,
            key_ends,
            backed_up,
            runs: is_running,
            heart,
            troubles: troubles
                .into_iter()
                .map(|trouble| TroubleReport {
                    what: trouble.ailment.name(),
                    since: trouble.since,
                    words: trouble.what,
                    next: trouble.next,
                })
                .collect(),
            alarms,
        };
        if self.json {
            say(&json(&report)?);
        } else {
            say(&text(&report, &desk, now));
        }
        Ok(if report.alarms.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Who has had no answer by a person in time; so many by name at most.
fn unanswered(desk: &Desk, most: usize, now: Moment) -> Vec<String> {
    let late =
        |incident: &&Incident| incident.answered.is_none() && schedule::human_due(incident) < now;
    let waiting = desk.open().filter(late).filter(|incident| incident.waits).count();
    let mut alarms = Vec::new();
    if waiting > 0 {
        alarms.push(format!(
            "{waiting} reports in clear have had no answer by a person in time; the digest lists them"
        ));
    }
    let mut others = desk.open().filter(late).filter(|incident| !incident.waits);
    let shown = others.by_ref().take(most);
    alarms.extend(shown.map(|it| format!("{} has had no answer by a person in time", it.handle)));
    let more = others.count();
    if more > 0 {
        alarms.push(format!(
            "{more} more incidents have had none; `embargod status --json` names them"
        ));
    }
    alarms
}

/// What is wrong with the keys: as published, of the people, and the desk's own.
fn about_keys(config: &Config, key_ends: Option<Moment>, now: Moment) -> Vec<String> {
    let (settings, mut alarms) = (&config.sources.settings, Vec::new());
    if let Some(folder) = &config.publish
        && let Ok(own) = Certificate::read(settings.certificate.as_bytes())
        && let Some(trouble) = wkd::trouble(folder, &settings.address, &own, now)
    {
        alarms.push(format!("{trouble}; run `embargod key publish`"));
    }
    for person in config.sources.roster.people.values().filter(|who| who.is_maintainer()) {
        if let Ok(certificate) = Certificate::read(person.certificate.as_bytes())
            && let Err(why) = certificate.check(now)
        {
            let (id, next) = (&person.id, mend_key(&why));
            alarms.push(format!(
                "nothing can be sealed to {id}, who reads nothing here: {why}; {next}"
            ));
        }
    }
    alarms.extend(key_ends.filter(|end| *end < later(now, Span::days(30))).map(|end| {
        format!("the desk's own key ends on {}; run `embargod key rotate`", end.format("%Y-%m-%d"))
    }));
    alarms
}

/// Backups that were taken once are missed when they are not taken any more.
fn old_backup(at: Option<Moment>, now: Moment) -> Option<String> {
    let at = at.filter(|at| later(*at, BACKUP_OLD) < now)?;
    let day = at.format("%Y-%m-%d");
    Some(format!("the last backup is of {day}; run `embargod backup`, and look at its timer"))
}

/// When the desk's own key ends: for signing or for being sealed to.
fn key_end(certificate: &str, now: Moment) -> Option<Moment> {
    let certificate = Certificate::read(certificate.as_bytes()).ok()?;
    let signs = certificate.signing(now).map_or(Some(now), |key| key.end());
    signs.into_iter().chain(certificate.facts(now).usable_until(now)).min()
}

/// How long ago something was.
fn ago(at: Option<Moment>, now: Moment) -> String {
    let Some(at) = at else { return "never".to_owned() };
    let seconds = now.signed_duration_since(at).num_seconds().max(0);
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

fn backup(report: &StatusReport, now: Moment) -> String {
    match report.backed_up {
        None => "none was ever taken; `embargod backup` takes one".to_owned(),
        at => format!("taken {}", ago(at, now)),
    }
}

/// How the desk is, in seven lines.
fn desk_lines(report: &StatusReport, now: Moment) -> String {
    let Some(heart) = &report.heart else {
        return format!("desk       has never run\nbackup     {}\n", backup(report, now));
    };
    let runs = if report.runs { "runs" } else { "does NOT run" };
    let folders: Vec<String> = heart
        .folders
        .iter()
        .map(|(name, look)| format!("{name} looked at {}", ago(look.ended, now)))
        .collect();
    let folders = if folders.is_empty() { "not looked at".to_owned() } else { folders.join(", ") };
    let is_down = |ailment: Ailment| heart.down.contains_key(&ailment);
    let clock = match heart.sure {
        _ if is_down(Ailment::Clock) => "NOT believed; notices are held".to_owned(),
        None => "believed".to_owned(),
        Some(sure) => format!("believed; last sure {}", ago(Some(sure), now)),
    };
    let witness = if is_down(Ailment::Witness) || is_down(Ailment::RolledBack) {
        "does NOT say that the database is the newest"
    } else if is_down(Ailment::Unwitnessed) {
        "cannot be written"
    } else {
        "says that the database is the newest"
    };
    let key = report.key_ends.map_or_else(
        || "without an end".to_owned(),
        |end| format!("holds until {}", end.format("%Y-%m-%d")),
    );
    let backup = backup(report, now);
    format!(
        "desk       {runs}; started {}, last wrote {}, version {}\nmailbox    {folders}; last mail in {}; own mail back {}\nserver     last took a mail {}; {} MiB of disk are left\nclock      {clock}\nwitness    {witness}\nkey        {key}\nbackup     {backup}\n",
        ago(heart.started, now),
        ago(heart.beat, now),
        heart.version,
        ago(heart.last_in, now),
        ago(heart.probe, now),
        ago(heart.last_out, now),
        heart.room / (1024 * 1024),
    )
}

fn text(report: &StatusReport, desk: &Desk, now: Moment) -> String {
    let calendar = Calendar::plain(desk.settings.zone);
    let next = report.next_due.map_or_else(|| "nothing".to_owned(), |at| calendar.say(at));
    let mut out = desk_lines(report, now);
    let _ = write!(
        out,
        "incidents  {} open, {} in all\ninbox      {} waiting, {} set aside\noutbox     {} waiting, {} refused, {} unknown\njournal    {} records, {}\nnext due   {next}\n",
        report.incidents_open,
        report.incidents,
        report.counts.inbox_waiting,
        report.counts.inbox_aside,
        report.counts.outbox_waiting,
        report.counts.outbox_dead,
        report.counts.outbox_unknown,
        report.journal,
        report.journal_hash.short(),
    );
    let mut soonest = desk.soonest();
    for incident in soonest.by_ref().take(INCIDENTS_SHOWN) {
        let t = incident.t().map_or_else(|| "no T".to_owned(), |t| calendar.say(t));
        let _ = writeln!(out, "  {}  {:<9} {t}", incident.handle, incident.status.word());
    }
    let more = soonest.count();
    if more > 0 {
        let _ = writeln!(
            out,
            "  and {more} more, with less to do soon; `embargod agenda --all` shows them"
        );
    }
    if let Some(minutes) = report.alone_minutes {
        let _ = writeln!(
            out,
            "alone      one key does what elsewhere takes two people, after {minutes} minutes; `/hold ALL` stops it"
        );
    }
    for alarm in &report.alarms {
        let _ = writeln!(out, "ALARM      {alarm}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backups_that_were_taken_once_are_missed_after_a_week() {
        let now: Moment = "2026-12-20T12:00:00Z".parse().unwrap();
        let said = |days| old_backup(Some(later(now, -Span::days(days))), now);
        assert_eq!(old_backup(None, now), None, "nobody has begun with them");
        assert_eq!(said(8), None);
        assert!(said(9).unwrap().contains("the last backup is of 2026-12-11"));
    }
}
