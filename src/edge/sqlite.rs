//! The one SQLite file, encrypted by SQLCipher; with `store/`, the only place with SQL.
//!
//! The database's key is random and lies beside it, wrapped by a key that Argon2id derives from
//! the passphrase; never by the OpenPGP key, to which strangers may encrypt.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

use crate::domain::facts::event::Blob;
use crate::domain::facts::names::{Digest, Handle, Moment};
use crate::domain::facts::record::{Head, Line, Record};
use crate::edge::pgp::Passphrase;
use crate::edge::sqlite::keyfile::hex;
use crate::edge::sqlite::spool::SpoolFolder;
use crate::edge::sqlite::unit::execute;
use crate::edge::sqlite::witness::WitnessFile;
use crate::edge::{random, write_private};
use crate::error::{Fault, Place};
use crate::ports::store::{Alarms, Commit, Counts, Journal, Note, Secrets};

mod copy;
mod inbox;
mod keyfile;
mod outbox;
mod spool;
mod unit;
mod witness;

pub use crate::edge::sqlite::copy::Copied;

/// So many statements are kept ready: more than there are.
const STATEMENTS: usize = 256;
/// The form of the database that this version writes.
const SCHEMA: u8 = 6;

/// The store, open.
#[derive(Debug)]
pub struct Sqlite {
    db: Connection,
    /// What puts the database back does not put this back; or why it cannot be read.
    witness: Result<WitnessFile, Fault>,
    /// Whether the last writing of it went wrong.
    unwitnessed: Option<String>,
    /// Whether one was ever written: then one that is gone is missed.
    has_witness: bool,
    /// Whether changes are gathered; the newest head among those that are; and why they were lost.
    gathers: bool,
    unwritten: Option<Head>,
    lost: Option<Fault>,
    /// The head that was found in this transaction: nobody else writes meanwhile.
    fenced: Option<Head>,
    spool: SpoolFolder,
    /// Whether files are named in this transaction that were not named before, and those that it lets go of.
    names_files: bool,
    let_go: Vec<String>,
}

fn millis(moment: Moment) -> i64 {
    moment.timestamp_millis()
}

fn moment(millis: i64) -> Moment {
    Moment::from_timestamp_millis(millis).unwrap_or_default()
}

impl Sqlite {
    /// Makes a new database and its key file. Refuses to touch one that is there.
    ///
    /// # Errors
    /// When one of the files exists or cannot be written.
    pub fn create(path: &Path, passphrase: &Passphrase, now: Moment) -> Result<Self, Fault> {
        let key_file = keyfile::path(path);
        for file in [path, &key_file] {
            if file.exists() {
                let next =
                    "choose another place, or remove it if you are certain that nothing needs it";
                return Err(Fault::new(format!("{} exists already", file.display()), next));
            }
        }
        let key = Zeroizing::new(random::<32>()?);
        let text = keyfile::wrap(&key, passphrase)?;
        write_private(&key_file, text.as_bytes())?;
        write_private(path, b"")?;
        let mut store = Self::connect(path, &key)?;
        let place = || format!("making {}", path.display());
        store.db.execute_batch(include_str!("sqlite/schema.sql")).at(place)?;
        store.put_meta("schema", SCHEMA.to_string().as_bytes())?;
        store.put_meta("ref_key", &random::<32>()?)?;
        store.put_meta("session_salt", &random::<32>()?)?;
        store.put_meta("made", &millis(now).to_be_bytes())?;
        store.witnessed_by(&Self::witness_beside(path))
    }

    /// Opens the database.
    ///
    /// # Errors
    /// When a file is missing or damaged, the passphrase is wrong, or the schema is another one. One
    /// of an older version is left as it is: the desk of that version may be running on it.
    pub fn open(path: &Path, passphrase: &Passphrase) -> Result<Self, Fault> {
        match Self::open_any(path, passphrase)? {
            (store, SCHEMA) => Ok(store),
            (_, older) => Err(Fault::new(
                format!("{} is of an older version (schema {older})", path.display()),
                "start the desk: `embargod run` brings the database to this version",
            )),
        }
    }

