"""What `sermon-monitor check` looks at, a file for each thing it is asked about."""
