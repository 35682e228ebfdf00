-- What the holder of the outbox lease reports to the other processes; no row: nothing yet.
CREATE TABLE relay_report (
	one     INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	at      INTEGER NOT NULL,
	holder  TEXT    NOT NULL,
	down    INTEGER, -- since when the sink accepts nothing; NULL: it is up
	failure TEXT    NOT NULL
) STRICT;
