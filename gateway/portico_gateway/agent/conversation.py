"""The last conversation of a workspace, kept so that `portico ask --continue` can go on. One small JSON file a workspace."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import platformdirs

KEPT_TURNS = 12


def path_of(workspace: Sequence[str]) -> Path:
    """Where the conversation about these roots is kept."""
    key = hashlib.sha256("\0".join(workspace).encode()).hexdigest()[:16]
    return platformdirs.user_state_path("portico", appauthor=False) / "conversations" / f"{key}.json"


def load(path: Path) -> list[dict[str, str]]:
    """The turns so far, oldest first; none where there is no (readable) conversation."""
    try:
        turns = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    if not isinstance(turns, list):
        return []
    return [t for t in turns if isinstance(t, dict) and isinstance(t.get("role"), str) and isinstance(t.get("content"), str)]


def save(path: Path, turns: Sequence[dict[str, str]]) -> None:
    """Replace the conversation in one step, so that a crash leaves the old or the new one, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(f".{os.getpid()}.tmp")
    with open(fresh, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        json.dump(list(turns)[-KEPT_TURNS:], file, ensure_ascii=False)
    fresh.replace(path)
