"""A month of Saturdays in simulated time: what goes wrong on them, and what the receiver makes of it."""
