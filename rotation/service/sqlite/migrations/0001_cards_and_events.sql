-- Instants are nanoseconds since 1970, in UTC; NULL is none. Intervals are
-- nanoseconds.

CREATE TABLE card (
	n               INTEGER PRIMARY KEY, -- cards are never deleted, so the maximum is their number
	id              TEXT    NOT NULL UNIQUE,
	account         TEXT    NOT NULL,
	version         INTEGER NOT NULL,
	events          INTEGER NOT NULL,
	state           BLOB,
	next            INTEGER,
	interval        INTEGER NOT NULL,
	due             INTEGER,
	service_code    TEXT    NOT NULL, -- empty: none
	sealed          BLOB,
	previous_code   TEXT    NOT NULL,
	previous_sealed BLOB,
	previous_until  INTEGER,
	identity        BLOB,
	created         INTEGER,
	rotated         INTEGER,
	tries           INTEGER NOT NULL,
	locked          INTEGER,
	failures        INTEGER NOT NULL,
	failure         TEXT    NOT NULL
) STRICT;

CREATE INDEX card_due ON card (due) WHERE due IS NOT NULL;
CREATE INDEX card_failing ON card (id) WHERE failures > 0;

CREATE TABLE answer (
	card    TEXT    NOT NULL,
	key     TEXT    NOT NULL,
	request BLOB    NOT NULL,
	body    BLOB,
	expires INTEGER NOT NULL,
	PRIMARY KEY (card, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX answer_expires ON answer (expires);

-- A delivered event keeps its row, whose length does not change: SQLite stores status 0
-- and 1 in no bytes, and since always in eight.
CREATE TABLE event (
	position INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused
	card     TEXT    NOT NULL,
	number   INTEGER NOT NULL,
	at       INTEGER,
	status   INTEGER NOT NULL, -- 0 waiting, 1 delivered, 2 parked
	since    INTEGER NOT NULL, -- when the event got this status
	attempts INTEGER NOT NULL,
	failure  TEXT    NOT NULL,
	payload  BLOB
) STRICT;

CREATE INDEX event_waiting ON event (position, at) WHERE status = 0;
CREATE INDEX event_delivered ON event (since) WHERE status = 1;
CREATE INDEX event_parked ON event (position) WHERE status = 2;
