//! What cannot be taken back takes two people, whichever word, row or role leads to it: each road that
//! one person went alone, in whole mails on the real engine.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on should stop"
)]

mod common;

use common::members::{approve, at_desk, planned};
use common::{World, only, subjects, to};
use embargod::domain::facts::names::{PersonId, Span};
use embargod::engine::Sources;
use embargod::rehearsal::Who;
use embargod::rehearsal::mail::Read;

const RECORD: &str = "/title T\n/set affected all\n/set impact much\n/set fixed 3.2\n/set binaries https://x.example/\n\
    /cve CVE-2026-41234\n/cvss CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";

fn outside(new: &[(Who, Read)]) -> Vec<Who> {
    let team = [Who::Mia, Who::Tom, Who::Uma, Who::Rita, Who::Paul];
    to(new).into_iter().filter(|who| !team.contains(who)).collect()
}

/// Says it as one person and answers every question that this person is asked; gives all mails.
fn alone(world: &mut World, who: Who, text: &str) -> Vec<(Who, Read)> {
    let mut new = world.says(who, text);
    for _ in 0..3 {
        let nonce = |(to, mail): &(Who, Read)| (*to == who).then(|| mail.nonce()).flatten();
        let Some(nonce) = new.iter().rev().find_map(nonce) else { break };
        new = world.says(who, &format!("/confirm {nonce}"));
    }
    new
}

fn at_default(sources: &mut Sources) {
    sources.settings.playbook = "default".to_owned();
    for (id, roles) in [("mia", &["security_team"][..]), ("tom", &["security_team", "release"])] {
        let id = PersonId::parse(id).unwrap();
        let person = sources.roster.people.get_mut(&id).unwrap();
        person.roles = roles.iter().map(|role| (*role).to_owned()).collect();
    }
}

#[test]
fn one_key_publishes_nothing_before_the_agreed_day_nor_on_it() {
    let mut world = World::new();
    world.does(Who::Mia, "/accept\n/lead me");
    world.does(Who::Mia, RECORD);
    for text in ["/disclose +3m", "/done binaries", "/release", "/skip binaries no time"] {
        let new = alone(&mut world, Who::Mia, text);
        assert!(outside(&new).is_empty(), "{text}: {:?}", subjects(&new));
    }
    world.does(Who::Mia, "/preview announce");
    world.is_refused(Who::Mia, "/approve announce@1", "your own approval does not count");
    let new = world.waits(Span::days(2));
    assert!(outside(&new).is_empty(), "{:?}", subjects(&new));
    assert!(world.incident().t().is_none() && world.incident().done.is_empty());
}

#[test]
fn one_key_goes_round_no_gate_of_the_default_process() {
    let mut world = World::with(at_default);
    world.does(Who::Mia, "/take");
    world.does(Who::Mia, &format!("/accept\n{RECORD}\n/disclose 2026-03-19\n/preview announce"));
    world.does(Who::Tom, "/approve announce@1");
    for text in [
        "/join me release",
        "/done clearance",
        "/skip clearance we are in a hurry",
        "/set scope unsupported_only",
        "/set class resource_consumption",
        "/known-public",
        "/exploited",
        "/disclose 2026-03-04",
    ] {
        let new = alone(&mut world, Who::Mia, text);
        assert!(outside(&new).is_empty(), "{text}: {:?}", subjects(&new));
    }
    let new = world.waits(Span::days(30));
    assert!(!to(&new).contains(&Who::List), "{:?}", subjects(&new));
}

/// Two teams agreed on T, the announcement and the gate; one person moves T, opens the gate that the
/// move has closed, and would publish seventeen days early.
#[test]
fn one_key_moves_no_date_forward_and_opens_no_gate_that_the_move_closed() {
    let mut world = planned();
    approve(&mut world, "announce");
    let t = world.incident().t();
    for text in ["/disclose +2h", "/disclose 2026-03-05", "/disclose 2026-03-18 16:00 UTC"] {
        alone(&mut world, Who::Mia, text);
        assert_eq!(world.incident().t(), t, "{text}");
    }
    // Later is one person's to say while nobody holds the date; and back again is earlier.
    alone(&mut world, Who::Mia, "/disclose 2026-04-02");
    assert!(world.incident().t() > t);
    let new = alone(&mut world, Who::Mia, "/done binaries");
    assert!(outside(&new).is_empty());
    alone(&mut world, Who::Mia, "/disclose 2026-03-19");
    assert!(world.incident().t() > t);
    let new = world.waits(Span::days(40));
    assert!(!to(&new).contains(&Who::List), "{:?}", subjects(&new));
}

