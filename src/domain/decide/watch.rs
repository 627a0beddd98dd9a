//! What happens because time passes, or because a mail server answered.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::domain::decide::decision::{Decision, Entry};
use crate::domain::decide::notice::LATE;
use crate::domain::decide::work::Work;
use crate::domain::decide::{auto, notice, relay, reminders, rotation, silence};
use crate::domain::facts::event::{Copy, Delivery, Draft, Event, Purpose, Recipient};
use crate::domain::facts::names::{Address, Fingerprint, Fresh, Handle, MessageId, Moment, TaskId};
use crate::domain::model::desk::Desk;
use crate::domain::model::incident::{Incident, Status};
use crate::domain::model::roster::{Party, Person};
use crate::domain::model::schedule;
use crate::domain::model::schedule::{Block, Duty, may_leave};
use crate::domain::outgoing::mail::{GateOpen, Label, Mail, Words};
use crate::domain::outgoing::texts;
use crate::domain::process::playbook::{Audience, Playbook, Task};
use crate::domain::views::calendar_entry::NAME;
use crate::domain::views::compare;

/// The most copies of a notice that one transaction puts in the outbox.
const COPIES_MAX: usize = 50;
/// The most bytes of attachments that one transaction seals, unless a single copy on each core has more.
const COPIES_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Does what is due for an incident. `vouched` says whether the clock may be trusted: notices
/// leave on a vouched clock only, everything else goes on.
pub fn due(desk: &Desk, handle: &Handle, vouched: bool, now: Moment, fresh: Fresh) -> Decision {
    let mut work = Work::on(desk, Some(handle), now, fresh);
    let Some(incident) = work.incident.clone() else {
        return work.done();
    };
    let due: Vec<_> =
        schedule::duties(&incident).into_iter().filter(|(at, _)| *at <= now).collect();
    let mut tasks = Vec::new();
    let mut overdue = Vec::new();
    let mut drafts: Vec<(TaskId, u32)> = Vec::new();
    let mut told = BTreeSet::new();
    // The highest reminder speaks for those below it, so that a desk that was down says a thing
    // once.
    for (at, duty) in due.iter().rev() {
        let mark = duty.mark(*at);
        match duty {
            Duty::Copies(..) => {}
            Duty::Leave(task) => {
                if vouched {
                    leave(&mut work, task, *at);
                }
            }
            Duty::HumanReminder(_) | Duty::HumanLapsed => {
                if told.insert("human".to_owned()) {
                    reminders::human(&mut work, *duty == Duty::HumanLapsed);
                }
                work.add(Event::Reminded { what: mark });
            }
            Duty::DraftReminder(task, percent) => {
                if told.insert(format!("draft {task}")) {
                    drafts.push((task.clone(), *percent));
                }
                work.add(Event::Reminded { what: mark });
            }
            Duty::TaskDue(task) => {
                tasks.push(task.clone());
                work.add(Event::Reminded { what: mark });
            }
            Duty::TaskOverdue(task) => {
                overdue.push(task.clone());
                work.add(Event::Reminded { what: mark });
            }
            Duty::OfferReminder(_) | Duty::Silence => {
                silence::remind(&mut work, duty);
                work.add(Event::Reminded { what: mark });
            }
            Duty::Act(task) => auto::act(&mut work, task, mark),
            Duty::Escalate(task, step) => {
                silence::escalate(&mut work, task, *step);
                work.add(Event::Reminded { what: mark });
            }
            Duty::AskNext => rotation::offer_turn(&mut work),
            Duty::OfferLapsed(person) => silence::lapsed(&mut work, person),
            Duty::ReporterUpdate => {
                silence::word_to_reporter(&mut work);
                work.add(Event::Reminded { what: mark });
            }
            Duty::Slipped => {
                slipped(&mut work);
                work.add(Event::Reminded { what: mark });
            }
        }
    }
    drafts.reverse();
    reminders::drafts(&mut work, &drafts);
    tasks.reverse();
    reminders::tasks(&mut work, &tasks);
    overdue.reverse();
    silence::overdue(&mut work, &overdue);
    // Copies come from the state as it is now, so that a notice released a moment ago begins to
    // leave in the same transaction.
    if vouched {
        copies(&mut work);
    }
    work.done()
}

