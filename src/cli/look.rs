//! The commands that look at the store: `status`, `show`, `agenda`, `aside`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::config;
use crate::config::Config;
use crate::domain::decide::{delivery_table, relay};
use crate::domain::facts::anchor::{ANCHORS, Anchor};
use crate::domain::facts::event::Delivery;
use crate::domain::facts::heart::{Ailment, Heart};
use crate::domain::facts::letter::Fate;
use crate::domain::facts::names::{Digest, Handle, Moment, Span, later};
use crate::domain::model::desk::Desk;
use crate::domain::model::incident::{AnchorSet, Incident};
use crate::domain::model::schedule;
use crate::domain::outgoing::texts::columns;
use crate::domain::process::offset::Calendar;
use crate::domain::process::playbook::field::Score;
use crate::domain::views::health;
use crate::domain::views::health::Runs;
use crate::edge::pgp::{Certificate, mend_key};
use crate::edge::sqlite::Sqlite;
use crate::edge::wkd;
use crate::engine::{heart_of, replay};
use crate::error::Fault;
use crate::ports::store::{Alarms as _, Counts, Inbox as _, Note};

use super::run::is_running;
use super::{Done, json, say};

/// Arguments of `status`.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Arguments of `show`.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The incident.
    handle: String,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Arguments of `aside`.
#[derive(Debug, Args)]
pub(super) struct Aside {
    /// Try them once more at the next run.
    #[arg(long)]
    retry: bool,
    /// Say that you have seen to mails that were gone before the desk had them.
    #[arg(long, conflicts_with = "retry")]
    seen: bool,
}

pub(super) fn open(path: &Path, now: Moment) -> Result<(Sqlite, Desk), Fault> {
    open_by(&config::read_or_fault(path, now)?)
}

