//! Notices: who gets one, what it may say, and how a draft is frozen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::decide::batch;
use crate::domain::decide::work::Work;
use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::event::{Draft, Enclosure, Recipient};
use crate::domain::facts::letter::Attachment;
use crate::domain::facts::names::{Digest, Moment, PersonId, TaskId};
use crate::domain::model::incident::Incident;
use crate::domain::model::incident::facts::cves;
use crate::domain::model::roster::Person;
use crate::domain::model::schedule;
use crate::domain::outgoing::texts::{
    Class, FileLine, ForecastFacts, ForthcomingFacts, NoticeFacts, Problem, PublicFacts, Texts,
    Vulnerability, Written,
};
use crate::domain::process::playbook::field::Score;
use crate::domain::process::playbook::{Audience, Task};
use crate::domain::views::calendar_entry;

/// The line that a late copy carries.
pub const LATE: &str = "This notice is LATE: it should have reached you earlier.";

/// The line that a copy carries which leaves after those of the others.
#[must_use]
pub fn late_copy(left: &str, moved: bool, passed: bool) -> String {
    let date = match (moved, passed) {
        (true, _) => "\nThe date in it HAS MOVED since: the mail after this one has the new one.",
        (false, true) => {
            "\nThe date in it HAS PASSED and it is NOT PUBLIC: the embargo stays in force."
        }
        (false, false) => "",
    };
    format!("This is a LATE COPY for you. It left for the others on\n{left}.{date}\n")
}

/// Who gets a notice if it leaves now.
#[must_use]
pub fn recipients(work: &Work<'_>, audience: &Audience) -> BTreeSet<Recipient> {
    let Some(incident) = &work.incident else { return BTreeSet::new() };
    match audience {
        Audience::Group(_) | Audience::Member { .. } | Audience::Role(_) => {
            let people = work.desk.roster.people.values();
            let meant = people.filter(|person| incident.is_meant(audience, person));
            meant.map(|person| Recipient::Person(person.id.clone())).collect()
        }
        Audience::Reporter => BTreeSet::new(),
        Audience::Public(group) => {
            let lists = incident.playbook.groups.get(group);
            lists
                .into_iter()
                .flat_map(|group| &group.public)
                .cloned()
                .map(Recipient::List)
                .collect()
        }
    }
}

/// What people call an audience.
#[must_use]
pub fn label(incident: &Incident, audience: &Audience) -> String {
    match audience {
        Audience::Group(name) | Audience::Public(name) => incident
            .playbook
            .groups
            .get(name)
            .map_or_else(|| name.clone(), |group| group.label.clone()),
        Audience::Member { id, .. } => id.to_string(),
        Audience::Role(role) => incident.playbook.role_label(role).to_owned(),
        Audience::Reporter => "reporter".to_owned(),
    }
}

fn tlp(incident: &Incident, audience: Option<&Audience>) -> String {
    match audience {
        Some(
            Audience::Group(name) | Audience::Member { group: name, .. } | Audience::Public(name),
        ) => incident
            .playbook
            .groups
            .get(name)
            .map_or_else(|| "RED".into(), |group| group.tlp.clone()),
        Some(Audience::Role(_) | Audience::Reporter) | None => "AMBER+STRICT".to_owned(),
    }
}

/// Who gets a row's notice if it leaves now: of one that speaks of several incidents, those who are meant
/// on each.
#[must_use]
pub fn recipients_of(work: &Work<'_>, task: &Task) -> BTreeSet<Recipient> {
    let Some(audience) = &task.audience else { return BTreeSet::new() };
    let mates = mates(work, task);
    let meant = |to: &Recipient| {
        let Recipient::Person(id) = to else { return true };
        let person = work.person(id);
        mates.iter().all(|mate| {
            let there = mate.task(&task.id).and_then(|task| task.audience.as_ref());
            let there = there.unwrap_or(audience);
            person.is_some_and(|person| mate.is_meant(there, person))
        })
    };
    recipients(work, audience).into_iter().filter(meant).collect()
}

/// Whether a row's notice goes to a group that has nobody.
#[must_use]
pub fn has_nobody(work: &Work<'_>, task: &Task) -> bool {
    matches!(&task.audience, Some(Audience::Group(group))
        if !work.desk.roster.people.values().any(|person| person.groups.contains(group)))
}

/// The other incidents that a row's notice speaks of.
#[must_use]
pub fn mates(work: &Work<'_>, task: &Task) -> Vec<Arc<Incident>> {
    let handles = work.incident.iter().flat_map(|incident| incident.mates_of(task));
    handles.filter_map(|handle| work.other(handle)).collect()
}

