//! The five published processes: every row of their tables is in its playbook with the right
//! anchor, offset, role, kind and line, and nothing else claims a line; and the dates that people
//! worked out by hand.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on should stop"
)]

use std::collections::BTreeSet;
use std::sync::Arc;

use embargod::domain::facts::event::Event;
use embargod::domain::facts::names::{Moment, TaskId};
use embargod::domain::model::schedule;
use embargod::domain::model::schedule::State;
use embargod::domain::process::calendar;
use embargod::domain::process::offset::{Calendar, Offset, Slots, Snap, WeekDays};
use embargod::domain::process::playbook::{Action, BUILTIN, Kind, Playbook, Task, load};
use embargod::domain::views::plan;

fn playbook(name: &str) -> Playbook {
    let (_, text) = BUILTIN.iter().find(|(known, _)| *known == name).unwrap();
    load(text, &calendar::builtin()).unwrap()
}

/// A row of the table.
struct Row {
    playbook: String,
    id: String,
    anchor: String,
    offset: String,
    role: String,
    kind: String,
    lines: String,
}

fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string("tests/processes/rows.txt").unwrap();
    let row = |line: &str| {
        let parts: Vec<String> = line.split(" | ").map(str::to_owned).collect();
        let [playbook, id, anchor, offset, role, kind, lines] =
            <[String; 7]>::try_from(parts).unwrap();
        Row { playbook, id, anchor, offset, role, kind, lines }
    };
    text.lines().filter(|line| !line.starts_with('#')).map(row).collect()
}

/// What the table's words for an offset are in a file. None for those that give no figure: what
/// stands in the file then is marked as not the document's, or is no figure either.
fn offset(text: &str) -> Option<&'static str> {
    Some(match text {
        "+24 h" => "+24h",
        "+1..7 d" => "+1d..+7d",
        "+1..21 d" => "+1d..+21d",
        "+1..3 d" => "+1d..+3d",
        "+15..30 d" => "+15d..+30d",
        "-5 bd" => "-5bd",
        "-4 bd" => "-4bd",
        "-1 bd" => "-1bd",
        "due T-5" => "..-5bd",
        "0" | "immediately" => "0",
        "asap" | "ASAP" | "asap,repeat" | "when CVE set is final" => "asap",
        "before" => "..0",
        "> 0" | "> 0 (strictly after)" => "0..",
        "-"
        | "none in seed"
        | "gate"
        | "option"
        | "repeat"
        | "always"
        | "follow"
        | "later"
        | "16:00 UTC, Mon-Thu"
        | "0 / 15 bd / short"
        | "before (no figure in seed; default -7 d)" => {
            return None;
        }
        other => panic!("the table has a new word for an offset: {other}"),
    })
}

fn check_when(row: &Row, task: &Task, wrong: &mut Vec<String>) {
    let mut say = |what: String| wrong.push(format!("{} {}: {what}", row.playbook, row.id));
    let Some(when) = &task.when else {
        let timeless = row.anchor == "-" || row.offset == "always";
        let standing = task.is_standing() && row.offset == "-";
        if !timeless && !standing {
            say(format!("has no anchor; the table has {} {}", row.anchor, row.offset));
        }
        return;
    };
    let anchors: BTreeSet<String> = when.anchors.iter().map(ToString::to_string).collect();
    let wanted: BTreeSet<&str> = row.anchor.split('/').collect();
    let fits = |name: &str| {
        anchors.iter().any(|anchor| {
            anchor == name
                || anchor.starts_with(&format!("{name}_"))
                || anchor.starts_with(&format!("{name}."))
        })
    };
    if !wanted.iter().any(|name| fits(name)) {
        say(format!("counts from {anchors:?}, and the table has {}", row.anchor));
    }
    match offset(&row.offset) {
        Some(wanted) if when.window.to_string() != wanted => {
            say(format!("is due {}, and the table has {}", when.window, row.offset));
        }
        Some(_) => {}
        // No figure in the document: either none here, or one that is marked as ours.
        None if when.window.to_string() != "0.." && when.origin.is_none() => {
            say(format!("has a figure, {}, that the document lacks, unmarked", when.window));
        }
        None => {}
    }
    if row.offset.contains("repeat") && when.repeat.is_none() {
        say("does not repeat".to_owned());
    }
    if row.offset == "16:00 UTC, Mon-Thu" {
        assert_eq!(plan::rule(task), "release 0.. at 16:00, Mon to Thu");
    }
}

