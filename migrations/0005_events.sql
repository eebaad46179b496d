-- Lines about a user are found by the name; the id only tells them from those about somebody who had it
-- before.
DROP INDEX events_by_subject;