fn open_by(config: &Config) -> Result<(Sqlite, Desk), Fault> {
    let store = config.open_store()?;
    let (desk, _) = replay(&store, config.sources.settings.clone())?;
    Ok((store, desk))
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
        let report = StatusReport {
            incidents_open: desk.open().count(),
            incidents: desk.incidents.len(),
            journal: desk.head.number,
            journal_hash: desk.head.hash,
            next_due: desk.next_due(),
            counts,
            alone_minutes: settings.alone_minutes,
            key_ends,
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

/// How the desk is, in six lines.
fn desk_lines(report: &StatusReport, now: Moment) -> String {
    let Some(heart) = &report.heart else { return "desk       has never run\n".to_owned() };
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
    format!(
        "desk       {runs}; started {}, last wrote {}, version {}\nmailbox    {folders}; last mail in {}; own mail back {}\nserver     last took a mail {}; {} MiB of disk are left\nclock      {clock}\nwitness    {witness}\nkey        {key}\n",
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

/// The incident that a person means: by its handle, or by a part of it that only one has.
pub(super) fn find<'a>(desk: &'a Desk, typed: &str) -> Result<&'a Incident, Fault> {
    if let Some(incident) = Handle::parse(typed).and_then(|handle| desk.incident(&handle)) {
        return Ok(incident);
    }
    let part = typed.trim().to_ascii_uppercase();
    let is_meant =
        |incident: &&Incident| !part.is_empty() && incident.handle.as_str().contains(&part);
    let found: Vec<&Incident> = desk.all().filter(is_meant).collect();
    match found.as_slice() {
        [only] => Ok(only),
        [] => Err(Fault::new(
            format!("there is no incident `{typed}`"),
            "run `embargod list --all` to see which there are",
        )),
        several => {
            let shown: Vec<&str> =
                several.iter().take(5).map(|incident| incident.handle.as_str()).collect();
            let more = if several.len() > shown.len() { ", ..." } else { "" };
            let what = format!("`{typed}` is a part of {} handles", several.len());
            Err(Fault::new(what, format!("write more of it: {}{more}", shown.join(", "))))
        }
    }
}

#[derive(Serialize)]
struct ShowReport<'a> {
    handle: &'a Handle,
    status: &'static str,
    title: Option<&'a str>,
    opened: Moment,
    human_answer_due: Moment,
    answered: Option<Moment>,
    /// Since when it is known that the acknowledgement did not arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledgement_lost: Option<Moment>,
    lead: Option<&'a str>,
    deputy: Option<&'a str>,
    asked_to_lead: Option<&'a str>,
    joined: Vec<&'a str>,
    left: Vec<&'a str>,
    goes_on_as: Option<&'a Handle>,
    see_also: Vec<&'a Handle>,
    known_public: Option<Moment>,
    exploited: Option<Moment>,
    severity: Option<String>,
    vector: Option<&'a str>,
    cve: Vec<&'a str>,
    t: Option<Moment>,
    anchors: Vec<AnchorReport>,
    history: Vec<AnchorReport>,
    playbook: String,
    batch: Option<&'a str>,
    branches: Vec<&'a str>,
    published: Option<Moment>,
    fields: &'a std::collections::BTreeMap<String, String>,
    notices: Vec<NoticeReport>,
    letters: usize,
}

#[derive(Serialize)]
struct NoticeReport {
    notice: String,
    number: u32,
    released: Moment,
    late: bool,
    copies: Vec<CopyReport>,
}

#[derive(Serialize)]
struct CopyReport {
    who: String,
    delivery: Delivery,
    state: String,
    since: Moment,
    server_said: String,
    report: Option<Fate>,
    received: Option<Moment>,
    ready: Option<Moment>,
}

impl Show {
    pub(super) fn run(&self, path: &Path, now: Moment) -> Done {
        let (_, desk) = open(path, now)?;
        let incident = find(&desk, &self.handle)?;
        let report = ShowReport {
            handle: &incident.handle,
            status: incident.status.word(),
            title: incident.title.as_deref(),
            opened: incident.opened,
            human_answer_due: schedule::human_due(incident),
            answered: incident.answered,
            acknowledgement_lost: incident.reporter.unreached.as_ref().map(|(at, _)| *at),
            lead: incident.lead.as_ref().map(|lead| lead.as_str()),
            deputy: incident.deputy.as_ref().map(|deputy| deputy.as_str()),
            asked_to_lead: incident.offer.as_ref().map(|offer| offer.to.as_str()),
            joined: incident.joined.keys().map(|id| id.as_str()).collect(),
            left: incident.left.iter().map(|id| id.as_str()).collect(),
            goes_on_as: incident.same_as.as_ref(),
            see_also: incident.linked.keys().collect(),
            known_public: incident.known_public(),
            exploited: incident.exploited(),
            severity: incident.score.as_ref().map(Score::say),
            vector: incident.score.as_ref().map(|score| score.vector.as_str()),
            cve: incident.cves.iter().map(String::as_str).collect(),
            t: incident.t(),
            anchors: anchors(incident),
            history: history(incident),
            playbook: format!("{} v{}", incident.playbook.id, incident.playbook.version),
            batch: incident.batch.as_deref(),
            branches: incident.branches().map(|branch| branch.title.as_str()).collect(),
            published: incident.published(),
            fields: &incident.fields,
            notices: notices(&desk, incident),
            letters: incident.letters.len(),
        };
        say(&if self.json { json(&report)? } else { shown(&report, &desk) });
        Ok(ExitCode::SUCCESS)
    }
}

/// An anchor, or a change of one.
#[derive(Serialize)]
struct AnchorReport {
    anchor: String,
    /// Whether it is a plan, which can move, or a fact.
    planned: bool,
    moment: Option<Moment>,
    /// When it was said, and by whom; only in the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    said: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
}

/// Every anchor that is known.
fn anchors(incident: &Incident) -> Vec<AnchorReport> {
    let known = ANCHORS.iter().filter_map(|(name, anchor, _)| {
        // Two names of one anchor stand once.
        let first = anchor.to_string() == *name;
        Some((anchor, incident.anchor(*anchor).filter(|_| first)?))
    });
    let report = |(anchor, moment): (&Anchor, Moment)| AnchorReport {
        anchor: anchor.to_string(),
        planned: anchor.is_planned(),
        moment: Some(moment),
        said: None,
        by: None,
    };
    known.map(report).collect()
}

fn history(incident: &Incident) -> Vec<AnchorReport> {
    let report = |change: &AnchorSet| AnchorReport {
        anchor: change.anchor.to_string(),
        planned: change.anchor.is_planned(),
        moment: change.moment,
        said: Some(change.at),
        by: change.by.as_ref().map(ToString::to_string),
    };
    incident.anchor_changes.iter().map(report).collect()
}

fn notices(desk: &Desk, incident: &Incident) -> Vec<NoticeReport> {
    let mut list = Vec::new();
    for (id, notice) in &incident.notices {
        for (number, release) in &notice.releases {
            let who = |to| relay::who(desk, to);
            list.push(NoticeReport {
                notice: id.to_string(),
                number: *number,
                released: release.at,
                late: release.late,
                copies: release
                    .copies
                    .iter()
                    .map(|(to, entry)| CopyReport {
                        who: who(to),
                        delivery: entry.delivery,
                        state: delivery_table::state(entry),
                        since: entry.since,
                        server_said: entry.reply.clone(),
                        report: entry.report.as_ref().map(|(_, fate, _)| *fate),
                        received: entry.received,
                        ready: entry.ready,
                    })
                    .collect(),
            });
        }
    }
    list
}

/// Who got which notice, and how far it came.
fn notices_shown(notices: &[NoticeReport], calendar: &Calendar) -> String {
    let mut out = String::new();
    for notice in notices {
        let late = if notice.late { "  LATE" } else { "" };
        let _ = writeln!(
            out,
            "  notice {}@{}  {}{late}",
            notice.notice,
            notice.number,
            calendar.say(notice.released)
        );
        for copy in &notice.copies {
            let _ = writeln!(out, "    {:<37}{}", copy.who, copy.state);
        }
    }
    out
}

fn shown(report: &ShowReport<'_>, desk: &Desk) -> String {
    let calendar = Calendar::plain(desk.settings.zone);
    let when = |at: Option<Moment>| at.map_or_else(|| "-".to_owned(), |at| calendar.say(at));
    let mut out =
        format!("{}  {}  {}\n", report.handle, report.status, report.title.unwrap_or("(no title)"));
    let rows = [
        ("opened", when(Some(report.opened))),
        (
            "answered",
            match report.answered {
                Some(at) => calendar.say(at),
                None => format!("no; owed by {}", calendar.say(report.human_answer_due)),
            },
        ),
        (
            "reporter",
            match report.acknowledgement_lost {
                Some(at) => format!("the acknowledgement did not arrive ({})", calendar.say(at)),
                None => "no mail to them came back".to_owned(),
            },
        ),
        ("lead", report.lead.unwrap_or("-").to_owned()),
        ("deputy", report.deputy.unwrap_or("-").to_owned()),
        ("severity", report.severity.clone().unwrap_or_else(|| "-".to_owned())),
        ("CVE", if report.cve.is_empty() { "-".to_owned() } else { report.cve.join(", ") }),
        ("T", when(report.t)),
        ("published", when(report.published)),
        (
            "known outside",
            report.known_public.map_or_else(|| "no".to_owned(), |at| calendar.say(at)),
        ),
        (
            "exploited",
            report.exploited.map_or_else(|| "not known".to_owned(), |at| calendar.say(at)),
        ),
        ("letters", report.letters.to_string()),
    ];
    out.push_str(&columns(rows));
    for change in &report.history {
        let by = change.by.as_deref().unwrap_or("the desk");
        let moment = change.moment.map_or_else(|| "taken back".to_owned(), |at| calendar.say(at));
        let said = change.said.map_or_else(String::new, |at| calendar.say(at));
        let _ = writeln!(out, "  {:<19} {moment}  ({by}, {said})", change.anchor);
    }
    let handles: Vec<&str> = report.see_also.iter().map(|handle| handle.as_str()).collect();
    let more = [
        ("playbook", report.playbook.clone()),
        ("release", report.batch.unwrap_or("").to_owned()),
        ("branches", report.branches.join(" ")),
        ("asked", report.asked_to_lead.unwrap_or("").to_owned()),
        ("joined", report.joined.join(", ")),
        ("left", report.left.join(", ")),
        ("goes on", report.goes_on_as.map_or_else(String::new, ToString::to_string)),
        ("see also", handles.join(", ")),
    ];
    out.push_str(&columns(more.into_iter().filter(|(_, value)| !value.is_empty())));
    let fields = report.fields.iter().map(|(field, value)| (field.as_str(), value.clone()));
    out.push_str(&columns(fields));
    out.push_str(&notices_shown(&report.notices, &calendar));
    out
}

impl Aside {
    pub(super) fn run(&self, path: &Path, now: Moment) -> Done {
        let (mut store, _) = open(path, now)?;
        if self.seen {
            store.set_note(Note::MissedSeen, Some("seen"))?;
            say("Written down; the running desk hears it within a minute.");
        } else if self.retry {
            let count = store.retry_aside()?;
            say(&format!("{count} mails are tried once more."));
        } else {
            let troubles = store.troubles()?;
            say(&format!("{} mails are set aside.", store.counts()?.inbox_aside));
            for (at, why) in &troubles {
                say(&format!(
                    "  the server does not hand out number {} of {}: {why}",
                    at.uid, at.folder
                ));
            }
            if !troubles.is_empty() {
                say(
                    "Look at them with a mail program; `embargod aside --retry` tries them again now.",
                );
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
