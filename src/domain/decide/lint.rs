//! What is doubtful about the text of a notice, before people approve it.
//!
//! For sealed notices it asks for what their readers need: date, hour and zone, numbers, versions,
//! credit, terms, the TLP label. For what the public is told before the fix is out it looks for the
//! opposite: anything that gives the hole away. In both, what belongs to another incident is looked
//! for.

use std::collections::BTreeSet;

use crate::domain::decide::work::Work;
use crate::domain::facts::names::Handle;
use crate::domain::model::incident::Incident;
use crate::domain::outgoing::texts;
use crate::domain::outgoing::texts::{Class, Texts, Written};
use crate::domain::process::playbook::{Audience, FieldType, Task};

/// What stands in a text where the record knows nothing.
const HOLES: [&str; 2] = ["not known yet", "not set yet"];

/// What a distributor asks when it is not said: the field, and the question.
const ASKED: [(&str, &str); 4] = [
    ("product", "which product"),
    ("test", "how do I see whether I am affected"),
    ("fixed", "in which version is it fixed"),
    ("deploy", "may I deploy it before"),
];

/// What is doubtful about a frozen text.
#[must_use]
pub fn doubts(work: &Work<'_>, task: &Task, template: &str, written: &Written) -> Vec<String> {
    let Some(incident) = &work.incident else { return Vec::new() };
    let text = format!("{}\n{}", written.subject, written.body);
    // What speaks for a release names all of its incidents.
    let mut doubts = named_beside(work, incident, incident.mates_of(task), &text);
    let public = matches!(task.audience, Some(Audience::Public(_)));
    let sealed = task.audience.as_ref().is_some_and(|to| to.under_embargo().is_some());
    let early = matches!(Texts::class(template), Some(Class::Forecast | Class::Forthcoming));
    if public && !early {
        doubts.extend(of_announcement(incident, &text));
    }
    if sealed {
        doubts.extend(of_sealed(work, incident, task, written, &text));
    }
    // As a value, behind its label: our own prose may say so too.
    let is_value = |before: &str| before.ends_with("  ") || before.ends_with(": ");
    let gap = |line: &&str| HOLES.iter().any(|hole| line.strip_suffix(hole).is_some_and(is_value));
    let gaps: Vec<&str> = text.lines().filter(gap).map(str::trim).collect();
    for line in gaps {
        doubts.push(format!("the record has a gap: \"{}\"", texts::clean_line(line, 60)));
    }
    doubts
}

/// What gives the hole away in a text that the public gets before there is a fix. Where this is not
/// empty the text is refused.
#[must_use]
pub fn given_away(incident: &Incident, template: &str, written: &Written) -> Vec<String> {
    let class = Texts::class(template);
    if !matches!(class, Some(Class::Forecast | Class::Forthcoming)) {
        return Vec::new();
    }
    let text = format!("{}\n{}", written.subject, written.body).to_lowercase();
    let holds =
        |what: &str| what.trim().chars().count() >= 4 && text.contains(&what.to_lowercase());
    let mut found = Vec::new();
    let mut look = |name: &str, value: &str| {
        if holds(value) {
            found.push(name.to_owned());
        }
    };
    look("the title", incident.title.as_deref().unwrap_or(""));
    look("the incident's handle", incident.handle.as_str());
    look("the vector", incident.score.as_ref().map_or("", |score| score.vector.as_str()));
    for cve in incident.cves.iter().chain(&incident.ghsas) {
        look(cve, cve);
    }
    // What people can do until then is what that notice is for.
    let forthcoming = class == Some(Class::Forthcoming);
    for (field, value) in &incident.fields {
        // A word from a closed list gives nothing away, and how severe it is may be said.
        let kind = incident.playbook.fields.get(field).map(|field| &field.kind);
        let free = kind.is_none_or(|kind| *kind == FieldType::Text);
        let band = incident.score.as_ref().is_some_and(|s| s.band.eq_ignore_ascii_case(value));
        if free && !band && !(forthcoming && field == "mitigation") {
            look(&format!("the field `{field}`"), value);
        }
    }
    found
}

