-- Migration 8. How loudly a message arrives has three levels; what events have overtaken is not told.

-- ping: 0 silent, 1 a push without a mention, 2 with the mention (1 was that until now)
-- posted_at, posted_ring: when and how loudly it was first posted
-- topic: of notes of one topic and incident only the newest is told
CREATE TABLE messages_8 (
    id          INTEGER PRIMARY KEY,
    incident_id INTEGER REFERENCES incidents (id),
    kind        TEXT NOT NULL CHECK (kind IN ('card', 'call', 'note')),
    notifier    TEXT NOT NULL,
    ping        INTEGER NOT NULL CHECK (ping IN (0, 1, 2)),
    rang_at     REAL,
    message_id  TEXT,
    revision    INTEGER NOT NULL,
    delivered   INTEGER NOT NULL DEFAULT 0,
    due_at      REAL NOT NULL,
    since       REAL NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    error       TEXT NOT NULL DEFAULT '',
    sent_at     REAL,
    copies      INTEGER NOT NULL DEFAULT 0,
    note        TEXT NOT NULL DEFAULT '',
    topic       TEXT NOT NULL DEFAULT '',
    posted_at   REAL,
    posted_ring INTEGER NOT NULL DEFAULT 0,
    CHECK ((kind = 'note') = (note <> '')),
    CHECK (kind = 'note' OR incident_id IS NOT NULL)
) STRICT;
INSERT INTO messages_8 (id, incident_id, kind, notifier, ping, rang_at, message_id, revision, delivered, due_at, since, attempts, error, sent_at, copies, note, posted_at, posted_ring)
SELECT id, incident_id, kind, notifier, iif(ping, 2, 0), rang_at, message_id, revision, delivered, due_at, since, attempts, error, sent_at, copies, note,
    iif(message_id IS NULL, NULL, coalesce(sent_at, since)), iif(message_id IS NOT NULL AND ping, 2, 0) FROM messages;
DROP TABLE messages;
ALTER TABLE messages_8 RENAME TO messages;
CREATE UNIQUE INDEX one_card_an_incident ON messages (incident_id, notifier) WHERE kind = 'card';
CREATE INDEX messages_due ON messages (due_at) WHERE revision > delivered;
CREATE INDEX messages_by_incident ON messages (incident_id, kind);
