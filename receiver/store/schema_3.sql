-- Migration 3. Messages that are no card and no call: announcements, the digest, "it is over".

CREATE TABLE messages_3 (
    id          INTEGER PRIMARY KEY,
    incident_id INTEGER REFERENCES incidents (id),
    kind        TEXT NOT NULL CHECK (kind IN ('card', 'call', 'note')),
    notifier    TEXT NOT NULL,
    ping        INTEGER NOT NULL,
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
    CHECK ((kind = 'note') = (note <> '')),
    CHECK (kind = 'note' OR incident_id IS NOT NULL)
) STRICT;
INSERT INTO messages_3 (id, incident_id, kind, notifier, ping, rang_at, message_id, revision, delivered, due_at, since, attempts, error, sent_at, copies)
SELECT id, incident_id, kind, notifier, ping, rang_at, message_id, revision, delivered, due_at, since, attempts, error, sent_at, copies FROM messages;
DROP TABLE messages;
ALTER TABLE messages_3 RENAME TO messages;
CREATE UNIQUE INDEX one_card_an_incident ON messages (incident_id, notifier) WHERE kind = 'card';
CREATE INDEX messages_due ON messages (due_at) WHERE revision > delivered;
