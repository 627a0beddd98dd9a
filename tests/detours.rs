//! Ways round a process that must not work: by a field, a shared release, another version, a gate
//! that was skipped, or a date that moved.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on should stop, and says so"
)]

mod common;
#[path = "tales/tale.rs"]
#[allow(dead_code, reason = "told in another test")]
mod tale;

use std::collections::BTreeMap;

use common::{World, to};
use embargod::domain::facts::names::{Handle, PersonId, Span};
use embargod::domain::process::playbook::{load, load_stored};
use embargod::rehearsal::Who;
use tale::{Cast, Tale};

const RECORD: &str = "/title T\n/set affected all\n/set impact much\n/set fixed 3.2\n/set binaries https://x.example/\n\
    /cve CVE-2026-41234\n/cvss CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";

/// Minder with everything approved and every gate open, long before T.
fn approved() -> World {
    let mut world = World::new();
    world.does(Who::Mia, "/accept\n/lead me");
    world.does(Who::Mia, RECORD);
    world.does(Who::Mia, "/disclose 2026-03-19");
    world.does(Who::Tom, "/done fix-ready\n/done agree-day");
    world.seconds(Who::Mia, "/done agree-day\n/done plan\n/done binaries", Who::Tom);
    world.does(Who::Mia, "/preview advance\n/preview final\n/preview announce");
    world.does(Who::Tom, "/approve advance@1\n/approve final@1\n/approve announce@1");
    world
}

fn outside(new: &[(Who, embargod::rehearsal::mail::Read)]) -> usize {
    new.iter().filter(|(who, _)| matches!(who, Who::Ann | Who::Bob | Who::Cleo | Who::List)).count()
}

#[test]
fn no_word_in_the_record_sends_a_notice_before_its_moment() {
    let mut world = approved();
    for word in ["/set private_denied yes", "/exploited"] {
        let new = world.says(Who::Tom, word);
        assert_eq!(outside(&new), 0, "{word}: {:?}", to(&new));
        let new = world.waits(Span::hours(2));
        assert_eq!(outside(&new), 0, "{word}: {:?}", to(&new));
    }
    // The team is told that the process takes another way, and by whom.
    let mails = world.stage.arrivals.iter();
    let told =
        mails.filter(|(_, who, mail)| *who == Who::Mia && mail.subject.contains("another way"));
    assert_eq!(told.count(), 1);
}

#[test]
fn gates_of_the_day_lapse_when_the_day_moves() {
    let mut world = approved();
    let asked = world.does(Who::Mia, "/disclose 2026-03-23");
    assert!(asked.says("to be opened again: binaries"), "{}", asked.text);
    world.does(Who::Mia, &format!("/confirm {}", asked.nonce().unwrap()));
    world.does(Who::Mia, "/preview announce");
    world.does(Who::Tom, "/approve announce@2");
    let new = world.waits(Span::days(22));
    assert!(!to(&new).contains(&Who::List), "cleared for another day");
    let new = world.seconds(Who::Mia, "/done binaries", Who::Tom);
    assert_eq!(new.iter().filter(|(who, _)| *who == Who::List).count(), 1);
}

#[test]
fn nothing_becomes_public_by_a_gate_that_was_skipped() {
    let mut world = approved();
    world.does(Who::Mia, "/undo binaries");
    let new = world.seconds(Who::Mia, "/skip binaries nothing to build", Who::Tom);
    assert!(new.iter().any(|(_, mail)| mail.says("Skipped")), "{:?}", to(&new));
    // Some hours past T: not yet so late that it must be approved again.
    let new = world.waits(Span::hours(17 * 24 + 10));
    assert!(!to(&new).contains(&Who::List));
    let new = world.seconds(Who::Mia, "/undo binaries\n/done binaries", Who::Tom);
    assert!(to(&new).contains(&Who::List));
}

#[test]
fn another_version_voids_what_was_approved_for_a_row_that_has_changed() {
    let mut world = approved();
    let handle = world.handle.clone();
    let text = world.stage.engine().unwrap().desk().playbooks["minder"].clone();
    assert_eq!(text.version, 4);
    let (_, text) =
        embargod::domain::process::playbook::BUILTIN.iter().find(|(n, _)| *n == "minder").unwrap();
    let newer = text.replace("version = 4", "version = 5").replacen(
        "[[group]]\nid = \"dev_list\"",
        "[[group]]\nid = \"others\"\nlabel = \"others\"\ntlp = \"AMBER\"\n\n[[group]]\nid = \"dev_list\"",
        1,
    );
    let advance = newer.find("id = \"MI-3.1\"").unwrap();
    let (head, tail) = newer.split_at(advance);
    let newer = format!(
        "{head}{}",
        tail.replacen("audience = \"private_distributors\"", "audience = \"others\"", 1)
    );
    world.stage.migrate(&handle, "minder", Some(newer)).unwrap();
    let new = world.waits(Span::days(11));
    assert_eq!(outside(&new), 0, "the frozen text was for others: {:?}", to(&new));
    world.is_refused(Who::Tom, "/approve advance@1", "there is no draft");
    // What says the same in both versions stands.
    let new = world.waits(Span::days(6));
    assert_eq!(new.iter().filter(|(_, mail)| mail.subject.contains("Reminder")).count(), 3);
}

