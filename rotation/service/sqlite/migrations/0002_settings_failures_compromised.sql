-- No row is rewritten. SQLite checks each row of a STRICT table once for each new column,
-- which takes about 2 s for a million cards.
ALTER TABLE card ADD COLUMN first INTEGER; -- first slot of the last accepted settings
ALTER TABLE card ADD COLUMN spread INTEGER NOT NULL DEFAULT 0; -- of the same: 0 or 1
ALTER TABLE card ADD COLUMN failed_at BLOB;
ALTER TABLE card ADD COLUMN compromised BLOB;

-- Idempotency keys are stored as store.HashKey returns them. A key that was sent with
-- quotes is the same key without them.
UPDATE OR REPLACE answer SET key = cvvrotation_hash_key(card, CASE
	WHEN key LIKE '"%"' AND length(key) > 2 THEN substr(key, 2, length(key) - 2) ELSE key END);
