//! A desk's process, played through before anybody relies on it: the desk's own people, texts and
//! calendars, and every decision that the real desk would make, on a clock that jumps from one moment to
//! the next. Nothing is sealed, stored or sent.
//!
//! The people are played by [`team`](super::team), who do each thing as soon as the process lets them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::decide::catch_up;
use crate::domain::decide::decision::Decision;
use crate::domain::decide::delivery;
use crate::domain::decide::time;
use crate::domain::decide::time::Belief;
use crate::domain::facts::event::{Delivery, Event, Purpose, Recipient};
use crate::domain::facts::foreign::Foreign;
use crate::domain::facts::key::{KeyFacts, PinnedKey};
use crate::domain::facts::letter::{Letter, Protection, Signature, Signed};
use crate::domain::facts::member_fact::MemberFact;
use crate::domain::facts::names::{
    Address, Digest, Fingerprint, Fresh, Handle, Moment, PersonId, Span, later,
};
use crate::domain::facts::outer_view::{FoundKey, KeyRank};
use crate::domain::facts::record::Record;
use crate::domain::intake::classify::{Arrival, receive};
use crate::domain::intake::command_mail;
use crate::domain::model::desk::Desk;
use crate::domain::model::incident::Incident;
use crate::domain::model::roster::{Person, RefKey};
use crate::domain::outgoing::mail::{Label, Mail, Words};
use crate::domain::outgoing::texts::{Written, fill_blobs, fill_history};
use crate::engine::Sources;
use crate::error::Fault;

/// A mail that would leave.
#[derive(Debug, Clone, Serialize)]
pub struct Sent {
    /// When.
    pub at: Moment,
    /// To whom, as people say it.
    pub to: String,
    /// Whether it is for people of the team, who steer; the others are the ones who must be right.
    pub inside: bool,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub body: String,
    /// What is attached.
    pub attached: Vec<String>,
    /// Whether it is sealed to a key; in clear otherwise.
    pub sealed: bool,
    /// Why this copy could not leave: no key of theirs can be used then.
    pub withheld: Option<String>,
    /// Whether it is a notice, and its day none on which people work in the calendar of the process.
    pub on_a_day_off: bool,
}

/// What a person of the team writes.
#[derive(Debug, Clone, Serialize)]
pub struct Said {
    /// When.
    pub at: Moment,
    /// Who.
    pub by: String,
    /// Their lines.
    pub lines: Vec<String>,
}

/// What happens, in order.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Scene {
    /// Somebody of the team writes.
    Said(Said),
    /// A mail leaves.
    Sent(Sent),
}

impl Scene {
    /// When.
    #[must_use]
    pub fn at(&self) -> Moment {
        match self {
            Self::Said(said) => said.at,
            Self::Sent(sent) => sent.at,
        }
    }
}

/// A desk in play.
pub struct Play {
    /// The desk.
    pub desk: Desk,
    /// The moment.
    pub now: Moment,
    /// The incident.
    pub handle: Handle,
    /// What has happened.
    pub scenes: Vec<Scene>,
    /// How long it takes somebody to write a mail.
    pub writing: Span,
    /// The languages that the reporter reads.
    pub reporter_reads: Vec<String>,
    bodies: BTreeMap<Digest, String>,
    number: u64,
    draws: u64,
}

fn impossible(why: impl Into<String>) -> Fault {
    Fault::new(why.into(), "run `embargod check`")
}

