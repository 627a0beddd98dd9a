//! Rules that carry the product and once stood in several places: each is one function now, and here
//! is the case in which the copies differed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should stop")]

mod bare;

use std::collections::BTreeSet;

use bare::World;
use embargod::domain::facts::anchor::Anchor;
use embargod::domain::facts::event::{Draft, Event};
use embargod::domain::facts::key::KeyFacts;
use embargod::domain::facts::letter::{Letter, Protection, Signature, Signed};
use embargod::domain::facts::names::{Digest, Fresh, PersonId, Span, TaskId};
use embargod::domain::intake::classify::{Arrival, receive};
use embargod::domain::outgoing::mail::Words;
use embargod::domain::process::vocabulary::{KeyState, Word, row_of};
use embargod::edge::opening::Opener;
use embargod::edge::pgp::{Directory, Keyring, LIMITS, generate};
use embargod::ports::store::RawMail;

/// A mail that somebody of the roster signed and encrypted, as opening it would show it.
fn signed_by(world: &World, id: &str) -> Letter {
    let (secret, _) = generate("Desk", "security@desk.test", None, None, world.now).unwrap();
    let keyring = Keyring::open(&[secret], None, [0; 32], world.now).unwrap();
    let known = Directory::default();
    let opener = Opener { keyring: &keyring, known: &known, settings: None, limits: LIMITS };
    let bytes =
        format!("From: {id}@people.test\r\nMessage-ID: <m@people.test>\r\n\r\nA report.\r\n");
    let (received, arrived) = (world.now, world.now);
    let raw =
        RawMail { bytes: bytes.into_bytes(), received, arrived, oversize: false, junk: false };
    let mut letter = opener.open(&raw);
    let person = world.desk.roster.person(&PersonId::parse(id).unwrap()).unwrap();
    letter.verdict.protection = Protection::Both;
    letter.verdict.signature = Signature::Valid(Signed {
        fingerprint: person.fingerprint.clone(),
        made: world.now - Span::hours(1),
        hash: Digest::of(b"signature"),
        names_us: true,
    });
    letter
}

/// What the team reads about a mail.
fn told(world: &World, letter: &Letter) -> String {
    let arrival = Arrival { letter, ours: false, returned: None };
    let decision = receive(&world.desk, arrival, world.now, Fresh::new([1; 32]));
    let texts = decision.mails.iter().filter_map(|mail| match &mail.words {
        Words::Sealed(written) => Some(written.body.clone()),
        Words::Clear(_)
        | Words::Frozen { .. }
        | Words::Public { .. }
        | Words::SaidInClear { .. } => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// A signature that is older than the revocation of its key still verifies; whoever has the stolen key
/// can date it so. What the desk treats as unproven, the team must not read as proven.
#[test]
fn a_revoked_key_proves_nothing_to_the_team() {
    let mut world = World::new("default");
    let letter = signed_by(&world, "ann");
    let before = told(&world, &letter);
    assert!(before.contains("proven by signature"), "{before}");
    let ann = PersonId::parse("ann").unwrap();
    let key = world.desk.roster.person(&ann).unwrap().fingerprint.clone();
    world.desk.learn_key(&key, KeyFacts { revoked: true, ..KeyFacts::default() });
    let after = told(&world, &letter);
    assert!(!after.contains("proven by signature") && !after.contains("holds, by"), "{after}");
    assert!(after.contains("REVOKED"), "{after}");
}

/// A word behind `/key` is the same word however it is written.
#[test]
fn the_case_of_a_word_changes_nothing_about_the_keys_that_may_say_it() {
    let row = row_of(Word::OwnKey).unwrap();
    for (word, from_distrusted, from_offered) in [
        ("replace", true, false),
        ("show", true, false),
        ("revoke", true, false),
        ("confirm", true, true),
        ("cancel", true, true),
        ("approve", false, false),
        ("", false, false),
    ] {
        for said in [word.to_owned(), word.to_uppercase(), format!("{word} x")] {
            let counts = |state| row.counts_from(state, &said);
            assert!(counts(KeyState::InForce), "{said}");
            assert_eq!(counts(KeyState::Distrusted), from_distrusted, "{said}");
            assert_eq!(counts(KeyState::Offered), from_offered, "{said}");
        }
    }
}

/// Where a process has a grace, T may stand while the release before it moves: the draft is as stale
/// as one that speaks of another T, for whoever looks.
#[test]
fn a_draft_of_another_release_is_a_draft_of_another_date() {
    let mut world = World::new("apereo");
    world.move_t(24 * 40);
    let incident = world.desk.incident(&world.handle).unwrap();
    let frozen = Draft {
        notice: TaskId::parse("notice").unwrap(),
        number: 1,
        body: Digest::of(b"body"),
        recipients: BTreeSet::new(),
        t: incident.t(),
        release: incident.anchor(Anchor::Release),
        template: Digest::of(b"template"),
        by: None,
        attachments: Vec::new(),
        text: None,
        mates: BTreeSet::new(),
        doubts: Vec::new(),
    };
    assert!(frozen.release.is_some() && incident.is_dated(&frozen));
    let grace = Event::FieldSet { field: "grace".to_owned(), value: "5bd".to_owned() };
    world.apply(Some("mia"), grace);
    let incident = world.desk.incident(&world.handle).unwrap();
    assert_eq!(frozen.t, incident.t(), "T stands");
    assert!(!incident.is_dated(&frozen), "and the release has moved");
}
