//! The checklist of an incident as Markdown, for the tracker that a team works in.
//!
//! Its form is a template in the playbook, so that each process looks as its document does; where a
//! playbook has none, the desk's own is used. What leaves is a copy for people: the journal stays
//! the truth.

use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::facts::names::{Moment, PersonId};
use crate::domain::model::incident::Incident;
use crate::domain::model::schedule;
use crate::domain::model::schedule::State;
use crate::domain::outgoing::texts::clean;
use crate::domain::process::playbook::Origin;
use crate::domain::process::playbook::field::Score;
use crate::domain::process::playbook::form::render;
use crate::domain::views::plan::kind_word;

/// The form for a playbook that has none of its own.
const OWN: &str = include_str!("../../../templates/checklist.md");

#[derive(Serialize)]
struct Row {
    id: String,
    title: String,
    role: String,
    kind: &'static str,
    /// The heading within the phase, where the document has one.
    section: String,
    /// Whether it is the first of its section.
    opens: bool,
    /// Who did it on which incident, where it is done once for a release.
    elsewhere: String,
    /// Whose the row is where it is no line of the document.
    ours: &'static str,
    /// A rule that always holds: it has no box.
    standing: bool,
    /// `x` where it is done, a blank otherwise.
    tick: &'static str,
    state: &'static str,
    /// When it is due or was done; empty where neither is known.
    when: String,
    /// By whom and by what, where somebody did it.
    by: String,
    src: String,
}

#[derive(Serialize)]
struct Phase {
    name: String,
    rows: Vec<Row>,
}

fn phases(incident: &Incident, now: Moment) -> Vec<Phase> {
    let mut phases: Vec<Phase> = Vec::new();
    let calendar = &incident.playbook.calendar;
    for item in schedule::agenda(incident, now) {
        if matches!(item.state, State::NotHere(_)) {
            continue;
        }
        let done = item.state.settled();
        let id = match &item.part {
            Some(part) => item.task.id.part(part),
            None => item.task.id.clone(),
        };
        let settled = incident.done.get(&id).or_else(|| incident.skipped.get(&id));
        let by = settled.and_then(|done| done.by.as_ref()).map_or("", |by| by.as_str());
        let evidence = settled.and_then(|done| done.evidence.as_deref()).unwrap_or("");
        let title = match &item.part {
            Some(part) => format!("{} [{part}]", item.task.title),
            None => item.task.title.clone(),
        };
        let row = Row {
            id: id.to_string(),
            title,
            kind: kind_word(item.task.kind),
            opens: item.task.section.is_some(),
            elsewhere: elsewhere(incident, &item.state),
            section: item.task.section.clone().unwrap_or_default(),
            ours: match item.task.origin {
                Some(Origin::Local) => "ours",
                Some(Origin::Upstream) => "practice elsewhere",
                Some(Origin::Document) | None => "",
            },
            standing: item.state == State::Always,
            role: incident.playbook.role_label(&item.task.role).to_owned(),
            tick: if done.is_some() { "x" } else { " " },
            state: item.state.word(),
            when: done.or(item.due).map_or_else(String::new, |at| calendar.say(at)),
            by: flat(
                &[by, evidence]
                    .into_iter()
                    .filter(|s| !s.is_empty())
                    .collect::<Vec<_>>()
                    .join(": "),
            ),
            src: item.task.src.clone().unwrap_or_default(),
        };
        match phases.iter_mut().find(|phase| phase.name == item.task.phase) {
            Some(phase) => {
                let last = phase.rows.last().map_or("", |last| last.section.as_str());
                let opens = row.opens && last != row.section;
                phase.rows.push(Row { opens, ..row });
            }
            None => phases.push(Phase { name: item.task.phase.clone(), rows: vec![row] }),
        }
    }
    phases
}

/// Where a row is done that is done once for a release, and by whom if it is.
fn elsewhere(incident: &Incident, state: &State) -> String {
    let State::Elsewhere(row) = state else { return String::new() };
    match &row.done {
        Some((at, by)) => {
            let by = by.as_ref().map_or("the desk", |by| by.as_str());
            format!(
                "for the release on {}, by {by}, {}",
                row.on,
                incident.playbook.calendar.say(*at)
            )
        }
        None => format!("for the release, on {}", row.on),
    }
}

fn facts(incident: &Incident, now: Moment) -> Value {
    let calendar = &incident.playbook.calendar;
    let list = |set: &std::collections::BTreeSet<String>| {
        set.iter().cloned().collect::<Vec<_>>().join(", ")
    };
    let say = |moment: Option<Moment>| moment.map_or_else(String::new, |at| calendar.say(at));
    let fields: serde_json::Map<String, Value> = incident
        .playbook
        .fields
        .keys()
        .map(|id| (id.clone(), flat(incident.fields.get(id).map_or("", String::as_str)).into()))
        .collect();
    let person = |id: &Option<PersonId>| id.as_ref().map_or_else(String::new, ToString::to_string);
    json!({
        "handle": incident.handle, "process": incident.playbook.title,
        "version": incident.playbook.version,
        "title": flat(incident.title.as_deref().unwrap_or_default()),
        "state": incident.status.word(), "lead": person(&incident.lead),
        "deputy": person(&incident.deputy), "batch": incident.batch.clone().unwrap_or_default(),
        "cvss": incident.score.as_ref().map_or_else(String::new, Score::say),
        "score": incident.score.as_ref().map_or_else(String::new, |score| {
            format!("{}.{}", score.tenths / 10, score.tenths % 10)
        }),
        "band": incident.score.as_ref().map_or_else(String::new, |score| score.band.clone()),
        "vector": incident.score.as_ref().map_or_else(String::new, |score| score.vector.clone()),
        "cve": list(&incident.cves), "ghsa": list(&incident.ghsas),
        "t": say(incident.t()),
        "t_day": incident.t().map_or_else(String::new, |t| t.format("%Y-%m-%d").to_string()),
        "received": say(incident.letters.first().map(|letter| letter.received)),
        "published": say(incident.published()),
        "f": fields, "phases": phases(incident, now),
    })
}

/// The checklist of an incident.
///
/// # Errors
/// What is wrong with the playbook's template; it was tried when the playbook was read.
pub fn markdown(incident: &Incident, now: Moment) -> Result<String, String> {
    let text = incident.playbook.checklist.as_deref().unwrap_or(OWN);
    render(text, &facts(incident, now)).map_err(|(_, why)| why)
}

/// What people wrote into the record must not make a line, a cell or a link of its own.
fn flat(text: &str) -> String {
    let kept = |c: char| if "\n\r`|<>[]*".contains(c) { ' ' } else { c };
    clean(text).chars().map(kept).collect::<String>().trim().to_owned()
}
