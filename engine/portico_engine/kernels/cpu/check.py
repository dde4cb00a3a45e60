"""Does a compiled library say what the twins say? Each operation on a small input, beside plain torch.

    python -m portico_engine.kernels.cpu.check LIBRARY    exit status 1, and what differs, where it does not

`build` runs it in a process of its own, before a library takes its name: a compiler's mistake, or instructions that the machine
does not have, end that process and no user's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from portico_engine.kernels import reference
from portico_engine.kernels.cpu.attention import PagedBatch, key_blocks
from portico_engine.kernels.cpu.layers import DecoderLayers, DecoderSizes, LayerParts
from portico_engine.kernels.cpu.library import KernelLibrary
from portico_engine.kernels.cpu.operations import CPUOperations
from portico_engine.kernels.cpu.product import PackedMatrix
from portico_engine.plan import BLOCK_TOKENS, Row
from portico_engine.quantization.quantized_matrix import QuantizedMatrix

_TOLERANCE = 0.02  # of the largest: two roundings to bfloat16


class _Pair(NamedTuple):
    """What a kernel and its twin say."""

    name: str
    kernel: Tensor
    twin: Tensor


def differences(library: KernelLibrary) -> list[str]:
    """Names of the operations that differ from their twins."""
    return [
        pair.name
        for pair in _pairs(library)
        if not (pair.kernel.float() - pair.twin.float()).abs().max() <= _TOLERANCE * pair.twin.float().abs().max()
    ]


def _pairs(library: KernelLibrary) -> Iterator[_Pair]:
    operations = CPUOperations(library)
    random = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random)

    x, delta, weight, eps = normal(3, 96), normal(3, 96).bfloat16(), normal(96), torch.tensor(1e-5)
    yield _Pair("add_norm", operations.add_norm(x.clone(), delta, weight, eps), reference.add_norm(x, delta, weight, eps))
    wide = normal(3, 192).bfloat16()
    yield _Pair("swiglu", operations.swiglu(wide), reference.swiglu(wide))
    heads, cos, sin = normal(3, 4, 32).bfloat16(), normal(3, 1, 32), normal(3, 1, 32)
    yield _Pair("rotate", *(_in_place(rotate, heads, cos, sin) for rotate in (operations.rotate, reference.rotate)))
    for dim in (16, 64):
        for window in (0, 40):
            yield _Pair(f"attention of {dim}", *_attention(library, normal, dim, window))
    yield _Pair("layers", *_layers(library, normal))
    for bits, group, offset in ((4, 32, True), (4, 64, False), (8, 16, False), (6, 32, True)):
        codes = torch.randint(0, 1 << bits, (48, 128), generator=random, dtype=torch.uint8)
        scale = normal(48, 128 // group)
        matrix = QuantizedMatrix(codes, scale, normal(*scale.shape) if offset else None, bits, 1 << (bits - 1))
        rows = normal(3, 128).bfloat16()
        out = torch.empty(3, 48)
        PackedMatrix(library, matrix).multiply(rows, out)
        yield _Pair(f"product of {bits} bits", out, rows.float() @ matrix.dequantize().T)


def _in_place(rotate: Callable[[Tensor, Tensor, Tensor], None], heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    own = heads.clone()
    rotate(own, cos, sin)
    return own


def _attention(library: KernelLibrary, normal: Callable[..., Tensor], dim: int, window: int) -> tuple[Tensor, Tensor]:
    """Two rows of a layer with groups of two heads: 21 tokens after 150, and one after 300; every third block is a row's."""
    rows = [Row(0, (0,) * 21, 150, tuple(range(0, 33, 3))), Row(1, (0,), 300, tuple(range(1, 58, 3)))]
    queries, keys_values = normal(22, 4, dim).bfloat16(), normal(22, 4, dim).bfloat16()
    kv = normal(1, 4, 60 * BLOCK_TOKENS, dim).bfloat16()
    twin = kv[0].clone()
    kv[:, :2] = key_blocks(kv[:, :2])
    said = PagedBatch(library, rows, kv).attend(0, queries, keys_values, window)
    tables = torch.zeros(2, 20, dtype=torch.int32)
    for i, row in enumerate(rows):
        tables[i, : len(row.block_table)] = torch.tensor(row.block_table)
    positions = torch.tensor([*range(150, 171), 300], dtype=torch.int32)
    owners = torch.tensor([0] * 21 + [1], dtype=torch.int32)
    reference.store(twin, keys_values, positions, owners, tables)
    return said, reference.paged_attention(queries, twin, positions, owners, tables, window)


def _layers(library: KernelLibrary, normal: Callable[..., Tensor]) -> tuple[Tensor, Tensor]:
    """Two layers of groups of two heads, the second without rotation, over five tokens of one sequence and one of another."""
    sizes, eps = DecoderSizes(64, 96, 4, 2, 16), torch.tensor(1e-5)
    rows = [Row(0, (0,) * 5, 0, (3,)), Row(1, (0,), 0, (1,))]
    x, kv = normal(6, 64), torch.zeros(2, 4, 4 * BLOCK_TOKENS, 16, dtype=torch.bfloat16)
    cos, sin = normal(6, 1, 16), normal(6, 1, 16)
    twin, layers = x.clone(), []
    own = torch.tensor([[i // 5 == j // 5 and j <= i for j in range(6)] for i in range(6)])
    for i in range(2):
        shapes = ((128, 64), (64, 64), (192, 64), (64, 96))
        matrices = [
            QuantizedMatrix(
                ((normal(*shape) * 3).round() + 8).clamp(0, 15).byte(), normal(shape[0], shape[1] // 32) / 24, None, 4, 8
            )
            for shape in shapes
        ]
        qkv, out, gate_up, down = ([PackedMatrix(library, matrix)] for matrix in matrices)
        norms = normal(64), normal(64)
        layers.append(LayerParts(norms[0], qkv, out, norms[1], gate_up, down, kv[i], None, 0, i == 0))
        weights = [matrix.dequantize().T for matrix in matrices]
        heads = (reference.add_norm(twin, None, norms[0], eps).float() @ weights[0]).bfloat16().view(6, 8, 16)
        if i == 0:
            reference.rotate(heads[:, :6], cos, sin)
        queries, keys, values = (part.float().transpose(0, 1) for part in (heads[:, :4], heads[:, 4:6], heads[:, 6:]))
        keys, values = keys.repeat_interleave(2, 0), values.repeat_interleave(2, 0)
        said = torch.nn.functional.scaled_dot_product_attention(queries, keys, values, attn_mask=own)
        twin += said.transpose(0, 1).reshape(6, 64) @ weights[1]
        inner = (reference.add_norm(twin, None, norms[1], eps).float() @ weights[2]).bfloat16()
        twin += reference.swiglu(inner).float() @ weights[3]
    DecoderLayers(library, sizes, eps, layers).run(x, (cos, sin, cos, sin), PagedBatch(library, rows, kv))
    return x, twin


def main() -> int:
    """The command."""
    found = differences(KernelLibrary(Path(sys.argv[1])))
    if found:
        print(f"error: {', '.join(found)} differ from plain torch", file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
