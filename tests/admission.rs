//! Nobody is drowned: floods, machines, and a digest that bears two hundred spam mails a day.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop, and says so"
)]

mod common;

use common::{World, only, subjects};
use embargod::domain::facts::names::Span;
use embargod::domain::model::incident::Status;
use embargod::rehearsal::mail::{Draft, Read};
use embargod::rehearsal::{DESK, Stage as _, Who};

/// A mail in clear from any address, with more headers.
fn plain(world: &World, from: &str, id: &str, more: &str, text: &str) -> Vec<u8> {
    let date = world.stage.now().to_rfc2822();
    format!(
        "From: <{from}>\r\nTo: <{DESK}>\r\nSubject: Mail {id}\r\nDate: {date}\r\nMessage-ID: <{id}@x.test>\r\n{more}\r\n{text}\r\n"
    )
    .into_bytes()
}

/// Everything that left so far, by the last part of its file's name.
fn sent(world: &World) -> Vec<String> {
    let mut all: Vec<_> = std::fs::read_dir(world.folder().join("mails"))
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().contains("-desk-to-"))
        .collect();
    all.sort();
    all.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

fn to_of(mail: &str) -> &str {
    mail.lines().find_map(|line| line.strip_prefix("To: ")).unwrap().trim()
}

fn new_of(world: &mut World, who: Who, before: usize) -> Vec<Read> {
    world.stage.mailbox(who).unwrap().into_iter().skip(before).collect()
}

/// Mia's newest digest.
fn digest(world: &mut World) -> Read {
    let all = world.stage.mailbox(Who::Mia).unwrap();
    all.into_iter().rev().find(|mail| mail.subject.contains("wait to be looked at")).unwrap()
}

#[test]
fn a_flood_keeps_nobody_waiting_and_is_used_against_nobody() {
    let mut world = World::bare(|_| {});
    for n in 0..300 {
        if n == 150 {
            let mail = plain(&world, &Who::Paul.address(), "real", "", "The parser overflows.");
            world.stage.deliver(&Who::Paul.address(), mail).unwrap();
            let rita = Draft::sealed("A sealed hole.");
            world.stage.write(Who::Rita, &rita).unwrap();
            world.stage.pass(Span::seconds(60)).unwrap();
        }
        let from = format!("v{}@{}.flood.elsewhere", n % 60, n % 7);
        let more = if n % 2 == 0 {
            ""
        } else {
            "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\r\n"
        };
        let text = if n % 2 == 0 {
            "buy".to_owned()
        } else {
            "\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nhGVsbG8hGVsbG8hGVsbG8hGV\r\n-----END PGP MESSAGE-----\r\n--b--".to_owned()
        };
        let mail = plain(&world, &from, &format!("flood{n}"), more, &text);
        world.stage.deliver(&from, mail).unwrap();
    }
    for who in [Who::Paul, Who::Rita] {
        let got = world.stage.mailbox(who).unwrap();
        assert!(got.iter().any(|mail| mail.subject.contains("We received")), "{}", who.id());
    }
    // The sealed one is passed on at once, whatever else came; the other stands first in the digest.
    let mia = world.stage.mailbox(Who::Mia).unwrap();
    assert!(mia.iter().any(|mail| mail.says("A sealed hole.")), "{mia:?}");
    world.stage.pass(Span::hours(1)).unwrap();
    let list = digest(&mut world);
    let first = list.text.lines().position(|line| line.contains("from ")).unwrap();
    let head: Vec<&str> = list.text.lines().take(first + 4).collect();
    assert!(head.join("\n").contains("paul@people.test"), "{}", list.text);
    assert!(
        head.join("\n").contains("> Mail real")
            && head.join("\n").contains("The parser overflows.")
    );
    assert!(list.says("more wait, and come with the next digests"), "{}", list.text);
    // No third person gets more than three, and none of them our key.
    world.stage.pass(Span::hours(22)).unwrap();
    let sent = sent(&world);
    let victims: Vec<&String> =
        sent.iter().filter(|mail| to_of(mail).contains("flood.elsewhere")).collect();
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    for mail in &victims {
        *counts.entry(to_of(mail)).or_default() += 1;
        assert!(mail.len() < 4_000 && !mail.contains("PUBLIC KEY BLOCK"), "{mail}");
    }
    assert!(!victims.is_empty() && counts.values().all(|count| *count <= 3), "{counts:?}");
}

