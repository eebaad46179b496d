-- Short texts of users, which go with their user. `changed_at` is none until a note is changed.
CREATE TABLE notes (
    id         TEXT   NOT NULL PRIMARY KEY,
    user_id    TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    text       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT
);

-- One user's notes, in the order of their ids: that of their creation. All users' have the primary key.
CREATE INDEX notes_by_user ON notes (user_id, id);
