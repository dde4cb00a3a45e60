"""What came to the executors beside plain answers, on a GPU: pooled states, guesses under captured graphs, ends held back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.engine.tiny_model import Q, write_tiny_llama

from portico_engine import Request, SamplingParams, load_engine
from portico_engine.grammar import compile_gbnf

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")]
GRAMMARS = [None, 'root ::= ("ab" | "cd" | "hello world "){12,20}']  # long enough to say a thing twice


def test_pooled_states_are_the_cpu_s(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf", quantization=Q.F32)
    cpu, gpu = (load_engine(path, executor=name, context=128) for name in ("torch-cpu", "torch-cuda"))
    for pooling in ("mean", "last"):
        one, other = (engine.embed(["hello world", "x"], pooling).vectors for engine in (cpu, gpu))  # type: ignore[arg-type]
        cosines = (one * other).sum(-1) / np.linalg.norm(one, axis=-1) / np.linalg.norm(other, axis=-1)
        assert cosines == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("grammar", GRAMMARS)
def test_guesses_part_from_single_steps_at_near_ties_alone(tmp_path: Path, grammar: str | None) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf", quantization=Q.F32)
    plain, guessing = (load_engine(path, executor="torch-cuda", context=256, speculation=n) for n in (0, 6))
    compiled = compile_gbnf(grammar) if grammar else None
    for prompt in ((50, 51, 52) * 9, tuple(range(10, 40)) * 2):
        params = SamplingParams(temperature=0, logprobs=2)
        told = list(plain.generate(Request("a", prompt, params, 40, grammar=compiled)))
        expected, tops = ([t for d in told for t in d.tokens], [t for d in told for t in d.top_logprobs])
        request = Request("a", prompt, SamplingParams(temperature=0), 40, grammar=compiled)
        found = [t for d in guessing.generate(request) for t in d.tokens]
        parting = next((i for i, (a, b) in enumerate(zip(expected, found, strict=False)) if a != b), None)
        assert parting is None or tops[parting][0][1] - tops[parting][1][1] < 0.15
    assert guessing.stats()["accepted_drafts"] > 0


def test_an_end_is_held_back_and_repetitions_are_broken(tmp_path: Path) -> None:
    engine = load_engine(write_tiny_llama(tmp_path / "tiny.gguf", quantization=Q.F32), executor="torch-cuda", context=128)
    eager = SamplingParams(temperature=0, logit_bias=((2, 100.0),), min_tokens=5)
    tokens = [t for d in engine.generate(Request("a", (5, 6), eager, 12)) for t in d.tokens]
    assert (len(tokens), tokens[-1]) == (6, 2)
    caught = {"temperature": 0, "logit_bias": ((20, 60.0), (21, 60.0))}
    broken = SamplingParams(**caught, dry_multiplier=4.0, dry_sequence_breakers=())  # type: ignore[arg-type]
    tokens = [t for d in engine.generate(Request("b", (5, 6), broken, 40)) for t in d.tokens]
    assert not set(tokens) <= {20, 21}
