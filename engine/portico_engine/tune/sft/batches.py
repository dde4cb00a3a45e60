"""Rows to batches: rows of like length side by side, as many as a budget of tokens holds.

Causal attention never looks ahead, so that padding behind a row changes nothing in it: no mask, no packing, hardly any waste.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from portico_engine.tune.rendering import TokenRow

_PADDED_TO = 32


class Batch(NamedTuple):
    """`learned` marks the positions whose next token carries loss; `kept`: the base is to be followed there instead."""

    ids: Tensor  # int64 [rows, tokens]
    learned: Tensor  # bool [rows, tokens]
    kept: bool


def batches(rows: Sequence[TokenRow], budget: int, seed: int) -> list[list[TokenRow]]:
    """All rows once, in an order of the seed's. Lengths are sorted within chunks: who stands beside whom still varies."""
    rng = random.Random(seed)
    out: list[list[TokenRow]] = []
    for kept in (False, True):
        own = [row for row in rows if row.kept == kept]
        rng.shuffle(own)
        chunk = max(1, 64 * budget // 256)
        for begin in range(0, len(own), chunk):
            out += _filled(sorted(own[begin : begin + chunk], key=lambda row: len(row.ids)), budget)
    rng.shuffle(out)
    return out


def _filled(rows: Sequence[TokenRow], budget: int) -> Iterator[list[TokenRow]]:
    batch: list[TokenRow] = []
    for row in rows:
        if batch and (len(batch) + 1) * len(row.ids) > budget:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def collate(rows: Sequence[TokenRow]) -> Batch:
    """On the CPU."""
    longest = -(-max(len(row.ids) for row in rows) // _PADDED_TO) * _PADDED_TO
    ids = torch.zeros(len(rows), longest, dtype=torch.int64)
    learned = torch.zeros(len(rows), longest, dtype=torch.bool)
    for at, row in enumerate(rows):
        ids[at, : len(row.ids)] = torch.tensor(row.ids)
        learned[at, row.learned - 1 : len(row.ids) - 1] = True
    return Batch(ids, learned, rows[0].kept)