/// A mail to ourselves, by which the clock is compared with the mail server's; gives its id.
pub fn clock_probe(desk: &Desk, now: Moment, fresh: Fresh) -> (Decision, Option<MessageId>) {
    let mut work = Work::on(desk, None, now, fresh);
    let message_id = work.message_id();
    let facts = work.clear_facts();
    match desk.texts.clear("witness", &facts) {
        Ok(text) => {
            let address = desk.settings.address.clone();
            work.post(Mail {
                message_id: message_id.clone(),
                about: None,
                to: Recipient::Outsider(address.clone()),
                address,
                key: None,
                purpose: Purpose::ClockProbe,
                not_before: now,
                words: Words::Clear(text),
                attachments: Vec::new(),
                with_our_key: false,
                answers: None,
            });
            (work.done(), Some(message_id))
        }
        Err(problem) => {
            work.fault(problem.to_string());
            (work.done(), None)
        }
    }
}

/// Tells the operators that notices are held, because the clock cannot be trusted.
pub fn clock_alarm(desk: &Desk, why: &str, now: Moment, fresh: Fresh) -> Decision {
    let mut work = Work::on(desk, None, now, fresh);
    let lines = [
        format!("The clock of the desk cannot be trusted: {why}."),
        "No notice leaves until it can. Reports and answers go on.".to_owned(),
    ];
    let next = "set the clock of the machine right and restart the desk; or see why mail to the desk's own address does not arrive.";
    relay::alert(&mut work, None, "Notices are held: the clock", &lines, next);
    work.done()
}

/// Takes in that the store was put back from a backup: all notices of open incidents are held.
pub fn restored(desk: &Desk, now: Moment, fresh: Fresh) -> Decision {
    let mut work = Work::on(desk, None, now, fresh);
    work.add_to_desk(Event::Restored);
    for incident in desk.open() {
        work.add_about(&incident.handle, Event::Held { notice: None });
    }
    work.done()
}

/// Puts an incident on another version of its playbook. What was done stays done; who is on it is
/// told what is different.
pub fn migrated(
    desk: &Desk,
    handle: &Handle,
    playbook: &Arc<Playbook>,
    now: Moment,
    fresh: Fresh,
) -> Decision {
    let mut work = Work::on(desk, Some(handle), now, fresh);
    let Some(incident) = work.incident.clone() else { return work.done() };
    let changes = compare::consequences(&incident, playbook, now);
    let shown = 40;
    let mut lines = vec![format!(
        "From now on it follows `{}`, version {}. It was `{}`, version {}.",
        playbook.id, playbook.version, incident.playbook.id, incident.playbook.version
    )];
    lines.extend(changes.iter().take(shown).map(|change| format!("  {}", change.say())));
    if changes.len() > shown {
        lines.push(format!("  and {} more", changes.len().saturating_sub(shown)));
    }
    let team = work.team();
    let next = "see `| /agenda` for what is to be done now, without the bar.";
    work.inform(&team, "It follows another version of the process", &lines, next);
    let calendar = playbook.calendar_digest;
    work.add(Event::Migrated { playbook: playbook.digest, calendar });
    work.done()
}

/// What is known of a waiting report, in a few words.
fn how(incident: &Incident) -> &'static str {
    match incident.letters.first() {
        Some(letter) if letter.failure.is_some() => "could not be opened",
        Some(letter) if letter.protection.is_encrypted() => "encrypted",
        Some(_) | None => "not encrypted",
    }
}

