//! What is due when: derived from an incident's history every time, and stored nowhere.
//!
//! [`agenda`] is for people; [`duties`] is for the desk. Both follow from the same few rules, so
//! that what people are shown is what happens. Nothing here depends on the present except the
//! words "due" and "late": a moment that has passed stays in the list until it is dealt with.

use chrono::NaiveTime;

use super::incident::{Incident, Notice, Status};
use super::names::{Moment, PersonId, Span, TaskId, later};
use super::playbook::{Action, Anchor, Kind, Task, When};

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Done, or sent.
    Done(Moment),
    /// A rule that always holds.
    Always,
    /// It counts from something that has not happened; the text says what to do about it.
    WaitingFor(String),
    /// Others come first.
    BlockedBy(Vec<TaskId>),
    /// Its time has not come.
    Upcoming,
    /// It can and should be done now.
    Due,
    /// Its time has passed.
    Late,
    /// Events have overtaken it.
    Moot,
    /// Somebody decided that it will not be done.
    Skipped(Moment),
}

impl State {
    /// As a word for tables.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::Always => "always",
            Self::WaitingFor(_) => "waiting",
            Self::BlockedBy(_) => "blocked",
            Self::Upcoming => "upcoming",
            Self::Due => "due",
            Self::Late => "LATE",
            Self::Moot => "moot",
            Self::Skipped(_) => "skipped",
        }
    }
}

/// A row of the agenda.
#[derive(Debug, Clone)]
pub struct Item<'a> {
    /// The task.
    pub task: &'a Task,
    /// Where it stands.
    pub state: State,
    /// Not before.
    pub earliest: Option<Moment>,
    /// Late after.
    pub due: Option<Moment>,
}

/// The tasks of an incident in the order of its playbook.
#[must_use]
pub fn agenda(incident: &Incident, now: Moment) -> Vec<Item<'_>> {
    let row = |task| {
        let span = span_of(incident, task);
        let (earliest, due) = span.map_or((None, None), |(from, to)| (Some(from), Some(to)));
        Item { task, state: state_of(incident, task, now), earliest, due }
    };
    incident.tasks().map(row).collect()
}

/// From when to when a task is to be done, once its anchor is known. Public knowledge makes open
/// work due at once; exploitation takes the slack out of what does not count from T.
#[must_use]
pub fn span_of(incident: &Incident, task: &Task) -> Option<(Moment, Moment)> {
    if let Some(own) = incident.own.iter().find(|own| own.task.id == task.id) {
        return Some((own.at, later(own.at, OWN_PATIENCE)));
    }
    let anchors = &task.when.as_ref()?.anchors;
    let planned = planned_span(incident, task);
    // What counts from the release waits for it, whatever the public knows.
    let after_release = anchors.iter().all(|anchor| *anchor == Anchor::Released);
    match (incident.known_public(), planned) {
        (Some(at), planned) if !after_release => {
            let (earliest, due) = planned.unwrap_or((at, at));
            return Some((earliest.min(at), due.min(at)));
        }
        (_, None) => return None,
        (_, Some(_)) => {}
    }
    let (earliest, due) = planned?;
    let from_t = anchors.iter().any(|anchor| matches!(anchor, Anchor::T | Anchor::Released));
    match incident.exploited() {
        Some(at) if !from_t => Some((earliest, due.min(at).max(earliest))),
        Some(_) | None => Some((earliest, due)),
    }
}

/// How long a notice that was added waits for its approval before people are told that it does.
const OWN_PATIENCE: Span = Span::hours(4);

fn planned_span(incident: &Incident, task: &Task) -> Option<(Moment, Moment)> {
    let when = task.when.as_ref()?;
    let anchor = anchor_of(incident, when)?;
    let calendar = &incident.playbook.calendar;
    let place = |moment, at: Option<NaiveTime>| at.map_or(moment, |at| calendar.at(moment, at));
    let earliest = place(when.window.earliest.from(anchor, calendar), when.at);
    let due = place(when.window.due.from(anchor, calendar), when.at);
    Some((earliest, due))
}

fn anchor_of(incident: &Incident, when: &When) -> Option<Moment> {
    when.anchors.iter().filter_map(|anchor| incident.anchors.get(anchor)).min().copied()
}