#[test]
fn what_a_journal_holds_is_read_by_the_rules_of_its_day() {
    let text = "[playbook]\nid = \"p\"\nversion = 1\ntitle = \"P\"\nintake = \"team\"\n\
        [[role]]\nid = \"team\"\nlabel = \"team\"\n[[role]]\nid = \"reporter\"\nlabel = \"r\"\n\
        [[group]]\nid = \"we ird\"\nlabel = \"g\"\ntlp = \"CLEAR\"\n\
        [[group]]\nid = \"green\"\nlabel = \"g\"\ntlp = \"GREEN\"\n\
        [[field]]\nid = \"affected\"\nlabel = \"a\"\n[[field]]\nid = \"Own\"\nlabel = \"a\"\n\
        [[task]]\nid = \"x\"\nphase = \"\"\ntitle = \"X\"\nkind = \"draft\"\ntemplate = \"advance\"\n\
        audience = \"green\"\nwhen = { anchor = \"T\", offset = \"-7d\" }\norigin = \"local\"\n";
    assert!(load(text, &BTreeMap::new()).unwrap_err().len() >= 6);
    load_stored(text, &BTreeMap::new()).unwrap();
}

const CAST: Cast = &[
    (Who::Mia, &["handlers", "support"], &[]),
    (Who::Tom, &["handlers", "sweng", "qa"], &[]),
    (Who::Cleo, &[], &["os_packagers"]),
];

fn accepted(tale: &mut Tale, what: &str, who: Who) -> Handle {
    tale.report(what);
    tale.does(who, "/accept\n/lead me");
    tale.world.handle.clone()
}

#[test]
fn a_shared_release_gives_nobody_what_is_not_theirs() {
    let mut tale = Tale::of("isc", CAST);
    let mias = accepted(&mut tale, "One.", Who::Mia);
    let toms = accepted(&mut tale, "Two.", Who::Tom);
    tale.does(Who::Tom, "/batch x");
    tale.on(&mias);
    // To join what is there is asked about, and who leads the other hears of it.
    tale.confirms(Who::Mia, "/batch x");
    tale.refused(Who::Mia, "/preview packagers", "for the First IM");
    // The first of the release turns out to be nothing: its lead speaks for nobody any more.
    tale.on(&toms);
    tale.confirms(Who::Tom, "/reject It is nothing.");
    tale.on(&mias);
    tale.refused(Who::Tom, "/preview packagers", "for the First IM");
    tale.refused(Who::Mia, "/preview packagers", "needs these in the record first");
    // Opened again it is part of no release, whatever date that has by now.
    tale.does(Who::Mia, "/disclose 2026-03-26");
    tale.on(&toms);
    tale.confirms(Who::Tom, "/reopen");
    let incident = |tale: &Tale, handle: &Handle| {
        let desk = tale.world.stage.engine().unwrap().desk();
        let incident = &desk.incidents[handle];
        (incident.batch.clone(), incident.t())
    };
    assert_eq!(incident(&tale, &toms), (None, None));
    // Once it was said that no more come, no more come.
    tale.on(&mias);
    tale.does(Who::Mia, "/batch final");
    tale.on(&toms);
    tale.refused(Who::Tom, "/batch x", "no more incidents come");
    assert_eq!(incident(&tale, &mias).0.as_deref(), Some("x"));
}

#[test]
fn who_leads_the_first_but_is_not_on_the_second_gets_nothing_of_it() {
    let mut tale = Tale::of("isc", CAST);
    let first = accepted(&mut tale, "One.", Who::Tom);
    tale.does(Who::Tom, "/batch x");
    let second = accepted(&mut tale, "Two.", Who::Mia);
    tale.confirms(Who::Mia, "/batch x");
    tale.on(&second);
    tale.confirms(Who::Tom, "/leave");
    let desk = tale.world.stage.engine().unwrap().desk();
    assert_eq!(desk.incidents[&first].first_lead, PersonId::parse("tom"));
    assert_eq!(desk.incidents[&second].first_lead, None, "its own lead speaks for it");
    tale.refused(Who::Mia, "/preview packagers", "needs these in the record first");
}

const FIXERS: Cast =
    &[(Who::Mia, &["emst", "maintainers"], &[]), (Who::Tom, &["emst", "maintainers"], &[])];

