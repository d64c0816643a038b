-- Migration 6. The audit trail says who; a window says who asked for it, and whether Alertmanager is
-- to be silent meanwhile.

-- who: empty is Sermon Monitor itself, else the person, as "anna (terminal)"
ALTER TABLE events ADD COLUMN who TEXT NOT NULL DEFAULT '';
ALTER TABLE windows ADD COLUMN who TEXT NOT NULL DEFAULT '';
ALTER TABLE windows ADD COLUMN silence INTEGER NOT NULL DEFAULT 0 CHECK (silence IN (0, 1));
-- What is opened by itself around a deployment begins when the version did: once, however often seen.
CREATE UNIQUE INDEX one_window_a_deployment ON windows (starts_at, reason) WHERE origin = 'deployment';
