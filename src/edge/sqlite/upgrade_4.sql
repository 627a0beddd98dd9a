-- From schema 3 to 4: of a mail it is known whether it lay in the folder for junk.
ALTER TABLE inbox ADD COLUMN junk INTEGER NOT NULL DEFAULT 0;
ALTER TABLE folder ADD COLUMN base INTEGER NOT NULL DEFAULT 0;
UPDATE folder SET base = low_water;
DELETE FROM meta WHERE key LIKE 'alarm:%';
UPDATE meta SET value = x'34' WHERE key = 'schema';