#[test]
fn one_key_tells_no_holder_of_another_date() {
    let mut world = planned();
    approve(&mut world, "advance");
    let new = world.waits(Span::days(11));
    assert_eq!(outside(&new).len(), 3);
    let t = world.incident().t();
    for text in ["/disclose +2h", "/disclose 2026-04-02"] {
        let new = alone(&mut world, Who::Mia, text);
        assert!(outside(&new).is_empty(), "{text}: {:?}", subjects(&new));
        assert_eq!(world.incident().t(), t, "{text}");
    }
    // The other sees the words that leave, to how many, before they leave.
    let new = world.says(Who::Mia, "/disclose 2026-03-24");
    let question = only(&new, Who::Tom);
    assert!(question.says("Those who have the old date (3) get this"), "{}", question.text);
    assert!(question.says("2026-03-24 16:00 UTC"), "{}", question.text);
    let new = world.says(Who::Tom, &format!("/confirm {}", question.nonce().unwrap()));
    assert_eq!(outside(&new).len(), 3, "{:?}", subjects(&new));
}

#[test]
fn nobody_makes_their_own_second_person() {
    let mut world = planned();
    // A distributor: not by one person.
    alone(&mut world, Who::Mia, "/join ann security_team");
    assert!(world.incident().joined.is_empty());
    // Somebody whom the config trusts: by one, and she is no second person of the one's.
    alone(&mut world, Who::Mia, "/join uma security_team");
    assert_eq!(world.incident().joined.len(), 1);
    world.does(Who::Mia, "/preview advance");
    world.is_refused(Who::Uma, "/approve advance@1", "gave you your role, so you two count as one");
    let new = world.says(Who::Mia, "/join ann fix_team");
    let asked = |who: Who| new.iter().any(|(to, mail)| *to == who && mail.nonce().is_some());
    assert!(asked(Who::Tom) && !asked(Who::Uma), "{:?}", subjects(&new));
    // Nor is the one whom she gives a role in turn.
    alone(&mut world, Who::Uma, "/join bob security_team");
    let new = world.waits(Span::days(11));
    assert!(outside(&new).is_empty(), "{:?}", subjects(&new));
    assert_eq!(world.incident().joined.len(), 1);
    // For what another has begun she is one.
    world.does(Who::Tom, "/preview final");
    world.does(Who::Uma, "/approve final@1");
}

#[test]
fn no_other_road_is_for_one_person() {
    let mut world = planned();
    approve(&mut world, "advance");
    world.does(Who::Mia, "/audience private_distributors ann");
    world.waits(Span::days(11));
    for text in [
        "/audience private_distributors ann bob",
        "/audience private_distributors all",
        "/tell private_distributors\n\nGo public now.",
        "/approve tell-1@1",
        "/published",
        "/leak unknown it is in a forum",
        "/skip advance no\n/skip final no",
        "/lead me\n/handoff tom\n/deputy mia",
        "/known-public",
    ] {
        let new = alone(&mut world, Who::Mia, text);
        assert!(outside(&new).is_empty(), "{text}: {:?}", subjects(&new));
        assert!(world.incident().published().is_none() && world.incident().leaked.is_none());
    }
    // What was held by anybody is let go by two.
    world.does(Who::Tom, "/hold ALL");
    let new = alone(&mut world, Who::Mia, "/resume ALL");
    assert!(outside(&new).is_empty() && !world.incident().held.is_empty());
    // Closed and opened again is no way round.
    alone(&mut world, Who::Mia, "/close");
    alone(&mut world, Who::Mia, "/reopen");
    assert!(world.incident().status.is_open() && !world.incident().held.is_empty());
}

/// A shared release brings its date along.
#[test]
fn a_shared_release_moves_no_date_by_one_person() {
    let mut world = planned();
    let first = world.handle.clone();
    let t = world.incident().t();
    let report = common::report(&mut world.stage);
    let other = embargod::domain::facts::names::Handle::parse(&report.handle().unwrap()).unwrap();
    world.does_on(Who::Mia, &other, "/accept");
    world.seconds_on(Who::Mia, &other, "/disclose 2026-03-05 16:00 UTC", Who::Tom);
    world.does_on(Who::Mia, &other, "/batch x");
    world.handle = first;
    for text in ["/batch x", "/batch x\n/batch final"] {
        alone(&mut world, Who::Mia, text);
        assert_eq!(world.incident().t(), t);
    }
}

