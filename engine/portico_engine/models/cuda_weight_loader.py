"""A model file's tensors as a decoder's weights on a GPU: quantized matrices keep their codes.

It owns the form of linear layers there. `weight_loader` reads the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import torch
from torch import Tensor

from portico_engine.errors import ModelError
from portico_engine.fallbacks import Fallbacks
from portico_engine.kernels.quantized_layout import TILE_ROWS, TiledMatrix, pack_tiles
from portico_engine.kernels.quantized_matmul import precompile, precompile_experts
from portico_engine.linear.cuda_experts import QuantizedExperts, WideExperts
from portico_engine.linear.cuda_float8 import CUDAFloat8Linear
from portico_engine.linear.cuda_linear import CUDALinear, CUDAQuantizedLinear
from portico_engine.linear.protocol import ExpertsLinear, Linear
from portico_engine.models.config import DecoderConfig, ExpertsConfig
from portico_engine.models.decoder_weights import DecoderWeights, ExpertsWeights, StackedExperts
from portico_engine.models.weight_loader import Progress, StackedMatrix, WeightLoader, permute_rows
from portico_engine.quantization.packing import Packing
from portico_engine.quantization.quantized_matrix import QuantizedMatrix, quantize_8bit
from portico_engine.weights.model_file import ModelFile

_GROUP_SIZES = (16, 32, 64, 128)
_FLOAT8_BLOCK = 128


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
        host_layers: int = 0,
    ) -> None:
        """`copies` keeps bfloat16 beside the codes, for prefills and wide batches. `fallbacks` hears of codes that are lost.
        The experts of the last `host_layers` stay in this machine's memory, where kernels read those that are needed.
        """
        super().__init__(file, config, codes=codes, device=device)
        self._copies = copies
        self._host_layers = host_layers
        self._fallbacks = fallbacks or Fallbacks()

    def weights(self, progress: Progress | None = None) -> DecoderWeights:
        """`WeightLoader.weights`, and the kernels for them compiled."""
        weights = super().weights(progress)
        linears = [*((linear, torch.bfloat16) for linear in weights.linears()), (weights.head, torch.float32)]
        precompile(
            (part, dtype) for linear, dtype in linears if isinstance(linear, CUDAQuantizedLinear) for part in linear.parts
        )
        precompile_experts(_expert_matrices(weights))
        return weights

    def linear(self, *parts: StackedMatrix, n_in: int) -> Linear:
        return self._linear(parts, n_in, copy=self._copies)

    def embedding(self, name: str, n_out: int, n_in: int) -> Linear:
        return self._linear((StackedMatrix(name, n_out),), n_in, copy=False)

    def _linear(self, parts: tuple[StackedMatrix, ...], n_in: int, *, copy: bool) -> Linear:
        if self.codes and all(self._is_float8(part) for part in parts):
            return self._float8(parts, n_in)
        if not self.codes or not self.all_quantized(parts):
            if self.codes and any(self.all_quantized([part]) for part in parts):
                self._fallbacks.record("weights", f"{parts[0].name} and what is stacked with it are not all quantized")
            return CUDALinear(self.stacked(parts, n_in), self.biases(parts))
        read = [self._quantized(part, n_in) for part in parts]
        return CUDAQuantizedLinear([_pack(list(alike)) for _, alike in groupby(read, _form)], self.biases(parts), copy=copy)

    def experts(self, at: str, experts: ExpertsConfig) -> StackedExperts:
        """Codes of all experts in one matrix, or bfloat16."""
        hidden, size = self.config.hidden, experts.feed_forward
        gate_up = [(f"{at}.ffn_gate.{i}", f"{at}.ffn_up.{i}") for i in experts.own]
        down = [(f"{at}.ffn_down.{i}",) for i in experts.own]
        return StackedExperts(self._stacked_experts(gate_up, size, hidden), self._stacked_experts(down, hidden, size))

    def _stacked_experts(self, experts: Sequence[Sequence[str]], n_out: int, n_in: int) -> ExpertsLinear:
        """Each expert's matrices [n_out, n_in], one below the other."""
        parts = [[StackedMatrix(name, n_out) for name in names] for names in experts]
        biases = [self.biases(of_expert) for of_expert in parts]
        bias = torch.stack([one for one in biases if one is not None]) if biases[0] is not None else None
        flat = [part for of_expert in parts for part in of_expert]
        if not self.codes or not self.all_quantized(flat) or n_out % TILE_ROWS:
            return WideExperts(torch.stack([self.stacked(of_expert, n_in) for of_expert in parts]), bias)
        read = [self._quantized(part, n_in) for part in flat]
        if len({_form(matrix) for matrix in read}) > 1:
            read = [quantize_8bit(matrix.dequantize()) for matrix in read]
        matrix = _pack(read)
        if self._host_layers > 0 and int(flat[0].name.split(".")[1]) >= self.config.n_layers - self._host_layers:
            matrix = replace(
                matrix,
                low=_on_host(matrix.low),
                high=None if matrix.high is None else _on_host(matrix.high),
                scales=_on_host(matrix.scales),
            )
        return QuantizedExperts(matrix, len(experts), bias)

    def _is_float8(self, part: StackedMatrix) -> bool:
        info = self.file.tensors.get(f"{part.name}.weight")
        return info is not None and isinstance(info.type, Packing) and info.type.method == "FP8"

    def _float8(self, parts: tuple[StackedMatrix, ...], n_in: int) -> Linear:
        """bfloat16 where that can't be."""
        read = [self._float8_part(part, n_in) for part in parts]
        bias = self.biases(parts)
        by_blocks = any(scale.shape[1] > 1 or scale.shape[0] != weight.shape[0] for weight, scale in read)
        try:
            if by_blocks and any(part.order is not None or part.n_out % _FLOAT8_BLOCK for part in parts):
                raise RuntimeError("blocks of rows don't follow each other")
            weight, scale = (torch.cat(tensors) for tensors in zip(*read, strict=True))
            return CUDAFloat8Linear(weight.view(torch.float8_e4m3fn), scale, bias, by_blocks=by_blocks)
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            self._fallbacks.record("weights", f"{parts[0].name} has no float8 product here ({str(error).splitlines()[0]})")
            return CUDALinear(self.stacked(parts, n_in), bias)

    def _float8_part(self, part: StackedMatrix, n_in: int) -> tuple[Tensor, Tensor]:
        """The bytes of float8 [out, in]; its scales, [out, 1] or [out / 128, in / 128]."""
        name = f"{part.name}.weight"
        self.expect(name, (part.n_out, n_in))
        info = self.file.tensors[name]
        assert info.packed is not None
        assert isinstance(info.type, Packing)
        arrays = self.arrays(name)
        weight, scale = arrays["weight"].view(torch.uint8)[info.packed.rows], arrays["scale"].float()
        self.check_finite(name, scale)
        if info.type.block is None:
            whole = scale.reshape(-1, 1).expand(info.packed.shape[0], 1)
            return permute_rows(weight, part.order), permute_rows(whole[info.packed.rows], part.order)
        if info.type.block != (_FLOAT8_BLOCK, _FLOAT8_BLOCK) or info.packed.rows != slice(None):
            raise ModelError(
                f"{self.file.path}: {name} has float8 blocks of {info.type.block}; 128 by 128 are supported on a GPU"
            )
        return weight, scale

    def _quantized(self, part: StackedMatrix, n_in: int) -> QuantizedMatrix:
        name = f"{part.name}.weight"
        self.expect(name, (part.n_out, n_in))
        matrix = self.quantized(name, _GROUP_SIZES)
        for numbers in (matrix.scale, matrix.offset):
            if numbers is not None:
                self.check_finite(name, numbers.half())  # as they are kept
        return matrix._replace(
            codes=permute_rows(matrix.codes, part.order),
            scale=permute_rows(matrix.scale, part.order),
            offset=None if matrix.offset is None else permute_rows(matrix.offset, part.order),
        )


def _expert_matrices(weights: DecoderWeights) -> Iterator[tuple[TiledMatrix, torch.dtype]]:
    """And what a product with each is made in."""
    for layer in weights.layers:
        if isinstance(layer.feed_forward, ExpertsWeights) and isinstance(layer.feed_forward.experts, StackedExperts):
            stacked = layer.feed_forward.experts
            for linear, dtype in ((stacked.gate_up, torch.bfloat16), (stacked.down, torch.float32)):
                if isinstance(linear, QuantizedExperts):
                    yield linear.matrix, dtype


def _on_host(values: Tensor) -> Tensor:
    """In memory that kernels can read over the bus."""
    return torch.empty(values.shape, dtype=values.dtype, pin_memory=True).copy_(values)


def _form(matrix: QuantizedMatrix) -> tuple[object, ...]:
    """What neighbours must have in common to be one matrix."""
    table, order = (None if part is None else tuple(part.tolist()) for part in (matrix.table, matrix.order))
    return matrix.bits, matrix.zero_point, matrix.group_size, matrix.offset is not None, table, order


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
