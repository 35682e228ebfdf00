-- The id of the key that secrets are encrypted with; no row: not recorded yet.
CREATE TABLE sealing_key (
    one boolean NOT NULL DEFAULT true PRIMARY KEY CHECK (one),
    id  bigint  NOT NULL
);