fn public_facts(work: &Work<'_>, incident: &Incident) -> PublicFacts {
    let or_open = |text: String| {
        if text.is_empty() { "not known yet".to_owned() } else { text }
    };
    let fields: BTreeMap<String, String> = incident
        .playbook
        .fields
        .keys()
        .map(|field| {
            (field.clone(), or_open(incident.fields.get(field).cloned().unwrap_or_default()))
        })
        .collect();
    let has = incident.playbook.fields.keys();
    let has =
        has.map(|field| (field.clone(), incident.fields.get(field).cloned().unwrap_or_default()));
    PublicFacts {
        has: has.collect(),
        desk: work.desk.settings.name.clone(),
        address: work.desk.settings.address.to_string(),
        title: or_open(incident.title.clone().unwrap_or_default()),
        cve: or_open(cves(incident)),
        cvss: or_open(incident.score.as_ref().map(Score::say).unwrap_or_default()),
        fields,
    }
}

/// What the public may know before the fix is out: of all that share the release, how many there
/// are and how severe the worst is.
fn forthcoming_facts(work: &Work<'_>, incident: &Incident) -> ForthcomingFacts {
    let public = public_facts(work, incident);
    let others = batch::others(work.desk, incident);
    let scores = others.iter().map(|other| &other.score).chain([&incident.score]);
    let worst = scores.flatten().max_by_key(|score| score.tenths);
    let forecast = ForecastFacts {
        desk: public.desk,
        address: public.address,
        t: incident.t().map_or_else(|| "not set yet".to_owned(), |t| work.say(t)),
        t_day: incident.t().map_or_else(String::new, short),
        count: others.len().saturating_add(1),
        severity: worst.map_or_else(|| "not known yet".to_owned(), |score| score.band.clone()),
    };
    let mitigation = public.fields.get("mitigation").cloned().unwrap_or_default();
    ForthcomingFacts { forecast, mitigation }
}

/// What a notice is about besides the incident.
#[derive(Default)]
struct About<'a> {
    audience: Option<&'a Audience>,
    mates: &'a [&'a Incident],
    files: &'a [FileLine],
    /// Since when the group has heard nothing; none where that is not said.
    since: Option<Moment>,
}

/// What of the record stands in notices.
const SHOWN: [&str; 17] = [
    "title",
    "cve",
    "cvss",
    "product",
    "component",
    "severity_note",
    "affected",
    "test",
    "impact",
    "description",
    "mitigation",
    "fixed",
    "binaries",
    "patches",
    "deploy",
    "may_know",
    "credit",
];

/// What of the record is new since a moment, as people call it.
fn changed(incidents: &[&Incident], since: Moment) -> Vec<String> {
    let new = |name: &&&str| {
        let set = incidents.iter().filter_map(|incident| incident.set_at.get(**name));
        set.max().is_some_and(|at| *at > since)
    };
    let label = |name: &str| {
        let fields = incidents.first().map(|incident| &incident.playbook.fields);
        let label = fields.and_then(|fields| fields.get(name)).map(|field| field.label.clone());
        label.unwrap_or_else(|| match name {
            "cve" => "CVE number".to_owned(),
            "cvss" => "severity".to_owned(),
            name => name.to_owned(),
        })
    };
    SHOWN.iter().filter(new).map(|name| label(name)).collect()
}

/// When a group last got a notice of the process on this incident.
fn last_heard(incident: &Incident, audience: Option<&Audience>) -> Option<Moment> {
    let group = audience?.under_embargo()?;
    let to_it = incident
        .notice_tasks()
        .filter(|task| task.audience.as_ref().and_then(Audience::under_embargo) == Some(group));
    let notices = to_it.filter_map(|task| incident.notices.get(&task.id));
    notices.flat_map(|notice| notice.releases.values()).map(|release| release.at).max()
}

/// Everyone who had to do with it, each with their roles.
fn people(work: &Work<'_>, incident: &Incident) -> Vec<String> {
    let of = |person: &Person| {
        let roles = incident.playbook.roles.iter().filter(|(id, _)| incident.holds(person, id));
        let roles: Vec<&str> = roles.map(|(_, role)| role.label.as_str()).collect();
        format!("{} ({})", person.name, roles.join(", "))
    };
    let credit = incident.fields.get("credit").map(|credit| format!("{credit} (reporter)"));
    // Who was on it by a role that has ended was involved as well.
    let ended = incident.parked.keys().filter_map(|(id, role)| {
        let person = work.person(id).filter(|person| !incident.holds(person, role))?;
        Some(format!("{} ({})", person.name, incident.playbook.role_label(role)))
    });
    work.team().into_iter().map(of).chain(ended).chain(credit).collect()
}

