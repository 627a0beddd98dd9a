//! The outbox: which mails may leave, when they are tried again, and which are ours.

use std::sync::Arc;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Params, Row, ToSql, params};

use crate::domain::facts::heart::Down;
use crate::domain::facts::names::{MessageId, Moment, later};
use crate::domain::outgoing::mail::Label;
use crate::domain::outgoing::tries::{Tries, UNKNOWN_LONGEST};
use crate::error::{Fault, Place};

use crate::edge::sqlite::unit::execute;
use crate::edge::sqlite::{Sqlite, millis, moment};
use crate::ports::store::{Content, Kept, Listed, Outbox, Outgoing, Sealed, Settled, Spool};

/// Puts a mail into the outbox.
pub(super) fn put(db: &Connection, mail: &Sealed) -> Result<(), Fault> {
    let place = || "outbox".to_owned();
    let sql =
        "INSERT INTO outbox (message_id, label, return_token, recipient, written, next_attempt, urgency)
               VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)";
    let urgency = mail.label.urgency();
    let label = serde_json::to_string(&mail.label).at(place)?;
    let at = millis(mail.not_before);
    let row = params![mail.message_id, label, mail.return_token, mail.recipient, at, urgency];
    let id = db.prepare_cached(sql).at(place)?.insert(row).at(place)?;
    let (bytes, file) = kept(&mail.content);
    let size = i64::try_from(mail.content.size()).unwrap_or(i64::MAX);
    let sql = "INSERT INTO sealed (id, bytes, file, size) VALUES (?1, ?2, ?3, ?4)";
    execute(db, sql, params![id, bytes, file, size]).map(drop)
}

/// How the bytes stand in a row: there, or the name of the file that has them.
pub(super) fn kept(content: &Kept) -> (&[u8], Option<&str>) {
    match content {
        Kept::Here(bytes) => (bytes, None),
        Kept::There { name, .. } => (&[], Some(name)),
    }
}

/// Writes down what became of mails. The bytes of one are kept only while it waits; gives the files that may be
/// removed once that is durable.
pub(super) fn settle(db: &Connection, all: &[Settled]) -> Result<Vec<String>, Fault> {
    for settled in all {
        let sql = "UPDATE outbox SET state = ?2, next_attempt = ?3, reply = ?4, unknowns = ?5,
                   deferrals = ?6, refusals = ?7, since = ?8, in_flight = 0 WHERE id = ?1";
        let (at, tries) = (millis(settled.next_attempt), settled.tries);
        let row = params![
            settled.id,
            settled.state,
            at,
            settled.reply,
            tries.unknowns,
            tries.deferrals,
            tries.refusals,
            tries.since.map(millis)
        ];
        execute(db, sql, row)?;
    }
    // What was given up may be tried once more by the operator, with its Message-ID.
    let over = all.iter().filter(|one| !["waiting", "dead", "unknown"].contains(&one.state));
    forget(db, &over.map(|one| one.id).collect::<Vec<_>>())
}

fn forget(db: &Connection, ids: &[i64]) -> Result<Vec<String>, Fault> {
    let place = || "outbox".to_owned();
    let mut files = Vec::new();
    for id in ids {
        // Pages that are free now are not written over: a mail is sealed to its recipient or tells nothing, and
        // all pages are enciphered.
        let sql = "DELETE FROM sealed WHERE id = ?1 RETURNING file";
        let mut deleted = db.prepare_cached(sql).at(place)?;
        let file: Option<Option<String>> =
            deleted.query_row([id], |row| row.get(0)).optional().at(place)?;
        files.extend(file.flatten());
    }
    Ok(files)
}

/// What is read of a row, in the order in which [`outgoing`] takes it.
const COLUMNS: &str =
    "id, message_id, label, return_token, recipient, written, attempts, in_flight,
     unknowns, deferrals, refusals, since, unwanted,
     coalesce((SELECT size FROM sealed WHERE sealed.id = outbox.id), 0)";