    /// Opens the database of a desk that nobody else is running, and brings one of an older version to
    /// this one, wholly or not at all.
    ///
    /// # Errors
    /// As [`Self::open`], and when it cannot be brought to this version; then it is as it was.
    pub fn open_alone(path: &Path, passphrase: &Passphrase) -> Result<Self, Fault> {
        let (store, schema) = Self::open_any(path, passphrase)?;
        let place = || "bringing the database to this version".to_owned();
        let steps = [
            include_str!("sqlite/upgrade_2.sql"),
            include_str!("sqlite/upgrade_3.sql"),
            include_str!("sqlite/upgrade_4.sql"),
            include_str!("sqlite/upgrade_5.sql"),
            include_str!("sqlite/upgrade_6.sql"),
        ];
        let sql = steps.get(usize::from(schema.saturating_sub(1))..).unwrap_or_default().concat();
        if !sql.is_empty() {
            store.db.execute_batch(&format!("BEGIN IMMEDIATE; {sql} COMMIT;")).at(place)?;
        }
        store.spool.sweep(&store.spooled()?, path);
        Ok(store)
    }

    fn open_any(path: &Path, passphrase: &Passphrase) -> Result<(Self, u8), Fault> {
        if !path.exists() {
            return Err(Fault::new(
                format!("there is no database at {}", path.display()),
                "run `embargod init`",
            ));
        }
        let key = keyfile::unwrap(&keyfile::path(path), passphrase)?;
        let store = Self::connect(path, &key)?;
        let schema = store.meta("schema")?.unwrap_or_default();
        let schema = String::from_utf8_lossy(&schema).into_owned();
        match schema.parse() {
            Ok(known @ 1..=SCHEMA) => Ok((store.witnessed_by(&Self::witness_beside(path))?, known)),
            _ => {
                let place = path.display();
                let what =
                    format!("{place} has schema `{schema}`, and this program knows 1 to {SCHEMA}");
                Err(Fault::new(what, "run the version of embargod that wrote it"))
            }
        }
    }

    fn connect(path: &Path, key_bytes: &[u8; 32]) -> Result<Self, Fault> {
        let place = || format!("database {}", path.display());
        // SQLite runs SQLCipher's own start outside of its lock, so a second thread that opens its
        // first database at the same moment would find no cipher yet.
        static FIRST: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let first = FIRST.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let db = Connection::open(path).at(place)?;
        drop(first);
        // A raw key: SQLCipher's own derivation would only cost time on 32 random bytes.
        let key = Zeroizing::new(hex(key_bytes));
        let sql = Zeroizing::new(format!("PRAGMA key = \"x'{}'\";", &*key));
        db.execute_batch(&sql).at(place)?;
        db.execute_batch(
            "PRAGMA temp_store = MEMORY; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             PRAGMA secure_delete = FAST; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 10000;
             PRAGMA journal_size_limit = 8388608;",
        )
        .at(place)?;
        // An SQLite without SQLCipher would take the key pragma and write in clear.
        let cipher: Option<String> =
            db.query_row("PRAGMA cipher_version", [], |row| row.get(0)).optional().at(place)?;
        if cipher.is_none() {
            return Err(Fault::new(
                "this SQLite has no SQLCipher; nothing was written",
                "build with the bundled one",
            ));
        }
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        // A plan does not hang on what is looked for: otherwise each statement is read anew with each value.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).at(place)?;
        let witness = Err(Fault::new("no witness was looked for", ""));
        Ok(Self {
            db,
            witness,
            unwitnessed: None,
            has_witness: false,
            gathers: false,
            unwritten: None,
            lost: None,
            fenced: None,
            spool: SpoolFolder::beside(path, key_bytes),
            names_files: false,
            let_go: Vec::new(),
        })
    }

    /// The files that rows name.
    fn spooled(&self) -> Result<BTreeSet<String>, Fault> {
        let place = || "spool".to_owned();
        let sql = "SELECT file FROM sealed WHERE file IS NOT NULL
                   UNION ALL SELECT file FROM came WHERE file IS NOT NULL";
        let mut rows = self.db.prepare(sql).at(place)?;
        let rows = rows.query_map([], |row| row.get(0)).at(place)?;
        rows.collect::<Result<_, _>>().at(place)
    }

    /// Where the witness of a store lies unless the operator says otherwise.
    #[must_use]
    pub fn witness_beside(store: &Path) -> PathBuf {
        store.with_extension("witness")
    }

