"""How this Python is started again as a child, and how this process keeps the working directory out of its imports.

A workspace is data: a `json.py` or `pathspec.py` that lies in it must never be imported. `python -m` puts the working directory
first on sys.path, and so does an empty or relative entry of PYTHONPATH. An absolute one is the user's own word and stays.
"""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping

SAFE_FOLDER = os.sep  # where children work that need no folder of their own: nobody but the system's owner puts files there
SAFE_PATH = {"PYTHONSAFEPATH": "1"}  # for the Python children of Python children, multiprocessing's among them


def python_module(module: str, *args: str) -> list[str]:
    """The command that runs a module of this installation in this very interpreter."""
    return [sys.executable, "-P", "-m", module, *args]


def shut_out_workspace(environ: MutableMapping[str, str] = os.environ) -> None:
    """Take the working directory off sys.path and out of what Python children inherit. Called once, when a command starts."""
    environ.update(SAFE_PATH)
    given = environ.pop("PYTHONPATH", "")
    entries = given.split(os.pathsep) if given else []
    if kept := [entry for entry in entries if os.path.isabs(entry)]:
        environ["PYTHONPATH"] = os.pathsep.join(kept)
    try:
        here = os.getcwd()
    except OSError:  # a folder that was removed
        here = ""
    if not sys.flags.safe_path and sys.path and sys.path[0] in ("", here):
        del sys.path[0]  # put there by `-m` or `-c`; the same folder further on was put there by the installation
    relative = {
        os.path.join(here, entry).rstrip(os.sep) for entry in entries if not os.path.isabs(entry)
    }  # as Python made them
    sys.path[:] = [entry for entry in sys.path if os.path.isabs(entry) and entry.rstrip(os.sep) not in relative]
