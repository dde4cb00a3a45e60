"""Where pages come from on this machine: a directory, a file, an installed package. What is there now, and under which stamp.

Knows nothing of formats and the index, and opens no page: that is `prepare`'s, through the path jail.
"""

from __future__ import annotations

import importlib.machinery
import logging
import os
import platform
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from portico_servers.common.regular_files import open_regular
from portico_servers.common.unicode_text import plain_text
from portico_servers.docs.errors import SourceError
from portico_servers.docs.ingest.readers import kind_of

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

log = logging.getLogger(__name__)
_MAX_IGNORE_BYTES = 1_000_000  # of a .gitignore
_SKIPPED = {"node_modules", "__pycache__", "site-packages", "venv", "env", "target", "htmlcov"}
_GENERIC = {"doc", "docs", "documentation", "html", "source", "src", "site", "_build", "build", "public", "content", "pages"}
MAX_PAGES = 50_000
LOCAL_VERSION = "local"
WEB_VERSION = "latest"
_DOCSTRINGS = "docstrings"


class SourcePage(NamedTuple):
    """A page that the source has now: changed if its stamp is another one than before."""

    path: str
    stamp: str
    size: int
    kind: str  # as `readers.read_page` knows it


class DocumentationSource(NamedTuple):
    """One place as it's asked for. `kind`: dir, file, package, url; `place`: a path, a module's name, an address."""

    kind: str
    place: str
    library: str
    version: str


def source_of(given: str, *, library: str = "", version: str = "", package: bool = False) -> DocumentationSource:
    """What a user means: an address, a path that exists, or an installed package. Raises SourceError."""
    if given.startswith(("http://", "https://")):
        try:
            host = urlsplit(given).hostname or ""
        except ValueError as error:
            raise SourceError(f"{given[:200]}: not an address: {error}") from None
        return DocumentationSource(
            "url", given, clean_name(library or host.removeprefix("www.").removeprefix("docs.")), version or WEB_VERSION
        )
    path = Path(given).expanduser()
    if not package and path.exists():
        real = checked_root(path)
        name, found = sphinx_project(real)
        kind = "dir" if real.is_dir() else "file"
        own = name or (library_name(real) if kind == "dir" else document_name(real))
        return DocumentationSource(kind, str(real), clean_name(library or own), version or found or LOCAL_VERSION)
    place = package_place(given)
    if place is None:
        raise SourceError(f"{given}: neither an address, nor a file or directory, nor an installed Python package")
    return DocumentationSource("package", given, clean_name(library or given), version or package_version(given))


def checked_root(root: Path) -> Path:
    """The root, absolute. Raises SourceError, saying what is wrong with it."""
    try:
        real = root.expanduser().resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        raise SourceError(f"{root}: no such directory; give a directory with documentation, or a single document") from None
    if not (real.is_dir() or real.is_file()):
        raise SourceError(f"{root}: neither a directory nor a file")
    return real


def sphinx_project(root: Path) -> tuple[str, str]:
    """(project, version) that Sphinx wrote into the HTML it made; empty strings elsewhere."""
    try:
        with open_regular(root / "objects.inv") as file:
            head = file.read(2_000).decode("utf-8", errors="replace").split("\n")
    except OSError:
        return "", ""
    lines = {key: value.strip() for key, _, value in (line.removeprefix("# ").partition(":") for line in head[1:3])}
    return lines.get("Project", ""), lines.get("Version", "")


def clean_name(name: str) -> str:
    """A library's name as it stands in `name@version` and in addresses."""
    return re.sub(r"[\s/@#?%]+", "-", name.strip()).strip("-") or "docs"


def package_place(module: str) -> Path | None:
    """The package's directory, or the module's file, found without importing it."""
    if not re.fullmatch(r"[A-Za-z_]\w*", module):
        return None
    spec = importlib.machinery.PathFinder.find_spec(module, None)
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None


def package_version(module: str) -> str:
    """The version of the distribution that brings `module`; Python's own for a module of the standard library."""
    from importlib.metadata import PackageNotFoundError, packages_distributions, version

    for name in (*packages_distributions().get(module, ()), module):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return platform.python_version() if module in sys.stdlib_module_names else LOCAL_VERSION


