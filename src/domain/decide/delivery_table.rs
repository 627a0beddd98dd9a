//! The ledger for people: who has which notice, how surely, and what they said.

use crate::domain::decide::relay;
use crate::domain::facts::event::{Delivery, Recipient};
use crate::domain::facts::letter::Fate;
use crate::domain::facts::names::{Moment, TaskId};
use crate::domain::model::desk::Desk;
use crate::domain::model::incident::{Entry, Incident};

/// A line of the ledger as people read it.
#[derive(Debug, Clone)]
pub struct Line {
    /// Who.
    pub to: Recipient,
    /// What people call them.
    pub name: String,
    /// The number of the notice that they have.
    pub number: u32,
    /// How it stands.
    pub entry: Entry,
}

/// The ledger of one notice, by the names of its recipients.
#[must_use]
pub fn of(desk: &Desk, incident: &Incident, notice: &TaskId) -> Vec<Line> {
    let mut lines: Vec<Line> = incident
        .ledger(notice)
        .into_iter()
        .map(|(to, (number, entry))| Line { name: relay::who_in(desk, &to, 36), to, number, entry })
        .collect();
    lines.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.to.cmp(&b.to)));
    lines
}

/// How surely somebody has a notice: what they signed counts most, a delivery report is only
/// evidence, and a server that took it may have lost it.
#[must_use]
pub fn state(entry: &Entry) -> String {
    if entry.ready.is_some() {
        return "READY, by their word".to_owned();
    }
    if entry.received.is_some() {
        return "received, by their word".to_owned();
    }
    match (entry.delivery, &entry.report) {
        (Delivery::Queued, _) => "on its way".to_owned(),
        (Delivery::Dead, _) => "REFUSED by the mail server".to_owned(),
        (Delivery::Withheld, _) => "WITHHELD: no usable key".to_owned(),
        (Delivery::Withdrawn, _) => "withdrawn before it left".to_owned(),
        (_, Some((_, Fate::Failed, status))) => with("BOUNCED, no word", status),
        (_, Some((_, Fate::Delayed, status))) => with("delayed, no word", status),
        (_, Some((_, Fate::Delivered, _))) => "delivered, no word".to_owned(),
        (_, Some((_, Fate::Relayed, _))) => "passed on, no word".to_owned(),
        (Delivery::Unknown, None) => "NOT KNOWN whether it left".to_owned(),
        (Delivery::Accepted, None) => "taken by the server, no word".to_owned(),
    }
}

fn with(what: &str, status: &str) -> String {
    if status.is_empty() { what.to_owned() } else { format!("{what} ({status})") }
}

/// Whether somebody has a copy, as far as can be known, and has said nothing about it.
#[must_use]
pub fn is_silent(entry: &Entry) -> bool {
    let bounced = matches!(entry.report, Some((_, Fate::Failed, _)));
    let out = matches!(entry.delivery, Delivery::Accepted | Delivery::Unknown);
    entry.received.is_none() && out && !bounced
}

/// The table of a notice, in lines of at most 72 columns, and what it comes to.
#[must_use]
pub fn table(lines: &[Line]) -> Vec<String> {
    let mut out = Vec::new();
    for line in lines {
        out.push(format!("  {:<37}{}", line.name, state(&line.entry)));
    }
    let count = |fits: &dyn Fn(&Entry) -> bool| lines.iter().filter(|l| fits(&l.entry)).count();
    out.push(format!(
        "  {} in all: {} ready, {} received, {} silent, {} missing",
        lines.len(),
        count(&|entry| entry.ready.is_some()),
        count(&|entry| entry.received.is_some() && entry.ready.is_none()),
        count(&is_silent),
        count(&|entry| entry.received.is_none() && !is_silent(entry)),
    ));
    out
}

/// One line of detail for each recipient: what the server said, and what reports said.
#[must_use]
pub fn details(lines: &[Line], say: &dyn Fn(Moment) -> String) -> Vec<String> {
    let mut out = Vec::new();
    for Line { name, entry, .. } in lines {
        if !entry.reply.is_empty() {
            out.push(format!("  {name}\n    the server, {}:", say(entry.since)));
            out.push(format!("      {}", entry.reply.chars().take(64).collect::<String>()));
        }
        if let Some((at, fate, status)) = &entry.report {
            let what = match fate {
                Fate::Delivered => "delivered",
                Fate::Relayed => "passed on to a server that sends no reports",
                Fate::Delayed => "delayed",
                Fate::Failed => "not delivered",
            };
            out.push(format!("  {name}\n    a delivery report, {}:", say(*at)));
            out.push(format!("      {what} {status}").trim_end().to_owned());
        }
    }
    out
}