#[test]
fn a_release_that_was_taken_back_brings_the_fix_team_back() {
    let mut tale = Tale::of("emissary", FIXERS);
    tale.report("One query stops it.");
    tale.does(Who::Mia, "/take");
    tale.does(Who::Mia, "/accept");
    tale.confirms(Who::Mia, "/join uma fix_team");
    tale.does(Who::Uma, "/done fix-ready 0123456789abcdef0123");
    tale.does(Who::Mia, "/disclose 2026-03-12 17:00 UTC");
    // Ten days before its day that is asked about.
    tale.confirms(Who::Tom, "/done merge 0123456789abcdef0123");
    let joined = |tale: &Tale| tale.world.incident().joined.len();
    assert_eq!(joined(&tale), 0, "the Fix Team has ended");
    tale.does(Who::Tom, "/undo merge");
    assert_eq!(joined(&tale), 1);
    tale.does(Who::Uma, "/done develop");
}

#[test]
fn a_grace_that_moves_the_release_is_asked_about() {
    let cast: Cast = &[(Who::Mia, &["team"], &[]), (Who::Tom, &["team"], &[])];
    let mut tale = Tale::of("apereo", cast);
    tale.report("A ticket can be used twice.");
    tale.does(Who::Mia, "/accept");
    tale.does(Who::Mia, "/disclose 2026-03-26");
    let asked = tale.does(Who::Tom, "/set grace 5bd").text.replace('\n', " ");
    assert!(asked.contains("The release moves from Thu 2026-03-26 15:00 UTC"), "{asked}");
    assert!(tale.world.incident().grace().unwrap().to_string() == "0", "not done yet");
}

/// The document's shortest times are asked about like its longest, with their lines, and a lawful moment is named.
#[test]
fn a_day_that_the_process_does_not_allow_is_asked_about_whichever_way() {
    let cast: Cast = &[(Who::Mia, &["team"], &[]), (Who::Tom, &["team"], &[])];
    let mut tale = Tale::of("apereo", cast);
    tale.report("A ticket can be used twice.");
    tale.does(Who::Mia, "/accept");
    let asked = tale.does(Who::Mia, "/disclose +8d").text.replace('\n', " ");
    let asked = asked.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "at least 15 days from `accepted` (line 35): not before Tue 2026-03-17",
        "at least 2 weeks from `received` (line 23)",
        "the nearest moment that the process allows is Tue 2026-03-17 15:00",
    ] {
        assert!(asked.contains(words), "{words}: {asked}");
    }
    assert!(tale.world.incident().t().is_none(), "not done yet");
}

#[test]
fn what_is_done_once_for_a_release_is_done_by_one_that_can() {
    let mut tale = Tale::of("isc", CAST);
    let first = accepted(&mut tale, "One.", Who::Tom);
    tale.does(Who::Tom, "/set product stork\n/batch x");
    let second = accepted(&mut tale, "Two.", Who::Mia);
    tale.does(Who::Mia, "/set product bind9");
    tale.confirms(Who::Mia, "/batch x");
    // The first is not BIND, so it sends no pre-announcement, and does not take it from the second.
    let incident = |tale: &Tale, handle: &Handle| {
        tale.world.stage.engine().unwrap().desk().incidents[handle].clone()
    };
    let applies = |tale: &Tale, handle: &Handle| {
        let incident = incident(tale, handle);
        let row = incident.playbook.task("pre-announcement").unwrap().clone();
        incident.applies(&row)
    };
    use embargod::domain::process::playbook::Truth;
    assert_eq!((applies(&tale, &first), applies(&tale, &second)), (Truth::No, Truth::Yes));
    tale.on(&first);
    tale.does(Who::Tom, "/set product bind9");
    assert_eq!((applies(&tale, &first), applies(&tale, &second)), (Truth::Yes, Truth::No));
    // Once the public knows of the first, it speaks for the others no more.
    tale.confirms(Who::Tom, "/known-public");
    assert_eq!(applies(&tale, &second), Truth::Yes);
    assert_eq!(incident(&tale, &second).first_lead, PersonId::parse("mia"));
    tale.waits(Span::days(3));
}

#[test]
fn who_has_left_is_not_brought_back_with_their_role() {
    let mut tale = Tale::of("emissary", FIXERS);
    tale.report("One query stops it.");
    tale.does(Who::Mia, "/take");
    tale.does(Who::Mia, "/accept");
    tale.confirms(Who::Mia, "/join uma fix_team");
    tale.confirms(Who::Mia, "/join uma maintainers");
    tale.does(Who::Uma, "/done fix-ready 0123456789abcdef0123");
    tale.does(Who::Mia, "/disclose 2026-03-12 17:00 UTC");
    tale.confirms(Who::Tom, "/done merge 0123456789abcdef0123");
    tale.confirms(Who::Uma, "/leave");
    tale.does(Who::Tom, "/undo merge");
    assert!(tale.world.incident().joined.is_empty());
}
