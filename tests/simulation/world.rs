//! The world around a desk: the clock, drawn numbers, and what the desk is told of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use embargod::domain::facts::names::{
    Address, Digest, Fingerprint, Fresh, Moment, PersonId, Reading, Span,
};
use embargod::domain::facts::settings::Settings;
use embargod::domain::model::roster::{Person, Roster};
use embargod::domain::process::{calendar, playbook};
use embargod::engine::Sources;
use embargod::error::Fault;
use embargod::ports::clock::Clock;
use embargod::ports::entropy::Entropy;

use super::vault::Card;

/// When it begins: a Monday.
pub(crate) fn begin() -> Moment {
    "2026-03-02T09:00:00Z".parse().unwrap()
}

/// A clock that goes when it is told to. The wall's can be set; the other one cannot.
#[derive(Clone)]
pub(crate) struct HandClock(Arc<Mutex<Reading>>);

impl HandClock {
    pub(crate) fn at(wall: Moment) -> Self {
        Self(Arc::new(Mutex::new(Reading { wall, boot: Span::seconds(100) })))
    }

    pub(crate) fn wall(&self) -> Moment {
        self.0.lock().unwrap().wall
    }

    pub(crate) fn pass(&self, span: Span) {
        let mut reading = self.0.lock().unwrap();
        reading.wall += span;
        reading.boot += span;
    }

    /// Somebody sets the wall's.
    pub(crate) fn step(&self, span: Span) {
        self.0.lock().unwrap().wall += span;
    }

    /// The machine begins anew.
    pub(crate) fn boot(&self) {
        self.0.lock().unwrap().boot = Span::seconds(100);
    }
}

impl Clock for HandClock {
    fn reading(&self) -> Reading {
        *self.0.lock().unwrap()
    }
}

/// Drawn numbers that follow from a seed.
pub(crate) struct Draws(u64, u64);

impl Draws {
    pub(crate) fn from(seed: u64) -> Self {
        Self(seed, 0)
    }
}

impl Entropy for Draws {
    fn fresh(&mut self) -> Result<Fresh, Fault> {
        self.1 += 1;
        let drawn = Digest::of_parts(&[&self.0.to_be_bytes(), &self.1.to_be_bytes()]);
        Ok(Fresh::new(drawn.0))
    }
}

/// Somebody's certificate.
pub(crate) fn card(id: &str, from: Moment) -> Card {
    let hash = Digest::of(id.as_bytes()).to_string().to_uppercase();
    let fingerprint = hash.chars().take(40).collect();
    let address = format!("{id}@people.test");
    Card { fingerprint, address, from: from - Span::days(1), until: None, revoked: false }
}

/// The desk's own certificate.
pub(crate) fn own() -> Card {
    Card { address: "security@desk.test".to_owned(), ..card("desk", begin()) }
}

/// Who is at the desk, with their roles, and who is on the private list.
pub(crate) const CAST: &[(&str, &[&str], &[&str])] = &[
    ("mia", &["security_team", "release"], &[]),
    ("tom", &["security_team", "release"], &[]),
    ("vic", &["security_team"], &[]),
    ("uma", &["operator"], &[]),
    ("oscar", &["operator"], &[]),
    ("ann", &[], &["private_distributors"]),
    ("bob", &[], &["private_distributors"]),
    ("cleo", &[], &["private_distributors"]),
    ("dan", &[], &["private_distributors"]),
];

fn person(id: &str, roles: &[&str], groups: &[&str]) -> Person {
    let card = card(id, begin());
    Person {
        id: PersonId::parse(id).unwrap(),
        name: id.to_owned(),
        address: Address::parse(&card.address).unwrap(),
        fingerprint: Fingerprint::parse(&card.fingerprint).unwrap(),
        certificate: card.text(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        seal_newer: false,
        further: Vec::new(),
    }
}

/// What the desk is told: everybody but those who are away, and the process of those who have none of their own.
pub(crate) fn sources(away: &BTreeSet<&str>) -> Sources {
    let own = own();
    let there = CAST.iter().filter(|(id, ..)| !away.contains(id));
    let people = there.map(|(id, roles, groups)| person(id, roles, groups));
    Sources {
        settings: Settings::plain(
            ["Desk", "SIM", "default"],
            Address::parse(&own.address).unwrap(),
            (Fingerprint::parse(&own.fingerprint).unwrap(), own.text()),
        ),
        roster: Roster {
            people: people.map(|person| (person.id.clone(), person)).collect(),
            ..Roster::default()
        },
        templates: BTreeMap::new(),
        playbooks: playbook::BUILTIN
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect(),
        calendars: calendar::builtin(),
    }
}
