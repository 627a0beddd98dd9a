//! A decision in the making: facts tried on a copy of the incident, and the mails that follow.
//!
//! Whoever decides works through a [`Work`]. Every fact it adds is applied to a copy at once, so
//! that the next step of the same mail sees what the one before did; if one step refuses, the
//! whole is thrown away and nothing has happened.

use std::sync::Arc;

use crate::domain::decide::decision::{Decision, Entry};
use crate::domain::facts::event::{Blob, Event, Mailed, Opening, Purpose};
use crate::domain::facts::letter::Attachment;
use crate::domain::facts::member_fact::MemberFact;
use crate::domain::facts::names::{Digest, Fingerprint, Fresh, Handle, Moment, PersonId};
use crate::domain::facts::record::Body;
use crate::domain::facts::seconded::Seconded;
use crate::domain::model::desk::Desk;
use crate::domain::model::incident::Incident;
use crate::domain::model::member::Members;
use crate::domain::model::roster::Person;
use crate::domain::model::schedule::{Reach, Wider};
use crate::domain::process::offset::Calendar;
use crate::domain::process::playbook::Playbook;

/// A decision in the making.
#[derive(Clone)]
pub struct Work<'a> {
    /// The desk as it is.
    pub desk: &'a Desk,
    /// The present moment.
    pub now: Moment,
    /// Randomness.
    pub fresh: Fresh,
    /// The incident, with the facts so far.
    pub incident: Option<Arc<Incident>>,
    /// The person whose signed mail is being worked on.
    pub by: Option<PersonId>,
    /// The key that signed it.
    pub signed: Option<Fingerprint>,
    /// Who stands behind what is being carried out, where two people do.
    pub seconded: Option<Seconded>,
    /// That this only finds out what would follow: no decision comes of it.
    pub trial: bool,
    /// What it lets happen that nobody takes back, and that one person alone must not.
    pub wider: Vec<Wider>,
    /// What people are asked to second, one mail to each in the end.
    pub questions: Vec<Question>,
    /// Drafts that people are shown to approve, in the same mail.
    pub shown: Vec<ShownDraft>,
    pub(super) decision: Decision,
    /// The members, once this decision has changed one of them.
    members: Option<Members>,
    /// Other incidents that this decision has touched, with the facts so far.
    others: std::collections::BTreeMap<Handle, Arc<Incident>>,
}

impl<'a> Work<'a> {
    /// Begins a decision, on an incident if it is about one.
    #[must_use]
    pub fn on(desk: &'a Desk, handle: Option<&Handle>, now: Moment, fresh: Fresh) -> Self {
        let incident = handle.and_then(|handle| desk.incidents.get(handle)).cloned();
        let (decision, others) = (Decision::default(), std::collections::BTreeMap::new());
        Self {
            desk,
            now,
            fresh,
            incident,
            by: None,
            signed: None,
            seconded: None,
            trial: false,
            wider: Vec::new(),
            questions: Vec::new(),
            shown: Vec::new(),
            decision,
            members: None,
            others,
        }
    }

    /// Adds a fact about the incident. Every fact passes here, so here it is seen whether it lets
    /// something happen that two people must want.
    pub fn add(&mut self, event: Event) {
        if let Some(incident) = &mut self.incident {
            let looks = self.seconded.is_none() && may_widen(&event);
            let before = looks.then(|| Reach::of(incident, &self.desk.roster));
            Arc::make_mut(incident).apply(self.now, self.by.as_ref(), &event);
            if let Some(before) = before {
                let after = Reach::of(incident, &self.desk.roster);
                self.wider.extend(after.wider(&before, incident, self.now));
            }
        }
        let incident = self.incident.as_ref().map(|incident| incident.handle.clone());
        self.decision.entries.push(Entry { incident, by: self.by.clone(), event });
    }

    /// Who stands behind a word to people outside the team, or behind the end of an embargo; where
    /// nobody does yet, that it takes two is noted, and the fact cannot be made.
    pub fn two(&mut self) -> Option<Seconded> {
        if self.seconded.is_some() {
            return self.seconded.clone();
        }
        self.wider.push(Wider::Word);
        // What follows from it is to be seen as well, by whoever is asked.
        self.trial.then(Seconded::of_a_trial)
    }

