-- A token is live while `ends_at` lies ahead: the sooner of `expires_at`, its absolute end (none: never), and the
-- end of its idle timeout. Only the digest of a token is kept; `hint` is its last four characters. `last_used_at`
-- is 0 before the first use; `confirmed_at` is when the password was last given again in a session. `address`
-- and `device_key` sort as `identity::address` and `identity::device` say.
CREATE TABLE tokens (
    id           TEXT   NOT NULL PRIMARY KEY,
    user_id      TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind         TEXT   NOT NULL,
    client       TEXT   NOT NULL,
    client_key   TEXT   NOT NULL,
    digest       TEXT   NOT NULL UNIQUE,
    hint         TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL DEFAULT 0,
    expires_at   BIGINT,
    ends_at      BIGINT NOT NULL,
    confirmed_at BIGINT,
    address      TEXT,
    user_agent   TEXT,
    app          TEXT,
    app_version  TEXT,
    device_key   TEXT,
    UNIQUE (user_id, kind, client_key)
);

-- Narrow: a use rewrites the two that sort by its time and the end that it moves, and no other.
CREATE INDEX tokens_by_user ON tokens (user_id, id);
CREATE INDEX tokens_by_client ON tokens (client_key, id);
CREATE INDEX tokens_by_kind ON tokens (kind, id);
CREATE INDEX tokens_by_hint ON tokens (hint, id);
CREATE INDEX tokens_by_address ON tokens (address, id);
CREATE INDEX tokens_by_device ON tokens (device_key, id);
CREATE INDEX tokens_by_last_use ON tokens (last_used_at, id);
CREATE INDEX tokens_by_end ON tokens (ends_at, id);
