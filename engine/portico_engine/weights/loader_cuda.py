"""A GGUF file's tensors as a decoder's weights on a GPU, in the formats that they have in the file.

It owns which tensors keep their codes, and how much memory they all take. `weights.loader` does the rest.
"""

from __future__ import annotations

from math import prod

import torch
from gguf import GGMLQuantizationType as Q
from torch import Tensor

from portico_engine.kernels.quantized_layout import Packed, pack
from portico_engine.weights.blocks import FORMATS, read_blocks
from portico_engine.weights.gguf_file import GGUFFile
from portico_engine.weights.linear import Product
from portico_engine.weights.linear_cuda import CudaLinear, QuantizedLinear
from portico_engine.weights.loader import Reader, ordered

_BFLOAT16 = 16
_SCALE = 16  # bits of a scale or an offset


class CudaReader(Reader):
    """`Reader` for a GPU. Matrices of a format that has no codes here become bfloat16."""

    def linear(self, *parts: tuple[str, int, Tensor | None], n_in: int) -> Product:
        kinds = [self.file.tensors[f"{name}.weight"].type for name, _, _ in parts if f"{name}.weight" in self.file.tensors]
        if not self.codes or len(kinds) < len(parts) or not FORMATS.keys() >= set(kinds):
            return CudaLinear(self.stacked(parts, n_in), self.biases(parts))
        packed: list[Packed] = []
        at = 0
        while at < len(parts):  # neighbours of one format are one product
            same = next((i for i in range(at, len(parts)) if kinds[i] != kinds[at]), len(parts))
            packed.append(self._packed(parts[at:same], kinds[at], n_in))
            at = same
        return QuantizedLinear(packed, self.biases(parts))

    def embedding(self, name: str, n_out: int, n_in: int) -> Product:
        return self.linear((name, n_out, None), n_in=n_in)

    def _packed(self, parts: tuple[tuple[str, int, Tensor | None], ...], kind: Q, n_in: int) -> Packed:
        rows = []
        for name, n_out, order in parts:
            self.expect(f"{name}.weight", (n_out, n_in))
            raw = torch.from_numpy(self.file.raw(f"{name}.weight").copy()).to(self.device)
            rows.append(ordered(raw, order))
        return pack(read_blocks(torch.cat(rows), kind))


def device_bytes(file: GGUFFile) -> int:
    """Memory that the file's tensors take on a GPU."""
    return sum(prod(info.shape) * _bits_per_weight(info.type) for info in file.tensors.values()) // 8


def _bits_per_weight(kind: Q) -> float:
    if kind not in FORMATS:
        return _BFLOAT16
    ...
