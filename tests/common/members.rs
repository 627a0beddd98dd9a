//! The private list in tests: a plan with a date, joining, and what members and servers send.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "as in the module above")]

use embargod::domain::facts::event::{Purpose, Recipient};
use embargod::domain::facts::names::PersonId;
use embargod::rehearsal::Who;
use embargod::rehearsal::mail::{Draft, Read};

use super::{Golden, World, only, subjects};

pub(crate) const RECORD: &str = "/title T\n/set affected all\n/set impact much\n/set fixed 3.2\n/set credit Rita\n\
    /set binaries https://x.example/\n/cve CVE-2026-41234\n\
    /cvss CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";

/// Minder, accepted, with a date on a Thursday in seventeen days.
pub(crate) fn planned() -> World {
    let mut world = World::new();
    world.does(Who::Mia, "/accept\n/lead me");
    world.does(Who::Mia, RECORD);
    world.does(Who::Mia, "/disclose 2026-03-19");
    world.does(Who::Tom, "/done fix-ready\n/done agree-day");
    world.seconds(Who::Mia, "/done agree-day\n/done plan\n/done binaries", Who::Tom);
    world
}

pub(crate) fn approve(world: &mut World, notice: &str) {
    world.does(Who::Mia, &format!("/preview {notice}"));
    world.does(Who::Tom, &format!("/approve {notice}@1"));
}

pub(crate) fn certificate(world: &World, who: Who) -> Vec<u8> {
    world.stage.keyring(who).unwrap().certificate().armored().into_bytes()
}

/// A mail with somebody's certificate attached.
pub(crate) fn with_key(world: &World, text: &str, who: Who) -> Draft {
    let mut draft = Draft::sealed(text);
    draft.attachments.push((format!("{}.asc", who.id()), certificate(world, who)));
    draft
}

/// The line that binds a mail of somebody to the desk.
pub(crate) fn desk_reference(world: &World, who: Who) -> String {
    let desk = world.stage.engine().unwrap().desk();
    world.reference_of(who, &desk.own_handle())
}

/// Words about the desk, bound by its reference.
pub(crate) fn at_desk(world: &mut World, who: Who, text: &str) -> Vec<(Who, Read)> {
    let reference = desk_reference(world, who);
    world.sends(who, &Draft::sealed(&format!("{text}\n\n> {reference}\n")))
}

pub(crate) fn sent(world: &mut World, who: Who, mut draft: Draft) -> Vec<(Who, Read)> {
    let reference = desk_reference(world, who);
    draft.text = format!("{}\n\n> {reference}\n", draft.text);
    world.sends(who, &draft)
}

pub(crate) fn refusal(new: &[(Who, Read)], who: Who, why: &str) {
    let mail = new.iter().find(|(to, mail)| *to == who && mail.subject.contains("Not done"));
    let (_, mail) = mail.unwrap_or_else(|| panic!("{why}: {:?}", subjects(new)));
    assert!(mail.text.replace('\n', " ").contains(why), "`{why}` not in {}", mail.text);
}

pub(crate) fn nonce(mail: &Read) -> String {
    let line = mail.text.lines().find(|line| line.trim().starts_with("| /key confirm ")).unwrap();
    line.split_whitespace().last().unwrap().to_owned()
}

pub(crate) fn is_active(world: &World, who: Who) -> bool {
    let desk = world.stage.engine().unwrap().desk();
    let id = PersonId::parse(who.id()).unwrap();
    desk.roster.person(&id).is_some_and(|p| p.groups.contains("private_distributors"))
}

/// Everything that it takes, but for one step that is left out.
pub(crate) fn join(world: &mut World, who: Who, golden: &mut Golden, without: &str) {
    let id = who.id();
    let draft = with_key(
        world,
        &format!("/member propose {id} private_distributors {id} of Daleth Linux"),
        who,
    );
    let proposed = sent(world, Who::Mia, draft);
    golden.add(&proposed);
    let invited = only(&proposed, who);
    if without != "proof" {
        let text = format!("/key confirm {}\n/terms accept", nonce(&invited));
        let new = at_desk(world, who, &text);
        golden.add(&new);
    }
    if without != "vouch" {
        let new = at_desk(world, Who::Ann, &format!("/vouch {id}"));
        golden.add(&new);
    }
    let criteria = if without == "criterion" {
        "alias,users"
    } else {
        "alias,users,record,own-work,contributor,embargo,gives-back,vouched,shares-not"
    };
    let new =
        at_desk(world, Who::Mia, &format!("/member meets {id} {criteria} seen on their site"));
    golden.add(&new);
    if without != "approval" {
        let n = number(world, who);
        let new = at_desk(world, Who::Tom, &format!("/member approve {id}@{n}"));
        golden.add(&new);
    }
}

pub(crate) fn number(world: &World, who: Who) -> u32 {
    let id = PersonId::parse(who.id()).unwrap();
    world.stage.engine().unwrap().desk().members.get(&id).unwrap().number
}

/// A delivery report about the newest notice to somebody; to its return path, or to a made-up one.
pub(crate) fn report(
    world: &mut World,
    who: Who,
    with_token: bool,
    action: &str,
    status: &str,
) -> Vec<(Who, Read)> {
    let token = if with_token {
        let person = Recipient::Person(PersonId::parse(who.id()).unwrap());
        let mails = &world.incident().mails;
        let mail = mails
            .values()
            .rfind(|mail| mail.to == person && matches!(mail.purpose, Purpose::Notice { .. }));
        let store = world.stage.engine().unwrap().store();
        let store = embargod::engine::lock(&store);
        store.return_token(&mail.unwrap().message_id).unwrap().unwrap()
    } else {
        "0".repeat(32)
    };
    let path = format!("security+r-{token}@desk.test");
    let mail = format!(
        "Delivered-To: {path}\r\nFrom: MAILER-DAEMON@mx.test\r\nTo: {path}\r\nSubject: Undelivered\r\n\
         Date: {}\r\nMessage-ID: <{token}{action}{status}@mx.test>\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=r\r\n\r\n\
         --r\r\nContent-Type: text/plain\r\n\r\nIt did not work.\r\n\
         --r\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.test\r\n\r\n\
         Final-Recipient: rfc822; {}\r\nAction: {action}\r\nStatus: {status}\r\n\r\n--r--\r\n",
        world.stage.now().to_rfc2822(),
        who.address(),
    );
    world.deliver(mail.into_bytes())
}
