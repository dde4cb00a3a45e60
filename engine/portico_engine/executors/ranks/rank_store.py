"""Saved blocks of several ranks: what the engine's store holds of a block is all ranks' parts, one behind the other.

It owns the coming together, and that all ranks hear where the store refuses: then each leaves the plan at the same place. It
knows neither tiers nor keys.
"""

from __future__ import annotations

from portico_engine.executors.protocol import BlockStore
from portico_engine.parallel.rank_group import RankGroup

_WELL, _REFUSED = b"\1", b"\0"


class StoreRefused(Exception):
    """On the other ranks: the first one's store raised."""


class FirstRankStore:
    """`BlockStore` of the first rank's executor, before the engine's."""

    def __init__(self, store: BlockStore, group: RankGroup) -> None:
        self._store = store
        self._group = group
        self.refusal: BaseException | None = None  # what the store raised, while its plan is being left

    def put(self, key: bytes, content: bytes) -> None:
        """See `BlockStore`."""
        whole = self._group.gather_bytes(content)
        try:
            self._store.put(key, whole)
        except BaseException as error:
            self._refuse(error)
            raise
        self._group.broadcast_bytes(_WELL)

    def get(self, key: bytes) -> memoryview:
        """See `BlockStore`."""
        try:
            whole = bytes(self._store.get(key))
        except BaseException as error:
            self._refuse(error)
            raise
        self._group.broadcast_bytes(_WELL)
        return memoryview(self._group.broadcast_bytes(whole))[: len(whole) // self._group.world_size]

    def _refuse(self, error: BaseException) -> None:
        self._group.broadcast_bytes(_REFUSED)
        self.refusal = error


class OtherRankStore:
    """`BlockStore` of another rank's executor. Raises StoreRefused where the engine's raised."""

    def __init__(self, block_bytes: int, group: RankGroup) -> None:
        """`block_bytes` of this rank's part."""
        self._block_bytes = block_bytes
        self._group = group

    def put(self, key: bytes, content: bytes) -> None:
        """See `BlockStore`."""
        self._group.gather_bytes(content)
        self._hear()

    def get(self, key: bytes) -> memoryview:
        """See `BlockStore`."""
        self._hear()
        whole = self._group.broadcast_bytes(bytes(self._block_bytes * self._group.world_size))
        return memoryview(whole)[self._group.rank * self._block_bytes :][: self._block_bytes]

    def _hear(self) -> None:
        if self._group.broadcast_bytes(_REFUSED) != _WELL:
            raise StoreRefused
