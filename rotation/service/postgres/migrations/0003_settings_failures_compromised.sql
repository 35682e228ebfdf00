-- Idempotency keys are stored as store.HashKey returns them. Replicas of the previous
-- version still look for keys as they are, so those rows stay until they expire. A key
-- that was sent with quotes is the same key without them.
INSERT INTO answers (expires, request, card, key, body)
SELECT expires, request, card, encode(sha256(convert_to(card || ' ' || key, 'UTF8')), 'base64'), body
FROM answers
ON CONFLICT DO NOTHING;

INSERT INTO answers (expires, request, card, key, body)
SELECT expires, request, card,
    encode(sha256(convert_to(card || ' ' || substr(key, 2, length(key) - 2), 'UTF8')), 'base64'), body
FROM answers
WHERE key LIKE '"%"' AND length(key) > 2
ON CONFLICT DO NOTHING;

-- The new columns are NULL in every row, which takes no space and rewrites none. This
-- comes last because it locks the table until the commit.
ALTER TABLE cards
    ADD COLUMN first       bigint,  -- first slot of the last accepted settings
    ADD COLUMN spread      boolean, -- of the same; true or NULL
    ADD COLUMN failed_at   bytea,
    ADD COLUMN compromised bytea;
