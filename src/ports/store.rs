//! What a desk keeps: values, and what a database must do with them.
//!
//! A second database is these traits once more, and is measured by the contract test that runs
//! every method against `&mut dyn Store`.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;

use serde::Serialize;

use crate::domain::facts::event::Blob;
use crate::domain::facts::heart::Down;
use crate::domain::facts::names::{Digest, Handle, MessageId, Moment};
use crate::domain::facts::record::{Body, Head, Line, Record};
use crate::domain::outgoing::mail::Label;
use crate::domain::outgoing::tries::Tries;
use crate::error::{Fault, Place};

/// A mail as it came from the server.
#[derive(Debug, Clone)]
pub struct RawMail {
    /// Its bytes; of an oversize mail the headers and the beginning.
    pub bytes: Vec<u8>,
    /// When the mail server took it, by its clock.
    pub received: Moment,
    /// When we had it, by ours.
    pub arrived: Moment,
    /// Whether the rest stays on the server because it is too large.
    pub oversize: bool,
    /// Whether it lay in the folder for junk.
    pub junk: bool,
}

impl RawMail {
    /// When the mail server took it, never later than now.
    #[must_use]
    pub fn taken(&self) -> Moment {
        self.received.min(self.arrived)
    }

    /// The later of both, which keys and signatures are looked at from: where our clock was set back, what somebody has
    /// just signed is not of the future, and the refusal can name the clock instead of calling the signature bad.
    #[must_use]
    pub fn latest(&self) -> Moment {
        self.received.max(self.arrived)
    }
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

impl Waiting {
    /// Mails of so many bytes are opened together at most; a larger one by itself, so that what it costs is
    /// charged to no other.
    pub const TOGETHER_BYTES: usize = 8 * 1024 * 1024;

    /// Those of several that are opened together: one that was tried before comes alone, so that only the mail
    /// that stops the desk is charged for it.
    #[must_use]
    pub fn together(mut list: Vec<Self>) -> Vec<Self> {
        match list.iter().position(|mail| mail.attempts > 0) {
            Some(0) => list.truncate(1),
            Some(tried) => list.truncate(tried),
            None => {}
        }
        list
    }
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
    /// Its Message-ID.
    pub message_id: String,
    /// What it is.
    pub label: Label,
    /// The token of its return path.
    pub return_token: String,
    /// The one recipient.
    pub recipient: String,
    /// Its bytes.
    pub content: Kept,
    /// When it may leave.
    pub not_before: Moment,
}

/// Bytes that a commit keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// Few enough to be written with it.
    Here(Vec<u8>),
    /// Written before, apart: by what name, and how many.
    There { name: String, size: u64 },
}

impl Kept {
    /// Whether they lie apart.
    #[must_use]
    pub fn is_apart(&self) -> bool {
        matches!(self, Self::There { .. })
    }

    /// How many there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Here(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Self::There { size, .. } => *size,
        }
    }
}

/// More bytes than this are kept apart.
pub const APART_FROM: usize = 64 * 1024;

/// Where what is large is written before a commit keeps it. What no commit names is not there after the next
/// start.
pub trait Spool: Send + Sync {
    /// Begins to write something.
    ///
    /// # Errors
    /// When it cannot be written.
    fn begin(&self) -> Result<Box<dyn Spooling>, Fault>;
}

/// Something that is being written.
pub trait Spooling: Write + Send + Sync {
    /// It is whole; once this returns it is durable.
    ///
    /// # Errors
    /// When it cannot be written.
    fn end(self: Box<Self>) -> Result<Kept, Fault>;
}

/// The bytes of a mail that is about to leave: what is large is read piece by piece.
pub enum Content {
    /// All of them.
    Here(Vec<u8>),
    /// As they are read.
    There(Box<dyn Read + Send>),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content(..)")
    }
}

impl Content {
    /// All of them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn whole(self) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Here(bytes) => Ok(bytes),
            Self::There(mut reader) => {
                let mut bytes = Vec::new();
                reader.read_to_end(&mut bytes).at(|| "reading a mail".to_owned())?;
                Ok(bytes)
            }
        }
    }
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
    /// How many bytes it has.
    pub size: u64,
    /// Attempts before this one.
    pub attempts: u32,
    /// What came of them.
    pub tries: Tries,
    /// Whether the operator wants it withdrawn.
    pub unwanted: bool,
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
    /// When to try again, while it waits; otherwise when that was settled.
    pub next_attempt: Moment,
    /// What came of the attempts.
    pub tries: Tries,
    /// The server's answer, shortened.
    pub reply: String,
}