impl Play {
    /// A desk as the config has it, with members that joined by mail besides, before its first report.
    ///
    /// # Errors
    /// What is wrong with the config.
    pub fn of(
        sources: &Sources,
        members: &[Person],
        keys: &BTreeMap<Fingerprint, KeyFacts>,
        now: Moment,
    ) -> Result<Self, Fault> {
        let key = RefKey(Digest::of(sources.settings.address.as_str().as_bytes()).0);
        let desk = Desk::new(key, sources.settings.clone()).map_err(impossible)?;
        let (scenes, bodies) = (Vec::new(), BTreeMap::new());
        let handle = Handle::first();
        let writing = Span::minutes(1);
        let mut play = Self {
            desk,
            now,
            handle,
            scenes,
            writing,
            reporter_reads: Vec::new(),
            bodies,
            number: 0,
            draws: 0,
        };
        let event = sources.event(|text| play.desk.keep_text(text))?;
        play.apply(None, None, event);
        if let Some(fault) = play.desk.faults.first() {
            let what =
                fault.split_once(": ").filter(|(place, _)| place.starts_with("journal record"));
            return Err(impossible(what.map_or(fault.as_str(), |(_, what)| what)));
        }
        for (fingerprint, facts) in keys {
            play.desk.learn_key(fingerprint, facts.clone());
        }
        let known: Vec<Person> = play.desk.not_taken_over().into_iter().cloned().collect();
        for person in known.iter().chain(members) {
            let fact = MemberFact::Imported {
                name: person.name.clone(),
                address: person.address.clone(),
                groups: person.groups.clone(),
                key: PinnedKey {
                    fingerprint: person.fingerprint.clone(),
                    certificate: person.certificate.clone(),
                },
                source: "rehearsal".to_owned(),
            };
            play.apply(None, None, Event::Member { member: person.id.clone(), fact });
        }
        play.desk.looked_for_missed();
        Ok(play)
    }

    /// The incident as it stands.
    #[must_use]
    pub fn incident(&self) -> Option<&Incident> {
        self.desk.incident(&self.handle)
    }

    fn apply(&mut self, incident: Option<Handle>, by: Option<PersonId>, event: Event) {
        self.number = self.number.saturating_add(1);
        let (number, at) = (self.number, self.now);
        let record = Record { number, at, incident, by, cause: None, event };
        self.desk.apply(&record, Digest::of(&number.to_be_bytes()));
    }

    fn fresh(&mut self) -> Fresh {
        self.draws = self.draws.saturating_add(1);
        Fresh::new(Digest::of(&self.draws.to_be_bytes()).0)
    }

    /// Takes in what was decided, and lets its mails leave.
    fn carry_out(&mut self, decision: Decision) {
        for body in decision.bodies {
            self.bodies.insert(body.name, body.text);
        }
        let mails = decision.mails;
        for entry in decision.entries {
            if let (Event::Opened(_), Some(handle)) = (&entry.event, &entry.incident) {
                self.handle = handle.clone();
            }
            self.apply(entry.incident, entry.by, entry.event);
        }
        for mail in mails {
            self.leaves(&mail);
        }
    }

    fn leaves(&mut self, mail: &Mail) {
        let written = self.written(&mail.words);
        let at = mail.not_before.max(self.now);
        let sealed = !matches!(
            mail.words,
            Words::Public { .. } | Words::SaidInClear { .. } | Words::Clear(_)
        );
        let person = match &mail.to {
            Recipient::Person(id) => self.desk.roster.person(id),
            Recipient::Reporter | Recipient::List(_) | Recipient::Outsider(_) => None,
        };
        let incident = mail.about.as_ref().and_then(|about| self.desk.incident(about));
        let inside = person.is_some_and(|person| {
            person.is_maintainer() || incident.is_some_and(|incident| incident.is_team(person))
        });
        let withheld = person
            .filter(|person| sealed && !self.desk.can_seal(person, at))
            .map(|person| format!("no key of {} can be used then", person.name));
        let to = match (person, &mail.to) {
            (Some(person), _) => format!("{} <{}>", person.name, person.address),
            (None, Recipient::Reporter) => format!("the reporter <{}>", mail.address),
            (None, _) => mail.address.to_string(),
        };
        let notice = matches!(mail.purpose, Purpose::Notice { .. });
        let off = incident.filter(|_| notice && !inside).is_some_and(|incident| {
            let calendar = &incident.playbook.calendar;
            !calendar.is_work_day(at.with_timezone(&calendar.zone).date_naive())
        });
        let attached = attached(mail);
        let failed = withheld.is_some();
        self.scenes.push(Scene::Sent(Sent {
            at,
            to,
            inside,
            subject: written.subject,
            body: written.body,
            attached,
            sealed,
            withheld,
            on_a_day_off: off,
        }));
        let outcome = if failed { Delivery::Withheld } else { Delivery::Accepted };
        let label = Label {
            about: mail.about.clone(),
            to: mail.to.clone(),
            purpose: mail.purpose.clone(),
            key: mail.key.clone(),
        };
        let fresh = self.fresh();
        let id = &mail.message_id;
        let now = self.now;
        let decision =
            delivery::delivered(&self.desk, id, &label, outcome, "250 taken", now, fresh);
        for entry in decision.entries {
            self.apply(entry.incident, entry.by, entry.event);
        }
    }

