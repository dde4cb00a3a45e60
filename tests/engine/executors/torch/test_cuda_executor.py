"""The GPU's executor beside the CPU's, its oracle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.engine.fakes import Shelf

from portico_engine import ModelError, Request, SamplingParams, load_engine
from portico_engine.executors.protocol import OffloadDtype, Offloading, Sizes
from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor
from portico_engine.executors.torch.host_kv import HostKV
from portico_engine.plan import Copy, Drop, Fetch, Load, Offload, Row, Save, StepPlan
from portico_engine.sampling import SamplingState
from portico_engine.weights.gguf_file import GGUFFile
from reference_decoder import ReferenceDecoder

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")]
GREEDY = SamplingParams(temperature=0)
PROMPT = tuple(int(t) for t in np.random.default_rng(1).integers(3, 260, 70))


def load(path: Path, **options: bool) -> object:
    from portico_engine.executors.torch.cuda_executor import TorchCUDAExecutor

    return TorchCUDAExecutor.load(GGUFFile(path), Sizes(128, 512, max_rows=8), **options)


@pytest.fixture(scope="module")
def executor(tiny_path: Path):  # type: ignore[no-untyped-def]
    return load(tiny_path)


@pytest.fixture(scope="module")
def oracle(tiny_path: Path) -> TorchCPUExecutor:
    return TorchCPUExecutor.load(GGUFFile(tiny_path), Sizes(128, 512, max_rows=8), codes=False)


def scored(tokens: tuple[int, ...], start: int, table: tuple[int, ...], slot: int = 0) -> Row:
    return Row(slot, tokens, start, table, logits_indices=tuple(range(len(tokens))), targets=tokens)


def run(executor, chunks: list[int], table: tuple[int, ...] = (9, 2, 31, 4, 0)) -> np.ndarray:  # type: ignore[no-untyped-def]
    out, at = [], 0
    for count in chunks:
        logits = executor.submit(StepPlan((scored(PROMPT[at : at + count], at, table),))).logits
        out.append(torch.as_tensor(logits).cpu().numpy().copy())
        at += count
    assert at == len(PROMPT)
    return np.concatenate(out)


def close(got: np.ndarray, expected: np.ndarray) -> None:
    """Both are logits of bfloat16 arithmetic, whose spread is some 6; 4-bit products read unrounded weights."""
    assert np.abs(got - expected).mean() < 0.1
    assert (got.argmax(1) == expected.argmax(1)).mean() > 0.9


def divergence(logits: np.ndarray, reference: torch.Tensor) -> float:
    """Mean KL(reference || logits)."""
    p, q = reference.log_softmax(-1), torch.from_numpy(logits).log_softmax(-1)
    return float((p.exp() * (p - q)).sum(-1).mean())


@pytest.mark.parametrize("dtype", ["bf16", "int8"])
def test_blocks_that_went_to_the_host_and_back_continue_like_the_original(tiny_path: Path, dtype: OffloadDtype) -> None:
    """In the step that fetches them, and in the next one after steps of others; 8 bits round."""
    from portico_engine.executors.torch.cuda_executor import TorchCUDAExecutor

    sizes = Sizes(128, 512, max_rows=8)
    executor = TorchCUDAExecutor.load(GGUFFile(tiny_path), sizes, offloading=Offloading(dtype, 1 << 20))
    assert executor.caps.host_blocks > 2
    assert 0 < executor.caps.swap_seconds < 0.1
    executor.submit(StepPlan((Row(0, PROMPT[:32], 0, (4, 9)),))).finish()
    down = (Offload(4, 0), Offload(9, 1), Drop(4), Drop(9))
    rest = scored(PROMPT[32:], 32, (4, 9, 2, 5, 6))
    original = executor.submit(StepPlan((rest,), down)).logits.clone()
    others = Row(1, PROMPT[:32], 0, (4, 9))._replace(tokens=PROMPT[33:65])
    executor.submit(StepPlan((others,))).finish()
    moved = rest._replace(block_table=(7, 1, 3, 8, 10))
    at_once = executor.submit(StepPlan((moved,), (Fetch(0, 7), Fetch(1, 1)))).logits.clone()
    executor.submit(StepPlan((others,), (Fetch(0, 11), Fetch(1, 12)))).finish()
    later = executor.submit(StepPlan((rest._replace(block_table=(11, 12, 13, 14, 15)),))).logits
    if dtype == "bf16":
        assert torch.equal(at_once, original)
    else:
        close(at_once.cpu().numpy(), original.cpu().numpy())
    assert torch.equal(later, at_once)


def test_preempted_requests_are_swapped_and_say_what_they_say_alone(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve conversations where there is room for four: their blocks go to the host and come back, as if a link cost nothing:
    for so small a model computing is cheaper.
    """
    monkeypatch.setattr(HostKV, "measure", lambda self: 1e-9)
    options = {"executor": "torch-cuda", "context": 128, "max_rows": 8}
    prompts = [tuple(int(t) for t in np.random.default_rng(i).integers(3, 260, 60)) for i in range(12)]
    said = []
    for more in ({"kv_tokens": 4096}, {"kv_tokens": 512, "kv_host_bytes": 64 << 20}):
        engine = load_engine(tiny_path, **options, **more)
        for i, prompt in enumerate(prompts):
            engine.submit(Request(str(i), prompt, GREEDY, max_tokens=60))
        tokens: dict[str, list[int]] = {}
        while engine.has_work:
            for delta in engine.step():
                tokens.setdefault(delta.request_id, []).extend(delta.tokens)
        stats = engine.stats()
        said.append(tokens)
        engine.close()
    assert stats["kv_fetches"] > 0
    same = [sum(a == b for a, b in zip(said[0][key], said[1][key], strict=True)) / 60 for key in said[0]]
    assert np.mean(same) > 0.8, "a near tie may fall otherwise in a batch of another size"


