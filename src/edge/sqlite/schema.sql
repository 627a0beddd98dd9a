-- The desk's one file. STRICT everywhere; AUTOINCREMENT where an id must never be given twice.

-- Secrets of this desk that are no keys of people, and the version of this schema.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- A folder of the mailbox, and up to where everything in it is known.
CREATE TABLE folder (
    name        TEXT    NOT NULL,
    uidvalidity INTEGER NOT NULL,
    -- Every mail with a lower uid is stored, or was there before the desk began.
    low_water   INTEGER NOT NULL,
    -- Every mail from here on is the desk's: now and then all of them are looked at.
    base        INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (name, uidvalidity)
) STRICT, WITHOUT ROWID;

-- Where a mail lies on the server. Several places may hold the same mail.
CREATE TABLE place (
    folder      TEXT    NOT NULL,
    uidvalidity INTEGER NOT NULL,
    uid         INTEGER NOT NULL,
    raw         TEXT    NOT NULL REFERENCES inbox (raw),
    marked      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (folder, uidvalidity, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX place_of ON place (raw);
CREATE INDEX place_to_mark ON place (folder, uidvalidity, uid) WHERE marked = 0;

-- Mails that the server lists and does not hand out.
CREATE TABLE trouble (
    folder      TEXT    NOT NULL,
    uidvalidity INTEGER NOT NULL,
    uid         INTEGER NOT NULL,
    why         TEXT    NOT NULL,
    tried       INTEGER NOT NULL,
    told        INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (folder, uidvalidity, uid)
) STRICT, WITHOUT ROWID;

-- What a mail is. Effects hang on this, so the same bytes have an effect once.
CREATE TABLE inbox (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    raw         TEXT    NOT NULL UNIQUE,
    size        INTEGER NOT NULL,
    received    INTEGER NOT NULL,
    arrived     INTEGER NOT NULL,
    oversize    INTEGER NOT NULL DEFAULT 0,
    -- Whether it lay in the folder for junk.
    junk        INTEGER NOT NULL DEFAULT 0,
    -- Whether it says that it is a report of a mail server: those can wait.
    report      INTEGER NOT NULL DEFAULT 0,
    -- Counted before opening: a mail that stops us three times is set aside.
    attempts    INTEGER NOT NULL DEFAULT 0,
    state       TEXT    NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'aside')),
    disposition TEXT    NOT NULL DEFAULT ''
) STRICT;
-- Its bytes lie apart, so that counting a try does not write them anew.
CREATE TABLE came (
    id    INTEGER PRIMARY KEY REFERENCES inbox (id) ON DELETE CASCADE,
    bytes BLOB    NOT NULL,
    -- What is large lies in a file of this name, and `bytes` is empty.
    file  TEXT
) STRICT;
CREATE INDEX inbox_waiting ON inbox (id) WHERE state = 'waiting';
CREATE INDEX inbox_aside ON inbox (id) WHERE state = 'aside';
CREATE INDEX inbox_witness ON inbox (id) WHERE disposition = 'witness';

-- The history: append-only, each row chained to the one before by its hash.
CREATE TABLE journal (
    number INTEGER PRIMARY KEY,
    record TEXT    NOT NULL,
    hash   TEXT    NOT NULL
) STRICT;
CREATE TRIGGER journal_keeps_rows BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_keeps_words BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
-- Finds the records of an incident.
CREATE INDEX journal_incident ON journal (json_extract(record, '$.incident'));

-- Bodies that records name by salted hash. One can be erased without breaking the chain.
CREATE TABLE body (
    name TEXT PRIMARY KEY,
    salt BLOB NOT NULL,
    text TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Texts that records name by plain hash: settings, roster, templates, playbooks.
CREATE TABLE shelf (
    digest TEXT PRIMARY KEY,
    text   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Mails that are to leave, sealed.
CREATE TABLE outbox (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id   TEXT    NOT NULL UNIQUE,
    label        TEXT    NOT NULL,
    return_token TEXT    NOT NULL UNIQUE,
    recipient    TEXT    NOT NULL,
    written      INTEGER NOT NULL,
    next_attempt INTEGER NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    -- Set just before the last bytes are sent, cleared with the outcome.
    in_flight    INTEGER NOT NULL DEFAULT 0,
    unknowns     INTEGER NOT NULL DEFAULT 0,
    deferrals    INTEGER NOT NULL DEFAULT 0,
    refusals     INTEGER NOT NULL DEFAULT 0,
    since        INTEGER,
    urgency      INTEGER NOT NULL DEFAULT 3,
    -- Whether people know that it will not leave.
    told         INTEGER NOT NULL DEFAULT 0,
    -- How often the operator has had it tried again, and whether it is to be withdrawn.
    retried      INTEGER NOT NULL DEFAULT 0,
    unwanted     INTEGER NOT NULL DEFAULT 0,
    state        TEXT    NOT NULL DEFAULT 'waiting'
                 CHECK (state IN ('waiting', 'sent', 'dead', 'unknown', 'withdrawn')),
    reply        TEXT    NOT NULL DEFAULT ''
) STRICT;
-- The mails of the outbox. In a table of their own, since a row is written anew each time that its
-- attempts are counted, and a mail may be megabytes.
CREATE TABLE sealed (
    id    INTEGER PRIMARY KEY REFERENCES outbox (id),
    bytes BLOB    NOT NULL,
    -- What is large lies in a file of this name, and `bytes` is empty.
    file  TEXT,
    size  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX outbox_waiting ON outbox (next_attempt) WHERE state = 'waiting';
CREATE INDEX outbox_untold ON outbox (id) WHERE state IN ('dead', 'unknown') AND told = 0;
CREATE INDEX outbox_urgent ON outbox (urgency, next_attempt, id) WHERE state = 'waiting';
CREATE INDEX outbox_troubled ON outbox (id) WHERE state IN ('dead', 'unknown');
