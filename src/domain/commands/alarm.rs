//! The words that say that time has run out: the public knows, or it is exploited.

use crate::domain::commands::drafts::show_draft;
use crate::domain::commands::turn::{Answer, Turn, broken};
use crate::domain::decide::notice;
use crate::domain::decide::notice::{Enclosed, freeze, render};
use crate::domain::facts::event::Event;
use crate::domain::facts::names::TaskId;
use crate::domain::facts::refusal::Refusal;
use crate::domain::model::incident::{Incident, Notice};
use crate::domain::model::schedule;
use crate::domain::process::playbook::{Audience, Task, Truth};
use crate::domain::process::vocabulary;

/// `/known-public`: unsent notices that announce a date lose their meaning; one immediate draft
/// for each of their audiences takes their place; other open work is due now. Nothing leaves
/// unapproved by it, and no gate opens.
pub fn known_public(turn: &mut Turn<'_, '_>, _: &str) -> Answer {
    let incident = turn.open_incident()?;
    if incident.known_public().is_some() || incident.published().is_some() {
        return Err(Refusal::new("known already", "that it is public was said before.", ""));
    }
    let unsent = unsent(incident);
    let words: Vec<String> = unsent.iter().map(|task| task.word().to_string()).collect();
    let replaced = match words.as_slice() {
        [] => "No notice is waiting that this would replace.".to_owned(),
        words => format!(
            "These will not be sent: {}. One draft for each audience takes their place and waits for approval.",
            words.join(", ")
        ),
    };
    let what = format!("This says that the public knows of it. Open work is due now.\n{replaced}");
    if let Some(ask) = turn.confirmed(&what, &[&words.join(",")])? {
        return Ok(ask);
    }
    let drafts = end_embargo(turn)?;
    let people = turn.work.team();
    let lines = [
        format!("{} says that the public knows of it.", turn.person.name),
        "Open work is due now. Notices that were to announce a date will not be sent.".to_owned(),
    ];
    let next = "see `| /agenda`; approve the draft that takes their place, or write a new one with `| /preview`.";
    turn.tell_concerned(&people, "Known to the public", &lines, next);
    let drafts = match drafts.as_slice() {
        [] => String::new(),
        drafts => format!("\nWaiting for approval: {}.", drafts.join(", ")),
    };
    Ok(format!("Recorded: the public knows. Open work is due now.{drafts}"))
}

/// Public knowledge takes effect: what announces a date is not sent, open work is due now, and one
/// draft for each audience waits for approval. Gives the drafts' names.
pub(super) fn end_embargo(turn: &mut Turn<'_, '_>) -> Result<Vec<String>, Refusal> {
    let unsent = unsent(turn.incident()?);
    turn.work.add(Event::KnownPublic);
    // As many must approve it as must the strictest of those whose place it takes.
    let mut groups: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    for task in &unsent {
        if let Some(Audience::Group(group)) = &task.audience {
            let approvals = groups.entry(group.clone()).or_default();
            *approvals = task.approvals.max(*approvals);
        }
    }
    let mut drafts = Vec::new();
    for (group, approvals) in &groups {
        drafts.push(replacement(turn, group, *approvals)?);
    }
    Ok(drafts)
}

/// Notices to groups that announce a date and have not left.
fn unsent(incident: &Incident) -> Vec<Task> {
    let waits = |task: &&Task| {
        task.announces()
            && !incident.notices.get(&task.id).is_some_and(Notice::has_left)
            && schedule::done_at(incident, task).is_none()
            && incident.applies(task) != Truth::No
    };
    incident.tasks().filter(waits).cloned().collect()
}

/// Drafts the one notice that takes the place of others to a group, and says its name.
/// Whoever gave the word counts as its last editor: one person alone must not reach everybody.
fn replacement(turn: &mut Turn<'_, '_>, group: &str, approvals: usize) -> Result<String, Refusal> {
    let count = turn.incident()?.own.len().saturating_add(1);
    let id = TaskId::parse(&format!("public-{count}"))
        .ok_or_else(|| vocabulary::unknown("known-public"))?;
    turn.work.add(Event::NoticeAdded {
        notice: id.clone(),
        title: "It is public: the word that takes the place of the advance notices".to_owned(),
        template: "known-public".to_owned(),
        group: group.to_owned(),
        member: None,
        approvals: u32::try_from(approvals).unwrap_or(1),
    });
    let audience = Audience::Group(group.to_owned());
    let written = render(turn.work, "known-public", Some(&audience)).map_err(broken)?;
    let to = notice::recipients(turn.work, &audience);
    let by = Some(turn.person.id.clone());
    let draft = freeze(turn.work, &id, "known-public", &written, to, by, Enclosed::default());
    let number = draft.number;
    turn.work.add(Event::Frozen(Box::new(draft)));
    let task = turn.incident()?.task(&id).cloned();
    if let Some(task) = task {
        show_draft(turn.work, &task, number, &written, None, &Enclosed::default());
    }
    Ok(format!("{id}@{number}"))
}

/// `/exploited`
pub fn exploited(turn: &mut Turn<'_, '_>, _: &str) -> Answer {
    let incident = turn.open_incident()?;
    if incident.exploited().is_some() {
        return Err(Refusal::new("known already", "that it is exploited was said before.", ""));
    }
    turn.work.add(Event::Exploited);
    let people = turn.work.team();
    let t = turn.incident()?.t().map_or_else(|| "not set".to_owned(), |t| turn.work.say(t));
    let lines = [
        format!("{} says that it is exploited.", turn.person.name),
        format!(
            "T is {t}. Open work that does not count from T is due as early as the process allows."
        ),
    ];
    let next = "agree on an early T and set it with `| /disclose +1d` or another moment, without the bar; sooner than the process asks for, a second person agrees to it.";
    turn.tell_concerned(&people, "EXPLOITED", &lines, next);
    Ok(format!(
        "Recorded: it is exploited. The team is told.\nT is {t}. To bring it forward:\n\n  | /disclose +1d\n"
    ))
}
