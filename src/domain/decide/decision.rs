//! What follows from an input.

use crate::domain::facts::event::Event;
use crate::domain::facts::names::{Handle, PersonId};
use crate::domain::facts::record::Body;
use crate::domain::outgoing::mail::Mail;

/// A fact that was decided and is not in the journal yet.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The incident it is about.
    pub incident: Option<Handle>,
    /// The person whose signed mail caused it.
    pub by: Option<PersonId>,
    /// The fact.
    pub event: Event,
}

/// What follows from an input: facts, bodies and mails, committed together or not at all.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Decision {
    /// The facts, in order.
    pub entries: Vec<Entry>,
    /// The bodies that they name.
    pub bodies: Vec<Body>,
    /// The mails to seal and put in the outbox.
    pub mails: Vec<Mail>,
    /// Things the operator should see, without content.
    pub faults: Vec<String>,
    /// What the mail turned out to be, for its inbox row.
    pub disposition: &'static str,
}

impl Decision {
    /// Adds what follows from another input, to be committed together with this.
    pub fn merge(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.bodies.extend(other.bodies);
        self.mails.extend(other.mails);
        self.faults.extend(other.faults);
    }
}
