"""What a block's keys and values become below the device: bfloat16 as they are, or integers of 8 bits with a scale a head.

It owns both forms and their bytes. Encoding and decoding run where the block is, so that a link carries the small form.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from portico_engine.executors.protocol import OffloadDtype
from portico_engine.models.config import DecoderConfig
from portico_engine.plan import BLOCK_TOKENS

_LARGEST = 127


class KVCodec(Protocol):
    """Blocks are bf16 [places, 2 kv_heads, BLOCK_TOKENS, head_dim]; `numerics` is part of the executor's numerics id."""

    block_bytes: int
    numerics: str

    def encode(self, block: Tensor) -> Tensor:
        """A block -> uint8 [block_bytes], in this machine's byte order, on the block's device."""
        ...

    def decode(self, content: Tensor, block: Tensor) -> None:
        """The inverse, into `block`."""
        ...


class BFloat16Codec:
    """As they are."""

    numerics = "kv-bf16"

    def __init__(self, config: DecoderConfig) -> None:
        self.block_bytes = config.kv_bytes_per_token * BLOCK_TOKENS

    def encode(self, block: Tensor) -> Tensor:
        """See `KVCodec`."""
        return block.clone(memory_format=torch.contiguous_format).view(-1).view(torch.uint8)

    def decode(self, content: Tensor, block: Tensor) -> None:
        """See `KVCodec`."""
        block.copy_(content.view(torch.bfloat16).view(block.shape))


class Int8Codec:
    """Symmetric integers with a float32 scale for each head of a block, keys and values apart: scales, then codes.

    Encoding what was decoded gives the same bytes again: a block that moves often loses nothing more.
    """

    numerics = "kv-int8"

    def __init__(self, config: DecoderConfig) -> None:
        heads = config.kv_places[-1] * 2 * config.n_kv_heads
        self._scale_bytes = 4 * heads
        self.block_bytes = self._scale_bytes + heads * BLOCK_TOKENS * config.head_dim

    def encode(self, block: Tensor) -> Tensor:
        """See `KVCodec`."""
        values = block.float()
        scales = values.abs().amax((2, 3), keepdim=True).div_(_LARGEST)
        codes = (values / scales.clamp_min(torch.finfo(torch.float32).tiny)).round_().to(torch.int8)
        return torch.cat([scales.reshape(-1).view(torch.uint8), codes.reshape(-1).view(torch.uint8)])

    def decode(self, content: Tensor, block: Tensor) -> None:
        """See `KVCodec`."""
        scales = content[: self._scale_bytes].view(torch.float32).view(*block.shape[:2], 1, 1)
        block.copy_(content[self._scale_bytes :].view(torch.int8).view(block.shape).float() * scales)


def kv_codec(dtype: OffloadDtype, config: DecoderConfig) -> KVCodec:
    """The form of this name."""
    return Int8Codec(config) if dtype == "int8" else BFloat16Codec(config)
