-- Runs unchanged on SQLite and PostgreSQL. Times are unix seconds. Ids are UUIDv7, made by the application: they
-- sort by creation, so a range of time is a range of ids. What PostgreSQL needs beside this (comparing texts byte
-- by byte, as SQLite does) is in the engine's `db`.

-- A key is what a name is compared by (see `identity`); it has at most 255 bytes. `last_seen_at` is 0 before the
-- first token. A user without a password hash can't sign in with a password.
CREATE TABLE users (
    id                TEXT   NOT NULL PRIMARY KEY,
    username          TEXT   NOT NULL,
    username_key      TEXT   NOT NULL UNIQUE,
    email             TEXT,
    email_key         TEXT   UNIQUE,
    email_verified_at BIGINT,
    password_hash     TEXT,
    role              TEXT   NOT NULL,
    created_at        BIGINT NOT NULL,
    disabled_at       BIGINT,
    last_login_at     BIGINT,
    last_seen_at      BIGINT NOT NULL DEFAULT 0
);

-- Each serves a filter or an order of the admin's list, with the id behind what it sorts by.
CREATE INDEX users_by_role ON users (role, id);
CREATE INDEX users_by_disabling ON users (disabled_at, id);
CREATE INDEX users_by_last_seen ON users (last_seen_at, id);
