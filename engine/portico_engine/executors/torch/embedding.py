"""One vector a text from a decoder's last hidden states, without its KV: each text is one pass by itself.

It owns attention within one text, and the pooling. Weights and layers are the decoder's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from portico_engine.errors import RequestError
from portico_engine.models.config import DecoderConfig
from portico_engine.models.decoder import Decoder
from portico_engine.request import Pooling


class CausalAttention:
    """`decoder.Attention` within one text."""

    def __init__(self, config: DecoderConfig) -> None:
        self._config = config

    def __call__(self, layer: int, queries: Tensor, keys_values: Tensor, sinks: Tensor | None = None) -> Tensor:
        heads, n = self._config.n_kv_heads, queries.shape[0]
        q = queries.transpose(0, 1).unsqueeze(0)  # [1, heads, n, head_dim]
        both = keys_values.transpose(0, 1).unsqueeze(0)
        keys, values = both[:, :heads], both[:, heads:]
        mask: Tensor | None = None
        if window := self._config.window(layer):
            at = torch.arange(n, device=q.device)
            apart = at.unsqueeze(1) - at
            mask = torch.zeros(n, n, dtype=q.dtype, device=q.device).masked_fill_(
                (apart < 0) | (apart >= window), float("-inf")
            )
        if sinks is not None:  # a key of zeros in front, whose score they are and whose value is nothing
            keys, values = F.pad(keys, (0, 0, 1, 0)), F.pad(values, (0, 0, 1, 0))
            if mask is None:
                mask = torch.full((n, n), float("-inf"), dtype=q.dtype, device=q.device).triu(1)
            first = sinks.to(q.dtype).view(1, -1, 1, 1).expand(1, -1, n, 1)
            mask = torch.cat([first, mask.expand(1, len(sinks), n, n)], -1)
        out = F.scaled_dot_product_attention(
            q, keys, values, attn_mask=mask, is_causal=mask is None, enable_gqa=self._config.group > 1
        )
        return out[0].transpose(0, 1).reshape(n, -1)

    def recent(self, _layer: int, values: Tensor, count: int) -> Tensor:
        """See `decoder.Attention`."""
        return F.pad(values, (0, 0, count - 1, 0)).unfold(0, count, 1).transpose(1, 2)


def embed_texts(decoder: Decoder, texts: Sequence[Sequence[int]], pooling: Pooling) -> npt.NDArray[np.float32]:
    """texts as tokens -> float32 [len(texts), hidden], not normalized: the mean of the states behind the last norm, or the last
    one. Raises RequestError for a pooling that a decoder has not.
    """
    if pooling not in ("mean", "last"):
        raise RequestError(f"pooling is {pooling!r}; for a decoder it must be mean or last")
    config, weights = decoder.config, decoder.weights
    attend = CausalAttention(config)
    device = weights.norm.device
    out = np.empty((len(texts), config.hidden), np.float32)
    for i, text in enumerate(texts):
        positions = torch.arange(len(text), device=device)
        states = decoder.hidden(torch.tensor(text, device=device), positions, attend).float()
        states = F.rms_norm(
            states if pooling == "mean" else states[-1:], (config.hidden,), weights.norm.float(), config.norm_eps
        )
        out[i] = states.mean(0).cpu().numpy()
    return out