def scan_package(module: str) -> Iterator[SourcePage]:
    """The package's modules; its tests are left out. Raises SourceError."""
    place = package_place(module)
    if place is None:
        raise SourceError(f"{module}: no such package is installed (in {sys.executable})")
    if place.is_file():
        yield from scan_file(place, _DOCSTRINGS)
        return
    pending = [place]
    while pending:
        directory = pending.pop()
        for entry in sorted(os.scandir(directory), key=lambda e: e.name):
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in ("tests", "test", "testing", "__pycache__", "_vendor") and entry.name.isidentifier():
                    pending.append(Path(entry.path))
            elif entry.name.endswith(".py") and not entry.name.startswith("test_") and entry.is_file(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                yield SourcePage(
                    Path(entry.path).relative_to(place.parent).as_posix(), _stamp(status), status.st_size, _DOCSTRINGS
                )


def library_name(root: Path) -> str:
    """What a directory's library is called: its name, or its parents' where it is only `docs` or the like."""
    for part in (root, *root.parents):
        if part.name and part.name.lower() not in _GENERIC:
            return part.name
    return root.name or "docs"


def document_name(path: Path) -> str:
    """What a single document's library is called: its name, or its directory's where it is only `README` or the like."""
    return library_name(path.parent) if path.stem.lower() in ("readme", "index", "main", "") else path.stem


def scan_directory(root: Path) -> Iterator[SourcePage]:
    """Every documentation file below `root`, in order of path. Hidden and vendored directories and what .gitignore names
    are left out, and so are links: they would count a page twice or lead outside."""
    pending: list[tuple[Path, list[tuple[Path, GitIgnoreSpec]]]] = [(root, [])]
    count = 0
    while pending:
        directory, ignores = pending.pop()
        try:
            entries = sorted(os.scandir(directory), key=lambda e: e.name)
        except OSError:
            continue
        rules = _gitignore(directory)
        if rules is not None:
            ignores = [*ignores, (directory, rules)]
        names = {entry.name for entry in entries}
        below = []
        for entry in entries:
            is_directory = entry.is_dir(follow_symlinks=False)
            if plain_text(entry.name) != entry.name:
                log.warning("%s is left out: its name is no UTF-8, so that nobody could spell it", plain_text(entry.path))
                continue
            if entry.name.startswith(".") or _ignored(Path(entry.path), is_directory, ignores):
                continue
            if is_directory:
                # Sphinx puts copies of its sources beside the HTML made from them.
                copies = entry.name == "_sources" and "_static" in names
                if entry.name not in _SKIPPED and not copies and "pyvenv.cfg" not in _children(entry.path):
                    below.append((Path(entry.path), ignores))
            elif (kind := kind_of(entry.path)) is not None and entry.is_file(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                if count < MAX_PAGES:
                    count += 1
                    yield SourcePage(Path(entry.path).relative_to(root).as_posix(), _stamp(status), status.st_size, kind)
        pending.extend(reversed(below))


def scan_file(path: Path, kind: str = "") -> Iterator[SourcePage]:
    """A single document, read as what its name says, or else as text."""
    try:
        status = path.stat()
    except OSError:
        return
    if stat.S_ISREG(status.st_mode):
        yield SourcePage(path.name, _stamp(status), status.st_size, kind or kind_of(str(path)) or "text")


def _stamp(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns}:{status.st_size}"


def _children(directory: str) -> set[str]:
    try:
        return set(os.listdir(directory))
    except OSError:
        return set()


def _gitignore(directory: Path) -> GitIgnoreSpec | None:
    from pathspec import GitIgnoreSpec

    try:
        with open_regular(directory / ".gitignore", follow=False) as file:  # a link may lead outside
            lines = file.read(_MAX_IGNORE_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    return GitIgnoreSpec.from_lines(filter(_is_pattern, lines))


def _is_pattern(line: str) -> bool:
    """Whether a line of .gitignore can be read: git passes over one that can't."""
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True


def _ignored(path: Path, is_directory: bool, ignores: list[tuple[Path, GitIgnoreSpec]]) -> bool:
    """The innermost .gitignore that has an opinion decides."""
    for base, rules in reversed(ignores):
        relative = PurePosixPath(path.relative_to(base)).as_posix() + ("/" if is_directory else "")
        verdict = rules.check_file(relative).include
        if verdict is not None:
            return bool(verdict)
    return False
