//! What the desk itself has to do, and when.

use std::fmt::Write as _;

use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::names::{Digest, Moment, PersonId, Span, TaskId, later};
use crate::domain::model::incident::{Incident, Status};
use crate::domain::model::schedule::leaving::{
    Block, approved_after, leaves_from, ready, stale_after,
};
use crate::domain::model::schedule::moments::{anchor_of, span_of};
use crate::domain::model::schedule::progress::{
    done_at, is_moot, is_with_a_person, open_before, sent_at,
};
use crate::domain::process::offset::Window;
use crate::domain::process::playbook::{Action, Kind, Step, Task, Truth};

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
    /// Do what a row of kind `auto` says, now that its moment has come.
    Act(TaskId),
    /// Tell those of a step of a row's own escalation, by its place in the row.
    Escalate(TaskId, usize),
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
    /// Tell those who hold a role in the config that the first row for it has opened.
    RoleBegins(String),
    /// Tell the reporter something that they have not asked for.
    News(News),
    /// Tell everyone who knows the date that it passed and nothing was published.
    Slipped,
    /// Do what one person said at a desk that has no other, now that the time has passed in which it
    /// could be called off; by the hash of its nonce.
    Waited(Digest),
}

/// What a reporter hears without having asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum News {
    /// The day, when it is set and when it moves.
    Date,
    /// That the day is near.
    Soon,
    /// That it is public.
    Public,
    /// That it got out before its day.
    Leaked,
}

impl News {
    /// The template that says it.
    #[must_use]
    pub fn template(self) -> &'static str {
        match self {
            Self::Date => "reporter-date",
            Self::Soon => "reporter-soon",
            Self::Public => "reporter-public",
            Self::Leaked => "reporter-leaked",
        }
    }
}

/// What marks in the history begin with that say that the reporter was told a day.
pub const DATE_TOLD: &str = "news:date:";
/// So long before the day the reporter hears that it is near.
const SOON: Span = Span::days(3);
/// Whoever heard of the day within this time before is not told so.
const JUST_TOLD: Span = Span::days(1);

impl Duty {
    /// The mark that is left in the history once people were told; it names the moment, so that a
    /// moved date is told again.
    #[must_use]
    pub fn mark(&self, moment: Moment) -> String {
        let mut text = String::new();
        self.write_mark(moment, &mut text);
        text
    }

