//! Those who hold a notice, whatever became of them since; and ids and keys that come back.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on should stop"
)]

mod common;

use common::members::{
    approve, at_desk, desk_reference, is_active, join, number, planned, refusal, with_key,
};
use common::{Golden, World, only, subjects};
use embargod::domain::facts::names::{Moment, PersonId, Span};
use embargod::domain::model::member::Member;
use embargod::edge::pgp::{Keyring, generate};
use embargod::rehearsal::mail::{Draft, Protected, Read};
use embargod::rehearsal::{Stage, Who};

fn had(new: &[(Who, Read)], words: &str) -> Vec<Who> {
    let fits = new.iter().filter(|(_, mail)| mail.subject.contains(words));
    fits.map(|(who, _)| *who).filter(|who| Who::ALL.contains(who)).collect()
}

fn member(world: &World, who: Who) -> Member {
    let id = PersonId::parse(who.id()).unwrap();
    world.stage.engine().unwrap().desk().members.get(&id).unwrap().clone()
}

/// Who comes in after T has passed without a word is not told that the embargo ended with it.
#[test]
fn who_comes_after_t_has_slipped_is_told_that_it_is_not_public() {
    let mut world = planned();
    approve(&mut world, "advance");
    at_desk(&mut world, Who::Mia, "/member suspend cleo moving house");
    world.waits(Span::days(19));
    at_desk(&mut world, Who::Mia, "/member reinstate cleo");
    let n = number(&world, Who::Cleo);
    let mut new = at_desk(&mut world, Who::Tom, &format!("/member approve cleo@{n}"));
    new.extend(world.waits(Span::hours(1)));
    let copy = new.iter().find(|(who, m)| *who == Who::Cleo && m.subject.contains("Advance"));
    let text = &copy.unwrap().1.text;
    assert!(text.contains("HAS PASSED and it is NOT PUBLIC"), "{text}");
    assert_eq!(had(&new, "Not yet public"), [Who::Cleo], "{:?}", subjects(&new));
    // That it has passed comes after what names it.
    let place = |words: &str| {
        new.iter().position(|(who, m)| *who == Who::Cleo && m.subject.contains(words)).unwrap()
    };
    assert!(place("Advance") < place("Not yet public"), "{:?}", subjects(&new));
}

/// Who had the date and is in the group still hears that it moves and that it ends, and is not told
/// anything else; and the counts are of those who are told.
#[test]
fn who_is_not_to_know_any_more_still_hears_of_the_date_they_hold() {
    let mut world = planned();
    approve(&mut world, "advance");
    world.waits(Span::days(11));
    let said = world.does(Who::Mia, "/audience private_distributors ann");
    let text = said.text.replace('\n', " ");
    assert!(text.contains("These had a notice before") && text.contains("(bob)"), "{text}");
    at_desk(&mut world, Who::Mia, "/member suspend cleo moving house");
    let new = world.seconds(Who::Mia, "/disclose 2026-03-24", Who::Tom);
    assert_eq!(had(&new, "Date changed"), [Who::Ann, Who::Bob], "{:?}", subjects(&new));
    let done = |(who, mail): &&(Who, Read)| *who == Who::Tom && mail.subject.contains("] Done:");
    let done = new.iter().find(done).unwrap().1.text.replace('\n', " ");
    assert!(done.contains("Those who had the old date (2) are told now"), "{done}");
    approve(&mut world, "final");
    let new = world.waits(Span::hours(10 * 24 + 8));
    let got: Vec<Who> =
        Who::DISTRIBUTORS.into_iter().filter(|who| new.iter().any(|(to, _)| to == who)).collect();
    assert_eq!(got, [Who::Ann], "{:?}", subjects(&new));
    let new = world.says(Who::Mia, "/leak unknown it stands in a forum");
    // Whoever is asked sees before it happens who hears of it, and who does not.
    let question = only(&new, Who::Tom);
    let text = question.text.replace('\n', " ");
    assert!(text.contains("is not told, being out of it") && text.contains("(cleo)"), "{text}");
    let nonce = question.nonce().unwrap();
    let new = world.says(Who::Tom, &format!("/confirm {nonce}"));
    assert_eq!(had(&new, "EMBARGO ENDED"), [Who::Ann, Who::Bob], "{:?}", subjects(&new));
}

