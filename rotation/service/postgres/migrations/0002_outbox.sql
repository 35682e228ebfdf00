-- Waiting events. A row is inserted in the transaction that changes the card, and moves
-- to settled when it is delivered or parked. So this table holds waiting events only,
-- and needs one index.
--
-- The sequence must not cache: a later event of a card must have a higher position,
-- on every connection.
CREATE TABLE outbox (
    position bigint  GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME outbox_position CACHE 1),
    number   bigint  NOT NULL,
    at       bigint  NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    card     text COLLATE "C" NOT NULL,
    failure  text    NOT NULL DEFAULT '',
    payload  bytea   NOT NULL,
    PRIMARY KEY (position)
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 50000,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 200000,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 200000,
    autovacuum_vacuum_cost_delay = 0,
    vacuum_truncate = off
);

-- Delivered (status 1) and parked (2) events, until they are deleted.
CREATE TABLE settled (
    position bigint   NOT NULL,
    settled  bigint   NOT NULL,
    number   bigint   NOT NULL,
    at       bigint   NOT NULL,
    attempts integer  NOT NULL,
    status   smallint NOT NULL,
    card     text COLLATE "C" NOT NULL,
    failure  text     NOT NULL,
    payload  bytea    NOT NULL,
    PRIMARY KEY (position)
) WITH (
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 1
);

CREATE INDEX settled_delivered ON settled (settled) WHERE status = 1;
CREATE INDEX settled_parked ON settled (position) WHERE status = 2;

-- How often events were requeued; a change resets the relay's low-water mark.
CREATE TABLE replays (n bigint NOT NULL);
INSERT INTO replays VALUES (0);
