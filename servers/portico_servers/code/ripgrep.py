"""Regular expressions over the files themselves, by ripgrep: always fresh, bounded in time and hits, killed on cancel.

It knows roots and patterns, not the index.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import anyio
import anyio.abc

from portico_servers.code.errors import BadPattern, ToolMissing
from portico_servers.code.files import WALK, RipgrepMissing, ripgrep

MAX_MATCHES = 1_000
MAX_PER_FILE = 50
SECONDS = 5.0
_MAX_COLUMNS = 400
_READ_BYTES = 65_536
_PATTERN_CHARS = 2_000


class Match(NamedTuple):
    path: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Matches:
    """`complete` is False if the bound on hits or time ended the search."""

    matches: list[Match]
    complete: bool


async def grep(
    root: Path, pattern: str, *, options: Sequence[str] = (), within: str = ".", seconds: float = SECONDS
) -> Matches:
    """The lines under `root/within` that match `pattern`, in no order. Raises `BadPattern`, `ToolMissing`."""
    lines = [
        "--null",
        "--line-number",
        "--no-heading",
        "--color=never",
        f"--max-columns={_MAX_COLUMNS}",
        "--max-columns-preview",
    ]
    matches: list[Match] = []
    complete = True
    with anyio.move_on_after(seconds) as scope:
        async with _run(root, [*lines, f"--max-count={MAX_PER_FILE}", *options], pattern, within) as (process, output):
            async for raw in _records(output, b"\n"):
                match = _match(raw)
                if match is not None:
                    matches.append(match)
                if len(matches) >= MAX_MATCHES:
                    complete = False
                    break
            else:
                await _check(process, pattern)
    return Matches(matches, complete and not scope.cancelled_caught)


async def files_with(
    root: Path, pattern: str, *, options: Sequence[str] = (), within: str = ".", seconds: float = SECONDS
) -> tuple[list[str], bool]:
    """The files under `root/within` that match, and whether that's all of them."""
    paths: list[str] = []
    with anyio.move_on_after(seconds) as scope:
        async with _run(root, ["--files-with-matches", "--null", *options], pattern, within) as (process, output):
            async for raw in _records(output, b"\0"):
                paths.append(_path(raw))
            await _check(process, pattern)
    return paths, not scope.cancelled_caught


@asynccontextmanager
async def _run(
    root: Path, options: Sequence[str], pattern: str, within: str
) -> AsyncIterator[tuple[anyio.abc.Process, anyio.abc.ByteReceiveStream]]:
    """A running rg, killed on the way out however that comes: done, enough, too slow, or cancelled."""
    if len(pattern) > _PATTERN_CHARS or "\0" in pattern:
        raise BadPattern(pattern, f"at most {_PATTERN_CHARS} characters, and no NUL")
    try:
        program = ripgrep()
    except RipgrepMissing as error:
        raise ToolMissing(str(error)) from None
    process = await anyio.open_process(
        [program, *WALK, *options, f"--regexp={pattern}", "--", within], cwd=root, stdin=subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout
    finally:
        if process.returncode is None:
            process.kill()
        with anyio.CancelScope(shield=True):
            await process.aclose()


async def _records(stream: anyio.abc.ByteReceiveStream, end: bytes) -> AsyncIterator[bytes]:
    rest = b""
    async for piece in stream:
        *whole, rest = (rest + piece).split(end)
        for record in whole:
            yield record
    if rest:
        yield rest


async def _check(process: anyio.abc.Process, pattern: str) -> None:
    """rg's exit codes: 0 found, 1 nothing, 2 an error (with --no-messages: the pattern alone)."""
    if await process.wait() == 2 and process.stderr is not None:
        said = b"".join([piece async for piece in process.stderr])[:_READ_BYTES].decode("utf-8", "replace")
        if "regex" in said:
            reason = re.sub(r"\s+", " ", said.rsplit("error:", 1)[-1]).strip().split(" Consider")[0]
            raise BadPattern(pattern, reason)


def _match(raw: bytes) -> Match | None:
    path, found, rest = raw.partition(b"\0")
    number, colon, text = rest.partition(b":")
    if not found or not colon or not number.isdigit():
        return None
    return Match(_path(path), int(number), text.rstrip(b"\r").decode("utf-8", "replace"))


def _path(raw: bytes) -> str:
    return os.fsdecode(raw.removeprefix(b"./"))
