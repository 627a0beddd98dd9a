//! Whether a notice may leave.

use crate::domain::facts::names::{Moment, PersonId, Span, TaskId, later};
use crate::domain::model::incident;
use crate::domain::model::incident::{Incident, Notice};
use crate::domain::model::schedule::moments::{planned_span, span_of};
use crate::domain::model::schedule::progress::{a_gate_is_open, is_moot, open_before};
use crate::domain::process::offset::Window;
use crate::domain::process::playbook::{Audience, Task, Truth, When};

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
    match stale_after(incident, task) {
        Some(limit) if now > limit && !approved_after(incident, task, limit) => Err(Block::Stale),
        Some(_) | None => Ok(()),
    }
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
    match approvals_missing(notice, task) {
        0 => {}
        more => return Err(Block::Approvals(more)),
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
pub fn approvals_missing(notice: &Notice, task: &Task) -> usize {
    let editor = notice.draft().and_then(|draft| draft.by.as_ref());
    let counts = |person: &&PersonId| !excludes_editor(task) || Some(*person) != editor;
    let have = notice.approvals.keys().filter(counts).count();
    task.approvals.saturating_sub(have)
}

/// Whether whoever changed the draft last does not count among its approvers: where the process says
/// so or asks for two, and for everything that is sent under embargo, which two people have seen.
#[must_use]
pub fn excludes_editor(task: &Task) -> bool {
    let under_embargo = task.audience.as_ref().is_some_and(|to| to.under_embargo().is_some());
    task.four_eyes || task.approvals > 1 || under_embargo
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
