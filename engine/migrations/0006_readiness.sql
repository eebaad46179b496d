-- What readiness probes write, to learn whether the database accepts writes. `filler` takes as much space as a
-- login needs.
CREATE TABLE readiness (
    id     BIGINT NOT NULL PRIMARY KEY,
    at     BIGINT NOT NULL,
    filler TEXT   NOT NULL
);
