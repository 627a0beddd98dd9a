//! The copies of a released notice: who still gets one, and in which words.

use std::collections::BTreeSet;

use crate::domain::decide::notice;
use crate::domain::decide::notice::LATE;
use crate::domain::decide::work::Work;
use crate::domain::facts::event::{Copy, Delivery, Draft, Event, Purpose, Recipient};
use crate::domain::facts::names::{Address, Fingerprint, PersonId, TaskId};
use crate::domain::model::desk::Desk;
use crate::domain::model::incident::{Incident, Release};
use crate::domain::model::roster::{Party, Person};
use crate::domain::model::schedule;
use crate::domain::outgoing::mail::{GateOpen, Mail, Words};
use crate::domain::process::playbook::{Audience, Task};
use crate::domain::views::calendar_entry::NAME;

/// Puts the next copies of released notices in the outbox. Sealed now, not before; at most so many
/// in one transaction, and what is left is due at once again, also after a crash.
pub(crate) fn copies(work: &mut Work<'_>) {
    let Some(incident) = work.incident.clone() else {
        return;
    };
    let mut room = COPIES_MAX;
    // The word about a date comes after what names an older one, and last that it has passed.
    let mut notices: Vec<_> = incident.notices.iter().collect();
    notices.sort_by_key(|(id, _)| (**id == TaskId::slipped(), **id == TaskId::date_changed()));
    for (id, notice) in notices {
        for (number, release) in &notice.releases {
            let Some(draft) = notice.drafts.iter().find(|draft| draft.number == *number) else {
                continue;
            };
            room = room.min(copies_at_once(draft));
            let some: Vec<_> = release.pending.iter().take(room).cloned().collect();
            if some.is_empty() {
                continue;
            }
            room = room.saturating_sub(some.len());
            let task = incident.task(id);
            let late = release.late.then(|| LATE.to_owned());
            let left = work.say(release.at);
            let moved = release.t != incident.t();
            let public = incident.published().is_some() || incident.known_public().is_some();
            let passed = !public && incident.t().is_some_and(|t| t < work.now);
            let copies: Vec<Copy> = some
                .into_iter()
                .map(|to| {
                    let caught_up = release.caught_up.contains(&to);
                    let late = if caught_up {
                        Some(notice::late_copy(&left, moved, passed))
                    } else {
                        late.clone()
                    };
                    let message_id = work.message_id();
                    let purpose = Purpose::Notice { notice: id.clone(), number: *number };
                    let posted = copy_for(work, &incident, &to, task, (draft, release), late)
                        .map(|(address, key, words)| {
                            let answers = incident.root_mails.get(&to).cloned();
                            work.post(Mail {
                                message_id: message_id.clone(),
                                about: Some(incident.handle.clone()),
                                to: to.clone(),
                                address,
                                key,
                                purpose,
                                not_before: work.now,
                                words,
                                attachments: Vec::new(),
                                with_our_key: false,
                                answers,
                            });
                        })
                        .is_some();
                    let state = if posted { Delivery::Queued } else { Delivery::Withdrawn };
                    Copy { to, message_id, state }
                })
                .collect();
            tell_mates(work, &incident, (draft, release), &copies);
            work.add(Event::Sent { notice: id.clone(), number: *number, copies });
        }
    }
}

/// The other incidents that a notice speaks of remember who has it now.
fn tell_mates(
    work: &mut Work<'_>,
    incident: &Incident,
    (draft, release): (&Draft, &Release),
    copies: &[Copy],
) {
    let went = copies.iter().filter(|copy| copy.state == Delivery::Queued);
    let to: BTreeSet<PersonId> = went
        .filter_map(|copy| match &copy.to {
            Recipient::Person(id) => Some(id.clone()),
            Recipient::Reporter | Recipient::List(_) | Recipient::Outsider(_) => None,
        })
        .collect();
    for mate in draft.mates.iter().filter(|_| !to.is_empty()) {
        let (on, notice) = (incident.handle.clone(), draft.notice.clone());
        let (number, seconded, to) = (draft.number, release.seconded.clone(), to.clone());
        let event = Event::SharedSent { on, notice, number, to, seconded };
        work.on_other(mate, |work| work.add(event));
    }
}

