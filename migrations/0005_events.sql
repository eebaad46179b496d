-- Lines about a user are found by the name; the id only tells them from those about somebody who had it
-- before.
DROP INDEX events_by_subject;

-- With the names that lists search by beside them: a search that walks the trail, or what one actor did,
-- looks up no line that it does not show.
DROP INDEX events_by_time;
CREATE INDEX events_by_time ON events (at, id, subject_key, client_key);
DROP INDEX events_by_actor;
CREATE INDEX events_by_actor ON events (actor_key, at, id, action, subject_key, client_key);
