"""What a person, or the runner on the host, does at the machine: sermon-recovery."""
