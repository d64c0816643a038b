-- Migration 14. The picture of the signal that fired, kept here and attached to the card: one an incident.

-- wanted -> drawn       with number + 1; what was drawn before gives way to it
-- wanted -> given up    several tries came to nothing; problem says why
-- drawn | given up -> wanted   the incident is over since, so that the end is on it
-- drawn | given up -> old      the incident is over, and fifty others are newer: its pixels are gone
-- shown_until: with which moment it ends; tried for, where it is given up
-- alert_id: the alert whose signal it shows; body: a PNG of at most 1 MiB; words: the same in words
-- message_id, attachment_id: the message it is attached to, once it is, and its id there
CREATE TABLE pictures (
    incident_id   INTEGER PRIMARY KEY REFERENCES incidents (id),
    state         TEXT NOT NULL CHECK (state IN ('wanted', 'drawn', 'given up', 'old')),
    tries         INTEGER NOT NULL DEFAULT 0,
    again_at      REAL NOT NULL,
    problem       TEXT NOT NULL DEFAULT '',
    number        INTEGER NOT NULL DEFAULT 0,
    shown_until   REAL,
    alert_id      INTEGER REFERENCES alerts (id),
    words         TEXT NOT NULL DEFAULT '',
    body          BLOB,
    width         INTEGER NOT NULL DEFAULT 0,
    height        INTEGER NOT NULL DEFAULT 0,
    message_id    TEXT,
    attachment_id TEXT
) STRICT;
CREATE INDEX pictures_followed ON pictures (state, again_at) WHERE state <> 'old';
