//! Writing: each change whole or not at all, and many changes with one wait for the disk.
//!
//! While changes are gathered there is one transaction open, each change in it behind a savepoint of its own:
//! what is read back is what was written, and none of it is durable before [`Gather::write_out`] returns. One
//! that cannot be made durable is lost with all that was gathered, which whoever wrote it has in mind as done:
//! nothing more is written then, and the desk begins again with what is there.

use rusqlite::{Connection, Params};

use crate::edge::sqlite::Sqlite;
use crate::error::{Fault, Place};
use crate::ports::store::Gather;

/// What a unit did not come to; the transaction is as it was before it.
fn place() -> String {
    "writing to the store".to_owned()
}

fn run(db: &Connection, sql: &str) -> Result<(), Fault> {
    db.prepare_cached(sql).at(place)?.execute([]).at(place).map(|_| ())
}

/// Runs a statement that is kept ready: one that is read anew each time costs more than what it does.
pub(super) fn execute(db: &Connection, sql: &str, row: impl Params) -> Result<usize, Fault> {
    db.prepare_cached(sql).at(place)?.execute(row).at(place)
}

impl Sqlite {
    /// Does all of a change, or nothing of it.
    pub(super) fn unit<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        if let Some(lost) = &self.lost {
            return Err(lost.clone());
        }
        if self.db.is_autocommit() {
            // At once for writing: whoever else writes is waited for here, and not in the middle of it.
            run(&self.db, "BEGIN IMMEDIATE")?;
            self.fenced = None;
        }
        run(&self.db, "SAVEPOINT unit")?;
        let kept = self.let_go.len();
        let done = work(self);
        let ended = match &done {
            Ok(_) => run(&self.db, "RELEASE unit"),
            Err(_) => {
                self.fenced = None;
                self.let_go.truncate(kept);
                run(&self.db, "ROLLBACK TO unit").and_then(|()| run(&self.db, "RELEASE unit"))
            }
        };
        if let Err(fault) = ended {
            // A full disk ends the transaction by itself, with whatever was gathered before.
            let why = done.err().unwrap_or(fault);
            self.give_up(&why);
            return Err(why);
        }
        if !self.gathers {
            self.close()?;
        }
        done
    }

    /// Lets go of the transaction; what was gathered in it is lost.
    fn give_up(&mut self, why: &Fault) {
        self.unwritten = None;
        self.let_go.clear();
        if !self.db.is_autocommit() {
            // Whatever it says: the next begin would say it again.
            let _ = run(&self.db, "ROLLBACK");
        }
        if self.gathers {
            self.lost = Some(why.clone());
        }
    }

    /// Ends the transaction that is open, if there is one, and takes note of the newest head outside.
    fn close(&mut self) -> Result<(), Fault> {
        if self.db.is_autocommit() {
            return Ok(());
        }
        self.fenced = None;
        let head = self.unwritten.take();
        let there = if self.names_files { self.spool.sync() } else { Ok(()) };
        if let Err(fault) = there.and_then(|()| run(&self.db, "COMMIT")) {
            self.give_up(&fault);
            return Err(fault);
        }
        self.names_files = false;
        // Only now: until here the rows that name them count.
        for name in std::mem::take(&mut self.let_go) {
            self.spool.remove(&name);
        }
        let Some(head) = head else { return Ok(()) };
        self.witness_head(head)?;
        // That there is a witness now may have been written down: nothing stays open while the desk sleeps.
        self.close()
    }
}

impl Gather for Sqlite {
    fn gather(&mut self) {
        self.gathers = true;
    }

    fn write_out(&mut self) -> Result<(), Fault> {
        match &self.lost {
            Some(lost) => Err(lost.clone()),
            None => self.close(),
        }
    }
}