fn state_of(incident: &Incident, task: &Task, now: Moment) -> State {
    if let Some(skipped) = incident.skipped.get(&task.id) {
        return State::Skipped(skipped.at);
    }
    if let Some(at) = done_at(incident, task) {
        return State::Done(at);
    }
    if task.is_standing() || task.action == Some(Action::SendKey) {
        return State::Always;
    }
    if is_moot(incident, task) || !incident.status.is_open() {
        return State::Moot;
    }
    let Some((earliest, due)) = span_of(incident, task) else {
        let names: Vec<_> =
            task.when.iter().flat_map(|when| &when.anchors).map(ToString::to_string).collect();
        return State::WaitingFor(names.join(" or "));
    };
    let before: Vec<_> = open_before(incident, task).cloned().collect();
    if !before.is_empty() && now >= earliest {
        return State::BlockedBy(before);
    }
    match (now < earliest, now <= due) {
        (true, _) => State::Upcoming,
        (false, true) => State::Due,
        (false, false) => State::Late,
    }
}

/// When a task was done: by a person, by the desk, or because the record has what it asks for. One
/// that was skipped counts as done for what comes after it.
#[must_use]
pub fn done_at(incident: &Incident, task: &Task) -> Option<Moment> {
    let settled = incident.done.get(&task.id).or_else(|| incident.skipped.get(&task.id));
    if let Some(done) = settled {
        return Some(done.at);
    }
    match task.kind {
        Kind::Auto => match task.action {
            Some(Action::Open) => Some(incident.opened),
            Some(Action::Acknowledge | Action::AskDetails) => incident.acknowledge,
            Some(Action::SendKey) | None => None,
        },
        Kind::Draft => {
            let notice = incident.notices.get(&task.id)?;
            notice
                .releases
                .values()
                .find(|release| release.pending.is_empty())
                .map(|release| release.at)
        }
        Kind::Record | Kind::Decide => {
            let known = !task.needs.is_empty() && missing(incident, task).next().is_none();
            known.then_some(incident.opened)
        }
        Kind::Human | Kind::Gate => None,
    }
}

/// What a task needs and the record does not have.
pub fn missing<'a>(incident: &'a Incident, task: &'a Task) -> impl Iterator<Item = &'a str> {
    task.needs.iter().map(String::as_str).filter(|field| !is_known(incident, field))
}

fn is_known(incident: &Incident, field: &str) -> bool {
    match field {
        "cve" => !incident.cves.is_empty(),
        "cvss" => incident.score.is_some(),
        "ghsa" => !incident.ghsas.is_empty(),
        "title" => incident.title.is_some(),
        other => incident.fields.contains_key(other),
    }
}

/// Tasks that come before this one and are not done.
pub fn open_before<'a>(incident: &'a Incident, task: &'a Task) -> impl Iterator<Item = &'a TaskId> {
    task.after.iter().filter(|id| {
        let before = incident.task(id);
        before.is_none_or(|before| done_at(incident, before).is_none())
    })
}

/// Whether a notice has lost its meaning: what announces a date is moot once all is public, by
/// whomever.
#[must_use]
pub fn is_moot(incident: &Incident, task: &Task) -> bool {
    let announces = task.kind == Kind::Draft
        && task.when.as_ref().is_some_and(|w| w.anchors == [Anchor::T] && w.window.due.is_before());
    announces && (incident.published().is_some() || incident.known_public().is_some())
}

//------------ Notices ----------------------------------------------------------------------------

/// Why a notice does not leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// It left, or has lost its meaning.
    Over,
    /// There is no draft.
    NoDraft,
    /// The newest draft speaks of another T.
    OtherDate,
    /// So many more people must approve.
    Approvals(usize),
    /// These come first.
    Before(Vec<TaskId>),
    /// It is held.
    Held,
    /// Its moment has not come.
    Early(Moment),
    /// Its anchor is not known.
    NoMoment,
    /// Its moment passed too long ago; somebody must approve it again.
    Stale,
}

