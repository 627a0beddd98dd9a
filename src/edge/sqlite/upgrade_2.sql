-- From schema 1 to 2: the bytes of mails that wait move to a table of their own.
CREATE INDEX IF NOT EXISTS journal_incident ON journal (json_extract(record, '$.incident'));
CREATE TABLE sealed (
    id    INTEGER PRIMARY KEY REFERENCES outbox (id),
    bytes BLOB    NOT NULL
) STRICT;
INSERT INTO sealed (id, bytes) SELECT id, bytes FROM outbox WHERE state = 'waiting';
ALTER TABLE outbox DROP COLUMN bytes;
UPDATE meta SET value = x'32' WHERE key = 'schema';
