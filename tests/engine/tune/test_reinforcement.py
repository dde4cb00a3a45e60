"""The reward model and GRPO on a tiny random model, its rollouts by the engine under the grammar of a real tool."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import gguf
import pytest
import torch
from tests.engine.tiny_model import write_tiny_llama
from tests.engine.tune.preference_pairs import pairs

from portico_engine import Tool, load_engine
from portico_engine.adapters.adapter import LowRank, StoredAdapter
from portico_engine.engine import Engine
from portico_engine.grammar import compile_tool_calls
from portico_engine.models.config import read_config
from portico_engine.tune.calling.caller import Answer, ToolCaller
from portico_engine.tune.calling.figures import figures
from portico_engine.tune.calling.scoring import is_right, verified_reward
from portico_engine.tune.calling.task import Task, tasks_of
from portico_engine.tune.data.rows import Row
from portico_engine.tune.data.said_calls import SaidCall
from portico_engine.tune.reinforcement.masks import allowed_tokens
from portico_engine.tune.training.loop import Settings
from portico_engine.weights.gguf_file import GGUFFile

pytest.importorskip("transformers")

from portico_engine.tune.reinforcement.grpo import GRPOTrainer
from portico_engine.tune.reinforcement.reward_model import RewardModel
from portico_engine.tune.training.base_model import load_base, stored_name

LIGHT = Tool("light", "Switches.", {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]})
ON = '{"name":"light","arguments":{"on":true}}'
SETTINGS = Settings(rank=4, alpha=8.0, epochs=20, batch_tokens=4096, learning_rate=2e-2, seed=3)


def row(question: str, completion: str = ON) -> Row:
    return Row([{"role": "user", "content": question}], completion, "here", "MIT", tools=(LIGHT,))


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reinforcement")
    return write_tiny_llama(folder / "tiny.gguf", quantization=gguf.GGMLQuantizationType.F32)


@pytest.fixture(scope="module")
def engine(model_path: Path) -> Iterator[Engine]:
    made = load_engine(model_path, executor="torch-cpu", adapters=1, max_rows=16)
    yield made
    made.close()


@pytest.fixture
def stored(model_path: Path) -> StoredAdapter:
    from portico_engine.tune.training.low_rank import with_adapter

    adapter = with_adapter(load_base(model_path, "cpu", torch.float32), 4, 8.0, 5)
    names = {stored_name(module): module for module in adapter}
    both = {name: (adapter[module].a.detach().numpy(), adapter[module].b.detach().numpy()) for name, module in names.items()}
    matrices = {name: LowRank(a, b) for name, (a, b) in both.items()}
    return StoredAdapter(Path("sft"), "", matrices, names, interleaves_rotary=False)


def caller(engine: Engine, model_path: Path) -> ToolCaller:
    return ToolCaller(engine, read_config(GGUFFile(model_path)), max_tokens=60)


def answer(text: str, whole: bool = True) -> Answer:
    return Answer(text, (), (), whole)


def task(*calls: SaidCall, tools: tuple[Tool, ...] = (LIGHT,)) -> Task:
    return Task("?", (1,), tools, calls, compile_tool_calls(tools))


def test_grpo_learns_what_the_checked_reward_wants(engine: Engine, model_path: Path, stored: StoredAdapter) -> None:
    """The grammar leaves on or off; on is right, and off what this model likes. Warm enough, it tries both."""
    rows = [row(f"On {n}?") for n in range(2)]
    tasks = [replace(one, grammar=compile_tool_calls([LIGHT])) for one in tasks_of(rows, engine, longest=100)]
    made = caller(engine, model_path)
    trainer = GRPOTrainer(
        load_base(model_path, "cpu", torch.float32), tasks, SETTINGS, start=stored, caller=made, nearness=0.0, temperature=4.0,
        say=lambda line: None,
    )  # fmt: skip
    history = trainer.run()
    made.use(trainer.matrices(), 2.0)
    answers = [one[0] for one in made.ask(tasks)]
    assert figures(tasks, answers)["all"].call == 100.0
    assert history.points[-1]["right"] > history.points[0]["right"]
    made.drop()


def test_the_adapter_that_is_trained_is_the_one_that_answers(engine: Engine, model_path: Path, stored: StoredAdapter) -> None:
    """The same log p by the trained decoder and by the engine, with the same adapter."""
    from portico_engine.tune.rendering import TokenRow
    from portico_engine.tune.training.likelihood import answer_likelihood
    from portico_engine.tune.training.low_rank import with_adapter
    from portico_engine.tune.training.start import begin_at

    base = load_base(model_path, "cpu", torch.float32)
    adapter = with_adapter(base, 4, 8.0, 5)
    begin_at(adapter, stored)
    for module in adapter.values():
        torch.nn.init.normal_(module.b, std=0.1, generator=torch.Generator().manual_seed(2))
    made = caller(engine, model_path)
    made.use({name: (m.a, m.b) for name, m in adapter.items()}, 2.0)
    (one,) = tasks_of([row("On?")], engine, longest=100)
    (said,) = made.ask([one])[0]
    made.drop()
    tokens = tuple(said.tokens)
    allowed = allowed_tokens(one.grammar, tokens, engine.grammars, 269)
    assert allowed[torch.arange(len(tokens)), torch.tensor(tokens)].all()
    found = answer_likelihood(base, [TokenRow((*one.prompt, *tokens), len(one.prompt))], torch.device("cpu"))
    assert found.tokens.tolist() == [len(tokens)]


def test_the_reward_model_scores_the_better_answers_higher(model_path: Path, stored: StoredAdapter) -> None:
    settings = Settings(rank=4, alpha=8.0, epochs=12, batch_tokens=512, learning_rate=5e-3)
    model = RewardModel(load_base(model_path, "cpu", torch.float32), settings, stored)
    model.train(pairs(24), say=lambda line: None)
    assert model.share_right(pairs(32)[24:]) > 0.8
    scores = model.scores([row for pair in pairs(24) for row in pair])
    assert float(scores.mean()) == pytest.approx(0, abs=1e-4)
    assert float(scores.std(correction=0)) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "whole", "reward"),
    [
        (ON, True, 1.0),
        ('{"name":"light","arguments":{"on":false}}', True, 0.25),
        ("None of these tools can do that.", True, 0.0),
        ('{"name":"light","arguments":{"on":tr', False, -1.0),
        ('{"name":"light","arguments":{"on":"yes"}}', True, -1.0),
        ('{"name":"lamp","arguments":{"on":true}}', True, -1.0),
        (f"[{ON},{ON}]", True, 0.0),
        (f"[{ON}]", True, 1.0),
    ],
)
def test_the_checked_reward_tells_right_from_nearly_and_from_invalid(text: str, whole: bool, reward: float) -> None:
    assert verified_reward(task(SaidCall("light", {"on": True})), answer(text, whole)) == reward


def test_where_no_tool_fits_a_call_earns_nothing_and_a_refusal_all() -> None:
    assert verified_reward(task(), answer("None of these tools can do that.")) == 1.0
    assert verified_reward(task(), answer(ON)) == 0.0
    assert is_right(task(), answer("Something else."))


def test_a_mask_holds_what_the_grammar_allowed_and_no_more(engine: Engine) -> None:
    grammar = compile_tool_calls([LIGHT])
    tokens = engine.tokenizer.encode('{"name":"light","arguments":{"on":true}}')
    allowed = allowed_tokens(grammar, tokens, engine.grammars, engine.info.vocab_size)
    letters = {b: next(i for i, t in enumerate(engine.tokenizer.token_bytes) if t == b) for b in (b"t", b"f", b"x")}
    at = tokens.index(letters[b"t"], len(engine.tokenizer.encode('{"name":"light","arguments":{"on":')))
    assert allowed[at, letters[b"t"]]
    assert allowed[at, letters[b"f"]]
    assert not allowed[at, letters[b"x"]]
    assert allowed.shape == (len(tokens), engine.info.vocab_size)
