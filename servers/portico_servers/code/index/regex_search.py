"""Lines that match a pattern, in the files that the index proposes and in all that it can't vouch for: what ripgrep would
find in the whole tree, by reading a part of it. Bounded in time and matches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from os import devnull
from typing import TypeVar

import anyio
import anyio.to_thread

from portico_servers.code.errors import CodeError
from portico_servers.code.external.ripgrep import MAX_PER_FILE, WHOLE_TREE, MatchingLine, grep, walk_from
from portico_servers.code.index.candidates import AcceptPath, SearchPlan
from portico_servers.code.index.regex_trigrams import trigram_query
from portico_servers.code.index.root_index import RootIndex

T = TypeVar("T")
MAX_MATCHES = 1_000
WALK_SHARE = 0.7  # of the files that may match: from there on rg's own walk of the tree is the faster way
SECONDS = 5.0


@dataclass(slots=True)
class MatchingLines:
    """`complete` is False if a bound on matches, on those of one file, or on time ended the search."""

    found: list[MatchingLine] = field(default_factory=list)
    complete: bool = True
    per_file: Counter[str] = field(default_factory=Counter)

    def take(self, match: MatchingLine) -> bool:
        """Whether there's room for more after this one."""
        self.per_file[match.path] += 1
        if self.per_file[match.path] > MAX_PER_FILE:
            self.complete = False
            return True
        if len(self.found) == MAX_MATCHES:
            self.complete = False
            return False
        self.found.append(match)
        return True


async def matching_lines(
    index: RootIndex,
    pattern: str,
    accept: AcceptPath,
    *,
    options: Sequence[str] = (),
    within: str = WHOLE_TREE[0],
    seconds: float = SECONDS,
) -> MatchingLines:
    """Matching lines of the files that `accept` takes; likelier files are searched first. `options` and `within` narrow rg's
    own walk, while the index is not there. Raises `BadPattern`, `ToolMissing`."""
    matches = MatchingLines()

    async def look(paths: Sequence[str], options: Sequence[str] = ()) -> MatchingLines | None:
        async with aclosing(grep(index.root, pattern, paths, options=options, per_file=MAX_PER_FILE + 1)) as lines:
            async for match in lines:
                if accept(match.path) and not matches.take(match):
                    return None  # enough
        return matches

    with anyio.move_on_after(seconds) as scope:
        plan = await anyio.to_thread.run_sync(index.plan, trigram_query(pattern), accept, abandon_on_cancel=True)
        if plan is None or plan.share > WALK_SHARE:
            await look(await anyio.to_thread.run_sync(walk_from, index.root, within, abandon_on_cancel=True), options)
        else:
            first = await anyio.to_thread.run_sync(index.regular_files, plan.candidates, abandon_on_cancel=True)
            # Without a file to search the pattern itself is still to be checked.
            done, modified = await with_modified(index, plan, partial(look, first or [devnull]))
            if done is not None and modified:
                await look(modified)
    matches.complete = matches.complete and not scope.cancelled_caught
    return matches


async def with_modified(
    index: RootIndex, plan: SearchPlan, work: Callable[[], Awaitable[T | None]]
) -> tuple[T | None, list[str]]:
    """What `work` gives, and the files that the plan could not know of, found out meanwhile; not if `work` gives None."""
    modified: list[str] = []
    done: T | None = None
    failure: CodeError | None = None

    async def find_modified() -> None:
        modified.extend(await anyio.to_thread.run_sync(index.modified_since, plan, abandon_on_cancel=True))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(find_modified)
        try:
            done = await work()
        except CodeError as error:  # raised below: a task group would wrap it
            failure = error
        if done is None:
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return done, modified
