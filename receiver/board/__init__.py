"""What people look at: the board's pages, the same as JSON, and who may see it."""
