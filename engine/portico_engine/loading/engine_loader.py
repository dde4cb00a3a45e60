"""What loads an engine later, elsewhere: in another thread or another process.

It owns the shape of such loaders (a test's or a program's own function is one too) and the one for model files, which has
imported nothing heavy before it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portico_engine.loading.options import LoadOptions, LoadProgress

if TYPE_CHECKING:
    from portico_engine.engine import Engine

EngineLoader = Callable[[LoadProgress], "Engine"]  # blocks until the engine is there; raises EngineError where it can't be


@dataclass(frozen=True, slots=True)
class ModelLoader:
    """An `EngineLoader` for a model on disk. It can be pickled."""

    path: Path
    options: LoadOptions

    def __call__(self, progress: LoadProgress) -> Engine:
        from portico_engine.loading.load_engine import load_with_options

        return load_with_options(self.path, self.options, progress)


def engine_loader(path: Path, **options: Any) -> ModelLoader:
    """What loads the model at `path` with these `LoadOptions`. Raises what `load_engine` raises for an option."""
    return ModelLoader(path.absolute(), LoadOptions.from_keywords(options))