@pytest.mark.parametrize(
    "chunks", [[70], [32, 38], [1] * 70, [33, 5, 1, 1, 8, 22], [16, 16, 16, 16, 6]],
    ids=["whole", "halves", "single", "ragged", "runs"],
)  # fmt: skip
@pytest.mark.parametrize("options", [{"graphs": True}, {"graphs": False}, {"copies": True}, {"codes": False}])
def test_logits_are_the_references(tiny_path: Path, chunks: list[int], options: dict[str, bool]) -> None:
    reference = ReferenceDecoder(GGUFFile(tiny_path)).logits(PROMPT)
    assert divergence(run(load(tiny_path, **options), chunks), reference) < 4e-3


def test_prefills_runs_and_decodes_share_a_step(executor, oracle: TorchCPUExecutor) -> None:  # type: ignore[no-untyped-def]
    expected = run(oracle, [70])
    executor.submit(StepPlan((scored(PROMPT[:40], 0, (0, 1, 2)), scored(PROMPT[:50], 0, (5, 6, 7, 8), 1)))).finish()
    rows = (
        scored(PROMPT[40:41], 40, (0, 1, 2)),
        scored(PROMPT, 0, (20, 21, 22, 23, 24), 2),
        scored(PROMPT[50:57], 50, (5, 6, 7, 8), 1),
        scored(PROMPT[:20], 0, (28, 27), 3),
    )
    got = executor.submit(StepPlan(rows)).logits.cpu().numpy()
    close(got, np.concatenate([expected[40:41], expected, expected[50:57], expected[:20]]))


def test_rows_that_fill_more_than_one_graph_have_their_own_logits(tiny_path: Path, oracle: TorchCPUExecutor) -> None:
    from portico_engine.executors.torch.cuda_executor import TorchCUDAExecutor

    wide = TorchCUDAExecutor.load(GGUFFile(tiny_path), Sizes(128, 64 * 32, max_rows=64))
    expected = run(oracle, [16, 54])[:16]
    rows = tuple(scored(PROMPT[:16], 0, (i,), i) for i in range(40))  # 640 tokens
    got = wide.submit(StepPlan(rows)).logits.cpu().numpy()
    assert got.shape[0] == 640
    for i in range(40):
        close(got[16 * i : 16 * (i + 1)], expected)


def test_a_step_in_parts_whose_rows_want_no_logits_has_none(executor) -> None:  # type: ignore[no-untyped-def]
    rows = Row(0, PROMPT[:40], 0, (0, 1, 2)), Row(1, PROMPT[:8], 0, (5,))
    assert len(executor.submit(StepPlan(rows)).logits) == 0


def test_a_slots_new_table_is_read_and_its_old_one_forgotten(executor, oracle: TorchCPUExecutor) -> None:  # type: ignore[no-untyped-def]
    expected = run(oracle, [70])[40:44]
    found = []
    for table in ((3, 4, 5), (12, 11, 10), (3, 4, 5)):
        executor.submit(StepPlan((Row(0, PROMPT[:40], 0, table),))).finish()
        found.append(executor.submit(StepPlan((scored(PROMPT[40:44], 40, table),))).logits.cpu().numpy().copy())
        assert np.abs(found[-1] - expected).mean() < 0.1
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


