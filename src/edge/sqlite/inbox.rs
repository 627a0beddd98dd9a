//! The inbox: the mails that came in, and how far the mailbox is known.

use std::collections::BTreeSet;
use std::io::Write as _;

use rusqlite::{OptionalExtension, params};

use crate::domain::facts::names::{Digest, Moment};
use crate::edge::mime::says_report;
use crate::edge::sqlite::outbox::kept;
use crate::edge::sqlite::unit::execute;
use crate::edge::sqlite::{Sqlite, millis, moment};
use crate::error::{Fault, Place};
use crate::ports::store::{
    APART_FROM, Bookmark, Folder, Inbox, Journal, Kept, Location, RawMail, Spool as _, WITNESS,
    Waiting,
};

impl Sqlite {
    /// Writes a large mail apart.
    fn apart(&self, bytes: &[u8]) -> Result<Option<Kept>, Fault> {
        if bytes.len() <= APART_FROM {
            return Ok(None);
        }
        let mut file = self.spool.begin()?;
        file.write_all(bytes).at(|| "writing to the inbox".to_owned())?;
        file.end().map(Some)
    }

    /// The bytes of a mail, wherever they lie.
    fn fetched(&self, here: Vec<u8>, file: Option<&str>, size: i64) -> Result<Vec<u8>, Fault> {
        let Some(file) = file else { return Ok(here) };
        let whole = self.spool.whole(file, size.unsigned_abs())?;
        whole.ok_or_else(|| {
            let next = "put the spool's folder back beside the database, from the same backup";
            Fault::new(
                format!("the spool has no file {file}, which a mail of the inbox lies in"),
                next,
            )
        })
    }

    fn troubles_where(&self, filter: &str) -> Result<Vec<(Location, String)>, Fault> {
        let place = || "trouble".to_owned();
        let sql = format!(
            "SELECT folder, uidvalidity, uid, why FROM trouble WHERE {filter} ORDER BY uid LIMIT 1000"
        );
        let mut rows = self.db.prepare_cached(&sql).at(place)?;
        let rows = rows.query_map([], |row| {
            let at = Location { folder: row.get(0)?, uidvalidity: row.get(1)?, uid: row.get(2)? };
            Ok((at, row.get(3)?))
        });
        rows.at(place)?.collect::<Result<_, _>>().at(place)
    }
}

impl Inbox for Sqlite {
    fn take_in(&mut self, mails: &[(Option<Location>, RawMail)]) -> Result<(), Fault> {
        let place = || "writing to the inbox".to_owned();
        let mut contents = Vec::new();
        for (_, mail) in mails {
            contents.push(self.apart(&mail.bytes)?);
        }
        let taken = self.unit(|store| {
            let db = &store.db;
            for ((location, mail), content) in mails.iter().zip(&contents) {
                let raw = Digest::of(&mail.bytes).to_string();
                let sql = "INSERT OR IGNORE INTO inbox (raw, size, received, arrived, oversize, junk, report)
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
                let row = params![
                    raw,
                    i64::try_from(mail.bytes.len()).unwrap_or(i64::MAX),
                    millis(mail.received),
                    millis(mail.arrived),
                    mail.oversize,
                    mail.junk,
                    says_report(&mail.bytes)
                ];
                if db.prepare_cached(sql).at(place)?.execute(row).at(place)? > 0 {
                    let (bytes, file) = content.as_ref().map_or((mail.bytes.as_slice(), None), kept);
                    let sql = "INSERT INTO came (id, bytes, file) VALUES (?1, ?2, ?3)";
                    execute(db, sql, params![db.last_insert_rowid(), bytes, file])?;
                    store.names_files |= file.is_some();
                } else if let Some(Kept::There { name, .. }) = content {
                    // It was there already.
                    store.let_go.push(name.clone());
                }
                if let Some(at) = location {
                    let sql = "INSERT OR IGNORE INTO place (folder, uidvalidity, uid, raw) VALUES (?1, ?2, ?3, ?4)";
                    execute(db, sql, params![at.folder, at.uidvalidity, at.uid, raw])?;
                    let sql = "DELETE FROM trouble WHERE folder = ?1 AND uidvalidity = ?2 AND uid = ?3";
                    execute(db, sql, params![at.folder, at.uidvalidity, at.uid])?;
                }
            }
            Ok(())
        });
        if taken.is_err() {
            // There may be no room: what nobody names must not take more of it with each try.
            for content in contents.iter().flatten() {
                if let Kept::There { name, .. } = content {
                    self.spool.remove(name);
                }
            }
        }
        taken
    }