/// Whoever has a stolen key can offer another one with it: the end of trust in it ends the offer.
#[test]
fn what_a_key_offered_is_called_off_with_it() {
    let born = common::start() - Span::days(10);
    let (secret, revocation) = generate("ann", &Who::Ann.address(), None, None, born).unwrap();
    let ann = Keyring::open(&[secret], None, [0; 32], common::start()).unwrap();
    let (fingerprint, armored) = (ann.certificate().fingerprint(), ann.certificate().armored());
    for by_mail in [true, false] {
        let (fingerprint, armored) = (fingerprint.clone(), armored.clone());
        let mut world = World::with(move |sources| {
            let person = sources.roster.people.get_mut(&PersonId::parse("ann").unwrap()).unwrap();
            (person.fingerprint, person.certificate) = (fingerprint, armored);
        });
        let at = world.stage.now();
        let born = at - Span::hours(1);
        let (secret, _) = generate("ann", &Who::Ann.address(), None, None, born).unwrap();
        let thief = Keyring::open(&[secret], None, [0; 32], at).unwrap();
        let says = |world: &mut World, text: &str, key: Option<&Keyring>| {
            let mut draft =
                Draft::sealed(&format!("{text}\n\n> {}\n", desk_reference(world, Who::Ann)));
            draft.attachments.extend(
                key.map(|k| ("new.asc".to_owned(), k.certificate().armored().into_bytes())),
            );
            let now = world.stage.now();
            let sealed = ann.seal(world.stage.desk(), &draft.entity(None), now).unwrap();
            let protected = Protected::Encrypted(String::from_utf8(sealed).unwrap());
            let id = format!("{}@x", now.timestamp_millis());
            let mail = world.mail(Who::Ann, &id, &draft, &protected);
            world.deliver(mail)
        };
        says(&mut world, "/key replace", Some(&thief));
        let n = number(&world, Who::Ann);
        assert!(member(&world, Who::Ann).offered.is_some());
        if by_mail {
            let mut draft = Draft::plain("my key", "It was stolen.");
            draft.attachments.push(("revocation.asc".to_owned(), revocation.clone()));
            let new = world.sends(Who::Paul, &draft);
            let told = only(&new, Who::Mia).text.replace('\n', " ");
            assert!(told.contains("new key that it had offered was called off"), "{told}");
        } else {
            says(&mut world, "/key revoke", None);
        }
        assert!(member(&world, Who::Ann).offered.is_none(), "by mail: {by_mail}");
        let new = at_desk(&mut world, Who::Mia, &format!("/key approve ann@{n}"));
        assert!(new.iter().all(|(_, m)| !m.subject.contains("Done")), "{:?}", subjects(&new));
        assert_eq!(member(&world, Who::Ann).keys[0].fingerprint, ann.certificate().fingerprint());
    }
}

