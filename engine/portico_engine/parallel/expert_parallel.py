"""Mixtures whose experts, or parts of each, lie on several ranks.

It owns two ways for tokens to meet experts on other ranks. All ranks have all tokens' vectors anyway, since attention sums
them everywhere. So each rank computes its own experts for all tokens, and what they say is summed: one exchange, of the same
size whatever the router says, as a captured graph needs it. Or each rank takes care of its share of the tokens, sends their
vectors to the ranks of their experts and gets back what those say (all to all; Lepikhin et al. 2020, GShard), and the shares
come together: less to move where a token has few experts and there are many ranks. Routing is the decoder's, and the same on
all ranks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from portico_engine.models.config import ExpertsConfig
from portico_engine.parallel.rank_group import RankGroup


class Exchange(NamedTuple):
    """Which way tokens take, from `least` tokens on; below that it is the sum. "auto" takes the one that moves less."""

    way: Literal["auto", "sum", "all_to_all"] = "auto"
    least: int = 1


AUTO = Exchange()


class ExpertRanks:
    """`decoder_weights.ExpertPeers`."""

    def __init__(self, group: RankGroup, config: ExpertsConfig, exchange: Exchange) -> None:
        self._group = group
        self._held = config.held
        self._owner: Tensor | None = None  # of each expert, int64 [experts]
        self._count = config.count
        # Of n vectors a sum moves 2 n (w - 1) / w; the exchange used n / w there and as many back, and n to come together.
        moves_less = 2 * config.used < group.world_size
        self._least = exchange.least if exchange.way == "all_to_all" or (exchange.way == "auto" and moves_less) else None

    def sum(self, partial: Tensor) -> Tensor:
        """See `ExpertPeers`."""
        return self._group.sum(partial)

    def exchanges(self, n: int) -> bool:
        """See `ExpertPeers`."""
        return self._held is not None and self._least is not None and n >= self._least

    def exchange(self, x: Tensor, chosen: Tensor, shares: Tensor, compute: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """See `ExpertPeers`. Waits for the device: how much goes where depends on the router."""
        group, (n, used) = self._group, chosen.shape
        world, rank = group.world_size, group.rank
        each = -(-n // world)  # tokens that a rank takes care of; the last ones have fewer, or none
        target = self._owners(x.device)[chosen]
        source = (torch.arange(n, device=x.device) // each).unsqueeze(1)
        counts = torch.bincount((source * world + target).flatten(), minlength=world * world).view(world, world).tolist()
        sent, received = counts[rank], [row[rank] for row in counts]
        first, last = min(n, rank * each), min(n, (rank + 1) * each)
        order = target[first:last].flatten().argsort(stable=True)  # by rank, then by token, as they arrive
        rows = group.exchange(x[first + order // used], sent, received)
        experts = chosen.flatten()[(target.flatten() == rank).nonzero().squeeze(1)]
        said = group.exchange(compute(rows, experts).to(x.dtype), received, sent)
        weighted = said.float() * shares[first:last].flatten()[order].unsqueeze(1)
        own = torch.zeros(each, x.shape[1], dtype=torch.float32, device=x.device).index_add_(0, order // used, weighted)
        return group.gather(own.to(x.dtype)).flatten(0, 1)[:n]

    def _owners(self, device: torch.device) -> Tensor:
        if self._owner is None:
            world = self._group.world_size
            ends = torch.tensor([(r + 1) * self._count // world for r in range(world)], device=device)
            self._owner = torch.searchsorted(ends, torch.arange(self._count, device=device), right=True)
        return self._owner
