//! The commands that look at the store: `show`, `aside`.

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
use crate::domain::facts::letter::Fate;
use crate::domain::facts::names::{Handle, Moment};
use crate::domain::model::desk::Desk;
use crate::domain::model::incident::{AnchorSet, Incident};
use crate::domain::model::schedule;
use crate::domain::outgoing::texts::columns;
use crate::domain::process::offset::Calendar;
use crate::domain::process::playbook::field::Score;
use crate::edge::sqlite::Sqlite;
use crate::engine::replay;
use crate::error::Fault;
use crate::ports::store::{Alarms as _, Inbox as _, Note};

use super::{Done, json, say};

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

pub(super) fn open_by(config: &Config) -> Result<(Sqlite, Desk), Fault> {
    let store = config.open_store()?;
    let (desk, _) = replay(&store, config.sources.settings.clone())?;
    Ok((store, desk))
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