fn outgoing(row: &Row<'_>) -> rusqlite::Result<Outgoing> {
    let (since, size): (Option<i64>, i64) = (row.get(11)?, row.get(13)?);
    let label: String = row.get(2)?;
    let label = serde_json::from_str(&label)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(2, Type::Text, error.into()))?;
    Ok(Outgoing {
        id: row.get(0)?,
        message_id: row.get(1)?,
        label,
        return_token: row.get(3)?,
        recipient: row.get(4)?,
        written: moment(row.get(5)?),
        size: size.unsigned_abs(),
        attempts: row.get(6)?,
        in_flight: row.get(7)?,
        tries: Tries {
            unknowns: row.get(8)?,
            deferrals: row.get(9)?,
            refusals: row.get(10)?,
            since: since.map(moment),
        },
        unwanted: row.get(12)?,
    })
}

fn listed(row: &Row<'_>) -> rusqlite::Result<Listed> {
    Ok(Listed {
        row: outgoing(row)?,
        state: row.get(14)?,
        at: moment(row.get(15)?),
        reply: row.get(16)?,
        retried: row.get(17)?,
    })
}

impl Sqlite {
    /// Waiting mails for which a condition on `?1` holds, the longest due first.
    fn outgoing(&self, filter: &str, bound: impl ToSql, max: u32) -> Result<Vec<Outgoing>, Fault> {
        let place = || "outbox".to_owned();
        let sql = format!(
            "SELECT {COLUMNS} FROM outbox WHERE state = 'waiting' AND {filter}
             ORDER BY next_attempt, id LIMIT ?2"
        );
        let mut rows = self.db.prepare_cached(&sql).at(place)?;
        let rows = rows.query_map(params![bound, max], outgoing).at(place)?;
        rows.collect::<Result<_, _>>().at(place)
    }

    /// One row, if there is one.
    fn one<T>(
        &self,
        sql: &str,
        bound: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Fault> {
        let place = || "outbox".to_owned();
        self.db.prepare_cached(sql).at(place)?.query_row(bound, read).optional().at(place)
    }

    fn rows(&self, filter: &str, bound: impl ToSql) -> Result<Vec<Listed>, Fault> {
        let place = || "outbox".to_owned();
        let sql = format!(
            "SELECT {COLUMNS}, state, next_attempt, reply, retried FROM outbox WHERE {filter}"
        );
        let mut rows = self.db.prepare_cached(&sql).at(place)?;
        let rows = rows.query_map([bound], listed).at(place)?;
        rows.collect::<Result<_, _>>().at(place)
    }
}

impl Outbox for Sqlite {
    fn due_mails(&self, now: Moment, max: u32) -> Result<Vec<Outgoing>, Fault> {
        let mut due = Vec::new();
        for urgency in 0..=Label::LEAST_URGENT {
            let room = max.saturating_sub(u32::try_from(due.len()).unwrap_or(u32::MAX));
            if room == 0 {
                break;
            }
            let filter = format!("urgency = {urgency} AND next_attempt <= ?1");
            due.extend(self.outgoing(&filter, millis(now), room)?);
        }
        Ok(due)
    }

    fn mails_to_try(&self, now: Moment, max: u32) -> Result<Vec<Outgoing>, Fault> {
        let place = || "outbox".to_owned();
        // One that was not tried yet before those that came to nothing: they may be what is wrong; and one to
        // somebody whom we know before one to an address that a stranger named. Never one that may have left
        // before its own time.
        let sql = format!(
            "SELECT {COLUMNS} FROM outbox
             WHERE state = 'waiting' AND (next_attempt <= ?1 OR attempts > 0 AND unknowns = 0)
             ORDER BY next_attempt > ?1, deferrals + refusals + unknowns > 0,
                      json_extract(label, '$.purpose') IN ('acknowledgement', 'key'),
                      urgency, next_attempt, id
             LIMIT ?2"
        );
        let mut rows = self.db.prepare_cached(&sql).at(place)?;
        let rows = rows.query_map(params![millis(now), max], outgoing).at(place)?;
        rows.collect::<Result<_, _>>().at(place)
    }