#[test]
fn the_digest_is_worked_off_by_one_mail() {
    let mut world = World::new();
    let first = world.handle.clone();
    for n in 0..20 {
        let from = format!("s{n}@spam.elsewhere");
        let mail = plain(&world, &from, &format!("s{n}"), "", &format!("Offer {n}."));
        world.stage.deliver(&from, mail).unwrap();
    }
    world.stage.pass(Span::minutes(30)).unwrap();
    let list = digest(&mut world);
    let says = |world: &mut World, text: &str| {
        let draft = Draft { text: text.to_owned(), ..Draft::answer(&list, text) };
        world.sends(Who::Mia, &draft)
    };
    let shown = says(&mut world, "/show 2");
    let shown = only(&shown, Who::Mia);
    assert!(shown.subject.contains("Done: show") && shown.says("Offer "), "{}", shown.text);
    let new = says(&mut world, "/spam 4-6 9");
    assert!(only(&new, Who::Mia).says("Closed quietly"), "{:?}", subjects(&new));
    let desk = world.stage.engine().unwrap().desk();
    let spam = desk.incidents.values().filter(|it| it.status == Status::Spam).count();
    assert_eq!(spam, 4);
    // All or nothing.
    let new = says(&mut world, "/spam 7 99");
    assert!(only(&new, Who::Mia).says("no report `99`"), "{:?}", subjects(&new));
    let new = says(&mut world, "/spam DEMO-2026-ZZZZZ");
    assert!(only(&new, Who::Mia).says("no incident DEMO-2026-ZZZZZ"));
    let new = says(&mut world, "/spam everything");
    assert!(only(&new, Who::Mia).says("names no report"));
    // A reason is for all that stand before it, and there must be one.
    let new = says(&mut world, "/reject 10 11 We do not sell anything.");
    let done = only(&new, Who::Mia);
    assert!(done.says("Rejected."), "{}", done.text);
    let desk = world.stage.engine().unwrap().desk();
    let rejected = desk.incidents.values().filter(|it| it.status == Status::Rejected).count();
    assert_eq!(rejected, 2);
    for line in ["/reject 12", "/reject That is none."] {
        let new = says(&mut world, line);
        assert!(only(&new, Who::Mia).says("names no report, or no reason"), "{line}");
    }
    let new = says(&mut world, "/accept ALL-BELOW");
    assert!(only(&new, Who::Mia).says("name each of them"));
    // What a stranger wrote names no report, whichever handle they know.
    let one = world.stage.engine().unwrap().desk();
    let one = one.waitlist.plain().next().unwrap().0.clone();
    for line in [format!("> > {one}"), format!("> from {one}@x.test"), format!("> > 1  {one}")] {
        let new = says(&mut world, &format!("/spam ALL-BELOW\n\n{line}"));
        assert!(only(&new, Who::Mia).says("no waiting report stands"), "{line}");
    }
    // What is quoted below, but for what was taken out.
    let desk = world.stage.engine().unwrap().desk();
    let waiting: Vec<String> =
        desk.waitlist.plain().map(|(handle, _)| handle.to_string()).collect();
    let quoted: Vec<String> = waiting.iter().skip(1).map(|it| format!("> 1  {it}")).collect();
    let new = says(
        &mut world,
        &format!("/spam ALL-BELOW\n\n> On a day, the desk wrote:\n{}", quoted.join("\n")),
    );
    assert!(only(&new, Who::Mia).says("Closed quietly"), "{:?}", subjects(&new));
    let desk = world.stage.engine().unwrap().desk();
    assert_eq!(
        desk.waitlist.plain().map(|(it, _)| it.to_string()).collect::<Vec<_>>(),
        waiting[..1]
    );
    assert_eq!(desk.incidents[&first].status, Status::Received, "and no other");
    // Not on a mail about one report.
    let new = world.says(Who::Mia, "/spam 1");
    assert!(only(&new, Who::Mia).says("stands alone on its line"), "{:?}", subjects(&new));
}