/// Whether a notice may leave at `now`, apart from the clock being trustworthy.
///
/// # Errors
/// The first reason why not.
pub fn may_leave(incident: &Incident, task: &Task, now: Moment) -> Result<(), Block> {
    ready(incident, task)?;
    let (earliest, _) = span_of(incident, task).ok_or(Block::NoMoment)?;
    if now < earliest {
        return Err(Block::Early(earliest));
    }
    let limit = later(earliest, incident.playbook.t.stale.rough());
    let approved = incident.notices.get(&task.id).and_then(|n| n.approvals.values().max().copied());
    if now > limit && approved.is_none_or(|at| at <= limit) {
        return Err(Block::Stale);
    }
    Ok(())
}

/// Whether everything but the clock lets a notice leave.
fn ready(incident: &Incident, task: &Task) -> Result<(), Block> {
    let none = Notice::default();
    let notice = incident.notices.get(&task.id).unwrap_or(&none);
    let skipped = incident.skipped.contains_key(&task.id);
    if notice.has_left() || skipped || is_moot(incident, task) || !incident.status.is_open() {
        return Err(Block::Over);
    }
    if incident.is_held(&task.id) {
        return Err(Block::Held);
    }
    let draft = notice.draft().ok_or(Block::NoDraft)?;
    if draft.t != incident.t() {
        return Err(Block::OtherDate);
    }
    match approvals_missing(notice, task) {
        0 => {}
        more => return Err(Block::Approvals(more)),
    }
    let before: Vec<_> = open_before(incident, task).cloned().collect();
    if before.is_empty() { Ok(()) } else { Err(Block::Before(before)) }
}

/// How many more people must approve the newest draft. Where two or more are asked for, whoever
/// changed the draft last does not count among them.
#[must_use]
pub fn approvals_missing(notice: &Notice, task: &Task) -> usize {
    let editor = notice.draft().and_then(|draft| draft.by.as_ref());
    let counts = |person: &&PersonId| !excludes_editor(task) || Some(*person) != editor;
    let have = notice.approvals.keys().filter(counts).count();
    task.approvals.saturating_sub(have)
}

/// Whether whoever changed the draft last does not count among its approvers.
#[must_use]
pub fn excludes_editor(task: &Task) -> bool {
    task.four_eyes || task.approvals > 1
}

/// Whether a notice that leaves now is late, and must say so.
#[must_use]
pub fn is_late(incident: &Incident, task: &Task, now: Moment) -> bool {
    // A minute is what a poll and a queue may take; nobody would call that late.
    const GRACE: Span = Span::seconds(60);
    // By the plan: what public knowledge brings forward is early, not late. A notice that was added
    // has no moment, and leaves when it is approved.
    let Some((_, due)) = planned_span(incident, task) else {
        return false;
    };
    let approved = incident.notices.get(&task.id).and_then(|n| n.approvals.values().max().copied());
    let was_not_ready = approved.is_some_and(|at| at > due)
        || task.after.iter().any(|id| incident.done.get(id).is_some_and(|done| done.at > due));
    let counts_from_t = task.when.as_ref().is_some_and(|when| when.anchors.contains(&Anchor::T));
    let moved_past = counts_from_t && incident.t_set.is_some_and(|set| set > due);
    was_not_ready || moved_past || now > later(due, GRACE)
}

//------------ Duties -----------------------------------------------------------------------------

/// Something that the desk itself has to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    /// Put the next copies of a released notice in the outbox.
    Copies(TaskId, u32),
    /// Release a notice whose moment has come.
    Leave(TaskId),
    /// Tell the team that nobody has answered the reporter: so many per cent of the time gone.
    HumanReminder(u32),
    /// Tell those further up that the time for an answer has lapsed.
    HumanLapsed,
    /// Tell the role that a notice is not ready: so many per cent of the time gone.
    DraftReminder(TaskId, u32),
    /// Tell the role that a task is due.
    TaskDue(TaskId),
    /// Tell the lead and those further up that nobody did it.
    TaskOverdue(TaskId),
    /// Ask the next in turn to lead.
    AskNext,
    /// Remind somebody who was asked to lead.
    OfferReminder(PersonId),
    /// They said nothing: the next is asked, or the lead is told.
    OfferLapsed(PersonId),
    /// Tell the team that nobody has said a word for long.
    Silence,
    /// Send the reporter the regular word.
    ReporterUpdate,
    /// Tell everyone who knows the date that it passed and nothing was published.
    Slipped,
}