    /// Goes on for a while with another incident, in the same decision.
    pub fn on_other(&mut self, handle: &Handle, then: impl FnOnce(&mut Self)) {
        let other = self.others.remove(handle);
        let other = other.or_else(|| self.desk.incidents.get(handle).cloned());
        let Some(other) = other else { return };
        let home = self.incident.replace(other).map(|own| {
            let handle = own.handle.clone();
            self.others.insert(handle.clone(), own);
            handle
        });
        then(self);
        let own = home.and_then(|handle| self.others.remove(&handle));
        if let Some(other) = std::mem::replace(&mut self.incident, own) {
            self.others.insert(other.handle.clone(), other);
        }
    }

    /// Another incident than the one that is worked on, with the facts so far.
    #[must_use]
    pub fn other(&self, handle: &Handle) -> Option<Arc<Incident>> {
        self.others.get(handle).or_else(|| self.desk.incidents.get(handle)).cloned()
    }

    /// Adds a fact about another incident than the one that is worked on.
    pub fn add_about(&mut self, handle: &Handle, event: Event) {
        if may_widen(&event) && self.desk.incidents.contains_key(handle) {
            return self.on_other(handle, |work| work.add(event));
        }
        let (incident, by) = (Some(handle.clone()), self.by.clone());
        self.decision.entries.push(Entry { incident, by, event });
    }

    /// Adds a fact about the desk as a whole.
    pub fn add_to_desk(&mut self, event: Event) {
        self.decision.entries.push(Entry { incident: None, by: self.by.clone(), event });
    }

    /// The members, with the facts so far.
    #[must_use]
    pub fn members(&self) -> &Members {
        self.members.as_ref().unwrap_or(&self.desk.members)
    }

    /// Whether the key that mails to somebody are sealed to was said to be in other hands.
    #[must_use]
    pub fn distrusts(&self, person: &Person) -> bool {
        let member = self.members().get(&person.id);
        member.is_some_and(|member| member.distrusted.contains(&person.fingerprint))
    }

    /// Adds a fact about a member.
    pub fn add_member(&mut self, member: &PersonId, fact: MemberFact) {
        let members = self.members.get_or_insert_with(|| self.desk.members.clone());
        members.apply(self.now, self.by.as_ref(), member, &fact);
        self.add_to_desk(Event::Member { member: member.clone(), fact });
    }

    /// Adds the fact that opens an incident, and goes on with it.
    pub fn open(&mut self, handle: Handle, opening: Opening, playbook: Arc<Playbook>) {
        self.incident =
            Some(Arc::new(Incident::open(handle.clone(), self.now, &opening, playbook)));
        let event = Event::Opened(Box::new(opening));
        self.decision.entries.push(Entry { incident: Some(handle), by: self.by.clone(), event });
    }

    /// Notes something for the operator. Never content.
    pub fn fault(&mut self, fault: impl Into<String>) {
        self.decision.faults.push(fault.into());
    }

    /// Notes what the mail turned out to be.
    pub fn dispose(&mut self, disposition: &'static str) {
        self.decision.disposition = disposition;
    }

    /// Keeps a body and returns the name by which facts speak of it.
    pub fn keep(&mut self, text: impl Into<String>) -> Blob {
        let (salt, text) = (self.fresh.draw(), text.into());
        let name = Digest::of_parts(&[&salt, text.as_bytes()]);
        self.decision.bodies.push(Body { name, salt, text });
        name
    }

    /// The body that this decision keeps under a name.
    #[must_use]
    pub fn kept(&self, name: Blob) -> Option<&str> {
        self.decision.bodies.iter().find(|body| body.name == name).map(|body| body.text.as_str())
    }

    /// A moment with date, hour and zone: the incident's zone, or the desk's.
    #[must_use]
    pub fn say(&self, moment: Moment) -> String {
        let desk = Calendar::plain(self.desk.settings.zone);
        desk.say(moment)
    }

