"""The last conversation of a workspace, kept so that `portico ask --continue` can go on. One small JSON file a workspace.

The file holds turns, oldest first: a user's, then the answer's with the calls that it came from.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import platformdirs

KEPT_EXCHANGES = 6


@dataclass(frozen=True, slots=True)
class KeptCall:
    """A call that was made, and whether it found what was asked for."""

    tool: str
    arguments: Mapping[str, Any]
    found: bool = True


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question as it was understood, its answer, and the calls between them."""

    question: str
    answer: str
    calls: tuple[KeptCall, ...] = ()


def messages_of(exchanges: Sequence[Exchange]) -> list[dict[str, str]]:
    """The turns as a model reads them."""
    return [
        {"role": role, "content": text}
        for exchange in exchanges
        for role, text in (("user", exchange.question), ("assistant", exchange.answer))
    ]


def path_of(workspace: Sequence[str]) -> Path:
    """Where the conversation about these roots is kept."""
    key = hashlib.sha256("\0".join(workspace).encode()).hexdigest()[:16]
    return platformdirs.user_state_path("portico", appauthor=False) / "conversations" / f"{key}.json"


def load(path: Path) -> list[Exchange]:
    """The conversation so far, oldest first; none where there is no (readable) one."""
    try:
        turns = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return []
    if not isinstance(turns, list):
        return []
    whole = [t for t in turns if isinstance(t, dict) and isinstance(t.get("content"), str)]
    return [
        Exchange(asked["content"], answered["content"], _calls(answered.get("calls")))
        for asked, answered in pairwise(whole)
        if (asked.get("role"), answered.get("role")) == ("user", "assistant")
    ]


def save(path: Path, exchanges: Sequence[Exchange]) -> None:
    """Replace the conversation in one step, so that a crash leaves the old or the new one, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(f".{os.getpid()}.tmp")
    turns = [turn for exchange in exchanges[-KEPT_EXCHANGES:] for turn in _turns(exchange)]
    with open(fresh, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        json.dump(turns, file, ensure_ascii=False)
    fresh.replace(path)


def _turns(exchange: Exchange) -> list[dict[str, Any]]:
    calls = [{"tool": call.tool, "arguments": dict(call.arguments), "found": call.found} for call in exchange.calls]
    return [
        {"role": "user", "content": exchange.question},
        {"role": "assistant", "content": exchange.answer, "calls": calls},
    ]


def _calls(kept: Any) -> tuple[KeptCall, ...]:
    return tuple(
        KeptCall(call["tool"], call["arguments"], bool(call.get("found", True)))
        for call in (kept if isinstance(kept, list) else ())
        if isinstance(call, dict) and isinstance(call.get("tool"), str) and isinstance(call.get("arguments"), dict)
    )
