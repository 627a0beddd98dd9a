//! What happens because time passes, or because a mail server answered.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::decide::copies::copies;
use crate::domain::decide::decision::Decision;
use crate::domain::decide::work::Work;
use crate::domain::decide::{auto, brought_in, news, notice, relay, reminders, rotation, silence};
use crate::domain::facts::event::{Event, Purpose, Recipient};
use crate::domain::facts::names::{Fresh, Handle, MessageId, Moment, TaskId};
use crate::domain::model::desk::Desk;
use crate::domain::model::incident::{Incident, Status};
use crate::domain::model::schedule;
use crate::domain::model::schedule::{Block, Duty, Reach, Wider, may_leave};
use crate::domain::outgoing::mail;
use crate::domain::outgoing::mail::Mail;
use crate::domain::process::playbook::Playbook;
use crate::domain::views::compare;
use crate::domain::views::health::Words;

/// How far the clock may be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belief {
    /// All witnesses agree: notices leave.
    Sure,
    /// Nothing is known to be wrong: all but notices goes on.
    Unproven,
    /// It may be wrong by any time: only what a person must answer is reminded of, since a word too early
    /// does no harm there.
    Doubted,
}

impl Belief {
    /// What is due for an incident, as far as the clock may be trusted.
    fn due(self, incident: &Incident, now: Moment) -> Vec<(Moment, Duty)> {
        let is_human = |duty: &Duty| matches!(duty, Duty::HumanReminder(_) | Duty::HumanLapsed);
        let mut due = schedule::duties(incident);
        due.retain(|(at, duty)| *at <= now && (self != Self::Doubted || is_human(duty)));
        due
    }
}

