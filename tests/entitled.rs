//! Whatever happens to members, keys and dates: no copy of a notice goes to somebody who is not active
//! at that moment, none goes twice, and each is for one key of one person.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on should stop"
)]

mod bare;

use std::collections::{BTreeMap, BTreeSet};

use bare::World;
use embargod::domain::decide::decision::Decision;
use embargod::domain::decide::delivery::Leave;
use embargod::domain::decide::{catch_up, delivery, time};
use embargod::domain::facts::event::{Delivery, Event, Purpose, Recipient};
use embargod::domain::facts::key::{KeyFacts, PinnedKey, Subkey};
use embargod::domain::facts::member_fact::MemberFact;
use embargod::domain::facts::names::{Address, Digest, Fingerprint, Fresh, PersonId, Span, TaskId};
use embargod::domain::outgoing::mail::{Label, Mail};
use embargod::domain::process::playbook::Audience;
use proptest::prelude::*;

const MEMBERS: [&str; 4] = ["ann", "bob", "cleo", "dora"];

fn id(name: &str) -> PersonId {
    PersonId::parse(name).unwrap()
}

fn key(name: &str, n: u8) -> Fingerprint {
    let digest = Digest::of(format!("{name}{n}").as_bytes()).to_string().to_uppercase();
    Fingerprint::parse(digest.get(..40).unwrap()).unwrap()
}

#[derive(Debug, Clone)]
enum Step {
    Pass(i64),
    Move(i64),
    Draft,
    Join(usize),
    Suspend(usize),
    Reinstate(usize),
    Remove(usize),
    NewKey(usize, u8),
    Usable(usize, bool),
    Only(usize),
    Everybody,
    Hold,
    Resume,
    HandOver,
    Leak,
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..MEMBERS.len();
    prop_oneof![
        6 => (1_i64..200).prop_map(Step::Pass),
        2 => (1_i64..600).prop_map(Step::Move),
        3 => Just(Step::Draft),
        3 => who().prop_map(Step::Join),
        2 => who().prop_map(Step::Suspend),
        2 => who().prop_map(Step::Reinstate),
        1 => who().prop_map(Step::Remove),
        1 => (who(), 0_u8..3).prop_map(|(w, n)| Step::NewKey(w, n)),
        2 => (who(), any::<bool>()).prop_map(|(w, u)| Step::Usable(w, u)),
        1 => who().prop_map(Step::Only),
        1 => Just(Step::Everybody),
        1 => Just(Step::Hold),
        1 => Just(Step::Resume),
        4 => Just(Step::HandOver),
        1 => Just(Step::Leak),
    ]
}

/// The desk, what lies in its outbox, and who has what.
struct List {
    world: World,
    outbox: Vec<Mail>,
    had: BTreeMap<(PersonId, TaskId, u32), u32>,
    draws: u64,
}

impl List {
    fn new(playbook: &str) -> Self {
        let mut world = World::new(playbook);
        world.move_t(400);
        let mut list = Self { world, outbox: Vec::new(), had: BTreeMap::new(), draws: 0 };
        list.usable("ann", 0, true);
        // The one who stands for everybody in the other tests has an odd key; it can be used as well.
        let first = list.world.desk.members.get(&id("ann")).unwrap().keys.first().unwrap().clone();
        list.world.desk.learn_key(&first.fingerprint, facts(true));
        list
    }

    fn fresh(&mut self) -> Fresh {
        self.draws += 1;
        Fresh::new(Digest::of(&self.draws.to_be_bytes()).0)
    }

    fn member(&mut self, who: &str, fact: MemberFact) {
        self.world.apply(Some("mia"), Event::Member { member: id(who), fact });
    }

    fn usable(&mut self, who: &str, n: u8, usable: bool) {
        self.world.desk.learn_key(&key(who, n), facts(usable));
    }

    fn join(&mut self, who: &str) {
        let known = self.world.desk.members.get(&id(who)).is_some_and(|m| m.removed.is_none());
        if known {
            return;
        }
        self.usable(who, 0, true);
        let groups: BTreeSet<String> =
            ["private_distributors", "asn_customers", "earliest"].map(ToOwned::to_owned).into();
        let fact = MemberFact::Imported {
            name: who.to_owned(),
            address: Address::parse(&format!("{who}@people.test")).unwrap(),
            groups,
            key: PinnedKey { fingerprint: key(who, 0), certificate: String::new() },
            source: "test".to_owned(),
        };
        self.member(who, fact);
    }

