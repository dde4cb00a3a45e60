"""The path jail: names from outside become files beneath the roots, or nothing. It knows nothing of what the files mean.

Two promises. No name leads outside the roots, whether through `..`, an absolute path, a symbolic link, or a rename that
happens between the check and the opening. And a refusal cannot be told from a missing file, so that a caller learns
nothing about what lies outside.

A hard link to an outside file is that file, for every program on the machine: the jail can't tell it and doesn't try.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a FIFO under a root must not hang the server that opens it.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_SHOWN = 200


class NotFound(LookupError):
    """There is no such file for this caller. Says nothing of why: missing, outside and unreadable look alike."""

    def __init__(self, given: str) -> None:
        shown = given if len(given) <= _SHOWN else given[:_SHOWN] + "…"
        # Escaped, so that a name can't forge lines or terminal codes in a log.
        shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in shown)
        super().__init__(f"not found: {shown}")
        self.given = given


class JailedPath(NamedTuple):
    """A file or directory beneath a root: `root / relative`, both free of symbolic links at the time of the check."""

    root: Path
    relative: PurePosixPath

    @property
    def path(self) -> Path:
        return self.root / self.relative


class Jail:
    """The roots that a server may read. Roots are resolved once, here; they must be directories that exist.

    | given                      | means                                                            |
    |----------------------------|------------------------------------------------------------------|
    | `src/a.py`                 | the first root that has it                                       |
    | `name/src/a.py`            | the same in the root whose name (see `names`) is `name`          |
    | `/abs/root/src/a.py`       | the same, if the path begins with a root                         |
    | anything with `..`, NUL, a backslash, a drive letter | not found                              |
    | what leads below a root through a name in `hidden`, whatever its case | not found             |
    """

    def __init__(self, roots: Sequence[Path], *, hidden: Collection[str] = ()) -> None:
        self._hidden = frozenset(name.casefold() for name in hidden)
        self.roots: tuple[Path, ...] = tuple(dict.fromkeys(Path(os.path.realpath(root)) for root in roots))
        for root in self.roots:
            if not root.is_dir():
                raise NotADirectoryError(f"not a directory: {root}")
        self.names: dict[str, Path] = _root_names(self.roots)

    def name_of(self, root: Path) -> str:
        """The short name of one of `roots`, unique among them."""
        return next(name for name, path in self.names.items() if path == root)

    def resolve(self, path: str) -> Path:
        """The existing file or directory that `path` names; raises `NotFound`. To read it use `open`: a resolved path may
        have become a link by the time it's opened."""
        return self.locate(path).path

    def locate(self, path: str) -> JailedPath:
        """As `resolve`, but says which root it is in. An inside link to an inside file gives that file."""
        for root, relative in self._candidates(path):
            place = self._inside(root, relative)
            if place is not None:
                return place
        raise NotFound(path)

    def open(self, path: str) -> BinaryIO:
        """The regular file that `path` names, open for reading. Safe against renames; raises `NotFound`."""
        for root, relative in self._candidates(path):
            place = self._inside(root, relative)
            if place is None:
                continue
            descriptor = _open_beneath(place)
            if descriptor is not None:
                return os.fdopen(descriptor, "rb")
        raise NotFound(path)

    def read_bytes(self, path: str, limit: int | None = None) -> bytes:
        """At most `limit` bytes of the file, from its start (None: all). Raises `NotFound`."""
        with self.open(path) as file:
            try:
                return file.read() if limit is None else file.read(limit)
            except OSError:
                raise NotFound(path) from None

    def read_jailed(self, place: JailedPath, limit: int | None = None) -> bytes:
        """As `read_bytes`, of a file whose place is known, from a listing of the root say: no link is followed on the way,
        not even an inside one. Several times faster. Raises `NotFound`."""
        descriptor = _open_beneath(place)
        if descriptor is None:
            raise NotFound(str(place.relative))
        with os.fdopen(descriptor, "rb") as file:
            try:
                return file.read() if limit is None else file.read(limit)
            except OSError:
                raise NotFound(str(place.relative)) from None

    def _candidates(self, path: str) -> list[tuple[Path, str]]:
        """Where `path` might be, best first: (root, relative). Empty for a name that no server of ours would give out."""
        try:
            os.fsencode(path)
        except UnicodeEncodeError:
            return []
        if not path or "\0" in path or "\\" in path or path[1:2] == ":":
            return []
        if path.startswith("/"):
            return [
                (root, path[len(prefix) :])
                for root in self.roots
                for prefix in (f"{str(root).rstrip('/')}/",)
                if f"{path}/".startswith(prefix) and not _climbs(path[len(prefix) :])
            ]
        if _climbs(path):
            return []
        found = [(root, path) for root in self.roots]
        head, _, rest = path.partition("/")
        if head in self.names:
            found.append((self.names[head], rest))
        return found

    def _inside(self, root: Path, relative: str) -> JailedPath | None:
        try:
            real = os.path.realpath(root / relative, strict=True)
        except (OSError, ValueError):  # missing, a loop of links, a name too long, a directory that may not be searched
            return None
        # The root that was asked for first: an inside link may lead to another root.
        for home in (root, *self.roots):
            if real == str(home):
                return JailedPath(home, PurePosixPath())
            prefix = f"{str(home).rstrip('/')}/"
            if real.startswith(prefix):
                relative_to_home = PurePosixPath(real[len(prefix) :])
                if self._hidden.isdisjoint(part.casefold() for part in relative_to_home.parts):
                    return JailedPath(home, relative_to_home)
        return None


def _climbs(path: str) -> bool:
    return ".." in path.split("/")


def _open_beneath(place: JailedPath) -> int | None:
    """Open component by component, never through a link: the path was free of links when it was checked, so a link
    here was put there since."""
    parts = place.relative.parts
    if not parts:
        return None
    here: int | None = None
    try:
        here = os.open(place.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for part in parts[:-1]:
            deeper = os.open(part, _DIRECTORY, dir_fd=here)
            os.close(here)
            here = deeper
        descriptor = os.open(parts[-1], _FILE, dir_fd=here)
    except OSError:
        return None
    finally:
        if here is not None:
            os.close(here)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return descriptor


def _root_names(roots: Sequence[Path]) -> dict[str, Path]:
    """Each root's last component; further ones of the same name are numbered, in the order given."""
    names: dict[str, Path] = {}
    for root in roots:
        base = root.name or "root"
        name, number = base, 2
        while name in names:
            name, number = f"{base}-{number}", number + 1
        names[name] = root
    return names
