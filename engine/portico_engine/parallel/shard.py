"""Which part of a model is a rank's, tensor by tensor.

It owns the rules: by heads, by the inner dimension of feed-forwards, by experts and by the vocabulary. Whatever it has no rule
for, every rank has whole. It reads no numbers, and knows no groups of ranks at work.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import lcm
from typing import NamedTuple

import gguf

from portico_engine.errors import ModelError
from portico_engine.models.config import DecoderConfig
from portico_engine.quantization.packing import Packing
from portico_engine.weights.model_file import ModelFile, TensorInfo

_FEED_FORWARD = re.compile(r"blk\.\d+\.ffn_(?P<which>gate|up|down)(?P<kind>_shexp|\.\d+)?\.(?P<part>weight|bias)")
_ATTENTION = re.compile(r"blk\.\d+\.attn_(?P<which>q|k|v|output|sinks|q_b|kv_b|k_b|v_b)\.(?P<part>weight|bias)")
_VOCABULARY = re.compile(r"(?:token_embd|output)\.(?:weight|bias)")
_TILE = 128  # columns that kernels read together: no rank needs to fill up its last ones
_ROWS = 16  # of a tile


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `world_size` parts. With `expert_parallel` a mixture's experts are dealt out whole, else each is split."""

    rank: int
    world_size: int
    expert_parallel: bool = False


class Cut(NamedTuple):
    """What of a tensor is a rank's: some of its rows, or whatever its first dimension counts, and some of its columns; None:
    all of them.
    """

    rows: range | None = None
    columns: range | None = None


WHOLE = Cut()
_Rule = Callable[[re.Match[str]], Cut | None]


