//! An incident keeps the playbook it began with until somebody puts it on another; and the figures of
//! what is over.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop"
)]

mod common;

use std::sync::Arc;

use common::{World, subjects};
use embargod::domain::facts::names::Span;
use embargod::domain::model::schedule;
use embargod::domain::process::calendar;
use embargod::domain::process::playbook::{BUILTIN, load};
use embargod::domain::views::compare;
use embargod::domain::views::statistics::statistics;
use embargod::rehearsal::Who;

#[test]
fn an_incident_keeps_its_version_until_it_is_migrated() {
    let mut world = World::new();
    world.does(
        Who::Mia,
        "/accept\n/lead me\n/title T\n/set affected all\n/set impact much\n/disclose 2026-03-23",
    );
    let handle = world.handle.clone();
    let (_, text) = BUILTIN.iter().find(|(name, _)| *name == "minder").unwrap();
    let newer = text.replace("version = 4", "version = 5").replace(
        "anchor = \"release\", offset = \"-5bd\"",
        "anchor = \"release\", offset = \"-6bd\"",
    );
    let playbook = Arc::new(load(&newer, &calendar::builtin()).unwrap());
    let due = |world: &World| {
        let incident = world.incident();
        let task = incident.playbook.task("advance").unwrap();
        schedule::span_of(incident, task).unwrap().1.unwrap().to_string()
    };
    assert_eq!(due(&world), "2026-03-16 16:00:00 UTC");
    // What would change is told before it does.
    let changes = compare::consequences(world.incident(), &playbook, world.stage.now());
    let said: Vec<String> = changes.iter().map(compare::Change::say).collect();
    assert_eq!(
        said,
        [
            "~ MI-3.1  stands: upcoming Mon 2026-03-16 16:00 UTC -> upcoming Fri 2026-03-13 16:00 UTC"
        ]
    );
    let between = compare::compare(&world.incident().playbook, &playbook);
    assert_eq!(between.len(), 2, "{between:?}");
    assert_eq!(due(&world), "2026-03-16 16:00:00 UTC", "telling changes nothing");
    // A newer text in the folder changes nothing for what began before.
    world.stage.migrate(&handle, "minder", Some(newer)).unwrap();
    let new = world.waits(Span::minutes(1));
    let told: Vec<_> =
        new.iter().filter(|(_, mail)| mail.subject.contains("another version")).collect();
    assert_eq!(told.len(), 2, "{:?}", subjects(&new));
    assert!(told[0].1.says("It was `minder`, version 4."), "{}", told[0].1.text);
    assert_eq!(due(&world), "2026-03-13 16:00:00 UTC");
    assert_eq!(world.incident().playbook.version, 5);
    // Replaying gives the same.
    let replayed = world.stage.replayed().unwrap();
    assert_eq!(format!("{:?}", replayed.incidents[&handle]), format!("{:?}", world.incident()));
    assert_eq!(replayed.next_due(), world.stage.engine().unwrap().desk().next_due());
}

#[test]
fn live_embargoes_are_left_out_of_the_figures() {
    let mut world = World::new();
    world.does(
        Who::Mia,
        "/accept\n/title T\n/set affected all\n/set impact much\n/disclose 2026-03-19",
    );
    world.does(Who::Tom, "/done fix-ready\n/done agree-day");
    world.does(Who::Mia, "/done agree-day\n/done plan\n/preview advance");
    world.does(Who::Tom, "/approve advance@1");
    world.waits(Span::days(12));
    let figures = |world: &World| {
        let desk = world.stage.engine().unwrap().desk();
        statistics(desk.all(), world.stage.now())
    };
    let (all, live) = figures(&world);
    assert_eq!((all[0].incidents, live), (0, 1), "it is secret still");
    world.waits(Span::days(7));
    world.seconds(Who::Mia, "/published", Who::Tom);
    let (all, live) = figures(&world);
    assert_eq!((all.len(), all[0].incidents, all[0].vulnerabilities, live), (2, 1, 1, 0));
    assert_eq!(all[1].playbook.as_deref(), Some("minder"));
    // Received at 09:00:30 on the 2nd, acknowledged two seconds later, answered within a minute.
    assert_eq!(all[0].acknowledged.median_s, Some(2));
    assert!(all[0].answered.median_s.unwrap() < 60, "{:?}", all[0].answered);
    let days = |seconds: Option<i64>| seconds.unwrap() / 86_400;
    assert_eq!((days(all[0].embargo.median_s), days(all[0].list_embargo.median_s)), (19, 8));
    assert_eq!(
        (all[0].notices.on_time, all[0].notices.all),
        (3, 3),
        "and the words that it slipped and that it ended"
    );
    assert_eq!(all[0].answers.percent(), Some(100));
}
