"""The decoder's fused operations in plain torch, on any device: the CPU's path, and what the kernels are tested against.

It owns arithmetic only. `kernels.fused` has the same functions as Triton kernels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from portico_engine.plan import BLOCK_TOKENS

_WORD = 32  # bits
SWIGLU_ALPHA, SWIGLU_LIMIT = 1.702, 7.0
FLOAT8_LARGEST = 448.0  # number of float8_e4m3fn


def add_norm(x: Tensor, delta: Tensor | None, weight: Tensor, eps: Tensor) -> Tensor:
    """x float32 [n, hidden] += delta bf16 [n, hidden]; then its RMS norm (Zhang & Sennrich 2019) times weight, bf16.

    By way of the vector norm: a third faster than torch's own, which is composed. `eps` float32 [].
    """
    if delta is not None:
        x += delta
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    scale = torch.addcmul(eps, length, length, value=1 / x.shape[-1]).rsqrt_()
    return (x * scale).mul_(weight).to(torch.bfloat16)


def rotate(qk: Tensor, cos: Tensor, sin: Tensor) -> None:
    """Rotary embedding in place: qk [n, heads, head_dim]; cos, sin float32 [n, 1, head_dim], sin with the sign of the half that
    it multiplies."""
    wide = qk.float()
    qk.copy_(torch.addcmul(wide * cos, wide.roll(qk.shape[-1] // 2, -1), sin))


def swiglu(gate_up: Tensor) -> Tensor:
    """gate_up bf16 [n, 2 feed_forward] -> silu(gate) * up, bf16 [n, feed_forward] (Shazeer 2020)."""
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate) * up


def geglu(gate_up: Tensor) -> Tensor:
    """The same with the tangent form of GELU (Hendrycks & Gimpel 2016) in place of silu."""
    gate, up = gate_up.chunk(2, dim=-1)
    return F.gelu(gate, approximate="tanh") * up


def clamped_swiglu(gate_up: Tensor) -> Tensor:
    """min(gate, 7) sigmoid(1.702 gate) (up + 1), up within 7 of zero: gpt-oss's (OpenAI 2025)."""
    gate, up = gate_up.chunk(2, dim=-1)
    gate, up = gate.clamp(max=SWIGLU_LIMIT), up.clamp(-SWIGLU_LIMIT, SWIGLU_LIMIT)
    return gate * torch.sigmoid(gate * SWIGLU_ALPHA) * (up + 1)


def masked_argmax(logits: Tensor, masks: Tensor | None, *, write: bool) -> Tensor:
    """Of each row of logits float32 [n, vocab_size] the likeliest token that its mask allows, and its logit: float64 [2, n].

    masks int32 [n, 1 + words]: is the row masked? then a bit a token; tokens beyond the last word are refused. The logit is no
    number where any allowed one is none, and -inf where none is allowed. `write` leaves -inf in place of what is refused.
    """
    if masks is not None:
        bits = (masks[:, 1:].unsqueeze(-1) >> torch.arange(_WORD, dtype=torch.int32, device=masks.device)) & 1
        refused = bits.flatten(1)[:, : logits.shape[1]] == 0
        refused = F.pad(refused, (0, logits.shape[1] - refused.shape[1]), value=True) & (masks[:, :1] != 0)
        logits = logits.masked_fill_(refused, float("-inf")) if write else logits.masked_fill(refused, float("-inf"))
    best, tokens = logits.max(dim=-1)
    return torch.stack([tokens.double(), best.double()])


def store(kv: Tensor, keys_values: Tensor, positions: Tensor, rows: Tensor, tables: Tensor) -> None:
    """Write new positions into their blocks.

    kv bf16 [2 kv_heads, slots, head_dim]; keys_values [n, 2 kv_heads, head_dim]; positions int32 [n], negative ones are
    skipped; rows int32 [n], whose block table each token has; tables int32 [rows, blocks].
    """
    real = positions >= 0
    at = positions[real].long()
    blocks = tables[rows[real].long(), at // BLOCK_TOKENS].long()
    kv.index_copy_(1, blocks * BLOCK_TOKENS + at % BLOCK_TOKENS, keys_values[real].transpose(0, 1))


def paged_attention(
    queries: Tensor,
    kv: Tensor,
    positions: Tensor,
    rows: Tensor,
    tables: Tensor,
    window: int = 0,
    sinks: Tensor | None = None,
) -> Tensor:
    """Each token attends to its own position and all before it, or to the last `window` of them.

    queries bf16 [n, heads, head_dim]; kv, positions, rows, tables as in `store` -> bf16 [n, heads * head_dim], zeros where
    the position is negative. `sinks` float32 [heads] are scores of nothing.
    """
    n, heads, dim = queries.shape
    kv_heads = kv.shape[0] // 2
    out = torch.zeros(n, heads, dim, dtype=queries.dtype, device=queries.device)
    for token, position in enumerate(positions.tolist()):
        if position < 0:
            continue
        seen = torch.arange(max(0, position + 1 - window) if window else 0, position + 1, device=kv.device)
        slots = tables[rows[token], seen // BLOCK_TOKENS].long() * BLOCK_TOKENS + seen % BLOCK_TOKENS
        keys, values = kv[:kv_heads, slots].float(), kv[kv_heads:, slots].float()
        grouped = queries[token].view(kv_heads, heads // kv_heads, dim).float()
        scores = grouped @ keys.transpose(1, 2) * dim**-0.5
        shares = scores if sinks is None else torch.cat([scores, sinks.view(kv_heads, -1, 1).float()], -1)
        out[token] = (shares.softmax(-1)[..., : len(seen)] @ values).view(heads, dim).to(queries.dtype)
    return out.view(n, -1)


def quantize_float8(x: Tensor, group: int) -> tuple[Tensor, Tensor]:
    """x bf16 [n, in] as float8_e4m3fn, and float32 [n, groups] of `group` columns that it is to be multiplied with: the largest
    of each becomes 448. Scales lie with all rows of a group together, as torch's product by blocks takes them.
    """
    groups = F.pad(x.float(), (0, -x.shape[1] % group)).view(x.shape[0], -1, group)
    scales = groups.abs().amax(-1).clamp_min(1e-12) / FLOAT8_LARGEST
    values = (groups / scales.unsqueeze(-1)).flatten(1)[:, : x.shape[1]]
    return values.to(torch.float8_e4m3fn), scales.T.contiguous().T