fn notice_facts(work: &Work<'_>, incident: &Incident, about: &About<'_>) -> NoticeFacts {
    let say =
        |moment: Option<_>| moment.map_or_else(|| "not yet".to_owned(), |moment| work.say(moment));
    let all = batch::in_order(incident, about.mates);
    let vulnerabilities: Vec<Vulnerability> = all
        .iter()
        .map(|incident| Vulnerability {
            public: public_facts(work, incident),
            vector: incident.score.as_ref().map_or_else(String::new, |score| score.vector.clone()),
        })
        .collect();
    let mut public = public_facts(work, incident);
    if vulnerabilities.len() > 1 {
        public.title = format!("{} vulnerabilities", vulnerabilities.len());
        let numbers = vulnerabilities.iter().map(|one| one.public.cve.as_str());
        public.cve = numbers.collect::<Vec<_>>().join(", ");
    }
    let lead = incident.lead.as_ref().map_or_else(|| "nobody".to_owned(), |id| work.name(id));
    let contact = incident.fields.get("contact").cloned();
    NoticeFacts {
        public,
        vulnerabilities,
        files: about.files.to_vec(),
        changed: about.since.map(|since| changed(&all, since)).unwrap_or_default(),
        changed_since: about.since.map_or_else(String::new, |since| work.say(since)),
        contact: contact
            .or_else(|| incident.lead.as_ref().map(|id| work.name(id)))
            .unwrap_or_else(|| "the security team".to_owned()),
        people: people(work, incident),
        handle: incident.handle.to_string(),
        tlp: tlp(incident, about.audience),
        t: say(incident.t()),
        t_day: incident.t().map_or_else(String::new, short),
        release: say(incident.anchor(Anchor::Release)),
        vector: incident.score.as_ref().map_or_else(String::new, |score| score.vector.clone()),
        ghsa: incident.ghsas.iter().cloned().collect::<Vec<_>>().join(", "),
        received: say(incident.letters.first().map(|letter| letter.received)),
        answered: say(incident.answered),
        published: say(incident.published()),
        known: incident
            .published()
            .into_iter()
            .chain(incident.known_public())
            .min()
            .map_or_else(String::new, |moment| work.say(moment)),
        lead,
        timeline: timeline(work, incident),
        text: String::new(),
    }
}

/// A moment for a subject: the hour is never dropped, nor are seconds where there are any.
#[must_use]
pub fn short(moment: Moment) -> String {
    let whole = moment.timestamp() % 60 == 0;
    moment.format(if whole { "%Y-%m-%d %H:%M UTC" } else { "%Y-%m-%d %H:%M:%S UTC" }).to_string()
}

/// What a notice of the desk's own says.
fn own_title(id: &TaskId) -> String {
    let own = [
        (TaskId::ended(), "The embargo has ended"),
        (TaskId::date_changed(), "The date has moved"),
        (TaskId::slipped(), "The date has passed, and it is not public"),
        (TaskId::leaked(), "It has got out"),
    ];
    let known = own.iter().find(|(known, _)| known == id);
    known.map_or_else(|| id.to_string(), |(_, what)| (*what).to_owned())
}

/// What was done when, for the retrospective.
fn timeline(work: &Work<'_>, incident: &Incident) -> Vec<String> {
    let mut rows: Vec<(Moment, String)> = incident
        .done
        .iter()
        .map(|(id, done)| {
            let (row, part) = id.as_str().split_once('/').unwrap_or((id.as_str(), ""));
            let row = incident.tasks().find(|task| task.id.as_str() == row);
            let title = row.map_or("", |task| task.title.as_str());
            let title = if part.is_empty() { title.to_owned() } else { format!("{title}, {part}") };
            let by = done.by.as_ref().map_or_else(|| "the desk".to_owned(), |by| work.name(by));
            (done.at, format!("{title} ({by})"))
        })
        .collect();
    for (id, notice) in &incident.notices {
        for release in notice.releases.values() {
            let late = if release.late { ", late" } else { "" };
            let count = release.copies.len().saturating_add(release.pending.len());
            let what = incident.task(id).map_or_else(|| own_title(id), |task| task.title.clone());
            rows.push((release.at, format!("{what}: sent, to {count}{late}")));
        }
    }
    rows.sort();
    rows.into_iter().map(|(at, what)| format!("{}  {what}", work.say(at))).collect()
}