/// Sends the waiting reports to the maintainers in one mail, and tells the operators once.
pub fn digest(desk: &Desk, now: Moment, fresh: Fresh) -> Decision {
    let mut work = Work::on(desk, None, now, fresh);
    let Some((_, handles)) = desk.limits.digest() else {
        return work.done();
    };
    let handles: Vec<Handle> = handles.into_iter().cloned().collect();
    let mut people: Vec<&Person> = Vec::new();
    let mut rows = Vec::new();
    for incident in handles.iter().filter_map(|handle| desk.incident(handle)) {
        for person in desk.roster.holders(&incident.playbook.intake) {
            if !people.iter().any(|known| known.id == person.id) {
                people.push(person);
            }
        }
        let from = incident
            .reporter
            .address
            .as_ref()
            .map_or_else(|| "(no address)".to_owned(), ToString::to_string);
        rows.push((
            incident.handle.clone(),
            json!({
            "handle": incident.handle,
            "received": work.say(incident.opened),
            "from": from,
            "how": how(incident),
            }),
        ));
    }
    for person in &people {
        let own: Vec<_> = rows
            .iter()
            .map(|(handle, row)| {
                let token =
                    desk.ref_key.token(&desk.settings.address, handle, Party::Person(&person.id));
                let mut row = row.clone();
                if let Value::Object(fields) = &mut row {
                    fields.insert("ref".to_owned(), format!("Ref: {handle}/{token}").into());
                }
                row
            })
            .collect();
        let facts = json!({ "count": own.len(), "rows": own });
        work.tell(person, Purpose::Alert, "digest", facts);
    }
    let lines = [format!(
        "{} reports by nobody known came in a heap and were sent on in one list.",
        rows.len()
    )];
    relay::alert(
        &mut work,
        None,
        "Reports come in heaps",
        &lines,
        "look whether somebody floods the mailbox.",
    );
    work.add_to_desk(Event::Digested { handles });
    work.done()
}

fn leave(work: &mut Work<'_>, id: &TaskId, moment: Moment) {
    let Some(incident) = work.incident.clone() else {
        return;
    };
    let Some(task) = incident.task(id) else {
        return;
    };
    match may_leave(&incident, task, work.now) {
        Ok(()) => {}
        Err(Block::Stale) => {
            let lines = [format!(
                "`{}` should have left on {} and could not. So long after, it leaves only if somebody approves it again.",
                task.word(),
                work.say(moment)
            )];
            reminders::remind(
                work,
                &task.role,
                "A notice is too old to leave by itself",
                &lines,
                &format!(
                    "| /approve {}@N, or | /preview {} for a new draft",
                    task.word(),
                    task.word()
                ),
            );
            work.add(Event::Reminded { what: schedule::stale_mark(id, moment) });
            return;
        }
        Err(_) => return,
    }
    let Some(number) = incident.notices.get(id).and_then(|n| n.draft()).map(|draft| draft.number)
    else {
        return;
    };
    let recipients = task
        .audience
        .as_ref()
        .map(|audience| notice::recipients(work, audience))
        .unwrap_or_default();
    let late = schedule::is_late(&incident, task, work.now);
    work.add(Event::Released { notice: id.clone(), number, late, recipients });
}

/// Puts the next copies of released notices in the outbox. Sealed now, not before; at most so many
/// in one transaction, and what is left is due at once again, also after a crash.
fn copies(work: &mut Work<'_>) {
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
            let copies = some
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
                    let posted = copy_for(work, &incident, &to, task, draft, late)
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
            work.add(Event::Sent { notice: id.clone(), number: *number, copies });
        }
    }
}

/// How many copies of a draft are sealed together: all of them are in memory at once.
fn copies_at_once(draft: &Draft) -> usize {
    let each: u64 = draft.attachments.iter().map(|enclosure| enclosure.size).sum();
    let fit = COPIES_BYTES_MAX.checked_div(each).unwrap_or(u64::MAX);
    usize::try_from(fit).unwrap_or(usize::MAX).clamp(2, COPIES_MAX)
}

type Posting = (Address, Option<Fingerprint>, Words);

/// The words for one recipient, if they are still entitled to them.
fn copy_for(
    work: &Work<'_>,
    incident: &Incident,
    to: &Recipient,
    task: Option<&Task>,
    draft: &Draft,
    late: Option<String>,
) -> Option<Posting> {
    match to {
        Recipient::Person(id) => {
            let person = work.desk.roster.person(id)?;
            if !is_entitled(incident, person, task) {
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
            let gate = gate_open(incident, task)?;
            Some((address.clone(), None, Words::Public { draft: draft.body, late, gate }))
        }
        Recipient::Reporter | Recipient::Outsider(_) => None,
    }
}

fn is_entitled(incident: &Incident, person: &Person, task: Option<&Task>) -> bool {
    match task.and_then(|task| task.audience.as_ref()) {
        Some(audience) => incident.is_meant(audience, person),
        // The desk's own notices go to those who had the date; whoever left every group does not.
        None => incident.is_for_what_they_had(person) || incident.is_team(person),
    }
}

fn gate_open(incident: &Incident, task: &Task) -> Option<GateOpen> {
    let open = schedule::open_before(incident, task).next().is_none();
    let open = open && schedule::a_gate_is_open(incident, task);
    (open && matches!(task.audience, Some(Audience::Public(_)))).then_some(GateOpen { _proof: () })
}

/// Whether a mail in the outbox may be handed over now: looked at again before each dialling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// It may.
    Now,
    /// It is held; look again when something changes.
    Held,
    /// Its recipient is no longer entitled; it must not.
    Never,
}