def test_a_copied_tail_continues_like_the_original(executor) -> None:  # type: ignore[no-untyped-def]
    executor.submit(StepPlan((Row(0, PROMPT[:20], 0, (0, 1)),))).finish()
    original = executor.submit(StepPlan((scored(PROMPT[20:24], 20, (0, 1)),))).logits.clone()
    copied = executor.submit(StepPlan((scored(PROMPT[20:24], 20, (0, 15)),), (Copy(1, 15, 4),))).logits
    torch.testing.assert_close(copied, original)


def test_a_masked_row_samples_only_what_its_mask_allows_and_one_without_choice_is_bad(executor) -> None:  # type: ignore[no-untyped-def]
    rows = tuple(Row(i, PROMPT[:3], 0, (3 * i,), (2,), SamplingState(GREEDY, 0, 0)) for i in range(3))
    mask = np.full((3, 9), -1, np.int32)
    mask[1:] = 0
    mask[1, 1] = 0b110
    sampled = executor.submit(StepPlan(rows)).finish(mask)
    assert len(sampled.tokens[0]) == 1
    assert sampled.tokens[1][0] in (33, 34)
    assert (sampled.tokens[2], sampled.failed_rows) == ((), (2,))


def test_scores_are_the_cpus(executor, oracle: TorchCPUExecutor) -> None:  # type: ignore[no-untyped-def]
    scores = Row(0, PROMPT, 0, (0, 1, 2, 3, 4), logits_indices=(3, 36), targets=(100, 200))
    draws = Row(1, PROMPT[:5], 0, (7,), (4,), SamplingState(GREEDY, 0, 0))
    got, expected = (e.submit(StepPlan((scores, draws))).finish() for e in (executor, oracle))
    assert got.logprobs[0] == pytest.approx(expected.logprobs[0], abs=0.2)
    assert len(got.tokens[1]) == 1


def test_kv_that_does_not_fit_is_a_model_error(tiny_path: Path) -> None:
    with pytest.raises(ModelError, match=r"doesn't fit the GPU with 4000000000 tokens of KV"):
        load_engine(tiny_path, executor="torch-cuda", kv_tokens=4_000_000_000)


def test_an_engine_takes_the_gpu(tiny_path: Path) -> None:
    engine = load_engine(tiny_path, max_rows=4)
    assert "-cuda-" in engine.info.numerics_id
    request = Request("a", PROMPT[:30], SamplingParams(temperature=0.8, seed=7, top_p=0.9), max_tokens=40)
    answers = [[t for d in engine.generate(request) for t in d.tokens] for _ in range(2)]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("graphs", [True, False])
def test_rows_that_follow_a_step_under_way_say_what_they_say_behind_a_finished_one(tiny_path: Path, graphs: bool) -> None:
    executor = load(tiny_path, graphs=graphs)
    states = (SamplingState(GREEDY, 0, 0), SamplingState(SamplingParams(temperature=0.9, top_p=0.9, logprobs=2), 7, 0))
    tables = ((0, 1, 2, 3), (4, 5, 6, 7))

    def rows(at: int, before: tuple[tuple[int, ...], ...] | None) -> StepPlan:
        tokens = [(0,), (0,)] if before is None else before
        return StepPlan(
            tuple(
                Row(i, tokens[i], at, tables[i], (0,), states[i]._replace(position=at), follows=before is None)
                for i in range(2)
            )
        )

    def prefill():  # type: ignore[no-untyped-def]
        both = tuple(Row(i, PROMPT[:20], 0, tables[i], (19,), states[i]) for i in range(2))
        return executor.submit(StepPlan(both))  # type: ignore[attr-defined]

    found = prefill().finish().tokens
    expected = [found]
    for at in range(20, 40):
        found = executor.submit(rows(at, found)).finish().tokens  # type: ignore[attr-defined]
        expected.append(found)
    pending, got = prefill(), []
    for at in range(20, 40):
        pending.sample()
        following = executor.submit(rows(at, None))  # type: ignore[attr-defined]
        got.append(pending.finish().tokens)
        pending = following
    got.append(pending.finish().tokens)
    assert got == expected