/// All that one decision changes. Written in one transaction, or not at all.
#[derive(Debug, Default)]
pub struct Commit<'a> {
    /// New lines of the journal, in order.
    pub lines: &'a [Line],
    /// Bodies that they name.
    pub bodies: &'a [Body],
    /// Texts that they name by hash.
    pub texts: &'a [(Digest, String)],
    /// Mails that are to leave.
    pub mails: &'a [Sealed],
    /// The inbox row that is done, and what it was.
    pub inbox: Option<(i64, &'a str)>,
    /// The outbox rows that are settled.
    pub outbox: &'a [Settled],
    /// The outbox rows of which people are told that they will not leave.
    pub told: &'a [i64],
}

/// A row of the outbox, as people are shown it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The row.
    pub row: Outgoing,
    /// `waiting`, `sent`, `dead`, `unknown` or `withdrawn`.
    pub state: String,
    /// When it is tried next; of what is settled, when that was.
    pub at: Moment,
    /// What the server said last, shortened.
    pub reply: String,
    /// How often the operator had it tried again.
    pub retried: u32,
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

/// A folder of the mailbox in one incarnation: the server numbers its mails anew in another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its name.
    pub name: String,
    /// Its incarnation (UIDVALIDITY, RFC 9051, 2.3.1.1).
    pub uidvalidity: u32,
}

/// How far the mails of a folder are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bookmark {
    /// Below this number nothing is looked at again for now; none for an incarnation that is new.
    pub low_water: Option<u32>,
    /// From this number on every mail is the desk's: a server that once left one out, or named one that is not
    /// there, is asked about all of them now and then.
    pub base: Option<u32>,
    /// How many incarnations of the folder are known.
    pub incarnations: i64,
    /// When the store was made: mails from before are not the desk's.
    pub made: Moment,
}

/// The history, and everything that it names by hash.
pub trait Journal {
    /// Reads the whole journal in order.
    ///
    /// # Errors
    /// When a line cannot be read, or `take` refuses it.
    fn replay(&self, take: &mut dyn FnMut(Line) -> Result<(), Fault>) -> Result<(), Fault>;

    /// The records about one incident, oldest first; by an index, so that it does not grow with the
    /// others.
    ///
    /// # Errors
    /// When they cannot be read.
    fn history(&self, handle: &Handle) -> Result<Vec<Record>, Fault>;

    /// A body, by the name that records use; none if it was erased.
    ///
    /// # Errors
    /// When it cannot be read.
    fn body(&self, name: Blob) -> Result<Option<String>, Fault>;

    /// All bodies: name, salt, text. For `journal verify`.
    ///
    /// # Errors
    /// When they cannot be read.
    fn bodies(&self, take: &mut dyn FnMut(&str, &[u8], &str)) -> Result<(), Fault>;

    /// All texts that records name by hash.
    ///
    /// # Errors
    /// When they cannot be read.
    fn texts(&self) -> Result<Vec<String>, Fault>;

    /// The secrets of this desk.
    ///
    /// # Errors
    /// When they are not there.
    fn secrets(&self) -> Result<Secrets, Fault>;

    /// When the store was made: mails from before are not the desk's.
    ///
    /// # Errors
    /// When it is not known.
    fn made(&self) -> Result<Moment, Fault>;

    /// The newest head that is known outside of the store, where putting the store back does not
    /// reach it; none where nothing was written there yet.
    ///
    /// # Errors
    /// When what is there cannot be read, is not this desk's, or is gone.
    fn witness(&self) -> Result<Option<Head>, Fault>;

    /// The hash of one line.
    ///
    /// # Errors
    /// When it cannot be read.
    fn line_hash(&self, number: u64) -> Result<Option<Digest>, Fault>;

    /// Writes everything that a decision changes. Refused when the newest line is not `expected`:
    /// another desk has written, and what this one decided rests on a history that is not the one.
    ///
    /// # Errors
    /// When anything of it cannot be written; then nothing was.
    fn commit(&mut self, expected: Head, commit: &Commit<'_>) -> Result<(), Fault>;
}

/// The mails that came in, and how far the mailbox is known.
pub trait Inbox {
    /// Whether a mail with these bytes was ever taken in.
    ///
    /// # Errors
    /// When it cannot be read.
    fn knows(&self, raw: Digest) -> Result<bool, Fault>;

