-- From schema 2 to 3: the desk's mails to itself are found among all others, and what leaves goes by its
-- urgency.
CREATE INDEX IF NOT EXISTS inbox_witness ON inbox (id) WHERE disposition = 'witness';
CREATE INDEX IF NOT EXISTS place_of ON place (raw);
ALTER TABLE outbox ADD COLUMN deferrals INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN refusals INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN since INTEGER;
ALTER TABLE outbox ADD COLUMN urgency INTEGER NOT NULL DEFAULT 3;
ALTER TABLE outbox ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN retried INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN unwanted INTEGER NOT NULL DEFAULT 0;
UPDATE outbox SET told = 1 WHERE state IN ('dead', 'unknown');
CREATE INDEX outbox_untold ON outbox (id) WHERE state IN ('dead', 'unknown') AND told = 0;
CREATE INDEX outbox_urgent ON outbox (urgency, next_attempt, id) WHERE state = 'waiting';
CREATE TABLE IF NOT EXISTS trouble (
    folder      TEXT    NOT NULL,
    uidvalidity INTEGER NOT NULL,
    uid         INTEGER NOT NULL,
    why         TEXT    NOT NULL,
    tried       INTEGER NOT NULL,
    told        INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (folder, uidvalidity, uid)
) STRICT, WITHOUT ROWID;
UPDATE meta SET value = x'33' WHERE key = 'schema';
