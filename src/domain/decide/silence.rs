//! What the desk says because people say nothing: to somebody who was asked to lead, to a team
//! that has gone quiet, to those further up, and the regular word to the reporter.

use crate::domain::decide::relay;
use crate::domain::decide::work::Work;
use crate::domain::facts::event::{Event, Purpose};
use crate::domain::facts::names::{PersonId, TaskId};
use crate::domain::model::roster::Person;
use crate::domain::model::schedule;
use crate::domain::model::schedule::Duty;
use crate::domain::outgoing::texts::SealedFacts;
use crate::domain::process::playbook::Rung;

/// Reminds somebody of an offered lead, or the team of an incident that nobody has touched.
pub fn remind(work: &mut Work<'_>, duty: &Duty) {
    let Some(incident) = work.incident.clone() else { return };
    if let (Duty::OfferReminder(to), Some(offer)) = (duty, &incident.offer)
        && offer.to == *to
        && let Some(person) = work.person(to)
    {
        let lines =
            [format!("You were asked to lead, and can take it until {}.", work.say(offer.until))];
        let next = "reply with `| /take` or `| /decline`, without the bar.";
        work.inform(&[person], "You were asked to lead", &lines, next);
    }
    if *duty == Duty::Silence {
        let people = further_up(work);
        let said = work.say(incident.last_word);
        let lines = [format!(
            "Nobody of the team has done anything on it since {said}, and it has no date."
        )];
        let next = "look at `| /agenda`; set a date with `| /disclose WHEN`, or close it, without the bar.";
        work.inform(&people, "Nothing happens on this incident", &lines, next);
    }
}

/// The lead and the deputy, those that the playbook escalates to, and where that is nobody the
/// intake role.
fn further_up<'a>(work: &Work<'a>) -> Vec<&'a Person> {
    let Some(incident) = &work.incident else { return Vec::new() };
    let leads = [&incident.lead, &incident.deputy].into_iter().flatten();
    let mut people: Vec<&Person> = leads.filter_map(|id| work.person(id)).collect();
    for role in &incident.playbook.human_answer.escalate {
        people.extend(work.holders(role));
    }
    people.retain(|person| incident.is_team(person));
    if people.is_empty() { work.holders(&incident.playbook.intake) } else { people }
}

/// Somebody who was asked to lead has let the time pass: the next in turn is asked, or those who
/// asked are told. Who led before still does.
pub fn lapsed(work: &mut Work<'_>, person: &PersonId) {
    let Some(offer) = work.incident.as_ref().and_then(|incident| incident.offer.clone()) else {
        return;
    };
    work.add(Event::LeadDeclined { person: person.clone(), silent: true });
    let name = work.name(person);
    if offer.turn {
        // The next is asked because nobody is.
        return;
    }
    let mut people = further_up(work);
    people.extend(offer.by.as_ref().and_then(|by| work.person(by)));
    people.retain(|other| other.id != *person);
    let lead = work.incident.as_ref().and_then(|i| i.lead.clone()).map(|id| work.name(&id));
    let (still, next) = who_leads(lead.as_deref());
    let lines = [format!("{name} was asked to lead and has not answered. {still}")];
    work.inform(&people, "The lead was not taken over", &lines, next);
}

/// Who leads now that somebody did not take it, and what to do.
#[must_use]
pub fn who_leads(lead: Option<&str>) -> (String, &'static str) {
    match lead {
        Some(lead) => (
            format!("{lead} still leads."),
            "ask somebody else with `| /handoff WHO`, without the bar.",
        ),
        None => (
            "Nobody leads.".to_owned(),
            "ask somebody with `| /lead WHO`, or take it with `| /take`, without the bar.",
        ),
    }
}

/// Tells those further up of tasks that nobody did, a day after they were due.
pub fn overdue(work: &mut Work<'_>, ids: &[TaskId]) {
    let Some(incident) = work.incident.clone().filter(|_| !ids.is_empty()) else { return };
    let lines: Vec<String> = ids
        .iter()
        .filter_map(|id| incident.task(id))
        .map(|task| {
            let role = incident.playbook.role_label(&task.role);
            format!("  {:<13} {} ({role})", task.word(), task.title)
        })
        .collect();
    let next = "see that somebody does them, or `| /skip TASK REASON`, without the bar.";
    let people = further_up(work);
    work.inform(&people, "Nobody did what was due", &lines, next);
}

/// Tells those of a step of a row's own escalation.
pub fn escalate(work: &mut Work<'_>, id: &TaskId, step: usize) {
    let Some(incident) = work.incident.clone() else { return };
    let Some(task) = incident.task(id) else { return };
    let Some(step) = task.escalate.get(step) else { return };
    let one = |id: &Option<PersonId>| id.iter().filter_map(|id| work.person(id)).collect();
    let mut people: Vec<&Person> = match &step.to {
        Rung::Owner => task.roles().flat_map(|role| work.holders(role)).collect(),
        Rung::Lead => one(&incident.lead),
        Rung::Deputy => one(&incident.deputy),
        Rung::Operator => work.desk.roster.operators(),
        Rung::Role(role) => work.holders(role),
    };
    if people.is_empty() {
        people = further_up(work);
    }
    let due = match schedule::span_of(&incident, task) {
        Some((_, Some(due))) => format!("It is due {}.", work.say(due)),
        Some((_, None)) | None => "It is to be done as soon as possible.".to_owned(),
    };
    let role = incident.playbook.role_label(&task.role);
    let lines = [format!("  {:<13} {} ({role})", task.word(), task.title), due];
    let next =
        format!("see that it is done, and say so with `| /done {}`, without the bar.", task.word());
    let heading = if step.percent < 100 { "A task waits" } else { "A task is not done" };
    if step.to != Rung::Operator {
        work.inform(&people, heading, &lines, &next);
        return;
    }
    // The operators hear that something lapsed, and of what only if they are on it.
    let (team, others): (Vec<&Person>, Vec<&Person>) =
        people.into_iter().partition(|person| incident.is_team(person));
    work.inform(&team, heading, &lines, &next);
    let lines = [format!("A task on {} is not done, long after its time.", incident.handle)];
    relay::tell_outside(work, &others, heading, &lines, "ask the team.");
}

/// The regular word to the reporter that it is still worked on: without content, so that it may
/// leave in clear.
pub fn word_to_reporter(work: &mut Work<'_>) {
    let (facts, now) = (work.clear_facts(), work.now);
    work.write_reporter(Purpose::Update, "progress", &facts, &SealedFacts::default(), now);
}