/// Four questions in one mail: asked in one mail, and the answer to one leaves the others.
#[test]
fn several_questions_are_one_mail_and_do_not_void_each_other() {
    let mut world = planned();
    let joins = ["ann fix_team", "bob fix_team", "cleo fix_team"];
    let lines: Vec<String> = joins.iter().map(|who| format!("/join {who}")).collect();
    let new = world.says(Who::Mia, &lines.join("\n"));
    let question = only(&new, Who::Tom);
    assert!(question.subject.contains("asks you to confirm 3 commands"), "{}", question.subject);
    let nonces: Vec<String> = question
        .text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("| /confirm ").map(str::to_owned))
        .collect();
    assert_eq!(nonces.len(), 3, "{}", question.text);
    world.does(Who::Tom, &format!("/confirm {}", nonces[1]));
    assert_eq!(world.incident().joined.len(), 1);
    world.does(Who::Tom, &format!("/confirm {}\n/confirm {}", nonces[0], nonces[2]));
    assert_eq!(world.incident().joined.len(), 3);
}

/// Who gives the same command, having been asked about it, agrees to it.
#[test]
fn the_same_word_by_the_second_is_an_answer() {
    let mut world = World::new();
    world.does(Who::Mia, "/accept\n/lead me");
    world.does(Who::Mia, RECORD);
    world.does(Who::Mia, "/disclose 2026-03-19\n/preview announce");
    world.does(Who::Tom, "/approve announce@1");
    let asked = world.does(Who::Mia, "/done binaries");
    assert!(asked.says("No closed gate stands any more before `announce`"), "{}", asked.text);
    assert!(world.incident().done.is_empty());
    world.does(Who::Tom, "/done binaries");
    assert_eq!(world.incident().done.len(), 1);
    let done = world.incident().done.values().next().unwrap();
    assert_eq!(done.seconded.as_ref().unwrap().people().len(), 2);
}

//------------ A desk with one person --------------------------------------------------------------

fn one_person(sources: &mut Sources) {
    sources.settings.alone_minutes = Some(60);
    let tom = PersonId::parse("tom").unwrap();
    sources.roster.people.remove(&tom);
}

#[test]
fn alone_it_waits_an_hour_and_anybody_stops_it() {
    let mut world = World::with(one_person);
    world.does(Who::Mia, "/accept\n/lead me");
    world.does(Who::Mia, RECORD);
    let new = world.says(Who::Mia, "/disclose +2d");
    let said = only(&new, Who::Mia);
    assert!(said.says("You are alone at this desk"), "{}", said.text);
    let told = only(&new, Who::Uma);
    assert!(told.says("/hold ALL") && !told.says("2026-03-04"), "{}", told.text);
    world.waits(Span::minutes(55));
    assert!(world.incident().t().is_none());
    let new = world.waits(Span::minutes(6));
    assert!(world.incident().t().is_some(), "{:?}", subjects(&new));
    let done = |(who, mail): &(Who, Read)| *who == Who::Mia && mail.subject.contains("as you said");
    assert!(new.iter().any(done), "{:?}", subjects(&new));
    // The operator is on no incident, and stops it.
    world.says(Who::Mia, "/published");
    let handle = world.handle.clone();
    let new = world.sends(
        Who::Uma,
        &embargod::rehearsal::mail::Draft::sealed(&format!("/incident {handle}\n/hold ALL\n")),
    );
    assert!(only(&new, Who::Uma).subject.contains("Done: "), "{:?}", subjects(&new));
    world.waits(Span::hours(3));
    assert!(world.incident().published().is_none());
    // And lets nothing go by that right.
    world.says_on(Who::Uma, &handle, "/resume ALL");
    assert!(!world.incident().held.is_empty());
}

#[test]
fn alone_a_notice_leaves_an_hour_after_its_approval() {
    let mut world = World::with(one_person);
    world.does(Who::Mia, "/accept\n/lead me");
    world.does(Who::Mia, "/tell private_distributors\n\nA word.");
    let new = world.says(Who::Mia, "/approve tell-1@1");
    assert!(outside(&new).is_empty(), "{:?}", subjects(&new));
    let new = world.waits(Span::minutes(58));
    assert!(outside(&new).is_empty(), "{:?}", subjects(&new));
    let new = world.waits(Span::minutes(3));
    assert_eq!(outside(&new).len(), 3, "{:?}", subjects(&new));
}

