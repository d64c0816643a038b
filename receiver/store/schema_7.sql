-- Migration 7. What a person must approve before it is done.

-- asks: 1 where the policy's row says "ask": it runs only with a person's approval
ALTER TABLE steps ADD COLUMN asks INTEGER NOT NULL DEFAULT 0 CHECK (asks IN (0, 1));

-- asked -> granted   a person approved it (who), at a terminal, by the link or on the board
-- asked -> denied    a person said no, in the same ways
-- asked -> expired   nobody decided until expires_at
-- asked, granted -> overtaken   its step ended or needs none any more, or what was asked for has changed
-- granted -> used    the step began, in the same transaction: an approval is good for one beginning
-- granted -> expired the gates did not let the step pass until holds_until
-- subject: what exactly would be done, e.g. an image id; another subject is another question
-- target, blast, why: what is shown to whoever decides
CREATE TABLE approvals (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    incident_id INTEGER NOT NULL REFERENCES incidents (id),
    step_id     INTEGER NOT NULL REFERENCES steps (id),
    action      TEXT NOT NULL,
    subject     TEXT NOT NULL,
    target      TEXT NOT NULL,
    blast       TEXT NOT NULL,
    why         TEXT NOT NULL,
    state       TEXT NOT NULL DEFAULT 'asked'
                CHECK (state IN ('asked', 'granted', 'denied', 'expired', 'overtaken', 'used')),
    asked_at    REAL NOT NULL,
    expires_at  REAL NOT NULL,
    decided_at  REAL,
    who         TEXT NOT NULL DEFAULT '',
    holds_until REAL,
    used_at     REAL,
    words       TEXT NOT NULL DEFAULT '',
    CHECK (state NOT IN ('granted', 'used') OR (holds_until IS NOT NULL AND who <> '')),
    CHECK ((state = 'used') = (used_at IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX one_open_approval_a_step ON approvals (step_id) WHERE state IN ('asked', 'granted');
CREATE INDEX approvals_open ON approvals (state) WHERE state IN ('asked', 'granted');
CREATE INDEX approvals_by_incident ON approvals (incident_id);

-- No other way, whoever writes.
CREATE TRIGGER approvals_move BEFORE UPDATE OF state ON approvals
WHEN NOT ((OLD.state = 'asked' AND NEW.state IN ('granted', 'denied', 'expired', 'overtaken'))
    OR (OLD.state = 'granted' AND NEW.state IN ('used', 'expired', 'overtaken')))
BEGIN
    SELECT RAISE(ABORT, 'an approval cannot move that way');
END;

-- A step that has ended, or that needs no approval any more, leaves no question behind.
CREATE TRIGGER approvals_overtaken AFTER UPDATE OF state, asks ON steps
WHEN NEW.state IN ('done', 'failed', 'refused', 'dropped') OR (OLD.asks AND NOT NEW.asks)
BEGIN
    UPDATE approvals SET state = 'overtaken', words = iif(NEW.words = '', 'it is not asked any more', NEW.words)
    WHERE step_id = NEW.id AND state IN ('asked', 'granted');
END;
