"""Two real processes and their sums: what they say together, and what becomes of them when one of them is gone."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from tests.engine.adapters.adapter_files import F32, random_pairs, write_gguf_adapter
from tests.engine.fakes import Shelf
from tests.engine.models import families
from tests.engine.models.families import CLOSE
from tests.engine.models.parity import TOKENS, agreement, divergence
from tests.engine.tiny_model import Q, Shape, write_tiny_llama
from torch import Tensor

from portico_engine import ModelError, Request, RequestError, SamplingParams, load_engine
from portico_engine.adapters.adapter import AdapterLimits
from portico_engine.adapters.read_adapter import read_adapter
from portico_engine.errors import DeviceLost
from portico_engine.executors.protocol import Executor, Sizes
from portico_engine.executors.ranks.rank_executor import RankExecutor
from portico_engine.executors.ranks.rank_model import RankModel
from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor
from portico_engine.linear.cpu_codes import codes_supported
from portico_engine.models.config import read_config
from portico_engine.parallel.expert_parallel import AUTO, Exchange
from portico_engine.plan import Load, Row, Save, StepPlan
from portico_engine.weights.gguf_file import GGUFFile

SIZES = Sizes(128, 512, max_rows=8)
LIMITS = AdapterLimits(2, 8)
WIDE = Shape(feed_forward=128)
SOON = 10.0  # seconds, on a busy machine


@pytest.fixture(scope="module")
def ranks(tiny_path: Path) -> Iterator[RankExecutor]:
    executor = RankExecutor.load(RankModel(tiny_path, 2, cuda=False), SIZES)
    yield executor
    executor.close()
    assert not any(alive(pid) for pid in executor.pids)


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def row(tokens: tuple[int, ...] = TOKENS, start: int = 0, adapter: int | None = None) -> Row:
    return Row(0, tokens, start, tuple(range(8)), tuple(range(len(tokens))), targets=tokens, adapter=adapter)


def logits(executor: Any, *rows: Row) -> Tensor:
    return torch.from_numpy(executor.submit(StepPlan(rows)).logits.copy()).log_softmax(-1)


WAYS = {"tp": (False, AUTO), "ep": (True, AUTO), "ep, all to all": (True, Exchange("all_to_all"))}


@pytest.mark.parametrize("way", WAYS)
def test_processes_say_what_one_says_of_a_mixture(tmp_path: Path, way: str) -> None:
    expert_parallel, exchange = WAYS[way]
    path = families.write(tmp_path / "tiny.gguf", "mixtral", Q.Q8_0)
    one: Executor = TorchCPUExecutor.load(GGUFFile(path), SIZES)
    executor = RankExecutor.load(RankModel(path, 2, False, expert_parallel, exchange), SIZES)
    try:
        expected, got = logits(one, row()), logits(executor, row())
        assert divergence(expected, got) < CLOSE
        assert agreement(expected, got) > 0.9
        for layer, counts in one.expert_tokens().items():
            assert sum(executor.expert_tokens()[layer]) == sum(counts)
            near = zip(executor.expert_tokens()[layer], counts, strict=True)
            assert sum(abs(a - b) for a, b in near) <= 6, "rounding decides between experts that are as likely"
        assert executor.caps.numerics_id.endswith("-2ranks-ep" if expert_parallel else "-2ranks")
    finally:
        executor.close()


@pytest.mark.skipif(not codes_supported(), reason="this machine has no fast product from codes")
def test_codes_are_split_between_their_groups(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf", quantization=Q.Q4_1, shape=WIDE)
    one = TorchCPUExecutor.load(GGUFFile(path), SIZES, codes=True)
    executor = RankExecutor.load(RankModel(path, 2, False, options={"codes": True}), SIZES)
    try:
        assert re.search(r"[-+](codes|int4)", executor.caps.numerics_id)
        singles = [row(TOKENS[at : at + 1], at) for at in range(40)]
        expected, got = (torch.cat([logits(each, single) for single in singles]) for each in (one, executor))
        assert divergence(expected, got) < CLOSE
    finally:
        executor.close()


def test_an_adapter_is_split_as_what_it_changes(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "base.gguf", quantization=F32)
    adapter = read_adapter(write_gguf_adapter(tmp_path / "one.gguf", random_pairs(1)), read_config(GGUFFile(path)), LIMITS)
    one: Executor = TorchCPUExecutor.load(GGUFFile(path), SIZES, adapters=LIMITS)
    executor = RankExecutor.load(RankModel(path, 2, False, adapters=LIMITS), SIZES)
    try:
        plain = logits(executor, row())
        for each in (one, executor):
            each.load_adapter(1, adapter)
        expected, got = logits(one, row(adapter=1)), logits(executor, row(adapter=1))
        assert divergence(plain, got) > 1, "the adapter makes a difference"
        assert divergence(expected, got) < CLOSE
        executor.unload_adapter(1)
        assert torch.equal(logits(executor, row()), plain)
    finally:
        executor.close()


def test_embeddings_come_from_all_ranks_and_a_bad_pooling_leaves_them_well(ranks: RankExecutor, tiny_path: Path) -> None:
    expected = TorchCPUExecutor.load(GGUFFile(tiny_path), SIZES).embed([TOKENS, TOKENS[:3]])
    np.testing.assert_allclose(ranks.embed([TOKENS, TOKENS[:3]]), expected, atol=0.1)
    with pytest.raises(RequestError, match="mean or last"):
        ranks.embed([TOKENS], "cls")
    np.testing.assert_allclose(ranks.embed([TOKENS, TOKENS[:3]]), expected, atol=0.1)


class Refusing(Shelf):
    """A store that fails when it is told to."""

    broken = False

    def put(self, key: bytes, content: bytes) -> None:
        if self.broken:
            raise OSError("the disk is full")
        super().put(key, content)

    def get(self, key: bytes) -> memoryview:
        if self.broken:
            raise KeyError(key)
        return super().get(key)


def test_a_store_that_refuses_ends_its_plan_at_the_same_place_on_all_ranks(ranks: RankExecutor) -> None:
    shelf = Refusing()
    ranks.attach(shelf)
    before = logits(ranks, row(TOKENS[:32]))
    ranks.submit(StepPlan((), (Save(0, b"a"),))).finish()
    assert len(shelf.content[b"a"]) == ranks.caps.block_bytes
    shelf.broken = True
    with pytest.raises(OSError, match="full"):
        ranks.submit(StepPlan((row(),), (Save(1, b"b"),)))
    with pytest.raises(KeyError):
        ranks.submit(StepPlan((row(),), (Load(b"a", 1),)))
    shelf.broken = False
    assert torch.equal(logits(ranks, row(TOKENS[:32])), before)


@pytest.mark.parametrize("frozen", [False, True], ids=("between steps", "in a step"))
def test_a_rank_that_is_killed_ends_the_others_at_once_and_is_named(tiny_path: Path, frozen: bool) -> None:
    executor = RankExecutor.load(RankModel(tiny_path, 2, cuda=False), SIZES)
    (pid,) = executor.pids
    if frozen:  # so that the first rank waits in a sum
        os.kill(pid, signal.SIGSTOP)
        threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()
    else:
        os.kill(pid, signal.SIGKILL)
    begun = time.monotonic()
    try:
        with pytest.raises(DeviceLost, match="rank 1 of 2 was ended by SIGKILL"):
            executor.submit(StepPlan((row(),))).finish()
        with pytest.raises(DeviceLost, match="rank 1 of 2"):
            executor.submit(StepPlan((row(),)))
    finally:
        executor.close()
    assert time.monotonic() - begun < SOON
    assert not alive(pid)


def test_what_can_not_be_split_leaves_no_process(tiny_path: Path) -> None:
    before = len(psutil.Process().children())
    with pytest.raises(ModelError, match="3 ranks; it can be over 2"):
        RankExecutor.load(RankModel(tiny_path, 3, cuda=False), SIZES)
    assert len(psutil.Process().children()) == before


def test_a_rank_that_fails_to_load_is_named(tmp_path: Path, tiny_path: Path) -> None:
    """It is told of a file that is gone by then."""
    path = tmp_path / "tiny.gguf"
    path.write_bytes(tiny_path.read_bytes())

    class Vanishing(RankModel):
        """Reads its file once."""

        def __reduce__(self) -> tuple[Any, ...]:
            return RankModel, (tmp_path / "gone.gguf", 2, False)

    with pytest.raises(ModelError, match=r"over 2 ranks: .*rank 1 of 2 ended with exit code 1: ModelError: no model file at"):
        RankExecutor.load(Vanishing(path, 2, False), SIZES)


def test_answers_are_those_of_one_device_whoever_is_beside_them(tiny_path: Path) -> None:
    """Shared prefixes, chunks, companions, and so little KV that requests are preempted."""
    engine = load_engine(tiny_path, executor="torch-cpu", devices=2, context=256, kv_tokens=256, max_rows=3)
    prefix = tuple(int(t) for t in np.random.default_rng(8).integers(3, 260, 40))
    prompts = {str(i): (*prefix, *range(10 * i + 3, 10 * i + 3 + 7 * i)) for i in range(1, 6)}
    answers: dict[str, list[int]] = {name: [] for name in prompts}
    try:
        for name, prompt in prompts.items():
            engine.submit(Request(name, prompt, SamplingParams(temperature=0, ignore_eos=True), max_tokens=40))
        while engine.has_work:
            for delta in engine.step():
                assert delta.error is None
                answers[delta.request_id] += delta.tokens
        stats = engine.stats()
        assert stats["preemptions"] > 0
        assert stats["prompt_tokens_cached"] > 0
    finally:
        engine.close()
    one = TorchCPUExecutor.load(GGUFFile(tiny_path), Sizes(256, 256))
    for name, prompt in prompts.items():
        assert len(answers[name]) == 40
        whole = (*prompt, *answers[name])
        read = Row(0, whole, 0, tuple(range(16)), tuple(range(len(whole))), targets=whole)
        said = one.submit(StepPlan((read,))).logits[len(prompt) - 1 : -1]
        chosen = said[np.arange(40), answers[name]]
        assert (said.max(1) - chosen).max() < 0.5, "each token is the likeliest to one device, up to rounding"


def test_what_one_engine_kept_on_disk_the_next_one_reads_each_rank_its_part(tiny_path: Path, tmp_path: Path) -> None:
    prompt = TOKENS[:50]
    answers, cached = [], []
    for i in range(2):
        engine = load_engine(tiny_path, executor="torch-cpu", devices=2, kv_dir=tmp_path)
        try:
            request = Request(f"{i}", prompt, SamplingParams(temperature=0, ignore_eos=True), max_tokens=12, keep=48)
            deltas = list(engine.generate(request))
        finally:
            engine.close()
        answers.append([token for delta in deltas for token in delta.tokens])
        usage = deltas[-1].usage
        assert usage is not None
        cached.append(usage.cached_tokens)
    assert cached == [0, 48]
    assert answers[0] == answers[1]