    fn let_go(&mut self, now: Moment, all: bool) -> Result<usize, Fault> {
        // What was refused for what it is stays so: refused once more, now that others are taken, it is over.
        let sql = "UPDATE outbox SET next_attempt = ?1, deferrals = 0,
                          since = CASE WHEN refusals > 0 THEN since END
                   WHERE state = 'waiting' AND unknowns = 0
                     AND (attempts > 0 OR (?2 AND next_attempt > ?1))";
        // What may have left waits as long as it ever does, and no longer.
        let sql_unknown = "UPDATE outbox SET next_attempt = ?1
                           WHERE state = 'waiting' AND unknowns > 0 AND next_attempt > ?1";
        self.unit(|store| {
            let let_go = execute(&store.db, sql, params![millis(now), all])?;
            if all {
                let soon = later(now, UNKNOWN_LONGEST);
                execute(&store.db, sql_unknown, [millis(soon)])?;
            }
            Ok(let_go)
        })
    }

    fn left_in_flight(&self) -> Result<Vec<Outgoing>, Fault> {
        self.outgoing("in_flight = ?1", 1, 10_000)
    }

    fn last_mail(&self) -> Result<i64, Fault> {
        let sql = "SELECT coalesce(max(id), 0) FROM outbox";
        self.one(sql, [], |row| row.get(0)).map(Option::unwrap_or_default)
    }

    fn next_mail(&self) -> Result<Option<Moment>, Fault> {
        let sql = "SELECT min(next_attempt) FROM outbox WHERE state = 'waiting'";
        let at: Option<i64> = self.one(sql, [], |row| row.get(0))?.flatten();
        Ok(at.map(moment))
    }

    fn attempt(&mut self, rows: &[(i64, Moment)]) -> Result<(), Fault> {
        if rows.is_empty() {
            return Ok(());
        }
        let sql = "UPDATE outbox SET attempts = attempts + 1, next_attempt = ?2 WHERE id = ?1";
        self.unit(|store| {
            rows.iter().try_for_each(|(id, next)| {
                execute(&store.db, sql, params![id, millis(*next)]).map(drop)
            })
        })
    }

    fn spool(&self) -> Arc<dyn Spool> {
        Arc::new(self.spool.clone())
    }

