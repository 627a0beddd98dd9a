//! Whatever one maintainer writes, and however long they wait: nothing public, no word to those who
//! hold an embargo, no earlier date, no new reader. Hundreds of sequences of words on the real
//! decisions of the desk; EMBARGOD_CASES=20000 plays more.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::too_many_lines,
    reason = "a test that cannot go on should stop"
)]

mod bare;

use std::collections::BTreeSet;

use bare::{World, opening};
use embargod::domain::decide::decision::Decision;
use embargod::domain::decide::{catch_up, time};
use embargod::domain::facts::event::{Draft, Event, Recipient};
use embargod::domain::facts::letter::{Letter, Protection, Signature, Signed};
use embargod::domain::facts::member_fact::MemberFact;
use embargod::domain::facts::names::{Digest, Fresh, Handle, Moment, PersonId, Span, TaskId};
use embargod::domain::intake::classify::{Arrival, receive};
use embargod::domain::model::incident::Incident;
use embargod::domain::model::roster::Person;
use embargod::domain::model::schedule;
use embargod::domain::outgoing::mail::Words;
use embargod::domain::process::playbook::{Audience, FieldType, Kind, Truth};
use embargod::edge::opening::Opener;
use embargod::edge::pgp::{Directory, Keyring, LIMITS, generate};
use embargod::ports::store::RawMail;
use proptest::prelude::*;

/// What the one maintainer does.
#[derive(Debug, Clone)]
enum Step {
    /// One of the words, by three numbers that choose it and what stands behind it.
    Say(usize, usize, usize),
    /// Two words in one mail.
    Both(usize, usize, usize),
    /// Every question that they were asked is answered.
    Confirm,
    /// So many hours go by.
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let n = || 0..10_000_usize;
    prop_oneof![
        8 => (n(), n(), n()).prop_map(|(a, b, c)| Step::Say(a, b, c)),
        1 => (n(), n(), n()).prop_map(|(a, b, c)| Step::Both(a, b, c)),
        3 => Just(Step::Confirm),
        2 => (1_i64..400).prop_map(Step::Wait),
    ]
}

/// How far two people have come before one of them goes on alone.
#[derive(Debug, Clone, Copy)]
struct Start {
    playbook: &'static str,
    /// A date that both wanted.
    t: bool,
    /// Every notice that waits was approved by both.
    approved: bool,
    /// Every gate was opened by both.
    gates: bool,
    /// So many hours have passed since: with enough of them people hold the date.
    hours: i64,
    /// Whether the first or the second of them goes on.
    second: bool,
}

fn start() -> impl Strategy<Value = Start> {
    let playbook = prop_oneof![
        Just("default"),
        Just("minder"),
        Just("isc"),
        Just("stalwart"),
        Just("emissary"),
        Just("apereo")
    ];
    let flag = any::<bool>;
    (playbook, flag(), flag(), flag(), prop_oneof![Just(0_i64), 0_i64..600], flag()).prop_map(
        |(playbook, t, approved, gates, hours, second)| Start {
            playbook,
            t,
            approved,
            gates,
            hours,
            second,
        },
    )
}

struct Attack {
    world: World,
    who: &'static str,
    other: Handle,
    blank: Letter,
    draws: u64,
    nonces: Vec<String>,
    /// What was known and planned when the other fell silent.
    before: Baseline,
    /// Whether both opened the gates, and have a day.
    cleared: bool,
    done: Vec<String>,
}

#[derive(Default)]
struct Baseline {
    t: Option<Moment>,
    /// Notices that both approved, and from when on each may leave.
    planned: Vec<(TaskId, Option<Moment>)>,
    readers: BTreeSet<PersonId>,
    audiences: std::collections::BTreeMap<String, BTreeSet<PersonId>>,
}

fn blank(world: &World) -> Letter {
    let (secret, _) = generate("Desk", "security@desk.test", None, None, world.now).unwrap();
    let keyring = Keyring::open(&[secret], None, [0; 32], world.now).unwrap();
    let known = Directory::default();
    let opener = Opener { keyring: &keyring, known: &known, settings: None, limits: LIMITS };
    let (received, arrived) = (world.now, world.now);
    let bytes = b"From: x@people.test\r\nMessage-ID: <m@people.test>\r\n\r\nx\r\n".to_vec();
    let mut letter =
        opener.open(&RawMail { bytes, received, arrived, oversize: false, junk: false });
    letter.verdict.protection = Protection::Both;
    letter
}

