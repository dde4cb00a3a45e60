"""A reader that dies on one page, importable by worker processes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from portico_servers.docs.ingest import reader_pool as real
from portico_servers.docs.ingest.sources import SourcePage


def prepare(root: Path, found: Sequence[SourcePage]) -> list[real.PreparedPage]:
    if any(item.path == "crash.md" for item in found):
        os._exit(11)
    return real.prepare(root, found)
