//! A release that several incidents share, and that owns their T.
//!
//! The incidents of a release have one T, one order in which their fixes are merged, and one first
//! incident, whose lead speaks for all of them to the outside. Nobody learns of an incident that
//! they are not on: lists name the others by their number only.

use std::fmt::Write as _;

use serde_json::json;

use crate::domain::decide::work::Work;
use crate::domain::facts::event::Purpose;
use crate::domain::model::desk::Desk;
use crate::domain::model::incident::Incident;
use crate::domain::model::roster::Person;
use crate::domain::process::playbook::Task;
use crate::domain::process::playbook::field::cve_order;

/// The other incidents that share an incident's release, in the order in which they joined.
#[must_use]
pub fn others<'d>(desk: &'d Desk, incident: &Incident) -> Vec<&'d Incident> {
    let members = incident.batch.as_ref().and_then(|batch| desk.batches.get(batch));
    let handles = members.into_iter().flatten().filter(|handle| **handle != incident.handle);
    handles.filter_map(|handle| desk.incident(handle)).filter(|i| i.status.is_open()).collect()
}

/// All incidents of the release, in the order of their CVE numbers; those without one come last.
#[must_use]
pub fn in_order<'i>(incident: &'i Incident, others: &[&'i Incident]) -> Vec<&'i Incident> {
    let mut all: Vec<&Incident> = others.iter().copied().chain([incident]).collect();
    let first = |incident: &Incident| incident.cves.iter().map(|cve| cve_order(cve)).min();
    all.sort_by_key(|incident| (first(incident).is_none(), first(incident)));
    all
}

/// The list as one person may see it.
#[must_use]
pub fn list(desk: &Desk, incident: &Incident, person: &Person) -> String {
    let others = others(desk, incident);
    let mut out = String::new();
    for (n, member) in in_order(incident, &others).iter().enumerate() {
        let n = n.saturating_add(1);
        if !member.is_team(person) {
            let _ = writeln!(out, "{n:>2}  an incident that you are not on");
            continue;
        }
        let cves: Vec<_> = member.cves.iter().cloned().collect();
        let cves = if cves.is_empty() { "no CVE number yet".to_owned() } else { cves.join(", ") };
        let title = member.title.as_deref().unwrap_or("(no title)");
        let _ = writeln!(out, "{n:>2}  {cves}  {}\n    {title}", member.handle);
        for (id, field) in &member.playbook.fields {
            let of_fix = ["fix_link", "reproducer_link"].contains(&id.as_str());
            if let (true, Some(value)) = (of_fix, member.fields.get(id)) {
                let _ = writeln!(out, "    {}: {value}", field.label);
            }
        }
    }
    out
}

/// Sends the list to those whose row it is.
pub fn tell_list(work: &mut Work<'_>, task: &Task) {
    let Some(incident) = work.incident.clone() else { return };
    let name = incident.batch.clone().unwrap_or_else(|| incident.handle.to_string());
    let t = incident.t().map_or_else(|| "not set".to_owned(), |t| work.say(t));
    let done = if task.close {
        format!("Say so with `| /done {}`, without the bar.", task.word())
    } else {
        String::new()
    };
    for person in work.holders(&task.role) {
        let body = list(work.desk, &incident, person);
        let facts = json!({ "title": name, "moment": t, "body": body, "next": done });
        work.tell(person, Purpose::Reminder, "batch", facts);
    }
}
