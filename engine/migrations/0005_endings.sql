-- How often tokens were ended, or what was said of their users changed, counted apart for some groups of
-- users: processes that remember live tokens look whether a count has moved.
CREATE TABLE endings (
    stripe BIGINT NOT NULL PRIMARY KEY,
    count  BIGINT NOT NULL
);
