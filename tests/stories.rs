//! The story on the stage without servers, and what it leaves behind.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop, and says so"
)]

use std::path::{Path, PathBuf};

use embargod::domain::facts::names::Moment;
use embargod::rehearsal::post_office::PostOffice;
use embargod::rehearsal::story::{self, CANARY};

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("embargod-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn holds(path: &Path, word: &str) -> bool {
    let bytes = std::fs::read(path).unwrap();
    bytes.windows(word.len()).any(|part| part == word.as_bytes())
}

#[test]
fn the_story_plays_and_leaves_no_word_of_a_report_in_clear() {
    let folder = folder("story");
    // A Monday before summer time begins, so that the clocks change on the way.
    let start: Moment = "2026-03-16T09:00:00Z".parse().unwrap();
    let lines = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = std::sync::Arc::clone(&lines);
    let mut stage = PostOffice::open(
        &folder,
        start,
        Box::new(move |line| told.lock().unwrap().push(line.to_owned())),
    )
    .unwrap();
    story::play(&mut stage).unwrap();
    assert!(lines.lock().unwrap().iter().any(|line| line.ends_with("The end.")));
    // The state is what replaying the journal gives, and nothing else.
    let replayed = stage.replayed().unwrap();
    assert_eq!(replayed.head, stage.engine().unwrap().desk().head);
    assert_eq!(replayed.next_due(), stage.engine().unwrap().desk().next_due());
    for (handle, incident) in &stage.engine().unwrap().desk().incidents {
        assert_eq!(
            format!("{:?}", replayed.incidents[handle]),
            format!("{incident:?}"),
            "{handle}"
        );
    }
    drop(stage);
    let mut searched = 0;
    for entry in std::fs::read_dir(folder.join("mails")).unwrap().flatten() {
        searched += 1;
        assert!(
            !holds(&entry.path(), CANARY),
            "{} holds a word of the report",
            entry.path().display()
        );
    }
    assert!(searched > 60, "only {searched} mails");
    for entry in std::fs::read_dir(&folder).unwrap().flatten().filter(|e| e.path().is_file()) {
        for word in [CANARY, "SQLite format", "security@desk.test", "nested tables"] {
            assert!(!holds(&entry.path(), word), "{} holds `{word}`", entry.path().display());
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn each_copy_of_a_notice_has_one_recipient_and_one_key() {
    let folder = folder("copies");
    let start: Moment = "2026-06-01T09:00:00Z".parse().unwrap();
    let mut stage = PostOffice::open(&folder, start, Box::new(|_| {})).unwrap();
    story::play(&mut stage).unwrap();
    let mut checked = 0;
    for entry in std::fs::read_dir(folder.join("mails")).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let mail = std::fs::read_to_string(entry.path()).unwrap();
        for who in ["ann", "bob", "cleo"] {
            let theirs = name.ends_with(&format!("-to-{who}.eml"));
            assert_eq!(mail.contains(&format!("{who}@people.test")), theirs, "{name} names {who}");
            checked += usize::from(theirs);
        }
        if name.contains("-desk-to-") && mail.contains("multipart/encrypted") {
            assert!(mail.contains("\nSubject: [...]"), "{name}");
            assert!(
                !mail.contains("\nIn-Reply-To:") && !mail.contains("DEMO-20"),
                "{name} shows too much"
            );
        }
    }
    assert_eq!(checked, 9, "three notices for each of three");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn power_cuts_at_the_worst_places_lose_nothing_and_double_nothing_beyond_the_one_window() {
    // Every 5th and 3rd place: after keeping a mail, after counting an attempt, after the
    // last bytes. The story itself checks that each thing happens, once, and not before its time.
    for every in [5, 3] {
        let folder = folder(&format!("cuts-{every}"));
        let start: Moment = "2026-06-01T09:00:00Z".parse().unwrap();
        let mut stage = PostOffice::open(&folder, start, Box::new(|_| {})).unwrap();
        stage.cut_power_every(every);
        story::play(&mut stage).unwrap();
        assert!(stage.cuts > 20, "only {} cuts", stage.cuts);
        assert!(stage.doubles < stage.cuts, "{} doubles in {} cuts", stage.doubles, stage.cuts);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
