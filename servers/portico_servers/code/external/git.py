"""What changed since a commit, a tag or a date, by git itself: on the store that `git_store` lays out, so that nothing that the
repository configures is run. Bounded and cancellable; it never writes, not even an index.

Of a submodule the commit that it stands at is compared, never its files: its own configuration would be read for them.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from portico_servers.code.errors import GitError, ToolMissing
from portico_servers.code.external.git_store import GitStore, git_program, locate, opened

SECONDS = 10.0  # of one run of git
MAX_DIFF_BYTES = 2_000_000
MAX_NAMES_BYTES = 8_000_000  # of untracked files
_MAX_SAID_BYTES = 100_000  # of any other answer
_REVISION_CHARS = 200
_DATE = re.compile(r"\d{4}[-./]\d{1,2}[-./]\d{1,2}(?!\d)|\d{1,2}[./]\d{1,2}[./]\d{4}(?!\d)")
_DATE_WORD = re.compile(
    r"(yesterday|today|now|noon|midnight|ago|last|(second|minute|hour|day|week|month|year)s?"
    r"|(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun)[a-z]*)\Z"
)
_BESIDE_DATE_WORDS = re.compile(r"(\d+(st|nd|rd|th|t\d+|z)?|[ap]m|at|of|on|the|z|t|utc|gmt|one|two|three)\Z")
_ESCAPED = re.compile(r"\\([0-7]{3}|.)")
_ESCAPES = dict(zip('abfnrtv"\\', '\a\b\f\n\r\t\v"\\', strict=True))
_HUNK = re.compile(r"^@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@")


@dataclass(frozen=True, slots=True)
class FileChange:
    """`kind` is added, modified, deleted, renamed or untracked. Lines are of the new file: those of the first change."""

    path: str
    kind: str
    start: int
    end: int
    added: int
    removed: int
    diff: str
    filtered: bool = False  # a filter that was not run makes its contents: it may be unchanged


@dataclass(frozen=True, slots=True)
class ChangeSet:
    base: str
    changes: list[FileChange]
    complete: bool


async def changed_since(root: Path, ref: str, served: Iterable[Path] = ()) -> ChangeSet:
    """Differences between `ref` (revision or date) and the files as they are, beneath `root`, whose repository may reach into
    the directories `served`. Raises `GitError`."""
    async with _opened(root, served) as store:
        base = await _base(store, ref)
        diff = await _git(
            store,
            "diff",
            "--relative",
            "--no-ext-diff",
            "--no-textconv",
            "--no-color",
            "--ignore-submodules=dirty",
            "--unified=1",
            "--find-renames",
            base,
            "--",
            ".",
            limit=MAX_DIFF_BYTES,
        )
        names = await _git(store, "ls-files", "--others", "--exclude-standard", "-z", "--", ".", limit=MAX_NAMES_BYTES)
        changes = _parse(diff[:MAX_DIFF_BYTES].decode("utf-8", "replace"))
        filtered = await _filtered(store, [change.path for change in changes if change.kind == "modified"])
    changes = [replace(change, filtered=change.path in filtered) for change in changes if _is_inside(store, change, served)]
    *whole, _ = names[:MAX_NAMES_BYTES].split(b"\0")
    for name in whole:
        changes.append(FileChange(name.decode("utf-8", "replace"), "untracked", 1, 1, 0, 0, ""))
    return ChangeSet(base, changes, len(diff) <= MAX_DIFF_BYTES and len(names) <= MAX_NAMES_BYTES)


async def revisions(root: Path, prefix: str, limit: int = 50, served: Iterable[Path] = ()) -> list[str]:
    """Branches and tags that begin with `prefix`, newest first; [] where there is no repository."""
    try:
        async with _opened(root, served) as store:
            out = await _git(
                store,
                "for-each-ref",
                "--sort=-creatordate",
                f"--count={4 * limit}",
                "--format=%(refname:short)",
                "refs/heads",
                "refs/tags",
            )
    except (GitError, ToolMissing):
        return []
    names = ["HEAD~1", *out.decode("utf-8", "replace").split()]
    return [name for name in names if name.startswith(prefix)][:limit]


@asynccontextmanager
async def _opened(root: Path, served: Iterable[Path]) -> AsyncIterator[GitStore]:
    program = git_program()
    places = await anyio.to_thread.run_sync(partial(locate, root, tuple(served)))
    context = opened(program, root, places)
    store = await anyio.to_thread.run_sync(context.__enter__)
    try:
        yield store
    finally:
        context.__exit__(None, None, None)


def _is_inside(store: GitStore, change: FileChange, served: Iterable[Path]) -> bool:
    """False for a submodule whose repository lies outside: where that stands is not told."""
    if "\n+Subproject commit " not in change.diff:
        return True
    try:
        locate(store.root / change.path, (store.top, *served))
    except GitError:
        return not os.path.lexists(store.root / change.path / ".git")
    return True


async def _filtered(store: GitStore, paths: list[str]) -> set[str]:
    """Those of `paths` whose contents a filter makes (large file storage, encryption): none is run, so that a file that only
    looks changed is said to be."""
    if not paths:
        return set()
    given = b"".join(os.fsencode(path) + b"\0" for path in paths)
    out = await _git(store, "check-attr", "-z", "--stdin", "filter", given=given, limit=MAX_NAMES_BYTES)
    fields = out.split(b"\0")
    triples = zip(fields[0::3], fields[2::3], strict=False)
    return {path.decode("utf-8", "replace") for path, value in triples if value not in (b"unspecified", b"unset", b"set")}


async def _base(store: GitStore, ref: str) -> str:
    """The commit that `ref` means: a revision, else the last commit before that date."""
    wanted = ref.strip()
    if not wanted or len(wanted) > _REVISION_CHARS or wanted.startswith("-") or "\0" in wanted or "\n" in wanted:
        raise GitError(
            f"not a revision or a date: {wanted[:60]!r}; use a commit, a branch, a tag, HEAD~3, or a date such as 2026-01-31"
        )
    commit = await _try(store, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{wanted}^{{commit}}")
    if commit is None and _is_date(wanted):
        commit = await _try(store, "rev-list", "-1", f"--before={wanted}", "HEAD")
    if commit is None or not re.fullmatch(rb"[0-9a-f]+\n", commit):  # "^main" is what main has not
        raise GitError(f"no commit is called {wanted!r}, and none is older than that as a date")
    return commit.strip().decode()


def _is_date(text: str) -> bool:
    """Git itself takes any text for a date: "release-2" for the second of this month."""
    words = re.findall(r"[^\s,.:/+-]+", text.lower())
    named = [word for word in words if _DATE_WORD.match(word)]
    return bool(named or _DATE.match(text)) and all(word in named or _BESIDE_DATE_WORDS.match(word) for word in words)


async def _try(store: GitStore, *arguments: str) -> bytes | None:
    try:
        return await _git(store, *arguments)
    except GitError:
        return None


async def _git(store: GitStore, *arguments: str, given: bytes = b"", limit: int = _MAX_SAID_BYTES) -> bytes:
    """What git says, and a little more than `limit` bytes of it where it says more: then it's stopped."""
    out = bytearray()
    try:
        with anyio.fail_after(SECONDS):
            process = await anyio.open_process(
                [store.program, "--no-pager", *arguments],
                cwd=store.root,
                env=store.environment,
                stdin=subprocess.PIPE if given else subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            assert process.stdout is not None
            assert process.stderr is not None
            said = bytearray()

            async def complaints() -> None:
                assert process.stderr is not None
                async for piece in process.stderr:
                    said.extend(piece[: max(_MAX_SAID_BYTES - len(said), 0)])

            async def input_of_it() -> None:
                if process.stdin is not None:
                    try:
                        await process.stdin.send(given)
                        await process.stdin.aclose()
                    except anyio.BrokenResourceError:  # it ended without reading: its exit code says why
                        pass

            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(complaints)
                    tasks.start_soon(input_of_it)
                    async for piece in process.stdout:
                        out += piece
                        if len(out) > limit:
                            process.kill()
                            break
                code = await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()
                with anyio.CancelScope(shield=True):
                    await process.aclose()
    except TimeoutError:
        raise GitError(f"git {arguments[0]} took longer than {SECONDS:.0f} s") from None
    if code and len(out) <= limit:
        line = said.decode("utf-8", "replace").strip().split("\n")[0]
        for place in (store.environment["GIT_DIR"], str(store.top)):  # where it lies is nobody's business
            line = line.replace(place, os.path.basename(place))
        raise GitError(f"git {arguments[0]}: {_explained(line)[:300]}")
    return bytes(out)


def _explained(line: str) -> str:
    """git's words, and what they mean where a partial clone lacks what would have to be fetched."""
    if re.search(r"unable to read|bad object|missing|could not (get|fetch)|lazy fetching", line):
        return f"{line[:200]} (nothing is fetched from here: complete a partial clone with git fetch --refetch --no-filter)"
    return line


def _parse(diff: str) -> list[FileChange]:
    changes: list[FileChange] = []
    for part in re.split(r"^diff --git ", diff, flags=re.MULTILINE)[1:]:
        change = _parse_file(part.split("\n"))
        if change is not None:
            changes.append(change)
    return changes


def _plain(name: str) -> str:
    """A path as git writes it, which quotes control characters, quotation marks and backslashes as C does."""
    name = name.rstrip("\t")
    if not name.startswith('"'):
        return name
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1]) or chr(int(found[1], 8)), name[1:-1])