    /// Keeps mails with the places where they lie. A mail whose bytes are there already gets
    /// another place and nothing else.
    ///
    /// # Errors
    /// When it cannot be written; then nothing was.
    fn take_in(&mut self, mails: &[(Option<Location>, RawMail)]) -> Result<(), Fault>;

    /// The next mails to open. One that was tried before comes alone, so that only the mail that
    /// stops us is charged for it. Unless `all` are wanted, those that say that they are reports of mail
    /// servers wait.
    ///
    /// # Errors
    /// When they cannot be read.
    fn waiting(&self, max: u32, bytes_max: u64, all: bool) -> Result<Vec<Waiting>, Fault>;

    /// Since when the oldest mail waits to be opened.
    ///
    /// # Errors
    /// When it cannot be read.
    fn unopened(&self) -> Result<Option<Moment>, Fault>;

    /// Counts an attempt for each of these mails, before they are opened.
    ///
    /// # Errors
    /// When it cannot be written.
    fn charge(&mut self, ids: &[i64]) -> Result<(), Fault>;

    /// Sets a mail aside: kept, shown, and not tried again by itself.
    ///
    /// # Errors
    /// When it cannot be written.
    fn set_aside(&mut self, id: i64, why: &str) -> Result<(), Fault>;

    /// Tries mails that were set aside once more; says how many there are.
    ///
    /// # Errors
    /// When it cannot be written.
    fn retry_aside(&mut self) -> Result<usize, Fault>;

    /// The mail with this hash, as it came.
    ///
    /// # Errors
    /// When it cannot be read.
    fn mail(&self, raw: Digest) -> Result<Option<RawMail>, Fault>;

    /// How far a folder is known.
    ///
    /// # Errors
    /// When it cannot be read.
    fn bookmark(&self, folder: &Folder) -> Result<Bookmark, Fault>;

    /// Moves the low-water mark up, never down; and the base to it where what lies below is not the desk's.
    ///
    /// # Errors
    /// When it cannot be written.
    fn set_bookmark(&mut self, folder: &Folder, low_water: u32, base: bool) -> Result<(), Fault>;

    /// The mails of a folder from a uid on whose place is known.
    ///
    /// # Errors
    /// When they cannot be read.
    fn known_uids(&self, folder: &Folder, from: u32) -> Result<BTreeSet<u32>, Fault>;

    /// Mails of a folder that are stored and not marked on the server yet: a thousand at most.
    ///
    /// # Errors
    /// When they cannot be read.
    fn to_mark(&self, folder: &Folder) -> Result<Vec<u32>, Fault>;

    /// Notes that mails are marked on the server.
    ///
    /// # Errors
    /// When it cannot be written.
    fn marked(&mut self, folder: &Folder, uids: &[u32]) -> Result<(), Fault>;

    /// Mails of a folder that the server does not hand out: all, and those that were not tried since a
    /// moment.
    ///
    /// # Errors
    /// When they cannot be read.
    fn troubled(
        &self,
        folder: &Folder,
        before: Moment,
    ) -> Result<(BTreeSet<u32>, BTreeSet<u32>), Fault>;

    /// Writes down that the server does not hand a mail out, and why.
    ///
    /// # Errors
    /// When it cannot be written.
    fn set_trouble(&mut self, at: &Location, why: &str, now: Moment) -> Result<(), Fault>;

    /// Those of which nobody is told yet, with the reason; they count as told from here on.
    ///
    /// # Errors
    /// When it cannot be written.
    fn new_troubles(&mut self) -> Result<Vec<(Location, String)>, Fault>;

    /// Those that there are, with the reason.
    ///
    /// # Errors
    /// When they cannot be read.
    fn troubles(&self) -> Result<Vec<(Location, String)>, Fault>;

    /// The desk's own witnesses in a folder that a newer one has taken the place of: a hundred at most.
    ///
    /// # Errors
    /// When they cannot be read.
    fn spent_witnesses(&self, folder: &Folder) -> Result<Vec<u32>, Fault>;

