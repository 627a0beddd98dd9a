//! The form that a recipient can read, and what is said where nothing can be sealed.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on should stop"
)]

mod common;

use common::{World, armor, only, subjects};
use embargod::domain::facts::names::{PersonId, Span};
use embargod::edge::pgp::{Form, Keyring, OurIds, generate, generate_for_gnupg, see};
use embargod::rehearsal::mail::{Draft, Protected};
use embargod::rehearsal::{Stage as _, Who};

/// Certificates of version 4 say more than their owners' programs can: GnuPG reads no SEIPDv2, whatever the
/// tool that made the key wrote into it.
#[test]
fn a_certificate_that_asks_for_the_newer_form_gets_it_only_by_choice() {
    let now = common::start();
    let made = |name: &str| {
        let (secret, _) = generate(name, &format!("{name}@people.test"), None, None, now).unwrap();
        Keyring::open(&[secret], None, [0; 32], now).unwrap()
    };
    let (desk, mia) = (made("desk"), made("mia").certificate());
    assert!(mia.says_newer(now));
    let newer = |sealed: Vec<u8>| see(&sealed, &OurIds::default()).unwrap().newer;
    assert!(!newer(desk.seal(&mia, b"hello", now).unwrap()));
    assert!(newer(desk.seal_in(Form::Newer, &mia, b"hello", now).unwrap()));
    // Who asks for the older one alone never gets the other.
    let old = generate_for_gnupg("tom", "tom@people.test", now).unwrap();
    let old = Keyring::open(&[old], None, [0; 32], now).unwrap().certificate();
    assert!(
        !old.says_newer(now) && !newer(desk.seal_in(Form::Newer, &old, b"hello", now).unwrap())
    );
}

#[test]
fn the_newer_form_is_for_those_who_have_shown_or_said_that_they_read_it() {
    let mut world = World::new();
    let seals = |world: &World, who: Who| {
        let key = world.stage.keyring(who).unwrap().certificate().fingerprint();
        world.stage.engine().unwrap().desk().seals_newer(&key)
    };
    assert!(world.does(Who::Mia, "/whoami").says("SEIPDv1") && !seals(&world, Who::Mia));
    world.does(Who::Mia, "/seal v2");
    assert!(world.does(Who::Mia, "/whoami").says("SEIPDv2") && seals(&world, Who::Mia));
    world.does(Who::Mia, "/seal v1");
    assert!(!seals(&world, Who::Mia));
    world.is_refused(Who::Mia, "/seal v3", "`v1` or as `v2`");
    // A program that writes it reads it.
    let reference = world.reference_of(Who::Tom, &world.handle.clone());
    let draft = Draft::sealed(&format!("/whoami\n\n> {reference}\n"));
    let key = world.stage.keyring(Who::Tom).unwrap();
    let (desk, now) = (world.stage.desk(), world.stage.now());
    let sealed = key.seal_in(Form::Newer, desk, &draft.entity(None), now).unwrap();
    let mail = world.mail(Who::Tom, "v2@tom", &draft, &Protected::Encrypted(armor(sealed)));
    world.deliver(mail);
    assert!(seals(&world, Who::Tom) && !seals(&world, Who::Mia));
}

/// Seven keys that cannot be used and a heap of reports make a handful of mails, and none about itself.
#[test]
fn what_cannot_be_sealed_is_told_once_a_day() {
    let made = common::start() - Span::days(800);
    let (secret, _) = generate("Tom", &Who::Tom.address(), None, Some(1), made).unwrap();
    let certificate = Keyring::for_looking(&[secret], None).unwrap().certificate();
    let id = PersonId::parse("tom").unwrap();
    let mut world = World::with(|sources| {
        let person = sources.roster.people.get_mut(&id).unwrap();
        person.fingerprint = certificate.fingerprint();
        person.certificate = certificate.armored();
    });
    let mut all = Vec::new();
    for n in 0..12 {
        let draft = Draft::sealed(&format!("It overflows, and that is number {n}."));
        all.extend(world.sends(Who::Rita, &draft));
        all.extend(world.waits(Span::minutes(10)));
    }
    // The one of the first report, which was there before these.
    let toms = world.stage.mailbox(Who::Tom).unwrap();
    assert_eq!(toms.len(), 1, "{:?}", subjects(&all));
    assert!(toms[0].subject.contains("waits for you"));
    let known = world.stage.mailbox(Who::Mia).unwrap();
    let known = known.iter().filter(|mail| mail.subject.contains("withheld")).count();
    let mias = |word: &str| {
        all.iter().filter(|(who, mail)| *who == Who::Mia && mail.subject.contains(word)).count()
    };
    assert_eq!((known, mias("New report")), (1, 12), "{:?}", subjects(&all));
    // Within the next day, once more, for whatever is due then.
    let new = world.waits(Span::days(1));
    let word = only(&new, Who::Tom);
    assert!(word.subject.contains("waits for you"), "{:?}", subjects(&new));
}
