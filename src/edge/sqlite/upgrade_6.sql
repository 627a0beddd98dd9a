-- From schema 5 to 6: what is large lies in a file of its own, named here.
ALTER TABLE sealed ADD COLUMN file TEXT;
ALTER TABLE sealed ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
UPDATE sealed SET size = length(bytes);
ALTER TABLE came ADD COLUMN file TEXT;
ALTER TABLE inbox ADD COLUMN report INTEGER NOT NULL DEFAULT 0;
UPDATE meta SET value = x'36' WHERE key = 'schema';
