-- From schema 2 to 3: the desk's mails to itself are found among all others.
CREATE INDEX IF NOT EXISTS inbox_witness ON inbox (id) WHERE disposition = 'witness';
CREATE INDEX IF NOT EXISTS place_of ON place (raw);
UPDATE meta SET value = x'33' WHERE key = 'schema';
