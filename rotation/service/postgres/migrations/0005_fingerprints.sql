-- Keyed hashes of PAN and expiry, where CVVs are derived. They have a table of their own,
-- which a rotation does not read or write.
CREATE TABLE fingerprints (
    fingerprint bytea NOT NULL,
    card        text COLLATE "C" NOT NULL,
    PRIMARY KEY (fingerprint)
);

CREATE INDEX fingerprints_card ON fingerprints (card);
