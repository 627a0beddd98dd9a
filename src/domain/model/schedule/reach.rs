//! How far the state of an incident lets things go, and whether a change lets them go further.
//!
//! What cannot be taken back is found by comparing before and after, whatever fact made the
//! difference: a gate can be opened, skipped, or dropped by a field of the record, and a date can come
//! nearer by `/disclose`, by a shared release or by the grace between release and details.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::names::{Moment, PersonId, TaskId};
use crate::domain::model::incident::{Incident, Notice};
use crate::domain::model::roster::{Person, Roster};
use crate::domain::model::schedule::leaving::approvals_missing;
use crate::domain::model::schedule::moments::span_of;
use crate::domain::model::schedule::progress::{a_gate_is_open, done_at, is_moot, open_before};
use crate::domain::process::playbook::{Audience, Kind, Task, Truth};

/// How far things go as an incident stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    notices: BTreeMap<TaskId, Way>,
    t: Option<Moment>,
    release: Option<Moment>,
    public: bool,
    readers: BTreeSet<PersonId>,
    audiences: BTreeMap<String, BTreeSet<PersonId>>,
}

/// What stands between a notice and the people outside the team.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Way {
    public: bool,
    /// The draft that enough people have approved, and who they are.
    approved: Option<(u32, BTreeMap<PersonId, Moment>)>,
    /// Held, over, or not asked for.
    blocked: bool,
    /// No gate before it is closed.
    gate_open: bool,
    /// And the last of them was opened by two people.
    by_two: bool,
    /// A gate before it was closed again by somebody, and opened since by one.
    reopened: bool,
    /// It has left, or will not for good.
    over: bool,
    /// From when on it may leave.
    from: Option<Moment>,
}

/// Whether people make something public by a row that stands behind a gate. They may have skipped that.
fn makes_public(incident: &Incident, task: &Task) -> bool {
    let gate = |id: &TaskId| incident.task(id).is_some_and(|before| before.kind == Kind::Gate);
    matches!(task.sets, Some(Anchor::Released | Anchor::Public)) && task.after.iter().any(gate)
}

/// What a change lets happen that could not before, and that nobody takes back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wider {
    /// No closed gate stands any more before this notice to the public, or this row by which people make
    /// it public.
    GateOpen(TaskId),
    /// A notice that was approved leaves, or leaves sooner than those who approved it saw.
    Sooner(TaskId, Moment),
    /// T comes earlier, or sooner than the process asks for.
    Date(Moment),
    /// It is public.
    Public,
    /// A word leaves for people outside the team, or the embargo ends.
    Word,
    /// Somebody reads the incident whom the config has not made a maintainer.
    Reader(PersonId),
    /// More people of a group get what is sent to it.
    Audience(String),
}

impl Reach {
    /// How far things go now.
    #[must_use]
    pub fn of(incident: &Incident, roster: &Roster) -> Self {
        let outside = |task: &&Task| {
            let notice =
                task.is_notice() && task.audience.as_ref().is_some_and(Audience::is_outside);
            notice || makes_public(incident, task)
        };
        let notices = incident.tasks().filter(outside);
        let outsider = |id: &&PersonId| !roster.person(id).is_some_and(Person::is_maintainer);
        Self {
            notices: notices.map(|task| (task.id.clone(), Way::of(incident, task))).collect(),
            t: incident.t(),
            release: incident.anchor(Anchor::Release),
            public: incident.published().is_some(),
            readers: incident.joined.keys().filter(outsider).cloned().collect(),
            audiences: incident.audiences.clone(),
        }
    }

