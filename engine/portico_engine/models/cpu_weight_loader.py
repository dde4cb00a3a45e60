"""A model file's tensors as a decoder's weights on a CPU: bfloat16, and quantized matrices as their codes beside it.

It owns the form of linear layers there. `weight_loader` reads the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

import torch
from torch import Tensor

from portico_engine.kernels.cpu.library import KernelLibrary
from portico_engine.kernels.cpu.product import PRODUCT_GROUPS, PRODUCT_ROWS, PackedMatrix
from portico_engine.linear.cpu_codes import CodesProduct, Int4Product, KernelProduct
from portico_engine.linear.cpu_linear import CPULinear
from portico_engine.linear.int4 import INT4_GROUPS, Int4Matrix, int4_terms
from portico_engine.linear.protocol import Linear
from portico_engine.models.config import DecoderConfig
from portico_engine.models.weight_loader import StackedMatrix, WeightLoader, permute_rows
from portico_engine.quantization.quantized_matrix import QuantizedMatrix, quantize_8bit, stack_rows
from portico_engine.weights.model_file import ModelFile


class CPUWeightLoader(WeightLoader):
    """bfloat16, with codes beside it where `codes` allows and all parts are quantized: as the kernels read them, or as sums of
    4-bit matrices.
    """

    def __init__(self, file: ModelFile, config: DecoderConfig, *, codes: bool, kernels: KernelLibrary | None = None) -> None:
        super().__init__(file, config, codes=codes, device="cpu")
        self._kernels = kernels

    def linear(self, *parts: StackedMatrix, n_in: int) -> Linear:
        weight, bias = self.stacked(parts, n_in), self.biases(parts)
        if not self.codes or not self.all_quantized(parts) or any(part.n_out % PRODUCT_ROWS for part in parts):
            return CPULinear(weight, bias)
        if self._kernels is not None:
            return CPULinear(weight, bias, self._kernel_product(self._kernels, parts, bias))
        return CPULinear(weight, bias, self._int4_product(parts, n_in, bias))

    def embedding(self, name: str, n_out: int, n_in: int) -> Linear:
        return CPULinear(self.matrix(f"{name}.weight", n_out, n_in))

    def _kernel_product(self, kernels: KernelLibrary, parts: Sequence[StackedMatrix], bias: Tensor | None) -> CodesProduct:
        matrices: list[QuantizedMatrix] = []
        for part in parts:
            matrix = self.quantized(f"{part.name}.weight", group_sizes=PRODUCT_GROUPS)
            matrices.append(matrix if part.order is None else matrix.with_rows(part.order))
        stacked = stack_rows(matrices)
        biases = [None] * len(stacked) if bias is None else torch.split(bias, [matrix.codes.shape[0] for matrix in stacked])
        return KernelProduct([PackedMatrix(kernels, matrix, own) for matrix, own in zip(stacked, biases, strict=True)])

    def _int4_product(self, parts: Sequence[StackedMatrix], n_in: int, bias: Tensor | None) -> CodesProduct:
        matrices = _alike([self.quantized(f"{part.name}.weight", group_sizes=INT4_GROUPS) for part in parts])
        return Int4Product(self._int4_terms(parts, matrices, n_in), bias, matrices[0].order)

    def _int4_terms(
        self, parts: Sequence[StackedMatrix], matrices: Sequence[QuantizedMatrix], n_in: int
    ) -> Iterator[Int4Matrix]:
        n_groups = matrices[0].scale.shape[1]
        terms = (_terms_of(part, matrix) for part, matrix in zip(parts, matrices, strict=True))
        for together in zip_longest(*terms):
            made = [
                Int4Matrix.zeros(part.n_out, n_in, n_groups, self.device) if one is None else one
                for one, part in zip(together, parts, strict=True)
            ]
            yield Int4Matrix(torch.cat([codes for codes, _ in made]), torch.cat([scales for _, scales in made], 1))


def _terms_of(part: StackedMatrix, matrix: QuantizedMatrix) -> Iterator[Int4Matrix]:
    for codes, scales in int4_terms(matrix):
        yield Int4Matrix(permute_rows(codes, part.order), scales if part.order is None else scales[:, part.order])


def _alike(matrices: Sequence[QuantizedMatrix]) -> list[QuantizedMatrix]:
    """With one order of columns and one size of groups, as one product takes them."""
    first = matrices[0].order
    same = all(
        (m.order is None) == (first is None) and (first is None or m.order is None or torch.equal(m.order, first))
        for m in matrices
    )
    if not same:
        return _alike([m if m.order is None else quantize_8bit(m.dequantize()) for m in matrices])
    group_size = min(matrix.group_size for matrix in matrices)
    return [matrix.regrouped(group_size) for matrix in matrices]
