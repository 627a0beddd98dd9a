//! Incidents that share a release: who is the first of them, and what follows from that for the
//! others. Derived after every fact, and the index of what is due next with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::facts::event::Event;
use crate::domain::facts::names::{Handle, PersonId, TaskId};
use crate::domain::model::desk::Desk;
use crate::domain::model::incident::{Elsewhere, Incident, Status};
use crate::domain::model::schedule;
use crate::domain::process::playbook::{Audience, Task};

impl Desk {
    /// Takes note of the incidents that share a release, and tells each who leads the first.
    pub(super) fn remember_batches(&mut self, handle: &Handle, event: &Event) {
        if let Event::BatchJoined { batch } = event {
            let members = self.batches.entry(batch.clone()).or_default();
            if !members.contains(handle) {
                members.push(handle.clone());
            }
        }
        let over = self.incident(handle).is_some_and(|i| !i.status.is_open());
        if matches!(event, Event::BatchLeft) || over {
            self.batches.values_mut().for_each(|members| members.retain(|m| m != handle));
            self.batches.retain(|_, members| !members.is_empty());
        }
        // Whatever happens to one of them may change what the others do in its place.
        let shares = self.incident(handle).is_some_and(|incident| incident.batch.is_some());
        if shares || (!self.batches.is_empty() && (over || ends_sharing(event))) {
            self.find_first_leads();
        }
    }

    /// Tells each incident that shares a release who leads the first of them.
    pub(super) fn find_first_leads(&mut self) {
        let batches: Vec<Vec<Handle>> = self.batches.values().cloned().collect();
        for members in &batches {
            // Of those that are still to be fixed: a report that nobody has accepted, or that the
            // public knows by others, speaks for no other; of a date that is ahead, nor does what is
            // public.
            let speaks = |handle: &Handle, ahead: bool| {
                self.incident(handle).is_some_and(|incident| {
                    incident.status == Status::Accepted
                        && incident.known_public().is_none()
                        && !(ahead && incident.published().is_some())
                })
            };
            let turns = [true, false].map(|ahead| {
                let mut all = members.iter().filter(|member| speaks(member, ahead)).cloned();
                let first = all.next();
                self.speaks_for(first, all.collect(), ahead)
            });
            let [ahead, after] = &turns;
            let lead = after.first.as_ref().and_then(|first| self.incident(first)?.lead.as_ref());
            let lead = lead.and_then(|lead| self.roster.person(lead)).cloned();
            for member in members {
                let Some(incident) = self.incidents.get_mut(member).map(Arc::make_mut) else {
                    continue;
                };
                // Who is not on an incident gets nothing of it: its own lead speaks for it then.
                let fits = lead.as_ref().filter(|lead| incident.is_team(lead));
                incident.first_lead = fits.map(|lead| lead.id.clone());
                let spoken_for = ahead.mates.contains(member);
                incident.sharing.first = ahead.first.clone().filter(|_| spoken_for);
                // What was done for all stays done, whoever is the first by now.
                incident.sharing.elsewhere.retain(|_, row| row.done.is_some());
                incident.sharing.lacks.clear();
                for (turn, mates) in [
                    (ahead, &mut incident.sharing.mates),
                    (after, &mut incident.sharing.mates_after),
                ] {
                    mates.clear();
                    if turn.first.as_ref() == Some(member) {
                        mates.clone_from(&turn.mates);
                        incident.sharing.lacks.extend(turn.lacks.clone());
                    } else if turn.mates.contains(member) {
                        incident.sharing.elsewhere.extend(turn.rows.clone());
                    }
                }
                // What applies may be other rows now, and so what is due next.
                self.agenda.put(incident);
            }
        }
    }

