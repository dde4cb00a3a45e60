"""Rows to batches: rows of like length side by side, as many as a budget of tokens holds.

Causal attention never looks ahead, so that padding behind a row changes nothing in it: no mask, no packing, hardly any waste.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from portico_engine.tune.rendering import TokenRow

_PADDED_TO = 32
ItemT = TypeVar("ItemT")


class Batch(NamedTuple):
    """`learned` marks the positions whose next token carries loss; `kept`: the base is to be followed there instead."""

    ids: Tensor  # int64 [rows, tokens]
    learned: Tensor  # bool [rows, tokens]
    kept: bool


def batches(rows: Sequence[TokenRow], budget: int, seed: int) -> list[list[TokenRow]]:
    """All rows once, in an order of the seed's; none that is kept beside one that isn't. Of those that are kept a batch holds
    half as much: the base is computed there, too.
    """
    rng = random.Random(seed)
    out: list[list[TokenRow]] = []
    for kept in (False, True):
        most = budget // 2 if kept else budget
        out += grouped([row for row in rows if row.kept == kept], most, rng, lambda row: len(row.ids))
    rng.shuffle(out)
    return out


def grouped(items: Sequence[ItemT], budget: int, rng: random.Random, length: Callable[[ItemT], int]) -> list[list[ItemT]]:
    """All items once, in groups of at most `budget` tokens. Lengths are sorted within chunks: who stands beside whom varies."""
    shuffled = list(items)
    rng.shuffle(shuffled)
    out: list[list[ItemT]] = []
    chunk = max(1, 64 * budget // 256)
    for begin in range(0, len(shuffled), chunk):
        batch: list[ItemT] = []
        for item in sorted(shuffled[begin : begin + chunk], key=length):
            if batch and (len(batch) + 1) * length(item) > budget:
                out.append(batch)
                batch = []
            batch.append(item)
        out.append(batch)
    rng.shuffle(out)
    return out


def collate(rows: Sequence[TokenRow]) -> Batch:
    """On the CPU."""
    longest = padded_length(rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.int64)
    learned = torch.zeros(len(rows), longest, dtype=torch.bool)
    for at, row in enumerate(rows):
        ids[at, : len(row.ids)] = torch.tensor(row.ids)
        learned[at, row.learned - 1 : len(row.ids) - 1] = True
    return Batch(ids, learned, rows[0].kept)


def padded_length(rows: Sequence[TokenRow]) -> int:
    """Tokens that each row of a batch has with what pads it."""
    return -(-max(len(row.ids) for row in rows) // _PADDED_TO) * _PADDED_TO


def padded_tokens(rows: Sequence[TokenRow]) -> int:
    """What a batch of them takes."""
    return len(rows) * padded_length(rows)


def planned(epochs: float, seed: int, batches_of: Callable[[int], Sequence[ItemT]]) -> list[ItemT]:
    """The batches of all epochs, one after another, each epoch by a seed of its own; of the last one a part."""
    plan = [batch for epoch in range(math.ceil(epochs)) for batch in batches_of(seed * 1000 + epoch)]
    return plan[: round(len(plan) * epochs / math.ceil(epochs))]
