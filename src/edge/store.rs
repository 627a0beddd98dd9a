//! The one SQLite file, encrypted by SQLCipher; with `store/`, the only place with SQL.
//!
//! The database's key is random and lies beside it, wrapped by a key that Argon2id derives from
//! the passphrase; never by the OpenPGP key, to which strangers may encrypt.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use crate::domain::facts::event::Blob;
use crate::domain::facts::names::{Digest, Handle, Moment};
use crate::domain::facts::record::{Body, Head, Record, chain};
use crate::domain::outgoing::mail::Label;
use crate::error::{Fault, Place};

use super::keyfile;
use super::keyfile::hex;
use super::opening::RawMail;
use super::pgp::Passphrase;

mod outbox;

/// The form of the database that this version writes.
const SCHEMA: u8 = 2;

/// The store, open.
#[derive(Debug)]
pub struct Store {
    db: Connection,
    /// Mails that couriers have in hand and must not hand over any more.
    recalled: BTreeSet<i64>,
}

/// A mail that waits to be opened.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Its row.
    pub id: i64,
    /// How often it was tried before.
    pub attempts: u32,
    /// The mail.
    pub mail: RawMail,
}

/// Where a mail lies on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The folder.
    pub folder: String,
    /// The folder's incarnation.
    pub uidvalidity: u32,
    /// The mail's number in it.
    pub uid: u32,
}

/// A sealed mail, ready for the outbox.
#[derive(Debug, Clone)]
pub struct Sealed {
    pub(super) message_id: String,
    pub(super) label: Label,
    pub(super) return_token: String,
    pub(super) recipient: String,
    pub(super) bytes: Vec<u8>,
    pub(super) not_before: Moment,
}

/// A row of the outbox that is due. Its bytes are read when they are about to leave, so that many rows
/// in hand take no memory.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Its row.
    pub id: i64,
    /// Its Message-ID.
    pub message_id: String,
    /// What it is.
    pub label: Label,
    /// The token of its return path.
    pub return_token: String,
    /// The one recipient.
    pub recipient: String,
    /// When it was written.
    pub written: Moment,
    /// Attempts before this one.
    pub attempts: u32,
    /// Attempts whose end is not known.
    pub unknowns: u32,
    /// Whether the last bytes were on their way when we stopped.
    pub in_flight: bool,
}

/// What became of an outbox row.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The row.
    pub id: i64,
    /// `waiting`, `sent`, `dead`, `unknown` or `withdrawn`.
    pub state: &'static str,
    /// When to try again, while it waits.
    pub next_attempt: Moment,
    /// Attempts whose end is not known.
    pub unknowns: u32,
    /// The server's answer, shortened.
    pub reply: String,
}

/// All that one decision changes. Written in one transaction, or not at all.
#[derive(Debug, Default)]
pub struct Commit<'a> {
    /// New records, with their hashes.
    pub records: &'a [(Record, Digest)],
    /// Bodies that they name.
    pub bodies: &'a [Body],
    /// Texts that they name.
    pub shelf: &'a [(Digest, String)],
    /// Mails that are to leave.
    pub mails: &'a [Sealed],
    /// The inbox row that is done, and what it was.
    pub inbox: Option<(i64, &'a str)>,
    /// The outbox rows that are settled.
    pub outbox: &'a [Settled],
}

/// Counts for `status`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
    /// Mails that wait to be opened.
    pub inbox_waiting: u64,
    /// Mails that were set aside because they stopped the desk.
    pub inbox_aside: u64,
    /// Mails that wait to leave.
    pub outbox_waiting: u64,
    /// Mails that will not leave.
    pub outbox_dead: u64,
    /// Mails of which it is not known whether they left.
    pub outbox_unknown: u64,
}

/// The secrets that the store keeps for the desk.
#[derive(Clone)]
pub struct Secrets {
    /// Makes references.
    pub ref_key: [u8; 32],
    /// Salts the hashes of session keys.
    pub session_salt: [u8; 32],
}

fn millis(moment: Moment) -> i64 {
    moment.timestamp_millis()
}

fn moment(millis: i64) -> Moment {
    Moment::from_timestamp_millis(millis).unwrap_or_default()
}

