"""What a documentation server is started with. It opens nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DocsConfig:
    """`roots` are served, or without any the libraries that were added; `cache_dir` None: `default_cache_dir()`."""

    roots: tuple[Path, ...] = ()
    cache_dir: Path | None = None
    watch: bool = True  # follow changes of the roots


def default_cache_dir() -> Path:
    """Where indexes are kept: in the user's cache folder."""
    from platformdirs import user_cache_path

    return user_cache_path("portico", appauthor=False) / "docs"