#[test]
fn what_machines_send_is_a_line_and_a_report_as_soon_as_somebody_says_so() {
    let mut world = World::new();
    let count = world.stage.engine().unwrap().desk().incidents.len();
    let before = world.stage.mailbox(Who::Mia).unwrap().len();
    for (n, more) in [
        "Auto-Submitted: auto-replied\r\n",
        "Content-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n",
        "Precedence: auto_reply\r\n",
        "Content-Type: text/calendar; method=REPLY\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        let mail = plain(&world, &Who::Paul.address(), &format!("auto{n}"), more, "I am away.");
        world.stage.deliver(&Who::Paul.address(), mail).unwrap();
    }
    // A report in the shape of a delivery report that is none of ours.
    let dsn = "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n";
    let text = "--b\r\nContent-Type: text/plain\r\n\r\nThe bounce parser overflows.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\n--b--";
    let mail = plain(&world, &Who::Paul.address(), "dsn", dsn, text);
    world.stage.deliver(&Who::Paul.address(), mail).unwrap();
    world.stage.pass(Span::hours(1)).unwrap();
    assert_eq!(world.stage.engine().unwrap().desk().incidents.len(), count, "no clock begins");
    assert!(world.stage.mailbox(Who::Paul).unwrap().is_empty(), "nobody is answered");
    assert!(new_of(&mut world, Who::Mia, before).is_empty(), "and nobody disturbed");
    world.stage.pass(Span::hours(72)).unwrap();
    let all = new_of(&mut world, Who::Mia, before);
    let lists: Vec<&Read> =
        all.iter().filter(|mail| mail.subject.contains("machines sent")).collect();
    let [list] = lists.as_slice() else { panic!("{all:?}") };
    assert!(list.says("Machines sent 5 mails"), "{}", list.text);
    let line = list.text.lines().position(|line| line.contains("> Mail dsn")).unwrap();
    let name = list.text.lines().nth(line - 1).unwrap().split_whitespace().next().unwrap();
    let new = world.sends(Who::Mia, &Draft::answer(list, &format!("/report {name}")));
    let report =
        new.iter().find(|(who, mail)| *who == Who::Mia && mail.subject.contains("New report"));
    let (_, report) = report.unwrap_or_else(|| panic!("{:?}", subjects(&new)));
    assert!(report.says("The bounce parser overflows."), "{}", report.text);
    assert!(world.stage.mailbox(Who::Paul).unwrap().is_empty(), "still nobody is answered");
    let new = world.sends(Who::Mia, &Draft::answer(list, "/report 00000000"));
    assert!(only(&new, Who::Mia).says("no machine's mail is called"));
}

/// A domain that passes DMARC has as many addresses as it likes: it gets one entry among the first, and half of what is
/// passed on at once. And what does not fit comes with the next digest, and not the next day.
#[test]
fn one_domain_is_one_source_whoever_vouches_for_its_addresses() {
    let mut world =
        World::bare(|sources| sources.settings.verdicts_of = Some("mx.desk.test".to_owned()));
    world.stage.pass(Span::hours(1)).unwrap();
    let verdict = |domain: &str| {
        format!(
            "Authentication-Results: mx.desk.test; dmarc=pass header.from={domain}; spf=pass smtp.mailfrom={domain}\r\n"
        )
    };
    for n in 0..130 {
        let from = format!("u{n}@evil.elsewhere");
        // The own server writes at the very top.
        let mail = plain(&world, &from, &format!("evil{n}"), "", "Look.");
        let mail = [verdict("evil.elsewhere").into_bytes(), mail].concat();
        world.stage.deliver(&from, mail).unwrap();
    }
    for who in ["vera@vouched.elsewhere", "victor@not.elsewhere"] {
        let mail = plain(&world, who, who, "", "A real hole.");
        let head =
            if who.starts_with("vera") { verdict("vouched.elsewhere") } else { String::new() };
        world.stage.deliver(who, [head.into_bytes(), mail].concat()).unwrap();
    }
    world.stage.pass(Span::seconds(30)).unwrap();
    let all = world.stage.mailbox(Who::Mia).unwrap();
    let whole = all.iter().filter(|mail| mail.subject.contains("New report: Mail evil")).count();
    assert!((1..=5).contains(&whole), "{whole} of one domain were passed on whole");
    world.stage.pass(Span::minutes(40)).unwrap();
    let list = digest(&mut world);
    let named = |mail: &Read, who: &str| all.iter().chain([mail]).any(|mail| mail.says(who));
    assert!(named(&list, "vera@") && named(&list, "victor@"), "{}", list.text);
    assert!(list.says("more wait, and come with the next digests"));
    let shown = |mail: &Read| mail.text.matches("from u").count();
    let first = shown(&list);
    world.stage.pass(Span::hours(5)).unwrap();
    let next = digest(&mut world);
    assert!(next.message_id != list.message_id && first + shown(&next) >= 110, "{}", next.text);
}

