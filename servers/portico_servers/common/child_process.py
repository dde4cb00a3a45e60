"""How our own Python children are started: nothing is imported from the working directory, which is often somebody's workspace.

A module in there that has the name of one of ours, of a library's or of Python's own is a file to be read, never code.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

SAFE_DIRECTORY = Path(sys.executable).anchor or os.sep  # nobody else can put a file there
_PACKAGES = str(Path(__file__).resolve().parents[2])  # where this package lies, installed or not


def python_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours without the working directory on its path (`-P`). To be started in
    `SAFE_DIRECTORY`, with `python_path` for PYTHONPATH."""
    return [sys.executable, "-P", "-m", module, *arguments]


def python_path() -> str:
    """PYTHONPATH for a child: this process's, with absolute places alone (an empty one means the working directory), and at
    last where this package is."""
    given = [os.path.abspath(place) for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    return os.pathsep.join(dict.fromkeys([*given, _PACKAGES]))


def isolate_spawned() -> None:
    """Have the children that `multiprocessing` starts from now on leave the working directory off their path too: they run
    `python -c`, which puts it first, before Python's own modules."""
    os.environ["PYTHONSAFEPATH"] = "1"
