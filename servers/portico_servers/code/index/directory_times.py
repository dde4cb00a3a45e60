"""Whether files may have come or gone since the tree was listed, without listing it again: by the times of its directories
and ignore files, which are fewer than its files and cost a microsecond or two each.

Hidden folders count where git tracks files in them: git's index tells, whenever it changes.

A directory's time changes whenever a name is added to it or taken away. So the times of all directories that may hold
wanted files tell, and those of the ignore files, which decide what is wanted. Not seen: ignore files outside the root that
were not there before, and the user's own (git's core.excludesFile).
"""

from __future__ import annotations

import fnmatch
import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from portico_servers.code.external.ignore_pipes import IGNORE_FILES
from portico_servers.code.external.ripgrep import NEVER
from portico_servers.code.external.tracked_hidden import tracked_hidden_folders
from portico_servers.code.index.files import UNSETTLED, settled

_IDLE = 2_000  # directories without a wanted file that are watched too: empty ones, and those of ignored files


@dataclass(frozen=True, slots=True)
class DirectoryTimes:
    """Times of directories and ignore files by absolute path; the hidden folders of `root` that are searched."""

    times: dict[str, int]  # `UNSETTLED` where the change was so late that it can't be told from the next one
    root: Path
    hidden: tuple[str, ...]

    @classmethod
    def of_tree(cls, root: Path, files: Iterable[str], since: int) -> DirectoryTimes:
        """Those of `root`, whose wanted files are `files`, as listed at `since` (nanoseconds) or later."""
        hidden = tracked_hidden_folders(root)
        wanted = {""}
        for path in files:
            folder = path.rpartition("/")[0]
            while folder not in wanted:
                wanted.add(folder)
                folder = folder.rpartition("/")[0]
        times = {path: settled(_time(path), since) for path in _above(root)}
        idle = _IDLE
        waiting = deque(
            sorted(wanted, key=lambda folder: folder.count("/"))
        )  # shallow ones first, should the idle ones be too many
        while waiting:
            folder = waiting.popleft()
            place = f"{root}/{folder}" if folder else str(root)
            times[place] = settled(_time(place), since)
            for name, is_directory in _entries(place):
                inside = f"{folder}/{name}" if folder else name
                if not is_directory:
                    times[f"{root}/{inside}"] = settled(_time(f"{root}/{inside}"), since)
                elif inside not in wanted and idle:
                    idle -= 1
                    waiting.append(inside)
        return cls(times, root, hidden)

    def changed(self) -> bool:
        """Whether a file may have come, gone, or become ignored or wanted."""
        if any(known == UNSETTLED or _time(path) != known for path, known in self.times.items()):
            return True
        return tracked_hidden_folders(self.root) != self.hidden


def _entries(place: str) -> Iterator[tuple[str, bool]]:
    """Directories that may hold wanted files, and ignore files: name, and whether it's a directory."""
    try:
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if not entry.name.startswith(".") and not any(fnmatch.fnmatchcase(entry.name, never) for never in NEVER):
                        yield entry.name, True
                elif entry.name in IGNORE_FILES:
                    yield entry.name, False
    except OSError:
        return


def _above(root: Path) -> list[str]:
    """Ignore files that hold for `root` without lying in its tree."""
    places = [str(parent / name) for parent in root.parents for name in IGNORE_FILES]
    return [path for path in (*places, str(root / ".git/info/exclude")) if os.path.lexists(path)]


def _time(path: str) -> int:
    """When it changed; `UNSETTLED`, which nothing equals, for what isn't there."""
    try:
        return os.lstat(path).st_mtime_ns
    except OSError:
        return UNSETTLED
