"""The rollback: where it goes, by which way, and whether it could be begun at all."""
