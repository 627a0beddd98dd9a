//! What is different between two playbooks, or two versions of one; and what that means for an
//! incident.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::names::{Moment, TaskId};
use crate::domain::model::incident::Incident;
use crate::domain::model::schedule;
use crate::domain::process::offset::Offset;
use crate::domain::process::playbook::{Effect, FieldType, HeldBy, Playbook, Rung, Step, Task};
use crate::domain::views::plan;

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The row, or the section.
    pub place: String,
    /// What of it.
    pub what: String,
    /// What it was; none for what is new.
    pub before: Option<String>,
    /// What it is; none for what is gone.
    pub after: Option<String>,
}

impl Change {
    /// For people, in a line.
    #[must_use]
    pub fn say(&self) -> String {
        match (&self.before, &self.after) {
            (None, Some(after)) => format!("+ {}  {}: {after}", self.place, self.what),
            (Some(before), None) => format!("- {}  {}: {before}", self.place, self.what),
            (before, after) => format!(
                "~ {}  {}: {} -> {}",
                self.place,
                self.what,
                before.as_deref().unwrap_or(""),
                after.as_deref().unwrap_or("")
            ),
        }
    }
}

/// Everything that a row says, by what it is called.
fn told(task: &Task) -> Vec<(&'static str, String)> {
    let ids = |ids: &[TaskId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let anchors =
        |anchors: &[Anchor]| anchors.iter().map(ToString::to_string).collect::<Vec<_>>().join("|");
    let some = |text: Option<String>| text.unwrap_or_default();
    vec![
        ("title", task.title.clone()),
        ("alias", some(task.alias.as_ref().map(ToString::to_string))),
        ("phase", task.phase.clone()),
        ("section", some(task.section.clone())),
        ("role", task.role.clone()),
        ("with", task.with.join(", ")),
        ("agree", task.agree.join(", ")),
        ("people", task.people.to_string()),
        ("kind", plan::kind_word(task.kind).to_owned()),
        ("when", plan::rule(task)),
        ("if", some(task.applies.as_ref().map(|predicate| predicate.text.clone()))),
        ("fan_out", task.fan_out.map_or_else(String::new, |f| f.field().to_owned())),
        ("once", task.once.to_string()),
        ("optional", task.optional.to_string()),
        ("must", task.must.to_string()),
        ("escalate", task.escalate.iter().map(step).collect::<Vec<_>>().join(", ")),
        ("fact", anchors(&task.fact)),
        ("follows", some(task.follows.map(|anchor| anchor.to_string()))),
        ("answer", some(task.answer.clone())),
        ("action", some(task.action.map(|action| action.name().to_owned()))),
        ("close", task.close.to_string()),
        ("to", some(task.to.clone())),
        ("of", some(task.of.as_ref().map(ToString::to_string))),
        ("same_as", some(task.same_as.as_ref().map(ToString::to_string))),
        ("after", ids(&task.after)),
        ("sets", some(task.sets.map(|anchor| anchor.to_string()))),
        ("evidence", some(task.evidence.as_ref().map(FieldType::example))),
        ("needs", task.needs.join(", ")),
        ("template", some(task.template.clone())),
        ("audience", some(plan::audience(task))),
        ("approvals", if task.is_notice() { task.approvals.to_string() } else { String::new() }),
        ("four_eyes", task.four_eyes.to_string()),
        ("source", plan::source(task)),
    ]
}

fn length(offset: Offset) -> String {
    offset.to_string().trim_start_matches('+').to_owned()
}

fn percents(list: &[u32]) -> String {
    list.iter().map(|percent| format!("{percent}%")).collect::<Vec<_>>().join(", ")
}

fn step(step: &Step) -> String {
    let to = match &step.to {
        Rung::Owner => "owner",
        Rung::Lead => "lead",
        Rung::Deputy => "deputy",
        Rung::Operator => "operator",
        Rung::Role(role) => role.as_str(),
    };
    let after = if step.after == Offset::ZERO { String::new() } else { step.after.to_string() };
    format!("{}%{after} {to}", step.percent)
}

fn days_off(playbook: &Playbook) -> String {
    let days: Vec<_> = playbook.calendar.holidays.iter().map(ToString::to_string).collect();
    if days.is_empty() { "none".to_owned() } else { days.join(" ") }
}

fn t_rule(playbook: &Playbook) -> String {
    let rule = &playbook.t;
    let at = rule.at.map_or_else(|| "any hour".to_owned(), |at| at.format("%H:%M").to_string());
    let days = rule.days.map_or_else(|| "any day".to_owned(), |days| days.to_string());
    let mut out = format!("{at}, {days}, at least {} ahead", length(rule.min_lead));
    for cap in &rule.max_span {
        out.push_str(&format!(", at most {} from {}", length(cap.span), cap.from));
    }
    if let Some(grace) = &rule.grace {
        out.push_str(&format!(", grace in {grace}"));
    }
    out.push_str(&format!(
        ", stale after {}, slips after {}",
        length(rule.stale),
        length(rule.slip)
    ));
    out
}

fn sections(playbook: &Playbook) -> Vec<(String, &'static str, String)> {
    let mut all = vec![
        ("playbook".to_owned(), "id", playbook.id.clone()),
        ("playbook".to_owned(), "version", playbook.version.to_string()),
        ("playbook".to_owned(), "title", playbook.title.clone()),
        ("playbook".to_owned(), "zone", playbook.calendar.zone.to_string()),
        ("playbook".to_owned(), "days off", days_off(playbook)),
        ("playbook".to_owned(), "intake", playbook.intake.clone()),
        ("playbook".to_owned(), "triaged", playbook.triaged.join(", ")),
        ("human_answer".to_owned(), "due", playbook.human_answer.due.to_string()),
        ("human_answer".to_owned(), "remind", percents(&playbook.human_answer.remind)),
        ("human_answer".to_owned(), "escalate", playbook.human_answer.escalate.join(", ")),
        ("t".to_owned(), "rule", t_rule(playbook)),
        (
            "assign".to_owned(),
            "rule",
            playbook.assign.as_ref().map_or_else(
                || "nobody in turn".to_owned(),
                |assign| format!("{} in turn, within {}", assign.role, length(assign.within)),
            ),
        ),
        ("silence".to_owned(), "after", playbook.silence.to_string()),
        (
            "reporter_update".to_owned(),
            "every",
            playbook.reporter_update.map_or_else(|| "never".to_owned(), length),
        ),
        ("checklist".to_owned(), "text", playbook.checklist.clone().unwrap_or_default()),
    ];
    for (id, role) in &playbook.roles {
        let held = role.held_by.map_or("", |held| match held {
            HeldBy::Lead => ", held by who leads",
            HeldBy::Deputy => ", held by the deputy",
            HeldBy::FirstLead => ", held by who leads the first of the release",
        });
        all.push((format!("role {id}"), "is", format!("{}{held}", role.label)));
    }
    for (id, group) in &playbook.groups {
        let lists: Vec<_> = group.public.iter().map(ToString::to_string).collect();
        let text = format!("{}, TLP:{} {}", group.label, group.tlp, lists.join(", "));
        all.push((format!("group {id}"), "is", text.trim().to_owned()));
    }
    for (id, field) in &playbook.fields {
        all.push((
            format!("field {id}"),
            "is",
            format!("{}: {}", field.label, field.kind.example()),
        ));
    }
    for (word, right) in &playbook.rights {
        let roles =
            if right.roles.is_empty() { "as usual".to_owned() } else { right.roles.join(", ") };
        let second = if right.second { ", and a second person" } else { "" };
        all.push((format!("right {word}"), "is", format!("{roles}{second}")));
    }
    for branch in &playbook.branches {
        let effect = match &branch.effect {
            Effect::Asap => "open work is due at once".to_owned(),
            Effect::Stretch(by) => format!("open work may take {} longer", length(*by)),
            Effect::Drop(rows) => {
                let rows: Vec<_> = rows.iter().map(ToString::to_string).collect();
                format!("without {}", rows.join(", "))
            }
        };
        let text = format!("if {}: {effect}", branch.when.text);
        all.push((format!("branch {}", branch.id), "is", text));
    }
    all
}

/// Everything that is different, in the order of the second.
#[must_use]
pub fn compare(before: &Playbook, after: &Playbook) -> Vec<Change> {
    let mut changes = Vec::new();
    let (old, new) = (sections(before), sections(after));
    let find = |list: &[(String, &'static str, String)], place: &str, what: &str| {
        list.iter().find(|(p, w, _)| p == place && *w == what).map(|(.., text)| text.clone())
    };
    let places: Vec<(&String, &str)> = new.iter().chain(&old).map(|(p, w, _)| (p, *w)).collect();
    let mut seen = BTreeSet::new();
    for (place, what) in places {
        let (before, after) = (find(&old, place, what), find(&new, place, what));
        if seen.insert((place, what)) && before != after {
            changes.push(Change { place: place.clone(), what: what.to_owned(), before, after });
        }
    }
    for task in &after.tasks {
        match before.tasks.iter().find(|old| old.id == task.id) {
            None => changes.push(Change {
                place: task.id.to_string(),
                what: "row".to_owned(),
                before: None,
                after: Some(format!("{} ({})", task.title, plan::rule(task))),
            }),
            Some(old) => {
                for ((what, before), (_, after)) in told(old).into_iter().zip(told(task)) {
                    if before != after {
                        let (before, after) = (Some(before), Some(after));
                        let place = task.id.to_string();
                        changes.push(Change { place, what: what.to_owned(), before, after });
                    }
                }
            }
        }
    }
    for task in &before.tasks {
        if !after.tasks.iter().any(|new| new.id == task.id) {
            changes.push(Change {
                place: task.id.to_string(),
                what: "row".to_owned(),
                before: Some(format!("{} ({})", task.title, plan::rule(task))),
                after: None,
            });
        }
    }
    changes
}

/// What another playbook would mean for an incident: rows that stand elsewhere, or are due at
/// another moment.
#[must_use]
pub fn consequences(incident: &Incident, playbook: &Arc<Playbook>, now: Moment) -> Vec<Change> {
    let mut moved = Incident { playbook: Arc::clone(playbook), ..incident.clone() };
    moved.note_branches(now);
    let stands = |incident: &Incident| -> Vec<(String, String)> {
        let say = |at: Moment| incident.playbook.calendar.say(at);
        let items = schedule::agenda(incident, now);
        let row = |item: &schedule::Item<'_>| {
            let due = item.due.map_or_else(String::new, |at| format!(" {}", say(at)));
            let part = item.part.as_ref().map_or_else(String::new, |part| format!("/{part}"));
            (format!("{}{part}", item.task.id), format!("{}{due}", item.state.word()))
        };
        items.iter().map(row).collect()
    };
    let (old, new) = (stands(incident), stands(&moved));
    let find = |list: &[(String, String)], place: &str| {
        list.iter().find(|(id, _)| id == place).map(|(_, text)| text.clone())
    };
    let mut changes = Vec::new();
    let mut seen = BTreeSet::new();
    for (place, _) in new.iter().chain(&old) {
        let (before, after) = (find(&old, place), find(&new, place));
        if seen.insert(place) && before != after {
            let what = "stands".to_owned();
            changes.push(Change { place: place.clone(), what, before, after });
        }
    }
    changes
}
