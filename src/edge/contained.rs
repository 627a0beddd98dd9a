//! What libraries do with strangers' bytes, kept apart from the rest of the program.
//!
//! A panic ends the program: a half-broken desk is worse than a stopped one, and the journal restores it. But whoever
//! finds bytes at which a library panics could stop the desk with every mail, and learn from its silence what our key
//! opened. So whatever reads strangers' bytes or seals to strangers' keys is run here, and a panic in it is a failure
//! of that one mail or key.

use std::cell::Cell;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static IS_CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Does something with a stranger's bytes. `None` where a library has panicked at them. The work shares no state that
/// a panic could leave half done.
pub fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    let before = IS_CONTAINED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    IS_CONTAINED.set(before);
    done.ok()
}

/// From here on a panic anywhere else ends the program at once. Only its place is told: its words may hold what was
/// decrypted.
pub fn end_at_other_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        if IS_CONTAINED.get() {
            tracing::error!(
                event = "mail.panicked",
                place,
                "A library stopped at a stranger's bytes."
            );
            return;
        }
        tracing::error!(event = "desk.panicked", place, "The program has a mistake, and stops.");
        if !tracing::dispatcher::has_been_set() {
            let said = format!("embargod: the program has a mistake, and stops: {place}\n");
            let _ = std::io::stderr().write_all(said.as_bytes());
        }
        std::process::abort();
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_the_work_and_nothing_else() {
        assert_eq!(contained(|| 1), Some(1));
        assert_eq!(contained(|| contained(|| -> u8 { panic!("inner") })), Some(None));
        assert_eq!(contained(|| -> u8 { panic!("outer") }), None);
        assert!(!IS_CONTAINED.get());
    }

    #[test]
    #[ignore = "it ends the program; the next one runs it in another"]
    fn panics_in_a_thread_of_its_own() {
        end_at_other_panics();
        let thread = std::thread::spawn(|| panic!("what was decrypted"));
        drop(thread.join());
    }

    /// Also where somebody would have caught it, as runtimes do.
    #[test]
    fn a_panic_elsewhere_ends_the_program_and_says_no_word_of_its_own() {
        use std::os::unix::process::ExitStatusExt;
        let name = "edge::contained::tests::panics_in_a_thread_of_its_own";
        let mut program = std::process::Command::new(std::env::current_exe().unwrap());
        let ended = program.args(["--ignored", "--nocapture", "--exact", name]).output().unwrap();
        let said = [ended.stdout, ended.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(ended.status.signal(), Some(6), "{said}");
        assert!(said.contains("contained.rs:") && !said.contains("decrypted"), "{said}");
    }
}
