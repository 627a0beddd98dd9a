//! What a process asks of whom and when, for a report and a T that are supposed: the preview of a
//! playbook before anybody relies on it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;

use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::event::{Author, Event, LetterNote, Opening};
use crate::domain::facts::letter::Protection;
use crate::domain::facts::names::{Digest, Handle, Moment};
use crate::domain::model::incident::Incident;
use crate::domain::model::schedule;
use crate::domain::process::playbook::{Audience, Kind, Origin, Playbook, Task};

/// A row of a preview.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The row's id.
    pub id: String,
    /// The word by which people name it.
    pub word: String,
    /// Its phase.
    pub phase: String,
    /// Whose it is.
    pub role: String,
    /// How it is done.
    pub kind: &'static str,
    /// What is to be done.
    pub title: String,
    /// Not before; none where that hangs on something that only happens.
    pub earliest: Option<Moment>,
    /// Late after.
    pub due: Option<Moment>,
    /// The rule, as the file has it: `T -5bd`.
    pub rule: String,
    /// Who gets it, for notices.
    pub audience: Option<String>,
    /// Whether the file asks for it only under a condition.
    pub condition: Option<String>,
    /// The line of the document, or where it comes from otherwise.
    pub source: String,
}

/// The kinds as people read them.
#[must_use]
pub fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Auto => "auto",
        Kind::Draft => "draft",
        Kind::Human => "human",
        Kind::Decide => "decide",
        Kind::Gate => "gate",
        Kind::Record => "record",
    }
}

/// When a row is to be done, as a rule.
#[must_use]
pub fn rule(task: &Task) -> String {
    let Some(when) = &task.when else {
        let word = if task.is_standing() { "always" } else { "no date" };
        return word.to_owned();
    };
    let anchors: Vec<_> = when.anchors.iter().map(ToString::to_string).collect();
    let mut out = format!("{} {}", anchors.join("|"), when.window);
    if let Some(at) = when.at {
        out.push_str(&format!(" at {}", at.format("%H:%M")));
    }
    if let Some(days) = when.days {
        out.push_str(&format!(", {days}"));
    }
    if let Some(repeat) = &when.repeat {
        out.push_str(&format!(
            ", again every {}",
            repeat.every.to_string().trim_start_matches('+')
        ));
        if let Some(until) = repeat.until {
            out.push_str(&format!(" until {until}"));
        }
    }
    out
}

/// Who gets a notice, as the file names them.
#[must_use]
pub fn audience(task: &Task) -> Option<String> {
    task.audience.as_ref().map(|audience| match audience {
        Audience::Group(name) | Audience::Role(name) | Audience::Public(name) => name.clone(),
        Audience::Member { id, .. } => id.to_string(),
        Audience::Reporter => "reporter".to_owned(),
    })
}

/// Where a row comes from.
#[must_use]
pub fn source(task: &Task) -> String {
    match (&task.src, task.origin) {
        (Some(lines), _) => lines.clone(),
        (None, Some(Origin::Upstream)) => "upstream".to_owned(),
        (None, Some(Origin::Document)) => "document".to_owned(),
        (None, _) => "local".to_owned(),
    }
}

/// An incident that nobody has: a report at `received`, and T if one is given, published then.
#[must_use]
pub fn supposed(playbook: &Arc<Playbook>, received: Moment, t: Option<Moment>) -> Incident {
    let nothing = Digest::of(b"");
    let letter = LetterNote {
        raw: nothing,
        received,
        message_id: None,
        author: Author::Unproven,
        protection: Protection::None,
        failure: None,
        text: nothing,
        session: None,
    };
    let opening = Opening {
        playbook: playbook.digest,
        calendar: playbook.calendar_digest,
        letter,
        reporter: None,
        key: None,
        session: None,
        acknowledge: Some(received),
        deferred: false,
        source: None,
        line: None,
        language: None,
        looks_encrypted: false,
    };
    let mut incident = Incident::open(Handle::first(), received, &opening, Arc::clone(playbook));
    if let Some(t) = t {
        incident.apply(received, None, &Event::TSet { t });
        let release = incident.anchor(Anchor::Release).unwrap_or(t);
        let released = Event::AnchorSet { anchor: Anchor::Released, moment: release };
        incident.apply(received, None, &released);
        let public = Event::AnchorSet { anchor: Anchor::Public, moment: t };
        incident.apply(received, None, &public);
    }
    incident
}