/// Looks again at a mail before it is handed over: is its recipient still who they were, is its
/// notice held?
#[must_use]
pub fn leaves(desk: &Desk, label: &Label) -> Leave {
    let Some(incident) = label.about.as_ref().and_then(|handle| desk.incident(handle)) else {
        return Leave::Now;
    };
    // Sealed to a key that was revoked, or that another one has taken the place of since.
    if let (Recipient::Person(id), Some(key)) = (&label.to, &label.key)
        && let Some(person) = desk.roster.person(id)
        && !person.fingerprints().any(|own| own == key && !desk.is_revoked(own))
    {
        return Leave::Never;
    }
    let talk = matches!(label.purpose, Purpose::Relay | Purpose::Reminder | Purpose::Alert);
    if let (true, Recipient::Person(id)) = (talk, &label.to) {
        // Who has left since it was written.
        let on_it = desk.roster.person(id).is_some_and(|person| incident.is_team(person));
        return if on_it { Leave::Now } else { Leave::Never };
    }
    if let (Purpose::Nudge, Recipient::Person(id)) = (&label.purpose, &label.to) {
        let person = desk.roster.person(id);
        let entitled = person.is_some_and(|person| incident.is_for_what_they_had(person));
        return if entitled { Leave::Now } else { Leave::Never };
    }
    let Purpose::Notice { notice, number } = &label.purpose else {
        return Leave::Now;
    };
    // A word about the date that a newer one has taken the place of.
    let newest = incident.notices.get(notice).and_then(|n| n.releases.keys().next_back());
    if *notice == TaskId::date_changed() && newest.is_some_and(|newest| newest > number) {
        return Leave::Never;
    }
    if incident.is_held(notice) {
        return Leave::Held;
    }
    let task = incident.task(notice);
    match &label.to {
        Recipient::Person(id) => {
            let person = desk.roster.person(id);
            let entitled = person.is_some_and(|person| is_entitled(incident, person, task));
            if entitled { Leave::Now } else { Leave::Never }
        }
        Recipient::List(_) | Recipient::Reporter | Recipient::Outsider(_) => Leave::Now,
    }
}

//------------ T has passed ------------------------------------------------------------------------

/// T has passed and nobody said that it is public: the team is told, and everyone who had the
/// date. That passing makes nothing public.
fn slipped(work: &mut Work<'_>) {
    let Some(incident) = work.incident.clone() else {
        return;
    };
    if incident.status != Status::Accepted {
        return;
    }
    let t = incident.t().map_or_else(String::new, |t| work.say(t));
    let lines =
        [format!("T was {t}, and nobody has said that it is public. The embargo stays in force.")];
    let next = "reply with `| /published` if it is public, or `| /disclose WHEN` for a new date.";
    reminders::remind(work, &incident.playbook.intake.clone(), "T has passed", &lines, next);
    let holders: BTreeSet<Recipient> = incident.holders_of_a_date().into_keys().collect();
    if holders.is_empty() {
        return;
    }
    match notice::render(work, "slipped", None) {
        Ok(written) => {
            let id = TaskId::slipped();
            let enclosed = notice::Enclosed::default();
            let draft =
                notice::freeze(work, &id, "slipped", &written, holders.clone(), None, enclosed);
            let number = draft.number;
            work.add(Event::Frozen(Box::new(draft)));
            work.add(Event::Released { notice: id, number, late: false, recipients: holders });
        }
        Err(problem) => work.fault(problem.to_string()),
    }
}

//------------ Outcomes ---------------------------------------------------------------------------

