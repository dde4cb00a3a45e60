"""A conversation as a Markdown file, for people."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from portico_gateway.agent.conversation import Exchange
from portico_gateway.errors import GatewayError


class CannotSave(GatewayError):
    """The transcript can't be written where it should be."""


def save_transcript(place: str | Path, exchanges: Sequence[Exchange], model: str) -> Path:
    """Write a new file, for its owner alone; `~` is the user's folder. Raises CannotSave; a file that is there stays."""
    path = Path(place).expanduser()
    parts = [f"# Conversation with {model}"]
    for exchange in exchanges:
        calls = [f"- `{call.tool}` `{json.dumps(dict(call.arguments), ensure_ascii=False)}`" for call in exchange.calls]
        parts += [f"## {exchange.question}", *(["\n".join(calls)] if calls else []), exchange.answer]
    try:
        with open(path, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write("\n\n".join(parts) + "\n")
    except FileExistsError:
        raise CannotSave(f"{path} is there already; name another file") from None
    except OSError as error:
        raise CannotSave(f"{path} can't be written: {error.strerror or error}") from None
    return path