    /// Notes that mails do not lie in a folder any more; of its own witnesses the desk forgets those.
    ///
    /// # Errors
    /// When it cannot be written.
    fn removed(&mut self, folder: &Folder, uids: &[u32]) -> Result<(), Fault>;
}

/// Why a mail that was about to leave does not: it is no fault of anybody's.
pub const CALLED_BACK: &str = "it was called back before it left";

/// Why a mail never leaves.
pub const GONE: &str = "its bytes are not in the store any more";

/// What the inbox calls a mail of the desk to itself.
pub const WITNESS: &str = "witness";

/// The mails that are to leave.
pub trait Outbox {
    /// Where what is large is written before a commit keeps it.
    fn spool(&self) -> Arc<dyn Spool>;

    /// Mails that may be handed over now, the most urgent first, and of those the longest due.
    ///
    /// # Errors
    /// When they cannot be read.
    fn due_mails(&self, now: Moment, max: u32) -> Result<Vec<Outgoing>, Fault>;

    /// The mails to try whether the mail server is there, the best first: what is due and was not tried yet,
    /// then what came to nothing, and never what may have left before its own time.
    ///
    /// # Errors
    /// When they cannot be read.
    fn mails_to_try(&self, now: Moment, max: u32) -> Result<Vec<Outgoing>, Fault>;

    /// Lets all that was put off go at once: it was not their fault. With `all` what was never tried as well: a
    /// clock that was wrong said until when it waits; and what may have left then waits as long as such mails ever do
    /// ([`UNKNOWN_LONGEST`](crate::domain::outgoing::tries::UNKNOWN_LONGEST)), and no longer.
    ///
    /// # Errors
    /// When it cannot be written.
    fn let_go(&mut self, now: Moment, all: bool) -> Result<usize, Fault>;

    /// The number of the newest row; 0 where there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    fn last_mail(&self) -> Result<i64, Fault>;

    /// When the next mail may be handed over.
    ///
    /// # Errors
    /// When it cannot be read.
    fn next_mail(&self) -> Result<Option<Moment>, Fault>;

    /// Counts an attempt and writes down when the next is due, before the server is dialled.
    ///
    /// # Errors
    /// When it cannot be written; then nothing is dialled.
    fn attempt(&mut self, rows: &[(i64, Moment)]) -> Result<(), Fault>;

    /// The bytes of mails that are about to be sent, in the same order: that is written down first, for all
    /// of them together, so that nobody can have them without. Nothing for one that has none any more.
    ///
    /// # Errors
    /// When it cannot be written down; then nothing is sent.
    fn in_flight(&mut self, ids: &[i64]) -> Result<Vec<Option<Content>>, Fault>;

    /// Mails whose last bytes were on their way when the desk stopped.
    ///
    /// # Errors
    /// When they cannot be read.
    fn left_in_flight(&self) -> Result<Vec<Outgoing>, Fault>;

    /// Mails that will not leave, or may have, of which nobody is told yet; a thousand at most.
    ///
    /// # Errors
    /// When they cannot be read.
    fn untold(&self) -> Result<Vec<Listed>, Fault>;

    /// The newest rows that wait or will not leave, or the one of a number, whatever its state.
    ///
    /// # Errors
    /// When they cannot be read.
    fn listed(&self, id: Option<i64>, max: u32) -> Result<Vec<Listed>, Fault>;

    /// Has a mail tried again: one that waits at once, one that was given up with its Message-ID; one that may
    /// have left only once. Says whether it is.
    ///
    /// # Errors
    /// When it cannot be written.
    fn retry(&mut self, id: i64, now: Moment) -> Result<bool, Fault>;

    /// Has a mail that waits withdrawn; the desk does so when it looks next. Says whether it waits.
    ///
    /// # Errors
    /// When it cannot be written.
    fn withdraw(&mut self, id: i64, now: Moment) -> Result<bool, Fault>;

    /// Forgets the bytes of what was given up before a moment. Says how many there were.
    ///
    /// # Errors
    /// When it cannot be written.
    fn forget_given_up(&mut self, before: Moment) -> Result<usize, Fault>;

    /// Mails that should have left before a moment: how many, since when, and what was said of the oldest.
    ///
    /// # Errors
    /// When they cannot be read.
    fn overdue(&self, before: Moment) -> Result<Option<(u64, Down)>, Fault>;

    /// Whether one of our mails has this Message-ID.
    ///
    /// # Errors
    /// When it cannot be read.
    fn is_ours(&self, message_id: &str) -> Result<bool, Fault>;

