-- Migration 10. The daily digest: which were due, and what they covered.

-- day: the local day that it was due on: one a day, whatever happens to the clock, the settings or us
-- due_at: when it was due; covers_from, covers_to: what it told of. Never when it was sent
-- message_id: the note; empty for the day on which we began, which had none
CREATE TABLE digests (
    day         TEXT PRIMARY KEY,
    due_at      REAL NOT NULL,
    covers_from REAL NOT NULL,
    covers_to   REAL NOT NULL,
    message_id  INTEGER REFERENCES messages (id)
) STRICT;
CREATE INDEX digests_due ON digests (due_at);
