//! Drafts that say what is no longer true: whoever froze or approved one is told at once, and how it is mended.

use std::collections::BTreeSet;

use crate::domain::decide::notice;
use crate::domain::decide::work::Work;
use crate::domain::facts::names::PersonId;
use crate::domain::model::incident::Incident;
use crate::domain::model::incident::facts::cves;
use crate::domain::model::roster::Person;
use crate::domain::process::playbook::Task;
use crate::domain::process::playbook::field::Score;

/// Notices that are frozen in the same draft as before, and have not left.
fn frozen<'i>(before: &'i Incident, now: &'i Incident) -> Vec<(&'i Task, u32)> {
    let same = |task: &&'i Task| {
        let (was, is) = (before.notices.get(&task.id)?, now.notices.get(&task.id)?);
        let (was, draft) = (was.valid_draft()?, is.valid_draft()?);
        (was.number == draft.number && !is.has_left()).then_some(draft.number)
    };
    before.notice_tasks().filter_map(|task| Some((task, same(&task)?))).collect()
}

/// Who froze the draft of a notice, and who approved it.
fn stand_behind(incident: &Incident, task: &Task) -> BTreeSet<PersonId> {
    let notice = incident.notices.get(&task.id);
    let editor = notice.and_then(|notice| notice.valid_draft()?.by.clone());
    let approved = notice.into_iter().flat_map(|notice| notice.approvals.keys().cloned());
    editor.into_iter().chain(approved).collect()
}

/// What a draft can say of the record, and the value of each.
fn record(incident: &Incident) -> Vec<(String, String)> {
    let own = [
        ("title", incident.title.clone().unwrap_or_default()),
        ("cve", cves(incident)),
        ("cvss", incident.score.as_ref().map(Score::say).unwrap_or_default()),
        ("ghsa", incident.ghsas.iter().cloned().collect::<Vec<_>>().join(", ")),
    ];
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
    let fields = incident.playbook.fields.keys();
    let fields =
        fields.map(|name| (name.clone(), incident.fields.get(name).cloned().unwrap_or_default()));
    own.chain(fields).collect()
}

/// Tells of all drafts that a mail has made untrue.
pub fn tell(work: &mut Work<'_>) {
    let handle = work.incident.as_ref().map(|incident| incident.handle.clone());
    if let Some(before) = handle.and_then(|handle| work.desk.incident(&handle)) {
        tell_of_the_day(work, before);
        tell_of_the_record(work, before);
        tell_of_the_release(work, before);
    }
}

/// A draft that speaks for a release lies on the first of its incidents: there it is told.
fn tell_of_the_release(work: &mut Work<'_>, before: &Incident) {
    let Some(now) = work.incident.clone() else { return };
    let first = now.sharing.first.clone().or_else(|| before.sharing.first.clone());
    let changed = record(before) != record(&now) || before.batch != now.batch;
    let Some(first) = first.filter(|_| changed) else { return };
    let Some(there) = work.desk.incident(&first) else { return };
    work.on_other(&first, |work| {
        let drafts: Vec<(&Task, u32)> = frozen(there, there)
            .into_iter()
            .filter(|(task, _)| task.once && notice::would_differ(work, task))
            .collect();
        let what = "The record of another incident of the release has changed since it was frozen, and it would leave as it was.";
        inform(work, there, &drafts, what, &[], "A draft says what is no longer true");
    });
}

/// Tells those who stand behind a draft that the record has changed under it, and how.
fn tell_of_the_record(work: &mut Work<'_>, before: &Incident) {
    let Some(now) = work.incident.clone() else { return };
    let nothing = |text: &str| if text.is_empty() { "nothing" } else { text }.to_owned();
    let changes: Vec<String> = record(before)
        .into_iter()
        .zip(record(&now))
        .filter(|((_, was), (_, is))| was != is)
        .map(|((name, was), (_, is))| format!("  {name}: {} -> {}", nothing(&was), nothing(&is)))
        .collect();
    if changes.is_empty() {
        return;
    }
    let drafts: Vec<(&Task, u32)> = frozen(before, &now)
        .into_iter()
        .filter(|(task, _)| notice::would_differ(work, task))
        .collect();
    let what = "The record has changed since it was frozen, and it would leave as it was:";
    inform(work, &now, &drafts, what, &changes, "A draft says what is no longer true");
}

/// Tells those who froze or approved a draft that its day has moved, so that nothing of that counts any more.
pub fn tell_of_the_day(work: &mut Work<'_>, before: &Incident) {
    let Some(now) = work.incident.clone() else { return };
    let names_old = |incident: &Incident, task: &Task| {
        let draft = incident.notices.get(&task.id).and_then(|notice| notice.valid_draft());
        draft.is_some_and(|draft| incident.is_dated(draft))
    };
    let drafts: Vec<(&Task, u32)> = frozen(before, &now)
        .into_iter()
        .filter(|(task, _)| names_old(before, task) && !names_old(&now, task))
        .collect();
    let day = now.t().map_or_else(|| "not set".to_owned(), |t| work.say(t));
    let what = "T has moved, so it does not leave, and its approvals count no more.";
    let lines = [format!("  T is now {day}.")];
    inform(work, &now, &drafts, what, &lines, "A draft names a day that has moved");
}

fn inform(
    work: &mut Work<'_>,
    incident: &Incident,
    drafts: &[(&Task, u32)],
    what: &str,
    more: &[String],
    heading: &str,
) {
    let Some((first, _)) = drafts.first() else { return };
    let mut people: Vec<&Person> = Vec::new();
    for (task, _) in drafts {
        people.extend(stand_behind(incident, task).iter().filter_map(|id| work.person(id)));
    }
    let names: Vec<String> =
        drafts.iter().map(|(task, number)| format!("{}@{number}", task.word())).collect();
    let mut lines = vec![format!("{}: {what}", names.join(", "))];
    lines.extend(more.iter().cloned());
    let leaves = notice::moment(work, first);
    lines.push(format!("`{}` is planned to leave {leaves}.", first.word()));
    let word = first.word();
    let next = format!(
        "`| /preview {word}` (without the bar) freezes it anew, to be approved anew; `| /hold {word}` keeps it here."
    );
    work.inform(&people, heading, &lines, &next);
}