/// Takes in what became of a mail for good. `reply` is the server's answer, for the team.
pub fn delivered(
    desk: &Desk,
    message_id: &MessageId,
    label: &Label,
    outcome: Delivery,
    reply: &str,
    now: Moment,
    fresh: Fresh,
) -> Decision {
    // The way of a thousand copies: no copy of the incident is made for each.
    if let (Delivery::Accepted, Purpose::Notice { .. }, Some(about)) =
        (outcome, &label.purpose, &label.about)
    {
        let reply = texts::clean_line(reply, 120);
        let event = Event::Delivered { message_id: message_id.clone(), outcome, reply };
        let entry = Entry { incident: Some(about.clone()), by: None, event };
        return Decision { entries: vec![entry], ..Decision::default() };
    }
    let mut work = Work::on(desk, label.about.as_ref(), now, fresh);
    let matters = matters(&label.purpose);
    if work.incident.is_some() && (matters || outcome != Delivery::Accepted) {
        let reply = texts::clean_line(reply, 120);
        work.add(Event::Delivered { message_id: message_id.clone(), outcome, reply });
    }
    // An alert that cannot be delivered must not make another one; and an answer to an address that
    // a stranger made up is nobody's trouble.
    let unproven = matches!(label.to, Recipient::Outsider(_))
        || matches!(label.purpose, Purpose::Acknowledgement | Purpose::Key);
    if label.purpose == Purpose::Alert || unproven {
        return work.done();
    }
    let who = relay::who(desk, &label.to);
    let reply = texts::clean_line(reply, 200);
    match outcome {
        Delivery::Dead => {
            let lines =
                [format!("Our mail to {who} was refused for good. The server said: {reply}")];
            relay::alert(
                &mut work,
                Some(&label.to),
                "A mail could not be delivered",
                &lines,
                "check the address, and reach them by another way.",
            );
        }
        Delivery::Unknown => {
            let lines = [format!(
                "Twice the connection broke after our mail to {who} was handed over. They may have it twice, or not."
            )];
            relay::alert(
                &mut work,
                Some(&label.to),
                "It is not known whether a mail left",
                &lines,
                "ask them.",
            );
        }
        Delivery::Queued | Delivery::Accepted | Delivery::Withheld | Delivery::Withdrawn => {}
    }
    work.done()
}

/// Whether being taken by the mail server is part of the history: notices, for the ledger, and
/// what ends the human clock.
fn matters(purpose: &Purpose) -> bool {
    matches!(purpose, Purpose::Notice { .. } | Purpose::Answer)
}

/// Takes in that a mail could not be sealed to its recipient's key: the copy is withheld, the
/// recipient gets a content-free word in clear, and the team is told.
pub fn withheld(desk: &Desk, mail: &Mail, why: &str, now: Moment, fresh: Fresh) -> Decision {
    let mut work = Work::on(desk, mail.about.as_ref(), now, fresh);
    if work.incident.is_some() {
        let message_id = mail.message_id.clone();
        let reply = texts::clean_line(why, 120);
        work.add(Event::Delivered { message_id, outcome: Delivery::Withheld, reply });
    }
    work.fault(format!(
        "a mail for {} was withheld: {why}",
        match &mail.to {
            Recipient::Person(id) => id.as_str(),
            Recipient::Reporter => "a reporter",
            Recipient::List(_) => "a list",
            Recipient::Outsider(_) => "an outsider",
        }
    ));
    let mut facts = work.clear_facts();
    facts.key_known = false;
    match desk.texts.clear("waiting", &facts) {
        Ok(text) => {
            let message_id = work.message_id();
            work.post(Mail {
                message_id,
                about: mail.about.clone(),
                to: mail.to.clone(),
                address: mail.address.clone(),
                key: None,
                purpose: Purpose::Waiting,
                not_before: mail.not_before,
                words: Words::Clear(text),
                attachments: Vec::new(),
                with_our_key: true,
                answers: None,
            });
        }
        Err(problem) => work.fault(problem.to_string()),
    }
    // Those who are told must not be the one whose key is broken, or this would go on for ever.
    if mail.purpose != Purpose::Alert {
        let lines = [format!(
            "A mail for {} could not be encrypted: {why}. It was not sent.",
            relay::who(desk, &mail.to)
        )];
        relay::alert(
            &mut work,
            Some(&mail.to),
            "A mail was withheld",
            &lines,
            "ask them for a usable key.",
        );
    }
    work.done()
}
