//! Those who missed a notice get it while the embargo lasts: who came later, was let in again, or has
//! a key again that can be used. And approvers are told when the recipients of what they approved have
//! changed.

use std::collections::BTreeSet;

use crate::domain::decide::decision::Decision;
use crate::domain::decide::work::Work;
use crate::domain::decide::{notice, relay};
use crate::domain::facts::event::{Delivery, Event, Recipient};
use crate::domain::facts::names::{Digest, Fresh, Handle, Moment, TaskId};
use crate::domain::model::desk::Desk;
use crate::domain::model::incident::{Entry, Incident, Status};
use crate::domain::model::schedule;
use crate::domain::process::playbook::Task;

/// Looks at one incident: who has missed what, and whose approval rests on other recipients.
pub fn look(desk: &Desk, handle: &Handle, now: Moment, fresh: Fresh) -> Decision {
    let mut work = Work::on(desk, Some(handle), now, fresh);
    let Some(incident) = work.incident.clone() else { return work.done() };
    if incident.status != Status::Accepted {
        return work.done();
    }
    let lasts = incident.published().is_none() && incident.known_public().is_none();
    let mut late: BTreeSet<Recipient> = BTreeSet::new();
    for task in incident.notice_tasks() {
        if lasts {
            late.extend(missed(&mut work, &incident, task));
        }
        differs(&mut work, &incident, task);
    }
    if lasts {
        word_about_the_date(&mut work, &incident, TaskId::date_changed(), &late);
        word_about_the_date(&mut work, &incident, TaskId::slipped(), &late);
    }
    work.done()
}

/// Sends the newest number of a notice to those of its audience who never had it.
fn missed(work: &mut Work<'_>, incident: &Incident, task: &Task) -> BTreeSet<Recipient> {
    let audience = task.audience.as_ref().filter(|audience| audience.under_embargo().is_some());
    let Some(audience) = audience else { return BTreeSet::new() };
    let notice = incident.notices.get(&task.id);
    let Some((number, release)) = notice.and_then(|notice| notice.releases.last_key_value()) else {
        return BTreeSet::new();
    };
    if schedule::is_moot(incident, task) || incident.is_held(&task.id) {
        return BTreeSet::new();
    }
    let has = incident.ledger(&task.id);
    let recipients: BTreeSet<Recipient> = notice::recipients(work, audience)
        .into_iter()
        .filter(|to| !release.pending.contains(to) && is_without(work, to, has.get(to)))
        .collect();
    let recipients: BTreeSet<Recipient> = recipients
        .into_iter()
        .filter(|to| not_tried(work, to, &task.id, *number, has.get(to)))
        .collect();
    if !recipients.is_empty() {
        let (notice, number) = (task.id.clone(), *number);
        work.add(Event::CaughtUp { notice, number, recipients: recipients.clone() });
    }
    recipients
}

/// Whether a copy that could not be sealed was not tried again with the certificate as it is now: one
/// that only looks usable would otherwise be tried for ever. Takes note of it.
fn not_tried(
    work: &mut Work<'_>,
    to: &Recipient,
    notice: &TaskId,
    number: u32,
    line: Option<&(u32, Entry)>,
) -> bool {
    let withheld = line.is_some_and(|(_, entry)| entry.delivery == Delivery::Withheld);
    let Recipient::Person(id) = to else { return true };
    let Some(person) = work.person(id).filter(|_| withheld) else { return true };
    let usable: Vec<String> = person
        .fingerprints()
        .filter_map(|key| work.desk.key_facts(key))
        .flat_map(|facts| facts.subkeys.iter().filter(|s| s.is_usable(work.now)))
        .map(|subkey| subkey.id.clone())
        .collect();
    let key = Digest::of_parts(&[person.certificate.as_bytes(), usable.join(" ").as_bytes()]);
    let what = format!("retry:{notice}@{number}:{id}:{}", key.short());
    let new = work.incident.as_ref().is_some_and(|incident| !incident.reminded.contains(&what));
    if new {
        work.add(Event::Reminded { what });
    }
    new
}

