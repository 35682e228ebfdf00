-- Instants and durations are nanoseconds, instants since 1970 (UTC). NULL is
-- "none".
--
-- A rotation changes due, so it is never a HOT update: it writes a new version of the
-- row and an entry in each index. Hence few indexes and a narrow row, fixed widths
-- first. fillfactor leaves space for the new version on the same page, where the next
-- rotation prunes it without vacuum, and makes updates that do not change due (tries,
-- locks) HOT.
CREATE TABLE cards (
    due             bigint,
    next            bigint,
    interval        bigint,
    version         bigint  NOT NULL,
    events          bigint  NOT NULL,
    created         bigint,
    rotated         bigint,
    previous_until  bigint,
    locked          bigint,
    tries           integer NOT NULL,
    failures        integer NOT NULL,
    service_code    text COLLATE "C",
    previous_code   text COLLATE "C",
    id              text COLLATE "C" NOT NULL,
    account         text COLLATE "C" NOT NULL,
    state           bytea,
    sealed          bytea,
    previous_sealed bytea,
    identity        bytea,
    failure         text NOT NULL
) WITH (
    fillfactor = 85,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 1
);

ALTER TABLE cards ADD CONSTRAINT cards_pkey PRIMARY KEY (id);
CREATE INDEX cards_due ON cards (due) WHERE due IS NOT NULL;
CREATE INDEX cards_failing ON cards (id) WHERE failures > 0;

-- Answers of calls with an idempotency key.
CREATE TABLE answers (
    expires bigint NOT NULL,
    request bytea  NOT NULL,
    card    text COLLATE "C" NOT NULL,
    key     text COLLATE "C" NOT NULL,
    body    bytea  NOT NULL,
    PRIMARY KEY (card, key)
) WITH (
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 1
);

CREATE INDEX answers_expires ON answers (expires);
