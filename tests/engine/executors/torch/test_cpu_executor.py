"""The executor on a CPU, alone and as two ranks: to whoever drives it they are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from tests.engine.fakes import Shelf

from portico_engine import SamplingParams
from portico_engine.executors.host_step import HostStep
from portico_engine.executors.protocol import Offloading, Sizes
from portico_engine.executors.ranks.rank_executor import RankExecutor
from portico_engine.executors.ranks.rank_model import RankModel
from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor
from portico_engine.kernels.cpu.build import KernelsUnavailable
from portico_engine.kernels.cpu.library import load_kernels
from portico_engine.plan import Copy, Fetch, Load, Offload, Row, Save, StepPlan
from portico_engine.sampling import SamplingState
from portico_engine.weights.gguf_file import GGUFFile

GREEDY = SamplingParams(temperature=0)
PROMPT = tuple(int(t) for t in np.random.default_rng(1).integers(3, 260, 37))


SIZES = Sizes(128, 512, max_rows=8)
AnyExecutor: TypeAlias = Any  # whose steps have logits
LoadAnother: TypeAlias = Callable[[], AnyExecutor]


@pytest.fixture(scope="module", params=["one device", "two ranks"])
def load(request: pytest.FixtureRequest, tiny_path: Path) -> Iterator[LoadAnother]:
    """What loads the same executor, once more each time."""
    made: list[AnyExecutor] = []

    def load_one() -> AnyExecutor:
        if request.param == "one device":
            made.append(TorchCPUExecutor.load(GGUFFile(tiny_path), SIZES))
        else:
            made.append(RankExecutor.load(RankModel(tiny_path, 2, cuda=False), SIZES))
        return made[-1]

    yield load_one
    for executor in made:
        executor.close()


@pytest.fixture(scope="module")
def executor(load: LoadAnother) -> AnyExecutor:
    return load()


def scored(tokens: tuple[int, ...], start: int, table: tuple[int, ...], slot: int = 0) -> Row:
    return Row(slot, tokens, start, table, logits_indices=tuple(range(len(tokens))), targets=tokens)


def test_a_row_computes_the_same_alone_and_among_others(executor: AnyExecutor) -> None:
    alone = executor.submit(StepPlan((scored(PROMPT, 0, (0, 1, 2)),))).logits.copy()
    others = (scored(PROMPT[5:14], 0, (10,), 1), scored(PROMPT, 0, (20, 7, 30), 2), scored(PROMPT[:1], 0, (12,), 3))
    together = executor.submit(StepPlan(others)).logits[9 : 9 + len(PROMPT)]
    np.testing.assert_allclose(together, alone, atol=0.15, rtol=0.02)
    assert (together.argmax(1) == alone.argmax(1)).mean() > 0.9


@pytest.mark.parametrize("codes", [True, False])
def test_by_kernels_a_tokens_bits_are_its_own_alone_among_others_and_step_by_step(tiny_path: Path, codes: bool) -> None:
    """From codes, as far as there are no more rows than they are taken for. bfloat16's product is torch's, and the head here
    has 269 rows, which is no number for codes: its likeliest are multiplied by torch, in float32.
    """
    executor = TorchCPUExecutor.load(GGUFFile(tiny_path), Sizes(128, 512, max_rows=8), codes=codes)
    try:
        assert load_kernels().numerics in executor.caps.numerics_id
    except KernelsUnavailable as missing:
        pytest.skip(str(missing))
    whole = executor.submit(StepPlan((scored(PROMPT, 0, (0, 1, 2)),))).logits.copy()
    others = (scored(PROMPT[5:12], 0, (10,), 1), scored(PROMPT, 0, (20, 7, 30), 2))
    together = executor.submit(StepPlan(others)).logits[7:]
    single = [executor.submit(StepPlan((scored((t,), i, (3, 4, 5)),))).logits.copy() for i, t in enumerate(PROMPT)]
    if codes:
        np.testing.assert_allclose(together, whole, rtol=1e-6, atol=1e-5)
        np.testing.assert_allclose(np.concatenate(single), whole, rtol=1e-6, atol=1e-5)
    else:
        np.testing.assert_allclose(np.concatenate(single), whole, atol=0.15, rtol=0.02)


def test_blocks_in_any_order_hold_the_same_sequence(executor: AnyExecutor) -> None:
    a = executor.submit(StepPlan((scored(PROMPT, 0, (3, 4, 5)),))).logits.copy()
    b = executor.submit(StepPlan((scored(PROMPT, 0, (9, 2, 31)),))).logits
    np.testing.assert_array_equal(a, b)


def test_a_copied_tail_continues_like_the_original(executor: AnyExecutor) -> None:
    executor.submit(StepPlan((Row(0, PROMPT[:20], 0, (0, 1)),))).finish()
    original = executor.submit(StepPlan((scored(PROMPT[20:24], 20, (0, 1)),))).logits.copy()
    copied = executor.submit(StepPlan((scored(PROMPT[20:24], 20, (0, 15)),), (Copy(1, 15, 4),))).logits
    np.testing.assert_array_equal(copied, original)


def test_a_saved_block_loaded_into_another_executor_continues_like_the_original(
    executor: AnyExecutor, load: LoadAnother
) -> None:
    shelf = Shelf()
    executor.attach(shelf)
    executor.submit(StepPlan((Row(0, PROMPT[:32], 0, (4, 9)),))).finish()
    original = executor.submit(StepPlan((scored(PROMPT[32:], 32, (4, 9, 2)),), (Save(4, b"a"), Save(9, b"b")))).logits.copy()
    assert {len(content) for content in shelf.content.values()} == {executor.caps.block_bytes}

    other = load()
    other.attach(shelf)
    loaded = other.submit(StepPlan((scored(PROMPT[32:], 32, (7, 1, 3)),), (Load(b"a", 7), Load(b"b", 1)))).logits
    np.testing.assert_array_equal(loaded, original)


def test_a_block_that_went_to_the_host_and_back_continues_like_the_original(tiny_path: Path) -> None:
    executor = TorchCPUExecutor.load(GGUFFile(tiny_path), Sizes(128, 512), offloading=Offloading(host_bytes=1 << 20))
    assert executor.caps.host_blocks > 2
    assert executor.caps.swap_seconds > 0
    executor.submit(StepPlan((Row(0, PROMPT[:32], 0, (4, 9)),))).finish()
    original = executor.submit(StepPlan((scored(PROMPT[32:], 32, (4, 9, 2)),), (Offload(4, 0), Offload(9, 1)))).logits.copy()
    moved = executor.submit(StepPlan((scored(PROMPT[32:], 32, (7, 1, 3)),), (Fetch(0, 7), Fetch(1, 1)))).logits
    np.testing.assert_array_equal(moved, original)


def test_eight_bits_below_memory_have_a_name_and_half_the_bytes(tiny_path: Path) -> None:
    executor = TorchCPUExecutor.load(GGUFFile(tiny_path), Sizes(128, 512))
    rounded = TorchCPUExecutor.load(GGUFFile(tiny_path), Sizes(128, 512), offloading=Offloading("int8"))
    assert rounded.caps.numerics_id == executor.caps.numerics_id.replace("-kv-bf16", "-kv-int8")
    assert 0.5 < rounded.caps.block_bytes / executor.caps.block_bytes < 0.53
    shelf = Shelf()
    rounded.attach(shelf)
    rounded.submit(StepPlan((Row(0, PROMPT[:32], 0, (4, 9)),))).finish()
    original = rounded.submit(StepPlan((scored(PROMPT[32:], 32, (4, 9, 2)),), (Save(4, b"a"), Save(9, b"b")))).logits.copy()
    assert {len(content) for content in shelf.content.values()} == {rounded.caps.block_bytes}
    loaded = rounded.submit(StepPlan((scored(PROMPT[32:], 32, (7, 1, 3)),), (Load(b"a", 7), Load(b"b", 1)))).logits
    assert 0 < np.abs(loaded - original).mean() < 0.1


def test_a_plan_without_rows_only_moves_blocks(executor: AnyExecutor) -> None:
    shelf = Shelf()
    executor.attach(shelf)
    executor.submit(StepPlan((Row(0, PROMPT[:16], 0, (4,)),))).finish()
    sampled = executor.submit(StepPlan((), (Save(4, b"a"), Load(b"a", 5), Save(5, b"b")))).finish()
    assert sampled.tokens == ()
    assert shelf.content[b"a"] == shelf.content[b"b"]
    assert any(shelf.content[b"a"])


def test_rows_of_one_step_see_what_others_of_it_write_into_shared_blocks(executor: AnyExecutor) -> None:
    alone = executor.submit(StepPlan((scored(PROMPT, 0, (0, 1, 2)),))).logits[32:].copy()
    first = Row(0, PROMPT[:32], 0, (5, 6))
    second = scored(PROMPT[32:], 32, (5, 6, 9), 1)
    np.testing.assert_allclose(executor.submit(StepPlan((first, second))).logits, alone, atol=0.15, rtol=0.02)


def test_a_masked_row_samples_only_what_its_mask_allows_and_one_without_choice_is_bad(executor: AnyExecutor) -> None:
    rows = tuple(
        Row(i, PROMPT, 0, (3 * i, 3 * i + 1, 3 * i + 2), (len(PROMPT) - 1,), SamplingState(GREEDY, 0, 0)) for i in range(3)
    )
    mask = np.full((3, 9), -1, np.int32)
    mask[1] = 0
    mask[1, 1] = 0b110
    mask[2] = 0
    sampled = executor.submit(StepPlan(rows)).finish(mask)
    assert len(sampled.tokens[0]) == 1
    assert sampled.tokens[1][0] in (33, 34)
    assert sampled.tokens[2] == ()
    assert sampled.failed_rows == (2,)


@pytest.mark.parametrize("kernels", [True, False])
def test_where_masks_allow_few_tokens_the_answer_is_that_of_all_logits(tiny_path: Path, kernels: bool) -> None:
    executor = TorchCPUExecutor.load(GGUFFile(tiny_path), SIZES, kernels=kernels)
    state = SamplingState(SamplingParams(temperature=0.9, logprobs=3), 5, 2)
    plan = StepPlan(tuple(Row(i, PROMPT[i:], 0, (3 * i, 3 * i + 1, 3 * i + 2), (36 - i,), state) for i in range(3)))
    mask = np.zeros((3, 9), np.uint32)
    mask[:, [0, 4]] = [[0b11000, 1 << 31], [1 << 20, 0], [0b100, 0b111]]
    step = executor.submit(plan)
    bits = mask.view(np.int32)
    whole = HostStep(plan, step.logits.copy()).finish(bits)
    assert step.finish(bits) == whole
    assert all(whole.tokens)


def test_a_bias_moves_the_sampled_token(executor: AnyExecutor) -> None:
    row = Row(0, PROMPT, 0, (0, 1, 2), (len(PROMPT) - 1,), SamplingState(GREEDY, 0, 0))
    bias = {0: (np.array([77]), np.array([1000.0], np.float32))}
    assert executor.submit(StepPlan((row,))).finish(None, bias).tokens[0] == (77,)


def test_scores_are_the_log_probabilities_of_the_targets(executor: AnyExecutor) -> None:
    row = Row(0, PROMPT, 0, (0, 1, 2), logits_indices=(3, 36), targets=(100, 200))
    step = executor.submit(StepPlan((row,)))
    logits = step.logits.astype(np.float64)
    expected = [float(v[t] - np.log(np.exp(v - v.max()).sum()) - v.max()) for v, t in zip(logits, (100, 200), strict=True)]
    assert step.finish().logprobs[0] == pytest.approx(expected, abs=1e-4)


def test_its_numerics_are_named(executor: AnyExecutor) -> None:
    assert executor.caps.numerics_id.startswith("torch-")
    assert executor.caps.vocab_size == 269