    /// What the first incident of a release does for the others: the rows that announce a date, or all
    /// the rest.
    fn speaks_for(&self, first: Option<Handle>, mates: BTreeSet<Handle>, ahead: bool) -> Turn {
        let Some(incident) = first.as_ref().and_then(|first| self.incident(first)) else {
            return Turn::default();
        };
        // Who is not on an incident speaks for none of it: its own lead does.
        let lead = incident.lead.as_ref().and_then(|lead| self.roster.person(lead));
        let is_on = |mate: &Handle| {
            let mate = self.incident(mate);
            lead.is_none_or(|lead| mate.is_some_and(|mate| mate.is_team(lead)))
        };
        let mates: BTreeSet<Handle> = mates.into_iter().filter(is_on).collect();
        let own = |task: &&Task| incident.does_once(task) && task.announces() == ahead;
        let rows: BTreeMap<TaskId, Elsewhere> = incident
            .tasks()
            .filter(own)
            .map(|task| (task.id.clone(), elsewhere(incident, task)))
            .collect();
        let mut lacks = self.lacks(incident, &mates);
        lacks.retain(|id, _| rows.contains_key(id));
        Turn { first, mates, rows, lacks }
    }

    /// What on the others holds back a notice that the first of them sends for all: there, too, what
    /// comes before it must be done, nobody must hold it, and two people must stand behind it.
    fn lacks(&self, first: &Incident, mates: &BTreeSet<Handle>) -> BTreeMap<TaskId, String> {
        let shared = first.notice_tasks().filter(|task| task.once);
        let shared =
            shared.filter(|task| !mates.is_empty() && first.notices.contains_key(&task.id));
        let lack = |task: &Task| {
            let mates = mates.iter().filter_map(|mate| self.incident(mate));
            mates.filter_map(|mate| lack(first, mate, task)).next()
        };
        shared.filter_map(|task| Some((task.id.clone(), lack(task)?))).collect()
    }

    /// Whether the index of what is due next says what the incidents say.
    ///
    /// # Errors
    /// An incident for which it does not.
    pub fn audit(&self) -> Result<(), String> {
        match self.agenda.audit(self.all()) {
            None => Ok(()),
            Some(handle) => Err(format!("what is due next on {handle} is not as noted")),
        }
    }
}

/// What one incident of a release does for the others.
#[derive(Default)]
struct Turn {
    first: Option<Handle>,
    mates: BTreeSet<Handle>,
    rows: BTreeMap<TaskId, Elsewhere>,
    lacks: BTreeMap<TaskId, String>,
}

/// What one of the others lacks.
fn lack(first: &Incident, mate: &Incident, task: &Task) -> Option<String> {
    let there = mate.task(&task.id);
    if let Some(before) = there.and_then(|task| schedule::open_before(mate, task).next()) {
        let before = mate.task(before).map_or(before, Task::word);
        return Some(format!("`{before}` on another incident of the release"));
    }
    if mate.is_held(&task.id) {
        return Some("another incident of the release, where it is held".to_owned());
    }
    let outside = task.audience.as_ref().is_some_and(Audience::is_outside) && mate.alone.is_none();
    let notice = first.notices.get(&task.id)?;
    let editor = notice.valid_draft()?.by.as_ref();
    let people: Vec<&PersonId> = notice.approvals.keys().chain(editor).collect();
    let one = outside && notice.approvals.len() >= task.approvals && mate.two_of(&people).is_none();
    one.then(|| "a second person who is on all incidents of the release".to_owned())
}

/// How far a row is that the first incident does for all.
fn elsewhere(first: &Incident, task: &Task) -> Elsewhere {
    let by = first.done.get(&task.id).and_then(|done| done.by.clone());
    let approved = || {
        let notice = first.notices.get(&task.id)?;
        notice.approvals.keys().next().cloned()
    };
    let done = schedule::done_at(first, task).map(|at| (at, by.or_else(approved)));
    Elsewhere { on: first.handle.clone(), done }
}

/// Whether after a fact an incident may share its release no more.
fn ends_sharing(event: &Event) -> bool {
    matches!(event, Event::BatchLeft | Event::Reopened)
}
