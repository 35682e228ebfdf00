-- Keyed hashes of PAN and expiry, where CVVs are derived. They have a table of their own,
-- which a rotation does not read or write.
CREATE TABLE fingerprint (
	fingerprint BLOB NOT NULL PRIMARY KEY,
	card        TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX fingerprint_card ON fingerprint (card);
