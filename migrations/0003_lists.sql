-- What the admin's lists sort and search by.

ALTER TABLE users ADD COLUMN last_seen_at BIGINT;

-- An index holds what the lists filter by beside what it sorts by, so that a list reads the index alone
-- however deep its page lies.
CREATE INDEX users_by_creation ON users (created_at, id, disabled_at, role);
CREATE INDEX users_by_last_seen ON users ((COALESCE(last_seen_at, 0)), id, disabled_at, role);
CREATE INDEX users_disabled ON users (username_key) WHERE disabled_at IS NOT NULL;
CREATE INDEX users_admin ON users (username_key) WHERE role = 'admin';

DROP INDEX tokens_by_end;
CREATE INDEX tokens_by_end ON tokens
    (ends_at, id, created_at, last_used_at, client_key, username_key, last_address, kind);
CREATE INDEX tokens_by_creation ON tokens
    (created_at, id, ends_at, last_used_at, client_key, username_key, last_address);
CREATE INDEX tokens_by_last_use ON tokens
    ((COALESCE(last_used_at, 0)), id, created_at, ends_at, last_used_at, client_key, username_key,
     last_address);
CREATE INDEX tokens_by_client ON tokens
    (client_key, id, created_at, ends_at, last_used_at, username_key, last_address, kind);
CREATE INDEX tokens_by_user ON tokens
    (username_key, id, created_at, ends_at, last_used_at, client_key, last_address);
CREATE INDEX tokens_by_address ON tokens
    (last_address, id, created_at, ends_at, last_used_at, client_key, username_key);
CREATE INDEX tokens_by_disuse ON tokens
    ((COALESCE(last_used_at, created_at)), id, created_at, ends_at, last_used_at, client_key,
     username_key, last_address);

ALTER TABLE events ADD COLUMN actor_key TEXT;
ALTER TABLE events ADD COLUMN subject_key TEXT;
ALTER TABLE events ADD COLUMN client_key TEXT;

DROP INDEX events_by_time;
DROP INDEX events_by_subject;
CREATE INDEX events_by_time ON events (at, id);
CREATE INDEX events_by_subject ON events (subject_id, at, id);
CREATE INDEX events_by_action ON events (action, at, id, actor_key, subject_key, client_key);
CREATE INDEX events_by_actor ON events (actor_key, at, id, action);
CREATE INDEX events_by_subject_name ON events (subject_key, at, id, action, actor_key);
CREATE INDEX events_by_client ON events (client_key, at, id, action, actor_key);
