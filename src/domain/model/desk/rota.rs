//! Whose turn it is, who is away, and who has joined an incident.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::facts::event::Event;
use crate::domain::facts::names::{Handle, Moment, PersonId};
use crate::domain::facts::record::Record;

/// Who does what, beside the roster. A turn is used up when it is taken, not when it is offered.
#[derive(Debug, Clone, Default)]
pub struct Rota {
    turns: BTreeMap<PersonId, Moment>,
    offered: BTreeMap<Handle, PersonId>,
    away: BTreeMap<PersonId, Moment>,
    joined: BTreeSet<(PersonId, Handle)>,
}

impl Rota {
    /// When somebody last took a turn at leading.
    #[must_use]
    pub fn turn(&self, person: &PersonId) -> Option<Moment> {
        self.turns.get(person).copied()
    }

    /// How many turns somebody is being asked to take.
    #[must_use]
    pub fn turns_offered(&self, person: &PersonId) -> usize {
        self.offered.values().filter(|to| *to == person).count()
    }

    /// Until when somebody is away, if they are.
    #[must_use]
    pub fn away(&self, person: &PersonId, now: Moment) -> Option<Moment> {
        self.away.get(person).copied().filter(|until| *until > now)
    }

    /// Whether somebody has joined any incident: then the words of the desk are for them as well.
    #[must_use]
    pub fn has_joined(&self, person: &PersonId) -> bool {
        let first = self.joined.range((person.clone(), Handle::first())..).next();
        first.is_some_and(|(id, _)| id == person)
    }

    /// Forgets that somebody was asked to take a turn.
    pub(super) fn call_off(&mut self, handle: &Handle) {
        self.offered.remove(handle);
    }

    pub(super) fn apply(&mut self, record: &Record) {
        if let Event::AwaySet { person, until } = &record.event {
            match until {
                Some(until) => self.away.insert(person.clone(), *until),
                None => self.away.remove(person),
            };
        }
        let (Some(handle), event) = (&record.incident, &record.event) else { return };
        if let Event::LeadOffered { to, turn: true, .. } = event {
            self.offered.insert(handle.clone(), to.clone());
        }
        if let Event::LeadSet { person, turn: true } = event {
            self.turns.insert(person.clone(), record.at);
        }
        let asked_has_left = matches!(event, Event::MemberLeft { person }
            if self.offered.get(handle) == Some(person));
        if asked_has_left || ends_offer(event) {
            self.call_off(handle);
        }
        if let Event::MemberJoined { person, .. } = event {
            self.joined.insert((person.clone(), handle.clone()));
        }
        if let Event::MemberLeft { person } = event {
            self.joined.remove(&(person.clone(), handle.clone()));
        }
    }
}

/// Whether a fact ends the question who leads.
fn ends_offer(event: &Event) -> bool {
    matches!(
        event,
        Event::LeadSet { .. }
            | Event::LeadDeclined { .. }
            | Event::Rejected { .. }
            | Event::Spam
            | Event::Untouched
            | Event::Closed
            | Event::Duplicated { .. }
            | Event::Merged { .. }
    )
}
