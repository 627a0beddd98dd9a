//! The outbox: which mails may leave, when they are tried again, and which are ours.

use rusqlite::{OptionalExtension, params};

use crate::domain::names::{MessageId, Moment};
use crate::domain::outbox::Label;
use crate::error::{Fault, Place};

use super::{Outgoing, Store, millis, moment};

impl Store {
    fn outgoing(&self, filter: &str, bound: i64, max: u32) -> Result<Vec<Outgoing>, Fault> {
        let place = || "outbox".to_owned();
        let sql = format!(
            "SELECT id, message_id, label, return_token, recipient, bytes, written, attempts, unknowns, in_flight
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
                    bytes: row.get(5)?,
                    written: moment(row.get(6)?),
                    attempts: row.get(7)?,
                    unknowns: row.get(8)?,
                    in_flight: row.get(9)?,
                })
            })
            .at(place)?;
        rows.collect::<Result<_, _>>().at(place)
    }

    /// Mails that may be handed over now.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn due_mails(&self, now: Moment, max: u32) -> Result<Vec<Outgoing>, Fault> {
        self.outgoing("next_attempt <= ?1", millis(now), max)
    }

    /// Mails whose last bytes were on their way when the desk stopped.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn left_in_flight(&self) -> Result<Vec<Outgoing>, Fault> {
        self.outgoing("in_flight = ?1", 1, 10_000)
    }

    /// When the next mail may be handed over.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn next_mail(&self) -> Result<Option<Moment>, Fault> {
        let sql = "SELECT min(next_attempt) FROM outbox WHERE state = 'waiting'";
        let at: Option<i64> =
            self.db.query_row(sql, [], |row| row.get(0)).at(|| "outbox".to_owned())?;
        Ok(at.map(moment))
    }

    /// Counts an attempt and writes down when the next is due, before the server is dialled.
    ///
    /// # Errors
    /// When it cannot be written; then nothing is dialled.
    pub fn attempt(&mut self, rows: &[(i64, Moment)]) -> Result<(), Fault> {
        let place = || "outbox".to_owned();
        let tx = self.db.transaction().at(place)?;
        for (id, next) in rows {
            let sql = "UPDATE outbox SET attempts = attempts + 1, next_attempt = ?2 WHERE id = ?1";
            tx.prepare_cached(sql).at(place)?.execute(params![id, millis(*next)]).at(place)?;
        }
        tx.commit().at(place)
    }

    /// Writes down that the last bytes of a mail are about to be sent.
    ///
    /// # Errors
    /// When it cannot be written; then they are not sent.
    pub fn in_flight(&mut self, id: i64) -> Result<(), Fault> {
        let sql = "UPDATE outbox SET in_flight = 1 WHERE id = ?1";
        self.db.execute(sql, [id]).at(|| "outbox".to_owned()).map(|_| ())
    }

    /// Whether one of our mails has this Message-ID.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_ours(&self, message_id: &str) -> Result<bool, Fault> {
        let sql = "SELECT count(*) FROM outbox WHERE message_id = ?1";
        let count: i64 =
            self.db.query_row(sql, [message_id], |row| row.get(0)).at(|| "outbox".to_owned())?;
        Ok(count > 0)
    }

    /// The token of a mail's return path.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn return_token(&self, id: &MessageId) -> Result<Option<String>, Fault> {
        let sql = "SELECT return_token FROM outbox WHERE message_id = ?1";
        self.db
            .query_row(sql, [id.as_str()], |row| row.get(0))
            .optional()
            .at(|| "outbox".to_owned())
    }

    /// The mail whose return path has this token: its Message-ID, and what it is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn returned(&self, token: &str) -> Result<Option<(MessageId, Label)>, Fault> {
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
