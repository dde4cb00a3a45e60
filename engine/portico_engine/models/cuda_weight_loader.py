"""A model file's tensors as a decoder's weights on a GPU: quantized matrices keep their codes.

It owns the form of linear layers there. `weight_loader` reads the file.
"""

from __future__ import annotations

from itertools import groupby

import torch

from portico_engine.fallbacks import Fallbacks
from portico_engine.kernels.quantized_layout import TiledMatrix, pack_tiles
from portico_engine.kernels.quantized_matmul import precompile
from portico_engine.linear.cuda_linear import CUDALinear, CUDAQuantizedLinear
from portico_engine.linear.protocol import Linear
from portico_engine.models.config import DecoderConfig
from portico_engine.models.decoder_weights import DecoderWeights
from portico_engine.models.weight_loader import Progress, StackedMatrix, WeightLoader, permute_rows
from portico_engine.quantization.quantized_matrix import QuantizedMatrix
from portico_engine.weights.model_file import ModelFile

_GROUP_SIZES = (16, 32)


class CUDAWeightLoader(WeightLoader):
    """Codes where all parts are quantized and `codes` allows, else bfloat16."""

    def __init__(
        self,
        file: ModelFile,
        config: DecoderConfig,
        *,
        codes: bool,
        copies: bool,
        device: str,
        fallbacks: Fallbacks | None = None,
    ) -> None:
        """`copies` keeps bfloat16 beside the codes, for prefills and wide batches. `fallbacks` hears of codes that are lost."""
        super().__init__(file, config, codes=codes, device=device)
        self._copies = copies
        self._fallbacks = fallbacks or Fallbacks()

    def weights(self, progress: Progress | None = None) -> DecoderWeights:
        """`WeightLoader.weights`, and the kernels for them compiled."""
        weights = super().weights(progress)
        linears = [*((linear, torch.bfloat16) for linear in weights.linears()), (weights.head, torch.float32)]
        precompile(
            (part, dtype) for linear, dtype in linears if isinstance(linear, CUDAQuantizedLinear) for part in linear.parts
        )
        return weights

    def linear(self, *parts: StackedMatrix, n_in: int) -> Linear:
        return self._linear(parts, n_in, copy=self._copies)

    def embedding(self, name: str, n_out: int, n_in: int) -> Linear:
        return self._linear((StackedMatrix(name, n_out),), n_in, copy=False)

    def _linear(self, parts: tuple[StackedMatrix, ...], n_in: int, *, copy: bool) -> Linear:
        if not self.codes or not self.all_quantized(parts):
            if self.codes and any(self.all_quantized([part]) for part in parts):
                self._fallbacks.record("weights", f"{parts[0].name} and what is stacked with it are not all quantized")
            return CUDALinear(self.stacked(parts, n_in), self.biases(parts))
        read = [self._quantized(part, n_in) for part in parts]
        return CUDAQuantizedLinear([_pack(list(alike)) for _, alike in groupby(read, _form)], self.biases(parts), copy=copy)

    def _quantized(self, part: StackedMatrix, n_in: int) -> QuantizedMatrix:
        name = f"{part.name}.weight"
        self.expect(name, (part.n_out, n_in))
        codes, scale, offset, bits, zero_point = self.quantized(name, _GROUP_SIZES)
        self.check_finite(name, scale.half())  # as it is kept
        if offset is not None:
            self.check_finite(name, offset.half())
            offset = permute_rows(offset, part.order)
        return QuantizedMatrix(permute_rows(codes, part.order), permute_rows(scale, part.order), offset, bits, zero_point)


def _form(matrix: QuantizedMatrix) -> tuple[int, int, int, bool]:
    return matrix.bits, matrix.zero_point, matrix.group_size, matrix.offset is not None


def _pack(alike: list[QuantizedMatrix]) -> TiledMatrix:
    """Neighbours of one format are one matrix."""
    offsets = [matrix.offset for matrix in alike if matrix.offset is not None]
    return pack_tiles(
        alike[0]._replace(
            codes=torch.cat([matrix.codes for matrix in alike]),
            scale=torch.cat([matrix.scale for matrix in alike]),
            offset=torch.cat(offsets) if offsets else None,
        )
    )
