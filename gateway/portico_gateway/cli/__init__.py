"""The command line: one module a command, what they share, and what a terminal shows."""
