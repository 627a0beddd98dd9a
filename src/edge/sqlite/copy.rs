//! A copy of the store as it is at one moment, while a desk may go on writing to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use crate::edge::pgp::Passphrase;
use crate::edge::sqlite::{Sqlite, keyfile};
use crate::edge::write_private;
use crate::error::{Fault, Place};

/// So often is a database tried that somebody has a lock on, and so long is waited in between.
const TRIES: u32 = 1_000;
const PAUSE: Duration = Duration::from_millis(20);

/// A store's copy, and what lies beside the store and belongs to it.
#[derive(Debug)]
pub struct Copied {
    /// The copy, open.
    pub store: Sqlite,
    /// The file with its key, wrapped by the passphrase.
    pub key_file: PathBuf,
    /// The files that its rows name, each enciphered: name and place.
    pub spooled: Vec<(String, PathBuf)>,
}

impl Sqlite {
    /// Where the wrapped key of a store lies.
    #[must_use]
    pub fn key_file(store: &Path) -> PathBuf {
        keyfile::path(store)
    }

    /// The folder of what is large.
    #[must_use]
    pub fn spool_folder(store: &Path) -> PathBuf {
        store.with_extension("spool")
    }

    /// Copies a store, enciphered as it is, to a place where nothing is. Whoever writes to it meanwhile goes on.
    ///
    /// # Errors
    /// As [`Self::open`], and when the copy cannot be written.
    pub fn copy(path: &Path, passphrase: &Passphrase, to: &Path) -> Result<Copied, Fault> {
        let place = || format!("copying {}", path.display());
        let source = Self::open(path, passphrase)?;
        let key = keyfile::unwrap(&keyfile::path(path), passphrase)?;
        write_private(to, b"")?;
        let mut copy = Self::connect(to, &key)?;
        copied(&source.db, &mut copy.db).at(place)?;
        // One file, without what others keep beside it.
        copy.db
            .execute_batch("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE;")
            .at(place)?;
        let spool = Self::spool_folder(path);
        let spooled = copy.spooled()?.into_iter().map(|name| (name.clone(), spool.join(name)));
        Ok(Copied { spooled: spooled.collect(), key_file: keyfile::path(path), store: copy })
    }
}

/// All pages within one look at the source, so that they are of one moment.
fn copied(from: &Connection, to: &mut Connection) -> rusqlite::Result<()> {
    let backup = Backup::new(from, to)?;
    for _ in 0..TRIES {
        if backup.step(-1)? == StepResult::Done {
            return Ok(());
        }
        // Somebody has the lock for a moment.
        std::thread::sleep(PAUSE);
    }
    Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::domain::facts::names::Moment;
    use crate::ports::store::{Alarms as _, Journal as _, Note};

    #[test]
    fn a_copy_is_of_one_moment_and_as_closed_as_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let (path, to) = (folder.path().join("desk.db"), folder.path().join("copy.db"));
        let passphrase = Passphrase::new("hush");
        let now: Moment = "2026-11-27T12:00:00Z".parse().unwrap();
        let mut store = Sqlite::create(&path, &passphrase, now).unwrap();
        let word = "what nobody but the desk may read ".repeat(300);
        store.set_note(Note::SignIn, Some(&word)).unwrap();
        let copied = Sqlite::copy(&path, &passphrase, &to).unwrap();
        store.set_note(Note::SignIn, Some("later")).unwrap();
        assert_eq!(copied.store.note(Note::SignIn).unwrap().unwrap(), word);
        assert_eq!(copied.store.secrets().unwrap().ref_key, store.secrets().unwrap().ref_key);
        drop(copied);
        let mode = std::fs::metadata(&to).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let bytes = std::fs::read(&to).unwrap();
        assert!(bytes.len() > word.len());
        assert!(!bytes.windows(20).any(|window| word.as_bytes().starts_with(window)));
        assert!(!bytes.starts_with(b"SQLite format"));
        // It opens with the key that lies beside the store, and with no other.
        std::fs::copy(Sqlite::key_file(&path), Sqlite::key_file(&to)).unwrap();
        let again = Sqlite::open(&to, &passphrase).unwrap();
        assert_eq!(again.note(Note::SignIn).unwrap().unwrap(), word);
        assert!(Sqlite::open(&to, &Passphrase::new("other")).is_err());
    }
}
