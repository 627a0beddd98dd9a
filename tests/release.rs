//! A notice that speaks for all incidents of a release: one mail, on the first of them, and none of the
//! promises that hold for each is lost on the others.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on should stop"
)]

mod common;

use common::{World, subjects};
use embargod::domain::facts::names::{Handle, PersonId, Span};
use embargod::rehearsal::mail::{Draft, Read};
use embargod::rehearsal::{Stage as _, Who};

const RECORD: &str = "/set product bind9\n/set affected 9.20.0 to 9.20.4\n/set impact it stops\n/set fixed 9.20.5\n\
    /set binaries https://x.example/\n/set test rndc status\n/set deploy no\n/cvss CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H";

fn cast(world: &mut embargod::engine::Sources) {
    world.settings.playbook = "isc".to_owned();
    let roles: [(&str, &[&str], &[&str]); 6] = [
        ("mia", &["handlers", "support", "qa"], &[]),
        ("tom", &["handlers", "support", "qa"], &[]),
        ("uma", &["sweng"], &[]),
        ("ann", &[], &["asn_customers"]),
        ("bob", &[], &["asn_customers"]),
        ("cleo", &[], &[]),
    ];
    for (id, roles, groups) in roles {
        let id = PersonId::parse(id).unwrap();
        let person = world.roster.people.get_mut(&id).unwrap();
        person.roles.retain(|role| role == "operator");
        person.roles.extend(roles.iter().map(|role| (*role).to_owned()));
        person.groups = groups.iter().map(|group| (*group).to_owned()).collect();
    }
}

fn report(world: &mut World, text: &str) -> Handle {
    let before = world.stage.mailbox(Who::Mia).unwrap().len();
    world.stage.write(Who::Rita, &Draft::sealed(text)).unwrap();
    world.stage.pass(Span::minutes(1)).unwrap();
    let mails = world.stage.mailbox(Who::Mia).unwrap();
    let new = mails.iter().skip(before).find(|mail| mail.subject.contains("New report")).unwrap();
    Handle::parse(&new.handle().unwrap()).unwrap()
}

/// Two incidents of one release: the first to join, and the other; T is set, and all is in the record.
fn two() -> (World, Handle, Handle) {
    let mut world = World::bare(cast);
    let first = report(&mut world, "A query stops the server.");
    let other = report(&mut world, "A zone transfer stops the server.");
    for (handle, title, cve) in [
        (&first, "Assertion in the resolver", "CVE-2026-41234"),
        (&other, "Crash on a transfer", "CVE-2026-9999"),
    ] {
        world.handle = handle.clone();
        world.does(Who::Mia, &format!("/accept\n/lead me\n/title {title}\n/cve {cve}\n{RECORD}"));
        let asked = world.does(Who::Mia, "/batch 9.20.5");
        if let Some(nonce) = asked.nonce() {
            world.does(Who::Mia, &format!("/confirm {nonce}"));
        }
    }
    world.handle = first.clone();
    let new = world.says(Who::Mia, "/disclose 2026-03-26");
    let nonce =
        new.iter().find_map(|(who, mail)| (*who == Who::Mia).then(|| mail.nonce()).flatten());
    world.does(Who::Mia, &format!("/confirm {}", nonce.unwrap()));
    (world, first, other)
}

fn gates(world: &mut World, handle: &Handle) {
    world.handle = handle.clone();
    world.does(Who::Uma, "/set reproducer_link https://g.example/1\n/set fix_link https://g.example/2\n/done fix\n/done reviewed");
    world.says(Who::Mia, "/join tom sweng");
    let mails = world.stage.mailbox(Who::Mia).unwrap();
    let nonce = mails.iter().rev().find_map(Read::nonce).unwrap();
    world.does(Who::Mia, &format!("/confirm {nonce}"));
    world.does(Who::Tom, "/done reviewed");
    let new = world.says(Who::Tom, "/done merge\n/done asn-releases");
    let asked = new.iter().find(|(who, mail)| *who == Who::Mia && mail.nonce().is_some());
    if let Some((_, asked)) = asked {
        world.does(Who::Mia, &format!("/confirm {}", asked.nonce().unwrap()));
    }
}

fn got(world: &mut World, who: Who, words: &str) -> Vec<Read> {
    let mails = world.stage.mailbox(who).unwrap();
    mails.into_iter().filter(|mail| mail.subject.contains(words)).collect()
}

