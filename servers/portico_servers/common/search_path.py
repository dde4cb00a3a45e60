"""Where programs are looked for: in folders that PATH names in full. A relative one (`.`, `node_modules/.bin`, or the empty one
that a colon too many makes) means the working directory, which is often a workspace, and no place for programs.
"""

from __future__ import annotations

import os


def search_absolute_folders_only() -> None:
    """Take the others out of this process's PATH, and so of its children's. Called before anything is started."""
    path = os.environ.get("PATH")
    if path is not None:
        os.environ["PATH"] = os.pathsep.join(folder for folder in path.split(os.pathsep) if os.path.isabs(folder))
