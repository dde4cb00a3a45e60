"""The decoder without rounding: float32 throughout, through the real loading code, over one sequence."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from portico_engine.kernels import reference
from portico_engine.linear.cpu_linear import CPULinear
from portico_engine.linear.protocol import Linear
from portico_engine.models.config import DecoderConfig, read_config
from portico_engine.models.cpu_weight_loader import CPUWeightLoader
from portico_engine.models.decoder import Decoder
from portico_engine.models.weight_loader import StackedMatrix, permute_rows
from portico_engine.weights.model_file import ModelFile


class WideLoader(CPUWeightLoader):
    """Matrices of the file in float32."""

    dense_dtype = torch.float32

    def dense(self, name: str, n_out: int, n_in: int) -> Tensor:
        self.expect(name, (n_out, n_in))
        return self._float_rows(name)(slice(None)).clone()

    def linear(self, *parts: StackedMatrix, n_in: int) -> Linear:
        weight = torch.cat([permute_rows(self._wide(name, n_out, n_in), order) for name, n_out, order in parts])
        return CPULinear(weight, self._wide_bias(parts))

    def embedding(self, name: str, n_out: int, n_in: int) -> Linear:
        return CPULinear(self._wide(name, n_out, n_in))

    def _wide(self, name: str, n_out: int, n_in: int) -> Tensor:
        self.expect(f"{name}.weight", (n_out, n_in))
        return self._float_rows(f"{name}.weight")(slice(None)).clone()

    def _wide_bias(self, parts: Sequence[StackedMatrix]) -> Tensor | None:
        if all(f"{part.name}.bias" not in self.file.tensors for part in parts):
            return None
        made = [
            permute_rows(self._vector(f"{name}.bias", n_out), order)
            if f"{name}.bias" in self.file.tensors
            else torch.zeros(n_out)
            for name, n_out, order in parts
        ]
        return torch.cat(made)


class WideOps:
    """`FusedOps` without rounding."""

    def add_norm(self, x: Tensor, delta: Tensor | None, weight: Tensor, eps: Tensor) -> Tensor:
        if delta is not None:
            x += delta
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * weight

    def rotate(self, qk: Tensor, cos: Tensor, sin: Tensor) -> None:
        qk.copy_(qk * cos + qk.roll(qk.shape[-1] // 2, -1) * sin)

    def swiglu(self, gate_up: Tensor) -> Tensor:
        gate, up = gate_up.chunk(2, dim=-1)
        return F.silu(gate) * up

    geglu = staticmethod(reference.geglu)
    clamped_swiglu = staticmethod(reference.clamped_swiglu)


class WideAttention:
    """All tokens are one sequence."""

    def __init__(self, config: DecoderConfig) -> None:
        self._config = config

    def __call__(self, layer: int, queries: Tensor, keys_values: Tensor, sinks: Tensor | None = None) -> Tensor:
        n, heads, dim = queries.shape
        keys, values = keys_values.transpose(0, 1).repeat_interleave(self._config.group, 0).chunk(2)
        scores = queries.transpose(0, 1) @ keys.transpose(1, 2) * dim**-0.5
        apart = torch.arange(n).unsqueeze(1) - torch.arange(n)
        window = self._config.window(layer)
        scores.masked_fill_((apart < 0) | (apart >= window if window else apart < 0), float("-inf"))
        if sinks is not None:
            scores = torch.cat([scores, sinks.view(heads, 1, 1).expand(heads, n, 1)], -1)
        return (scores.softmax(-1)[..., :n] @ values).transpose(0, 1).reshape(n, -1)

    def recent(self, _layer: int, values: Tensor, count: int) -> Tensor:
        return F.pad(values, (0, 0, count - 1, 0)).unfold(0, count, 1).transpose(1, 2)


def wide_logits(file: ModelFile, tokens: Sequence[int], context: int = 256) -> Tensor:
    """float32 [tokens, vocab_size]."""
    config = read_config(file)
    with torch.inference_mode():
        decoder = Decoder(config, WideLoader(file, config, codes=False).weights(), context, WideOps())
        hidden = decoder.hidden(torch.tensor(tokens), torch.arange(len(tokens)), WideAttention(config))
        return decoder.logits(hidden)
