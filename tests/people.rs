//! Who leads, whose turn it is, and what comes of silence.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop, and says so"
)]

mod common;

use common::{Golden, World, only, subjects, to};
use embargod::domain::facts::names::{Handle, PersonId, Span};
use embargod::engine::Sources;
use embargod::rehearsal::mail::{Draft, Read};
use embargod::rehearsal::{Stage, Who};

/// The process with a rotation among three people, and a weekly word to the reporter.
fn rotating(sources: &mut Sources) {
    let text = sources.playbooks.get_mut("minder").unwrap();
    text.push_str(
        "\n[assign]\nrole = \"security_team\"\norder = \"round_robin\"\nwithin = \"24h\"\norigin = \"local\"\n\
         \n[reporter_update]\nevery = \"7d\"\norigin = \"local\"\n",
    );
    let uma = PersonId::parse("uma").unwrap();
    sources.roster.people.get_mut(&uma).unwrap().roles.insert("security_team".to_owned());
}

fn asked(new: &[(Who, Read)]) -> Vec<Who> {
    let turn = new.iter().filter(|(_, mail)| mail.subject.contains("your turn to lead"));
    turn.map(|(who, _)| *who).collect()
}

/// A further report; gives the incident and who was asked to lead it.
fn report(world: &mut World, n: u32) -> (Handle, Vec<Who>) {
    let new =
        world.sends(Who::Rita, &Draft { with_key: true, ..Draft::sealed(&format!("Report {n}.")) });
    let copy = new.iter().find(|(who, _)| *who == Who::Mia).unwrap();
    (Handle::parse(&copy.1.handle().unwrap()).unwrap(), asked(&new))
}

fn lead(world: &World, handle: &Handle) -> Option<String> {
    let incident = &world.stage.engine().unwrap().desk().incidents[handle];
    incident.lead.as_ref().map(ToString::to_string)
}

#[test]
fn the_turn_goes_round_and_a_declined_turn_is_not_used_up() {
    let mut golden = Golden::default();
    let mut world = World::with(rotating);
    let first = world.handle.clone();
    // Mia was asked with the first report, being the first of the three.
    golden.scene("Mia declines; Tom is asked, and takes it");
    let new = world.says_on(Who::Mia, &first, "/decline");
    assert_eq!(asked(&new), [Who::Tom], "{:?}", subjects(&new));
    golden.add(&new);
    let new = world.says_on(Who::Tom, &first, "/take");
    golden.add(&new);
    assert_eq!(lead(&world, &first).as_deref(), Some("tom"));
    // Declined is not taken: the next is Mia's. And while she is asked, Uma is the next after.
    let (second, who) = report(&mut world, 2);
    assert_eq!(who, [Who::Mia]);
    let (third, who) = report(&mut world, 3);
    assert_eq!(who, [Who::Uma]);
    world.does_on(Who::Mia, &second, "/take");
    world.does_on(Who::Uma, &third, "/take");
    // All have had one; Tom's is longest ago.
    let (fourth, who) = report(&mut world, 4);
    assert_eq!(who, [Who::Tom]);
    // Tom says nothing: a reminder at half time, then it goes to the next. His turn stays his.
    golden.scene("Tom says nothing for a day");
    let new = world.waits(Span::hours(13));
    let reminded: Vec<_> = new
        .iter()
        .filter(|(_, mail)| mail.subject.contains("You were asked to lead"))
        .cloned()
        .collect();
    assert_eq!(to(&reminded), [Who::Tom]);
    golden.add(&reminded);
    let new = world.waits(Span::hours(12));
    assert_eq!(asked(&new), [Who::Mia], "{:?}", subjects(&new));
    world.is_refused_on(Who::Tom, &fourth, "/decline", "nobody asked you");
    world.does_on(Who::Mia, &fourth, "/take");
    let (_, who) = report(&mut world, 5);
    assert_eq!(who, [Who::Tom], "silence uses up no turn");
    golden.check("rotation");
}

