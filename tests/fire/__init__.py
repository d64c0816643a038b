"""The real process under fire: too much of everything at once, and a little of everything for long."""
