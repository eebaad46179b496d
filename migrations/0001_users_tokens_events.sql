-- Runs unchanged on SQLite and PostgreSQL. Times are unix seconds; ids are UUIDv7, made by the
-- application, so that they sort by creation.

CREATE TABLE users (
    id            TEXT   NOT NULL PRIMARY KEY,
    username      TEXT   NOT NULL,
    username_key  TEXT   NOT NULL UNIQUE,
    password_hash TEXT   NOT NULL,
    role          TEXT   NOT NULL CHECK (role IN ('user', 'admin')),
    created_at    BIGINT NOT NULL,
    disabled_at   BIGINT,
    last_login_at BIGINT
);

-- `expires_at` is the absolute end (none: never), `ends_at` the lesser of it and of the end by
-- disuse: a token is live while `ends_at` lies ahead.
--
-- A key is what a name is compared by. The application makes it: without case, compatibility forms and
-- what shows nothing, and no longer than 255 bytes. A username never changes; a fork that lets it change
-- has to change it in `tokens`, too.
CREATE TABLE tokens (
    id           TEXT   NOT NULL PRIMARY KEY,
    user_id      TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind         TEXT   NOT NULL CHECK (kind IN ('api', 'admin')),
    username_key TEXT   NOT NULL,
    client       TEXT   NOT NULL,
    client_key   TEXT   NOT NULL,
    digest       TEXT   NOT NULL UNIQUE,
    hint         TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT,
    expires_at   BIGINT,
    ends_at      BIGINT NOT NULL,
    last_address TEXT,
    user_agent   TEXT,
    UNIQUE (user_id, kind, client_key)
);

CREATE INDEX tokens_by_end ON tokens (ends_at);

-- Only ever appended to, but for `count`: how often it happened, more than once where failed logins with
-- names that no account has are counted together. Names stand beside ids so that the log outlives the
-- user; no foreign keys for the same reason.
CREATE TABLE events (
    id           TEXT   NOT NULL PRIMARY KEY,
    at           BIGINT NOT NULL,
    action       TEXT   NOT NULL,
    via          TEXT   NOT NULL,
    actor_id     TEXT,
    actor_name   TEXT,
    subject_id   TEXT,
    subject_name TEXT,
    token_id     TEXT,
    client       TEXT,
    reason       TEXT,
    address      TEXT,
    request_id   TEXT,
    count        BIGINT NOT NULL DEFAULT 1
);

CREATE INDEX events_by_time ON events (at);
CREATE INDEX events_by_subject ON events (subject_id, id);
