"""The `path` and `language` filters of a search: what a caller may write, and what it lets through."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from portico_servers.code.errors import BadFilter
from portico_servers.code.syntax.languages import BY_NAME, UnknownLanguage, may_be, normalize
from portico_servers.code.tools.results import Hit
from portico_servers.code.workspace import Workspace

_GLOB = re.compile(r"[*?\[]")
_PATH_CHARS = 1_000


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """| path given      | lets through                                              |
    |-----------------|-----------------------------------------------------------|
    | `src/kv`        | the file or directory of that path, or any path that has it |
    | `*.py`, `src/**/x.rs` | the paths that the glob matches (`*` also crosses `/`)  |
    """

    path: str = ""
    language: str = ""

    @classmethod
    def of(cls, path: str, language: str) -> SearchFilter:
        """Raises `BadFilter` for a language that nothing is in and for what is too long to be a path."""
        if len(path) > _PATH_CHARS:
            raise BadFilter(f"a path filter has at most {_PATH_CHARS} characters; got {len(path):,}")
        try:
            return cls(path.strip().removeprefix("./").rstrip("/"), normalize(language) if language.strip() else "")
        except UnknownLanguage as error:
            raise BadFilter(str(error)) from None

    def __bool__(self) -> bool:
        return bool(self.path or self.language)

    def accepts(self, root: str) -> Callable[[str], bool]:
        """A test for paths relative to the root of that name."""
        wanted = self.path
        if wanted == root or wanted in ("", "."):
            matches: Callable[[str], bool] = lambda _: True  # noqa: E731
        elif _GLOB.search(wanted):
            pattern = re.compile(fnmatch.translate(wanted), re.IGNORECASE)
            anywhere = re.compile(fnmatch.translate(f"*/{wanted}"), re.IGNORECASE)
            matches = lambda path: bool(pattern.match(path) or anywhere.match(path) or pattern.match(f"{root}/{path}"))  # noqa: E731
        else:
            needle = wanted.lower()
            matches = lambda path: needle in path.lower() or f"{root}/{path}".lower().startswith(needle)  # noqa: E731
        if not self.language:
            return matches
        return lambda path: may_be(path, self.language) and matches(path)

    def ripgrep_options(self) -> list[str]:
        """What narrows rg's walk. It may let more through than `accepts`, never less."""
        options: list[str] = []
        spec = BY_NAME.get(self.language)
        if spec is not None:
            for name in (*(f"*{extension}" for extension in spec.extensions), *spec.filenames):
                options.append(f"--type-add=wanted:{name}")
            options.append("--type=wanted")
        return options

    def describe(self) -> str:
        parts = [f"path {self.path[:80]!r}"] if self.path else []
        if self.language:
            parts.append(f"language {self.language}")
        return " and ".join(parts)


def empty_note(workspace: Workspace, hits: Sequence[Hit], wanted: SearchFilter) -> str | None:
    """Why a filtered answer may be empty: how many files the filter lets through."""
    if hits or not wanted:
        return None
    count = sum(1 for name, index in workspace.indexes.items() for file in index.files() if wanted.accepts(name)(file.path))
    return f"{count} files match {wanted.describe()}" if count else f"no file matches {wanted.describe()}"
