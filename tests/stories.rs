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
use embargod::rehearsal::how_to_read;
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

/// Runs lines in a shell, as a person who pastes them.
fn shell(lines: &str) -> (bool, String) {
    let ran = std::process::Command::new("sh").arg("-ec").arg(lines).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    (ran.status.success(), format!("{said}{}", String::from_utf8_lossy(&ran.stdout)))
}

/// What the demo prints for pending_keys works: with Debian's GnuPG, on the newest mail as printed and on
/// every other mail that was sealed to somebody.
fn gnupg_reads_what_was_sealed(folder: &Path) {
    let told = how_to_read(folder);
    let lines: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    assert_eq!(lines.len(), 3, "{told}");
    let tidy = "\ngpgconf --kill gpg-agent; rm -rf \"$GNUPGHOME\"";
    let (works, said) = shell(&format!("{}{tidy}", lines.join("\n")));
    assert!(works && said.contains("Good signature"), "{told}\n{said}");
    let all = format!(
        "{}\n{}\nfor mail in {}/mails/*-desk-to-*.eml; do\n  case $mail in *-desk-to-desk.eml) continue;; esac\n  \
         grep -q 'BEGIN PGP MESSAGE' $mail || continue\n  \
         gpg --quiet --batch --decrypt $mail >/dev/null 2>&1 || echo CLOSED $mail\n  echo opened\ndone{tidy}",
        lines[0],
        lines[1],
        folder.display()
    );
    let (works, said) = shell(&all);
    assert!(works && !said.contains("CLOSED"), "{said}");
    let opened = said.matches("opened").count();
    assert!(opened > 20, "{opened} sealed mails");
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
    gnupg_reads_what_was_sealed(&folder);
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
    assert_eq!(checked, 12, "three notices and the end for each of three");
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
