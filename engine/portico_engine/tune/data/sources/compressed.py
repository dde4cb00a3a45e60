"""Data sets as they are published: JSON or CSV under xz."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any


def read_xz(path: Path) -> str:
    """The text of a compressed file."""
    with lzma.open(path, "rt", encoding="utf-8") as file:
        return file.read()


def read_json_xz(path: Path) -> Any:
    """What a compressed file holds."""
    return json.loads(read_xz(path))