    fn write_mark(&self, moment: Moment, text: &mut String) {
        let at = moment.timestamp();
        // Writing to a text does not fail.
        let _ = match self {
            Self::Copies(task, number) => write!(text, "copies:{task}:{number}"),
            Self::Leave(task) => write!(text, "leave:{task}:{at}"),
            Self::HumanReminder(percent) => write!(text, "human:{percent}:{at}"),
            Self::HumanLapsed => write!(text, "human:lapsed:{at}"),
            Self::DraftReminder(task, percent) => write!(text, "draft:{task}:{percent}:{at}"),
            Self::TaskDue(task) => write!(text, "task:{task}:{at}"),
            Self::TaskOverdue(task) => write!(text, "overdue:{task}:{at}"),
            Self::Act(task) => write!(text, "act:{task}:{at}"),
            Self::Escalate(task, step) => write!(text, "escalate:{task}:{step}:{at}"),
            Self::AskNext => text.write_str("ask-next"),
            Self::OfferReminder(person) => write!(text, "offer:{person}:{at}"),
            Self::OfferLapsed(person) => write!(text, "offer:lapsed:{person}:{at}"),
            Self::Silence => write!(text, "silence:{at}"),
            Self::ReporterUpdate => write!(text, "update:{at}"),
            Self::RoleBegins(role) => write!(text, "role:{role}"),
            Self::News(News::Date) => write!(text, "{DATE_TOLD}{at}"),
            Self::News(news) => {
                write!(text, "{}", format!("news:{news:?}:{at}").to_ascii_lowercase())
            }
            Self::Slipped => write!(text, "slipped:{at}"),
            Self::Waited(nonce) => write!(text, "waited:{nonce}"),
        };
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
    waited_duties(incident, &mut list);
    if !incident.status.is_open() {
        return list;
    }
    human_duties(incident, &mut list);
    for task in incident.tasks() {
        task_duties(incident, task, &mut list);
    }
    people_duties(incident, &mut list);
    role_duties(incident, &mut list);
    let mut heard = Vec::new();
    news(incident, &mut heard);
    list.extend(heard.into_iter().map(|(at, news)| (at, Duty::News(news))));
    if let (Some(t), None, None) = (incident.t(), incident.published(), incident.known_public()) {
        list.push((later(t, incident.playbook.t.slip.rough()), Duty::Slipped));
    }
    if incident.waits {
        list.retain(|(_, duty)| may_be_of_waiting(incident, duty));
    }
    let mut mark = String::new();
    list.retain(|(at, duty)| {
        mark.clear();
        duty.write_mark(*at, &mut mark);
        matches!(duty, Duty::Copies(..) | Duty::Leave(_) | Duty::AskNext)
            || !incident.reminded.contains(&mark)
    });
    list.sort();
    list
}

/// What goes on for a report that nobody has touched: people are reminded by the digest, and asked to lead it where
/// they have seen it.
fn may_be_of_waiting(incident: &Incident, duty: &Duty) -> bool {
    match duty {
        Duty::Copies(..) | Duty::Act(_) | Duty::HumanReminder(_) | Duty::HumanLapsed => true,
        Duty::AskNext | Duty::OfferReminder(_) | Duty::OfferLapsed(_) => !incident.deferred,
        Duty::Leave(_)
        | Duty::DraftReminder(..)
        | Duty::TaskDue(_)
        | Duty::TaskOverdue(_)
        | Duty::Escalate(..)
        | Duty::Silence
        | Duty::ReporterUpdate
        | Duty::RoleBegins(_)
        | Duty::News(_)
        | Duty::Slipped
        | Duty::Waited(_) => false,
    }
}

/// What waits instead of a second person. A hold on everything stops it, but for the word that ends the
/// hold.
fn waited_duties(incident: &Incident, list: &mut Vec<(Moment, Duty)>) {
    let Some(alone) = incident.alone else { return };
    let held = incident.held.contains(&None);
    for (nonce, ask) in &incident.asks {
        let Some(said) = ask.said.filter(|_| !held || ask.line.starts_with("/resume")) else {
            continue;
        };
        let at = alone.from(said);
        if at <= ask.until {
            list.push((at, Duty::Waited(*nonce)));
        }
    }
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

/// The rows for a role that people can do now, as far as the time allows.
pub fn open_for<'i>(incident: &'i Incident, role: &'i str) -> impl Iterator<Item = &'i Task> {
    incident.tasks().filter(move |task| {
        task.roles().any(|own| own == role)
            && task.kind != Kind::Auto
            && !task.is_standing()
            && !task.optional
            && done_at(incident, task).is_none()
            && !is_moot(incident, task)
            && incident.applies(task) == Truth::Yes
            && open_before(incident, task).next().is_none()
    })
}

/// When the holders of a role hear of an accepted incident: as the first row for it opens.
fn role_duties(incident: &Incident, list: &mut Vec<(Moment, Duty)>) {
    let Some(accepted) = incident.anchor(Anchor::Accepted) else { return };
    let playbook = &incident.playbook;
    for role in playbook.roles.keys().filter(|role| **role != playbook.intake) {
        // They hear of it once; whatever opens after that needs no looking for.
        if incident.reminded.contains(&Duty::RoleBegins(role.clone()).mark(accepted)) {
            continue;
        }
        let spans = open_for(incident, role).filter_map(|task| span_of(incident, task));
        if let Some(first) = spans.map(|(earliest, _)| earliest).min() {
            list.push((first.max(accepted), Duty::RoleBegins(role.clone())));
        }
    }
}

/// What the reporter of an accepted incident hears, and when. All of it is promised in the first answers, so no
/// row of a process is asked.
pub fn news(incident: &Incident, list: &mut Vec<(Moment, News)>) {
    if incident.status != Status::Accepted || incident.reporter.address.is_none() {
        return;
    }
    if let Some(public) = incident.published() {
        list.push((public.max(incident.opened), News::Public));
        return;
    }
    let leaked = incident.leaked.as_ref().map(|(at, _)| *at);
    if let Some(known) = incident.known_public().or(leaked) {
        list.push((known, News::Leaked));
        return;
    }
    if let (Some(t), Some(set)) = (incident.t(), incident.t_set) {
        list.push((set, News::Date));
        let near = later(t, -SOON);
        if near > later(set, JUST_TOLD) {
            list.push((near, News::Soon));
        }
    }
}

fn part(from: Moment, to: Moment, percent: u32) -> Moment {
    let whole = to.signed_duration_since(from).num_milliseconds();
    let part = whole.saturating_mul(i64::from(percent)) / 100;
    later(from, Span::milliseconds(part))
}

/// How long something that is to be done as soon as possible is left to people before they are
/// reminded: the first mail on the incident has shown it to them.
pub(super) const ASAP_PATIENCE: Span = Span::hours(24);

fn task_duties(incident: &Incident, task: &Task, list: &mut Vec<(Moment, Duty)>) {
    if done_at(incident, task).is_some() || is_moot(incident, task) {
        return;
    }
    // What is not known to apply waits; the row that decides it is what people are reminded of.
    if incident.applies(task) != Truth::Yes {
        return;
    }
    let Some((earliest, due)) = span_of(incident, task) else {
        return;
    };
    match task.kind {
        Kind::Auto => act_duties(incident, task, (earliest, due), list),
        Kind::Draft if is_with_a_person(incident, task) => {
            let sent = sent_at(incident, task).unwrap_or(earliest).max(earliest);
            let due = due.unwrap_or(sent).max(later(sent, ASAP_PATIENCE));
            reminders(incident, task, (earliest, Some(due)), list);
        }
        Kind::Draft if task.is_notice() => notice_duties(incident, task, (earliest, due), list),
        Kind::Draft | Kind::Human | Kind::Decide | Kind::Gate | Kind::Record => {
            reminders(incident, task, (earliest, due), list);
        }
    }
}

fn act_duties(
    incident: &Incident,
    task: &Task,
    (earliest, due): (Moment, Option<Moment>),
    list: &mut Vec<(Moment, Duty)>,
) {
    if !task.action.is_some_and(Action::waits_for_its_moment) {
        return;
    }
    // What is done by a moment that is not known yet waits for it.
    let has_end = task.when.as_ref().is_some_and(|when| when.window.due.is_some());
    let at = match due {
        Some(due) => due,
        None if has_end => return,
        None => earliest,
    };
    let duty = Duty::Act(task.id.clone());
    if !incident.reminded.contains(&duty.mark(at)) {
        if open_before(incident, task).next().is_none() {
            list.push((at, duty));
        }
    } else if task.is_closed_by_a_person() {
        reminders(incident, task, (at, Some(later(at, ASAP_PATIENCE))), list);
    }
}

/// When people are reminded of a row: by its own escalation, or at its deadline and a day after.
fn reminders(
    incident: &Incident,
    task: &Task,
    (earliest, due): (Moment, Option<Moment>),
    list: &mut Vec<(Moment, Duty)>,
) {
    if task.optional || task.is_standing() {
        return;
    }
    let asap = task.when.as_ref().is_some_and(|when| when.window.asap);
    let known_public = incident.asap().is_some();
    let due = match due {
        Some(due) => due,
        None if asap && !known_public => later(earliest, ASAP_PATIENCE),
        None if asap => earliest,
        None => return,
    };
    if task.escalate.is_empty() {
        list.push((due, Duty::TaskDue(task.id.clone())));
        list.push((later(due, ESCALATE_AFTER), Duty::TaskOverdue(task.id.clone())));
        return;
    }
    let from = began(incident, task, earliest).min(due);
    for (n, step) in task.escalate.iter().enumerate() {
        let Step { percent, after, .. } = step;
        let at = after.from(part(from, due, *percent), &incident.playbook.calendar);
        list.push((at, Duty::Escalate(task.id.clone(), n)));
    }
}

/// Since when a row was known to people: since its anchor, or the setting of T for a row before it.
fn began(incident: &Incident, task: &Task, earliest: Moment) -> Moment {
    let anchor = task.when.as_ref().and_then(|when| anchor_of(incident, when));
    let anchor = anchor.filter(|anchor| *anchor < earliest).unwrap_or(incident.opened);
    incident.t_set.unwrap_or(incident.opened).max(anchor)
}

fn notice_duties(
    incident: &Incident,
    task: &Task,
    (earliest, due): (Moment, Option<Moment>),
    list: &mut Vec<(Moment, Duty)>,
) {
    match ready(incident, task) {
        Ok(()) if is_given_up(incident, task, earliest) => {}
        Ok(()) => {
            let from = leaves_from(incident, task).unwrap_or(earliest);
            list.push((from, Duty::Leave(task.id.clone())));
        }
        Err(Block::Over) => {}
        Err(_) if task.optional => {}
        Err(_) => {
            let own = incident.own.iter().any(|own| own.task.id == task.id);
            let asap = task.when.as_ref().is_some_and(|when| when.window.asap);
            let Some(due) = due.or_else(|| asap.then(|| later(earliest, ASAP_PATIENCE))) else {
                return;
            };
            // Up to its moment where it has one, and through its time where it has that.
            let exact = earliest == due;
            let from = if own || !exact { earliest } else { began(incident, task, earliest) };
            let slip = incident.playbook.t.slip.rough();
            for percent in DRAFT_REMINDERS {
                let at = part(from.min(due), due, percent);
                // What waits for people on the day itself is overdue when the day has slipped.
                let on_the_day = task.when.as_ref().is_some_and(|when| when.window == Window::AT);
                let slip = if percent >= 100 && on_the_day { slip } else { Span::zero() };
                let at = later(at, slip);
                list.push((at, Duty::DraftReminder(task.id.clone(), percent)));
            }
        }
    }
}

/// The mark that is left once people were told that a notice is too old to leave by itself.
#[must_use]
pub fn stale_mark(notice: &TaskId, moment: Moment) -> String {
    format!("stale:{notice}:{}", moment.timestamp())
}

/// Whether a notice was found too old to leave, people were told, and nobody approved it since.
fn is_given_up(incident: &Incident, task: &Task, moment: Moment) -> bool {
    let limit = stale_after(incident, task);
    incident.reminded.contains(&stale_mark(&task.id, moment))
        && !limit.is_some_and(|limit| approved_after(incident, task, limit))
}

/// When something of an incident is due next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Next {
    /// Whatever it is.
    pub duty: Option<Moment>,
    /// A notice that is ready, or copies of one.
    pub notice: Option<Moment>,
}

/// The next moments at which the desk has something to do for an incident.
#[must_use]
pub fn next(incident: &Incident) -> Next {
    let duties = duties(incident);
    let leaves = |duty: &Duty| matches!(duty, Duty::Leave(_) | Duty::Copies(..));
    Next {
        duty: duties.first().map(|(at, _)| *at),
        notice: duties.iter().find(|(_, duty)| leaves(duty)).map(|(at, _)| *at),
    }
}