def _parse_file(lines: list[str]) -> FileChange | None:
    path, old, kind, start, end = "", "", "modified", 1, 1
    added = removed = 0
    body: list[str] = []
    for line in lines[1:]:
        hunk = _HUNK.match(line)
        if hunk:
            if not body:
                start = max(int(hunk[1]), 1)
                end = max(start, start + int(hunk[2] or 1) - 1)
            body.append(line)
        elif body:
            added += line.startswith("+")
            removed += line.startswith("-")
            body.append(line)
        elif line.startswith("new file"):
            kind = "added"
        elif line.startswith("deleted file"):
            kind = "deleted"
        elif line.startswith("rename to "):
            kind, path = "renamed", _plain(line.removeprefix("rename to "))
        elif line.startswith(("--- a/", '--- "a/')):
            old = _plain(line.removeprefix("--- ")).removeprefix("a/")
        elif line.startswith(("+++ b/", '+++ "b/')):
            path = _plain(line.removeprefix("+++ ")).removeprefix("b/")
    if not path and not old:  # a binary file or a change of mode alone: the names are in the header, and the same
        path = _plain(lines[0][len(lines[0]) // 2 + 1 :]).removeprefix("b/")
    name = path or old
    return FileChange(name, kind, start, end, added, removed, "\n".join(body).rstrip("\n")) if name else None
