-- Migration 5. What is only for the digest stands apart: it opens, joins, holds and reopens no incident
-- that people are told of.

ALTER TABLE incidents ADD COLUMN digest INTEGER NOT NULL DEFAULT 0;
DROP INDEX one_open_incident_a_service;
CREATE UNIQUE INDEX one_open_incident_a_service ON incidents (service, digest) WHERE state = 'open';