/// The letters and digits of a text: what a name is by, however it is broken, hyphenated or written.
fn condensed(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether the last part of a handle stands in a text as a word, written as handles are.
fn names_tail(text: &str, handle: &Handle) -> bool {
    let tail = handle.as_str().rsplit('-').next().unwrap_or_default();
    tail.len() >= 5 && text.split(|c: char| !c.is_alphanumeric()).any(|word| word == tail)
}

/// What of other incidents, which are not public, stands in a text.
pub fn of_others(work: &Work<'_>, incident: &Incident, text: &str) -> Vec<String> {
    named_beside(work, incident, &BTreeSet::new(), text)
}

fn named_beside(
    work: &Work<'_>,
    incident: &Incident,
    mates: &BTreeSet<Handle>,
    text: &str,
) -> Vec<String> {
    let bare = condensed(text);
    let lower = text.to_lowercase();
    let own: Vec<&Handle> =
        std::iter::once(&incident.handle).chain(incident.linked.keys()).chain(mates).collect();
    let secret = |other: &&Incident| !own.contains(&&other.handle) && other.published().is_none();
    let mut doubts = Vec::new();
    for other in work.desk.open().filter(secret) {
        let title = other.title.as_deref().filter(|title| title.chars().count() >= 8);
        let numbers = other.cves.iter().chain(&other.ghsas);
        let numbers =
            numbers.filter(|n| !incident.cves.contains(*n) && !incident.ghsas.contains(*n));
        let marks = title.into_iter().chain([other.handle.as_str()]);
        let marks = marks.chain(numbers.map(String::as_str));
        let reporter = other.reporter.address.as_ref();
        let theirs = incident.reporter.address.as_ref();
        let names_reporter = reporter.is_some_and(|address| {
            !theirs.is_some_and(|own| own.same_box(address))
                && lower.contains(&address.as_str().to_lowercase())
        });
        if marks.into_iter().any(|mark| bare.contains(&condensed(mark)))
            || names_tail(text, &other.handle)
            || names_reporter
        {
            // Which one is not for those who are not on it.
            doubts.push("it names something of ANOTHER incident that is not public (its handle, title, CVE, GHSA or reporter)".to_owned());
        }
    }
    doubts.dedup();
    doubts
}

fn of_announcement(incident: &Incident, text: &str) -> Vec<String> {
    let mut doubts = Vec::new();
    if let Some(cve) = incident.cves.iter().find(|cve| !text.contains(cve.as_str())) {
        doubts.push(format!("{cve} does not stand in it"));
    }
    let fixed = incident.fields.get("fixed").filter(|fixed| !fixed.is_empty());
    if fixed.is_none_or(|fixed| !condensed(text).contains(&condensed(fixed))) {
        doubts.push("it does not say in which version it is fixed".to_owned());
    }
    doubts
}

fn of_sealed(
    work: &Work<'_>,
    incident: &Incident,
    task: &Task,
    written: &Written,
    text: &str,
) -> Vec<String> {
    let mut doubts = Vec::new();
    if !written.subject.contains("TLP:") || !written.body.trim_start().starts_with("TLP:") {
        doubts.push("the TLP label does not stand first in the subject and in the text".to_owned());
    }
    if !task.announces() {
        return doubts;
    }
    match incident.t() {
        Some(t) if !condensed(text).contains(&condensed(&work.say(t))) => {
            doubts.push(format!("it does not say the date with hour and zone: {}", work.say(t)));
        }
        Some(_) => {}
        None => doubts.push("there is no date".to_owned()),
    }
    match incident.cves.iter().find(|cve| !text.contains(cve.as_str())) {
        Some(cve) => doubts.push(format!("{cve} does not stand in it")),
        None if incident.cves.is_empty() => doubts.push("there is no CVE number".to_owned()),
        None => {}
    }
    if !text.to_lowercase().contains("embargo") {
        doubts.push("it does not say that it is under embargo".to_owned());
    }
    let open = |(field, _): &(&str, &str)| !incident.fields.contains_key(*field);
    let gaps: Vec<String> = ASKED
        .iter()
        .filter(|asked| open(asked))
        .map(|(field, what)| format!("{what} (`{field}`)"))
        .collect();
    if !gaps.is_empty() {
        doubts.push(format!("whoever gets it will ask: {}", gaps.join("; ")));
    }
    for (field, what) in [("affected", "which versions are affected"), ("credit", "who found it")] {
        let value = incident.fields.get(field).map_or("", String::as_str);
        if value.is_empty() {
            doubts.push(format!("the record does not say {what}"));
        } else if field == "affected" && !condensed(text).contains(&condensed(value)) {
            doubts.push(format!("it does not say {what}"));
        }
    }
    doubts
}
