//! Judging reports: duplicates, merging, opening again, the alarms, and the prepared answers.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop, and says so"
)]

mod common;

use common::{Golden, World, only, subjects, to};
use embargod::domain::facts::anchor::Anchor;
use embargod::domain::facts::names::{Handle, Span, TaskId};
use embargod::domain::model::incident::Status;
use embargod::domain::model::schedule::{State, agenda};
use embargod::rehearsal::mail::Draft;
use embargod::rehearsal::{Stage, Who};

fn subject_has(mail: &embargod::rehearsal::mail::Read, word: &str) -> bool {
    mail.subject.contains(word)
}

fn second(world: &mut World) -> Handle {
    let mail = common::report(&mut world.stage);
    Handle::parse(&mail.handle().unwrap()).unwrap()
}

#[test]
fn a_duplicate_is_closed_and_its_reporter_told_in_a_word() {
    let mut golden = Golden::default();
    let mut world = World::new();
    let first = world.handle.clone();
    world.does(Who::Mia, "/accept\n/title The hidden quince");
    let other = second(&mut world);
    golden.scene("The second is a duplicate of the first");
    let new = world.says_on(Who::Mia, &other, &format!("/duplicate {first}"));
    golden.add(&new);
    let desk = world.stage.engine().unwrap().desk();
    assert_eq!(desk.incidents[&other].status, Status::Duplicate);
    assert_eq!(desk.incidents[&first].linked.get(&other), Some(&false));
    world.is_refused_on(Who::Mia, &other, "/accept", "is a duplicate");
    // What its reporter writes is still read, with a word on where it goes on.
    let ack = world.stage.mailbox(Who::Rita).unwrap().pop().unwrap();
    let new = world.sends(Who::Rita, &Draft::answer(&ack, "One thing more."));
    assert_eq!(to(&new), [Who::Mia, Who::Tom]);
    assert!(new[0].1.says(&format!("goes on as {first}")), "{}", new[0].1.text);
    golden.scene("Opened again");
    let nonce = world.does_on(Who::Mia, &other, "/reopen").nonce().unwrap();
    golden.add(&world.says_on(Who::Mia, &other, &format!("/confirm {nonce}")));
    assert_eq!(world.stage.engine().unwrap().desk().incidents[&other].status, Status::Received);
    world.is_refused(Who::Mia, &format!("/duplicate {first}"), "the incident itself");
    world.is_refused(Who::Mia, "/duplicate EXA-2026-00000", "no incident that you are on");
    golden.check("duplicate");
}

#[test]
fn a_merge_names_what_the_other_does_not_know_and_says_nothing_outside() {
    let mut golden = Golden::default();
    let mut world = World::new();
    let into = second(&mut world);
    world.does_on(Who::Mia, &into, "/accept\n/set impact known");
    world.does(Who::Mia, "/accept\n/set impact other\n/set affected 3.1\n/cve CVE-2026-11111");
    golden.scene("Mia is asked whether she means it, and does");
    let asked = world.does(Who::Mia, &format!("/merge {into}"));
    golden.add(&[(Who::Mia, asked.clone())]);
    let new = world.says(Who::Mia, &format!("/confirm {}", asked.nonce().unwrap()));
    assert_eq!(to(&new), [Who::Mia, Who::Tom], "nothing to the reporter: {:?}", subjects(&new));
    golden.add(&new);
    let desk = world.stage.engine().unwrap().desk();
    let target = &desk.incidents[&into];
    assert_eq!(target.fields["impact"], "known");
    assert!(!target.fields.contains_key("affected") && target.cves.is_empty());
    let done = only(&new, Who::Mia);
    assert!(done.says("| /cve CVE-2026-11111") && done.says("| /set affected 3.1"));
    assert_eq!(world.incident().status, Status::Merged);
    // Its reporter can still be answered, from where they wrote.
    let new = world.says(Who::Mia, "/reply\nWe go on with it.");
    assert!(to(&new).contains(&Who::Rita));
    golden.check("merge");
}

#[test]
fn spam_is_closed_without_a_word() {
    let mut world = World::new();
    let new = world.says(Who::Mia, "/spam");
    assert_eq!(to(&new), [Who::Mia], "{:?}", subjects(&new));
    assert!(world.waits(Span::days(30)).is_empty(), "and stays so");
}

/// An incident with a date, an advance notice approved for a week before it, and work to do.
fn planned() -> World {
    let mut world = World::new();
    world.does(Who::Mia, "/accept\n/title T\n/set affected all\n/set impact much");
    world.does(Who::Tom, "/done fix-ready\n/done agree-day");
    world.does(Who::Mia, "/done agree-day\n/done plan\n/disclose 2026-03-23\n/preview advance");
    world.does(Who::Tom, "/approve advance@1");
    world
}

