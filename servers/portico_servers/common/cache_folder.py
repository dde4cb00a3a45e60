"""Where an index lies when the user's cache folder can't be used: read-only, full, or no folder at all.

A cache is for speed alone, so its folder costs that and not the answers: the index is made anew in a temporary folder, which
goes when the process ends.
"""

from __future__ import annotations

import atexit
import logging
import shutil
import tempfile
from pathlib import Path

log = logging.getLogger(__name__)

_PROBE = bytes(64 << 10)  # what an empty index takes, and what a full disk refuses


def usable_cache(folder: Path) -> Path:
    """`folder`, made where it isn't there, if files can be written in it; else a temporary one, with a warning."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(_PROBE)
        return folder
    except OSError as error:
        log.warning("%s can't be written, so the index is not kept: %s", folder, error.strerror or error)
    try:
        other = Path(tempfile.mkdtemp(prefix="portico-index-"))
    except OSError:
        return folder  # nothing can be written anywhere; whoever uses it says so
    atexit.register(shutil.rmtree, other, ignore_errors=True)
    return other
