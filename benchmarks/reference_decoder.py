"""A slow, plain reference of the decoder in float32: no fusing, no blocks, rotary pairs as the file has them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from portico_engine.models.config import read_config
from portico_engine.weights.gguf_file import GGUFFile


class ReferenceDecoder:
    """Logits of a whole sequence at once."""

    def __init__(self, file: GGUFFile) -> None:
        self.config = read_config(file)
        self.weights = {name: torch.from_numpy(file.dequantize(name).copy()) for name in file.tensors}

    def logits(self, tokens: Sequence[int]) -> Tensor:
        """float32 [tokens, vocab_size]."""
        with torch.inference_mode():
            x = self.weights["token_embd.weight"][list(tokens)]
            for i in range(self.config.n_layers):
                x = x + self._attention(x, f"blk.{i}")
                x = x + self._feed_forward(x, f"blk.{i}")
            x = self._norm(x, self.weights["output_norm.weight"])
            return x @ self.weights.get("output.weight", self.weights["token_embd.weight"]).T

    def _attention(self, x: Tensor, at: str) -> Tensor:
        config, n = self.config, x.shape[0]
        x = self._norm(x, self.weights[f"{at}.attn_norm.weight"])
        q = self._project(x, f"{at}.attn_q").view(n, config.n_heads, config.head_dim)
        k = self._project(x, f"{at}.attn_k").view(n, config.n_kv_heads, config.head_dim)
        v = self._project(x, f"{at}.attn_v").view(n, config.n_kv_heads, config.head_dim)
        if f"{at}.attn_q_norm.weight" in self.weights:
            q = self._norm(q, self.weights[f"{at}.attn_q_norm.weight"])
            k = self._norm(k, self.weights[f"{at}.attn_k_norm.weight"])
        q, k = self._rotate(q), self._rotate(k)
        out = torch.empty(n, config.n_heads, config.head_dim)
        hidden = torch.ones(n, n, dtype=torch.bool).triu(1)
        for head in range(config.n_heads):
            shared = head // config.group
            scores = q[:, head] @ k[:, shared].T / config.head_dim**0.5
            out[:, head] = scores.masked_fill(hidden, float("-inf")).softmax(-1) @ v[:, shared]
        return out.view(n, -1) @ self.weights[f"{at}.attn_output.weight"].T

    def _feed_forward(self, x: Tensor, at: str) -> Tensor:
        x = self._norm(x, self.weights[f"{at}.ffn_norm.weight"])
        gate = x @ self.weights[f"{at}.ffn_gate.weight"].T
        up = x @ self.weights[f"{at}.ffn_up.weight"].T
        return (gate * gate.sigmoid() * up) @ self.weights[f"{at}.ffn_down.weight"].T

    def _project(self, x: Tensor, name: str) -> Tensor:
        y = x @ self.weights[f"{name}.weight"].T
        return y + self.weights[f"{name}.bias"] if f"{name}.bias" in self.weights else y

    def _rotate(self, x: Tensor) -> Tensor:
        config = self.config
        frequency = config.rope.base ** (-torch.arange(0, config.head_dim, 2).double() / config.head_dim)
        if "rope_freqs.weight" in self.weights:
            frequency = frequency / self.weights["rope_freqs.weight"].double()
        angle = torch.outer(torch.arange(x.shape[0]).double() / config.rope.linear_factor, frequency).unsqueeze(1)
        cos, sin = angle.cos().float(), angle.sin().float()
        if config.permuted_rotary:  # neighbours are pairs
            a, b = x[..., 0::2], x[..., 1::2]
            return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)
        a, b = x.chunk(2, -1)
        return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.config.norm_eps) * weight
