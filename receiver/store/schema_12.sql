-- Migration 12. What could not be told is found without reading what was.

CREATE INDEX messages_in_trouble ON messages (id) WHERE error <> '';
