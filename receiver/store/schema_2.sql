-- Migration 2. Cards go out at once and are then edited at a measured pace.

-- when the card was last sent: the next edit keeps its distance
ALTER TABLE messages ADD COLUMN sent_at REAL;
-- how often the first post may have been made without our knowing its id: Discord's webhooks have no
-- idempotency key, so such a copy may stand above the card that is kept up to date
ALTER TABLE messages ADD COLUMN copies INTEGER NOT NULL DEFAULT 0;
