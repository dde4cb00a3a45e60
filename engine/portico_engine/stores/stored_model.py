"""A model or adapter in a store, and which of several a name means. It knows no folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from portico_engine.errors import ModelError

Store = Literal["package", "portico", "Hugging Face", "LM Studio", "Ollama"]
Kind = Literal["gguf", "folder", "adapter"]
_SHOWN = 5  # names that an error lists


@dataclass(frozen=True, slots=True)
class StoredModel:
    """`name` is short, `full_name` says whose it is (OWNER/REPO/FILE); `path` is a GGUF file (the first of several) or a
    folder; `size` is bytes of all its files.
    """

    name: str
    full_name: str
    path: Path
    store: Store
    kind: Kind
    size: int

    def is_called(self, name: str) -> bool:
        """By either of its names, upper or lower case alike, with or without the file's suffix."""
        asked = name.lower().removesuffix(".gguf")
        return asked in (self.name.lower(), self.full_name.lower().removesuffix(".gguf"))


def pick(models: Sequence[StoredModel], name: str) -> StoredModel | None:
    """The one of this name; None where there is none. The same file in several stores is one. Raises ModelError, which lists
    them, where the name means several.
    """
    found = [model for model in models if model.is_called(name)]
    if len({model.path.name for model in found}) > 1 or len({model.size for model in found}) > 1:
        names = ", ".join(f"{model.full_name} ({model.store})" for model in found[:_SHOWN])
        raise ModelError(f"{len(found)} models are called {name!r}: {names}; give the full name, or the path")
    return found[0] if found else None
