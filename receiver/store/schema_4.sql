-- Migration 4. Maintenance: while a window is open, no step runs; what fires is shown all the same.

-- origin: person (the command line, the board), recurring (policy.yml), deployment
-- told: 0 nothing yet, 1 that it began, 2 that it is over
CREATE TABLE windows (
    id        INTEGER PRIMARY KEY,
    starts_at REAL NOT NULL,
    ends_at   REAL NOT NULL,
    reason    TEXT NOT NULL,
    origin    TEXT NOT NULL CHECK (origin IN ('person', 'recurring', 'deployment')),
    made_at   REAL NOT NULL,
    told      INTEGER NOT NULL DEFAULT 0,
    CHECK (ends_at >= starts_at)
) STRICT;
CREATE UNIQUE INDEX one_window_an_occurrence ON windows (starts_at, reason) WHERE origin = 'recurring';
CREATE INDEX windows_by_end ON windows (ends_at);
CREATE INDEX windows_to_tell ON windows (starts_at, ends_at) WHERE told < 2;
