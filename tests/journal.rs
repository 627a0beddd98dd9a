//! Stored facts are for ever: one line of each kind, frozen, must still be read and written as it
//! was. A new kind adds a line; no line changes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "a test that cannot go on should stop"
)]

use std::collections::{BTreeMap, BTreeSet};

use embargod::domain::facts::anchor::Anchor;
use embargod::domain::facts::event::{
    Answer, Ask, Author, Copy, Delivery, Draft, Event, LetterNote, Mailed, Opening, Purpose,
    Recipient, ReporterKey,
};
use embargod::domain::facts::foreign::Foreign;
use embargod::domain::facts::key::PinnedKey;
use embargod::domain::facts::letter::{Fate, Protection};
use embargod::domain::facts::member_fact::MemberFact;
use embargod::domain::facts::names::{
    Address, Digest, Fingerprint, Handle, MessageId, Moment, PersonId, TaskId,
};
use embargod::domain::facts::outer_view::{KeyRank, OuterView};
use embargod::domain::facts::record::Record;
use embargod::domain::facts::seconded::{Footing, Seconded};
use embargod::domain::facts::source::Source;

fn at() -> Moment {
    "2026-12-01T09:00:00Z".parse().unwrap()
}

/// What a line said before two people were asked for.
fn of_old() -> Seconded {
    let Event::Published { seconded, .. } =
        old(r#"{"event":"published","at":"2026-12-01T09:00:00Z"}"#)
    else {
        panic!()
    };
    seconded
}

fn old(json: &str) -> Event {
    serde_json::from_str(json).unwrap()
}

fn samples() -> Vec<Event> {
    let digest = Digest::of(b"x");
    let address = Address::parse("rita@example.org").unwrap();
    let person = PersonId::parse("mia").unwrap();
    let notice = TaskId::parse("MI-3.1").unwrap();
    let handle = Handle::parse("EXA-2026-7F3K2").unwrap();
    let fingerprint = Fingerprint::parse(&"AB".repeat(20)).unwrap();
    let message_id = MessageId::parse("abc@example.org").unwrap();
    let to = Recipient::Person(person.clone());
    let letter = LetterNote {
        raw: digest,
        received: at(),
        message_id: Some(message_id.clone()),
        author: Author::Reporter,
        protection: Protection::Both,
        failure: None,
        text: digest,
        session: Some(digest),
    };
    let key = ReporterKey {
        fingerprint: fingerprint.clone(),
        rank: KeyRank::Signer,
        certificate: digest,
    };
    let opening = Opening {
        playbook: digest,
        calendar: None,
        letter: letter.clone(),
        reporter: Some(address.clone()),
        key: Some(key.clone()),
        session: Some(digest),
        acknowledge: Some(at()),
        deferred: false,
        source: None,
        line: None,
        language: None,
        looks_encrypted: true,
    };
    let draft = Draft {
        notice: notice.clone(),
        number: 1,
        body: digest,
        recipients: BTreeSet::from([to.clone()]),
        t: Some(at()),
        release: None,
        template: digest,
        by: Some(person.clone()),
        attachments: Vec::new(),
        text: None,
        mates: BTreeSet::new(),
        doubts: Vec::new(),
    };
    let enclosure = embargod::domain::facts::event::Enclosure {
        name: "fix.patch".into(),
        media: "text/x-patch".into(),
        size: 1,
        sha256: digest,
        bytes: digest,
    };
    let with_patch = Draft {
        attachments: vec![enclosure],
        text: Some(digest),
        mates: BTreeSet::new(),
        doubts: vec!["x".into()],
        ..draft.clone()
    };
    let ask = Ask {
        person: person.clone(),
        by: None,
        line: "/close".into(),
        basis: digest,
        wider: Default::default(),
        said: None,
        until: at(),
    };
    let purpose = Purpose::Notice { notice: notice.clone(), number: 1 };
    let mailed = Mailed { message_id: message_id.clone(), to: to.clone(), purpose };
    let copy = Copy { to: to.clone(), message_id: message_id.clone(), state: Delivery::Queued };
    let added = TaskId::parse("tell-1").unwrap();
    vec![
        Event::Configured {
            settings: digest,
            roster: digest,
            templates: digest,
            playbooks: BTreeMap::from([("minder".into(), digest)]),
            calendars: BTreeMap::new(),
        },
        Event::SignatureSpent { fingerprint: fingerprint.clone(), hash: digest },
        Event::KeySent { to: address },
        Event::Warned { person: person.clone(), ping: false },
        Event::Digested { handles: vec![handle.clone()] },
        Event::Opened(Box::new(opening)),
        Event::Joined { letter },
        Event::CopySeen {
            raw: digest,
            alias: handle.clone(),
            acknowledge: Some(at()),
            address: None,
            language: None,
        },
        Event::KeyPinned { key: key.clone() },
        Event::KeyProven { fingerprint },
        Event::Mailed { mails: vec![mailed] },
        Event::Delivered { message_id, outcome: Delivery::Accepted, reply: String::new() },
        Event::Commanded { words: vec!["accept".into()] },
        Event::Refused { words: vec!["close".into()], why: "not your role".into() },
        Event::Accepted,
        Event::Rejected { reason: digest },
        Event::Unreadable,
        Event::Spam,
        Event::Closed,
        Event::FieldSet { field: "affected".into(), value: "1.0".into() },
        Event::Titled { title: "Overflow".into() },
        Event::Scored {
            vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H".into(),
            tenths: 98,
            band: "Critical".into(),
        },
        Event::CveSet { cve: "CVE-2026-12345".into() },
        Event::LeadSet { person: person.clone(), turn: false },
        Event::TaskDone {
            task: notice.clone(),
            evidence: Some("x".into()),
            sets: Some(Anchor::FixReady),
            seconded: Some(of_old()),
        },
        Event::Agreed { task: notice.clone(), role: "fix_team".into() },
        Event::Noted { note: digest },
        Event::TSet { t: at() },
        old(r#"{"event":"published","at":"2026-12-01T09:00:00Z"}"#),
        Event::Frozen(Box::new(draft)),
        Event::Approved { notice: notice.clone(), number: 1 },
        Event::Held { notice: None },
        old(r#"{"event":"resumed","notice":"MI-3.1"}"#),
        Event::Released {
            notice: notice.clone(),
            number: 1,
            late: true,
            recipients: BTreeSet::from([to.clone()]),
            seconded: Some(of_old()),
        },
        Event::Sent { notice, number: 1, copies: vec![copy] },
        Event::ConfirmAsked { nonce: digest, ask },
        Event::Confirmed { nonce: digest },
        Event::Cancelled { nonce: digest },
        Event::Reminded { what: "human:50:1".into() },
        Event::LeadSet { person: person.clone(), turn: true },
        Event::LeadOffered { to: person.clone(), until: at(), turn: true },
        Event::LeadDeclined { person: person.clone(), silent: true },
        Event::DeputySet { person: person.clone() },
        Event::MemberJoined { person: person.clone(), role: "fix_team".into(), seconded: None },
        Event::MemberLeft { person: person.clone() },
        Event::AwaySet { person, until: Some(at()) },
        Event::Duplicated { of: handle.clone() },
        Event::Merged { into: handle.clone() },
        Event::Linked { handle: handle.clone(), merged: true },
        Event::Reopened,
        Event::KnownPublic,
        Event::Exploited,
        Event::GhsaSet { ghsa: "GHSA-2345-cfgh-jmpq".into() },
        Event::Credited { credit: "Rita".to_owned().into() },
        Event::WillPublish { said: "on Monday".to_owned().into() },
        Event::StatusAsked { alias: Some(handle) },
        Event::TaskUndone { task: added.clone() },
        Event::TaskSkipped { task: added.clone(), reason: "x".into() },
        Event::NoticeAdded {
            notice: added,
            title: "A word".into(),
            template: "tell".into(),
            group: "private_distributors".into(),
            member: None,
            approvals: 1,
        },
        Event::Restored,
        Event::Unlinked { handle: Handle::parse("EXA-2026-7F3K2").unwrap() },
        Event::AnchorSet { anchor: Anchor::Upstream, moment: at() },
        Event::BatchJoined { batch: "9.20.5".into() },
        Event::BatchLeft,
        Event::RoleEnded { role: "fix_team".into() },
        Event::Migrated { playbook: digest, calendar: Some(digest) },
        Event::Configured {
            settings: digest,
            roster: digest,
            templates: digest,
            playbooks: BTreeMap::from([("minder".into(), digest)]),
            calendars: BTreeMap::from([("weekdays".into(), digest)]),
        },
    ]
    .into_iter()
    .chain(of_the_list(digest, with_patch))
    .chain(by_two(digest, to))
    .chain([Event::ClockTrusted])
    .chain([
        Event::ReadsNewer {
            fingerprint: Fingerprint::parse(&"AB".repeat(20)).unwrap(),
            reads: true,
        },
        Event::SaidInClear { text: digest },
        Event::AnswerUnsent { text: digest },
        Event::WithheldTold { to: Recipient::Reporter, why: "it has expired".to_owned() },
        Event::AutoAnswered {
            to: Address::parse("rita@people.test").unwrap(),
            vouched: false,
            source: Source::of(&OuterView::default()),
        },
        Event::Listed { raw: digest, line: digest },
        Event::MadeReport { raw: digest },
        Event::ReportGone { raw: digest },
        Event::Gathered,
        Event::Untouched,
        Event::ReporterOnDate { agrees: false, t: None, said: Foreign::line("on holiday", 100) },
        Event::ServerTakes { bytes: Some(10_240_000) },
        Event::SharedSent {
            on: Handle::parse("EXA-2026-7F3K2").unwrap(),
            notice: TaskId::parse("ISC-2.1").unwrap(),
            number: 1,
            to: BTreeSet::from([PersonId::parse("ann").unwrap()]),
            seconded: None,
        },
    ])
    .collect()
}

/// Facts about members, keys and the ledger.
fn of_the_list(digest: Digest, draft: Draft) -> Vec<Event> {
    let ann = PersonId::parse("ann").unwrap();
    let fingerprint = Fingerprint::parse(&"AB".repeat(20)).unwrap();
    let key = PinnedKey { fingerprint: fingerprint.clone(), certificate: "x".into() };
    let address = Address::parse("ann@people.test").unwrap();
    let group = || "private_distributors".to_owned();
    let name = || "Ann".to_owned();
    let notice = TaskId::parse("advance").unwrap();
    let message_id = MessageId::parse("x@desk.test").unwrap();
    let recipients = BTreeSet::from([Recipient::Person(ann.clone())]);
    let facts = [
        MemberFact::Proposed {
            name: name(),
            address: address.clone(),
            group: group(),
            key: Some(key.clone()),
        },
        MemberFact::Proposed { name: name(), address: address.clone(), group: group(), key: None },
        MemberFact::Imported {
            name: name(),
            address,
            groups: BTreeSet::from([group()]),
            key: key.clone(),
            source: "config".into(),
        },
        MemberFact::Challenged { nonce: digest, fingerprint: fingerprint.clone() },
        MemberFact::KeyShown { fingerprint: fingerprint.clone() },
        MemberFact::TermsAccepted { terms: digest },
        MemberFact::Vouched { group: group() },
        MemberFact::Judged {
            group: group(),
            criterion: "alias".into(),
            met: true,
            evidence: "x".into(),
        },
        MemberFact::Approved { group: group(), number: 1 },
        serde_json::from_str(r#"{"what":"activated","group":"private_distributors"}"#).unwrap(),
        MemberFact::Suspended { reason: "x".into() },
        MemberFact::ReinstatementAsked,
        MemberFact::Reinstated { seconded: None },
        MemberFact::Removed { group: Some(group()), reason: "x".into() },
        MemberFact::Removed { group: None, reason: "x".into() },
        MemberFact::Reviewed { group: group(), note: "x".into() },
        MemberFact::KeyOffered { key: key.clone(), by_old: true },
        MemberFact::KeyApproved { number: 2 },
        MemberFact::KeyCancelled,
        MemberFact::KeyTaken { fingerprint: fingerprint.clone() },
        MemberFact::KeyUpdated { key: key.clone(), revoked: false },
        MemberFact::KeyUpdated { key, revoked: true },
        MemberFact::KeyDropped { fingerprint: fingerprint.clone() },
    ];
    let marked = Draft { text: Some(digest), ..draft.clone() };
    let mut events: Vec<Event> =
        facts.into_iter().map(|fact| Event::Member { member: ann.clone(), fact }).collect();
    events.extend([
        Event::Told { person: ann.clone(), what: "key:x:1:7".to_owned().into() },
        Event::Frozen(Box::new(draft)),
        Event::Delivered {
            message_id: message_id.clone(),
            outcome: Delivery::Accepted,
            reply: "250 taken".into(),
        },
        Event::Reported { message_id, fate: Fate::Failed, status: "5.1.1".into() },
        Event::CaughtUp { notice: notice.clone(), number: 1, recipients },
        Event::Answered { notice: notice.clone(), number: 1, answer: Answer::Received },
        Event::Answered { notice, number: 1, answer: Answer::Ready },
        Event::Objected { words: digest },
        Event::AudienceSet { group: group(), members: Some(BTreeSet::from([ann.clone()])) },
        Event::Leaked { who: Some(ann.clone()), words: digest, seconded: of_old() },
        Event::Member { member: ann.clone(), fact: MemberFact::KeyDistrusted { fingerprint } },
        Event::Frozen(Box::new(marked)),
        Event::NoticeAdded {
            notice: TaskId::parse("tell-2").unwrap(),
            title: "A word".into(),
            template: "tell".into(),
            group: "private_distributors".into(),
            member: Some(ann),
            approvals: 1,
        },
    ]);
    events
}

/// What two people stand behind.
fn by_two(digest: Digest, to: Recipient) -> Vec<Event> {
    let person = |id: &str| PersonId::parse(id).unwrap();
    let of_config = |id: &str| Footing { person: person(id), given_by: BTreeSet::new() };
    let two = || Seconded::of(&of_config("mia"), &of_config("tom")).unwrap();
    let (ann, notice) = (person("ann"), TaskId::parse("MI-3.1").unwrap());
    let once = notice.clone();
    let ask = Ask {
        person: person("mia"),
        by: None,
        line: "/published".into(),
        basis: digest,
        wider: Default::default(),
        said: Some(at()),
        until: at(),
    };
    let activated = MemberFact::Activated { group: "private_distributors".into(), seconded: two() };
    let reinstated = MemberFact::Reinstated { seconded: Some(two()) };
    let released = |seconded| Event::Released {
        notice: notice.clone(),
        number: 1,
        late: false,
        recipients: BTreeSet::from([to.clone()]),
        seconded,
    };
    vec![
        Event::Published { at: at(), seconded: two() },
        Event::Resumed { notice: None, seconded: two() },
        released(Some(two())),
        released(None),
        Event::MemberJoined { person: ann.clone(), role: "x".into(), seconded: Some(two()) },
        Event::Leaked { who: None, words: digest, seconded: two() },
        Event::Member { member: ann.clone(), fact: activated },
        Event::Member { member: ann, fact: reinstated },
        Event::ConfirmAsked { nonce: digest, ask },
        Event::TaskDone { task: notice, evidence: None, sets: None, seconded: Some(two()) },
        Event::Started { down_since: at() },
        Event::TaskDone { task: once, evidence: None, sets: None, seconded: None },
    ]
}

/// A playbook is stored with the incidents that began with it: its first text must still load, and
/// mean what it meant.
#[test]
fn the_first_version_of_a_playbook_still_loads() {
    let text = std::fs::read_to_string("tests/journal/minder-v1.toml").unwrap();
    let playbook = embargod::domain::process::playbook::load(&text, &BTreeMap::new()).unwrap();
    assert_eq!((playbook.version, playbook.tasks.len()), (1, 25));
    let advance = playbook.task("advance").unwrap();
    assert_eq!(embargod::domain::views::plan::rule(advance), "T -7d");
}

#[test]
fn every_kind_of_fact_is_still_written_and_read_as_it_was() {
    let path = "tests/journal/frozen.jsonl";
    let lines: Vec<String> = samples()
        .into_iter()
        .zip(1..)
        .map(|(event, number)| {
            let record = Record {
                number,
                at: at(),
                incident: Handle::parse("EXA-2026-7F3K2"),
                by: PersonId::parse("mia"),
                cause: Some(Digest::of(b"mail")),
                event,
            };
            let line = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record, "{line}");
            line
        })
        .collect();
    if std::env::var_os("EMBARGOD_WRITE").is_some() {
        std::fs::write(path, lines.join("\n") + "\n").unwrap();
    }
    let frozen = std::fs::read_to_string(path).unwrap();
    for (now, then) in lines.iter().zip(frozen.lines()) {
        assert_eq!(now, then, "a stored fact has changed; old journals would no longer replay");
    }
    assert_eq!(
        lines.len(),
        frozen.lines().count(),
        "freeze the new kind: EMBARGOD_WRITE=1 cargo test --test journal"
    );
    // The source knows as many kinds as are frozen.
    let source = std::fs::read_to_string("src/domain/facts/event.rs").unwrap();
    let (_, variants) = source.split_once("pub enum Event {").unwrap();
    let (variants, _) = variants.split_once("\n}\n").unwrap();
    let kinds = variants.lines().filter(|line| {
        line.starts_with("    ")
            && line.trim_start().starts_with(char::is_uppercase)
            && !line.starts_with("     ")
    });
    let tag = |line: &String| {
        let (_, rest) = line.split_once("\"event\":\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let frozen_kinds: BTreeSet<String> = lines.iter().map(tag).collect();
    assert_eq!(kinds.count(), frozen_kinds.len());
}
