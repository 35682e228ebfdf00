-- The id of the key that secrets are encrypted with; no row: not recorded yet.
CREATE TABLE sealing_key (
	one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	id  INTEGER NOT NULL
) STRICT;
