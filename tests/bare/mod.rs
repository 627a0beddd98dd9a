//! A desk without mails, keys or servers: facts go in, the real decisions come out, and each is held
//! against what must never happen.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::too_many_lines,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "each test uses a part of it; a test that cannot go on should stop"
)]

use std::collections::BTreeSet;

use embargod::domain::decide::decision::Decision;
use embargod::domain::decide::time;
use embargod::domain::facts::anchor::Anchor;
use embargod::domain::facts::event::{Author, Draft, Event, LetterNote, Opening, Recipient};
use embargod::domain::facts::letter::Protection;
use embargod::domain::facts::names::{
    Address, Digest, Fingerprint, Fresh, Handle, Moment, PersonId, Span, TaskId,
};
use embargod::domain::facts::record::Record;
use embargod::domain::facts::seconded::{Footing, Seconded};
use embargod::domain::facts::settings::Settings;
use embargod::domain::model::desk::Desk;
use embargod::domain::model::roster::{Person, RefKey, Roster};
use embargod::domain::model::schedule;
use embargod::domain::process::calendar;
use embargod::domain::process::playbook::{BUILTIN, Kind};

pub(crate) struct World {
    pub desk: Desk,
    pub handle: Handle,
    pub now: Moment,
    /// Every copy that was written, with its recipient, the notice and its number.
    pub copies: Vec<(PersonId, TaskId, u32)>,
    number: u64,
    draws: u64,
    gates: Vec<TaskId>,
}

const TEAM: &[&str] = &["security_team", "lead", "handlers", "support", "qa", "sweng"];

/// Two people, as an effect that nobody takes back asks for.
pub(crate) fn two() -> Seconded {
    let of_config =
        |id: &str| Footing { person: PersonId::parse(id).unwrap(), given_by: BTreeSet::new() };
    Seconded::of(&of_config("mia"), &of_config("tom")).unwrap()
}

pub(crate) fn person(id: &str, roles: &[&str], groups: &[&str]) -> Person {
    let digest = Digest::of(id.as_bytes()).to_string().to_uppercase();
    let set = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
    Person {
        id: PersonId::parse(id).unwrap(),
        name: id.to_owned(),
        address: Address::parse(&format!("{id}@people.test")).unwrap(),
        fingerprint: Fingerprint::parse(&digest[..40]).unwrap(),
        certificate: String::new(),
        roles: set(roles),
        groups: set(groups),
        seal_newer: false,
        further: Vec::new(),
    }
}

/// A report, as it opens an incident.
pub(crate) fn opening(playbook: (Digest, Option<Digest>), received: Moment) -> Opening {
    Opening {
        playbook: playbook.0,
        calendar: playbook.1,
        letter: LetterNote {
            raw: Digest::of(b"raw"),
            received,
            message_id: None,
            author: Author::Unproven,
            protection: Protection::Both,
            failure: None,
            text: Digest::of(b"text"),
            session: None,
        },
        reporter: None,
        key: None,
        session: None,
        acknowledge: None,
        deferred: false,
        source: None,
        line: None,
        language: None,
        looks_encrypted: true,
    }
}

impl World {
    /// As the engine does at the first start with them.
    pub(crate) fn take_members_over(&mut self) {
        for person in self.desk.not_taken_over().into_iter().cloned().collect::<Vec<_>>() {
            let key = embargod::domain::facts::key::PinnedKey {
                fingerprint: person.fingerprint.clone(),
                certificate: String::new(),
            };
            let fact = embargod::domain::facts::member_fact::MemberFact::Imported {
                name: person.name,
                address: person.address,
                groups: person.groups,
                key,
                source: "config".to_owned(),
            };
            self.apply(None, Event::Member { member: person.id, fact });
        }
    }

    pub(crate) fn new(playbook: &str) -> Self {
        let address = Address::parse("security@desk.test").unwrap();
        let key = (Fingerprint::parse(&"AB".repeat(20)).unwrap(), String::new());
        let settings = Settings::plain(["Desk", "DEMO", playbook], address, key);
        let settings = Settings { encrypted_per_hour: 10, ..settings };
        let mut desk = Desk::new(RefKey([7; 32]), settings.clone()).unwrap();
        let people = [
            person("mia", TEAM, &[]),
            person("tom", TEAM, &[]),
            person(
                "ann",
                &[],
                &[
                    "private_distributors",
                    "earliest",
                    "asn_customers",
                    "os_packagers",
                    "third_parties",
                    "customers",
                ],
            ),
        ];
        let people = people.into_iter().map(|p| (p.id.clone(), p)).collect();
        let roster = Roster { people, ..Roster::default() };
        let mut lay = |text: &str| desk.keep_text(text);
        let configured = Event::Configured {
            settings: lay(&serde_json::to_string(&settings).unwrap()),
            roster: lay(&serde_json::to_string(&roster).unwrap()),
            templates: lay("{}"),
            playbooks: BUILTIN.iter().map(|(name, text)| ((*name).to_owned(), lay(text))).collect(),
            calendars: calendar::builtin()
                .iter()
                .map(|(name, text)| (name.clone(), lay(text)))
                .collect(),
        };
        let now: Moment = "2026-03-02T09:00:00Z".parse().unwrap();
        let handle = Handle::parse("DEMO-2026-7F3K2").unwrap();
        let mut world =
            Self { desk, handle, now, number: 0, draws: 0, gates: Vec::new(), copies: Vec::new() };
        world.apply(None, configured);
        assert!(world.desk.faults.is_empty(), "{:?}", world.desk.faults);
        world.take_members_over();
        let loaded = &world.desk.playbooks[playbook];
        let opening = opening((loaded.digest, loaded.calendar_digest), now);
        let gates: Vec<TaskId> = loaded
            .tasks
            .iter()
            .filter(|task| matches!(task.kind, Kind::Gate | Kind::Human))
            .map(|task| task.id.clone())
            .collect();
        world.apply(None, Event::Opened(Box::new(opening)));
        world.apply(Some("mia"), Event::Accepted);
        let product = Event::FieldSet { field: "product".to_owned(), value: "bind9".to_owned() };
        world.apply(Some("mia"), product);
        world.gates = gates;
        world.open_gates();
        world
    }

