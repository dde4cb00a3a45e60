"""A model file's tensors as a decoder's weights on a GPU: quantized matrices keep their codes.

It owns the form of products there. `weights.loader` reads the file.
"""

from __future__ import annotations

from itertools import groupby

import torch

from portico_engine.kernels.quantized_layout import Packed, pack
from portico_engine.kernels.quantized_matmul import prepare
from portico_engine.linear.cpu_linear import Product
from portico_engine.linear.cuda_linear import CudaLinear, QuantizedLinear
from portico_engine.models.config import DecoderConfig
from portico_engine.models.decoder_weights import DecoderWeights
from portico_engine.models.weight_loader import Part, Progress, Reader, ordered
from portico_engine.quantization.block_formats import Affine
from portico_engine.weights.model_file import ModelFile

_GROUPS = (16, 32)


class CudaReader(Reader):
    """Codes where all parts are quantized and `codes` allows, else bfloat16."""

    def __init__(self, file: ModelFile, config: DecoderConfig, *, codes: bool, copies: bool, device: str) -> None:
        """`copies` keeps bfloat16 beside the codes, for prefills and wide batches."""
        super().__init__(file, config, codes=codes, device=device)
        self._copies = copies

    def weights(self, progress: Progress | None = None) -> DecoderWeights:
        """`Reader.weights`, and the kernels for them compiled."""
        weights = super().weights(progress)
        products = [*((product, torch.bfloat16) for product in weights.products()), (weights.head, torch.float32)]
        prepare((part, dtype) for made, dtype in products if isinstance(made, QuantizedLinear) for part in made.parts)
        return weights

    def linear(self, *parts: Part, n_in: int) -> Product:
        return self._product(parts, n_in, copy=self._copies)

    def embedding(self, name: str, n_out: int, n_in: int) -> Product:
        return self._product((Part(name, n_out),), n_in, copy=False)

    def _product(self, parts: tuple[Part, ...], n_in: int, *, copy: bool) -> Product:
        if not self.codes or not self.all_quantized(parts):
            return CudaLinear(self.stacked(parts, n_in), self.biases(parts))
        read = [self._affine(part, n_in) for part in parts]
        return QuantizedLinear([_pack(list(alike)) for _, alike in groupby(read, _form)], self.biases(parts), copy=copy)

    def _affine(self, part: Part, n_in: int) -> Affine:
        name = f"{part.name}.weight"
        self.expect(name, (part.n_out, n_in))
        codes, scale, offset, bits, zero = self.affine(name, _GROUPS)
        self.check_finite(name, scale.half())  # as it is kept
        if offset is not None:
            self.check_finite(name, offset.half())
            offset = ordered(offset, part.order)
        return Affine(ordered(codes, part.order), ordered(scale, part.order), offset, bits, zero)


def _form(matrix: Affine) -> tuple[int, int, int, bool]:
    return matrix.bits, matrix.zero, matrix.group, matrix.offset is not None


def _pack(alike: list[Affine]) -> Packed:
    """Neighbours of one format are one matrix."""
    offsets = [matrix.offset for matrix in alike if matrix.offset is not None]
    return pack(
        alike[0]._replace(
            codes=torch.cat([matrix.codes for matrix in alike]),
            scale=torch.cat([matrix.scale for matrix in alike]),
            offset=torch.cat(offsets) if offsets else None,
        )
    )