/// What is doubtful about a supposed T, as `/disclose` would ask about it.
#[must_use]
pub fn doubts(playbook: &Playbook, received: Moment, t: Option<Moment>) -> Vec<String> {
    let Some(t) = t else {
        return vec!["without --t the rows that count from T have no moment".to_owned()];
    };
    let calendar = &playbook.calendar;
    let local = t.with_timezone(&calendar.zone);
    let mut doubts = Vec::new();
    if let Some(days) = playbook.t.days
        && !days.contains(chrono::Datelike::weekday(&local))
    {
        doubts.push(format!("T is a {}; the process asks for {days}", local.format("%A")));
    }
    if let Some(at) = playbook.t.at
        && local.time() != at
    {
        doubts.push(format!("the process asks for {} {}", at.format("%H:%M"), calendar.zone));
    }
    if t < playbook.t.min_lead.from(received, calendar) {
        doubts.push(format!("T is less than {} after the report", playbook.t.min_lead.in_words()));
    }
    for cap in &playbook.t.max_span {
        let begins = matches!(cap.from, Anchor::Received | Anchor::Disclosed | Anchor::Opened);
        if begins && t > calendar.end_of_day(cap.span.from(received, calendar)) {
            doubts.push(format!("T is more than {} after the report", cap.span.in_words()));
        }
    }
    doubts
}

/// The rows of a playbook with their moments, in the order of the file.
#[must_use]
pub fn preview(playbook: &Arc<Playbook>, received: Moment, t: Option<Moment>) -> Vec<Row> {
    let incident = supposed(playbook, received, t);
    let row = |task: &Task| {
        let span = schedule::planned_span(&incident, task);
        let (earliest, due) = span.map_or((None, None), |(from, to)| (Some(from), to));
        let roles: BTreeSet<&str> = task.roles().map(|role| playbook.role_label(role)).collect();
        let roles: Vec<&str> = roles.into_iter().collect();
        Row {
            id: task.id.to_string(),
            word: task.word().to_string(),
            phase: task.phase.clone(),
            role: if task.kind == Kind::Auto { "the desk".to_owned() } else { roles.join(", ") },
            kind: kind_word(task.kind),
            title: task.title.clone(),
            earliest,
            due,
            rule: rule(task),
            audience: audience(task),
            condition: task.applies.as_ref().map(|predicate| predicate.text.clone()),
            source: source(task),
        }
    };
    playbook.tasks.iter().map(row).collect()
}

pub(crate) fn table(
    playbook: &Playbook,
    rows: &[Row],
    received: Moment,
    t: Option<Moment>,
) -> String {
    let calendar = &playbook.calendar;
    let t = t.map_or_else(|| "not set".to_owned(), |t| calendar.say(t));
    let mut out = format!(
        "{} (version {})\nreported  {}\nT         {t}\n",
        playbook.title,
        playbook.version,
        calendar.say(received)
    );
    let mut phase = "";
    for row in rows {
        if row.phase != phase {
            phase = &row.phase;
            let _ = writeln!(out, "\n{phase}");
        }
        let when = match (row.earliest, row.due) {
            (Some(from), Some(to)) if from != to => {
                format!("{} .. {}", calendar.say(from), calendar.say(to))
            }
            (_, Some(at)) => calendar.say(at),
            (Some(from), None) => format!("from {}", calendar.say(from)),
            (None, None) => String::new(),
        };
        let to = row.audience.as_ref().map_or_else(String::new, |to| format!(" -> {to}"));
        let word = if row.word == row.id { "" } else { row.word.as_str() };
        let _ = writeln!(out, "  {:<10}{:<18}{:<8}{}{to}", row.id, word, row.kind, row.role);
        let _ = writeln!(out, "            {}", row.title);
        let when = if when.is_empty() { String::new() } else { format!("  {when}") };
        let _ = writeln!(out, "            [{}]{when}", row.rule);
        if let Some(condition) = &row.condition {
            let _ = writeln!(out, "            only if {condition}");
        }
    }
    out
}