/// Renders a word to a group: what a person wrote, in the frame that every notice has.
///
/// # Errors
/// The template's problem.
pub fn render_words(work: &Work<'_>, audience: &Audience, text: &str) -> Result<Written, Problem> {
    let Some(incident) = &work.incident else {
        return Ok(Written { subject: String::new(), body: String::new() });
    };
    let about = About { audience: Some(audience), ..About::default() };
    let facts = notice_facts(work, incident, &about);
    work.desk.texts.freeze("tell", &NoticeFacts { text: text.to_owned(), ..facts })
}

/// Renders a notice of the desk's own as it would be frozen now.
///
/// # Errors
/// The template's problem.
pub fn render(
    work: &Work<'_>,
    template: &str,
    audience: Option<&Audience>,
) -> Result<Written, Problem> {
    render_about(work, template, &About { audience, ..About::default() })
}

/// Renders a row's notice as it would be frozen now, with these files.
///
/// # Errors
/// The template's problem.
pub fn render_row(work: &Work<'_>, task: &Task, files: &[FileLine]) -> Result<Written, Problem> {
    let since = work.incident.as_ref().and_then(|i| last_heard(i, task.audience.as_ref()));
    rendered(work, task, files, since)
}

fn rendered(
    work: &Work<'_>,
    task: &Task,
    files: &[FileLine],
    since: Option<Moment>,
) -> Result<Written, Problem> {
    let mates = mates(work, task);
    let mates: Vec<&Incident> = mates.iter().map(AsRef::as_ref).collect();
    let about = About { audience: task.audience.as_ref(), mates: &mates, files, since };
    render_about(work, task.template.as_deref().unwrap_or(""), &about)
}

fn render_about(work: &Work<'_>, template: &str, about: &About<'_>) -> Result<Written, Problem> {
    let audience = about.audience;
    let Some(incident) = &work.incident else {
        return Ok(Written { subject: String::new(), body: String::new() });
    };
    match audience {
        Some(Audience::Public(_)) if Texts::class(template) == Some(Class::Public) => {
            work.desk.texts.freeze_public(template, &public_facts(work, incident))
        }
        Some(Audience::Public(_)) => {
            work.desk.texts.freeze_forecast(template, &forthcoming_facts(work, incident))
        }
        Some(
            Audience::Group(_) | Audience::Member { .. } | Audience::Role(_) | Audience::Reporter,
        )
        | None => work.desk.texts.freeze(template, &notice_facts(work, incident, about)),
    }
}

/// A hash of a text that tells nobody what it says, not even to whoever guesses.
fn text_mark(work: &Work<'_>, written: &Written) -> Digest {
    let (subject, body) = (written.subject.as_bytes(), written.body.as_bytes());
    Digest::of_parts(&[b"draft", &work.desk.ref_key.0, subject, body])
}

/// Whether a draft frozen now would say something else than the newest: the record has changed.
#[must_use]
pub fn would_differ(work: &Work<'_>, task: &Task) -> bool {
    let draft = work.incident.as_ref().and_then(|i| i.notices.get(&task.id)?.valid_draft());
    let Some((draft, mark)) = draft.and_then(|draft| Some((draft, draft.text?))) else {
        return false;
    };
    let outside = task.audience.as_ref().is_some_and(Audience::is_outside);
    if task.template.as_deref() == Some("tell") || !outside {
        return false;
    }
    let lines = draft.attachments.iter().filter(|part| part.name != calendar_entry::NAME);
    let files: Vec<FileLine> = lines
        .map(|part| FileLine { name: part.name.clone(), sha256: part.sha256.to_string() })
        .collect();
    // Drafts of before this was left out of the mark are weighed as they were marked.
    let now = [rendered(work, task, &files, None), render_row(work, task, &files)];
    !now.iter().flatten().any(|written| text_mark(work, written) == mark)
}

/// What goes with a notice.
#[derive(Debug, Clone, Default)]
pub struct Enclosed {
    /// Files, passed on byte for byte.
    pub attachments: Vec<Attachment>,
    /// What is doubtful about the text.
    pub doubts: Vec<String>,
}

impl Enclosed {
    /// The files, as the text names them.
    #[must_use]
    pub fn lines(&self) -> Vec<FileLine> {
        let files =
            self.attachments.iter().filter(|part| part.name.as_str() != calendar_entry::NAME);
        files
            .map(|part| FileLine {
                name: part.name.to_string(),
                sha256: Digest::of(&part.bytes).to_string(),
            })
            .collect()
    }

