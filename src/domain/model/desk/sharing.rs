//! Incidents that share a release: who is the first of them, and what follows from that for the
//! others. Derived after every fact, and the index of what is due next with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::facts::event::Event;
use crate::domain::facts::names::{Handle, TaskId};
use crate::domain::model::desk::Desk;
use crate::domain::model::incident::Status;

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
            // public knows, speaks for no other.
            let speaks = |handle: &&Handle| {
                self.incident(handle).is_some_and(|incident| {
                    incident.status == Status::Accepted
                        && incident.published().is_none()
                        && incident.known_public().is_none()
                })
            };
            let first = members.iter().find(speaks).and_then(|first| self.incident(first));
            let lead = first.and_then(|incident| incident.lead.clone());
            let lead = lead.and_then(|lead| self.roster.person(&lead)).cloned();
            let done_there: BTreeSet<TaskId> = first
                .into_iter()
                .flat_map(|first| first.tasks().filter(|task| first.does_once(task)))
                .map(|task| task.id.clone())
                .collect();
            let first = first.map(|first| first.handle.clone());
            for member in members {
                let Some(incident) = self.incidents.get_mut(member).map(Arc::make_mut) else {
                    continue;
                };
                // Who is not on an incident gets nothing of it: its own lead speaks for it then.
                let fits = lead.as_ref().filter(|lead| incident.is_team(lead));
                incident.first_lead = fits.map(|lead| lead.id.clone());
                let is_first = first.as_ref() == Some(member);
                incident.done_elsewhere =
                    if is_first { BTreeSet::new() } else { done_there.clone() };
                // What applies may be other rows now, and so what is due next.
                self.agenda.put(incident);
            }
        }
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

/// Whether after a fact an incident may share its release no more.
fn ends_sharing(event: &Event) -> bool {
    matches!(event, Event::BatchLeft | Event::Reopened)
}