//-------- A gate that is opened while something else holds it back ------------------------------------

/// What the second person was shown is what they confirm: a gate that the first opens meanwhile is no
/// part of it.
#[test]
fn a_hold_hides_no_gate() {
    let mut world = planned();
    approve(&mut world, "announce");
    world.does(Who::Mia, "/undo binaries");
    world.does(Who::Mia, "/hold announce");
    let new = world.says(Who::Mia, "/resume announce");
    let nonce = only(&new, Who::Tom).nonce().unwrap();
    world.does(Who::Mia, "/done binaries");
    let new = world.says(Who::Tom, &format!("/confirm {nonce}"));
    assert!(only(&new, Who::Tom).subject.contains("has changed"), "{:?}", subjects(&new));
    let new = world.waits(Span::days(30));
    assert!(!to(&new).contains(&Who::List), "{:?}", subjects(&new));
    // Asked again, he sees the gate.
    let new = world.says(Who::Mia, "/resume announce");
    let text = only(&new, Who::Tom).text.replace('\n', " ");
    assert!(text.contains("No closed gate stands any more before `announce`"), "{text}");
}

#[test]
fn a_skip_hides_no_gate() {
    let mut world = planned();
    world.does(Who::Mia, "/undo binaries");
    world.does(Who::Mia, "/skip announce x\n/done binaries");
    world.says(Who::Mia, "/undo announce");
    approve(&mut world, "announce");
    let new = world.waits(Span::days(30));
    assert!(!to(&new).contains(&Who::List), "{:?}", subjects(&new));
}

/// Who lets something go says what leaves, to whom and when.
#[test]
fn whoever_is_asked_to_let_go_sees_what_leaves() {
    let mut world = planned();
    approve(&mut world, "advance");
    world.does(Who::Mia, "/hold ALL");
    world.waits(Span::days(11));
    let new = world.says(Who::Mia, "/resume ALL");
    let text = only(&new, Who::Tom).text.replace('\n', " ");
    assert!(text.contains("which was approved, leaves now"), "{text}");
}

/// Brought in by one, she gives herself a second role: she owes it to the one all the same.
#[test]
fn a_role_that_one_gives_oneself_makes_nobody_a_second_person() {
    let mut world = World::with(|sources| {
        at_default(sources);
        for (id, role) in [("mia", "release"), ("uma", "operator")] {
            let person = sources.roster.people.get_mut(&PersonId::parse(id).unwrap()).unwrap();
            person.roles.insert(role.to_owned());
        }
    });
    world.does(Who::Mia, "/take");
    world.does(Who::Mia, &format!("/accept\n{RECORD}\n/disclose 2026-03-19"));
    alone(&mut world, Who::Mia, "/join uma security_team");
    alone(&mut world, Who::Uma, "/join me release");
    assert_eq!(world.incident().joined.values().next().unwrap().len(), 2);
    let new = world.says(Who::Mia, "/done clearance");
    let asked = |who: Who| new.iter().any(|(to, mail)| *to == who && mail.nonce().is_some());
    assert!(asked(Who::Tom) && !asked(Who::Uma), "{:?}", subjects(&new));
}

/// At a desk with one person the word that ends a hold waits as well, and another hold stops it.
#[test]
fn alone_a_hold_stops_what_would_end_it() {
    let mut world = World::with(one_person);
    world.does(Who::Mia, "/accept\n/lead me\n/hold ALL");
    world.does(Who::Mia, "/resume ALL");
    world.waits(Span::minutes(20));
    let handle = world.handle.clone();
    let hold = format!("/incident {handle}\n/hold ALL\n");
    world.sends(Who::Uma, &embargod::rehearsal::mail::Draft::sealed(&hold));
    world.waits(Span::hours(3));
    assert!(!world.incident().held.is_empty());
}

//-------- What the other has closed is not opened by one ----------------------------------------------