impl Attack {
    fn new(start: Start) -> Self {
        let mut world = World::new(start.playbook);
        world.now += Span::hours(1);
        let loaded = world.desk.incident(&world.handle).unwrap().playbook.clone();
        let other = Handle::parse("DEMO-2026-8G4M3").unwrap();
        let opens = opening((loaded.digest, loaded.calendar_digest), world.now);
        world.apply_about(Some(other.clone()), None, Event::Opened(Box::new(opens)));
        world.apply_about(Some(other.clone()), Some("mia"), Event::Accepted);
        let soon = world.now + Span::hours(50);
        world.apply_about(Some(other.clone()), Some("mia"), Event::TSet { t: soon });
        let batch = Event::BatchJoined { batch: "soon".to_owned() };
        world.apply_about(Some(other.clone()), Some("mia"), batch);
        for (field, value) in
            [("affected", "all"), ("impact", "much"), ("fixed", "2"), ("binaries", "x")]
        {
            let (field, value) = (field.to_owned(), value.to_owned());
            world.apply(Some("mia"), Event::FieldSet { field, value });
        }
        world.apply(Some("mia"), Event::CveSet { cve: "CVE-2026-1".to_owned() });
        world.apply(Some("mia"), Event::LeadSet { person: id("mia"), turn: false });
        if start.t {
            world.move_t(700);
        }
        // What World::new opened, it opened as two people do.
        if start.gates {
            world.open_gates();
        } else {
            let incident = world.desk.incident(&world.handle).unwrap();
            let gates: Vec<TaskId> =
                incident.tasks().filter(|t| t.kind == Kind::Gate).map(|t| t.id.clone()).collect();
            for task in gates {
                world.apply(Some("mia"), Event::TaskUndone { task });
            }
        }
        let who = if start.second { "tom" } else { "mia" };
        let blank = blank(&world);
        let mut attack = Self {
            world,
            who,
            other,
            blank,
            draws: 0,
            nonces: Vec::new(),
            before: Baseline::default(),
            cleared: start.gates && start.t,
            done: Vec::new(),
        };
        attack.drafts(start.approved);
        attack.wait(start.hours, false);
        let incident = attack.incident().clone();
        let approved = |task: &&embargod::domain::process::playbook::Task| {
            let notice = incident.notices.get(&task.id);
            notice.is_some_and(|n| schedule::approvals_missing(&incident, n, task) == 0)
        };
        attack.before = Baseline {
            t: incident.t(),
            planned: incident
                .notice_tasks()
                .filter(approved)
                .map(|task| (task.id.clone(), schedule::span_of(&incident, task).map(|s| s.0)))
                .collect(),
            readers: incident.joined.keys().cloned().collect(),
            audiences: incident.audiences.clone(),
        };
        attack
    }

    fn incident(&self) -> &Incident {
        self.world.desk.incident(&self.world.handle).unwrap()
    }

    fn fresh(&mut self) -> Fresh {
        self.draws += 1;
        Fresh::new(Digest::of(&self.draws.to_be_bytes()).0)
    }

    /// A draft of every notice that goes outside, by the one who goes on alone.
    fn drafts(&mut self, approved: bool) {
        let tasks: Vec<TaskId> = self
            .incident()
            .notice_tasks()
            .filter(|task| task.audience.as_ref().is_some_and(Audience::is_outside))
            .map(|task| task.id.clone())
            .collect();
        for notice in tasks {
            let draft = Draft {
                notice: notice.clone(),
                number: 1,
                body: Digest::of(b"body"),
                recipients: BTreeSet::new(),
                t: self.incident().t(),
                release: None,
                template: Digest::of(b"template"),
                by: Some(id(self.who)),
                attachments: Vec::new(),
                text: None,
                mates: BTreeSet::new(),
                doubts: Vec::new(),
            };
            self.world.apply(Some(self.who), Event::Frozen(Box::new(draft)));
            if approved {
                for by in ["mia", "tom"] {
                    let notice = notice.clone();
                    self.world.apply(Some(by), Event::Approved { notice, number: 1 });
                }
            }
        }
    }