#[test]
fn who_is_away_is_skipped_and_an_empty_rotation_is_said() {
    let mut world = World::with(rotating);
    world.does(Who::Mia, "/decline");
    world.does(Who::Tom, "/take");
    world.does(Who::Tom, "/away 2026-03-20");
    world.does(Who::Uma, "/away 2026-03-20");
    let (second, who) = report(&mut world, 2);
    assert_eq!(who, [Who::Mia]);
    let new = world.says_on(Who::Mia, &second, "/decline");
    let told: Vec<_> =
        new.iter().filter(|(_, mail)| mail.subject.contains("Nobody leads")).cloned().collect();
    assert_eq!(to(&told), [Who::Mia, Who::Tom, Who::Uma], "{:?}", subjects(&new));
    world.does(Who::Tom, "/back");
    let (_, who) = report(&mut world, 3);
    assert_eq!(who, [Who::Mia], "she has taken none");
    let (_, who) = report(&mut world, 4);
    assert_eq!(who, [Who::Tom]);
}

#[test]
fn the_old_lead_leads_until_the_new_one_takes_it() {
    let mut golden = Golden::default();
    let mut world = World::new();
    world.does(Who::Mia, "/accept");
    let handle = world.handle.clone();
    world.does(Who::Mia, "/handoff tom");
    assert_eq!(lead(&world, &handle).as_deref(), Some("mia"));
    golden.scene("Tom says nothing");
    let new: Vec<_> = world
        .waits(Span::hours(25))
        .into_iter()
        .filter(|(_, m)| m.subject.contains("lead"))
        .collect();
    // Tom is reminded; who asked him is told that he said nothing.
    assert_eq!(to(&new), [Who::Mia, Who::Tom], "{:?}", subjects(&new));
    golden.add(&new);
    assert_eq!(lead(&world, &handle).as_deref(), Some("mia"));
    world.is_refused(Who::Tom, "/take", "has not handed over to you");
    golden.scene("Asked again, he declines");
    world.does(Who::Mia, "/handoff tom");
    golden.add(&world.says(Who::Tom, "/decline"));
    assert_eq!(lead(&world, &handle).as_deref(), Some("mia"));
    golden.scene("As a deputy he takes over, asked whether he means it");
    world.does(Who::Mia, "/deputy tom");
    let asked = world.does(Who::Tom, "/take");
    golden.add(&[(Who::Tom, asked.clone())]);
    assert_eq!(lead(&world, &handle).as_deref(), Some("mia"));
    let new = world.says(Who::Tom, &format!("/confirm {}", asked.nonce().unwrap()));
    golden.add(&new);
    assert_eq!(to(&new), [Who::Mia, Who::Tom]);
    assert_eq!(lead(&world, &handle).as_deref(), Some("tom"));
    golden.check("handoff");
}

#[test]
fn silence_is_noticed_and_goes_further_up() {
    let mut golden = Golden::default();
    let mut world = World::new();
    world.does(Who::Mia, "/accept\n/lead me");
    golden.scene("Nine days in which nobody says a word");
    let new = world.waits(Span::days(9));
    let mias: Vec<_> = new.iter().filter(|(who, _)| *who == Who::Mia).cloned().collect();
    let has = |what: &str| mias.iter().filter(|(_, mail)| mail.subject.contains(what)).count();
    assert!(
        has("Tasks are due") > 0 && has("Nobody did what was due") > 0,
        "{:?}",
        subjects(&mias)
    );
    assert_eq!(has("Nothing happens on this incident"), 1);
    golden.add(&mias);
    golden.scene("With a date set, waiting is what there is to do");
    world.confirms(Who::Mia, "/disclose 2026-06-01");
    let new = world.waits(Span::days(20));
    assert!(!new.iter().any(|(_, mail)| mail.subject.contains("Nothing happens")));
    golden.check("silence");
}

