//! Records that no desk has written: what cannot be is noted as a fault, and nothing stops.
#![no_main]

use std::cell::OnceCell;

use embargod::domain::facts::names::Digest;
use embargod::domain::facts::record::Record;
use embargod::domain::model::desk::Desk;
use embargod::rehearsal::mail::Draft;
use embargod::rehearsal::post_office::PostOffice;
use embargod::rehearsal::{Stage, Who};
use libfuzzer_sys::fuzz_target;

/// A desk with a report.
fn desk() -> Desk {
    let folder = tempfile::tempdir().unwrap();
    let start = "2026-03-02T09:00:00Z".parse().unwrap();
    let mut stage = PostOffice::open(folder.path(), start, Box::new(|_| {})).unwrap();
    stage.write(Who::Rita, &Draft { with_key: true, ..Draft::sealed("It overflows.") }).unwrap();
    stage.pass(embargod::domain::facts::names::Span::minutes(5)).unwrap();
    stage.replayed().unwrap()
}

thread_local! {
    static DESK: OnceCell<Desk> = const { OnceCell::new() };
}

fuzz_target!(init: embargod::edge::contained::end_at_other_panics(), |text: &str| {
    DESK.with(|it| {
        let mut desk = it.get_or_init(desk).clone();
        let handle = desk.all().next().map(|incident| incident.handle.clone());
        for line in text.lines() {
            let Ok(record) = serde_json::from_str::<Record>(line) else { continue };
            let number = desk.head.number.saturating_add(1);
            // Most are about what is there.
            let incident = record.incident.as_ref().and(handle.clone());
            let record = Record { number, incident, ..record };
            desk.apply(&record, Digest::of(line.as_bytes()));
        }
        let _ = (desk.next_due(), desk.next_notice());
        for incident in desk.all() {
            let _ = (incident.t(), incident.published(), incident.status);
        }
    });
});