impl Store {
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
        let key = super::random::<32>()?;
        let text = keyfile::wrap(&key, passphrase)?;
        super::write_private(&key_file, text.as_bytes())?;
        super::write_private(path, b"")?;
        let store = Self::connect(path, &key)?;
        let place = || format!("making {}", path.display());
        store.db.execute_batch(include_str!("schema.sql")).at(place)?;
        store.put_meta("schema", SCHEMA.to_string().as_bytes())?;
        store.put_meta("ref_key", &super::random::<32>()?)?;
        store.put_meta("session_salt", &super::random::<32>()?)?;
        store.put_meta("made", &millis(now).to_be_bytes())?;
        Ok(store)
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
        if schema < SCHEMA {
            let sql = include_str!("store/upgrade_2.sql");
            store.db.execute_batch(&format!("BEGIN IMMEDIATE; {sql} COMMIT;")).at(place)?;
        }
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
            Ok(known @ 1..=SCHEMA) => Ok((store, known)),
            _ => {
                let place = path.display();
                let what =
                    format!("{place} has schema `{schema}`, and this program knows 1 to {SCHEMA}");
                Err(Fault::new(what, "run the version of embargod that wrote it"))
            }
        }
    }

    fn connect(path: &Path, key: &[u8; 32]) -> Result<Self, Fault> {
        let place = || format!("database {}", path.display());
        // SQLite runs SQLCipher's own start outside of its lock, so a second thread that opens its
        // first database at the same moment would find no cipher yet.
        static FIRST: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let first = FIRST.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let db = Connection::open(path).at(place)?;
        drop(first);
        // A raw key: SQLCipher's own derivation would only cost time on 32 random bytes.
        db.execute_batch(&format!("PRAGMA key = \"x'{}'\";", hex(key))).at(place)?;
        db.execute_batch(
            "PRAGMA temp_store = MEMORY; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             PRAGMA secure_delete = ON; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 10000;",
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
        Ok(Self { db, recalled: BTreeSet::new() })
    }

    fn put_meta(&self, key: &str, value: &[u8]) -> Result<(), Fault> {
        let sql = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)";
        self.db.execute(sql, params![key, value]).at(|| "store".to_owned()).map(|_| ())
    }

    fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, Fault> {
        let sql = "SELECT value FROM meta WHERE key = ?1";
        self.db.query_row(sql, [key], |row| row.get(0)).optional().at(|| "store".to_owned())
    }

    /// The secrets of this desk.
    ///
    /// # Errors
    /// When they are not there.
    pub fn secrets(&self) -> Result<Secrets, Fault> {
        let get = |key: &str| {
            let value = self.meta(key)?.and_then(|value| value.try_into().ok());
            value.ok_or_else(|| Fault::new(format!("the store has no `{key}`"), "restore a backup"))
        };
        Ok(Secrets { ref_key: get("ref_key")?, session_salt: get("session_salt")? })
    }

    /// When the store was made: mails from before are not the desk's.
    ///
    /// # Errors
    /// When it is not known.
    pub fn made(&self) -> Result<Moment, Fault> {
        let value = self.meta("made")?.and_then(|value| value.try_into().ok());
        value
            .map(|bytes| moment(i64::from_be_bytes(bytes)))
            .ok_or_else(|| Fault::new("the store has no date", ""))
    }

    //-------- Journal ----------------------------------------------------------------------------

    /// Reads the whole journal in order and gives each row to `take`: number, record, hash.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn replay(
        &self,
        mut take: impl FnMut(i64, &str, &str) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let place = || "journal".to_owned();
        let mut rows = self
            .db
            .prepare("SELECT number, record, hash FROM journal ORDER BY number")
            .at(place)?;
        let mut rows = rows.query([]).at(place)?;
        while let Some(row) = rows.next().at(place)? {
            let (number, record, hash): (i64, String, String) =
                (row.get(0).at(place)?, row.get(1).at(place)?, row.get(2).at(place)?);
            take(number, &record, &hash)?;
        }
        Ok(())
    }

    /// The records about one incident, oldest first. By an index, so that it does not grow with the
    /// others.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn history(&self, handle: &Handle) -> Result<Vec<Record>, Fault> {
        let place = || format!("journal of {handle}");
        let sql = "SELECT record FROM journal WHERE json_extract(record, '$.incident') = ?1 ORDER BY number";
        let mut rows = self.db.prepare_cached(sql).at(place)?;
        let rows = rows.query_map([handle.as_str()], |row| row.get::<_, String>(0)).at(place)?;
        rows.map(|row| serde_json::from_str(&row.at(place)?).at(place)).collect()
    }

    /// The mail with this hash, as it came.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn mail(&self, raw: Digest) -> Result<Option<RawMail>, Fault> {
        let sql = "SELECT bytes, received, arrived, oversize FROM inbox WHERE raw = ?1";
        let row = self.db.query_row(sql, [raw.to_string()], |row| {
            Ok(RawMail {
                bytes: row.get(0)?,
                received: moment(row.get(1)?),
                arrived: moment(row.get(2)?),
                oversize: row.get(3)?,
            })
        });
        row.optional().at(|| "inbox".to_owned())
    }

    /// All texts on the shelf.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn shelf(&self) -> Result<Vec<String>, Fault> {
        let place = || "shelf".to_owned();
        let mut rows = self.db.prepare("SELECT text FROM shelf").at(place)?;
        let texts = rows.query_map([], |row| row.get(0)).at(place)?;
        texts.collect::<Result<_, _>>().at(place)
    }

    /// A body, by the name that records use; none if it was erased.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn body(&self, name: Blob) -> Result<Option<String>, Fault> {
        let sql = "SELECT text FROM body WHERE name = ?1";
        self.db
            .query_row(sql, [name.to_string()], |row| row.get(0))
            .optional()
            .at(|| "body".to_owned())
    }

    /// All bodies: name, salt, text. For `journal verify`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn bodies(&self, mut take: impl FnMut(&str, &[u8], &str)) -> Result<(), Fault> {
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

    /// Writes everything that a decision changes.
    ///
    /// # Errors
    /// When anything of it cannot be written; then nothing was.
    pub fn commit(&mut self, commit: &Commit<'_>) -> Result<(), Fault> {
        let place = || "writing to the store".to_owned();
        let tx = self.db.transaction().at(place)?;
        for (digest, text) in commit.shelf {
            let sql = "INSERT OR IGNORE INTO shelf (digest, text) VALUES (?1, ?2)";
            tx.prepare_cached(sql)
                .at(place)?
                .execute(params![digest.to_string(), text])
                .at(place)?;
        }
        for body in commit.bodies {
            let sql = "INSERT INTO body (name, salt, text) VALUES (?1, ?2, ?3)";
            let row = params![body.name.to_string(), body.salt, body.text];
            tx.prepare_cached(sql).at(place)?.execute(row).at(place)?;
        }
        for (record, hash) in commit.records {
            let json = serde_json::to_string(record).at(place)?;
            let number = i64::try_from(record.number).at(place)?;
            let sql = "INSERT INTO journal (number, record, hash) VALUES (?1, ?2, ?3)";
            tx.prepare_cached(sql)
                .at(place)?
                .execute(params![number, json, hash.to_string()])
                .at(place)?;
        }
        for mail in commit.mails {
            outbox::put(&tx, mail)?;
        }
        if let Some((id, disposition)) = commit.inbox {
            let sql = "UPDATE inbox SET state = 'done', disposition = ?2 WHERE id = ?1";
            tx.prepare_cached(sql).at(place)?.execute(params![id, disposition]).at(place)?;
        }
        for settled in commit.outbox {
            outbox::settle(&tx, settled)?;
            self.recalled.remove(&settled.id);
        }
        tx.commit().at(place)
    }

    //-------- Inbox ------------------------------------------------------------------------------

    /// Keeps mails with the places where they lie. A mail whose bytes are there already gets
    /// another place and nothing else.
    ///
    /// # Errors
    /// When it cannot be written; then nothing was.
    pub fn take_in(&mut self, mails: &[(Option<Location>, RawMail)]) -> Result<(), Fault> {
        let place = || "writing to the inbox".to_owned();
        let tx = self.db.transaction().at(place)?;
        for (location, mail) in mails {
            let raw = Digest::of(&mail.bytes).to_string();
            let sql = "INSERT OR IGNORE INTO inbox (raw, bytes, received, arrived, oversize)
                       VALUES (?1, ?2, ?3, ?4, ?5)";
            let row = params![
                raw,
                mail.bytes,
                millis(mail.received),
                millis(mail.arrived),
                mail.oversize
            ];
            tx.prepare_cached(sql).at(place)?.execute(row).at(place)?;
            if let Some(at) = location {
                let sql = "INSERT OR IGNORE INTO place (folder, uidvalidity, uid, raw) VALUES (?1, ?2, ?3, ?4)";
                let row = params![at.folder, at.uidvalidity, at.uid, raw];
                tx.prepare_cached(sql).at(place)?.execute(row).at(place)?;
            }
        }
        tx.commit().at(place)
    }

    /// The next mails to open. One that was tried before comes alone, so that only the mail that
    /// stops us is charged for it.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn waiting(&self, max: u32) -> Result<Vec<Waiting>, Fault> {
        let place = || "inbox".to_owned();
        let sql = "SELECT id, attempts, bytes, received, arrived, oversize FROM inbox
                   WHERE state = 'waiting' ORDER BY id LIMIT ?1";
        let mut rows = self.db.prepare_cached(sql).at(place)?;
        let rows = rows
            .query_map([max], |row| {
                let mail = RawMail {
                    bytes: row.get(2)?,
                    received: moment(row.get(3)?),
                    arrived: moment(row.get(4)?),
                    oversize: row.get(5)?,
                };
                Ok(Waiting { id: row.get(0)?, attempts: row.get(1)?, mail })
            })
            .at(place)?;
        let mut list: Vec<Waiting> = rows.collect::<Result<_, _>>().at(place)?;
        match list.iter().position(|mail| mail.attempts > 0) {
            Some(0) => list.truncate(1),
            Some(tried) => list.truncate(tried),
            None => {}
        }
        Ok(list)
    }

    /// Counts an attempt for each of these mails, before they are opened.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn charge(&mut self, ids: &[i64]) -> Result<(), Fault> {
        let place = || "inbox".to_owned();
        let tx = self.db.transaction().at(place)?;
        for id in ids {
            let sql = "UPDATE inbox SET attempts = attempts + 1 WHERE id = ?1";
            tx.prepare_cached(sql).at(place)?.execute([id]).at(place)?;
        }
        tx.commit().at(place)
    }

    /// Sets a mail aside: kept, shown, and not tried again by itself.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_aside(&mut self, id: i64, why: &str) -> Result<(), Fault> {
        let sql = "UPDATE inbox SET state = 'aside', disposition = ?2 WHERE id = ?1";
        self.db.execute(sql, params![id, why]).at(|| "inbox".to_owned()).map(|_| ())
    }

    /// Tries mails that were set aside once more.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn retry_aside(&mut self) -> Result<usize, Fault> {
        let sql = "UPDATE inbox SET state = 'waiting', attempts = 0 WHERE state = 'aside'";
        self.db.execute(sql, []).at(|| "inbox".to_owned())
    }

    //-------- Folders ----------------------------------------------------------------------------

    /// The folder's low-water mark in this incarnation.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn low_water(&self, folder: &str, uidvalidity: u32) -> Result<Option<u32>, Fault> {
        let sql = "SELECT low_water FROM folder WHERE name = ?1 AND uidvalidity = ?2";
        self.db
            .query_row(sql, params![folder, uidvalidity], |row| row.get(0))
            .optional()
            .at(|| "folder".to_owned())
    }

    /// How many incarnations of the folder are known.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn incarnations(&self, folder: &str) -> Result<i64, Fault> {
        let sql = "SELECT count(*) FROM folder WHERE name = ?1";
        let count =
            self.db.query_row(sql, [folder], |row| row.get(0)).at(|| "folder".to_owned())?;
        Ok(count)
    }

    /// Sets the low-water mark.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_low_water(&mut self, folder: &str, uidvalidity: u32, uid: u32) -> Result<(), Fault> {
        let sql = "INSERT INTO folder (name, uidvalidity, low_water) VALUES (?1, ?2, ?3)
                   ON CONFLICT DO UPDATE SET low_water = max(low_water, excluded.low_water)";
        self.db
            .execute(sql, params![folder, uidvalidity, uid])
            .at(|| "folder".to_owned())
            .map(|_| ())
    }

    /// The mails of a folder from a uid on whose place is known.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn known_uids(
        &self,
        folder: &str,
        uidvalidity: u32,
        from: u32,
    ) -> Result<BTreeSet<u32>, Fault> {
        let place = || "place".to_owned();
        let sql = "SELECT uid FROM place WHERE folder = ?1 AND uidvalidity = ?2 AND uid >= ?3";
        let mut rows = self.db.prepare_cached(sql).at(place)?;
        let uids =
            rows.query_map(params![folder, uidvalidity, from], |row| row.get(0)).at(place)?;
        uids.collect::<Result<_, _>>().at(place)
    }

    /// Mails of a folder that are stored and not marked on the server yet.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn to_mark(&self, folder: &str, uidvalidity: u32) -> Result<Vec<u32>, Fault> {
        let place = || "place".to_owned();
        let sql = "SELECT uid FROM place WHERE marked = 0 AND folder = ?1 AND uidvalidity = ?2 ORDER BY uid LIMIT 1000";
        let mut rows = self.db.prepare_cached(sql).at(place)?;
        let uids = rows.query_map(params![folder, uidvalidity], |row| row.get(0)).at(place)?;
        uids.collect::<Result<_, _>>().at(place)
    }

    /// Notes that mails are marked on the server.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn marked(&mut self, folder: &str, uidvalidity: u32, uids: &[u32]) -> Result<(), Fault> {
        let place = || "place".to_owned();
        let tx = self.db.transaction().at(place)?;
        for uid in uids {
            let sql =
                "UPDATE place SET marked = 1 WHERE folder = ?1 AND uidvalidity = ?2 AND uid = ?3";
            tx.prepare_cached(sql)
                .at(place)?
                .execute(params![folder, uidvalidity, uid])
                .at(place)?;
        }
        tx.commit().at(place)
    }

    /// Raises an alarm that `status` shows, or clears it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_alarm(&mut self, what: &str, why: Option<&str>) -> Result<(), Fault> {
        let key = format!("alarm:{what}");
        match why {
            Some(why) => self.put_meta(&key, why.as_bytes()),
            None => {
                let sql = "DELETE FROM meta WHERE key = ?1";
                self.db.execute(sql, [key]).at(|| "store".to_owned()).map(|_| ())
            }
        }
    }

    /// The alarms that stand.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn alarms(&self) -> Result<Vec<String>, Fault> {
        let place = || "store".to_owned();
        let sql = "SELECT CAST(value AS TEXT) FROM meta WHERE key LIKE 'alarm:%' ORDER BY key";
        let mut rows = self.db.prepare(sql).at(place)?;
        let alarms = rows.query_map([], |row| row.get(0)).at(place)?;
        alarms.collect::<Result<_, _>>().at(place)
    }

    /// Counts for `status`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn counts(&self) -> Result<Counts, Fault> {
        let count = |sql: &str| -> Result<u64, Fault> {
            let count: i64 =
                self.db.query_row(sql, [], |row| row.get(0)).at(|| "counting".to_owned())?;
            Ok(count.unsigned_abs())
        };
        Ok(Counts {
            inbox_waiting: count("SELECT count(*) FROM inbox WHERE state = 'waiting'")?,
            inbox_aside: count("SELECT count(*) FROM inbox WHERE state = 'aside'")?,
            outbox_waiting: count("SELECT count(*) FROM outbox WHERE state = 'waiting'")?,
            // An acknowledgement to an address that a stranger made up is no trouble of ours.
            outbox_dead: count(
                "SELECT count(*) FROM outbox WHERE state = 'dead'
                 AND json_extract(label, '$.purpose') NOT IN ('acknowledgement', 'key')",
            )?,
            outbox_unknown: count("SELECT count(*) FROM outbox WHERE state = 'unknown'")?,
        })
    }
}

/// Checks the chain row by row and gives each record to `take`.
///
/// # Errors
/// The first row that does not fit, by number.
pub fn read_journal(store: &Store, mut take: impl FnMut(Record, Digest)) -> Result<Head, Fault> {
    let mut head = Head { number: 0, hash: Digest([0; 32]) };
    store.replay(|number, json, hash| {
        let broken = |what: &str| {
            Fault::new(
                format!("journal record {number} {what}"),
                "restore a backup; compare the hashes in transcripts",
            )
        };
        let expected = head.number.saturating_add(1);
        if u64::try_from(number).ok() != Some(expected) {
            return Err(broken(&format!("stands where {expected} should be")));
        }
        let computed = chain(head.hash, json);
        if computed.to_string() != hash {
            return Err(broken("was changed: its hash does not fit"));
        }
        let record: Record = serde_json::from_str(json)
            .map_err(|error| broken(&format!("cannot be read: {error}")))?;
        if record.number != expected {
            return Err(broken("carries another number inside"));
        }
        head = Head { number: expected, hash: computed };
        take(record, computed);
        Ok(())
    })?;
    Ok(head)
}