fn check_role(playbook: &Playbook, row: &Row, task: &Task, wrong: &mut Vec<String>) {
    let labels: BTreeSet<&str> = task.roles().map(|role| playbook.role_label(role)).collect();
    let names = row.role.split(['/', '+']).map(str::trim);
    for name in names {
        let fits = match name {
            "-" | "all" => true,
            "daemon" => {
                task.kind == Kind::Auto || (task.kind == Kind::Draft && !task.fact.is_empty())
            }
            // The reporter agrees by mail and holds no role; the community is who is left of the team.
            "reporter" => true,
            "team member" | "community" => labels.contains("team"),
            name => labels.contains(name),
        };
        if !fits {
            wrong.push(format!("{} {}: is for {labels:?}, not {name}", row.playbook, row.id));
        }
    }
}

#[test]
fn every_row_is_in_its_playbook_and_nothing_else_claims_a_line() {
    let rows = rows();
    assert_eq!(rows.len(), 177);
    let mut wrong = Vec::new();
    for row in &rows {
        let playbook = playbook(&row.playbook);
        let id = TaskId::parse(&row.id).unwrap();
        let Some(task) = playbook.tasks.iter().find(|task| task.id == id) else {
            wrong.push(format!("{} {}: is not there", row.playbook, row.id));
            continue;
        };
        if plan::kind_word(task.kind) != row.kind {
            wrong
                .push(format!("{} {}: is {:?}, not {}", row.playbook, row.id, task.kind, row.kind));
        }
        if task.src.as_deref() != Some(&row.lines) {
            wrong.push(format!(
                "{} {}: src {:?}, not {}",
                row.playbook, row.id, task.src, row.lines
            ));
        }
        check_when(row, task, &mut wrong);
        check_role(&playbook, row, task, &mut wrong);
    }
    for (name, text) in BUILTIN {
        for task in playbook(name).tasks {
            let known = rows.iter().any(|row| row.playbook == *name && row.id == task.id.as_str());
            if task.src.is_some() != known {
                wrong.push(format!("{name} {}: claims {:?}", task.id, task.src));
            }
        }
        let claims = text.lines().filter(|line| line.starts_with("src = ")).count();
        let known = rows.iter().filter(|row| row.playbook == *name).count();
        if claims != known {
            wrong.push(format!("{name}: {claims} claims of a line for {known} rows"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Rows stand in the order of the document, so that both can be read side by side.
#[test]
fn rows_stand_in_the_order_of_their_document() {
    for name in ["isc", "emissary"] {
        let mut last = 0;
        for task in playbook(name).tasks {
            let Some(src) = &task.src else { continue };
            let first: usize = src.split(['-', ',']).next().unwrap().parse().unwrap();
            assert!(first >= last, "{name} {} ({src}) stands after line {last}", task.id);
            last = first;
        }
    }
}

fn at(text: &str) -> Moment {
    text.parse().unwrap()
}

fn due(playbook: &Arc<Playbook>, t: &str, id: &str) -> Moment {
    let rows = plan::preview(playbook, at("2026-11-02T09:00:00Z"), Some(at(t)));
    rows.iter().find(|row| row.id == id).unwrap().due.unwrap()
}

#[test]
fn isc_dates_as_people_worked_them_out() {
    // With the Friday of Christmas as a holiday, in a calendar that the playbook names.
    let (_, text) = BUILTIN.iter().find(|(name, _)| *name == "isc").unwrap();
    let mut calendars = calendar::builtin();
    calendars.insert("weekdays".to_owned(), "2026-12-25 Christmas Day\n".to_owned());
    let isc = Arc::new(load(text, &calendars).unwrap());
    for (id, day) in [("ISC-4.2", 24), ("ISC-3.1", 21), ("ISC-2.1", 18), ("ISC-1.5", 18)] {
        let wanted = at(&format!("2026-12-{day}T15:00:00Z"));
        assert_eq!(due(&isc, "2026-12-28T15:00:00Z", id), wanted, "{id}");
    }
    // In calendar days, as somebody who reads T-5 so would write it.
    let days = Arc::new(load(&text.replace("-5bd", "-5d"), &calendars).unwrap());
    assert_eq!(due(&days, "2026-12-28T15:00:00Z", "ISC-2.1"), at("2026-12-23T15:00:00Z"));
    // Without a holiday.
    let isc = Arc::new(playbook("isc"));
    for (id, day) in [("ISC-2.1", "09"), ("ISC-3.1", "10"), ("ISC-4.2", "15")] {
        let wanted = at(&format!("2026-12-{day}T15:00:00Z"));
        assert_eq!(due(&isc, "2026-12-16T15:00:00Z", id), wanted, "{id}");
    }
}

#[test]
fn min_lead_is_met_at_three_business_days_and_not_at_two() {
    let isc = playbook("isc");
    // Set on a Thursday for the next Tuesday: three business days.
    let thursday = at("2026-12-10T15:00:00Z");
    let earliest = isc.t.min_lead.from(thursday, &isc.calendar);
    assert_eq!(earliest, at("2026-12-15T15:00:00Z"));
    assert!(at("2026-12-14T15:00:00Z") < earliest);
}

#[test]
fn fifteen_business_days_of_grace_are_three_weeks() {
    let apereo = Arc::new(playbook("apereo"));
    let t = at("2026-12-21T15:00:00Z");
    let mut incident = plan::supposed(&apereo, at("2026-11-02T09:00:00Z"), None);
    incident.apply(at("2026-11-02T10:00:00Z"), None, &Event::TSet { t });
    let release = |incident: &embargod::domain::model::incident::Incident| {
        incident.anchor(embargod::domain::facts::anchor::Anchor::Release).unwrap()
    };
    assert_eq!(release(&incident), t, "no grace: the release is T");
    let set = Event::FieldSet { field: "grace".to_owned(), value: "15bd".to_owned() };
    incident.apply(at("2026-11-02T11:00:00Z"), None, &set);
    assert_eq!(release(&incident), at("2026-11-30T15:00:00Z"));
    let forth = Offset::parse("15bd").unwrap().from(release(&incident), &apereo.calendar);
    assert_eq!(forth, t, "and back again");
}

#[test]
fn a_cap_on_a_sunday_is_met_on_the_days_before_it() {
    // Posted to the list on a Sunday; fourteen days later is a Sunday as well.
    let calendar = Calendar::plain(chrono_tz::Tz::UTC);
    let posted = at("2026-06-21T12:00:00Z");
    let latest = Offset::parse("14d").unwrap().from(posted, &calendar);
    assert_eq!(latest, at("2026-07-05T12:00:00Z"));
    let days = WeekDays::parse("mon-wed").unwrap();
    let rule = |days, snap| Slots {
        at: None,
        days: Some(days),
        snap,
        earliest: posted,
        latest: Some(latest),
    };
    for snap in [Snap::Next, Snap::Previous, Snap::Nearest] {
        let slot = calendar.slot(at("2026-07-20T12:00:00Z"), &rule(days, snap));
        assert_eq!(slot, Some(at("2026-07-01T12:00:00Z")), "{snap:?}: never after the cap");
    }
    // The Friday before Independence Day is a holiday: with that calendar a weekday before it.
    let (_, text) = calendar::BUILTIN.iter().find(|(name, _)| *name == "us-federal").unwrap();
    let holidays = calendar::parse(text).unwrap();
    let calendar = Calendar { holidays, ..calendar };
    let days = WeekDays::parse("mon-fri").unwrap();
    let slot = calendar.slot(latest, &rule(days, Snap::Previous));
    assert_eq!(slot, Some(at("2026-07-02T12:00:00Z")));
    // A bound in the evening of a day that fits, and the process says 16:00: on that day at 16:00.
    let sixteen = chrono::NaiveTime::from_hms_opt(16, 0, 0);
    let end = Some(at("2026-07-08T23:59:59Z"));
    let slots =
        Slots { at: sixteen, latest: end, ..rule(WeekDays::parse("mon-thu").unwrap(), Snap::Next) };
    assert_eq!(calendar.slot(at("2026-07-20T12:00:00Z"), &slots), Some(at("2026-07-08T16:00:00Z")));
    // Nothing lies between the bounds.
    let none = Slots {
        earliest: at("2026-07-03T00:00:00Z"),
        latest: Some(at("2026-07-05T23:00:00Z")),
        ..slots
    };
    assert_eq!(calendar.slot(posted, &none), None);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    /// What is proposed is all that the process asks for; where nothing is, no day of the year is.
    #[test]
    fn a_slot_is_lawful_and_is_found_where_there_is_one(
        wanted in 0_i64..400, from in 0_i64..60, long in 0_i64..60, hour in 0_u32..24,
        days in proptest::sample::select(vec!["mon-thu", "mon-fri", "tue-tue", "wed-thu"]),
        snap in proptest::sample::select(vec![Snap::Next, Snap::Previous, Snap::Nearest]),
        zone in proptest::sample::select(vec![chrono_tz::Tz::UTC, chrono_tz::Tz::America__New_York, chrono_tz::Tz::Asia__Tokyo]),
    ) {
        use chrono::Datelike as _;
        let start = at("2026-01-01T00:00:00Z");
        let hours = chrono::Duration::hours;
        let (_, text) = calendar::BUILTIN.iter().find(|(name, _)| *name == "us-federal").unwrap();
        let calendar = Calendar { holidays: calendar::parse(text).unwrap(), ..Calendar::plain(zone) };
        let time = chrono::NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
        let days = WeekDays::parse(days).unwrap();
        let (earliest, latest) = (start + hours(from * 7), start + hours(from * 7 + long * 5));
        let rule = Slots { at: Some(time), days: Some(days), snap, earliest, latest: Some(latest) };
        let lawful = |moment: Moment| {
            let local = moment.with_timezone(&zone);
            moment >= earliest && moment <= latest && local.time() == time
                && days.contains(local.weekday()) && calendar.is_work_day(local.date_naive())
        };
        match calendar.slot(start + hours(wanted), &rule) {
            Some(slot) => proptest::prop_assert!(lawful(slot), "{slot}"),
            None => {
                let all = (0..24 * 60).map(|n| start + hours(n));
                let found: Vec<Moment> = all.filter(|moment| lawful(*moment)).collect();
                proptest::prop_assert!(found.is_empty(), "{found:?}");
            }
        }
    }
}

/// Emissary: public at 3.9 leaves the windows, public at 4.0 or without a score ends them.
#[test]
fn emissary_hurries_from_four_on() {
    let emissary = Arc::new(playbook("emissary"));
    let received = at("2026-11-02T09:00:00Z");
    let public = at("2026-11-03T09:00:00Z");
    for (vector, hurries) in [
        (None, true),
        (Some("CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:L"), true),
        (Some("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:L/I:N/A:N"), false),
    ] {
        let mut incident = plan::supposed(&emissary, received, None);
        if let Some(vector) = vector {
            let score = embargod::domain::process::playbook::field::Score::of(vector).unwrap();
            assert_eq!(score.tenths >= 40, hurries, "{vector}: {}", score.tenths);
            let scored =
                Event::Scored { vector: score.vector, tenths: score.tenths, band: score.band };
            incident.apply(received, None, &scored);
        }
        let due = |incident: &embargod::domain::model::incident::Incident| {
            let task = incident.playbook.task("develop").unwrap();
            schedule::span_of(incident, task).unwrap().1.unwrap()
        };
        assert_eq!(due(&incident), at("2026-11-09T09:00:00Z"));
        incident.apply(public, None, &Event::KnownPublic);
        let wanted = if hurries { public } else { at("2026-11-09T09:00:00Z") };
        assert_eq!(due(&incident), wanted, "{vector:?}");
    }
}

/// A field that nobody has set makes a row wait, and says for what.
#[test]
fn what_is_not_known_waits_and_says_for_what() {
    let isc = Arc::new(playbook("isc"));
    let mut incident = plan::supposed(&isc, at("2026-11-02T09:00:00Z"), None);
    let state = |incident: &embargod::domain::model::incident::Incident, id: &str| {
        let now = at("2026-11-02T10:00:00Z");
        let items = schedule::agenda(incident, now);
        items.into_iter().find(|item| item.task.id.as_str() == id).unwrap().state
    };
    assert_eq!(state(&incident, "ISC-5.3"), State::WaitingFor("product".to_owned()));
    assert_eq!(state(&incident, "ISC-1.18"), State::WaitingFor("branches".to_owned()));
    let set =
        |incident: &mut embargod::domain::model::incident::Incident, field: &str, value: &str| {
            let event = Event::FieldSet { field: field.to_owned(), value: value.to_owned() };
            incident.apply(at("2026-11-02T09:30:00Z"), None, &event);
        };
    set(&mut incident, "product", "kea");
    assert!(matches!(state(&incident, "ISC-5.3"), State::NotHere(_)));
    set(&mut incident, "product", "kea, bind9");
    assert_eq!(state(&incident, "ISC-5.3"), State::WaitingFor("T".to_owned()));
    set(&mut incident, "branches", "9.18, 9.20");
    let now = at("2026-11-02T10:00:00Z");
    let words: Vec<String> = schedule::agenda(&incident, now)
        .into_iter()
        .filter(|item| item.task.id.as_str() == "ISC-1.18")
        .map(|item| item.word())
        .collect();
    assert_eq!(words, ["backport/9.18", "backport/9.20"]);
}

/// Every shipped row of kind `auto` does something, and every notice has a text and an audience.
#[test]
fn nothing_in_a_shipped_playbook_is_an_empty_promise() {
    for (name, _) in BUILTIN {
        let playbook = playbook(name);
        for task in &playbook.tasks {
            match task.kind {
                Kind::Auto => assert!(task.action.is_some(), "{name} {}", task.id),
                Kind::Draft => {
                    let settled =
                        task.template.is_some() || task.answer.is_some() || !task.fact.is_empty();
                    assert!(settled && task.audience.is_some(), "{name} {}", task.id);
                }
                Kind::Human | Kind::Decide | Kind::Gate | Kind::Record => {}
            }
            if task.action == Some(Action::Verify) {
                assert!(task.of.is_some(), "{name} {}", task.id);
            }
        }
    }
}