    /// Takes a decision in; `held` says whether it is one person's doing.
    fn take(&mut self, decision: Decision, held: bool) {
        let silent = decision.faults.iter().all(|fault| !fault.contains("two people"));
        assert!(silent, "what takes two must be asked about: {:?}", decision.faults);
        for mail in &decision.mails {
            if let (Words::Sealed(written), Recipient::Person(to)) = (&mail.words, &mail.to)
                && to.as_str() == self.who
            {
                let lines = written.body.lines().filter_map(|line| line.split("/confirm ").nth(1));
                let nonces = lines.map(|rest| rest.split(' ').next().unwrap().to_owned());
                self.nonces.extend(nonces);
            }
        }
        for entry in decision.entries {
            if held {
                self.must_not(&entry.event, entry.incident.as_ref());
            }
            let by = entry.by.map(|by| by.to_string());
            self.world.apply_about(entry.incident, by.as_deref(), entry.event);
        }
        if held {
            self.gates_are_of_two();
        }
        let incident = self.incident();
        if held && self.before.t.is_some() {
            assert!(incident.t() >= self.before.t, "T came earlier: {:?}", self.done);
        }
    }

    /// No public notice stands free behind gates of which one person opened the last.
    fn gates_are_of_two(&self) {
        let incident = self.incident();
        for task in incident.notice_tasks() {
            let public = matches!(task.audience, Some(Audience::Public(_)));
            let left = incident.notices.get(&task.id).is_some_and(|notice| notice.has_left());
            let free = incident.status.is_open()
                && !left
                && !incident.is_held(&task.id)
                && !incident.skipped.contains_key(&task.id)
                && incident.applies(task) == Truth::Yes
                && !schedule::is_moot(incident, task);
            let gates = || task.after.iter().filter_map(|id| incident.task(id));
            let closed = schedule::open_before(incident, task)
                .any(|id| incident.task(id).is_some_and(|gate| gate.kind == Kind::Gate));
            let opened = gates().filter(|gate| gate.kind == Kind::Gate);
            let opened = opened.filter_map(|gate| incident.done.get(&gate.id));
            let last = opened.max_by_key(|done| (done.at, done.seconded.is_some()));
            if let (true, true, false, Some(last)) = (public, free, closed, last) {
                let two = last.seconded.as_ref().is_some_and(|two| two.people().len() == 2);
                assert!(two, "one person opened the way of {}: {:#?}", task.id, self.done);
            }
        }
    }

    fn must_not(&self, event: &Event, about: Option<&Handle>) {
        let said = || format!("{event:?}\nafter {:#?}", self.done);
        match event {
            // Two people opened the gate before it, and the day has come that both wanted.
            Event::Published { .. } if self.cleared && self.before.t <= Some(self.world.now) => {}
            Event::Published { .. } | Event::Leaked { .. } | Event::Resumed { .. } => {
                panic!("{}", said())
            }
            Event::Released { notice, recipients, .. } => {
                let roster = &self.world.desk.roster;
                let outside = |to: &Recipient| match to {
                    Recipient::Person(id) => !roster.person(id).is_some_and(Person::is_maintainer),
                    _ => true,
                };
                // That the day passed is the desk's own word, to those who have it from two people.
                if !recipients.iter().any(outside) || *notice == TaskId::slipped() {
                    return;
                }
                let planned = self.before.planned.iter().find(|(id, _)| id == notice);
                let Some((_, from)) = planned.filter(|_| about == Some(&self.world.handle)) else {
                    panic!("nobody had approved it: {}", said())
                };
                let now = self.world.now;
                let public = self
                    .incident()
                    .task(notice)
                    .is_some_and(|task| matches!(task.audience, Some(Audience::Public(_))));
                let early = from.is_some_and(|from| now < from)
                    || (public && self.before.t.is_none_or(|t| now < t) && from.is_none());
                assert!(!early, "sooner than two people saw: {}", said());
            }
            Event::MemberJoined { person, .. } => {
                let of_config =
                    self.world.desk.roster.person(person).is_some_and(Person::is_maintainer);
                assert!(of_config || self.before.readers.contains(person), "{}", said());
            }
            Event::AudienceSet { group, members } => {
                if let Some(before) = self.before.audiences.get(group) {
                    let fits = members.as_ref().is_some_and(|now| now.is_subset(before));
                    assert!(fits, "{}", said());
                }
            }
            Event::Member {
                fact: MemberFact::Activated { .. } | MemberFact::Reinstated { .. },
                ..
            } => panic!("{}", said()),
            _ => {}
        }
    }