impl Duty {
    /// The mark that is left in the history once people were told; it names the moment, so that a
    /// moved date is told again.
    #[must_use]
    pub fn mark(&self, moment: Moment) -> String {
        let at = moment.timestamp();
        match self {
            Self::Copies(task, number) => format!("copies:{task}:{number}"),
            Self::Leave(task) => format!("leave:{task}:{at}"),
            Self::HumanReminder(percent) => format!("human:{percent}:{at}"),
            Self::HumanLapsed => format!("human:lapsed:{at}"),
            Self::DraftReminder(task, percent) => format!("draft:{task}:{percent}:{at}"),
            Self::TaskDue(task) => format!("task:{task}:{at}"),
            Self::TaskOverdue(task) => format!("overdue:{task}:{at}"),
            Self::AskNext => "ask-next".to_owned(),
            Self::OfferReminder(person) => format!("offer:{person}:{at}"),
            Self::OfferLapsed(person) => format!("offer:lapsed:{person}:{at}"),
            Self::Silence => format!("silence:{at}"),
            Self::ReporterUpdate => format!("update:{at}"),
            Self::Slipped => format!("slipped:{at}"),
        }
    }
}

/// Reminders for a draft, in per cent of the time from setting the date to the notice's moment.
const DRAFT_REMINDERS: [u32; 3] = [50, 80, 100];

/// Everything that the desk still has to do for an incident, with the moment of each. A thing that
/// was done leaves the list, because doing it is an event.
#[must_use]
pub fn duties(incident: &Incident) -> Vec<(Moment, Duty)> {
    let mut list = Vec::new();
    for (id, notice) in &incident.notices {
        for (number, release) in &notice.releases {
            if !release.pending.is_empty() {
                list.push((release.at, Duty::Copies(id.clone(), *number)));
            }
        }
    }
    if !incident.status.is_open() {
        return list;
    }
    human_duties(incident, &mut list);
    for task in incident.tasks() {
        task_duties(incident, task, &mut list);
    }
    people_duties(incident, &mut list);
    if let (Some(t), None, None) = (incident.t(), incident.published(), incident.known_public()) {
        list.push((later(t, incident.playbook.t.slip.rough()), Duty::Slipped));
    }
    list.retain(|(at, duty)| {
        matches!(duty, Duty::Copies(..) | Duty::Leave(_) | Duty::AskNext)
            || !incident.reminded.contains(&duty.mark(*at))
    });
    list.sort();
    list
}

/// By when a person must have answered the reporter.
#[must_use]
pub fn human_due(incident: &Incident) -> Moment {
    let received = incident.anchors.get(&Anchor::Received).copied().unwrap_or(incident.opened);
    incident.playbook.human_answer.due.from(received, &incident.playbook.calendar)
}

fn human_duties(incident: &Incident, list: &mut Vec<(Moment, Duty)>) {
    // Who left no address cannot be answered; the judgement is all that is owed then.
    let nobody = incident.reporter.address.is_none() && incident.status != Status::Received;
    if incident.answered.is_some() || nobody {
        return;
    }
    let received = incident.anchors.get(&Anchor::Received).copied().unwrap_or(incident.opened);
    let due = human_due(incident);
    for percent in &incident.playbook.human_answer.remind {
        list.push((part(received, due, *percent), Duty::HumanReminder(*percent)));
    }
    list.push((due, Duty::HumanLapsed));
}

/// How long after its time a task that nobody did goes to the lead and those further up.
const ESCALATE_AFTER: Span = Span::hours(24);

/// What marks in the history begin with that say that nobody was left in the rotation.
pub const NOBODY_LEFT: &str = "rotation:empty:";

/// When people were last told that nobody is left in the rotation.
fn nobody_left(incident: &Incident) -> Option<Moment> {
    let marks = incident.reminded.iter().filter_map(|mark| mark.strip_prefix(NOBODY_LEFT));
    marks.filter_map(|at| Moment::from_timestamp(at.parse().ok()?, 0)).max()
}

