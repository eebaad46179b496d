-- The audit log. Rows are only ever added, but for `count`: how often it happened, more than once where failed
-- logins with names that no account has are counted together. Names stand beside ids so that the log outlives the
-- user, without foreign keys for the same reason. `cause_id` is the event of the bulk action that this one is part
-- of; `filter` is what a bulk action was narrowed to, `note` what the admin said about it.
CREATE TABLE events (
    id           TEXT   NOT NULL PRIMARY KEY,
    at           BIGINT NOT NULL,
    action       TEXT   NOT NULL,
    via          TEXT   NOT NULL,
    actor_id     TEXT,
    actor_name   TEXT,
    actor_key    TEXT,
    subject_id   TEXT,
    subject_name TEXT,
    subject_key  TEXT,
    token_id     TEXT,
    hint         TEXT,
    client       TEXT,
    client_key   TEXT,
    reason       TEXT,
    address      TEXT,
    request_id   TEXT,
    count        BIGINT NOT NULL DEFAULT 1,
    cause_id     TEXT,
    filter       TEXT,
    note         TEXT
);

CREATE INDEX events_by_token ON events (token_id, id);
CREATE INDEX events_by_subject ON events (subject_key, id);
CREATE INDEX events_by_actor ON events (actor_key, id);
CREATE INDEX events_by_address ON events (address, id);
CREATE INDEX events_by_client ON events (client_key, id);
CREATE INDEX events_by_action ON events (action, id);
CREATE INDEX events_by_cause ON events (cause_id, id) WHERE cause_id IS NOT NULL;