/// Whether somebody never got a copy, and could get one now. What a mail server refused for good is
/// not tried again: the address is what is wrong.
fn is_without(work: &Work<'_>, to: &Recipient, line: Option<&(u32, Entry)>) -> bool {
    let Recipient::Person(id) = to else { return false };
    let usable = work.person(id).is_some_and(|person| work.desk.can_seal(person, work.now));
    let without = line.is_none_or(|(_, entry)| {
        entry.received.is_none()
            && matches!(entry.delivery, Delivery::Withheld | Delivery::Withdrawn)
    });
    usable && without
}

/// Who gets a notice that names an older date gets the newest one with it; and once T has passed
/// without it being public, the word that it has.
fn word_about_the_date(
    work: &mut Work<'_>,
    incident: &Incident,
    id: TaskId,
    late: &BTreeSet<Recipient>,
) {
    let notice = incident.notices.get(&id);
    let Some((number, release)) = notice.and_then(|notice| notice.releases.last_key_value()) else {
        return;
    };
    if release.t != incident.t() {
        return;
    }
    let has = incident.ledger(&id);
    let holders = incident.holders_of_a_date();
    let recipients: BTreeSet<Recipient> = holders
        .into_iter()
        .filter(|(_, t)| Some(*t) != incident.t())
        .map(|(to, _)| to)
        .chain(late.iter().cloned())
        .filter(|to| !release.pending.contains(to))
        .filter(|to| {
            has.get(to).is_none_or(|(n, _)| n != number) || is_without(work, to, has.get(to))
        })
        .filter(|to| {
            let Recipient::Person(id) = to else { return false };
            work.person(id).is_some_and(|person| work.desk.can_seal(person, work.now))
        })
        .collect();
    if !recipients.is_empty() {
        work.add(Event::CaughtUp { notice: id, number: *number, recipients });
    }
}

/// Who of the recipients is new, and who is gone, since a draft was frozen.
#[must_use]
pub fn difference(
    work: &Work<'_>,
    incident: &Incident,
    task: &Task,
) -> (Vec<Recipient>, Vec<Recipient>) {
    let draft = incident.notices.get(&task.id).and_then(|notice| notice.valid_draft());
    let Some(draft) = draft else { return (Vec::new(), Vec::new()) };
    let now = notice::recipients_of(work, task);
    let new = now.difference(&draft.recipients).cloned().collect();
    let gone = draft.recipients.difference(&now).cloned().collect();
    (new, gone)
}

/// Tells those who approve a draft that others get it than when it was frozen; once for each
/// difference.
fn differs(work: &mut Work<'_>, incident: &Incident, task: &Task) {
    let notice = incident.notices.get(&task.id);
    let Some(draft) = notice.filter(|notice| !notice.has_left()).and_then(|n| n.valid_draft())
    else {
        return;
    };
    let (new, gone) = difference(work, incident, task);
    if new.is_empty() && gone.is_empty() {
        return;
    }
    let digest = Digest::of(format!("{new:?} {gone:?}").as_bytes()).short();
    let what = format!("differs:{}@{}:{digest}", task.id, draft.number);
    if incident.reminded.contains(&what) {
        return;
    }
    let mut lines = vec![format!(
        "`{}@{}` now goes to others than when it was frozen:",
        task.word(),
        draft.number
    )];
    lines.extend(new.iter().map(|to| format!("  + {}", relay::who(work.desk, to))));
    lines.extend(gone.iter().map(|to| format!("  - {}", relay::who(work.desk, to))));
    let next = format!(
        "nothing, if that is right; else `| /hold {}`, or `| /audience GROUP WHO...`, without the bar.",
        task.word()
    );
    let people: Vec<_> = task.roles().flat_map(|role| work.holders(role)).collect();
    work.inform(&people, "The recipients have changed", &lines, &next);
    work.add(Event::Reminded { what });
}
