"""How a command ends: one number for each kind of end, the same in every command.

A command's own help says which of them it uses; `main.py` gives them to errors that no command took.
"""

from __future__ import annotations

OK = 0
FAILED = 1  # the work failed, or nothing was found
USAGE = 2  # wrong usage or configuration
NO_MODEL = 3  # the model can't be had, or can't take the request
UNREACHABLE = 4  # an MCP server that is needed can't be reached
INTERRUPTED = 130  # Ctrl-C
