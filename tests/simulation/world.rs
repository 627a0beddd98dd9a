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

/// What the desk is told: the team, and the process of those who have none of their own.
pub(crate) fn sources(own: &Card, team: &[Card]) -> Sources {
    let roles = ["security_team", "fix_team", "lead", "operator"];
    let person = |card: &Card| {
        let id = card.address.split('@').next().unwrap();
        Person {
            id: PersonId::parse(id).unwrap(),
            name: id.to_owned(),
            address: Address::parse(&card.address).unwrap(),
            fingerprint: Fingerprint::parse(&card.fingerprint).unwrap(),
            certificate: card.text(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            groups: BTreeSet::new(),
            seal_newer: false,
            further: Vec::new(),
        }
    };
    let people = team.iter().map(|card| (person(card).id, person(card))).collect();
    Sources {
        settings: Settings::plain(
            ["Desk", "SIM", "default"],
            Address::parse(&own.address).unwrap(),
            (Fingerprint::parse(&own.fingerprint).unwrap(), own.text()),
        ),
        roster: Roster { people, ..Roster::default() },
        templates: BTreeMap::new(),
        playbooks: playbook::BUILTIN
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect(),
        calendars: calendar::builtin(),
    }
}