    fn knows(&self, raw: Digest) -> Result<bool, Fault> {
        let place = || "inbox".to_owned();
        let mut found = self.db.prepare_cached("SELECT 1 FROM inbox WHERE raw = ?1").at(place)?;
        let found = found.query_row([raw.to_string()], |_| Ok(())).optional();
        found.at(place).map(|found| found.is_some())
    }

    fn waiting(&self, max: u32, bytes_max: u64, all: bool) -> Result<Vec<Waiting>, Fault> {
        let place = || "inbox".to_owned();
        let sql = "SELECT id, attempts, bytes, received, arrived, oversize, junk, file, size
                   FROM inbox JOIN came USING (id)
                   WHERE state = 'waiting' AND size <= ?2 AND (?3 OR report = 0)
                   ORDER BY id LIMIT ?1";
        let mut rows = self.db.prepare_cached(sql).at(place)?;
        let rows = rows
            .query_map(params![max, i64::try_from(bytes_max).unwrap_or(i64::MAX), all], |row| {
                let mail = RawMail {
                    bytes: row.get(2)?,
                    received: moment(row.get(3)?),
                    arrived: moment(row.get(4)?),
                    oversize: row.get(5)?,
                    junk: row.get(6)?,
                };
                let waiting = Waiting { id: row.get(0)?, attempts: row.get(1)?, mail };
                Ok((waiting, row.get(7)?, row.get(8)?))
            })
            .at(place)?;
        let (mut list, mut bytes): (Vec<Waiting>, usize) = (Vec::new(), 0);
        // Row by row: what is over the measure is not read.
        for row in rows {
            let (mut waiting, file, size): (Waiting, Option<String>, i64) = row.at(place)?;
            // What is over the measure is not read either.
            let apart =
                if file.is_some() { usize::try_from(size).unwrap_or(usize::MAX) } else { 0 };
            if bytes.saturating_add(apart) > Waiting::TOGETHER_BYTES && !list.is_empty() {
                break;
            }
            waiting.mail.bytes = self.fetched(waiting.mail.bytes, file.as_deref(), size)?;
            bytes = bytes.saturating_add(waiting.mail.bytes.len());
            if bytes > Waiting::TOGETHER_BYTES && !list.is_empty() {
                break;
            }
            list.push(waiting);
        }
        Ok(Waiting::together(list))
    }

    fn unopened(&self) -> Result<Option<Moment>, Fault> {
        let sql = "SELECT arrived FROM inbox WHERE state = 'waiting' ORDER BY id LIMIT 1";
        let place = || "inbox".to_owned();
        let mut at = self.db.prepare_cached(sql).at(place)?;
        Ok(at.query_row([], |row| row.get(0)).optional().at(place)?.map(moment))
    }

    fn charge(&mut self, ids: &[i64]) -> Result<(), Fault> {
        let sql = "UPDATE inbox SET attempts = attempts + 1 WHERE id = ?1";
        self.unit(|store| ids.iter().try_for_each(|id| execute(&store.db, sql, [id]).map(drop)))
    }

