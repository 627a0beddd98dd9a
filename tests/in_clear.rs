//! An answer in clear, on purpose: to whoever wrote in clear, what a person typed and nothing else, once it was
//! shown and confirmed.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on should stop"
)]

mod common;

use common::{World, only, report, subjects};
use embargod::domain::facts::letter::Protection;
use embargod::domain::facts::names::{Handle, Span};
use embargod::rehearsal::Who;
use embargod::rehearsal::mail::{Draft, Read};

/// A desk with a report that Rita wrote in clear.
fn plain(world: &mut World) -> Handle {
    let new = world.sends(Who::Rita, &Draft::plain("A crash", "It crashes on a long name."));
    let handle = only(&new, Who::Mia).handle().unwrap();
    world.waits(Span::seconds(10));
    Handle::parse(&handle).unwrap()
}

fn to_reporter(mails: &[(Who, Read)]) -> Vec<Read> {
    mails.iter().filter(|(who, _)| *who == Who::Rita).map(|(_, mail)| mail.clone()).collect()
}

#[test]
fn what_a_person_typed_leaves_in_clear_once_it_was_shown_and_confirmed() {
    let mut world = World::new();
    let handle = plain(&mut world);
    let asked = world.says_on(
        Who::Mia,
        &handle,
        "/reply-clear\nWe cannot reproduce it.\nWhich version is it?",
    );
    assert!(to_reporter(&asked).is_empty(), "{:?}", subjects(&asked));
    let question = only(&asked, Who::Mia);
    for word in
        ["IN CLEAR", &Who::Rita.address(), "> We cannot reproduce it.", "> Which version is it?"]
    {
        assert!(question.says(word), "{word}: {}", question.text);
    }
    let confirm = format!("/confirm {}", question.nonce().unwrap());
    let done = world.says_on(Who::Mia, &handle, &confirm);
    let [mail] = to_reporter(&done).try_into().unwrap();
    assert_eq!((mail.protection, mail.by_desk), (Protection::Signed, true));
    assert!(mail.says("We cannot reproduce it.\nWhich version is it?"), "{}", mail.text);
    assert!(!mail.says("long name") && mail.says("Ref: "), "{}", mail.text);
    // The others see what was said, the record keeps it, and the reporter has been answered.
    let toms = done.iter().find(|(who, _)| *who == Who::Tom).unwrap();
    assert!(toms.1.says("We cannot reproduce it."), "{}", toms.1.text);
    let log = world.does_on(Who::Mia, &handle, "/log");
    assert!(log.says("IN CLEAR"), "{}", log.text);
    let incident = world.stage.engine().unwrap().desk().incident(&handle).unwrap();
    assert!(incident.answered.is_some());
    // Once is once.
    let again = world.says_on(Who::Mia, &handle, &confirm);
    assert!(to_reporter(&again).is_empty() && only(&again, Who::Mia).subject.contains("Not done"));
}

#[test]
fn nothing_leaves_in_clear_by_accident() {
    let mut world = World::new();
    let handle = plain(&mut world);
    // To whoever wrote sealed, never.
    world.is_refused(Who::Mia, "/reply-clear\nHello.", "they wrote to us encrypted");
    world.is_refused_on(Who::Mia, &handle, "/reply-clear", "/reply-clear");
    // Not what belongs to another incident.
    let other = world.handle.clone();
    let text = format!("/reply-clear\nIt is the same as {other}.");
    world.is_refused_on(Who::Mia, &handle, &text, "ANOTHER incident");
    // However it is written; and its tail alone, or a number of its, broken or with other hyphens.
    world.does(Who::Mia, "/accept\n/cve CVE-2026-77777");
    let tail = other.as_str().rsplit('-').next().unwrap();
    for named in [tail, "CVE\u{2011}2026\u{2011}77777", "cve 2026 77777", "CVE-2026-\n77777"] {
        let text = format!("/reply-clear\nAs in {named} it is.");
        world.is_refused_on(Who::Mia, &handle, &text, "ANOTHER incident");
    }
    // A prepared answer that is mistyped is no text to send.
    world.is_refused_on(
        Who::Mia,
        &handle,
        "/reply-clear nonsense\nThank you.",
        "no prepared answer",
    );
    // Not with a file.
    let reference = world.reference_of(Who::Mia, &handle);
    let mut draft = Draft::sealed(&format!("/reply-clear\nSee the file.\n\n> {reference}\n"));
    draft.attachments.push(("fix.patch".to_owned(), b"+ fix".to_vec()));
    let new = world.sends(Who::Mia, &draft);
    assert!(only(&new, Who::Mia).says("nothing attached leaves in clear"));
    // What names the incident is asked about twice over.
    let asked = world.says_on(Who::Mia, &handle, &format!("/reply-clear\nWe keep it as {handle}."));
    assert!(only(&asked, Who::Mia).says("LOOK AGAIN"));
    // A key that comes meanwhile ends it.
    let nonce = only(&asked, Who::Mia).nonce().unwrap();
    let paul = world.reference_of(Who::Rita, &handle);
    let mut key = Draft::sealed(&format!("Here is my key.\n\n> {paul}\n"));
    key.with_key = true;
    world.sends(Who::Rita, &key);
    let late = world.says_on(Who::Mia, &handle, &format!("/confirm {nonce}"));
    assert!(to_reporter(&late).is_empty(), "{:?}", subjects(&late));
}

#[test]
fn a_config_or_a_process_can_forbid_it() {
    let mut world = World::with(|sources| sources.settings.clear_answers = false);
    let handle = plain(&mut world);
    let refusal = world.is_refused_on(Who::Mia, &handle, "/reply-clear\nHello.", "the config");
    assert!(refusal.says("/reply"), "{}", refusal.text);
    let mut world = World::with(|sources| {
        let playbook = sources.playbooks.get_mut(&sources.settings.playbook).unwrap();
        assert!(playbook.contains("[playbook]\n"));
        *playbook = playbook.replacen("[playbook]\n", "[playbook]\nclear_answers = \"never\"\n", 1);
    });
    let handle = plain(&mut world);
    world.is_refused_on(Who::Mia, &handle, "/reply-clear\nHello.", "the process");
}

#[test]
fn when_a_key_comes_the_team_hears_what_waits() {
    let mut world = World::new();
    let handle = plain(&mut world);
    world.does_on(Who::Mia, &handle, "/reply\nPlease try with version 3.");
    let paul = world.reference_of(Who::Rita, &handle);
    let mut key = Draft::sealed(&format!("Here is my key.\n\n> {paul}\n"));
    key.with_key = true;
    let new = world.sends(Who::Rita, &key);
    let mias = new.iter().find(|(who, _)| *who == Who::Mia).unwrap();
    let flat = mias.1.text.replace('\n', " ");
    assert!(flat.contains("NOT sent for want of a key"), "{}", mias.1.text);
    let _ = report(&mut world.stage);
}