    /// Takes a decision: every copy in it is held against who is active now.
    fn take(&mut self, decision: Decision) {
        for mail in &decision.mails {
            if let (Purpose::Notice { notice, .. }, Recipient::Person(who)) =
                (&mail.purpose, &mail.to)
            {
                self.entitled(who, notice);
                let person = self.world.desk.roster.person(who).unwrap();
                let fingerprint = mail.key.as_ref().unwrap();
                assert!(
                    person.fingerprints().any(|own| own == fingerprint),
                    "{who}: another's key"
                );
                assert_eq!(mail.address, person.address, "{who}: another's address");
            }
        }
        self.outbox.extend(decision.mails.clone());
        self.world.carry_out(decision);
        // What cannot be sealed is withheld, as the engine does it.
        let now = self.world.now;
        let sealed: Vec<Mail> = std::mem::take(&mut self.outbox);
        for mail in sealed {
            let usable = mail.key.as_ref().is_none_or(|fingerprint| {
                self.world.desk.key_facts(fingerprint).is_some_and(|f| f.is_usable(now))
            });
            let notice = matches!(mail.purpose, Purpose::Notice { .. });
            if notice && !usable {
                let (message_id, outcome) = (mail.message_id, Delivery::Withheld);
                let fact = Event::Delivered { message_id, outcome, reply: String::new() };
                self.world.apply(None, fact);
            } else if notice {
                self.outbox.push(mail);
            }
        }
    }

    fn entitled(&self, who: &PersonId, notice: &TaskId) {
        let desk = &self.world.desk;
        // What goes to a role goes to people of the team.
        let Some(member) = desk.members.get(who) else {
            assert!(desk.roster.person(who).is_some_and(|person| person.is_maintainer()));
            return;
        };
        assert!(member.removed.is_none() && member.suspended.is_none(), "{who} gets {notice}");
        let incident = desk.incident(&self.world.handle).unwrap();
        // The desk's own words go to whoever had a notice by any group.
        if let Some(Audience::Group(group)) =
            incident.task(notice).and_then(|t| t.audience.as_ref())
        {
            let few = incident.audiences.get(group);
            assert!(few.is_none_or(|few| few.contains(who)), "{who} is not to know of {notice}");
            assert!(member.is_active(group), "{who} gets {notice}");
        }
    }

    fn catch_up(&mut self) {
        if self.world.desk.may_have_missed() {
            self.world.desk.looked_for_missed();
            let (handle, now, fresh) = (self.world.handle.clone(), self.world.now, self.fresh());
            let decision = catch_up::look(&self.world.desk, &handle, now, fresh);
            self.take(decision);
        }
    }

    fn pass(&mut self, hours: i64) {
        let until = self.world.now + Span::hours(hours);
        for _ in 0..2_000 {
            self.catch_up();
            match self.world.desk.next_due().filter(|next| *next <= until) {
                Some(next) => {
                    self.world.now = self.world.now.max(next) + Span::milliseconds(1);
                    let now = self.world.now;
                    for who in self.world.desk.people_due(now) {
                        let fresh = self.fresh();
                        let decision = embargod::domain::decide::membership::due(
                            &self.world.desk,
                            &who,
                            now,
                            fresh,
                        );
                        self.take(decision);
                    }
                    let (handle, fresh) = (self.world.handle.clone(), self.fresh());
                    let decision =
                        time::due(&self.world.desk, &handle, time::Belief::Sure, now, fresh);
                    self.take(decision);
                }
                None => {
                    self.world.now = until;
                    return;
                }
            }
        }
        panic!("the desk never comes to rest");
    }

    /// The courier dials: each mail is looked at once more, and what leaves is counted.
    fn hand_over(&mut self) {
        for mail in std::mem::take(&mut self.outbox) {
            let label = Label {
                about: mail.about.clone(),
                to: mail.to.clone(),
                purpose: mail.purpose.clone(),
                key: mail.key.clone(),
            };
            let (Recipient::Person(who), Purpose::Notice { notice, number }) =
                (&mail.to, &mail.purpose)
            else {
                continue;
            };
            let outcome = match delivery::leaves(&self.world.desk, &label) {
                Leave::Held => {
                    self.outbox.push(mail);
                    continue;
                }
                Leave::Never => Delivery::Withdrawn,
                Leave::Now => {
                    self.entitled(who, notice);
                    let times = self.had.entry((who.clone(), notice.clone(), *number)).or_default();
                    *times += 1;
                    assert_eq!(*times, 1, "{who} gets {notice}@{number} twice");
                    Delivery::Accepted
                }
            };
            let (message_id, reply) = (mail.message_id, String::new());
            self.world.apply(None, Event::Delivered { message_id, outcome, reply });
        }
    }