    /// What people do before a notice may leave; gates of the day lapse when T moves.
    pub(crate) fn open_gates(&mut self) {
        for task in self.gates.clone() {
            let (evidence, sets, seconded) = (None, None, Some(two()));
            self.apply(Some("mia"), Event::TaskDone { task, evidence, sets, seconded });
        }
        let at = self.now;
        self.apply(Some("mia"), Event::AnchorSet { anchor: Anchor::FixReady, moment: at });
    }

    pub(crate) fn apply(&mut self, by: Option<&str>, event: Event) {
        let incident = (!matches!(event, Event::Configured { .. })).then(|| self.handle.clone());
        self.apply_about(incident, by, event);
    }

    /// The same about an incident, or about the desk.
    pub(crate) fn apply_about(&mut self, incident: Option<Handle>, by: Option<&str>, event: Event) {
        self.number += 1;
        let record = Record {
            number: self.number,
            at: self.now,
            incident,
            by: by.map(|by| PersonId::parse(by).unwrap()),
            cause: None,
            event,
        };
        self.desk.apply(&record, Digest::of(&self.number.to_be_bytes()));
        self.desk.audit().unwrap();
    }

    /// The notices that count from T.
    pub(crate) fn notices(&self) -> Vec<TaskId> {
        let incident = &self.desk.incidents[&self.handle];
        let of_t = |when: &embargod::domain::process::playbook::When| {
            when.window.is_moment() && when.anchors.iter().all(|anchor| anchor.is_planned())
        };
        let tasks = incident.notice_tasks().filter(|task| task.when.as_ref().is_some_and(of_t));
        tasks.map(|task| task.id.clone()).collect()
    }

    pub(crate) fn carry_out(&mut self, decision: Decision) {
        for entry in decision.entries {
            if let Event::Released { notice, .. } = &entry.event {
                let incident = &self.desk.incidents[&self.handle];
                let task = incident.task(notice);
                if let Some(task) = task {
                    let (earliest, _) = schedule::span_of(incident, task).unwrap();
                    assert!(
                        self.now >= earliest,
                        "{notice} left at {}, before {earliest}",
                        self.now
                    );
                    let again = incident.notices.get(notice).is_some_and(|n| n.has_left());
                    assert!(!again, "{notice} left twice");
                }
            }
            let by = entry.by.map(|by| by.to_string());
            self.apply(by.as_deref(), entry.event);
        }
    }

    pub(crate) fn pass(&mut self, hours: i64) {
        let until = self.now + Span::hours(hours);
        for _ in 0..2_000 {
            match self.desk.next_due() {
                Some(next) if next <= until => {
                    self.now = self.now.max(next) + Span::milliseconds(1);
                    self.draws += 1;
                    let mut seed = [0; 32];
                    seed[..8].copy_from_slice(&self.draws.to_be_bytes());
                    let decision = time::due(
                        &self.desk,
                        &self.handle.clone(),
                        time::Belief::Sure,
                        self.now,
                        Fresh::new(seed),
                    );
                    self.carry_out(decision);
                }
                _ => {
                    self.now = until;
                    return;
                }
            }
        }
        panic!("the desk never comes to rest");
    }

    pub(crate) fn move_t(&mut self, hours: i64) {
        let t = chrono::SubsecRound::trunc_subsecs(self.now + Span::hours(hours), 0);
        self.apply(Some("mia"), Event::TSet { t });
    }

    /// A new draft of everything that has not left, approved by two people.
    pub(crate) fn draft(&mut self) {
        self.open_gates();
        for notice in self.notices() {
            let incident = &self.desk.incidents[&self.handle];
            let known = incident.notices.get(&notice);
            if known.is_some_and(|notice| notice.has_left()) {
                continue;
            }
            let number = known.and_then(|n| n.draft()).map_or(0, |draft| draft.number) + 1;
            let draft = Draft {
                notice: notice.clone(),
                number,
                body: Digest::of(b"body"),
                recipients: BTreeSet::from([Recipient::Person(PersonId::parse("ann").unwrap())]),
                t: incident.t(),
                release: None,
                template: Digest::of(b"template"),
                by: None,
                attachments: Vec::new(),
                text: None,
                mates: BTreeSet::new(),
                doubts: Vec::new(),
            };
            self.apply(None, Event::Frozen(Box::new(draft)));
            self.apply(Some("mia"), Event::Approved { notice: notice.clone(), number });
            self.apply(Some("tom"), Event::Approved { notice, number });
        }
    }
}
