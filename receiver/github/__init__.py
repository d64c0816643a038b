"""GitHub: one client, what its answers and refusals mean, and whether a rollback could be begun there."""
