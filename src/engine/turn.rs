//! One turn: what was heard, what is due, one batch of what came in, and what may leave, all of it written
//! down with one wait for the disk.
//!
//! What leaves at its moment goes before what has come: while copies of a notice are leaving, reports of their
//! delivery wait, and no more than one batch of mails is opened before couriers have their next ones.

use crate::domain::outgoing::verdict::Outcome;
use crate::edge::imap::MailboxAsk;
use crate::engine::{Engine, lock};
use crate::error::Fault;
use crate::ports::store::Outgoing;

/// What those who wait on sockets tell the engine.
pub enum Heard {
    /// The mailbox asks something.
    Mailbox(MailboxAsk),
    /// The server lets a mail wait after its last bytes.
    Slow(i64),
    /// The server says how large a mail may be.
    Takes(Option<u64>),
    /// Couriers are done with mails.
    Settled(Vec<(Outgoing, Outcome)>),
}

impl Heard {
    /// How many mails it says the end of.
    #[must_use]
    pub fn settled(&self) -> usize {
        if let Self::Settled(done) = self { done.len() } else { 0 }
    }
}

/// What comes of a turn.
#[derive(Debug, Default)]
pub struct Turn {
    /// Mails for couriers. Their attempts are written down.
    pub hand_over: Vec<Outgoing>,
    /// Whether there may be more to do at once.
    pub more: bool,
}

impl Engine {
    /// From here on a whole turn is written down at once. What [`Self::turn`] gives may leave; whoever calls
    /// anything else calls [`Self::write_out`] before it has an effect.
    pub fn gathers(&self) {
        lock(&self.store).gather();
    }

    /// Makes durable what was decided.
    ///
    /// # Errors
    /// When it cannot be written; the desk has to begin again then.
    pub fn write_out(&self) -> Result<(), Fault> {
        lock(&self.store).write_out()
    }

    /// Takes in what was heard, and nothing else.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn hear(&mut self, heard: Vec<Heard>) -> Result<(), Fault> {
        let mut settled = Vec::new();
        for word in heard {
            match word {
                Heard::Mailbox(ask) => self.answer(ask)?,
                Heard::Slow(row) => self.waits_long(row),
                Heard::Takes(largest) => self.hears_size(largest)?,
                Heard::Settled(done) => settled.extend(done),
            }
        }
        self.settle_all(&settled)
    }

    /// A turn. `in_hand` is how many mails couriers may have at most.
    ///
    /// # Errors
    /// When something cannot be written; nothing of it may leave then.
    pub fn turn(&mut self, heard: Vec<Heard>, in_hand: usize) -> Result<Turn, Fault> {
        self.hear(heard)?;
        let copies = self.work_due()?;
        let opened = if copies { 0 } else { self.work_inbox()? };
        let hand_over = self.dispatch(in_hand)?;
        self.write_out()?;
        Ok(Turn { hand_over, more: copies || opened > 0 })
    }
}
