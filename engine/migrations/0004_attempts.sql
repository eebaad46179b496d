-- Failed logins, and those that are still being checked, counted in windows of time for a budget. A key begins with
-- what the budget is for: `user:` (strangers at an account), `name:` (the same for a pseudonym of a name that no
-- account has), `home:` (a user at an address that signed in before), `token:` (a password asked again in a
-- session), `from:` (an address, or a network of IPv6).
CREATE TABLE attempts (
    key             TEXT   NOT NULL PRIMARY KEY,
    failures        BIGINT NOT NULL,
    ends_at         BIGINT NOT NULL,
    -- Attempts that began in a generation, and in the one before it. Older ones have lapsed.
    pending         BIGINT NOT NULL,
    pending_before  BIGINT NOT NULL,
    generation      BIGINT NOT NULL,
    -- Strangers' failures in a row, whatever the window, and the last of them.
    run             BIGINT NOT NULL,
    failed_at       BIGINT NOT NULL,
    -- The events that count this window's failures with names that no account has.
    failed_event    TEXT,
    throttled_event TEXT,
    -- When the row means nothing any more.
    kept_until      BIGINT NOT NULL
);

CREATE INDEX attempts_by_end ON attempts (kept_until);

-- A user's successful logins, counted in windows of time.
CREATE TABLE logins (
    user_id TEXT   NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    logins  BIGINT NOT NULL,
    ends_at BIGINT NOT NULL
);

-- Where a user has signed in from: an IPv4 address or the /64 network of an IPv6 one.
CREATE TABLE known_addresses (
    user_id TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    network TEXT   NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, network)
);

CREATE INDEX known_addresses_by_time ON known_addresses (seen_at);