/// Whoever has the reference of many reports of their own has not as many ways to the team's mailboxes.
#[test]
fn what_follows_a_report_that_nobody_was_shown_waits_with_it() {
    let mut world = World::bare(|sources| sources.settings.plain_per_hour = 4);
    world.stage.pass(Span::hours(1)).unwrap();
    for n in 0..6 {
        let mail = plain(&world, &Who::Paul.address(), &format!("p{n}"), "", "Look at this.");
        world.stage.deliver(&Who::Paul.address(), mail).unwrap();
        world.stage.pass(Span::minutes(1)).unwrap();
    }
    let desk = world.stage.engine().unwrap().desk();
    let unseen = desk.incidents.values().find(|incident| incident.deferred).unwrap();
    let shown = desk.incidents.values().find(|incident| !incident.deferred).unwrap();
    let (unseen, shown) = (unseen.handle.clone(), shown.handle.clone());
    let more = |world: &mut World, handle: &embargod::domain::facts::names::Handle, id: String| {
        let party = embargod::domain::model::roster::Party::Reporter;
        let desk = world.stage.engine().unwrap().desk();
        let token = desk.ref_key.token(&desk.settings.address, handle, party);
        let text = format!("More of it, {id}.\r\n\r\nRef: {handle}/{token}");
        let mail = plain(world, &Who::Paul.address(), &id, "", &text);
        world.stage.deliver(&Who::Paul.address(), mail).unwrap();
        world.stage.pass(Span::seconds(30)).unwrap();
    };
    let before = world.stage.mailbox(Who::Mia).unwrap().len();
    for n in 0..10 {
        more(&mut world, &unseen, format!("unseen{n}"));
    }
    let new = new_of(&mut world, Who::Mia, before);
    assert!(new.iter().all(|mail| !mail.says("More of it")), "{new:?}");
    for n in 0..10 {
        more(&mut world, &shown, format!("shown{n}"));
    }
    let new = new_of(&mut world, Who::Mia, before);
    let passed = new.iter().filter(|mail| mail.says("More of it, shown")).count();
    assert_eq!(passed, 4, "as many as a person writes in an hour");
    assert!(new.iter().any(|mail| mail.subject.contains("come in heaps")), "{new:?}");
    // The digest says that they have written again.
    world.stage.pass(Span::hours(6)).unwrap();
    let list = digest(&mut world);
    assert!(list.says(unseen.as_str()) && list.says("again"), "{}", list.text);
}

