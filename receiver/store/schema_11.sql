-- Migration 11. A step moves only as it may; a deployment's window moves with the machine's clock.

-- pending -> running   claimed by a conditional UPDATE, before anything goes out
-- pending -> refused   a gate said no for good
-- pending -> dropped   overtaken by events, by the end of its alerts, or discarded by a person
-- running -> done | failed   what has gone out is followed to its end: nothing drops it any more
-- A step that has ended stays as it ended: one that is tried again is another row.
CREATE TRIGGER steps_move BEFORE UPDATE OF state ON steps
WHEN OLD.state <> NEW.state AND NOT (
    (OLD.state = 'pending' AND NEW.state IN ('running', 'refused', 'dropped'))
    OR (OLD.state = 'running' AND NEW.state IN ('done', 'failed')))
BEGIN
    SELECT RAISE(ABORT, 'a step cannot move that way');
END;

-- about: of a deployment's window, when it began as it was first told: one window for each, also where
-- the window itself has moved since, because the clock was set
ALTER TABLE windows ADD COLUMN about REAL;
UPDATE windows SET about = starts_at WHERE origin = 'deployment';
DROP INDEX one_window_a_deployment;
CREATE UNIQUE INDEX one_window_a_deployment ON windows (about, reason) WHERE origin = 'deployment';
