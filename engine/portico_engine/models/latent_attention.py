"""Multi-head latent attention (DeepSeek-AI 2024, DeepSeek-V2, 2.1): what is cached of a position is one latent vector and one
rotated key for all heads.

It owns the arithmetic before and after the attention over the cache, in the form that leaves the latent vectors compressed:
each head's keys are drawn into its query, its values into what comes out. To the cache it is a single key/value head of the
latent vector and the rotated part; values are the latent vector, padded to that size. It knows no layers' order and no cache.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from portico_engine.models.config import LatentConfig
from portico_engine.models.decoder_weights import LatentWeights

Norm = Callable[[Tensor, Tensor], Tensor]  # x [n, size], weight [size] -> the same
Rotate = Callable[[Tensor], None]  # [n, heads, rope] in place
Attend = Callable[[Tensor, Tensor], Tensor]  # queries [n, heads, dim], keys_values [n, 2, dim] -> [n, heads * dim]


def latent_attention(
    projected: Tensor, weights: LatentWeights, config: LatentConfig, norm: Norm, rotate: Rotate, attend: Attend, scale: float
) -> Tensor:
    """projected [n, query + kv_rank + rope] (queries or their latent vector, then the keys' and values') -> what the heads say,
    [n, heads * value_dim]. `scale` is what scores have beside 1 / sqrt(kv_rank + rope).
    """
    n, n_latent = projected.shape[0], config.kv_rank + config.rope
    first, latent = projected[:, :-n_latent], projected[:, -n_latent:]
    if weights.query_b is not None and weights.query_norm is not None:
        first = weights.query_b(norm(first, weights.query_norm))
    queries = first.view(n, -1, config.plain + config.rope)
    plain, rotated = queries[..., : config.plain], queries[..., config.plain :].contiguous()
    compressed = norm(latent[:, : config.kv_rank], weights.kv_norm)
    key = latent[:, config.kv_rank :].reshape(n, 1, config.rope)
    rotate(rotated)
    rotate(key)
    drawn = torch.einsum("nhd,hdc->nhc", plain, weights.keys)
    keys = torch.cat([compressed.unsqueeze(1), key], -1)
    values = F.pad(compressed.unsqueeze(1), (0, config.rope))
    out = attend(torch.cat([drawn, rotated], -1) * scale, torch.cat([keys, values], 1))
    mixed = out.view(n, -1, n_latent)[..., : config.kv_rank]
    return torch.einsum("nhc,hvc->nhv", mixed, weights.values).reshape(n, -1)
