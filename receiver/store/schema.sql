-- Migration 1. Applied in one transaction; PRAGMA user_version counts the migrations applied.
-- Times are seconds since 1970 (UTC) as REAL; JSON columns hold objects.

-- ladder_at: the zero of the ladder's times; empty while no alert that asks for steps fires
-- open -> resolved   its last alert ended and our own confirmation agrees
-- resolved -> open   an alert of the service fires again within FLAP_WINDOW (reopened + 1)
CREATE TABLE incidents (
    id          INTEGER PRIMARY KEY,
    service     TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('open', 'resolved')),
    severity    TEXT NOT NULL CHECK (severity IN ('critical', 'warning', 'info')),
    opened_at   REAL NOT NULL,
    ladder_at   REAL,
    resolved_at REAL,
    reopened    INTEGER NOT NULL DEFAULT 0,
    verdict     TEXT NOT NULL DEFAULT '',
    truncated   INTEGER NOT NULL DEFAULT 0,
    check_at    REAL
) STRICT;
CREATE UNIQUE INDEX one_open_incident_a_service ON incidents (service) WHERE state = 'open';
CREATE INDEX incidents_by_end ON incidents (service, resolved_at);
CREATE INDEX incidents_to_check ON incidents (check_at) WHERE check_at IS NOT NULL;

-- firing (ended_at IS NULL) -> ended   Alertmanager said resolved; a later firing is a new row
CREATE TABLE alerts (
    id          INTEGER PRIMARY KEY,
    incident_id INTEGER NOT NULL REFERENCES incidents (id),
    fingerprint TEXT NOT NULL,
    name        TEXT NOT NULL,
    severity    TEXT NOT NULL,
    labels      TEXT NOT NULL,
    annotations TEXT NOT NULL,
    starts_at   REAL NOT NULL,
    first_seen  REAL NOT NULL,
    last_seen   REAL NOT NULL,
    ended_at    REAL,
    repeats     INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX one_firing_instance_a_fingerprint ON alerts (fingerprint) WHERE ended_at IS NULL;
CREATE INDEX alerts_by_incident ON alerts (incident_id);

-- pending -> running   claimed by a conditional UPDATE, before anything goes out
-- pending -> refused   a gate said no for good        pending -> dropped  overtaken by events
-- running -> done | failed
-- a rollback runs through the phases dispatching -> (searching ->) following -> verifying, and waits
-- between two sends where the first certainly was not received:
-- dispatching is committed before each send, so whoever finds it later knows that it may have gone out
CREATE TABLE steps (
    id          INTEGER PRIMARY KEY,
    incident_id INTEGER NOT NULL REFERENCES incidents (id),
    action      TEXT NOT NULL,
    target      TEXT NOT NULL,
    alert       TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('pending', 'running', 'done', 'failed', 'refused', 'dropped')),
    phase       TEXT NOT NULL DEFAULT '',
    due_at      REAL NOT NULL,
    words       TEXT NOT NULL DEFAULT '',
    started_at  REAL,
    ended_at    REAL,
    detail      TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE UNIQUE INDEX one_step_of_a_kind ON steps (incident_id, action, target) WHERE state IN ('pending', 'running');
-- The budget of the contract, held by the database itself: one rollback an incident.
CREATE UNIQUE INDEX one_rollback_an_incident ON steps (incident_id) WHERE action = 'rollback' AND started_at IS NOT NULL;
CREATE INDEX steps_due ON steps (due_at) WHERE state IN ('pending', 'running');
CREATE INDEX steps_started ON steps (action, started_at);

-- The outbox. revision > delivered means that there is something to send.
CREATE TABLE messages (
    id          INTEGER PRIMARY KEY,
    incident_id INTEGER NOT NULL REFERENCES incidents (id),
    kind        TEXT NOT NULL CHECK (kind IN ('card', 'call')),
    notifier    TEXT NOT NULL,
    ping        INTEGER NOT NULL,
    rang_at     REAL,
    message_id  TEXT,
    revision    INTEGER NOT NULL,
    delivered   INTEGER NOT NULL DEFAULT 0,
    due_at      REAL NOT NULL,
    since       REAL NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    error       TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX one_card_an_incident ON messages (incident_id, notifier) WHERE kind = 'card';
CREATE INDEX messages_due ON messages (due_at) WHERE revision > delivered;

-- The audit trail: every decision, refusal, attempt and outcome is one row.
CREATE TABLE events (
    id          INTEGER PRIMARY KEY,
    incident_id INTEGER REFERENCES incidents (id),
    at          REAL NOT NULL,
    kind        TEXT NOT NULL,
    words       TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_incident ON events (incident_id);

-- One row, written anew by each look at /readyz: a full disk shows only when a page is written.
CREATE TABLE readiness (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    at  REAL NOT NULL
) STRICT;

CREATE TABLE heartbeats (
    name    TEXT PRIMARY KEY,
    last_at REAL NOT NULL
) STRICT;