    /// The mail whose return path has this token: its Message-ID, and what it is.
    ///
    /// # Errors
    /// When it cannot be read.
    fn returned(&self, token: &str) -> Result<Option<(MessageId, Label)>, Fault>;

    /// The token of a mail's return path.
    ///
    /// # Errors
    /// When it cannot be read.
    fn return_token(&self, id: &MessageId) -> Result<Option<String>, Fault>;
}

/// What is kept beside the history, by name: nothing in it says what happened, and it may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// What lasts of a sign-in to the mailbox.
    SignIn,
    /// How the desk is.
    Heart,
    /// That the operator has seen to mails that were missed.
    MissedSeen,
    /// A word of the operator's about the clock that a running desk has not heard yet.
    ClockWord,
    /// When the last backup was begun.
    BackedUp,
}

impl Note {
    /// Its name in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SignIn => "note:sign-in",
            Self::Heart => "note:heart",
            Self::MissedSeen => "note:missed-seen",
            Self::ClockWord => "note:clock-word",
            Self::BackedUp => "note:backed-up",
        }
    }
}

/// What the operator is shown, and what is kept for the desk's own use.
pub trait Alarms {
    /// What is kept under a name.
    ///
    /// # Errors
    /// When it cannot be read.
    fn note(&self, note: Note) -> Result<Option<String>, Fault>;

    /// Keeps something, or forgets it.
    ///
    /// # Errors
    /// When it cannot be written.
    fn set_note(&mut self, note: Note, text: Option<&str>) -> Result<(), Fault>;

    /// Why the newest head is not known outside of the store, if it could not be written there.
    fn unwitnessed(&self) -> Option<String>;

    /// When the desk last wrote down that it runs.
    ///
    /// # Errors
    /// When it cannot be read.
    fn alive(&self) -> Result<Option<Moment>, Fault>;

    /// Writes down that it runs.
    ///
    /// # Errors
    /// When it cannot be written.
    fn set_alive(&mut self, at: Moment) -> Result<(), Fault>;

    /// When the desk last wrote to itself how far its journal had come, and how far that was.
    ///
    /// # Errors
    /// When it cannot be read.
    fn mailed(&self) -> Result<Option<(Moment, u64)>, Fault>;

    /// Why this copy of the store is held, if it was found to be an older one.
    ///
    /// # Errors
    /// When it cannot be read.
    fn held(&self) -> Result<Option<String>, Fault>;

    /// Writes that down, or that it is not.
    ///
    /// # Errors
    /// When it cannot be written.
    fn set_held(&mut self, why: Option<&str>) -> Result<(), Fault>;

    /// Writes that down.
    ///
    /// # Errors
    /// When it cannot be written.
    fn set_mailed(&mut self, at: Moment, number: u64) -> Result<(), Fault>;

    /// Bytes that can still be written where the store lies.
    ///
    /// # Errors
    /// When the system does not say.
    fn room(&self) -> Result<u64, Fault>;

    /// Counts for `status`.
    ///
    /// # Errors
    /// When they cannot be read.
    fn counts(&self) -> Result<Counts, Fault>;
}

/// Writing many changes with one wait for the disk.
pub trait Gather {
    /// From here on each change is whole as before and is read back at once, and is durable only when
    /// [`Self::write_out`] has returned.
    fn gather(&mut self);

    /// Makes all that was gathered durable: all of it, or nothing.
    ///
    /// # Errors
    /// When it cannot be written: then all of it is lost, and nothing more is written by this store.
    fn write_out(&mut self) -> Result<(), Fault>;
}

/// A database of a desk.
pub trait Store: Journal + Inbox + Outbox + Alarms + Gather + Send {}

impl<T: Journal + Inbox + Outbox + Alarms + Gather + Send> Store for T {}

/// Checks the chain line by line and gives each record to `take`.
///
/// # Errors
/// The first line that does not fit, by number.
pub fn read_journal<J: Journal + ?Sized>(
    journal: &J,
    mut take: impl FnMut(Record, Digest),
) -> Result<Head, Fault> {
    let mut head = Head::EMPTY;
    journal.replay(&mut |line| {
        let (record, next) = line.read(head)?;
        head = next;
        take(record, head.hash);
        Ok(())
    })?;
    Ok(head)
}