    fn body(&self, name: Digest) -> Option<String> {
        self.bodies.get(&name).cloned()
    }

    fn frozen(&self, draft: Digest) -> Written {
        let text = self.body(draft).unwrap_or_default();
        serde_json::from_str(&text)
            .unwrap_or_else(|_| Written { subject: String::new(), body: text })
    }

    /// The final words of a mail.
    fn written(&self, words: &Words) -> Written {
        match words {
            Words::Sealed(written) => {
                let body = fill_blobs(&written.body, |blob| self.body(blob));
                let none = |_: &Handle| Ok::<_, std::convert::Infallible>(Vec::new());
                let body = fill_history(&body, none).unwrap_or_default();
                Written { subject: written.subject.clone(), body }
            }
            Words::Frozen { draft, name, reference, late, .. } => {
                self.frozen(*draft).for_recipient(name, reference, late.as_deref())
            }
            Words::Public { draft, late, .. } => {
                self.frozen(*draft).for_recipient("", "", late.as_deref())
            }
            Words::SaidInClear { draft, .. } => self.frozen(*draft),
            Words::Clear(text) => text.written().clone(),
        }
    }

    /// Does what the desk does by itself up to now.
    pub fn runs(&mut self) {
        for _ in 0..10_000 {
            let before = self.number;
            for id in self.desk.people_due(self.now) {
                let fresh = self.fresh();
                let decision =
                    crate::domain::decide::membership::due(&self.desk, &id, self.now, fresh);
                self.carry_out(decision);
            }
            for handle in self.desk.due(self.now) {
                let fresh = self.fresh();
                let waited = command_mail::waited(&self.desk, &handle, self.now, fresh);
                self.carry_out(waited);
                let fresh = self.fresh();
                let decision = time::due(&self.desk, &handle, Belief::Sure, self.now, fresh);
                self.carry_out(decision);
            }
            if self.desk.may_have_missed() {
                self.desk.looked_for_missed();
                let fresh = self.fresh();
                let decision = catch_up::look(&self.desk, &self.handle.clone(), self.now, fresh);
                self.carry_out(decision);
            }
            if self.number == before {
                return;
            }
        }
    }

    fn letter(&mut self, text: &str) -> Letter {
        self.draws = self.draws.saturating_add(1);
        let raw = Digest::of_parts(&[b"mail", &self.draws.to_be_bytes()]);
        let mut letter = Letter::blank(raw, self.now);
        letter.text = text.to_owned();
        letter.verdict.protection = Protection::Both;
        letter.subject_protected = true;
        letter.to = vec![self.desk.settings.address.clone()];
        letter.size = text.len();
        letter
    }