    fn in_flight(&mut self, ids: &[i64]) -> Result<Vec<Option<Content>>, Fault> {
        self.unit(|store| {
            let mut mails = Vec::new();
            for id in ids {
                execute(&store.db, "UPDATE outbox SET in_flight = 1 WHERE id = ?1", [id])?;
                let sql = "SELECT bytes, file, size FROM sealed WHERE id = ?1";
                type Lies = (Vec<u8>, Option<String>, i64);
                let found: Option<Lies> =
                    store.one(sql, [id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
                mails.push(match found {
                    None => None,
                    Some((bytes, None, _)) => Some(Content::Here(bytes)),
                    Some((_, Some(file), size)) => {
                        let reader = store.spool.read(&file, size.unsigned_abs())?;
                        reader.map(|reader| Content::There(Box::new(reader)))
                    }
                });
            }
            Ok(mails)
        })
    }

    fn untold(&self) -> Result<Vec<Listed>, Fault> {
        self.rows("state IN ('dead', 'unknown') AND told = 0 ORDER BY id LIMIT ?1", 1_000)
    }

    fn listed(&self, id: Option<i64>, max: u32) -> Result<Vec<Listed>, Fault> {
        match id {
            Some(id) => self.rows("id = ?1", id),
            None => {
                let waits = "state IN ('waiting', 'dead', 'unknown') ORDER BY id DESC LIMIT ?1";
                self.rows(waits, max)
            }
        }
    }

    fn retry(&mut self, id: i64, now: Moment) -> Result<bool, Fault> {
        let sql = "UPDATE outbox SET next_attempt = ?2, unknowns = 0, deferrals = 0, refusals = 0,
                          since = NULL, told = 0, retried = retried + (state <> 'waiting'),
                          state = 'waiting'
                   WHERE id = ?1 AND in_flight = 0 AND unwanted = 0
                   AND (state = 'waiting' AND next_attempt > ?2 AND attempts > 0
                        OR state = 'dead' OR state = 'unknown' AND retried = 0)
                   AND EXISTS (SELECT 1 FROM sealed WHERE sealed.id = outbox.id)";
        let changed = self.unit(|store| execute(&store.db, sql, params![id, millis(now)]));
        changed.map(|count| count > 0)
    }

    fn withdraw(&mut self, id: i64, now: Moment) -> Result<bool, Fault> {
        let sql = "UPDATE outbox SET unwanted = 1, next_attempt = min(next_attempt, ?2)
                   WHERE id = ?1 AND state = 'waiting'";
        let changed = self.unit(|store| execute(&store.db, sql, params![id, millis(now)]));
        changed.map(|count| count > 0)
    }

    fn forget_given_up(&mut self, before: Moment) -> Result<usize, Fault> {
        let place = || "outbox".to_owned();
        let ids: Vec<i64> = {
            let sql =
                "SELECT id FROM outbox WHERE state IN ('dead', 'unknown') AND next_attempt < ?1
                       AND EXISTS (SELECT 1 FROM sealed WHERE sealed.id = outbox.id) LIMIT 1000";
            let mut rows = self.db.prepare_cached(sql).at(place)?;
            let rows = rows.query_map([millis(before)], |row| row.get(0)).at(place)?;
            rows.collect::<Result<_, _>>().at(place)?
        };
        if !ids.is_empty() {
            self.unit(|store| {
                let files = forget(&store.db, &ids)?;
                store.let_go.extend(files);
                Ok(())
            })?;
        }
        Ok(ids.len())
    }

    fn overdue(&self, before: Moment) -> Result<Option<(u64, Down)>, Fault> {
        let place = || "outbox".to_owned();
        // The oldest row's own words stand beside the least: SQLite gives them with `min`.
        let sql = "SELECT count(*), min(min(coalesce(since, next_attempt), next_attempt)), reply
                   FROM outbox WHERE state = 'waiting' AND (since <= ?1 OR next_attempt <= ?1)";
        let row = self.db.query_row(sql, [millis(before)], |row| {
            let since: Option<i64> = row.get(1)?;
            Ok((row.get::<_, i64>(0)?, since, row.get::<_, Option<String>>(2)?))
        });
        let (count, since, reply) = row.at(place)?;
        let down = since.map(|since| Down { since: moment(since), why: reply.unwrap_or_default() });
        Ok(down.map(|down| (count.unsigned_abs(), down)))
    }

    fn is_ours(&self, message_id: &str) -> Result<bool, Fault> {
        let sql = "SELECT 1 FROM outbox WHERE message_id = ?1";
        self.one(sql, [message_id], |_| Ok(())).map(|found| found.is_some())
    }

    fn return_token(&self, id: &MessageId) -> Result<Option<String>, Fault> {
        let sql = "SELECT return_token FROM outbox WHERE message_id = ?1";
        self.one(sql, [id.as_str()], |row| row.get(0))
    }

    fn returned(&self, token: &str) -> Result<Option<(MessageId, Label)>, Fault> {
        let sql = "SELECT message_id, label FROM outbox WHERE return_token = ?1";
        let row: Option<(String, String)> =
            self.one(sql, [token], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let Some((id, label)) = row else { return Ok(None) };
        let label = serde_json::from_str(&label).at(|| "outbox label".to_owned())?;
        Ok(MessageId::parse(&id).map(|id| (id, label)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::facts::event::{Purpose, Recipient};
    use crate::domain::facts::names::Digest;
    use crate::domain::facts::record::Head;
    use crate::edge::pgp::Passphrase;
    use crate::ports::store::{Commit, Inbox as _, Journal, RawMail};

    /// A store of an older version is brought to this one, and no mail that waits is lost
    /// or changed.
    #[test]
    fn a_store_of_the_first_schema_keeps_its_mails() {
        let random = crate::edge::random::<8>().unwrap();
        let folder = std::env::temp_dir().join(format!("embargod-{}", u64::from_be_bytes(random)));
        std::fs::create_dir_all(&folder).unwrap();
        let (path, passphrase) = (folder.join("desk.db"), Passphrase::new("x"));
        let now: Moment = "2026-03-02T09:00:00Z".parse().unwrap();
        let mail = Sealed {
            message_id: "m@desk.test".to_owned(),
            label: Label {
                about: None,
                to: Recipient::Reporter,
                purpose: Purpose::Relay,
                key: None,
            },
            return_token: "t".to_owned(),
            recipient: "ann@people.test".to_owned(),
            content: Kept::Here(b"sealed".to_vec()),
            not_before: now,
        };
        let mut store = Sqlite::create(&path, &passphrase, now).unwrap();
        store.commit(Head::EMPTY, &Commit { mails: &[mail], ..Commit::default() }).unwrap();
        let came =
            RawMail { bytes: vec![1], received: now, arrived: now, oversize: false, junk: false };
        store.take_in(&[(None, came)]).unwrap();
        store
            .db
            .execute_batch(
                "DROP TABLE came;
                 ALTER TABLE inbox DROP COLUMN size;
                 ALTER TABLE inbox ADD COLUMN bytes BLOB NOT NULL DEFAULT x'';
                 UPDATE inbox SET bytes = x'01';
                 ALTER TABLE inbox DROP COLUMN junk;
                 ALTER TABLE inbox DROP COLUMN report;
                 ALTER TABLE folder DROP COLUMN base;
                 DROP INDEX journal_incident;
                 DROP INDEX outbox_urgent;
                 DROP INDEX outbox_untold;
                 ALTER TABLE outbox DROP COLUMN urgency;
                 ALTER TABLE outbox DROP COLUMN told;
                 ALTER TABLE outbox DROP COLUMN retried;
                 ALTER TABLE outbox DROP COLUMN unwanted;
                 ALTER TABLE outbox DROP COLUMN deferrals;
                 ALTER TABLE outbox DROP COLUMN refusals;
                 ALTER TABLE outbox DROP COLUMN since;
                 ALTER TABLE outbox ADD COLUMN bytes BLOB NOT NULL DEFAULT x'';
                 UPDATE outbox SET bytes = (SELECT bytes FROM sealed WHERE sealed.id = outbox.id);
                 DROP TABLE sealed;
                 UPDATE meta SET value = x'31' WHERE key = 'schema';",
            )
            .unwrap();
        drop(store);
        // Whoever only looks leaves it alone: the desk of that version may be running.
        let refused = Sqlite::open(&path, &passphrase).unwrap_err();
        assert!(refused.next.contains("embargod run"), "{refused}");
        let mut store = Sqlite::open_alone(&path, &passphrase).unwrap();
        let due = store.due_mails(now, 10).unwrap();
        assert_eq!(due[0].size, 6);
        let bytes = store.in_flight(&[due[0].id]).unwrap().remove(0).unwrap().whole();
        assert_eq!(bytes.unwrap(), b"sealed");
        let waiting = store.waiting(10, 1, true).unwrap();
        assert!(matches!(waiting.as_slice(), [one] if one.mail.bytes == [1]));
        assert!(store.mail(Digest::of(&[1])).unwrap().is_some());
        drop(store);
        assert!(Sqlite::open_alone(&path, &passphrase).is_ok(), "once is enough");
        assert!(Sqlite::open(&path, &passphrase).is_ok());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
