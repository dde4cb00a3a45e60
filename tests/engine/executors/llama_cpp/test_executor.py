"""llama.cpp as an executor, against itself in other orders and against torch."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest

pytest.importorskip("llama_cpp")

from tests.engine.fakes import Shelf
from tests.engine.models.families import experts
from tests.engine.tiny_model import Shape, write_tiny_llama

from portico_engine import EngineDied, EngineProcess, ModelError, Request, SamplingParams, engine_loader, load_engine
from portico_engine.executors.llama_cpp.attention import choose_attention
from portico_engine.executors.llama_cpp.executor import LlamaCppExecutor
from portico_engine.executors.protocol import Sizes
from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor
from portico_engine.loading.llama_plan import Offload
from portico_engine.plan import Copy, Drop, Load, Row, Save, StepPlan
from portico_engine.sampling import SamplingState
from portico_engine.weights.gguf_file import GGUFFile

OVERRIDDEN = re.compile(r"tensor (\S+) .*buffer type overridden to CPU")
GREEDY = SamplingParams(temperature=0)
PROMPT = tuple(int(t) for t in np.random.default_rng(1).integers(3, 260, 37))


@pytest.fixture
def executor(tiny_path: Path) -> Iterator[LlamaCppExecutor]:
    made = LlamaCppExecutor.load(tiny_path, Sizes(128, 512, max_rows=8))
    yield made
    made.close()


def scored(tokens: tuple[int, ...], start: int, table: tuple[int, ...], slot: int = 0) -> Row:
    return Row(slot, tokens, start, table, logits_indices=tuple(range(len(tokens))), targets=tokens)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def close(a: np.ndarray, b: np.ndarray) -> None:
    """The same but for rounding, which differs between shapes of batches."""
    np.testing.assert_allclose(a, b, atol=0.15, rtol=0.02)
    assert (a.argmax(1) == b.argmax(1)).mean() > 0.85


def test_it_says_what_torch_says(executor: LlamaCppExecutor, tiny_path: Path) -> None:
    torch = TorchCPUExecutor.load(GGUFFile(tiny_path), Sizes(128, 512, max_rows=8))
    plan = StepPlan((scored(PROMPT, 0, (0, 1, 2)),))
    mine, theirs = (log_softmax(made.submit(plan).logits) for made in (executor, torch))
    assert float((np.exp(theirs) * (theirs - mine)).sum(1).mean()) < 0.02  # nats; both round, each in its own way


def test_rows_among_others_in_pieces_and_over_any_blocks_are_the_same(executor: LlamaCppExecutor) -> None:
    alone = executor.submit(StepPlan((scored(PROMPT, 0, (0, 1, 2)),))).logits
    others = (scored(PROMPT[5:20], 0, (10, 11), 1), scored(PROMPT[:20], 0, (20, 7, 30), 2))
    first = executor.submit(StepPlan(others)).logits[15:]
    second = executor.submit(StepPlan((scored(PROMPT[20:], 20, (20, 7, 30), 2), Row(1, (9,), 15, (10, 11))))).logits
    close(np.concatenate([first, second]), alone)


def test_a_copied_tail_and_shared_blocks_continue_like_the_original(executor: LlamaCppExecutor) -> None:
    executor.submit(StepPlan((Row(0, PROMPT[:20], 0, (0, 1)),)))
    original = executor.submit(StepPlan((scored(PROMPT[20:24], 20, (0, 1)),))).logits
    copied = executor.submit(StepPlan((scored(PROMPT[20:24], 20, (0, 15), 3),), (Copy(1, 15, 4),))).logits
    close(copied, original)


def test_rows_of_one_step_see_what_others_of_it_write_into_shared_blocks(executor: LlamaCppExecutor) -> None:
    alone = executor.submit(StepPlan((scored(PROMPT, 0, (0, 1, 2)),))).logits[32:]
    first = Row(0, PROMPT[:32], 0, (5, 6))
    second = scored(PROMPT[32:], 32, (5, 6, 9), 1)
    close(executor.submit(StepPlan((second, first))).logits, alone)


def test_a_dropped_block_is_seen_by_nobody_when_it_is_used_again(executor: LlamaCppExecutor) -> None:
    alone = executor.submit(StepPlan((scored(PROMPT[:20], 0, (0, 1)),))).logits
    executor.submit(StepPlan((Row(1, PROMPT[10:37], 0, (2, 3)),)))
    again = executor.submit(StepPlan((scored(PROMPT[:20], 0, (3, 2), 1),), (Drop(2), Drop(3)))).logits
    close(again, alone)


def test_a_saved_block_loaded_into_another_executor_continues_like_the_original(
    executor: LlamaCppExecutor, tiny_path: Path
) -> None:
    shelf = Shelf()
    executor.attach(shelf)
    executor.submit(StepPlan((Row(0, PROMPT[:32], 0, (4, 9)),)))
    original = executor.submit(StepPlan((scored(PROMPT[32:], 32, (4, 9, 2)),), (Save(4, b"a"), Save(9, b"b")))).logits
    assert {len(content) for content in shelf.content.values()} == {executor.caps.block_bytes}
    other = LlamaCppExecutor.load(tiny_path, Sizes(128, 512))
    other.attach(shelf)
    loaded = other.submit(StepPlan((scored(PROMPT[32:], 32, (7, 1, 3)),), (Load(b"a", 7), Load(b"b", 1)))).logits
    other.close()
    np.testing.assert_array_equal(loaded, original)


def test_more_prompts_than_sequences_are_kept(executor: LlamaCppExecutor, tiny_path: Path) -> None:
    wide = LlamaCppExecutor.load(tiny_path, Sizes(64, 700 * 16, max_rows=2))
    texts = [(*PROMPT[:16], i % 200 + 5, i // 200 + 5) for i in range(300)]
    texts = [text[::-1] for text in texts]  # which differ from the first token on
    for i, text in enumerate(texts):
        wide.submit(StepPlan((Row(0, text, 0, (2 * i, 2 * i + 1)),)))
    for i in (0, 7, 299):
        again = wide.submit(StepPlan((scored(texts[i][16:], 16, (2 * i, 690), 1),), (Drop(690),))).logits
        alone = executor.submit(StepPlan((scored(texts[i], 0, (0, 1)),), (Drop(0), Drop(1)))).logits[16:]
        close(again, alone)
    wide.close()


def test_a_masked_row_samples_only_what_its_mask_allows(executor: LlamaCppExecutor) -> None:
    rows = tuple(
        Row(i, PROMPT, 0, (3 * i, 3 * i + 1, 3 * i + 2), (len(PROMPT) - 1,), SamplingState(GREEDY, 0, 0)) for i in range(2)
    )
    mask = np.zeros((2, 9), np.int32)
    mask[0, 1] = 0b110
    sampled = executor.submit(StepPlan(rows)).finish(mask)
    assert sampled.tokens[0][0] in (33, 34)
    assert sampled.failed_rows == (1,)


def test_an_engine_takes_it_and_answers_like_torch(tiny_path: Path) -> None:
    answers = []
    for name in ("llama_cpp", "torch-cpu"):
        engine = load_engine(tiny_path, executor=name, context=128)
        engine.submit(Request("a", PROMPT, sampling=GREEDY, max_tokens=4))
        tokens: list[int] = []
        while engine.has_work:
            for delta in engine.step():
                tokens += delta.tokens
        answers.append(tokens)
        assert engine.info.executor == name.split("-")[0]
        engine.close()
    assert len(answers[0]) > 0
    assert answers[0][0] == answers[1][0]


def test_auto_takes_it_where_torch_has_no_decoder(tmp_path: Path) -> None:
    other = write_tiny_llama(tmp_path / "other.gguf", architecture="minicpm")
    engine = load_engine(other, context=128)
    assert engine.info.executor == "llama_cpp"
    assert engine.info.architecture == "minicpm"
    engine.close()


def test_its_process_answers_and_may_be_killed(tiny_path: Path) -> None:
    async def run() -> None:
        engine = await EngineProcess.open(engine_loader(tiny_path, executor="llama_cpp", context=128))
        request = Request("a", PROMPT, sampling=GREEDY, max_tokens=4)
        assert [token async for delta in engine.generate(request) for token in delta.tokens]
        os.kill(engine.pid, signal.SIGSEGV)
        with pytest.raises(EngineDied, match="segmentation fault"):
            await anext(engine.generate(request))
        await engine.aclose()

    asyncio.run(run())


def test_what_llama_cpp_cannot_load_is_a_model_error(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ModelError):
        load_engine(tmp_path / "a.gguf", executor="llama_cpp")


def test_tensors_that_are_to_stay_in_this_machine_s_memory_are_found_by_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def customize(writer: gguf.GGUFWriter) -> None:
        writer.add_expert_count(4)
        writer.add_expert_used_count(2)

    path = write_tiny_llama(tmp_path / "mixture.gguf", customize=customize, rearrange=experts(4))
    pattern = Offload(3, (1,)).host_tensors
    with caplog.at_level(logging.DEBUG, "portico_engine.executors.llama_cpp.library"):
        placed = LlamaCppExecutor.load(path, Sizes(128, 512), gpu_layers=3, host_tensors=pattern)
    overridden = {found[1] for record in caplog.records if (found := OVERRIDDEN.search(record.getMessage()))}
    assert overridden == {f"blk.1.ffn_{name}_exps.weight" for name in ("gate", "up", "down")}
    usual = LlamaCppExecutor.load(path, Sizes(128, 512))
    plan = StepPlan((scored(PROMPT, 0, (0, 1, 2)),))
    np.testing.assert_array_equal(placed.submit(plan).logits, usual.submit(plan).logits)
    placed.close()
    usual.close()


def test_keys_and_values_of_8_bits_say_about_the_same_and_take_half(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "wide.gguf", shape=Shape(hidden=128, heads=4, kv_heads=2))
    made = [
        LlamaCppExecutor.load(path, Sizes(128, 512), choose_attention(kind, on_gpu=False, head_sizes=(32, 32)))
        for kind in ("f16", "q8_0")
    ]
    plain, small = (executor.submit(StepPlan((scored(PROMPT, 0, (0, 1, 2)),))).logits for executor in made)
    plain, small = log_softmax(plain), log_softmax(small)
    assert 0 < float((np.exp(plain) * (plain - small)).sum(1).mean()) < 0.02  # nats
    assert made[1].caps.block_bytes / made[0].caps.block_bytes == pytest.approx(8.5 / 16, abs=0.02)
    assert made[1].caps.numerics_id == f"{made[0].caps.numerics_id}-flash-on-q8_0"
    for executor in made:
        executor.close()


def test_whatever_moves_in_and_out_rows_say_what_they_say_alone(tiny_path: Path) -> None:
    """Conversations over shared beginnings, in turns and side by side, in a context that holds a fraction of them."""
    rng = np.random.default_rng(5)
    sizes = Sizes(128, 256, max_rows=4, saved_tokens=2048)
    busy, alone = (LlamaCppExecutor.load(tiny_path, sizes) for _ in range(2))
    free = list(range(busy.caps.blocks - 20))
    known: list[tuple[tuple[int, ...], tuple[int, ...]]] = [((), ())]  # texts in whole blocks, and these
    for _ in range(60):
        rows, texts, dropped = [], [], []
        for slot in rng.permutation(4)[: rng.integers(1, 3)].tolist():
            begin, table = known[rng.integers(len(known))]
            more = tuple(int(t) for t in rng.integers(3, 260, rng.integers(1, 40)))
            own = tuple(free.pop() for _ in range(-(-len(more) // 16)))
            rows.append(scored(more, len(begin), (*table, *own), slot))
            texts.append((*begin, *more))
        plan = StepPlan(tuple(rows), (), tuple(rng.permutation(4)[:1].tolist()))
        ends = np.cumsum([len(row.tokens) for row in rows])
        found = np.split(busy.submit(plan).logits, ends[:-1])
        for row, text, logits in zip(rows, texts, found, strict=True):
            blocks = tuple(range(-(-len(text) // 16)))
            expected = alone.submit(StepPlan((scored(text, 0, blocks),), tuple(map(Drop, blocks)))).logits[row.start :]
            close(logits, expected)
            full = len(text) // 16
            if full and len(text) < 80:
                known.append((text[: full * 16], row.block_table[:full]))
            dropped += [Drop(block) for block in row.block_table[full:]]
        free += [op.block for op in dropped]
        busy.submit(StepPlan((), tuple(dropped)))
        if len(free) < 12:
            known = known[:1]
            free = list(range(busy.caps.blocks - 20))
            busy.submit(StepPlan((), tuple(map(Drop, free))))
    busy.close()
    alone.close()
