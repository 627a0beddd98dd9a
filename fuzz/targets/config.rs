//! The operator's file.
#![no_main]

use std::cell::OnceCell;

use libfuzzer_sys::fuzz_target;

thread_local! {
    static FOLDER: OnceCell<tempfile::TempDir> = const { OnceCell::new() };
}

fuzz_target!(init: embargod::edge::contained::end_at_other_panics(), |text: &str| {
    FOLDER.with(|it| {
        let path = it.get_or_init(|| tempfile::tempdir().unwrap()).path().join("embargod.toml");
        std::fs::write(&path, text).unwrap();
        let now = "2026-03-02T09:00:00Z".parse().unwrap();
        match embargod::config::read(&path, now) {
            Ok(_) => {}
            Err(findings) => {
                assert!(findings.iter().any(|finding| finding.fatal), "refused without a reason");
            }
        }
    });
});