    fn set_aside(&mut self, id: i64, why: &str) -> Result<(), Fault> {
        let sql = "UPDATE inbox SET state = 'aside', disposition = ?2 WHERE id = ?1";
        self.unit(|store| execute(&store.db, sql, params![id, why]).map(drop))
    }

    fn retry_aside(&mut self) -> Result<usize, Fault> {
        self.unit(|store| {
            let sql = "UPDATE inbox SET state = 'waiting', attempts = 0 WHERE state = 'aside'";
            let aside = execute(&store.db, sql, [])?;
            let troubled = execute(&store.db, "UPDATE trouble SET tried = 0", [])?;
            Ok(aside.saturating_add(troubled))
        })
    }

    fn mail(&self, raw: Digest) -> Result<Option<RawMail>, Fault> {
        let sql = "SELECT bytes, received, arrived, oversize, junk, file, size
                   FROM inbox JOIN came USING (id) WHERE raw = ?1";
        let place = || "inbox".to_owned();
        let mut row = self.db.prepare_cached(sql).at(place)?;
        let row = row.query_row([raw.to_string()], |row| {
            let mail = RawMail {
                bytes: row.get(0)?,
                received: moment(row.get(1)?),
                arrived: moment(row.get(2)?),
                oversize: row.get(3)?,
                junk: row.get(4)?,
            };
            Ok((mail, row.get(5)?, row.get(6)?))
        });
        type Found = (RawMail, Option<String>, i64);
        let found: Option<Found> = row.optional().at(place)?;
        let Some((mut mail, file, size)) = found else { return Ok(None) };
        mail.bytes = self.fetched(mail.bytes, file.as_deref(), size)?;
        Ok(Some(mail))
    }

