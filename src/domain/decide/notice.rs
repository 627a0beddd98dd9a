//! Notices: who gets one, what it may say, and how a draft is frozen.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::decide::batch;
use crate::domain::decide::work::Work;
use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::event::{Draft, Enclosure, Recipient};
use crate::domain::facts::letter::Attachment;
use crate::domain::facts::names::{Digest, Moment, PersonId, TaskId};
use crate::domain::model::incident::Incident;
use crate::domain::model::incident::facts::cves;
use crate::domain::model::schedule;
use crate::domain::outgoing::texts::{
    Class, ForecastFacts, ForthcomingFacts, NoticeFacts, Problem, PublicFacts, Texts, Written,
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
    PublicFacts {
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

fn notice_facts(work: &Work<'_>, incident: &Incident, audience: Option<&Audience>) -> NoticeFacts {
    let say =
        |moment: Option<_>| moment.map_or_else(|| "not yet".to_owned(), |moment| work.say(moment));
    NoticeFacts {
        public: public_facts(work, incident),
        handle: incident.handle.to_string(),
        tlp: tlp(incident, audience),
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
        lead: incident.lead.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string),
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

/// What was done when, for the retrospective.
fn timeline(work: &Work<'_>, incident: &Incident) -> Vec<String> {
    let mut rows: Vec<(Moment, String)> = incident
        .done
        .iter()
        .map(|(id, done)| {
            let title = incident.task(id).map_or("", |task| task.title.as_str());
            let by = done.by.as_ref().map_or("the desk", |by| by.as_str());
            (done.at, format!("{title} ({by})"))
        })
        .collect();
    for (id, notice) in &incident.notices {
        for (number, release) in &notice.releases {
            let late = if release.late { ", late" } else { "" };
            let count = release.copies.len().saturating_add(release.pending.len());
            rows.push((release.at, format!("notice {id}@{number} to {count}{late}")));
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
    let facts = notice_facts(work, incident, Some(audience));
    work.desk.texts.freeze("tell", &NoticeFacts { text: text.to_owned(), ..facts })
}

/// Renders a notice as it would be frozen now.
///
/// # Errors
/// The template's problem.
pub fn render(
    work: &Work<'_>,
    template: &str,
    audience: Option<&Audience>,
) -> Result<Written, Problem> {
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
        | None => work.desk.texts.freeze(template, &notice_facts(work, incident, audience)),
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
    let (Some(mark), Some(template)) = (draft.and_then(|draft| draft.text), &task.template) else {
        return false;
    };
    let outside = task.audience.as_ref().is_some_and(Audience::is_outside);
    if template == "tell" || !outside {
        return false;
    }
    let now = render(work, template, task.audience.as_ref());
    now.is_ok_and(|written| text_mark(work, &written) != mark)
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
        text: Some(text_mark(work, written)),
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