#[test]
fn the_reporter_gets_a_weekly_word_where_the_process_says_so() {
    let mut golden = Golden::default();
    for (weekly, wanted) in [(true, 2), (false, 0)] {
        let mut world = if weekly { World::with(rotating) } else { World::new() };
        world.does(Who::Mia, "/accept");
        let new = world.waits(Span::days(15));
        let words: Vec<_> = new.into_iter().filter(|(who, _)| *who == Who::Rita).collect();
        assert_eq!(words.len(), wanted, "{:?}", subjects(&words));
        if weekly {
            golden.scene("A week without another word, for a reporter with a key");
            golden.add(&words[..1]);
            // A person's word counts as one.
            world.says(Who::Mia, "/reply\nWe are on it.");
            let new = world.waits(Span::days(6));
            assert!(!to(&new).contains(&Who::Rita));
            world.confirms(Who::Mia, "/close");
            let new = world.waits(Span::days(15));
            assert!(!to(&new).contains(&Who::Rita), "not once it is closed");
        }
    }
    golden.check("weekly");
}

#[test]
fn a_reporter_who_asks_is_told_one_true_word() {
    let mut golden = Golden::default();
    let mut world = World::new();
    world.stage.write(Who::Paul, &Draft::plain("Bug", "The quince is in the parser.")).unwrap();
    world.stage.pass(Span::seconds(10)).unwrap();
    let ack = world.stage.mailbox(Who::Paul).unwrap().pop().unwrap();
    let handle = Handle::parse(&ack.handle().unwrap()).unwrap();
    let ask = |text: &str| {
        let line = ack.text.lines().find(|line| line.starts_with("Ref: ")).unwrap();
        Draft::plain("Re: Bug", &format!("{text}\n\n> {line}"))
    };
    golden.scene("Paul, who has no key, asks");
    let new = world.sends(Who::Paul, &ask("/status"));
    assert_eq!(to(&new), [Who::Paul], "nobody else needs to read that");
    assert!(new[0].1.says("It is: received."), "{}", new[0].1.text);
    golden.add(&new);
    assert!(world.sends(Who::Paul, &ask("/status")).is_empty(), "once an hour");
    // Somebody else with another's reference, or without: no answer to them.
    let mut forged = ask("/status");
    forged.from = Some("thief@people.test".to_owned());
    world.waits(Span::hours(2));
    let new =
        world.sends(Who::Rita, &Draft { text: "/status".to_owned(), ..Draft::plain("x", "") });
    assert!(!new.iter().any(|(_, mail)| mail.says("It is:")), "{:?}", subjects(&new));
    let new = world.sends(Who::Ann, &forged);
    assert_eq!(to(&new), [Who::Paul], "the answer goes to the recorded address only");
    world.does_on(Who::Mia, &handle, "/accept");
    world.waits(Span::hours(2));
    let new = world.sends(Who::Paul, &ask("/status"));
    assert!(new[0].1.says("It is: being worked on."), "{}", new[0].1.text);
    assert!(!new[0].1.says("quince"));
    golden.scene("How to name him, and when he will publish");
    let new = world.sends(Who::Paul, &ask("/credit Paul of Example\n/publish next Monday"));
    golden.add(&new);
    assert_eq!(to(&new), [Who::Mia, Who::Tom]);
    let incident = &world.stage.engine().unwrap().desk().incidents[&handle];
    assert_eq!(incident.fields["credit"], "Paul of Example");
    golden.check("reporter");
}

/// Whoever mails in a captured ciphertext gets the same answers as anyone.
#[test]
fn l22_asking_under_the_name_of_a_copy_tells_a_thief_nothing() {
    let mut world = World::new();
    let original = Draft::sealed("A second secret report.");
    let sealed = world.seal(Who::Rita, &original.entity(None));
    let mail = world.mail(Who::Rita, "1@x", &original, &sealed);
    world.deliver(mail);
    let mail = world.mail(Who::Paul, "2@x", &original, &sealed);
    world.stage.deliver(&Who::Paul.address(), mail).unwrap();
    world.stage.pass(Span::seconds(10)).unwrap();
    let ack = world.stage.mailbox(Who::Paul).unwrap().pop().unwrap();
    let line = ack.text.lines().find(|line| line.starts_with("Ref: ")).unwrap().to_owned();
    let draft = Draft::plain("x", &format!("/status\n\n{line}"));
    let new = world.sends(Who::Paul, &draft);
    let answer = only(&new, Who::Paul);
    assert!(answer.says("It is: received.") && answer.says(&line), "{}", answer.text);
    assert!(world.sends(Who::Paul, &draft).is_empty(), "once an hour, as for anyone");
}

