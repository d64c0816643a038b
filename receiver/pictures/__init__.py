"""Pictures of the signal that fired: an extra. Without it, or without Prometheus, nothing here runs."""