/// Spam for days, and real reports in it. EMBARGOD_DAYS=31 plays the month, with two hundred a day.
#[test]
fn days_of_spam_are_a_few_mails_a_day() {
    let days: u32 = std::env::var("EMBARGOD_DAYS").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
    let (slots, quiet) = if days > 5 { (50, 7) } else { (10, 3) };
    let mut world = World::bare(|sources| sources.settings.quiet_days = quiet);
    world.stage.pass(Span::hours(1)).unwrap();
    let mut real = 0;
    let (mut most, mut total) = (0, 0);
    for day in 0..days {
        let before = world.stage.mailbox(Who::Mia).unwrap().len();
        for n in 0..slots {
            for k in 0..4 {
                let from = format!("s{day}x{n}@d{}.elsewhere", (n * 4 + k) % 40);
                let mail = plain(&world, &from, &format!("d{day}n{n}k{k}"), "", "Buy now.");
                world.stage.deliver(&from, mail).unwrap();
            }
            world.stage.pass(Span::minutes(1_430 / i64::from(slots))).unwrap();
        }
        if day % 7 == 2 {
            let from = format!("finder{day}@finder.elsewhere");
            let mail = plain(&world, &from, &format!("real{day}"), "", "A real hole.");
            world.stage.deliver(&from, mail).unwrap();
            real += 1;
        }
        let new = new_of(&mut world, Who::Mia, before);
        total += new.len();
        if day > 0 {
            most = most.max(new.len());
            assert!(new.len() <= 4, "{:?}", new.iter().map(|m| &m.subject).collect::<Vec<_>>());
        }
    }
    world.stage.pass(Span::days(2)).unwrap();
    assert!(most <= 4, "{most} mails in a day, {total} in all");
    let all = world.stage.mailbox(Who::Mia).unwrap();
    let seen = all.iter().filter(|mail| mail.says("A real hole.")).count();
    assert!(seen >= real, "{seen} of {real}");
    let closed = world.stage.engine().unwrap().desk().incidents.values();
    let closed = closed.filter(|it| it.status == Status::Closed).count();
    assert!(closed > 0 && all.iter().any(|mail| mail.says("were closed quietly")));
    let largest = all.iter().map(|mail| mail.text.len()).max().unwrap();
    assert!(largest < 60_000, "{largest}");
}

/// A small mail that unpacks to a large one, and a large one: the text reaches the team, with a list of the parts,
/// and each comes when it is asked for.
#[test]
fn what_is_too_large_to_be_passed_on_comes_when_it_is_asked_for() {
    let mut world = World::with(|sources| sources.settings.relay_bytes = 1_000_000);
    let before = world.stage.mailbox(Who::Mia).unwrap().len();
    let zeros = vec![0_u8; 1_500_000];
    let mut draft = Draft::sealed("A hole that needs large files.");
    draft.attachments.push(("small.txt".to_owned(), b"small".to_vec()));
    draft.attachments.push(("middle.bin".to_owned(), zeros[..300_000].to_vec()));
    draft.attachments.push(("huge.bin".to_owned(), zeros));
    let mail = world.mail(Who::Rita, "big@x", &draft, &world.seal(Who::Rita, &draft.entity(None)));
    world.deliver(mail);
    let all = new_of(&mut world, Who::Mia, before);
    let report = all.iter().find(|mail| mail.subject.contains("New report")).unwrap();
    assert!(report.says("A hole that needs large files."), "{}", report.text);
    let text = report.text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("huge.bin (1500000 bytes, SHA-256 "), "{text}");
    assert!(text.contains("NOT attached, too large for any mail of ours"), "{text}");
    assert!(text.contains("/part") || text.contains("embargod part DEMO-"), "{text}");
    let names: Vec<&str> = report.attachments.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["small.txt", "middle.bin"]);
    let asks = |world: &mut World, word: &str| {
        let new = world.sends(Who::Mia, &Draft::answer(report, word));
        let part = new
            .iter()
            .find(|(who, mail)| *who == Who::Mia && mail.subject.contains("A part of a mail"));
        part.map(|(_, mail)| mail.attachments.clone()).unwrap_or_default()
    };
    let got = asks(&mut world, "/part 2");
    assert!(
        matches!(got.as_slice(), [(name, bytes)] if name == "middle.bin" && bytes.len() == 300_000)
    );
    let got = asks(&mut world, "/part 3");
    let note = String::from_utf8(got[0].1.clone()).unwrap();
    assert!(got[0].0 == "not-attached.txt" && note.contains("1500000 bytes"), "{note}");
    let got = asks(&mut world, "/part 9");
    assert!(String::from_utf8_lossy(&got[0].1).contains("no such part"));
    assert!(asks(&mut world, "/part 2.1").is_empty() && asks(&mut world, "/part x").is_empty());
}
