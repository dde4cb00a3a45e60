"""A rank's part of an adapter: of each matrix B the rows, or of A the columns, that the rank has of what it changes."""

from __future__ import annotations

from dataclasses import replace

from portico_engine.adapters.adapter import Adapter, LowRank
from portico_engine.parallel.shard import Cut
from portico_engine.parallel.sharded_file import ShardedFile


def shard_adapter(adapter: Adapter, file: ShardedFile) -> Adapter:
    """For weights that were read from `file`."""
    return replace(adapter, matrices={name: _part(low, file.cut(f"{name}.weight")) for name, low in adapter.matrices.items()})


def _part(low: LowRank, cut: Cut) -> LowRank:
    a = low.a if cut.columns is None else low.a[:, cut.columns.start : cut.columns.stop]
    b = low.b if cut.rows is None else low.b[cut.rows.start : cut.rows.stop]
    return LowRank(a, b)