/// An id that was somebody's is nobody else's: what they knew and had would become theirs. Somebody
/// with the same key comes back under it; with a key that they called lost, nobody does.
#[test]
fn an_id_and_a_lost_key_do_not_come_back_as_something_else() {
    let mut world = planned();
    at_desk(&mut world, Who::Mia, "/member remove bob they asked for it");
    let draft = |world: &World, who: Who| {
        let reference = desk_reference(world, Who::Mia);
        with_key(
            world,
            &format!("/member propose bob private_distributors\n\n> {reference}\n"),
            who,
        )
    };
    let theirs = draft(&world, Who::Dora);
    let new = world.sends(Who::Mia, &theirs);
    refusal(&new, Who::Mia, "`bob` was somebody with another key");
    let own = draft(&world, Who::Bob);
    let new = world.sends(Who::Mia, &own);
    assert!(only(&new, Who::Mia).subject.contains("Done"), "{}", only(&new, Who::Mia).text);
    // Cleo's key is lost, and she is removed.
    at_desk(&mut world, Who::Cleo, "/key revoke");
    at_desk(&mut world, Who::Mia, "/member remove cleo her key is lost");
    let reference = desk_reference(&world, Who::Mia);
    for id in ["cleo", "cleo2"] {
        let text = format!("/member propose {id} private_distributors\n\n> {reference}\n");
        let again = with_key(&world, &text, Who::Cleo);
        let new = world.sends(Who::Mia, &again);
        refusal(&new, Who::Mia, "not to be trusted any more");
    }
    assert!(!is_active(&world, Who::Cleo));
    let reference = desk_reference(&world, Who::Ann);
    let text = format!("/key replace\n\n> {reference}\n");
    let taken = with_key(&world, &text, Who::Cleo);
    let new = world.sends(Who::Ann, &taken);
    refusal(&new, Who::Ann, "that key cannot be taken here");
}

/// A copy that a courier has in hand does not leave for somebody who is out meanwhile, and not while it
/// is held.
#[test]
fn a_copy_in_a_couriers_hands_is_called_back() {
    for word in ["/member suspend bob moving house", "/hold advance"] {
        let mut world = planned();
        approve(&mut world, "advance");
        let near: Moment = "2026-03-12T15:50:00Z".parse().unwrap();
        world.waits(near - world.stage.now());
        let member = word.starts_with("/member");
        let reference = if member { desk_reference(&world, Who::Mia) } else { world.reference() };
        let draft = Draft::sealed(&format!("{word}\n\n> {reference}\n"));
        let protected = world.seal(Who::Mia, &draft.entity(None));
        let mail = world.mail(Who::Mia, "meanwhile@x", &draft, &protected);
        world.stage.meanwhile = Some((Who::Bob, mail));
        let new = world.waits(Span::hours(2));
        assert!(world.stage.meanwhile.is_none());
        assert!(!had(&new, "Advance notice").contains(&Who::Bob), "{word}: {:?}", subjects(&new));
        assert!(had(&new, "Advance notice").contains(&Who::Ann), "{word}: {:?}", subjects(&new));
        if !member {
            let before = world.stage.mailbox(Who::Bob).unwrap().len();
            world.seconds(Who::Mia, "/resume advance", Who::Tom);
            world.waits(Span::hours(2));
            assert_eq!(world.stage.mailbox(Who::Bob).unwrap().len(), before + 1);
        }
    }
}

/// One member vouches once; else whoever is about to approve never can.
#[test]
fn a_member_vouches_once() {
    let mut world = World::new();
    join(&mut world, Who::Dora, &mut Golden::default(), "approval");
    let n = number(&world, Who::Dora);
    let new = at_desk(&mut world, Who::Ann, "/vouch dora");
    refusal(&new, Who::Ann, "you vouch for `dora` already");
    assert_eq!(number(&world, Who::Dora), n);
}

/// Nothing goes to people under embargo that one person alone has seen.
#[test]
fn no_notice_under_embargo_is_one_persons() {
    let mut world = planned();
    world.does(Who::Mia, "/preview final");
    world.is_refused(Who::Mia, "/approve final@1", "your own approval does not count");
    world.does(Who::Tom, "/approve final@1");
}

/// What a member writes is answered to the member, and the team's copy says how.
#[test]
fn a_members_words_reach_the_team_with_the_word_that_answers_them() {
    let mut world = planned();
    approve(&mut world, "advance");
    world.waits(Span::days(11));
    let new = world.says(Who::Ann, "May we ship a day earlier?");
    let mail = only(&new, Who::Mia);
    assert!(mail.says("| /tell ann"), "{}", mail.text);
    // And members' answers do not count what goes on here.
    let new = world.says(Who::Ann, "/ack");
    assert!(!only(&new, Who::Ann).says("Journal "), "{}", only(&new, Who::Ann).text);
}