    /// The same with its witness in another place: on another disk, best of all.
    ///
    /// # Errors
    /// When the store has no secrets.
    pub fn witnessed_by(mut self, path: &Path) -> Result<Self, Fault> {
        self.witness = WitnessFile::open(path, self.secrets()?.ref_key);
        self.has_witness = self.meta("witnessed")?.is_some();
        if self.has_witness && matches!(&self.witness, Ok(file) if file.head().is_none()) {
            let what = format!("the witness {} is gone", path.display());
            let next = "put the file there, or run `embargod restored --yes` to begin a new one";
            self.witness = Err(Fault::new(what, next));
        }
        Ok(self)
    }

    /// Pages of the database that are not as they were written: each carries a MAC of its own.
    ///
    /// # Errors
    /// When the database cannot be read at all.
    pub fn damage(&self) -> Result<Vec<String>, Fault> {
        let place = || "checking the database".to_owned();
        let mut rows = self.db.prepare("PRAGMA cipher_integrity_check").at(place)?;
        let rows = rows.query_map([], |row| row.get(0)).at(place)?;
        rows.take(20).collect::<Result<_, _>>().at(place)
    }

    /// Forgets that there was a witness, so that a new one is begun.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn forget_witness(&self) -> Result<(), Fault> {
        let sql = "DELETE FROM meta WHERE key = 'witnessed'";
        self.db.execute(sql, []).at(|| "store".to_owned()).map(|_| ())
    }

    /// Takes note of the head outside the database. That it cannot is told, and stops nothing: what
    /// was committed is committed.
    fn witness_head(&mut self, head: Head) -> Result<(), Fault> {
        let written = match &mut self.witness {
            Ok(file) => file.write(head),
            Err(fault) => Err(fault.clone()),
        };
        match written {
            Err(fault) => {
                if self.unwitnessed.is_none() {
                    tracing::error!(event = "witness.unwritten", why = %fault.what, "The witness cannot be written.");
                }
                self.unwitnessed = Some(fault.what);
                Ok(())
            }
            Ok(()) => {
                self.unwitnessed = None;
                if self.has_witness {
                    return Ok(());
                }
                self.has_witness = true;
                self.put_meta("witnessed", b"1")
            }
        }
    }

    fn put_meta(&mut self, key: &str, value: &[u8]) -> Result<(), Fault> {
        let sql = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)";
        self.unit(|store| execute(&store.db, sql, params![key, value]).map(drop))
    }

    fn set_meta(&mut self, key: &str, text: Option<&str>) -> Result<(), Fault> {
        let Some(text) = text else {
            let sql = "DELETE FROM meta WHERE key = ?1";
            return self.unit(|store| execute(&store.db, sql, [key]).map(drop));
        };
        self.put_meta(key, text.as_bytes())
    }

    fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, Fault> {
        let place = || "store".to_owned();
        let sql = "SELECT value FROM meta WHERE key = ?1";
        let mut found = self.db.prepare_cached(sql).at(place)?;
        found.query_row([key], |row| row.get(0)).optional().at(place)
    }
}

/// The fence: refuses to write behind lines that this desk does not know.
fn expect(db: &Connection, expected: Head) -> Result<(), Fault> {
    let place = || "journal".to_owned();
    let sql = "SELECT number, hash FROM journal ORDER BY number DESC LIMIT 1";
    let newest: Option<(i64, String)> = db
        .prepare_cached(sql)
        .at(place)?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .at(place)?;
    let fits = newest.map_or(expected.number == 0, |(number, hash)| {
        u64::try_from(number) == Ok(expected.number) && hash == expected.hash.to_string()
    });
    if fits {
        return Ok(());
    }
    Err(Fault::new(
        format!("the journal does not end with record {} as this desk has it", expected.number),
        "another desk has written to this store: stop one of them, then start the other anew",
    ))
}

