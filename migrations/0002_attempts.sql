-- Logins that failed, and those that are being checked still, counted in windows of time for an
-- account or for an address. A key begins with what it counts for: `user:`, `home:` (a user at an
-- address that signed in before), `name:` (a pseudonym for a name that no account has), `from:`.
CREATE TABLE attempts (
    key      TEXT   NOT NULL PRIMARY KEY,
    failures BIGINT NOT NULL,
    pending  BIGINT NOT NULL,
    ends_at  BIGINT NOT NULL
);

CREATE INDEX attempts_by_end ON attempts (ends_at);

-- Where a user has signed in from: an IPv4 address or the /64 network of an IPv6 one.
CREATE TABLE known_addresses (
    user_id TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    network TEXT   NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, network)
);

CREATE INDEX known_addresses_by_time ON known_addresses (seen_at);

-- When the password was last given in a session, if that was after it began.
ALTER TABLE tokens ADD COLUMN confirmed_at BIGINT;
