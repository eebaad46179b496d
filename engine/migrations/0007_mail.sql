-- One-time links, mailed or handed over by an admin. A link can only be used for its `purpose`. `user_id` is its user,
-- whom an invitation to sign up does not have. `email` is the address that it verifies. Only the key's digest is stored.
CREATE TABLE links (
    id      TEXT   NOT NULL PRIMARY KEY,
    purpose TEXT   NOT NULL,
    user_id TEXT   REFERENCES users (id) ON DELETE CASCADE,
    email   TEXT,
    digest  TEXT   NOT NULL UNIQUE,
    ends_at BIGINT NOT NULL
);

CREATE INDEX links_by_user ON links (user_id);
CREATE INDEX links_by_end ON links (ends_at);

-- Mail to be sent, without its text: `purpose` names the templates, and `facts` holds their values as JSON. A row is
-- deleted when its mail is sent or given up, or with its link. `due_at` is the time of the next try. A process moves it
-- ahead while it tries, so that no other process does. At `ends_at` the mail is given up.
CREATE TABLE outbox (
    id      TEXT   NOT NULL PRIMARY KEY,
    purpose TEXT   NOT NULL,
    user_id TEXT   REFERENCES users (id) ON DELETE CASCADE,
    link_id TEXT   REFERENCES links (id) ON DELETE CASCADE,
    address TEXT   NOT NULL,
    facts   TEXT   NOT NULL,
    tries   BIGINT NOT NULL DEFAULT 0,
    due_at  BIGINT NOT NULL,
    ends_at BIGINT NOT NULL
);

CREATE INDEX outbox_by_time ON outbox (due_at, id);
CREATE INDEX outbox_by_end ON outbox (ends_at);
CREATE INDEX outbox_by_user ON outbox (user_id);
CREATE INDEX outbox_by_link ON outbox (link_id);

-- Whether a user wants mails that are not about account security.
ALTER TABLE users ADD COLUMN notices BIGINT NOT NULL DEFAULT 1;

-- Apps and systems that users have signed in with, as `User-Agent` names them: a sign-in with another one is told.
CREATE TABLE known_devices (
    user_id TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    device  TEXT   NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, device)
);

CREATE INDEX known_devices_by_time ON known_devices (seen_at);