/// Does what is due for an incident, as far as the clock may be trusted.
pub fn due(desk: &Desk, handle: &Handle, belief: Belief, now: Moment, fresh: Fresh) -> Decision {
    let vouched = belief == Belief::Sure;
    let mut work = Work::on(desk, Some(handle), now, fresh);
    let Some(incident) = work.incident.clone() else { return work.done() };
    let due = belief.due(&incident, now);
    let mut tasks = Vec::new();
    let mut overdue = Vec::new();
    let mut drafts: Vec<(TaskId, u32)> = Vec::new();
    let mut told = BTreeSet::new();
    // The highest reminder speaks for those below it, so that a desk that was down says a thing
    // once.
    for (at, duty) in due.iter().rev() {
        let mark = duty.mark(*at);
        match duty {
            // Carried out as the command that it is: see `waited` of the intake.
            Duty::Copies(..) | Duty::Waited(_) => {}
            Duty::Leave(task) => {
                if vouched {
                    leave(&mut work, task, *at);
                }
            }
            Duty::HumanReminder(_) | Duty::HumanLapsed => {
                if incident.waits {
                    work.add(Event::Gathered);
                } else if told.insert("human".to_owned()) {
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
            Duty::RoleBegins(role) => brought_in::due(&mut work, role, mark),
            Duty::ReporterUpdate | Duty::News(_) => news::due(&mut work, duty, *at),
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

/// A mail to ourselves, by which the clock is compared with the mail server's, and whose id says how far
/// the journal has come; gives its id.
pub fn clock_probe(
    desk: &Desk,
    message_id: MessageId,
    now: Moment,
    fresh: Fresh,
) -> (Decision, Option<MessageId>) {
    let mut work = Work::on(desk, None, now, fresh);
    let facts = work.clear_facts();
    match desk.texts.clear("witness", &facts) {
        Ok(text) => {
            let address = desk.settings.address.clone();
            work.post(Mail {
                message_id: message_id.clone(),
                about: None,
                to: Recipient::Outsider(address.clone()),
                address,
                // Sealed to ourselves: that it opens shows that what others seal to us does.
                key: Some(desk.settings.fingerprint.clone()),
                purpose: Purpose::ClockProbe,
                not_before: now,
                words: mail::Words::Clear(text),
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

/// Tells the operators what is wrong with the desk as a whole, and what is over.
pub fn how_the_desk_is(desk: &Desk, words: &Words, now: Moment, fresh: Fresh) -> Decision {
    let mut work = Work::on(desk, None, now, fresh);
    relay::alert(&mut work, None, &words.heading, &words.lines, &words.next);
    work.done()
}

/// Writes down a fact about the desk as a whole.
pub fn desk_fact(desk: &Desk, event: Event, now: Moment, fresh: Fresh) -> Decision {
    let mut work = Work::on(desk, None, now, fresh);
    work.add_to_desk(event);
    work.done()
}

/// Tells the operators of mails that the server lists and does not hand out: folder, number and reason of
/// each.
pub fn left_mails(
    desk: &Desk,
    mails: &[(String, u32, String)],
    now: Moment,
    fresh: Fresh,
) -> Decision {
    let mut work = Work::on(desk, None, now, fresh);
    let say =
        |(folder, uid, why): &(String, u32, String)| format!("Number {uid} of {folder}: {why}");
    let mut lines =
        vec!["The mail server does not hand these mails out; all others are taken in.".to_owned()];
    lines.extend(mails.iter().take(20).map(say));
    let next = "look at them in the mailbox with a mail program. They are tried once a day, and at once after `embargod aside --retry`.";
    relay::alert(&mut work, None, "Mails that the server does not hand out", &lines, next);
    work.done()
}

/// Tells the operators that the desk cannot tell whether its history is the newest.
pub fn unwitnessed(desk: &Desk, why: &str, now: Moment, fresh: Fresh) -> Decision {
    let mut work = Work::on(desk, None, now, fresh);
    let lines = [
        format!("Whether the database is the newest is not known: {why}."),
        "Reports are taken in and acknowledged. Of signed mails only `/hold` counts, nothing leaves that waited, and no notice does."
            .to_owned(),
    ];
    let next = "stop the desk, put the witness back in its place and start it again. If it is lost and the database is the newest, run `embargod restored --yes`: then all notices are held, and what was signed before counts no more.";
    relay::alert(&mut work, None, "Only reports are taken in: no witness", &lines, next);
    work.done()
}

/// Tells the operators that the store is an older one than the desk has had: nothing is done with it.
pub fn rolled_back(desk: &Desk, why: &str, now: Moment, fresh: Fresh) -> Decision {
    let mut work = Work::on(desk, None, now, fresh);
    let lines = [
        format!("The database is older than what the desk has written: {why}."),
        "The desk does nothing but keep what arrives: no command, no notice, no answer.".to_owned(),
    ];
    let next = "stop the desk and put the newest database back with its key file. If that is lost, run `embargod restored --yes`: then all notices are held, and what was signed before counts no more.";
    relay::alert(&mut work, None, "HELD: the database is an older one", &lines, next);
    work.done()
}

/// Takes in how large a mail the mail server takes, so that what is passed on arrives.
pub fn server_takes(desk: &Desk, bytes: Option<u64>, now: Moment, fresh: Fresh) -> Decision {
    let mut work = Work::on(desk, None, now, fresh);
    work.add_to_desk(Event::ServerTakes { bytes });
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
    hold_what_goes_further(&mut work, &incident, playbook);
    work.done()
}

/// What the other process would send sooner than two people approved it, or past a gate that it does
/// not have, is held until two people let it go.
fn hold_what_goes_further(work: &mut Work<'_>, before: &Incident, playbook: &Arc<Playbook>) {
    let roster = &work.desk.roster;
    let after = before.under(playbook, work.now);
    let wider = Reach::of(&after, roster).wider(&Reach::of(before, roster), &after, work.now);
    let notice = |wider: Wider| match wider {
        Wider::GateOpen(notice) | Wider::Sooner(notice, _) => Some(notice),
        Wider::Date(_) | Wider::Public | Wider::Word | Wider::Reader(_) | Wider::Audience(_) => {
            None
        }
    };
    let held: BTreeSet<TaskId> = wider.into_iter().filter_map(notice).collect();
    for notice in &held {
        work.add(Event::Held { notice: Some(notice.clone()) });
    }
    if held.is_empty() {
        return;
    }
    let words: Vec<String> = held.iter().map(ToString::to_string).collect();
    let lines =
        [format!("Held, since the other process lets them go sooner: {}.", words.join(", "))];
    let team = work.team();
    let next = "look at them; two of you let them go with `| /resume NOTICE`, without the bar.";
    work.inform(&team, "Notices are held", &lines, next);
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
    let recipients = notice::recipients_of(work, task);
    let late = schedule::is_late(&incident, task, work.now);
    let Ok(seconded) = schedule::behind(&incident, task, work.now) else { return };
    work.add(Event::Released { notice: id.clone(), number, late, recipients, seconded });
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
    // The desk itself has announced it, or people have: whoever was told to wait would be told what is not so.
    if incident.made_public_by(work.now).is_some() {
        let lines = [format!(
            "T was {t}, and it has been announced. Nobody has said that it is public, so the embargo stands in the record, and those who had a notice were not told that it is over."
        )];
        let next = "reply with `| /published`, without the bar: then they are told.";
        let heading = "It is announced: is it public?";
        return reminders::remind(work, &incident.playbook.intake.clone(), heading, &lines, next);
    }
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
            // They have the date from notices that two people stand behind.
            let seconded = incident.date_seconded();
            let late = false;
            work.add(Event::Released { notice: id, number, late, recipients: holders, seconded });
        }
        Err(problem) => work.fault(problem.to_string()),
    }
}

//------------ Outcomes ---------------------------------------------------------------------------
