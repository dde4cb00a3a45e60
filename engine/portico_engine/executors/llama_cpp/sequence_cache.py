"""The seam between blocks and llama.cpp's cache, under llama.cpp's names: `library.LlamaContext` is one, tests have another."""

from __future__ import annotations

from typing import Protocol


class SequenceCache(Protocol):
    """llama.cpp's cache, cells by sequence, under its own names; positions are first to end, `end` excluded, -1 for all that
    follow."""

    def seq_rm(self, sequence: int, first: int, end: int) -> None: ...

    def seq_cp(self, source: int, target: int, first: int, end: int) -> None:
        """What `source` holds there `target` holds too."""
        ...

    def seq_get_state(self, sequence: int) -> memoryview:
        """All that a sequence holds."""
        ...

    def seq_set_state(self, sequence: int, content: bytes | memoryview) -> None:
        """The inverse of `seq_get_state`, into a sequence that holds nothing."""
        ...
