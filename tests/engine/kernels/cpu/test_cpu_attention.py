"""The CPU's attention beside its twin, and what a token's result must not depend on."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from portico_engine.kernels import reference
from portico_engine.kernels.cpu.attention import PagedBatch, key_blocks
from portico_engine.kernels.cpu.library import KernelLibrary
from portico_engine.plan import BLOCK_TOKENS, Row

BLOCKS = 160
Shape = tuple[int, int, int]  # heads, kv_heads, head_dim
SMOL: Shape = (9, 3, 64)


class Layer:
    """Random queries, keys and values of some rows, and a cache that holds what came before them."""

    def __init__(
        self, rows: Sequence[tuple[int, int]], shape: Shape = SMOL, *, seed: int = 1, alike: Sequence[int] = ()
    ) -> None:
        """`rows`: how many tokens, after how many. `alike`: so many first blocks of each are the first row's."""
        self.heads, self.kv_heads, dim = shape
        random = torch.Generator().manual_seed(seed)
        n = sum(count for count, _ in rows)
        # As they lie in the decoder: beside each other in one product's result.
        qkv = torch.randn(n, self.heads + 2 * self.kv_heads, dim, generator=random).bfloat16()
        self.queries, self.keys_values = qkv[:, : self.heads], qkv[:, self.heads :]
        self.kv = torch.randn(2, 2 * self.kv_heads, BLOCKS * BLOCK_TOKENS, dim, generator=random).bfloat16()  # of two layers
        free = torch.randperm(BLOCKS, generator=random).tolist()
        self.rows = []
        for i, (count, start) in enumerate(rows):
            first = self.rows[0].block_table[: alike[i]] if i < len(alike) and i else ()
            table = (*first, *(free.pop() for _ in range(-(-(start + count) // BLOCK_TOKENS) - len(first))))
            self.rows.append(Row(i, (0,) * count, start, table))

    def packed(self, kv: Tensor) -> Tensor:
        """As the kernel keeps it."""
        return torch.cat([key_blocks(kv[:, : self.kv_heads]), kv[:, self.kv_heads :]], 1)

    def kernel(self, library: KernelLibrary, window: int = 0, sinks: Tensor | None = None) -> Tensor:
        self.after = self.packed(self.kv)
        return PagedBatch(library, self.rows, self.after).attend(1, self.queries, self.keys_values, window, sinks)

    def alone(self, library: KernelLibrary, row: int, tokens: slice) -> Tensor:
        """Some tokens of one row, as a batch of their own, after all before them."""
        first = sum(len(other.tokens) for other in self.rows[:row])
        own, (begin, end, _) = self.rows[row], tokens.indices(len(self.rows[row].tokens))
        places = slice(first + begin, first + end)
        kv = self.after.clone()
        batch = PagedBatch(library, [own._replace(tokens=own.tokens[tokens], start=own.start + begin)], kv)
        return batch.attend(1, self.queries[places], self.keys_values[places])

    def twin(self, window: int = 0, sinks: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What is said, and the cache after it."""
        tables = torch.zeros(len(self.rows), BLOCKS, dtype=torch.int32)
        positions, owners = [], []
        for i, row in enumerate(self.rows):
            tables[i, : len(row.block_table)] = torch.tensor(row.block_table)
            positions += range(row.start, row.start + len(row.tokens))
            owners += [i] * len(row.tokens)
        at, whose, kv = torch.tensor(positions, dtype=torch.int32), torch.tensor(owners, dtype=torch.int32), self.kv.clone()
        reference.store(kv[1], self.keys_values, at, whose, tables)
        return reference.paged_attention(self.queries, kv[1], at, whose, tables, window, sinks), kv


ROWS = [[(1, 0)], [(1, 2047)], [(40, 0)], [(3, 126), (1, 127), (1, 128)], [(70, 250), (1, 15), (1, 16), (5, 300)]]


@pytest.mark.parametrize("window", [0, 30, 200])
@pytest.mark.parametrize("rows", ROWS, ids=str)
def test_it_says_what_its_twin_says(library: KernelLibrary, rows: list[tuple[int, int]], window: int) -> None:
    layer = Layer(rows)
    twin, kv = layer.twin(window)
    torch.testing.assert_close(layer.kernel(library, window).float(), twin.float(), rtol=0.02, atol=0.01)
    assert torch.equal(layer.after, layer.packed(kv))


@pytest.mark.parametrize("shape", [(4, 4, 16), (8, 2, 80), (4, 1, 128), (16, 1, 576), (6, 3, 96), (3, 3, 256)], ids=str)
def test_heads_of_every_size_and_group(library: KernelLibrary, shape: Shape) -> None:
    layer = Layer([(19, 120), (1, 333)], shape)
    twin, _ = layer.twin()
    torch.testing.assert_close(layer.kernel(library).float(), twin.float(), rtol=0.02, atol=0.01)


@pytest.mark.parametrize("window", [0, 30])
def test_sinks_take_their_share(library: KernelLibrary, window: int) -> None:
    layer, sinks = Layer([(20, 130), (1, 5)]), torch.linspace(-3, 9, 9)
    twin, _ = layer.twin(window, sinks)
    torch.testing.assert_close(layer.kernel(library, window, sinks).float(), twin.float(), rtol=0.02, atol=0.01)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_tokens_bits_are_its_own_whatever_its_batch_and_the_threads(library: KernelLibrary, threads: int) -> None:
    layer = Layer([(70, 250), (1, 700), (5, 300)])
    together = layer.kernel(library)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert torch.equal(layer.kernel(library), together)
        assert torch.equal(layer.alone(library, 1, slice(0, 1)), together[70:71])
        for tokens in (slice(0, 1), slice(69, 70), slice(16, 33), slice(0, 70)):
            assert torch.equal(layer.alone(library, 0, tokens), together[tokens])
    finally:
        torch.set_num_threads(before)


SHARING = [
    ([(1, 400), (1, 400), (1, 390)], [0, 24, 24]),
    ([(7, 300), (20, 280), (1, 500), (3, 10)], [0, 17, 16, 0]),
    ([(5, 129), (5, 128), (5, 127)], [0, 8, 7]),
    ([(1, 700), (1, 40), (1, 700), (1, 700)], [0, 2, 8, 40]),
    ([(30, 260)] * 4, [0, 16, 16, 16]),
]


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize(("rows", "alike"), SHARING, ids=str)
def test_rows_that_begin_with_the_same_blocks_are_what_they_are_alone(
    library: KernelLibrary, rows: list[tuple[int, int]], alike: list[int], threads: int
) -> None:
    layer = Layer(rows, alike=alike)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        together = layer.kernel(library)
        alone = [layer.alone(library, i, slice(0, len(row.tokens))) for i, row in enumerate(layer.rows)]
    finally:
        torch.set_num_threads(before)
    assert torch.equal(together, torch.cat(alone))
    twin, kv = layer.twin()
    torch.testing.assert_close(together.float(), twin.float(), rtol=0.02, atol=0.01)
    assert torch.equal(layer.after, layer.packed(kv))


def test_what_was_never_written_is_not_read(library: KernelLibrary) -> None:
    layer = Layer([(2, 133), (1, 0)])
    clean = layer.kernel(library)
    for row in layer.rows:
        for position in range(row.start + len(row.tokens), len(row.block_table) * BLOCK_TOKENS):
            block = row.block_table[position // BLOCK_TOKENS]
            layer.kv[1, :, block * BLOCK_TOKENS + position % BLOCK_TOKENS] = float("nan")
    assert torch.equal(layer.kernel(library), clean)


def test_a_key_or_a_value_that_is_no_number_makes_none_of_what_sees_it(library: KernelLibrary) -> None:
    for head in (0, 3):  # of keys; of values
        layer = Layer([(1, 140), (1, 140)])
        block = layer.rows[0].block_table[1]
        layer.kv[1, head, block * BLOCK_TOKENS + 3] = float("nan")
        out = layer.kernel(library).view(2, 9, 64)
        assert out[0, :3].isnan().all()
        assert out[0, 3:].isfinite().all()
        assert out[1].isfinite().all()


def test_a_row_that_is_longer_than_its_blocks_is_refused(library: KernelLibrary) -> None:
    layer = Layer([(1, 31)])
    layer.rows[0] = layer.rows[0]._replace(start=32)
    with pytest.raises(ValueError, match="a row ends at position 33, and its 2 blocks hold 16 each"):
        layer.kernel(library)