/// Writes all that a decision changes.
fn write(db: &Connection, commit: &Commit<'_>) -> Result<(), Fault> {
    let place = || "writing to the store".to_owned();
    for (digest, text) in commit.texts {
        let sql = "INSERT OR IGNORE INTO shelf (digest, text) VALUES (?1, ?2)";
        execute(db, sql, params![digest.to_string(), text])?;
    }
    for body in commit.bodies {
        let sql = "INSERT INTO body (name, salt, text) VALUES (?1, ?2, ?3)";
        execute(db, sql, params![body.name.to_string(), body.salt, body.text])?;
    }
    for line in commit.lines {
        let sql = "INSERT INTO journal (number, record, hash) VALUES (?1, ?2, ?3)";
        let number = i64::try_from(line.number).at(place)?;
        execute(db, sql, params![number, line.json, line.hash.to_string()])?;
    }
    for mail in commit.mails {
        outbox::put(db, mail)?;
    }
    if let Some((id, disposition)) = commit.inbox {
        let sql = "UPDATE inbox SET state = 'done', disposition = ?2 WHERE id = ?1";
        execute(db, sql, params![id, disposition])?;
    }
    for id in commit.told {
        execute(db, "UPDATE outbox SET told = 1 WHERE id = ?1", [id])?;
    }
    Ok(())
}

impl Journal for Sqlite {
    fn replay(&self, take: &mut dyn FnMut(Line) -> Result<(), Fault>) -> Result<(), Fault> {
        let place = || "journal".to_owned();
        let sql = "SELECT number, record, hash FROM journal ORDER BY number";
        let mut rows = self.db.prepare(sql).at(place)?;
        let mut rows = rows.query([]).at(place)?;
        while let Some(row) = rows.next().at(place)? {
            let (number, json, hash): (i64, String, String) =
                (row.get(0).at(place)?, row.get(1).at(place)?, row.get(2).at(place)?);
            let place = || format!("journal record {number} was changed: its hash does not fit");
            let (number, hash) =
                (u64::try_from(number).at(place)?, Digest::try_from(hash).at(place)?);
            take(Line { number, json, hash })?;
        }
        Ok(())
    }

    fn history(&self, handle: &Handle) -> Result<Vec<Record>, Fault> {
        let place = || format!("journal of {handle}");
        let sql = "SELECT record FROM journal WHERE json_extract(record, '$.incident') = ?1 ORDER BY number";
        let mut rows = self.db.prepare_cached(sql).at(place)?;
        let rows = rows.query_map([handle.as_str()], |row| row.get::<_, String>(0)).at(place)?;
        rows.map(|row| serde_json::from_str(&row.at(place)?).at(place)).collect()
    }

    fn body(&self, name: Blob) -> Result<Option<String>, Fault> {
        let place = || "body".to_owned();
        let sql = "SELECT text FROM body WHERE name = ?1";
        let mut found = self.db.prepare_cached(sql).at(place)?;
        found.query_row([name.to_string()], |row| row.get(0)).optional().at(place)
    }

    fn bodies(&self, take: &mut dyn FnMut(&str, &[u8], &str)) -> Result<(), Fault> {
        let place = || "body".to_owned();
        let mut rows = self.db.prepare("SELECT name, salt, text FROM body").at(place)?;
        let mut rows = rows.query([]).at(place)?;
        while let Some(row) = rows.next().at(place)? {
            let (name, salt, text): (String, Vec<u8>, String) =
                (row.get(0).at(place)?, row.get(1).at(place)?, row.get(2).at(place)?);
            take(&name, &salt, &text);
        }
        Ok(())
    }

    fn texts(&self) -> Result<Vec<String>, Fault> {
        let place = || "texts".to_owned();
        let mut rows = self.db.prepare("SELECT text FROM shelf").at(place)?;
        let texts = rows.query_map([], |row| row.get(0)).at(place)?;
        texts.collect::<Result<_, _>>().at(place)
    }

    fn secrets(&self) -> Result<Secrets, Fault> {
        let get = |key: &str| {
            let value = self.meta(key)?.and_then(|value| value.try_into().ok());
            value.ok_or_else(|| Fault::new(format!("the store has no `{key}`"), "restore a backup"))
        };
        Ok(Secrets { ref_key: get("ref_key")?, session_salt: get("session_salt")? })
    }

    fn made(&self) -> Result<Moment, Fault> {
        let value = self.meta("made")?.and_then(|value| value.try_into().ok());
        value
            .map(|bytes| moment(i64::from_be_bytes(bytes)))
            .ok_or_else(|| Fault::new("the store has no date", ""))
    }

    fn commit(&mut self, expected: Head, commit: &Commit<'_>) -> Result<(), Fault> {
        self.unit(|store| {
            if store.fenced != Some(expected) {
                expect(&store.db, expected)?;
            }
            write(&store.db, commit)?;
            store.names_files |= commit.mails.iter().any(|mail| mail.content.is_apart());
            let over = outbox::settle(&store.db, commit.outbox)?;
            store.let_go.extend(over);
            let newest = commit.lines.last();
            let newest = newest.map(|line| Head { number: line.number, hash: line.hash });
            store.fenced = Some(newest.unwrap_or(expected));
            store.unwritten = newest.or(store.unwritten);
            Ok(())
        })
    }