    /// A report comes in, sealed and signed by a key that nobody knows.
    ///
    /// # Errors
    /// When the desk opens nothing for it.
    pub fn report(&mut self, from: &Address, text: &str) -> Result<(), Fault> {
        let mut letter = self.letter(text);
        letter.subject = Foreign::line("A report", 80);
        letter.outer.writers.from = vec![from.clone()];
        letter.outer.writers.return_path = Some(Some(from.clone()));
        letter.outer.languages.clone_from(&self.reporter_reads);
        letter.verdict.signature = Signature::UnknownKey;
        let digits = Digest::of(from.as_str().as_bytes()).to_string().to_uppercase();
        let fingerprint = digits.get(..40).and_then(Fingerprint::parse);
        letter.keys = fingerprint
            .into_iter()
            .map(|fingerprint| FoundKey {
                rank: KeyRank::Signer,
                fingerprint,
                certificate: String::new(),
            })
            .collect();
        let fresh = self.fresh();
        let arrival = Arrival { letter: &letter, ours: false, returned: None };
        let decision = receive(&self.desk, arrival, self.now, fresh);
        let known = self.desk.incidents.len();
        self.carry_out(decision);
        if self.desk.incidents.len() == known {
            return Err(impossible("the report opened no incident"));
        }
        Ok(())
    }

    /// Somebody of the team writes a mail of commands. Gives what else somebody has to confirm: who, and the
    /// word.
    ///
    /// # Errors
    /// The desk's refusal, in its words.
    pub fn says(
        &mut self,
        who: &PersonId,
        lines: &[String],
    ) -> Result<Vec<(PersonId, String)>, String> {
        let Some(person) = self.desk.roster.person(who).cloned() else {
            return Err(format!("{who} is nobody"));
        };
        self.now = later(self.now, self.writing);
        let text = format!("/incident {}\n{}", self.handle, lines.join("\n"));
        let mut letter = self.letter(&text);
        letter.subject = Foreign::line("to the desk", 80);
        letter.outer.writers.from = vec![person.address.clone()];
        letter.outer.writers.return_path = Some(Some(person.address.clone()));
        letter.verdict.signature = Signature::Valid(Signed {
            fingerprint: person.fingerprint.clone(),
            made: self.now,
            hash: letter.raw,
            names_us: true,
        });
        let fresh = self.fresh();
        let arrival = Arrival { letter: &letter, ours: false, returned: None };
        let decision = receive(&self.desk, arrival, self.now, fresh);
        let refused = decision.mails.iter().find(|mail| mail.purpose == Purpose::Refusal);
        if let Some(refused) = refused {
            let why = self.written(&refused.words).body;
            let why = why.split("Why not: ").nth(1).unwrap_or(&why);
            let why = why.split("\n\n").next().unwrap_or(why);
            return Err(why.split_whitespace().collect::<Vec<_>>().join(" "));
        }
        let lines = lines.to_vec();
        self.scenes.push(Scene::Said(Said { at: self.now, by: person.name, lines }));
        let before = self.scenes.len();
        let to: Vec<Recipient> = decision.mails.iter().map(|mail| mail.to.clone()).collect();
        self.carry_out(decision);
        let new = self.scenes.iter().skip(before).zip(to);
        Ok(new.filter_map(|(scene, to)| confirmation(scene, &to)).collect())
    }
}

/// Whom a mail asks to confirm something, and the word.
fn confirmation(scene: &Scene, to: &Recipient) -> Option<(PersonId, String)> {
    let (Scene::Sent(sent), Recipient::Person(id)) = (scene, to) else { return None };
    let line = sent.body.lines().find_map(|line| line.trim().strip_prefix("| /confirm "))?;
    Some((id.clone(), format!("/confirm {}", line.split_whitespace().next()?)))
}

fn attached(mail: &Mail) -> Vec<String> {
    let own = mail.attachments.iter().map(|part| part.name.to_string());
    let frozen = match &mail.words {
        Words::Frozen { enclosures, .. } => enclosures.as_slice(),
        Words::Sealed(_) | Words::Public { .. } | Words::SaidInClear { .. } | Words::Clear(_) => {
            &[]
        }
    };
    own.chain(frozen.iter().map(|part| part.name.clone())).collect()
}
