"""The command line and the process: reads settings, wires the rest, starts, stops."""
