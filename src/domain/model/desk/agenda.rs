//! Which incident has something due when: an index over what [`schedule::duties`] says of each.
//!
//! Each place in it is remembered, so that taking an incident out costs nothing but looking it up, and
//! the work per fact does not grow with the number of incidents.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::facts::names::{Handle, Moment};
use crate::domain::model::incident::Incident;
use crate::domain::model::schedule;

/// The index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Agenda {
    due: BTreeSet<(Moment, Handle)>,
    notices: BTreeSet<(Moment, Handle)>,
    places: BTreeMap<Handle, schedule::Next>,
    /// While history is read: whose place is to be looked up once all of it is known.
    later: Option<BTreeSet<Handle>>,
}

impl Agenda {
    /// Looks an incident up anew, whatever has changed about it.
    pub(super) fn put(&mut self, incident: &Incident) {
        let handle = &incident.handle;
        if let Some(later) = &mut self.later {
            later.insert(handle.clone());
            return;
        }
        if let Some(before) = self.places.remove(handle) {
            before.duty.map(|at| self.due.remove(&(at, handle.clone())));
            before.notice.map(|at| self.notices.remove(&(at, handle.clone())));
        }
        let next = schedule::next(incident);
        self.due.extend(next.duty.map(|at| (at, handle.clone())));
        self.notices.extend(next.notice.map(|at| (at, handle.clone())));
        if next.duty.is_some() {
            self.places.insert(handle.clone(), next);
        }
    }

    /// From here on places are not looked up with each fact.
    pub(super) fn wait(&mut self) {
        self.later.get_or_insert_default();
    }

    /// Whose place is to be looked up now.
    pub(super) fn waited(&mut self) -> BTreeSet<Handle> {
        self.later.take().unwrap_or_default()
    }

    /// The incidents that have something due, the soonest first.
    pub(super) fn soonest(&self) -> impl Iterator<Item = &Handle> {
        self.due.iter().map(|(_, handle)| handle)
    }

    /// When something is due next.
    pub(super) fn next(&self) -> Option<Moment> {
        self.due.first().map(|(at, _)| *at)
    }

    /// When a notice is to leave next.
    pub(super) fn next_notice(&self) -> Option<Moment> {
        self.notices.first().map(|(at, _)| *at)
    }

    /// The incidents that have something due by `now`.
    pub(super) fn due(&self, now: Moment) -> Vec<Handle> {
        let due = self.due.iter().take_while(|(at, _)| *at <= now);
        due.map(|(_, handle)| handle.clone()).collect()
    }

    /// Whether something of this one is due by `now`.
    pub(super) fn is_due(&self, handle: &Handle, now: Moment) -> bool {
        self.places.get(handle).and_then(|next| next.duty).is_some_and(|at| at <= now)
    }

    /// The first incident whose place is not where it should be, if there is one.
    pub(super) fn audit<'i>(
        &self,
        incidents: impl Iterator<Item = &'i Incident>,
    ) -> Option<Handle> {
        let mut wanted = Self::default();
        incidents.for_each(|incident| wanted.put(incident));
        let wrong = wanted.due.symmetric_difference(&self.due).next();
        let wrong = wrong.or_else(|| wanted.notices.symmetric_difference(&self.notices).next());
        wrong.map(|(_, handle)| handle.clone())
    }
}