    fn witness(&self) -> Result<Option<Head>, Fault> {
        self.witness.as_ref().map(WitnessFile::head).map_err(Clone::clone)
    }

    fn line_hash(&self, number: u64) -> Result<Option<Digest>, Fault> {
        let place = || "journal".to_owned();
        let sql = "SELECT hash FROM journal WHERE number = ?1";
        let number = i64::try_from(number).at(place)?;
        let hash: Option<String> =
            self.db.query_row(sql, [number], |row| row.get(0)).optional().at(place)?;
        Ok(hash.as_deref().and_then(Digest::parse))
    }
}

impl Alarms for Sqlite {
    fn note(&self, note: Note) -> Result<Option<String>, Fault> {
        Ok(self.meta(note.name())?.map(|text| String::from_utf8_lossy(&text).into_owned()))
    }

    fn set_note(&mut self, note: Note, text: Option<&str>) -> Result<(), Fault> {
        self.set_meta(note.name(), text)
    }

    fn unwitnessed(&self) -> Option<String> {
        self.unwitnessed.clone()
    }

    fn alive(&self) -> Result<Option<Moment>, Fault> {
        let value = self.meta("alive")?.and_then(|value| value.try_into().ok());
        Ok(value.map(|bytes| moment(i64::from_be_bytes(bytes))))
    }

    fn set_alive(&mut self, at: Moment) -> Result<(), Fault> {
        self.put_meta("alive", &millis(at).to_be_bytes())
    }

    fn mailed(&self) -> Result<Option<(Moment, u64)>, Fault> {
        let value: Option<[u8; 16]> = self.meta("mailed")?.and_then(|value| value.try_into().ok());
        Ok(value.map(|value| {
            let value = u128::from_be_bytes(value);
            let (at, number) = ((value >> 64) as u64, value as u64);
            (moment(at.cast_signed()), number)
        }))
    }

    fn held(&self) -> Result<Option<String>, Fault> {
        Ok(self.meta("held")?.map(|why| String::from_utf8_lossy(&why).into_owned()))
    }

    fn set_held(&mut self, why: Option<&str>) -> Result<(), Fault> {
        self.set_meta("held", why)
    }

    fn set_mailed(&mut self, at: Moment, number: u64) -> Result<(), Fault> {
        self.put_meta("mailed", &[millis(at).to_be_bytes(), number.to_be_bytes()].concat())
    }

    fn room(&self) -> Result<u64, Fault> {
        let path = self.db.path().unwrap_or(".");
        let system = rustix::fs::statvfs(path).at(|| format!("the disk of {path}"))?;
        Ok(system.f_bavail.saturating_mul(system.f_frsize))
    }

    fn counts(&self) -> Result<Counts, Fault> {
        let count = |sql: &str| -> Result<u64, Fault> {
            let count: i64 =
                self.db.query_row(sql, [], |row| row.get(0)).at(|| "counting".to_owned())?;
            Ok(count.unsigned_abs())
        };
        Ok(Counts {
            inbox_waiting: count("SELECT count(*) FROM inbox WHERE state = 'waiting'")?,
            inbox_aside: count(
                "SELECT (SELECT count(*) FROM inbox WHERE state = 'aside')
                      + (SELECT count(*) FROM trouble)",
            )?,
            outbox_waiting: count("SELECT count(*) FROM outbox WHERE state = 'waiting'")?,
            // An acknowledgement to an address that a stranger made up is no trouble of ours; one that was refused
            // for anything else is.
            outbox_dead: count(
                "SELECT count(*) FROM outbox WHERE state = 'dead'
                 AND NOT (json_extract(label, '$.purpose') IN ('acknowledgement', 'key')
                          AND (reply LIKE '55_ 5.1.%' OR reply LIKE '55_ 5.2.%' OR reply LIKE '55_ 5.4.%'
                               OR reply GLOB '55[013] [^5]*'))",
            )?,
            outbox_unknown: count("SELECT count(*) FROM outbox WHERE state = 'unknown'")?,
        })
    }
}