//------------ What a second look found -----------------------------------------------------------

#[test]
fn the_rotation_goes_on_whatever_happens_to_who_was_asked() {
    let mut world = World::with(rotating);
    let handle = world.handle.clone();
    let asked_now = |world: &World| {
        let incident = &world.stage.engine().unwrap().desk().incidents[&handle];
        incident.offer.as_ref().map(|offer| offer.to.to_string())
    };
    assert_eq!(asked_now(&world).as_deref(), Some("mia"));
    // Who was asked leaves: the next is asked.
    world.confirms(Who::Mia, "/leave");
    assert_eq!(asked_now(&world).as_deref(), Some("tom"));
    let desk = world.stage.engine().unwrap().desk();
    assert_eq!(desk.rota.turns_offered(&PersonId::parse("mia").unwrap()), 0);
    // Nobody is told of another's turn, however long the desk was down.
    let new = world.waits(Span::days(3));
    for (who, mail) in new.iter().filter(|(_, mail)| mail.subject.contains("You were asked")) {
        assert!(matches!(who, Who::Tom | Who::Uma), "{}: {}", who.id(), mail.subject);
    }
}

#[test]
fn reports_that_came_in_a_heap_get_a_lead_once_somebody_looks() {
    let mut world = World::with(rotating);
    for n in 0..14 {
        world.stage.write(Who::Paul, &Draft::plain("Bug", &format!("Bug {n}."))).unwrap();
    }
    world.stage.pass(Span::hours(1)).unwrap();
    let desk = world.stage.engine().unwrap().desk();
    assert_eq!(desk.incidents.len(), 15);
    // Those that people have seen; the others wait in the digest until somebody takes one up.
    assert!(desk.all().all(|incident| incident.offer.is_some() != incident.deferred));
    let people =
        ["mia", "tom", "uma"].map(|id| desk.rota.turns_offered(&PersonId::parse(id).unwrap()));
    let offered = desk.all().filter(|incident| incident.offer.is_some()).count();
    assert!(offered >= 5 && people.iter().sum::<usize>() == offered);
    assert!(people.iter().max().unwrap() - people.iter().min().unwrap() <= 1, "{people:?}");
    let waiting = desk.all().find(|incident| incident.deferred).unwrap().handle.clone();
    world.does_on(Who::Mia, &waiting, "/note it is real");
    world.stage.pass(Span::minutes(5)).unwrap();
    assert!(world.stage.engine().unwrap().desk().incidents[&waiting].offer.is_some());
}

#[test]
fn an_incident_whose_lead_has_left_can_be_led_again() {
    let mut world = World::new();
    world.does(Who::Mia, "/accept");
    world.confirms(Who::Mia, "/close");
    world.confirms(Who::Mia, "/leave");
    world.confirms(Who::Tom, "/reopen");
    world.does(Who::Tom, "/take");
    let handle = world.handle.clone();
    assert_eq!(lead(&world, &handle).as_deref(), Some("tom"));
    world.is_refused(Who::Tom, "/leave", "you lead this incident");
    world.confirms(Who::Tom, "/close");
    world.is_refused(Who::Tom, "/leave", "nobody else on this incident");
}

#[test]
fn a_date_that_has_passed_without_a_word_is_not_forgotten() {
    let mut world = World::new();
    world.does(Who::Mia, "/accept\n/disclose 2026-03-16");
    let new = world.waits(Span::days(60));
    let quiet = new.iter().filter(|(who, mail)| {
        *who == Who::Mia && mail.subject.contains("Nothing happens on this incident")
    });
    assert!(quiet.count() >= 1, "{:?}", subjects(&new));
}

