//! The outbox: which mails may leave, when they are tried again, and which are ours.

use rusqlite::{OptionalExtension, Transaction, params};

use crate::domain::facts::names::{MessageId, Moment};
use crate::domain::outgoing::mail::Label;
use crate::error::{Fault, Place};

use crate::edge::sqlite::{Sqlite, millis, moment};
use crate::ports::store::{Outbox, Outgoing, Sealed, Settled};

/// Puts a mail into the outbox.
pub(super) fn put(tx: &Transaction<'_>, mail: &Sealed) -> Result<(), Fault> {
    let place = || "outbox".to_owned();
    let sql =
        "INSERT INTO outbox (message_id, label, return_token, recipient, written, next_attempt)
               VALUES (?1, ?2, ?3, ?4, ?5, ?5)";
    let label = serde_json::to_string(&mail.label).at(place)?;
    let at = millis(mail.not_before);
    let row = params![mail.message_id, label, mail.return_token, mail.recipient, at];
    let id = tx.prepare_cached(sql).at(place)?.insert(row).at(place)?;
    let sql = "INSERT INTO sealed (id, bytes) VALUES (?1, ?2)";
    tx.prepare_cached(sql).at(place)?.execute(params![id, mail.bytes]).at(place).map(|_| ())
}

/// Writes down what became of a mail. Its bytes are kept only while it waits.
pub(super) fn settle(tx: &Transaction<'_>, settled: &Settled) -> Result<(), Fault> {
    let place = || "outbox".to_owned();
    let sql = "UPDATE outbox SET state = ?2, next_attempt = ?3, unknowns = ?4, reply = ?5,
               in_flight = 0 WHERE id = ?1";
    let at = millis(settled.next_attempt);
    let row = params![settled.id, settled.state, at, settled.unknowns, settled.reply];
    tx.prepare_cached(sql).at(place)?.execute(row).at(place)?;
    if settled.state == "waiting" {
        return Ok(());
    }
    // Without zeros over it: a mail is sealed to its recipient or tells nothing, and one of megabytes
    // would be enciphered again just to be forgotten.
    tx.pragma_update(None, "secure_delete", false).at(place)?;
    let sql = "DELETE FROM sealed WHERE id = ?1";
    let deleted = tx.prepare_cached(sql).at(place)?.execute([settled.id]).at(place);
    tx.pragma_update(None, "secure_delete", true).at(place)?;
    deleted.map(|_| ())
}

impl Sqlite {
    fn outgoing(&self, filter: &str, bound: i64, max: u32) -> Result<Vec<Outgoing>, Fault> {
        let place = || "outbox".to_owned();
        let sql = format!(
            "SELECT id, message_id, label, return_token, recipient, written, attempts, unknowns, in_flight
             FROM outbox WHERE state = 'waiting' AND {filter} ORDER BY next_attempt, id LIMIT ?2"
        );
        let mut rows = self.db.prepare_cached(&sql).at(place)?;
        let rows = rows
            .query_map(params![bound, max], |row| {
                let label: String = row.get(2)?;
                let label = serde_json::from_str(&label).map_err(|error| {
                    rusqlite::Error::FromSqlConversionFailure(
                        2,
                        rusqlite::types::Type::Text,
                        Box::new(error),
                    )
                })?;
                Ok(Outgoing {
                    id: row.get(0)?,
                    message_id: row.get(1)?,
                    label,
                    return_token: row.get(3)?,
                    recipient: row.get(4)?,
                    written: moment(row.get(5)?),
                    attempts: row.get(6)?,
                    unknowns: row.get(7)?,
                    in_flight: row.get(8)?,
                })
            })
            .at(place)?;
        rows.collect::<Result<_, _>>().at(place)
    }
}

impl Outbox for Sqlite {
    fn due_mails(&self, now: Moment, max: u32) -> Result<Vec<Outgoing>, Fault> {
        self.outgoing("next_attempt <= ?1", millis(now), max)
    }

    fn left_in_flight(&self) -> Result<Vec<Outgoing>, Fault> {
        self.outgoing("in_flight = ?1", 1, 10_000)
    }

    fn next_mail(&self) -> Result<Option<Moment>, Fault> {
        let sql = "SELECT min(next_attempt) FROM outbox WHERE state = 'waiting'";
        let at: Option<i64> =
            self.db.query_row(sql, [], |row| row.get(0)).at(|| "outbox".to_owned())?;
        Ok(at.map(moment))
    }

    fn attempt(&mut self, rows: &[(i64, Moment)]) -> Result<(), Fault> {
        let place = || "outbox".to_owned();
        let tx = self.db.transaction().at(place)?;
        for (id, next) in rows {
            let sql = "UPDATE outbox SET attempts = attempts + 1, next_attempt = ?2 WHERE id = ?1";
            tx.prepare_cached(sql).at(place)?.execute(params![id, millis(*next)]).at(place)?;
        }
        tx.commit().at(place)
    }

    fn in_flight(&mut self, id: i64) -> Result<Vec<u8>, Fault> {
        let place = || "outbox".to_owned();
        let sql = "UPDATE outbox SET in_flight = 1 WHERE id = ?1";
        self.db.prepare_cached(sql).at(place)?.execute([id]).at(place)?;
        let sql = "SELECT bytes FROM sealed WHERE id = ?1";
        self.db.prepare_cached(sql).at(place)?.query_row([id], |row| row.get(0)).at(place)
    }

    fn is_ours(&self, message_id: &str) -> Result<bool, Fault> {
        let sql = "SELECT count(*) FROM outbox WHERE message_id = ?1";
        let count: i64 =
            self.db.query_row(sql, [message_id], |row| row.get(0)).at(|| "outbox".to_owned())?;
        Ok(count > 0)
    }

    fn return_token(&self, id: &MessageId) -> Result<Option<String>, Fault> {
        let sql = "SELECT return_token FROM outbox WHERE message_id = ?1";
        self.db
            .query_row(sql, [id.as_str()], |row| row.get(0))
            .optional()
            .at(|| "outbox".to_owned())
    }

    fn returned(&self, token: &str) -> Result<Option<(MessageId, Label)>, Fault> {
        let sql = "SELECT message_id, label FROM outbox WHERE return_token = ?1";
        let row: Option<(String, String)> = self
            .db
            .query_row(sql, [token], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .at(|| "outbox".to_owned())?;
        let Some((id, label)) = row else { return Ok(None) };
        let label = serde_json::from_str(&label).at(|| "outbox label".to_owned())?;
        Ok(MessageId::parse(&id).map(|id| (id, label)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::facts::event::{Purpose, Recipient};
    use crate::domain::facts::record::Head;
    use crate::edge::pgp::Passphrase;
    use crate::ports::store::{Commit, Journal};

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
            bytes: b"sealed".to_vec(),
            not_before: now,
        };
        let mut store = Sqlite::create(&path, &passphrase, now).unwrap();
        store.commit(Head::EMPTY, &Commit { mails: &[mail], ..Commit::default() }).unwrap();
        store
            .db
            .execute_batch(
                "DROP INDEX journal_incident;
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
        assert_eq!(store.in_flight(due[0].id).unwrap(), b"sealed");
        drop(store);
        assert!(Sqlite::open_alone(&path, &passphrase).is_ok(), "once is enough");
        assert!(Sqlite::open(&path, &passphrase).is_ok());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