    /// What it lets happen that could not `before`. `incident` is as it is now.
    #[must_use]
    pub fn wider(&self, before: &Self, incident: &Incident, now: Moment) -> Vec<Wider> {
        let mut wider = Vec::new();
        for (id, way) in &self.notices {
            let then = before.notices.get(id);
            // Also where the gate was opened while something else held it back, and that is gone now.
            let opens = way.gate_open && !then.is_some_and(|then| then.gate_open);
            let by_one = way.is_free_by_one() && !then.is_some_and(Way::is_free_by_one);
            // A gate that is skipped or dropped leaves no trace but this one.
            if by_one || (way.public && !way.over && opens && way.by_two) {
                wider.push(Wider::GateOpen(id.clone()));
            }
            // To those who have it under embargo two let it go, and nobody let go again what somebody had
            // closed since.
            if !way.public && !way.blocked && opens && way.reopened && way.is_approved_as(then) {
                wider.push(Wider::Sooner(id.clone(), way.from.unwrap_or(now).max(now)));
            } else if let Some(from) = then.and_then(|then| way.sooner(then, self.t)) {
                wider.push(Wider::Sooner(id.clone(), from));
            }
        }
        if let Some(t) = self.t.filter(|_| (self.t, self.release) != (before.t, before.release)) {
            let earlier = |now: Option<Moment>, then: Option<Moment>| now < then;
            // Whatever is said to be exploited: that is one person's word.
            let lead = incident.playbook.t.min_lead.from(now, &incident.playbook.calendar);
            let soon = t < lead || self.release.is_some_and(|release| release < lead);
            if earlier(self.t, before.t) || earlier(self.release, before.release) || soon {
                wider.push(Wider::Date(t));
            }
        }
        if self.public && !before.public {
            wider.push(Wider::Public);
        }
        wider.extend(self.readers.difference(&before.readers).cloned().map(Wider::Reader));
        for (group, then) in &before.audiences {
            if self.audiences.get(group).is_none_or(|now| !now.is_subset(then)) {
                wider.push(Wider::Audience(group.clone()));
            }
        }
        wider
    }
}

impl Way {
    fn of(incident: &Incident, task: &Task) -> Self {
        let none = Notice::default();
        let notice = incident.notices.get(&task.id).unwrap_or(&none);
        let draft = notice
            .valid_draft()
            .filter(|draft| incident.is_dated(draft) && incident.is_of_all(draft));
        let draft = draft.filter(|_| approvals_missing(incident, notice, task) == 0);
        let is_gate =
            |id: &TaskId| incident.task(id).is_some_and(|before| before.kind == Kind::Gate);
        let by_hand = makes_public(incident, task);
        let has_gate = task.after.iter().any(is_gate);
        let over = notice.has_left()
            || (by_hand && done_at(incident, task).is_some())
            || is_moot(incident, task)
            || !incident.status.is_open();
        Self {
            public: by_hand || matches!(task.audience, Some(Audience::Public(_))),
            approved: draft.map(|draft| (draft.number, notice.approvals.clone())),
            blocked: over
                || incident.skipped.contains_key(&task.id)
                || incident.applies(task) != Truth::Yes
                || incident.is_held(&task.id),
            gate_open: has_gate && !open_before(incident, task).any(is_gate),
            by_two: a_gate_is_open(incident, task),
            reopened: task.after.iter().any(|id| incident.reopened.contains(id)),
            over,
            from: span_of(incident, task).map(|(from, _)| from),
        }
    }

    /// Whether nothing but time, approvals and people's hands stands before the public, and one person
    /// has brought it there.
    fn is_free_by_one(&self) -> bool {
        self.public && !self.blocked && self.gate_open && !self.by_two
    }

    fn is_approved_as(&self, then: Option<&Self>) -> bool {
        self.approved.is_some() && then.is_some_and(|then| self.approved == then.approved)
    }

    /// The moment from which it may leave, if that is new: approved as it was before, and not held
    /// back by what held it back, or not until when it did.
    fn sooner(&self, then: &Self, t: Option<Moment>) -> Option<Moment> {
        let same = self.approved.is_some() && self.approved == then.approved;
        let free = !self.blocked && (!self.public || (self.gate_open && self.by_two));
        let from = self.from.filter(|_| same && free)?;
        let sooner = match then.from {
            _ if then.blocked => true,
            Some(before) => from < before,
            // What waited for a fact goes on once it is there; to the public not before the agreed day.
            None => self.public && t.is_none_or(|t| from < t),
        };
        sooner.then_some(from)
    }
}
