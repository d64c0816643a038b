-- Migration 13. What GitHub has sent us, so that what it sends again changes nothing.

-- id: X-GitHub-Delivery, the same when a delivery is sent again; the newest 1000 are kept
CREATE TABLE deliveries (
    number INTEGER PRIMARY KEY,
    id     TEXT NOT NULL UNIQUE,
    at     REAL NOT NULL
) STRICT;