    fn bookmark(&self, folder: &Folder) -> Result<Bookmark, Fault> {
        let place = || "folder".to_owned();
        let sql = "SELECT max(CASE WHEN uidvalidity = ?2 THEN low_water END),
                          max(CASE WHEN uidvalidity = ?2 THEN base END), count(*)
                   FROM folder WHERE name = ?1";
        let row = params![folder.name, folder.uidvalidity];
        let read = self.db.query_row(sql, row, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let (low_water, base, incarnations) = read.at(place)?;
        Ok(Bookmark { low_water, base, incarnations, made: self.made()? })
    }

    fn set_bookmark(&mut self, folder: &Folder, low_water: u32, base: bool) -> Result<(), Fault> {
        let sql = "INSERT INTO folder (name, uidvalidity, low_water, base) VALUES (?1, ?2, ?3, ?3)
                   ON CONFLICT DO UPDATE SET low_water = max(low_water, excluded.low_water),
                       base = CASE WHEN ?4 THEN max(low_water, excluded.low_water) ELSE base END";
        let row = params![folder.name, folder.uidvalidity, low_water, base];
        self.unit(|store| execute(&store.db, sql, row).map(drop))
    }

    fn known_uids(&self, folder: &Folder, from: u32) -> Result<BTreeSet<u32>, Fault> {
        let place = || "place".to_owned();
        let sql = "SELECT uid FROM place WHERE folder = ?1 AND uidvalidity = ?2 AND uid >= ?3";
        let mut rows = self.db.prepare_cached(sql).at(place)?;
        let row = params![folder.name, folder.uidvalidity, from];
        let uids = rows.query_map(row, |row| row.get(0)).at(place)?;
        uids.collect::<Result<_, _>>().at(place)
    }

    fn to_mark(&self, folder: &Folder) -> Result<Vec<u32>, Fault> {
        let place = || "place".to_owned();
        let sql = "SELECT uid FROM place WHERE marked = 0 AND folder = ?1 AND uidvalidity = ?2 ORDER BY uid LIMIT 1000";
        let mut rows = self.db.prepare_cached(sql).at(place)?;
        let uids =
            rows.query_map(params![folder.name, folder.uidvalidity], |row| row.get(0)).at(place)?;
        uids.collect::<Result<_, _>>().at(place)
    }

    fn marked(&mut self, folder: &Folder, uids: &[u32]) -> Result<(), Fault> {
        let sql = "UPDATE place SET marked = 1 WHERE folder = ?1 AND uidvalidity = ?2 AND uid = ?3";
        self.unit(|store| {
            uids.iter().try_for_each(|uid| {
                execute(&store.db, sql, params![folder.name, folder.uidvalidity, uid]).map(drop)
            })
        })
    }

    fn troubled(
        &self,
        folder: &Folder,
        before: Moment,
    ) -> Result<(BTreeSet<u32>, BTreeSet<u32>), Fault> {
        let place = || "trouble".to_owned();
        let sql = "SELECT uid, tried FROM trouble WHERE folder = ?1 AND uidvalidity = ?2";
        let mut rows = self.db.prepare_cached(sql).at(place)?;
        let row = params![folder.name, folder.uidvalidity];
        let rows = rows.query_map(row, |row| Ok((row.get(0)?, row.get(1)?))).at(place)?;
        let rows: Vec<(u32, i64)> = rows.collect::<Result<_, _>>().at(place)?;
        let again = rows.iter().filter(|(_, tried)| *tried < millis(before));
        Ok((rows.iter().map(|(uid, _)| *uid).collect(), again.map(|(uid, _)| *uid).collect()))
    }

    fn set_trouble(&mut self, at: &Location, why: &str, now: Moment) -> Result<(), Fault> {
        let sql = "INSERT INTO trouble (folder, uidvalidity, uid, why, tried)
                   VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT DO UPDATE SET why = excluded.why, tried = excluded.tried";
        let row = params![at.folder, at.uidvalidity, at.uid, why, millis(now)];
        self.unit(|store| execute(&store.db, sql, row).map(drop))
    }

    fn new_troubles(&mut self) -> Result<Vec<(Location, String)>, Fault> {
        let new = self.troubles_where("told = 0")?;
        if !new.is_empty() {
            let sql = "UPDATE trouble SET told = 1 WHERE told = 0";
            self.unit(|store| execute(&store.db, sql, []))?;
        }
        Ok(new)
    }

    fn troubles(&self) -> Result<Vec<(Location, String)>, Fault> {
        self.troubles_where("TRUE")
    }

    fn spent_witnesses(&self, folder: &Folder) -> Result<Vec<u32>, Fault> {
        let place = || "place".to_owned();
        // The words of the index on them, so that the few are found among all mails.
        let sql = format!(
            "SELECT uid FROM inbox JOIN place ON place.raw = inbox.raw
             WHERE folder = ?1 AND uidvalidity = ?2 AND disposition = '{WITNESS}'
             AND inbox.id < (SELECT max(id) FROM inbox WHERE disposition = '{WITNESS}')
             ORDER BY uid LIMIT 100"
        );
        let mut rows = self.db.prepare_cached(&sql).at(place)?;
        let named = params![folder.name, folder.uidvalidity];
        let uids = rows.query_map(named, |row| row.get(0)).at(place)?;
        uids.collect::<Result<_, _>>().at(place)
    }

    fn removed(&mut self, folder: &Folder, uids: &[u32]) -> Result<(), Fault> {
        self.unit(|store| {
            for uid in uids {
                let sql = "DELETE FROM place WHERE folder = ?1 AND uidvalidity = ?2 AND uid = ?3";
                execute(&store.db, sql, params![folder.name, folder.uidvalidity, uid])?;
            }
            // Nothing rests on one that has been overtaken, and there are many of them.
            let sql = format!(
                "DELETE FROM inbox WHERE disposition = '{WITNESS}'
                 AND id < (SELECT max(id) FROM inbox WHERE disposition = '{WITNESS}')
                 AND NOT EXISTS (SELECT 1 FROM place WHERE place.raw = inbox.raw)"
            );
            execute(&store.db, &sql, []).map(drop)
        })
    }
}