def test_an_engine_that_runs_ahead_says_the_same(tiny_path: Path) -> None:
    requests = [
        Request("greedy", PROMPT[:30], SamplingParams(temperature=0, ignore_eos=True), max_tokens=40),
        Request("drawn", PROMPT[:9], SamplingParams(temperature=0.8, seed=7, ignore_eos=True), max_tokens=40),
        Request("short", PROMPT[:50], SamplingParams(temperature=0, ignore_eos=True, logprobs=1), max_tokens=40),
    ]
    said, ahead = [], []
    for runs_ahead in (False, True):
        engine = load_engine(tiny_path, max_rows=4, executor="torch-cuda")
        engine._executor.caps = replace(engine._executor.caps, runs_ahead=runs_ahead)  # type: ignore[misc]
        for request in requests:
            engine.submit(request)
        answers: dict[str, list[int]] = {}
        while engine.has_work:
            for delta in engine.step():
                answers.setdefault(delta.request_id, []).extend(delta.tokens)
        said.append(answers)
        ahead.append(engine.stats()["steps_ahead"])
        engine.close()
    assert said[0] == said[1]
    assert ahead[0] == 0
    assert ahead[1] > 35


QUESTIONS = (
    "What is the capital of France?",
    "Write a Python function that reverses a string.",
    "Why is the sky blue?",
    "Give me a recipe for pancakes.",
    "What does HTTP status 404 mean?",
    "Tell me a fact about octopuses.",
)


def test_greedy_answers_are_the_cpus_or_part_at_a_near_tie(smollm2_path: Path) -> None:
    gpu = load_engine(smollm2_path, context=512, max_rows=8)
    cpu = load_engine(smollm2_path, context=512, executor="torch-cpu")
    parted = 0
    for question in QUESTIONS:
        prompt = gpu.render_chat([{"role": "user", "content": question}])
        request = Request(question, prompt, SamplingParams(temperature=0), max_tokens=64)
        mine, theirs = ([t for d in e.generate(request) for t in d.tokens] for e in (gpu, cpu))
        if mine != theirs:
            parted += 1
            k = next(k for k, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b)
            ((own,), (other,)) = cpu.score([*prompt, *theirs[:k]], [[theirs[k]], [mine[k]]])
            assert own - other < 0.5, (
                f"{question} parts after {k} tokens, where the CPU's is likelier by {own - other:.2f} nats"
            )
    assert parted < len(QUESTIONS)


def test_blocks_that_were_saved_and_loaded_continue_like_the_originals(executor, tiny_path: Path) -> None:  # type: ignore[no-untyped-def]
    shelf = Shelf()
    executor.attach(shelf)
    executor.submit(StepPlan((Row(0, PROMPT[:40], 0, (4, 9, 2)),))).finish()
    original = executor.submit(
        StepPlan((scored(PROMPT[32:], 32, (4, 9, 2, 3, 5)),), (Save(4, b"a"), Save(9, b"b")))
    ).logits.clone()
    assert {len(content) for content in shelf.content.values()} == {executor.caps.block_bytes}
    other = load(tiny_path)
    other.attach(shelf)
    assert other.submit(StepPlan((), (Load(b"a", 7),))).finish().tokens == ()
    loaded = other.submit(StepPlan((scored(PROMPT[32:], 32, (7, 1, 3, 2, 6)),), (Load(b"b", 1),))).logits
    torch.testing.assert_close(loaded, original)


def test_a_step_that_cannot_be_captured_is_launched_part_by_part_and_that_is_told(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portico_engine.executors.torch import cuda_executor
    from portico_engine.fallbacks import Fallbacks

    def refuse(*_: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(cuda_executor, "StepGraphs", refuse)
    fallbacks = Fallbacks()
    executor = cuda_executor.TorchCUDAExecutor.load(GGUFFile(tiny_path), Sizes(128, 512, max_rows=8), fallbacks=fallbacks)
    assert "not permitted" in fallbacks.described()["graphs"]
    reference = ReferenceDecoder(GGUFFile(tiny_path)).logits(PROMPT)
    assert divergence(run(executor, [70]), reference) < 4e-3


@pytest.mark.parametrize("graphs", [True, False])
@pytest.mark.parametrize("count", [1, 5, 40])
def test_a_part_of_a_prompt_whose_states_are_no_numbers_is_told(tiny_path: Path, graphs: bool, count: int) -> None:
    """Nothing is sampled behind it, and its keys and values would be found by others. What they read is well."""
    executor = load(tiny_path, graphs=graphs)
    executor._kv.tensor.fill_(float("nan"))
    tokens = PROMPT[:count]
    reads_none = Row(0, tokens, 16, (0, 1, 2, 3))
    well = Row(1, tokens, 0, (4, 5, 6))
    sampled = Row(2, PROMPT[:1], 0, (7,), (0,), SamplingState(GREEDY, 0, 0))
    result = executor.submit(StepPlan((reads_none, well, sampled))).finish()
    assert result.failed_rows == (0,)
    assert [len(each) for each in result.tokens] == [0, 0, 1]
    assert executor.submit(StepPlan((well,))).finish().failed_rows == ()