/// What the desk does because people say nothing.
fn people_duties(incident: &Incident, list: &mut Vec<(Moment, Duty)>) {
    if let Some(offer) = &incident.offer {
        let half = part(offer.at, offer.until, 50);
        list.push((half, Duty::OfferReminder(offer.to.clone())));
        list.push((offer.until, Duty::OfferLapsed(offer.to.clone())));
    }
    let calendar = &incident.playbook.calendar;
    let rotates = incident.playbook.assign.is_some() && incident.lead.is_none();
    if rotates && incident.offer.is_none() {
        // One that waits for the digest is shown to people first; where nobody was left, somebody
        // may be back the next day.
        let wait = if incident.deferred { Span::minutes(20) } else { Span::zero() };
        let first = later(incident.opened, wait);
        let again = nobody_left(incident).map(|at| later(at, Span::hours(24)));
        list.push((again.map_or(first, |again| again.max(first)), Duty::AskNext));
    }
    // With a date ahead, waiting for it is what there is to do.
    if incident.published().is_none() {
        let from = incident.t().map_or(incident.last_word, |t| incident.last_word.max(t));
        list.push((incident.playbook.silence.from(from, calendar), Duty::Silence));
    }
    let worked_on = incident.status == Status::Accepted && incident.published().is_none();
    if let (Some(every), true, Some(_)) =
        (incident.playbook.reporter_update, worked_on, &incident.reporter.address)
    {
        let told = incident.reporter.told.unwrap_or(incident.opened);
        list.push((every.from(told, calendar), Duty::ReporterUpdate));
    }
}

fn part(from: Moment, to: Moment, percent: u32) -> Moment {
    let whole = to.signed_duration_since(from).num_milliseconds();
    let part = whole.saturating_mul(i64::from(percent)) / 100;
    later(from, Span::milliseconds(part))
}

fn task_duties(incident: &Incident, task: &Task, list: &mut Vec<(Moment, Duty)>) {
    if done_at(incident, task).is_some() || is_moot(incident, task) {
        return;
    }
    let Some((earliest, due)) = span_of(incident, task) else {
        return;
    };
    match task.kind {
        Kind::Auto => {}
        Kind::Human | Kind::Decide | Kind::Gate | Kind::Record => {
            if !task.is_standing() {
                list.push((due, Duty::TaskDue(task.id.clone())));
                list.push((later(due, ESCALATE_AFTER), Duty::TaskOverdue(task.id.clone())));
            }
        }
        Kind::Draft => match ready(incident, task) {
            Ok(()) if is_given_up(incident, task, earliest) => {}
            Ok(()) => list.push((earliest, Duty::Leave(task.id.clone()))),
            Err(Block::Over) => {}
            Err(_) => {
                let known = incident.t_set.unwrap_or(incident.opened).max(
                    task.when.as_ref().and_then(|when| anchor_of(incident, when)).map_or(
                        incident.opened,
                        |anchor| {
                            if anchor < earliest { anchor } else { incident.opened }
                        },
                    ),
                );
                let own = incident.own.iter().any(|own| own.task.id == task.id);
                let (from, to) =
                    if own { (earliest, due) } else { (known.min(earliest), earliest) };
                for percent in DRAFT_REMINDERS {
                    let at = part(from, to, percent);
                    list.push((at, Duty::DraftReminder(task.id.clone(), percent)));
                }
            }
        },
    }
}

/// The mark that is left once people were told that a notice is too old to leave by itself.
#[must_use]
pub fn stale_mark(notice: &TaskId, moment: Moment) -> String {
    format!("stale:{notice}:{}", moment.timestamp())
}

/// Whether a notice was found too old to leave, people were told, and nobody approved it since.
fn is_given_up(incident: &Incident, task: &Task, moment: Moment) -> bool {
    let limit = later(moment, incident.playbook.t.stale.rough());
    let approved = incident.notices.get(&task.id).and_then(|n| n.approvals.values().max().copied());
    incident.reminded.contains(&stale_mark(&task.id, moment))
        && approved.is_none_or(|at| at <= limit)
}

/// The next moment at which the desk has something to do for an incident.
#[must_use]
pub fn next_due(incident: &Incident) -> Option<Moment> {
    duties(incident).first().map(|(at, _)| *at)
}