/// Somebody keeps a copy of one mail of Mia's and sends it day after day.
#[test]
fn copies_of_a_command_do_not_keep_the_alarm_off() {
    let mut world = World::new();
    let draft = Draft::sealed(&format!("/accept\n\n> {}", world.reference()));
    let sealed = world.seal(Who::Mia, &draft.entity(None));
    let mail = world.mail(Who::Mia, "1@x", &draft, &sealed);
    world.deliver(mail);
    let mut quiet = 0;
    for n in 0..10 {
        let new = world.waits(Span::hours(23));
        quiet += new.iter().filter(|(_, mail)| mail.subject.contains("Nothing happens")).count();
        let mail = world.mail(Who::Ann, &format!("{n}@copy"), &draft, &sealed);
        world.deliver(mail);
    }
    assert!(quiet > 0);
}

#[test]
fn somebody_of_the_roster_who_reports_is_answered_as_a_reporter() {
    let mut world = World::new();
    for who in [Who::Ann, Who::Tom] {
        let mut report = Draft::sealed("I have found something myself.");
        report.with_key = true;
        let new = world.sends(who, &report);
        let ack =
            new.iter().find(|(_, mail)| mail.subject.contains("We received")).unwrap().1.clone();
        let new = world.sends(who, &Draft::answer(&ack, "/status"));
        assert!(only(&new, who).says("It is: received."), "{:?}", subjects(&new));
        let new = world.sends(who, &Draft::answer(&ack, "One thing more."));
        assert!(to(&new).contains(&Who::Mia), "{}: {:?}", who.id(), subjects(&new));
        assert!(!new.iter().any(|(_, mail)| mail.subject.contains("Not done")));
    }
}

#[test]
fn who_has_joined_uses_the_words_of_the_desk_without_a_role_in_the_roster() {
    let mut world = World::new();
    world.seconds(Who::Mia, "/join ann fix_team", Who::Tom);
    let before = world.stage.engine().unwrap().desk().incidents.len();
    let handle = world.handle.clone();
    for text in ["/list".to_owned(), "/ping".to_owned(), format!("/incident {handle}\n/status")] {
        let new = world.sends(Who::Ann, &Draft::sealed(&text));
        assert!(only(&new, Who::Ann).subject.contains("Done:"), "{text}: {:?}", subjects(&new));
    }
    assert_eq!(world.stage.engine().unwrap().desk().incidents.len(), before);
}

#[test]
fn what_did_not_leave_is_not_said_to_have_left() {
    let mut world = World::new();
    world.stage.write(Who::Paul, &Draft::plain("Bug", "A bug.")).unwrap();
    world.stage.pass(Span::seconds(10)).unwrap();
    let report = world.stage.mailbox(Who::Mia).unwrap().pop().unwrap();
    let new = world.sends(Who::Mia, &Draft::answer(&report, "/reject It needs root anyway."));
    let paul = only(&new, Who::Paul);
    assert!(!paul.says("being worked on") && paul.says("has an answer"), "{}", paul.text);
    let tom = only(&new, Who::Tom);
    assert!(tom.subject.contains("NOT sent to the reporter"), "{}", tom.subject);
    assert!(only(&new, Who::Mia).says("NOT sent"));
}

#[test]
fn the_rotation_goes_on_when_somebody_is_back() {
    let mut world = World::with(rotating);
    world.does(Who::Tom, "/away 2026-03-20");
    world.does(Who::Uma, "/away 2026-03-20");
    let answer = world.does(Who::Mia, "/decline");
    assert!(answer.says("nobody is left to be asked"), "{}", answer.text);
    world.does(Who::Tom, "/back");
    let new = world.waits(Span::hours(25));
    assert_eq!(asked(&new), [Who::Tom], "{:?}", subjects(&new));
}
