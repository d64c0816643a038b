"""Several deployments in one process: each a receiver of its own, behind one listener."""