    /// Everybody who has a role of the playbook on this incident.
    #[must_use]
    pub fn team(&self) -> Vec<&'a Person> {
        self.incident.as_ref().map_or_else(Vec::new, |incident| self.desk.team(incident))
    }

    /// Those to whom talk on this incident goes.
    #[must_use]
    pub fn circle(&self) -> Vec<&'a Person> {
        self.incident.as_ref().map_or_else(Vec::new, |incident| self.desk.circle(incident))
    }

    /// The holders of a role on this incident.
    #[must_use]
    pub fn holders(&self, role: &str) -> Vec<&'a Person> {
        self.incident.as_ref().map_or_else(Vec::new, |incident| self.desk.holders(incident, role))
    }

    /// The person with this id, if the roster has them.
    #[must_use]
    pub fn person(&self, id: &PersonId) -> Option<&'a Person> {
        self.desk.roster.person(id)
    }

    /// What people call somebody.
    #[must_use]
    pub fn name(&self, id: &PersonId) -> String {
        self.person(id).map_or_else(|| id.to_string(), |person| person.name.clone())
    }

    /// The finished decision, with the mails on the incident as a fact of their own.
    pub fn done(mut self) -> Decision {
        if self.trial {
            return Decision::default();
        }
        self.hold_what_nobody_seconded();
        let mut by_incident: std::collections::BTreeMap<Handle, Vec<Mailed>> =
            std::collections::BTreeMap::new();
        for mail in &self.decision.mails {
            if let (Some(about), false) =
                (&mail.about, matches!(mail.purpose, Purpose::Notice { .. }))
            {
                by_incident.entry(about.clone()).or_default().push(Mailed {
                    message_id: mail.message_id.clone(),
                    to: mail.to.clone(),
                    purpose: mail.purpose.clone(),
                });
            }
        }
        for (handle, mails) in by_incident {
            let event = Event::Mailed { mails };
            if self.incident.as_ref().is_some_and(|incident| incident.handle == handle) {
                self.add(event);
            } else {
                self.add_about(&handle, event);
            }
        }
        self.decision
    }

    /// What people do is asked about before it is done. What else lets a notice go further (time, or
    /// a reporter's word) has nobody to ask: the notice is held until two people look at it.
    fn hold_what_nobody_seconded(&mut self) {
        for wider in std::mem::take(&mut self.wider) {
            let (Wider::GateOpen(notice) | Wider::Sooner(notice, _)) = wider else {
                self.fault(
                    "something that takes two people was about to be done by none; it was not",
                );
                self.decision = Decision {
                    faults: std::mem::take(&mut self.decision.faults),
                    ..Decision::default()
                };
                return;
            };
            self.fault(format!(
                "a notice would have left sooner than was agreed, and is held: {notice}"
            ));
            self.add(Event::Held { notice: Some(notice) });
        }
    }
}

/// Something that a second person is asked to agree to.
#[derive(Debug, Clone)]
pub struct Question {
    /// Who gave the command.
    pub by: PersonId,
    /// The command, as it was understood.
    pub line: String,
    /// What will happen, to whom and when.
    pub what: String,
    /// Until when it can be confirmed.
    pub until: Moment,
    /// Who is asked, and the nonce that each answers with.
    pub asked: Vec<(PersonId, String)>,
}

/// A draft that people are shown to approve.
#[derive(Debug, Clone)]
pub struct ShownDraft {
    /// `NOTICE@N`.
    pub name: String,
    /// What the template says of it.
    pub facts: serde_json::Value,
    /// What goes with it.
    pub attachments: Vec<Attachment>,
    /// Who may approve it.
    pub to: Vec<PersonId>,
}

/// Whether a fact may let something happen that could not before: all but those that only say what
/// was written, sent or read.
fn may_widen(event: &Event) -> bool {
    !matches!(
        event,
        Event::Joined { .. }
            | Event::KeyPinned { .. }
            | Event::KeyProven { .. }
            | Event::Mailed { .. }
            | Event::Reported { .. }
            | Event::Commanded { .. }
            | Event::Refused { .. }
            | Event::StatusAsked { .. }
            | Event::Noted { .. }
            | Event::Released { .. }
            | Event::Sent { .. }
            | Event::SharedSent { .. }
            | Event::CaughtUp { .. }
            | Event::Answered { .. }
            | Event::Objected { .. }
            | Event::ConfirmAsked { .. }
            | Event::Confirmed { .. }
            | Event::Cancelled { .. }
            | Event::Reminded { .. }
            | Event::Held { .. }
            | Event::Frozen(_)
            | Event::NoticeAdded { .. }
    )
}