/// How many copies of a draft are sealed together: all of them are in memory at once.
pub(crate) fn copies_at_once(draft: &Draft) -> usize {
    let each: u64 = draft.attachments.iter().map(|enclosure| enclosure.size).sum();
    let fit = COPIES_BYTES_MAX.checked_div(each).unwrap_or(u64::MAX);
    usize::try_from(fit).unwrap_or(usize::MAX).clamp(2, COPIES_MAX)
}

pub(crate) type Posting = (Address, Option<Fingerprint>, Words);

/// The words for one recipient, if they are still entitled to them.
pub(crate) fn copy_for(
    work: &Work<'_>,
    incident: &Incident,
    to: &Recipient,
    task: Option<&Task>,
    (draft, release): (&Draft, &Release),
    late: Option<String>,
) -> Option<Posting> {
    match to {
        Recipient::Person(id) => {
            let person = work.desk.roster.person(id)?;
            // Nobody outside the team gets a word that two people do not stand behind.
            let backed = release.seconded.is_some() || incident.is_team(person);
            if !is_entitled(incident, person, task)
                || !backed
                || !is_meant_there(work.desk, draft, person)
            {
                return None;
            }
            let reference = work.reference(Party::Person(id));
            let mut enclosures = draft.attachments.clone();
            // An entry for a day that has moved would be the last that a calendar hears of.
            if !incident.is_dated(draft) {
                enclosures.retain(|enclosure| enclosure.name != NAME);
            }
            let (draft, name) = (draft.body, person.name.clone());
            let words = Words::Frozen { draft, name, reference, late, enclosures };
            let key = work.desk.key_for(person, work.now);
            Some((person.address.clone(), Some(key), words))
        }
        Recipient::List(address) => {
            let task = task?;
            // The gates are looked at where the text becomes public, not where it was approved.
            let gate = gate_open(incident, task, release)?;
            Some((address.clone(), None, Words::Public { draft: draft.body, late, gate }))
        }
        Recipient::Reporter | Recipient::Outsider(_) => None,
    }
}

pub(crate) fn is_entitled(incident: &Incident, person: &Person, task: Option<&Task>) -> bool {
    match task.and_then(|task| task.audience.as_ref()) {
        Some(audience) => incident.is_meant(audience, person),
        // The desk's own notices go to those who had the date; whoever left every group does not.
        None => incident.is_for_what_they_had(person) || incident.is_team(person),
    }
}

/// Whether somebody is meant on each of the other incidents that a notice speaks of.
pub(crate) fn is_meant_there(desk: &Desk, draft: &Draft, person: &Person) -> bool {
    draft.mates.iter().all(|mate| {
        desk.incident(mate).is_some_and(|mate| {
            let audience = mate.task(&draft.notice).and_then(|task| task.audience.as_ref());
            audience.is_none_or(|audience| mate.is_meant(audience, person))
        })
    })
}

pub(crate) fn gate_open(incident: &Incident, task: &Task, release: &Release) -> Option<GateOpen> {
    release.seconded.as_ref()?;
    let open = schedule::open_before(incident, task).next().is_none();
    let open = open && schedule::a_gate_is_open(incident, task);
    (open && matches!(task.audience, Some(Audience::Public(_)))).then_some(GateOpen { _proof: () })
}

/// The most copies of a notice that one transaction puts in the outbox.
pub(crate) const COPIES_MAX: usize = 50;

/// The most bytes of attachments that one transaction seals, unless a single copy on each core has more.
pub(crate) const COPIES_BYTES_MAX: u64 = 32 * 1024 * 1024;