    fn go(&mut self, step: Step) {
        let standing = |list: &Self, who: &str| {
            let member = list.world.desk.members.get(&id(who)).filter(|m| m.removed.is_none());
            member.map(|member| member.suspended.is_some())
        };
        match step {
            Step::Pass(hours) => self.pass(hours),
            Step::Move(hours) => self.world.move_t(hours),
            Step::Draft => self.world.draft(),
            Step::Join(n) => self.join(MEMBERS[n]),
            Step::Suspend(n) if standing(self, MEMBERS[n]) == Some(false) => {
                self.member(MEMBERS[n], MemberFact::Suspended { reason: "x".to_owned() });
            }
            Step::Reinstate(n) if standing(self, MEMBERS[n]) == Some(true) => {
                self.member(MEMBERS[n], MemberFact::Reinstated { seconded: None });
            }
            Step::Remove(n) if standing(self, MEMBERS[n]).is_some() => {
                let fact = MemberFact::Removed { group: None, reason: "x".to_owned() };
                self.member(MEMBERS[n], fact);
            }
            Step::NewKey(n, k) if standing(self, MEMBERS[n]).is_some() => {
                let fingerprint = key(MEMBERS[n], k);
                let pinned =
                    PinnedKey { fingerprint: fingerprint.clone(), certificate: String::new() };
                self.usable(MEMBERS[n], k, true);
                self.member(MEMBERS[n], MemberFact::KeyOffered { key: pinned, by_old: k == 1 });
                self.member(MEMBERS[n], MemberFact::KeyTaken { fingerprint });
            }
            Step::Usable(n, usable) => {
                for k in 0..3 {
                    self.usable(MEMBERS[n], k, usable);
                }
            }
            Step::Only(n) => {
                let members = Some(BTreeSet::from([id(MEMBERS[n])]));
                for group in ["private_distributors", "asn_customers", "earliest"] {
                    let group = group.to_owned();
                    let fact = Event::AudienceSet { group, members: members.clone() };
                    self.world.apply(Some("mia"), fact);
                }
            }
            Step::Everybody => {
                for group in ["private_distributors", "asn_customers", "earliest"] {
                    let fact = Event::AudienceSet { group: group.to_owned(), members: None };
                    self.world.apply(Some("mia"), fact);
                }
            }
            Step::Hold => self.world.apply(Some("mia"), Event::Held { notice: None }),
            Step::Resume => self
                .world
                .apply(Some("mia"), Event::Resumed { notice: None, seconded: bare::two() }),
            Step::HandOver => self.hand_over(),
            Step::Leak => {
                let words = Digest::of(b"words");
                self.world
                    .apply(Some("mia"), Event::Leaked { who: None, words, seconded: bare::two() });
                self.world.apply(Some("mia"), Event::KnownPublic);
            }
            Step::Suspend(_) | Step::Reinstate(_) | Step::Remove(_) | Step::NewKey(..) => {}
        }
    }
}

fn facts(usable: bool) -> KeyFacts {
    let spans = vec![("2020-01-01T00:00:00Z".parse().unwrap(), None)];
    let subkeys = if usable { vec![Subkey { id: "0".repeat(16), spans }] } else { Vec::new() };
    KeyFacts { subkeys, ..KeyFacts::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_events_sends_to_somebody_who_is_not_active(
        steps in proptest::collection::vec(step(), 1..30), isc in any::<bool>()
    ) {
        let mut list = List::new(if isc { "isc" } else { "minder" });
        let steps: Vec<Step> = steps;
        for step in steps {
            list.go(step);
        }
        list.go(Step::Resume);
        list.world.draft();
        list.pass(1_000);
        list.hand_over();
        // What was withdrawn there, sealed to a key that another has taken the place of, leaves again.
        list.pass(1);
        list.hand_over();
        // Who is active in the end, has a key, and is to know has the newest number of everything that
        // left while the embargo lasted.
        let desk = &list.world.desk;
        let incident = desk.incident(&list.world.handle).unwrap();
        if incident.known_public().is_none() {
            for task in incident.notice_tasks() {
                let Some(Audience::Group(group)) = &task.audience else { continue };
                let left = incident.notices.get(&task.id).is_some_and(|notice| notice.has_left());
                let ledger = incident.ledger(&task.id);
                for person in desk.roster.members(group).filter(|_| left) {
                    let entitled = incident.is_for(group, person) && desk.can_seal(person, list.world.now);
                    let line = ledger.get(&Recipient::Person(person.id.clone()));
                    let has = line.is_some_and(|(_, entry)| entry.went_out());
                    prop_assert!(!entitled || has, "{} has no {}: {:?}", person.id, task.id, line);
                }
            }
        }
    }
}