/// Two gates stand before a public notice. The one that the other person closed again is not skipped by
/// one, though two have opened the other gate.
#[test]
fn a_gate_that_the_other_closed_is_not_skipped_by_one() {
    let mut world = World::with(|sources| {
        sources.settings.playbook = "emissary".to_owned();
        for person in sources.roster.people.values_mut() {
            person.roles.retain(|role| role == "operator");
        }
        for who in ["mia", "tom"] {
            let person = sources.roster.people.get_mut(&PersonId::parse(who).unwrap()).unwrap();
            person.roles.extend(["emst".to_owned(), "maintainers".to_owned()]);
        }
    });
    world.does(Who::Tom, "/take");
    world.does(Who::Tom, "/accept\n/title A query of death\n/done public no\n/done expertise x");
    world.confirms(Who::Tom, "/join uma fix_team");
    world.does(Who::Tom, "/done fix-team\n/done access x");
    world.does(Who::Tom, "/cvss CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H");
    world.does(Who::Tom, "/set scope supported\n/set class query_of_death\n/set affected all\n/set impact it stops\n/set fixed 1.13.10\n/set mitigation block it\n/set credit Rita\n/set binaries x");
    world.does(
        Who::Uma,
        "/done develop\n/done fix-ready 0123456789abcdef0123, fedcba9876543210fedc",
    );
    let text = "/disclose 2026-03-12 17:00 UTC\n/done actionable\n/done plan\n/preview forthcoming";
    let new = world.says(Who::Tom, text);
    let asked = new.iter().find(|(who, mail)| *who == Who::Mia && mail.nonce().is_some()).unwrap();
    let nonces = asked.1.text.lines().filter_map(|line| line.trim().strip_prefix("| /confirm "));
    let confirm: String = nonces.map(|nonce| format!("/confirm {nonce}\n")).collect();
    world.says(Who::Mia, &format!("{confirm}/approve forthcoming@1"));
    world.does(Who::Tom, "/undo actionable");
    world.says(Who::Tom, "/handoff mia");
    world.does(Who::Mia, "/take");
    alone(&mut world, Who::Mia, "/skip actionable we are in a hurry");
    let new = world.waits(Span::days(4));
    assert!(!to(&new).contains(&Who::List), "{:?}", subjects(&new));
}

/// The same before a notice to those who have it under embargo, which two had approved.
#[test]
fn what_the_other_closed_before_holders_is_not_opened_by_one() {
    for two in [false, true] {
        let mut world = planned();
        approve(&mut world, "advance");
        world.does(Who::Tom, "/undo plan");
        if two {
            world.seconds(Who::Mia, "/done plan", Who::Tom);
        } else {
            alone(&mut world, Who::Mia, "/done plan");
        }
        let new = world.waits(Span::days(11));
        assert_eq!(outside(&new).len(), if two { 3 } else { 0 }, "{:?}", subjects(&new));
    }
}

/// A question that does not fit any more locks nobody out: the line is an order of its own then.
#[test]
fn the_second_persons_own_line_is_not_refused_because_of_an_old_question() {
    let mut world = planned();
    approve(&mut world, "announce");
    world.does(Who::Mia, "/undo binaries");
    world.does(Who::Mia, "/hold announce");
    world.says(Who::Mia, "/resume announce");
    world.does(Who::Mia, "/done binaries");
    let new = world.says(Who::Tom, "/resume announce");
    let nonce = only(&new, Who::Mia).nonce().expect("Mia is asked");
    assert!(only(&new, Who::Mia).says("It was approved, and leaves"));
    let new = world.says(Who::Mia, &format!("/confirm {nonce}"));
    assert!(only(&new, Who::Mia).subject.contains("Done: confirm"), "{:?}", subjects(&new));
}

/// Who was suspended after somebody was asked about them is not let in by the old question; nor does one
/// outlive the closing of its incident.
#[test]
fn a_question_does_not_outlive_what_it_was_about() {
    let mut world = planned();
    let new = world.says(Who::Mia, "/join bob fix_team");
    let nonce = only(&new, Who::Tom).nonce().unwrap();
    at_desk(&mut world, Who::Tom, "/member suspend bob seen with the press");
    world.says(Who::Tom, &format!("/confirm {nonce}"));
    let bob = PersonId::parse("bob").unwrap();
    assert!(!world.incident().joined.contains_key(&bob));
    let new = world.says(Who::Mia, "/join cleo fix_team");
    let nonce = only(&new, Who::Tom).nonce().unwrap();
    alone(&mut world, Who::Mia, "/close");
    alone(&mut world, Who::Mia, "/reopen");
    world.says(Who::Tom, &format!("/confirm {nonce}"));
    assert!(!world.incident().joined.contains_key(&PersonId::parse("cleo").unwrap()));
}
