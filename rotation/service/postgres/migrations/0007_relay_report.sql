-- What the holder of the outbox lease reports to the other processes; no row: nothing yet.
CREATE TABLE relay_report (
    one     boolean NOT NULL DEFAULT true PRIMARY KEY CHECK (one),
    at      bigint  NOT NULL,
    holder  text    NOT NULL,
    down    bigint, -- since when the sink accepts nothing; NULL: it is up
    failure text    NOT NULL
);
