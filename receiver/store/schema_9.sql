-- Migration 9. Evidence: what was collected about a container, kept here and attached to the card.

-- body: at most 192 KiB, without secrets; the newest 50 are kept
-- message_id, attachment_id: the message it is attached to, once it is, and its id there
CREATE TABLE evidence (
    id            INTEGER PRIMARY KEY,
    incident_id   INTEGER NOT NULL REFERENCES incidents (id),
    step_id       INTEGER NOT NULL UNIQUE REFERENCES steps (id),
    container     TEXT NOT NULL,
    file          TEXT NOT NULL,
    made_at       REAL NOT NULL,
    summary       TEXT NOT NULL,
    body          TEXT NOT NULL,
    message_id    TEXT,
    attachment_id TEXT
) STRICT;
CREATE INDEX evidence_by_incident ON evidence (incident_id);

-- kind 'files': the evidence of an incident is to be attached to its card; message_id is that card's
CREATE TABLE messages_9 (
    id          INTEGER PRIMARY KEY,
    incident_id INTEGER REFERENCES incidents (id),
    kind        TEXT NOT NULL CHECK (kind IN ('card', 'call', 'note', 'files')),
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
INSERT INTO messages_9 SELECT id, incident_id, kind, notifier, ping, rang_at, message_id, revision, delivered, due_at, since, attempts, error, sent_at, copies, note, topic, posted_at, posted_ring FROM messages;
DROP TABLE messages;
ALTER TABLE messages_9 RENAME TO messages;
CREATE UNIQUE INDEX one_card_an_incident ON messages (incident_id, notifier) WHERE kind = 'card';
CREATE UNIQUE INDEX one_bundle_of_files_an_incident ON messages (incident_id, notifier) WHERE kind = 'files';
CREATE INDEX messages_due ON messages (due_at) WHERE revision > delivered;
CREATE INDEX messages_by_incident ON messages (incident_id, kind);