    fn wait(&mut self, hours: i64, held: bool) {
        let until = self.world.now + Span::hours(hours);
        for _ in 0..3_000 {
            if self.world.desk.may_have_missed() {
                self.world.desk.looked_for_missed();
                let (handle, now, fresh) =
                    (self.world.handle.clone(), self.world.now, self.fresh());
                let decision = catch_up::look(&self.world.desk, &handle, now, fresh);
                self.take(decision, held);
            }
            match self.world.desk.next_due() {
                Some(next) if next <= until => {
                    self.world.now = self.world.now.max(next) + Span::milliseconds(1);
                    for handle in self.world.desk.due(self.world.now) {
                        let fresh = self.fresh();
                        let decision = time::due(
                            &self.world.desk,
                            &handle,
                            time::Belief::Sure,
                            self.world.now,
                            fresh,
                        );
                        self.take(decision, held);
                    }
                    for who in self.world.desk.people_due(self.world.now) {
                        let (now, fresh) = (self.world.now, self.fresh());
                        let decision = embargod::domain::decide::membership::due(
                            &self.world.desk,
                            &who,
                            now,
                            fresh,
                        );
                        self.take(decision, held);
                    }
                }
                _ => {
                    self.world.now = until;
                    return;
                }
            }
        }
        panic!("the desk never comes to rest: {:?}", self.done);
    }

    fn say(&mut self, text: &str) {
        self.done.push(text.to_owned());
        let person = self.world.desk.roster.person(&id(self.who)).unwrap();
        let mut letter = self.blank.clone();
        self.draws += 1;
        letter.raw = Digest::of(&self.draws.to_be_bytes());
        (letter.received, letter.arrived) = (self.world.now, self.world.now);
        letter.server_time = self.world.now;
        letter.outer.message_id = None;
        letter.verdict.signature = Signature::Valid(Signed {
            fingerprint: person.fingerprint.clone(),
            made: self.world.now,
            hash: Digest::of(format!("sig {}", self.draws).as_bytes()),
            names_us: true,
        });
        letter.text = format!("/incident {}\n{text}\n", self.world.handle);
        let arrival = Arrival { letter: &letter, ours: false, returned: None };
        let fresh = self.fresh();
        let decision = receive(&self.world.desk, arrival, self.world.now, fresh);
        self.take(decision, true);
    }

    fn confirm(&mut self) {
        for nonce in std::mem::take(&mut self.nonces) {
            self.say(&format!("/confirm {nonce}"));
        }
    }