#[test]
fn public_knowledge_replaces_the_advance_notices_and_nothing_leaves_unapproved() {
    let mut golden = Golden::default();
    let mut world = planned();
    golden.scene("Mia says that it is public, and confirms it");
    let asked = world.does(Who::Mia, "/known-public");
    golden.add(&[(Who::Mia, asked.clone())]);
    let new = world.says(Who::Mia, &format!("/confirm {}", asked.nonce().unwrap()));
    golden.add(&new);
    assert!(new.iter().all(|(who, _)| !Who::DISTRIBUTORS.contains(who)), "{:?}", subjects(&new));
    // The moment of the advance notice, which was approved, comes and goes.
    let new = world.waits(Span::days(20));
    assert!(!to(&new).contains(&Who::Ann), "{:?}", subjects(&new));
    assert!(!new.iter().any(|(_, mail)| mail.subject.contains("T has passed")));
    let incident = world.incident();
    let at = incident.known_public().unwrap();
    for item in agenda(incident, world.stage.now()) {
        let gate = ["MI-4.2", "MI-4.3"].contains(&item.task.id.as_str());
        if gate {
            assert_eq!(item.due, Some(at), "{}", item.task.id);
            assert_eq!(item.state, State::Late, "{}: no gate opens by it", item.task.id);
        }
        if ["MI-3.1", "MI-3.2"].contains(&item.task.id.as_str()) {
            assert_eq!(item.state, State::Moot, "{}", item.task.id);
        }
    }
    golden.scene("Approved, the word that takes their place leaves, marked late");
    world.is_refused(Who::Mia, "/approve public-1@2", "not the newest");
    let new = world.says(Who::Tom, "/approve public-1@1");
    for who in Who::DISTRIBUTORS {
        assert!(only(&new, who).subject.contains("is known to the public"));
    }
    let some: Vec<_> =
        new.into_iter().filter(|(who, _)| matches!(who, Who::Tom | Who::Ann)).collect();
    golden.add(&some);
    golden.check("known-public");
}

#[test]
fn exploitation_alarms_the_team_and_takes_the_slack_out() {
    let mut golden = Golden::default();
    let mut world = World::new();
    world.does(Who::Mia, "/accept");
    let due = |world: &World, task: &str| {
        let id = TaskId::parse(task).unwrap();
        let items = agenda(world.incident(), world.stage.now());
        items.into_iter().find(|item| item.task.id == id).unwrap().due.unwrap()
    };
    let before = due(&world, "MI-2.1");
    golden.scene("Tom has seen it used");
    let new = world.says(Who::Tom, "/exploited\nIn the log of a customer.");
    let alarm = |(who, mail): &(Who, _)| *who == Who::Mia && subject_has(mail, "EXPLOITED");
    assert!(new.iter().any(alarm), "{:?}", subjects(&new));
    golden.add(&new);
    let after = due(&world, "MI-2.1");
    assert!(
        after < before && after >= world.incident().opened + Span::hours(23),
        "{before} {after}"
    );
    // A date within the usual lead time takes two people, whatever one of them says is going on.
    let new = world.seconds(Who::Mia, "/disclose 2026-03-03 16:00 UTC", Who::Tom);
    let question = new.iter().find(|(who, mail)| *who == Who::Tom && mail.nonce().is_some());
    let text = question.unwrap().1.text.replace('\n', " ");
    assert!(
        text.contains("It is exploited, and less than 5 working days is left until then"),
        "{text}"
    );
    assert!(world.incident().t().is_some());
    golden.check("exploited");
}

#[test]
fn a_word_to_one_member_reaches_nobody_else() {
    let mut world = planned();
    world.does(Who::Mia, "/audience private_distributors ann bob");
    let new = world.says(Who::Mia, "/tell ann\nYes: one more day is fine for us.");
    assert!(new.iter().all(|(who, _)| !Who::DISTRIBUTORS.contains(who)), "{:?}", subjects(&new));
    let shown = only(&new, Who::Tom);
    assert!(shown.says("to ann (1 now)"), "{}", shown.text);
    let new = world.says(Who::Tom, "/approve tell-1@1");
    let told: Vec<Who> =
        new.iter().map(|(who, _)| *who).filter(|who| Who::DISTRIBUTORS.contains(who)).collect();
    assert_eq!(told, [Who::Ann], "{:?}", subjects(&new));
    let mail = only(&new, Who::Ann);
    assert!(mail.says("one more day") && !mail.says("Mia"), "{}", mail.text);
    let incident = world.incident();
    let tell = TaskId::parse("tell-1").unwrap();
    assert_eq!(incident.ledger(&tell).len(), 1);
    // It is not the word that tells the list, and who is to know later does not get it.
    assert_eq!(incident.anchor(Anchor::ListNotified), None);
    let new = world.says(Who::Mia, "/audience private_distributors all");
    let new = [new, world.waits(Span::hours(2))].concat();
    assert!(new.iter().all(|(_, mail)| !mail.says("one more day")), "{:?}", subjects(&new));
    world.is_refused(Who::Mia, "/tell zoe\nhello", "no member of one");
    world.does(Who::Mia, "/audience private_distributors bob");
    world.is_refused(Who::Mia, "/tell ann\nhello", "in no group that gets");
}

