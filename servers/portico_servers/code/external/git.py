"""What changed since a commit, a tag or a date, by git itself. Bounded and cancellable; it never writes, not even an index,
and runs nothing that a repository's configuration names (external diffs, text conversions, monitors).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import anyio

from portico_servers.code.errors import GitError, RootGone, ToolMissing

SECONDS = 10.0
MAX_DIFF_BYTES = 2_000_000
_REVISION_CHARS = 200
_SAFE = (
    "--no-optional-locks",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.quotePath=false",
    "-c",
    "diff.external=",
    "-c",
    "core.pager=cat",
)
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


@dataclass(frozen=True, slots=True)
class ChangeSet:
    base: str
    changes: list[FileChange]
    complete: bool


async def changed_since(root: Path, ref: str) -> ChangeSet:
    """Differences between `ref` (revision or date) and the files as they are, beneath `root`. Raises `GitError`."""
    base = await _base(root, ref)
    diff = await _git(
        root,
        "diff",
        "--relative",
        "--no-ext-diff",
        "--no-textconv",
        "--no-color",
        "--unified=1",
        "--find-renames",
        base,
        "--",
        ".",
    )
    names = await _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", ".")
    changes = _parse(diff[:MAX_DIFF_BYTES].decode("utf-8", "replace"))
    for name in filter(None, names.split(b"\0")):
        changes.append(FileChange(os.fsdecode(name), "untracked", 1, 1, 0, 0, ""))
    return ChangeSet(base, changes, len(diff) <= MAX_DIFF_BYTES)


async def revisions(root: Path, prefix: str, limit: int = 50) -> list[str]:
    """Branches and tags that begin with `prefix`, newest first; [] where there is no repository."""
    try:
        out = await _git(
            root,
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


async def _base(root: Path, ref: str) -> str:
    """The commit that `ref` means: a revision, else the last commit before that date."""
    wanted = ref.strip()
    if not wanted or len(wanted) > _REVISION_CHARS or wanted.startswith("-") or "\0" in wanted or "\n" in wanted:
        raise GitError(
            f"not a revision or a date: {wanted[:60]!r}; use a commit, a branch, a tag, HEAD~3, or a date such as 2026-01-31"
        )
    inside = await _try(root, "rev-parse", "--is-inside-work-tree")
    if inside is None or inside.strip() != b"true":
        raise GitError(f"{root.name} is not in a git repository")
    commit = await _try(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{wanted}^{{commit}}")
    if commit is None and re.search(r"\d|ago|yesterday|today|week|month|year", wanted):
        commit = await _try(root, "rev-list", "-1", f"--before={wanted}", "HEAD")
    if commit is None or not commit.strip():
        raise GitError(f"no commit is called {wanted!r}, and none is older than that as a date")
    return commit.strip().decode()


async def _try(root: Path, *arguments: str) -> bytes | None:
    try:
        return await _git(root, *arguments)
    except RootGone:
        raise
    except GitError:
        return None


async def _git(root: Path, *arguments: str) -> bytes:
    if not os.path.isdir(root):  # noqa: ASYNC240  # microseconds
        raise RootGone(root.name)
    program = shutil.which("git")
    if program is None:
        raise ToolMissing("git was not found on the PATH")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        with anyio.fail_after(SECONDS):
            done = await anyio.run_process(
                [program, *_SAFE, *arguments], cwd=root, env=environment, stdin=subprocess.DEVNULL, check=False
            )
    except TimeoutError:
        raise GitError(f"git {arguments[0]} took longer than {SECONDS:.0f} s") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().split("\n")[0]
        raise GitError(f"git {arguments[0]}: {said[:200]}")
    return done.stdout


def _parse(diff: str) -> list[FileChange]:
    changes: list[FileChange] = []
    for part in re.split(r"^diff --git ", diff, flags=re.MULTILINE)[1:]:
        change = _parse_file(part.split("\n"))
        if change is not None:
            changes.append(change)
    return changes


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
            kind, path = "renamed", line.removeprefix("rename to ")
        elif line.startswith("--- a/"):
            old = line.removeprefix("--- a/").rstrip("\t")
        elif line.startswith("+++ b/"):
            path = line.removeprefix("+++ b/").rstrip("\t")
    if not path and not old:  # a binary file or a change of mode alone: the names are in the header
        _, _, path = lines[0].partition(" b/")
    name = path or old
    return FileChange(name, kind, start, end, added, removed, "\n".join(body).rstrip("\n")) if name else None
