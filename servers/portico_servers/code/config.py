"""What a code server is started with. It opens nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path


@dataclass(frozen=True, slots=True)
class CodeConfig:
    """`roots` are directories of source code; `cache_dir` None: `default_cache_dir()`."""

    roots: tuple[Path, ...]
    cache_dir: Path | None = None  # where the index is kept between runs


def default_cache_dir() -> Path:
    """Where indexes are kept: in the user's cache folder."""
    return user_cache_path("portico") / "code"
