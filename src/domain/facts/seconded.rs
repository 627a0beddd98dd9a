//! Two people behind one act: what cannot be taken back asks for this value, and for nothing else.
//!
//! It is made here and nowhere else, out of how two people come to have a say. So a word, a row of a
//! playbook or a batch that leads to such an act leads over this file, or does not compile.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::facts::names::{Moment, PersonId, Span, later};

/// How somebody comes to have a say on an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footing {
    /// Who.
    pub person: PersonId,
    /// Who alone brought them in, each of them; nobody where the config did, or two people did.
    pub given_by: BTreeSet<PersonId>,
}

/// What a desk says of itself that has one maintainer only: time stands for the second person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alone {
    /// So many minutes pass before what one person said is done. Anybody can call it off meanwhile.
    pub minutes: u32,
    /// Since when the config says so: what was said before was said to be seconded by somebody.
    pub since: Moment,
}

impl Alone {
    /// When what was said at a moment is done.
    #[must_use]
    pub fn from(self, said: Moment) -> Moment {
        later(said.max(self.since), Span::minutes(i64::from(self.minutes)))
    }
}

/// Two people whose rights neither gave the other have said the same. Made by [`Seconded::of`] alone,
/// or where a desk has one maintainer by [`Seconded::waited`].
//  Warning: this type is used in stored state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seconded {
    /// The two; one where time stood for the other; none for what was written before this was asked.
    by: Vec<PersonId>,
}

impl Seconded {
    /// Two people, if they are two: neither is the other, and neither was brought in by the other
    /// alone. Whoever makes their own second person is still one person.
    #[must_use]
    pub fn of(first: &Footing, second: &Footing) -> Option<Self> {
        let gave = |giver: &Footing, to: &Footing| to.given_by.contains(&giver.person);
        let two = first.person != second.person && !gave(first, second) && !gave(second, first);
        two.then(|| Self { by: vec![first.person.clone(), second.person.clone()] })
    }

    /// One person, at a desk that has no other, after the time in which it could be called off.
    #[must_use]
    pub fn waited(alone: Alone, by: &PersonId, said: Moment, now: Moment) -> Option<Self> {
        (now >= alone.from(said)).then(|| Self { by: vec![by.clone()] })
    }

    /// What a line of the journal had before two people were asked for: it happened, and happens at
    /// replay.
    pub(super) fn before_it_was_asked() -> Self {
        Self { by: Vec::new() }
    }

    /// Whether it was written before two people were asked for.
    pub(super) fn is_of_before(&self) -> bool {
        self.by.is_empty()
    }

    /// What a trial goes on with, of which no decision comes: so that whoever is asked sees all that would
    /// follow.
    pub(in crate::domain) fn of_a_trial() -> Self {
        Self { by: Vec::new() }
    }

    /// Who they are.
    #[must_use]
    pub fn people(&self) -> &[PersonId] {
        &self.by
    }

    /// Whether somebody is one of them.
    #[must_use]
    pub fn is_by(&self, person: &PersonId) -> bool {
        self.by.contains(person)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_makes_their_own_second_person() {
        let id = |name: &str| PersonId::parse(name).unwrap();
        let config = |name: &str| Footing { person: id(name), given_by: BTreeSet::new() };
        let given = |name: &str, by: &str| Footing { person: id(name), given_by: [id(by)].into() };
        let two = |a: &Footing, b: &Footing| Seconded::of(a, b).is_some();
        assert!(two(&config("mia"), &config("tom")));
        assert!(!two(&config("mia"), &config("mia")), "one person");
        assert!(!two(&config("mia"), &given("uma", "mia")), "she made her");
        assert!(!two(&given("uma", "mia"), &config("mia")), "nor the other way round");
        assert!(two(&given("uma", "mia"), &config("tom")));
        assert!(two(&given("uma", "mia"), &given("ann", "mia")), "two people all the same");
        assert!(!two(&given("uma", "ann"), &given("ann", "mia")));
    }

    #[test]
    fn alone_it_is_done_when_the_time_has_passed() {
        let mia = PersonId::parse("mia").unwrap();
        let said: Moment = "2026-03-02T09:00:00Z".parse().unwrap();
        let alone = Alone { minutes: 60, since: later(said, Span::minutes(-5)) };
        let before = later(said, Span::minutes(59));
        assert_eq!(Seconded::waited(alone, &mia, said, before), None);
        assert!(Seconded::waited(alone, &mia, said, alone.from(said)).is_some());
        // What waited for a second person does not leave because there is none any more.
        let alone = Alone { minutes: 60, since: later(said, Span::minutes(30)) };
        assert_eq!(alone.from(said), later(said, Span::minutes(90)));
    }
}
