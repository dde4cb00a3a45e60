"""Which versions of which libraries a search is about: those that its caller names, those that the question names, the newest.

Knows names and versions, nothing of pages.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from portico_servers.docs.errors import PageNotFound
from portico_servers.docs.index.models import LibraryVersion

_NUMBER = re.compile(r"\d{1,1000}|[a-z]+", re.I)
_SAID = re.compile(r"(?<![\w.])v?(\d+(?:\.\w+)+)")


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts 3.9 before 3.10, a pre-release before its release, and a name without numbers before all numbers."""
    parts = []
    for part in _NUMBER.findall(version):
        parts.append((2, int(part), "") if part.isdigit() else (0, 0, part.lower()))
    return (*parts, (1, 0, ""))


def choose(library_versions: list[LibraryVersion], name: str) -> list[LibraryVersion]:
    """The library versions that `name` means, `library` or `library@version`; without a version the newest of each.

    Raises PageNotFound, naming the nearest.
    """
    library, _, version = name.strip().partition("@")
    if library:
        same = [s for s in library_versions if s.library == library] or [
            s for s in library_versions if s.library.lower() == library.lower()
        ]
        if not same:
            raise PageNotFound(
                f"no library {library!r}; {nearest(library, [s.library for s in library_versions], 'libraries')}"
            )
        library_versions = same
    if version == "*":
        return library_versions
    if version:
        exact = [s for s in library_versions if s.version == version]
        if not exact:
            known = ", ".join(sorted({s.version for s in library_versions}, key=version_key))
            raise PageNotFound(f"{library} has no version {version!r}; it has {known}")
        return exact
    newest: dict[str, LibraryVersion] = {}
    for library_version in library_versions:
        if library_version.library not in newest or version_key(newest[library_version.library].version) < version_key(
            library_version.version
        ):
            newest[library_version.library] = library_version
    return list(newest.values())


def chosen_for(library_versions: list[LibraryVersion], name: str, query: str) -> list[LibraryVersion]:
    """As `choose`; where no version is named, one that the query names and the library has takes its newest's place."""
    chosen = choose(library_versions, name)
    said = {version.lower() for version in _SAID.findall(query)}
    if "@" in name or not said:
        return chosen
    named = {v.library: v for v in library_versions if v.version.lower().removeprefix("v") in said}
    return [named.get(version.library, version) for version in chosen]


def nearest(wanted: str, known: Sequence[str], what: str) -> str:
    """What is said to a caller who named something that is not there."""
    unique = list(dict.fromkeys(known))
    if not unique:
        return f"there are no {what}"
    folded = {name.casefold(): name for name in unique[:5000]}  # API.md is near to api.md
    close = [folded[name] for name in difflib.get_close_matches(wanted.casefold(), folded, n=3, cutoff=0.5)]
    return f"nearest: {', '.join(close)}" if close else f"{what}: {', '.join(unique[:5])}{', …' if len(unique) > 5 else ''}"