#[test]
fn one_mail_has_all_and_waits_for_all() {
    let (mut world, first, other) = two();
    gates(&mut world, &first);
    world.does(Who::Mia, "/preview asn");
    let said = world.does(Who::Tom, "/approve asn@1").text;
    assert!(said.contains("is approved"), "{said}");
    // The other's releases are not prepared: nothing leaves, and people are told what it waits for.
    world.waits(Span::days(18));
    assert!(got(&mut world, Who::Ann, "Advance security").is_empty());
    let told = got(&mut world, Who::Mia, "not ready");
    assert!(
        told.iter().any(|mail| mail
            .text
            .replace('\n', " ")
            .contains("on another incident of the release")),
        "{told:?}"
    );
    gates(&mut world, &other);
    world.waits(Span::minutes(2));
    let notice = got(&mut world, Who::Ann, "Advance security");
    assert_eq!(notice.len(), 1);
    let text = &notice[0].text;
    let places =
        ["1 of 2: CVE-2026-9999", "2 of 2: CVE-2026-41234"].map(|words| text.find(words).unwrap());
    assert!(places.is_sorted() && text.lines().all(|line| line.chars().count() <= 72), "{text}");
    // On the other it stands as done, by whom and where.
    let agenda = world.does(Who::Mia, "/agenda").text;
    let agenda = agenda.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(agenda.contains(&format!("once for the release, on {first}, by tom")), "{agenda}");
}

#[test]
fn what_got_out_of_the_other_is_told_to_whoever_had_the_mail_of_the_first() {
    let (mut world, first, other) = two();
    gates(&mut world, &other);
    gates(&mut world, &first);
    world.does(Who::Mia, "/preview asn");
    world.does(Who::Tom, "/approve asn@1");
    world.waits(Span::days(18));
    assert_eq!(got(&mut world, Who::Bob, "Advance security").len(), 1);
    // T moves: one word to each, and not one for each incident.
    world.seconds(Who::Mia, "/disclose 2026-03-31", Who::Tom);
    assert_eq!(got(&mut world, Who::Bob, "Date changed").len(), 1);
    // The other has got out.
    world.handle = other.clone();
    let new = world.seconds(
        Who::Mia,
        "/leak unknown a patch to a public mirror by a wrong push",
        Who::Tom,
    );
    let ended: Vec<_> =
        new.iter().filter(|(_, mail)| mail.subject.contains("EMBARGO ENDED")).collect();
    assert_eq!(ended.len(), 2, "{:?}", subjects(&new));
    assert!(
        ended.iter().all(|(_, mail)| mail.subject.contains(other.as_str())),
        "{:?}",
        subjects(&new)
    );
    let replayed = world.stage.replayed().unwrap();
    for handle in [&first, &other] {
        let now = &world.stage.engine().unwrap().desk().incidents[handle];
        assert_eq!(format!("{:?}", replayed.incidents[handle]), format!("{now:?}"));
    }
}

#[test]
fn it_speaks_of_the_incidents_that_share_the_release_and_says_so_when_one_changes() {
    let (mut world, first, other) = two();
    gates(&mut world, &other);
    gates(&mut world, &first);
    world.does(Who::Mia, "/preview asn");
    world.does(Who::Tom, "/approve asn@1");
    // The record of the other changes under the draft of the first.
    world.handle = other.clone();
    world.does(Who::Mia, "/set impact it stops, and tells its memory");
    let told = got(&mut world, Who::Tom, "A draft says what is no longer true");
    assert_eq!(told.len(), 1);
    assert!(told[0].subject.contains(first.as_str()), "{}", told[0].subject);
    // A third joins: what was approved spoke of two.
    let third = report(&mut world, "A third one.");
    world.handle = third;
    world.does(Who::Mia, "/accept\n/lead me\n/title Third\n/cve CVE-2026-12345");
    let asked = world.does(Who::Mia, "/batch 9.20.5");
    world.does(Who::Mia, &format!("/confirm {}", asked.nonce().unwrap()));
    world.waits(Span::days(18));
    assert!(got(&mut world, Who::Ann, "Advance security").is_empty());
    world.handle = first.clone();
    world.is_refused(Who::Tom, "/approve asn@1", "other incidents than share the release now");
    world.is_refused(Who::Mia, "/preview asn", "speaks of all incidents of the release");
}

#[test]
fn who_is_not_on_all_of_them_neither_freezes_nor_approves_nor_gets_it() {
    let (mut world, first, other) = two();
    gates(&mut world, &other);
    // Tom leaves the other, and Bob is not to know of it.
    world.does(Who::Mia, "/audience asn_customers ann");
    let asked = world.does(Who::Tom, "/leave");
    if let Some(nonce) = asked.nonce() {
        world.does(Who::Tom, &format!("/confirm {nonce}"));
    }
    gates(&mut world, &first);
    world.is_refused(Who::Tom, "/preview asn", "you are not on each");
    let frozen = world.does(Who::Mia, "/preview asn").text;
    assert!(frozen.contains("(1 now)"), "{frozen}");
    world.is_refused(Who::Tom, "/approve asn@1", "you are not on each");
    world.waits(Span::days(18));
    assert!(got(&mut world, Who::Ann, "Advance security").is_empty());
    assert!(got(&mut world, Who::Bob, "Advance security").is_empty());
}