class ShardRules:
    """What a rank has of each tensor of a file."""

    def __init__(self, file: ModelFile, config: DecoderConfig, shard: Shard) -> None:
        """Raises ModelError naming what can't be split over so many ranks."""
        self._file = file
        self._config = config
        self._shard = shard
        self._check_heads()
        self.heads = _share(config.n_heads, shard)
        self.kv_heads = self._kv_heads()
        self.feed_forward = self._inner(config.feed_forward, None, "feed-forward")
        experts = config.experts
        self.experts: range | None = None  # those that are here; None: of all experts a part
        self.expert_feed_forward = self.shared_feed_forward = range(0)
        if experts is not None:
            if shard.expert_parallel:
                self.experts = _share(experts.count, shard)
                self.expert_feed_forward = range(experts.feed_forward)
            else:
                self.expert_feed_forward = self._inner(experts.feed_forward, ".", "experts' feed-forward")
            if experts.shared_feed_forward:
                self.shared_feed_forward = self._inner(experts.shared_feed_forward, "_shexp", "shared expert's feed-forward")
        self.vocabulary = vocabulary_shares(config.vocab_size, shard.world_size)[shard.rank]

    def cut(self, info: TensorInfo) -> Cut | None:
        """What of this tensor is the rank's; None: nothing. Raises ModelError where a border lies within a group of weights."""
        for pattern, rule in self._rules.items():
            if match := pattern.fullmatch(info.name):
                found = rule(match)
                if found is not None and found.columns is not None:
                    self._check_border(info, found.columns)
                return found
        return WHOLE

    @property
    def _rules(self) -> Mapping[re.Pattern[str], _Rule]:
        return {
            _ATTENTION: self._attention,
            _FEED_FORWARD: self._feed_forward,
            _VOCABULARY: lambda _match: Cut(rows=self.vocabulary),
        }

    def _attention(self, match: re.Match[str]) -> Cut | None:
        config, latent = self._config, self._config.latent
        which = match["which"]
        if which == "output":
            size = config.head_dim if latent is None else latent.value
            return self._summed(match, _times(self.heads, size))
        if which == "sinks":
            return Cut(rows=self.heads)
        if latent is not None:
            sizes = {
                "q": latent.plain + latent.rope, "q_b": latent.plain + latent.rope, "kv_b": latent.plain + latent.value,
                "k_b": 1, "v_b": 1,
            }  # fmt: skip
            return Cut(rows=_times(self.heads, sizes[which])) if which in sizes else WHOLE
        return Cut(rows=_times(self.heads if which == "q" else self.kv_heads, config.head_dim))

    def _feed_forward(self, match: re.Match[str]) -> Cut | None:
        kind = match["kind"] or ""
        inner = self.feed_forward
        if kind == "_shexp":
            inner = self.shared_feed_forward
        elif kind and self.experts is not None:
            return WHOLE if int(kind[1:]) in self.experts else None
        elif kind:
            inner = self.expert_feed_forward
        return self._summed(match, inner) if match["which"] == "down" else Cut(rows=inner)

    def _summed(self, match: re.Match[str], columns: range) -> Cut | None:
        """Of a product that all ranks add up: its bias is the first one's, so that it is added once."""
        if match["part"] == "bias":
            return WHOLE if self._shard.rank == 0 else None
        return Cut(columns=columns)

    def _check_heads(self) -> None:
        heads, kv_heads, world = self._config.n_heads, self._config.n_kv_heads, self._shard.world_size
        if heads % world or (kv_heads % world and world % kv_heads):
            raise ModelError(
                f"{self._file.path}: {heads} query heads over {kv_heads} key/value heads can't be split over {world} ranks"
            )
        experts = self._config.experts
        if self._shard.expert_parallel and experts is None:
            raise ModelError(f"{self._file.path}: {self._config.architecture} has no experts to be dealt out to ranks")
        if self._shard.expert_parallel and experts is not None and experts.count < world:
            raise ModelError(f"{self._file.path}: {experts.count} experts can't be dealt out to {world} ranks")
        if self._config.vocab_size < world:
            raise ModelError(f"{self._file.path}: {self._config.vocab_size} tokens can't be split over {world} ranks")

    def _kv_heads(self) -> range:
        """Ranks beyond their number share them: several have the same."""
        count, world = self._config.n_kv_heads, self._shard.world_size
        if self._config.latent is not None:
            return range(1)
        if count % world == 0:
            return _share(count, self._shard)
        first = self._shard.rank * count // world
        return range(first, first + 1)

    def _inner(self, size: int, kind: str | None, what: str) -> range:
        """A rank's part of the inner dimension, whole groups of the matrices that read it: of `kind` ("." those of experts)."""
        group = 1
        for name, info in self._file.tensors.items():
            match = _FEED_FORWARD.fullmatch(name)
            if match is None or match["which"] != "down" or match["part"] != "weight":
                continue
            if (match["kind"] or "")[: len(kind or "") or None] == (kind or ""):
                group = lcm(group, columns_together(info))
        world = self._shard.world_size
        units = [u for u in (lcm(group, _TILE), lcm(group, _ROWS), group) if size % u == 0 and size // u >= world]
        if not units:
            raise ModelError(
                f"{self._file.path}: the {what} of {size}, stored in groups of {group}, can't be split over {world} ranks"
            )
        return _times(_share(size // units[0], self._shard), units[0])

    def _check_border(self, info: TensorInfo, columns: range) -> None:
        group = columns_together(info)
        if columns.start % group or columns.stop % group:
            raise ModelError(
                f"{self._file.path}: {info.name} is stored in groups of {group} columns, and {self._shard.world_size} ranks "
                f"would have {len(columns)} each"
            )


def columns_together(info: TensorInfo) -> int:
    """Columns of a matrix between whose groups alone it can be split."""
    if isinstance(info.type, Packing):
        if info.type.block is not None:
            return info.type.block[1]
        return lcm(info.type.group_size or 1, 32 // info.type.bits if info.type.has_codes else 1)
    return int(gguf.GGML_QUANT_SIZES[info.type][0])


def vocabulary_shares(size: int, world_size: int) -> list[range]:
    """Each rank's tokens: whole tiles of rows but for the last rank's, where there are enough."""
    unit = _ROWS if size // _ROWS >= world_size else 1
    borders = [rank * (size // unit) // world_size * unit for rank in range(world_size)] + [size]
    return [range(first, last) for first, last in pairwise(borders)]


def _share(count: int, shard: Shard) -> range:
    """As even as can be."""
    return range(shard.rank * count // shard.world_size, (shard.rank + 1) * count // shard.world_size)


def _times(units: range, size: int) -> range:
    return range(units.start * size, units.stop * size)
