"""The way up: a block that is gone from the device comes from the host's memory, else from disk.

It owns the order of the tiers and the count of what came from which. What goes down, and when, is the pool's and the cache's.
"""

from __future__ import annotations

from portico_engine.kv.block_pool import BlockPool
from portico_engine.kv.block_table import BlockTable
from portico_engine.kv.tier import FullBlock


class Below:
    """The tiers below a pool."""

    def __init__(self, pool: BlockPool) -> None:
        self._pool = pool
        self.loaded_tokens = 0  # that came from disk
        self.fetched_tokens = 0  # that came from the host's memory

    @property
    def is_empty(self) -> bool:
        """Are there no tiers?"""
        return self._pool.host is None and self._pool.tier is None

    def bring(self, table: BlockTable, block: FullBlock) -> int | None:
        """A held block, the next of the table, which the next plan fills with this content; None where it is nowhere, or has no
        room.
        """
        if not self._pool.available:
            return None
        own = self._from_host(table, block)
        return self._from_disk(table, block) if own is None else own

    def _from_host(self, table: BlockTable, block: FullBlock) -> int | None:
        host = self._pool.host
        slot = None if host is None else host.hold(block)
        if host is None or slot is None:
            return None
        own = self._room(table)
        host.release(slot)
        self._pool.fetch(slot, own)
        table.arriving = True
        self.fetched_tokens += self._pool.block_tokens
        return own

    def _from_disk(self, table: BlockTable, block: FullBlock) -> int | None:
        tier = self._pool.tier
        if tier is None or not tier.fetch(block):
            return None
        own = self._room(table)
        self._pool.load(own, block.key)
        self.loaded_tokens += self._pool.block_tokens
        return own

    def _room(self, table: BlockTable) -> int:
        """For one block; what is evicted for it may go to the host's memory itself."""
        own = self._pool.allocate(table.blocks[-1] if table.blocks else None)
        assert own is not None, "there was room"
        return own
