-- How often tokens were ended, or what was said of their users changed, counted apart for some groups of
-- users: processes that remember live tokens look whether a count has moved.
CREATE TABLE endings (
    stripe BIGINT NOT NULL PRIMARY KEY,
    count  BIGINT NOT NULL
);

-- Disabled users are few, and were last seen long ago: in the index of all users they stand at one end, and
-- whoever reads it from the other comes to them last.
CREATE INDEX users_disabled_by_creation ON users (created_at, id, role) WHERE disabled_at IS NOT NULL;
CREATE INDEX users_disabled_by_last_seen ON users ((COALESCE(last_seen_at, 0)), id, role)
    WHERE disabled_at IS NOT NULL;