    /// Adds the entry for a calendar, where there is a date under embargo.
    #[must_use]
    pub fn with_entry(mut self, work: &Work<'_>, audience: Option<&Audience>) -> Self {
        if let Some(incident) = &work.incident
            && incident.published().is_none()
        {
            let tlp = tlp(incident, audience);
            let entry = calendar_entry::of(
                incident,
                &work.desk.settings,
                &work.desk.ref_key,
                &tlp,
                work.now,
            );
            self.attachments.extend(entry);
        }
        self
    }

    /// Adds the entry for a calendar, taken back: the embargo is over.
    #[must_use]
    pub fn with_entry_taken_back(mut self, work: &Work<'_>) -> Self {
        if let Some(incident) = &work.incident {
            let key = &work.desk.ref_key;
            let entry = calendar_entry::cancelled(
                incident,
                &work.desk.settings,
                key,
                "AMBER+STRICT",
                work.now,
            );
            self.attachments.extend(entry);
        }
        self
    }
}

/// Keeps an attachment as a sealed blob, and says by which name.
fn enclose(work: &mut Work<'_>, attachment: &Attachment) -> Enclosure {
    let mut hex = String::with_capacity(attachment.bytes.len().saturating_mul(2));
    for byte in attachment.bytes.iter() {
        hex.push_str(&format!("{byte:02x}"));
    }
    Enclosure {
        name: attachment.name.to_string(),
        media: format!("{}{}", attachment.media, attachment.parameters),
        size: u64::try_from(attachment.bytes.len()).unwrap_or(u64::MAX),
        sha256: Digest::of(&attachment.bytes),
        bytes: work.keep(hex),
    }
}

/// Freezes a rendered notice as the next numbered draft; body and attachments are kept as sealed
/// blobs.
pub fn freeze(
    work: &mut Work<'_>,
    notice: &TaskId,
    template: &str,
    written: &Written,
    recipients: BTreeSet<Recipient>,
    by: Option<PersonId>,
    enclosed: Enclosed,
) -> Draft {
    let attachments = enclosed.attachments.iter().map(|part| enclose(work, part)).collect();
    let newest = work.incident.as_ref().and_then(|i| i.notices.get(notice)).and_then(|n| n.draft());
    let number = newest.map_or(0, |draft| draft.number).saturating_add(1);
    let row = work.incident.as_ref().and_then(|i| i.task(notice)).cloned();
    // What it says is new hangs on when it is written, and says nothing of the record.
    let marked = row.as_ref().filter(|row| row.template.as_deref() != Some("tell"));
    let marked = marked.and_then(|row| rendered(work, row, &enclosed.lines(), None).ok());
    let text = Some(text_mark(work, marked.as_ref().unwrap_or(written)));
    let mates = work.incident.as_ref().zip(row).map(|(i, row)| i.mates_of(&row).clone());
    let body = work.keep(serde_json::to_string(written).unwrap_or_default());
    Draft {
        notice: notice.clone(),
        number,
        body,
        recipients,
        t: work.incident.as_ref().and_then(|incident| incident.t()),
        release: work.incident.as_ref().and_then(|incident| {
            incident.grace()?;
            incident.anchor(Anchor::Release)
        }),
        template: work.desk.texts.digest(template),
        by,
        attachments,
        text,
        mates: mates.unwrap_or_default(),
        doubts: enclosed.doubts,
    }
}

/// When a notice leaves, for people: behind "it leaves".
#[must_use]
pub fn moment(work: &Work<'_>, task: &Task) -> String {
    let Some(incident) = &work.incident else { return String::new() };
    if incident.own.iter().any(|own| own.task.id == task.id) {
        return "as soon as it is approved".to_owned();
    }
    let late = if schedule::is_late(incident, task, work.now) { ", marked late" } else { "" };
    let window = task.when.as_ref().map(|when| when.window);
    if window.is_some_and(|window| !window.is_moment())
        && let Some((at, due)) = schedule::span_of(incident, task)
        && at <= work.now
    {
        let by = due.map_or_else(String::new, |due| format!("; it is due by {}", work.say(due)));
        return format!("as soon as it is approved{by}");
    }
    match schedule::span_of(incident, task) {
        Some((at, _)) if at > work.now => format!("on {}", work.say(at)),
        Some((at, _)) => format!("at once{late}, since its moment has passed ({})", work.say(at)),
        None => "at a moment that is not known yet".to_owned(),
    }
}
