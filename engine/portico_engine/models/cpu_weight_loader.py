"""A model file's tensors as a decoder's weights on a CPU: bfloat16, and quantized matrices as sums of 4-bit ones beside it.

It owns the form of linear layers there. `weight_loader` reads the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

import torch

from portico_engine.linear.cpu_linear import CPULinear
from portico_engine.linear.int4 import Int4Matrix, int4_terms
from portico_engine.linear.protocol import Linear
from portico_engine.models.config import DecoderConfig
from portico_engine.models.weight_loader import StackedMatrix, WeightLoader, permute_rows
from portico_engine.quantization.quantized_matrix import GROUP_SIZE
from portico_engine.weights.model_file import ModelFile


class CPUWeightLoader(WeightLoader):
    """bfloat16, with copies as sums of 4-bit matrices where `codes` allows and all parts are quantized."""

    def __init__(self, file: ModelFile, config: DecoderConfig, *, codes: bool) -> None:
        super().__init__(file, config, codes=codes, device="cpu")

    def linear(self, *parts: StackedMatrix, n_in: int) -> Linear:
        return CPULinear(self.stacked(parts, n_in), self.biases(parts), self._int4_terms(parts, n_in))

    def embedding(self, name: str, n_out: int, n_in: int) -> Linear:
        return CPULinear(self.matrix(f"{name}.weight", n_out, n_in))

    def _int4_terms(self, parts: tuple[StackedMatrix, ...], n_in: int) -> Iterator[Int4Matrix]:
        if not self.codes or not self.all_quantized(parts) or any(part.n_out % 16 for part in parts):
            return
        for together in zip_longest(*(self._terms_of(part) for part in parts)):
            made = [
                Int4Matrix.zeros(part.n_out, n_in, self.device) if one is None else one
                for one, part in zip(together, parts, strict=True)
            ]
            yield Int4Matrix(torch.cat([codes for codes, _ in made]), torch.cat([scales for _, scales in made], 1))

    def _terms_of(self, part: StackedMatrix) -> Iterator[Int4Matrix]:
        for codes, scales in int4_terms(self.quantized(f"{part.name}.weight", group_sizes=(GROUP_SIZE,))):
            yield Int4Matrix(permute_rows(codes, part.order), scales if part.order is None else scales[:, part.order])