    /// One of all words that a maintainer has, with something behind it that may fit.
    fn word(&self, a: usize, b: usize, c: usize) -> String {
        let incident = self.incident();
        let tasks: Vec<String> = incident.tasks().map(|task| task.word().to_string()).collect();
        let gates: Vec<String> = incident
            .tasks()
            .filter(|task| task.kind == Kind::Gate)
            .map(|task| task.word().to_string())
            .collect();
        let notices: Vec<String> =
            incident.notice_tasks().map(|task| task.word().to_string()).collect();
        let roles: Vec<String> = incident.playbook.roles.keys().cloned().collect();
        let groups: Vec<String> = incident.playbook.groups.keys().cloned().collect();
        let fields: Vec<String> = incident
            .playbook
            .fields
            .iter()
            .map(|(name, field)| {
                let value = match &field.kind {
                    FieldType::YesNo => ["yes", "no"][c % 2].to_owned(),
                    FieldType::Enum(values) => values[c % values.len()].clone(),
                    FieldType::Moment => "2026-03-03 16:00 UTC".to_owned(),
                    FieldType::Span => ["0d", "5d", "15bd", "30d"][c % 4].to_owned(),
                    _ => "x".to_owned(),
                };
                format!("{name} {value}")
            })
            .collect();
        let people = ["mia", "tom", "ann", "me", "reporter"];
        let moments =
            ["+10m", "+2h", "+2d", "+9d", "+40d", "2026-03-05 16:00 UTC", "2026-04-20 16:00 UTC"];
        let of = |list: &[String], n: usize| {
            if list.is_empty() { "x".to_owned() } else { list[n % list.len()].clone() }
        };
        let (task, gate, notice) = (of(&tasks, b), of(&gates, b), of(&notices, b));
        let (person, when) = (people[b % people.len()], moments[b % moments.len()]);
        let group = of(&groups, b);
        let number = self
            .incident()
            .notice_tasks()
            .find(|task| task.word().as_str() == notice)
            .and_then(|task| incident.notices.get(&task.id)?.draft().map(|draft| draft.number));
        let number = number.unwrap_or(1);
        match a % 34 {
            0 => format!("/done {task} because"),
            1 => format!("/done {gate}"),
            2 => format!("/skip {task} because"),
            3 => format!("/skip {gate} because"),
            4 => format!("/undo {task}"),
            5 | 6 => format!("/disclose {when}"),
            7 | 8 => format!("/preview {notice}"),
            9..=11 => format!("/approve {notice}@{number}"),
            12 => "/release".to_owned(),
            13 => "/published".to_owned(),
            14 => format!("/join {person} {}", of(&roles, c)),
            15 => format!("/lead {person}"),
            16 => format!("/handoff {person}"),
            17 => format!("/deputy {person}"),
            18 => "/take".to_owned(),
            19 => format!("/audience {group} {}", ["all", "ann", "ann tom"][c % 3]),
            20 => format!("/hold {}", ["ALL".to_owned(), notice][c % 2]),
            21 => format!("/resume {}", ["ALL".to_owned(), notice][c % 2]),
            22 => format!("/tell {group}\n\nA word."),
            23 => "/leak unknown suspend it is out".to_owned(),
            24 => format!("/batch {}", ["soon", "leave", "final", "mine"][c % 4]),
            25..=27 => format!("/set {}", of(&fields, b)),
            28 => "/known-public".to_owned(),
            29 => "/exploited".to_owned(),
            30 => format!("/{} {}", ["merge", "duplicate"][c % 2], self.other),
            31 => ["/close", "/reopen", "/reject no", "/accept"][c % 4].to_owned(),
            32 => {
                let what = ["suspend ann x", "reinstate ann", "approve ann@1", "remove ann x"];
                format!("/member {}", what[c % what.len()])
            }
            _ => "/cvss CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H".to_owned(),
        }
    }

    fn play(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Say(a, b, c) => {
                    let line = self.word(*a, *b, *c);
                    self.say(&line);
                }
                Step::Both(a, b, c) => {
                    let lines = [self.word(*a, *b, *c), self.word(*b, *c, *a)];
                    self.say(&lines.join("\n"));
                }
                Step::Confirm => self.confirm(),
                Step::Wait(hours) => self.wait(*hours, true),
            }
        }
        self.confirm();
        self.wait(2_000, true);
    }
}

fn id(name: &str) -> PersonId {
    PersonId::parse(name).unwrap()
}

fn cases() -> u32 {
    std::env::var("EMBARGOD_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(300)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn one_maintainer_alone_makes_nothing_that_takes_two(
        start in start(), steps in proptest::collection::vec(step(), 1..24)
    ) {
        Attack::new(start).play(&steps);
    }
}

/// The test would see it: what two people want happens.
#[test]
fn two_maintainers_make_it() {
    let start = Start {
        playbook: "minder",
        t: true,
        approved: false,
        gates: false,
        hours: 0,
        second: false,
    };
    let mut attack = Attack::new(start);
    attack.before = Baseline::default();
    attack.say("/published");
    let asked = attack.incident().asks.len();
    assert_eq!(asked, 2, "the second is asked, and the first can call it off");
    attack.say("/done binaries");
    attack.say("/join ann fix_team");
    assert_eq!(attack.incident().asks.len(), 6, "{:?}", attack.incident().asks);
    assert!(attack.nonces.is_empty(), "nothing of it was left to one person");
}