#[test]
fn a_word_to_a_group_is_approved_by_another_before_it_leaves() {
    let mut golden = Golden::default();
    let mut world = planned();
    golden.scene("Mia writes to the distributors");
    let text =
        "/tell private_distributors\nPlease have somebody at hand on the day.\n\nWe will be.";
    let new = world.says(Who::Mia, text);
    assert!(new.iter().all(|(who, _)| !Who::DISTRIBUTORS.contains(who)), "{:?}", subjects(&new));
    golden.add(&new);
    world.is_refused(Who::Mia, "/approve tell-1@1", "your own approval does not count");
    golden.scene("Tom approves it, and it leaves");
    let new = world.says(Who::Tom, "/approve tell-1@1");
    for who in Who::DISTRIBUTORS {
        let mail = only(&new, who);
        assert!(mail.says("somebody at hand") && !mail.says("Mia"), "{}", mail.text);
    }
    let ann: Vec<_> = new.into_iter().filter(|(who, _)| *who == Who::Ann).collect();
    golden.add(&ann);
    world.is_refused(Who::Mia, "/tell dev_list\nhello", "no group under embargo");
    world.is_refused(Who::Mia, "/preview tell-1", "has left already");
    let mut draft =
        Draft::sealed(&format!("/tell private_distributors\nx\n\n> {}", world.reference()));
    draft.attachments.push(("a.bin".to_owned(), vec![1]));
    // What goes with it is shown to those who approve it, and approved with it.
    let new = world.sends(Who::Mia, &draft);
    let shown = only(&new, Who::Tom);
    assert_eq!(shown.attachments, [("a.bin".to_owned(), vec![1])], "{}", shown.text);
    golden.check("tell");
}

#[test]
fn the_prepared_answers_say_what_they_should_and_no_more() {
    let mut golden = Golden::default();
    let mut world = World::new();
    for (name, text) in [
        ("private-handling", ""),
        ("not-a-vulnerability", "The file is read with the rights of the one who opens it."),
        ("fixed-in-the-open", "See change 4711."),
        ("safe-installation", "Put it behind a proxy."),
    ] {
        golden.scene(name);
        let new = world.says(Who::Mia, &format!("/answer {name}\n{text}"));
        golden.add(&new[..1]);
        let mail = only(&new, Who::Rita);
        assert!(mail.protection.is_encrypted() && mail.says(text), "{}", mail.text);
    }
    world.is_refused(Who::Mia, "/answer private-handling\nmore", "nothing can be added");
    world.is_refused(Who::Mia, "/answer something", "no prepared answer");
    // Without a key of the reporter's only what says nothing leaves.
    world.stage.write(Who::Paul, &Draft::plain("Bug", "A bug.")).unwrap();
    world.stage.pass(Span::seconds(10)).unwrap();
    let report = world.stage.mailbox(Who::Mia).unwrap().pop().unwrap();
    let new =
        world.sends(Who::Mia, &Draft::answer(&report, "/answer fixed-in-the-open\nChange 4711."));
    assert!(!only(&new, Who::Paul).says("4711"));
    golden.check("answers");
}

#[test]
fn tasks_can_be_skipped_and_taken_back_and_a_gate_asks_first() {
    let mut world = planned();
    world.is_refused(Who::Mia, "/skip advisory", "needs TASK REASON");
    world.does(Who::Mia, "/skip advisory the forge has none");
    world.is_refused(Who::Mia, "/skip advisory again", "done, sent or skipped");
    world.does(Who::Mia, "/undo advisory");
    let new = world.says(Who::Mia, "/skip binaries nothing to build");
    let asked = only(&new, Who::Tom);
    assert!(asked.says("is a gate") && asked.says("announce"), "{}", asked.text);
    world.does(Who::Tom, &format!("/confirm {}", asked.nonce().unwrap()));
    world.does(Who::Mia, "/undo binaries\n/undo plan");
    // The advance notice was approved and waits for the gate that is open no more.
    let new = world.waits(Span::days(16));
    assert!(!to(&new).contains(&Who::Ann), "{:?}", subjects(&new));
    world.is_refused(Who::Mia, "/undo MI-2.4", "nobody has said");
}

#[test]
fn the_history_is_told_and_who_one_is() {
    let mut golden = Golden::default();
    let mut world = planned();
    golden.scene("The history, for one of the team");
    let log = world.does(Who::Mia, "/log");
    golden.add(&[(Who::Mia, log.clone())]);
    assert!(log.says("tom: commands: approve") && log.says("T is 2026-03-23"));
    golden.scene("Who Uma is, who has no role here");
    let who = world.says(Who::Uma, "/whoami\n/list");
    golden.add(&who);
    golden.check("history");
}
