//! Whether a notice may leave.

use std::collections::BTreeSet;

use crate::domain::facts::names::{Moment, PersonId, Span, TaskId, later};
use crate::domain::facts::seconded::Seconded;
use crate::domain::model::incident;
use crate::domain::model::incident::{Incident, Notice};
use crate::domain::model::schedule::moments::{planned_span, span_of};
use crate::domain::model::schedule::progress::{a_gate_is_open, is_moot, open_before};
use crate::domain::process::offset::Window;
use crate::domain::process::playbook::{Audience, HeldBy, Task, Truth, When};

/// Why a notice does not leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// It left, or has lost its meaning.
    Over,
    /// It cannot be said whether the process asks for it before these are in the record.
    Unknown(String),
    /// There is no draft.
    NoDraft,
    /// The newest draft speaks of another T.
    OtherDate,
    /// It speaks of other incidents than share the release now.
    OtherMates,
    /// Something on another incident of the release comes first: what.
    Mates(String),
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
    let earliest = leaves_from(incident, task).ok_or(Block::NoMoment)?;
    if now < earliest {
        return Err(Block::Early(earliest));
    }
    match stale_after(incident, task) {
        Some(limit) if now > limit && !approved_after(incident, task, limit) => Err(Block::Stale),
        Some(_) | None => Ok(()),
    }
}

/// From when on a notice that is ready leaves. Where one person speaks for two, not before the time in
/// which it can be called off.
pub(super) fn leaves_from(incident: &Incident, task: &Task) -> Option<Moment> {
    let (earliest, _) = span_of(incident, task)?;
    let alone = incident.alone.filter(|_| leaves_the_team(task));
    let notice = incident.notices.get(&task.id);
    let said = notice.and_then(|notice| notice.approvals.values().min().copied());
    let waits = alone.zip(said).map(|(alone, said)| alone.from(said));
    Some(waits.map_or(earliest, |waits| waits.max(earliest)))
}

/// Who stands behind the newest draft of a notice that goes to people outside the team: two who froze
/// or approved it, and neither of whom made the other. None for what stays within.
///
/// # Errors
/// When there are no two, or at a desk with one person the time has not passed.
pub fn behind(incident: &Incident, task: &Task, now: Moment) -> Result<Option<Seconded>, Block> {
    if !leaves_the_team(task) {
        return Ok(None);
    }
    let none = Notice::default();
    let notice = incident.notices.get(&task.id).unwrap_or(&none);
    if let Some(alone) = incident.alone {
        let (by, said) = notice.approvals.first_key_value().ok_or(Block::Approvals(1))?;
        let early = Block::Early(alone.from(*said));
        return Seconded::waited(alone, by, *said, now).map(Some).ok_or(early);
    }
    two_of(incident, notice).map(Some).ok_or(Block::Approvals(1))
}

/// Two who stand behind the newest draft, if there are two.
fn two_of(incident: &Incident, notice: &Notice) -> Option<Seconded> {
    let editor = notice.valid_draft()?.by.as_ref();
    let people: Vec<&PersonId> = notice.approvals.keys().chain(editor).collect();
    incident.two_of(&people)
}

/// When a notice is too old to leave by itself; never, where it has no deadline.
pub(super) fn stale_after(incident: &Incident, task: &Task) -> Option<Moment> {
    let (_, due) = span_of(incident, task)?;
    Some(later(due?, incident.playbook.t.stale.rough()))
}

/// Whether somebody approved the newest draft at a moment or after it.
pub(super) fn approved_after(incident: &Incident, task: &Task, limit: Moment) -> bool {
    let notice = incident.notices.get(&task.id);
    notice.is_some_and(|notice| notice.approvals.values().any(|at| *at >= limit))
}

/// Whether everything but the clock lets a notice leave.
pub(super) fn ready(incident: &Incident, task: &Task) -> Result<(), Block> {
    let none = Notice::default();
    let notice = incident.notices.get(&task.id).unwrap_or(&none);
    let skipped = incident.skipped.contains_key(&task.id);
    if notice.has_left() || skipped || is_moot(incident, task) || !incident.status.is_open() {
        return Err(Block::Over);
    }
    match incident.applies(task) {
        Truth::Yes => {}
        Truth::No => return Err(Block::Over),
        Truth::Unknown(missing) => {
            return Err(Block::Unknown(incident::names(&missing)));
        }
    }
    if incident.is_held(&task.id) {
        return Err(Block::Held);
    }
    let draft = notice.valid_draft().ok_or(Block::NoDraft)?;
    if !incident.is_dated(draft) {
        return Err(Block::OtherDate);
    }
    if !incident.is_of_all(draft) {
        return Err(Block::OtherMates);
    }
    match approvals_missing(incident, notice, task) {
        0 => {}
        more => return Err(Block::Approvals(more)),
    }
    if let Some(lack) = incident.sharing.lacks.get(&task.id) {
        return Err(Block::Mates(lack.clone()));
    }
    let public = matches!(task.audience, Some(Audience::Public(_)));
    if public && !a_gate_is_open(incident, task) {
        return Err(Block::Before(task.after.clone()));
    }
    let before: Vec<_> = open_before(incident, task).cloned().collect();
    if before.is_empty() { Ok(()) } else { Err(Block::Before(before)) }
}

