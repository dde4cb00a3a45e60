"""The order of query and key rows that the decoder rotates in, from the one that a file has them in.

It owns that permutation, for weights and for adapters alike. It knows neither files nor torch.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from portico_engine.models.config import DecoderConfig


def rotary_order(config: DecoderConfig, n_heads: int, *, interleaved: bool) -> npt.NDArray[np.int64] | None:
    """Rows from rotary pairs as a file has them (neighbours where `interleaved`, else halves) to halves of the head, with the
    dimensions that aren't rotated last in each: whole heads are rotated in fewer operations. None where nothing moves.
    """
    head, rotary = config.head_dim, config.rotary_dim
    if rotary == head and not interleaved:
        return None
    rotated, still = np.arange(rotary), np.arange(rotary, head)
    pairs = rotated.reshape(-1, 2).T if interleaved else rotated.reshape(2, -1)
    order = np.concatenate([pairs, still.reshape(2, -1)], 1).reshape(-1)
    rows: npt.NDArray[np.int64] = (np.arange(0, n_heads * head, head)[:, None] + order).reshape(-1)
    return rows
