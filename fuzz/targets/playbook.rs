//! A process as data, and a calendar.
#![no_main]

use embargod::domain::process::calendar;
use embargod::domain::process::playbook as loader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: embargod::edge::contained::end_at_other_panics(), |text: &str| {
    let calendars = calendar::builtin();
    let _ = calendar::parse(text);
    let _ = loader::calendar_of(text);
    if loader::load(text, &calendars).is_ok() {
        assert!(loader::load_stored(text, &calendars).is_ok(), "what may be new may not be stored");
    }
});