/// How many more people must approve the newest draft.
#[must_use]
pub fn approvals_missing(incident: &Incident, notice: &Notice, task: &Task) -> usize {
    let editor = notice.draft().and_then(|draft| draft.by.as_ref());
    let excluded = excludes_editor(incident, task);
    let outside = leaves_the_team(task) && incident.alone.is_none();
    let may = outside.then(|| approvers(incident, task, editor));
    let counts = |person: &&PersonId| {
        let own = excluded && Some(*person) == editor;
        !own && may.as_ref().is_none_or(|may| may.contains(*person))
    };
    let have = notice.approvals.keys().filter(counts).count();
    let missing = approvals_wanted(incident, task).saturating_sub(have);
    // As many as the process asks for, and two people in any case.
    let one = outside && two_of(incident, notice).is_none();
    if one { missing.max(1) } else { missing }
}

/// Who may approve a draft of a notice that leaves the team: those who hold a role of its row by
/// another word than the editor's, and who gave the editor nothing; where they are too few, everybody
/// on the incident of whom that holds by any role.
#[must_use]
pub fn approvers(
    incident: &Incident,
    task: &Task,
    editor: Option<&PersonId>,
) -> BTreeSet<PersonId> {
    let everybody = || incident.of_config.keys().chain(incident.joined.keys());
    let led: BTreeSet<&PersonId> =
        [(HeldBy::Lead, &incident.lead), (HeldBy::Deputy, &incident.deputy)]
            .into_iter()
            .filter(|(how, _)| {
                let of_task = |role: &String| incident.playbook.roles.get(role)?.held_by;
                task.roles().any(|role| of_task(role) == Some(*how))
            })
            .filter_map(|(_, who)| who.as_ref())
            .collect();
    let fits = |person: &PersonId, entitles: &dyn Fn(&str) -> bool| {
        Some(person) != editor
            && incident.footing(person, entitles).is_some_and(|own| {
                let of_editor = editor.and_then(|editor| incident.footing(editor, &|_| true));
                of_editor.is_none_or(|editor| Seconded::of(&editor, &own).is_some())
            })
    };
    let by_role = |role: &str| task.roles().any(|own| own == role);
    let strict: BTreeSet<PersonId> = everybody()
        .filter(|person| {
            fits(person, &by_role) || (led.contains(person) && fits(person, &|_| true))
        })
        .cloned()
        .collect();
    if strict.len() >= approvals_wanted(incident, task).max(1) {
        return strict;
    }
    everybody().filter(|person| fits(person, &|_| true)).cloned().collect()
}

/// How many must approve a notice: as many as the process asks for, or the one person that there is.
#[must_use]
pub fn approvals_wanted(incident: &Incident, task: &Task) -> usize {
    if incident.alone.is_some() { task.approvals.min(1) } else { task.approvals }
}

/// Whether whoever changed the draft last does not count among its approvers: where the process says
/// so or asks for two, and for everything that leaves the team, which two people have seen. Not where
/// there is one person only.
#[must_use]
pub fn excludes_editor(incident: &Incident, task: &Task) -> bool {
    let asks = task.four_eyes || task.approvals > 1 || leaves_the_team(task);
    asks && incident.alone.is_none()
}

/// Whether a notice goes to people outside the team.
fn leaves_the_team(task: &Task) -> bool {
    task.audience.as_ref().is_some_and(Audience::is_outside)
}

/// Whether a notice that leaves now is late, and must say so.
#[must_use]
pub fn is_late(incident: &Incident, task: &Task, now: Moment) -> bool {
    // A minute is what a poll and a queue may take; nobody would call that late.
    const GRACE: Span = Span::seconds(60);
    // By the plan: what public knowledge brings forward is early, not late. A notice that was added
    // has no moment, and leaves when it is approved.
    let Some((_, Some(due))) = planned_span(incident, task) else {
        return false;
    };
    let approved = incident.notices.get(&task.id).and_then(|n| n.approvals.values().max().copied());
    // On the day itself people clear and publish by hand: what follows them is not late by it.
    let on_the_day = task.when.as_ref().is_some_and(|w| w.window == Window::AT);
    let grace = if on_the_day { GRACE.max(incident.playbook.t.slip.rough()) } else { GRACE };
    let limit = if on_the_day { later(due, grace) } else { due };
    let was_not_ready = approved.is_some_and(|at| at > limit)
        || task.after.iter().any(|id| incident.done.get(id).is_some_and(|done| done.at > limit));
    let planned = |when: &When| when.anchors.iter().any(|anchor| anchor.is_planned());
    let counts_from_t = task.when.as_ref().is_some_and(planned);
    let moved_past = counts_from_t && incident.t_set.is_some_and(|set| set > due);
    was_not_ready || moved_past || now > later(due, grace)
}
