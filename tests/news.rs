//! What a reporter hears without having asked: the day, that it is near, that it is public, that it got out, and
//! the end; and what they answer.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop, and says so"
)]

mod common;

use common::{World, only, subjects};
use embargod::domain::facts::letter::Protection;
use embargod::domain::facts::names::Span;
use embargod::rehearsal::mail::{Draft, Read};
use embargod::rehearsal::{Stage as _, Who};

/// What somebody got since they had so many.
fn since(world: &mut World, who: Who, before: usize) -> Vec<Read> {
    world.stage.mailbox(who).unwrap().into_iter().skip(before).collect()
}

fn reporter_of(with_key: bool) -> (World, Who) {
    let mut world = World::bare(|_| {});
    let who = if with_key { Who::Rita } else { Who::Paul };
    let mut draft =
        if with_key { Draft::sealed("A hole.") } else { Draft::plain("A hole", "A hole.") };
    draft.with_key = with_key;
    world.stage.write(who, &draft).unwrap();
    world.stage.pass(Span::minutes(1)).unwrap();
    let report = world.stage.mailbox(Who::Mia).unwrap();
    let report = report.iter().find(|mail| mail.subject.contains("New report")).unwrap();
    world.handle =
        embargod::domain::facts::names::Handle::parse(&report.handle().unwrap()).unwrap();
    (world, who)
}

/// Sets T and has it confirmed by the other.
fn sets(world: &mut World, when: &str) {
    let new = world.says(Who::Mia, &format!("/disclose {when}"));
    let asked =
        new.iter().find_map(|(who, mail)| (*who == Who::Tom).then(|| mail.nonce()).flatten());
    if let Some(nonce) = asked {
        world.says(Who::Tom, &format!("/confirm {nonce}"));
    } else if let Some(nonce) = only(&new, Who::Mia).nonce() {
        world.says(Who::Mia, &format!("/confirm {nonce}"));
    }
    assert!(world.incident().t().is_some(), "{:?}", subjects(&new));
}

/// A value may go on below itself.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_reporter_with_a_key_hears_the_day_its_moves_and_that_it_is_near() {
    let (mut world, rita) = reporter_of(true);
    world.says(Who::Mia, "/accept\n/lead me\n/title Overflow");
    let before = world.stage.mailbox(rita).unwrap().len();
    sets(&mut world, "2026-03-26");
    let told = since(&mut world, rita, before);
    let [day] = told.as_slice() else { panic!("{told:?}") };
    assert!(day.protection == Protection::Both && day.by_desk);
    assert!(day.says("2026-03-26 16:00") && day.says("| /agree"), "{}", day.text);
    assert!(!day.says("no longer holds") && !day.outer_subject.contains("2026"));
    // They agree, and the team sees it.
    let new = world.sends(rita, &Draft::answer(day, "/agree"));
    assert!(new.iter().any(|(who, mail)| *who == Who::Mia && mail.says("They agree to the day")));
    let status = world.says(Who::Mia, "/status");
    assert!(in_one_line(&only(&status, Who::Mia).text).contains("agreed to the day"));
    // It moves: what they said was of another day.
    let before = world.stage.mailbox(rita).unwrap().len();
    sets(&mut world, "2026-03-30");
    let told = since(&mut world, rita, before);
    let [day] = told.as_slice() else { panic!("{told:?}") };
    assert!(day.says("2026-03-30") && day.says("no longer holds"), "{}", day.text);
    let status = world.says(Who::Mia, "/status");
    assert!(in_one_line(&only(&status, Who::Mia).text).contains("agreed to an earlier day"));
    let new = world.sends(rita, &Draft::answer(day, "/objection I am on a plane then."));
    let told = new.iter().find(|(who, _)| *who == Who::Mia).unwrap();
    assert!(told.1.says("THE DAY DOES NOT SUIT THEM"), "{}", told.1.text);
    // Three days before it.
    let before = world.stage.mailbox(rita).unwrap().len();
    let left = world.incident().t().unwrap() - world.stage.now() - Span::days(3) + Span::minutes(5);
    world.stage.pass(left).unwrap();
    let told = since(&mut world, rita, before);
    let near: Vec<&Read> = told.iter().filter(|mail| mail.subject.contains("As planned")).collect();
    assert!(near.len() == 1 && near[0].says("2026-03-30"), "{told:?}");
}

#[test]
fn a_reporter_without_a_key_hears_that_there_is_news_and_when_it_is_public() {
    let (mut world, paul) = reporter_of(false);
    world.says(Who::Mia, "/accept\n/lead me\n/title Overflow");
    let before = world.stage.mailbox(paul).unwrap().len();
    sets(&mut world, "2026-03-26");
    let told = since(&mut world, paul, before);
    let [day] = told.as_slice() else { panic!("{told:?}") };
    for word in ["2026-03-26", "26 March", "Overflow", "16:00"] {
        assert!(!day.says(word) && !day.subject.contains(word), "{word}: {}", day.text);
    }
    assert!(day.says("encrypted mail only"), "{}", day.text);
    let before = world.stage.mailbox(paul).unwrap().len();
    let new = world.says(Who::Mia, "/published");
    if let Some(nonce) =
        new.iter().find_map(|(who, mail)| (*who == Who::Tom).then(|| mail.nonce()).flatten())
    {
        world.says(Who::Tom, &format!("/confirm {nonce}"));
    }
    let told = since(&mut world, paul, before);
    assert!(told.iter().any(|mail| mail.subject.contains("It is public")), "{told:?}");
    // The end.
    let before = world.stage.mailbox(paul).unwrap().len();
    let new = world.says(Who::Mia, "/close");
    let nonce = new.iter().find_map(|(_, mail)| mail.nonce()).unwrap();
    world.says(Who::Mia, &format!("/confirm {nonce}"));
    let told = since(&mut world, paul, before);
    let [end] = told.as_slice() else { panic!("{told:?}") };
    assert!(end.subject.contains("complete") && end.says("Thank you"), "{}", end.text);
}

#[test]
fn a_leak_is_told_to_the_reporter_as_far_as_the_way_is_closed() {
    for with_key in [true, false] {
        let (mut world, who) = reporter_of(with_key);
        world.says(Who::Mia, "/accept\n/lead me\n/title Overflow");
        sets(&mut world, "2026-03-26");
        let before = world.stage.mailbox(who).unwrap().len();
        let new = world.says(Who::Mia, "/leak unknown it stands in a forum");
        let nonce =
            new.iter().find_map(|(who, mail)| (*who == Who::Tom).then(|| mail.nonce()).flatten());
        world.says(Who::Tom, &format!("/confirm {}", nonce.unwrap()));
        let told = since(&mut world, who, before);
        let [told] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(told.subject.contains("It has got out"), with_key, "{}", told.subject);
        assert_eq!(told.says("has become known"), with_key, "{}", told.text);
    }
}
