//! Who is on an incident.

use crate::domain::facts::event::Author;
use crate::domain::facts::letter::Letter;
use crate::domain::facts::names::Fingerprint;
use crate::domain::model::desk::Desk;
use crate::domain::model::incident::Incident;
use crate::domain::model::roster::Person;

impl Desk {
    /// Everybody who has a role of the playbook on an incident.
    #[must_use]
    pub fn team(&self, incident: &Incident) -> Vec<&Person> {
        self.people(|person| incident.is_team(person))
    }

    /// Those to whom talk on an incident goes: the intake role, the lead and the deputy, who joined,
    /// and who of the team has written on it.
    #[must_use]
    pub fn circle(&self, incident: &Incident) -> Vec<&Person> {
        self.people(|person| {
            let id = &person.id;
            let leads = [&incident.lead, &incident.deputy].contains(&&Some(id.clone()));
            let by_them = Author::Person(id.clone());
            let wrote = incident.letters.iter().any(|letter| letter.author == by_them);
            let named = leads || wrote || incident.joined.contains_key(id);
            let intake = incident.holds(person, &incident.playbook.intake);
            intake || (named && incident.is_team(person))
        })
    }

    /// The holders of a role on an incident.
    #[must_use]
    pub fn holders(&self, incident: &Incident, role: &str) -> Vec<&Person> {
        self.people(|person| incident.holds(person, role))
    }

    /// The person of the roster who signed the whole mail, by a key of theirs that is in force. A key
    /// that is revoked speaks for nobody, also where the signature is dated before: whoever has a
    /// stolen key can date it so.
    #[must_use]
    pub fn signer(&self, letter: &Letter) -> Option<&Person> {
        let key = self.unrevoked(letter)?;
        self.roster.by_fingerprint(key)
    }

    /// The person who offers the key that signed the whole mail: it answers for itself, and is proof
    /// of nothing else.
    #[must_use]
    pub fn offering(&self, letter: &Letter) -> Option<&Person> {
        let key = self.unrevoked(letter)?;
        self.roster.pending_keys.get(key)
    }

    fn unrevoked<'l>(&self, letter: &'l Letter) -> Option<&'l Fingerprint> {
        let key = &letter.verdict.signed()?.fingerprint;
        (!self.is_revoked(key)).then_some(key)
    }

    fn people(&self, fits: impl Fn(&Person) -> bool) -> Vec<&Person> {
        self.roster.people.values().filter(|person| fits(person)).collect()
    }
}
