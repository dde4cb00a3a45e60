"""A LoRA run of a tiny random model on the CPU, from a GGUF file to an adapter that the engine and PEFT read alike."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.engine.models.parity import agreement, divergence
from tests.engine.tiny_model import write_tiny_llama

from portico_engine import ModelError
from portico_engine.adapters.adapter import AdapterLimits
from portico_engine.adapters.read_adapter import read_adapter
from portico_engine.executors.protocol import Sizes
from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor
from portico_engine.models.config import read_config
from portico_engine.plan import Row, StepPlan
from portico_engine.tune.export.gguf_file import save_gguf
from portico_engine.tune.export.peft_folder import save_peft
from portico_engine.tune.rendering import TokenRow
from portico_engine.tune.sft import Trainer
from portico_engine.tune.training.batches import batches, collate
from portico_engine.tune.training.loop import Diverged, Settings, schedule
from portico_engine.tune.training.loss_plot import terminal_plot
from portico_engine.tune.training.low_rank import with_adapter
from portico_engine.weights.gguf_file import GGUFFile

pytest.importorskip("transformers")

from portico_engine.tune.training.base_model import compile_layers, load_base

TOKENS = tuple(range(20, 52))
LIMITS = AdapterLimits(1, 16)
SETTINGS = Settings(rank=4, alpha=8.0, epochs=6, batch_tokens=256, learning_rate=2e-2, seed=3)


def rows(*, kept: bool = False) -> list[TokenRow]:
    """Eight tokens of noise, and always the same answer."""
    rng = random.Random(1)
    return [TokenRow((*(rng.randrange(10, 200) for _ in range(8)), 30, 31, 32), 8, kept and at % 3 == 0) for at in range(24)]


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import gguf

    return write_tiny_llama(tmp_path_factory.mktemp("tune") / "tiny.gguf", quantization=gguf.GGMLQuantizationType.F32)


@pytest.fixture
def base(model_path: Path) -> Any:
    return load_base(model_path, "cpu", torch.float32)


def engine_logits(model: Path, adapter: Path | None = None) -> torch.Tensor:
    file = GGUFFile(model)
    executor = TorchCPUExecutor.load(file, Sizes(128, 256), codes=False, adapters=LIMITS)
    if adapter is not None:
        executor.load_adapter(0, read_adapter(adapter, read_config(file), LIMITS))
    place = None if adapter is None else 0
    row = Row(0, TOKENS, 0, tuple(range(8)), tuple(range(len(TOKENS))), targets=TOKENS, adapter=place)
    return torch.from_numpy(executor.submit(StepPlan((row,))).logits.copy()).log_softmax(-1)


def same(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """But for the rounding of the one or the other to bfloat16."""
    assert divergence(ours, theirs) < 0.01
    assert agreement(ours, theirs) > 0.9


@torch.no_grad()
def trained_logits(model: Any) -> torch.Tensor:
    return model(input_ids=torch.tensor([TOKENS])).logits[0].float().log_softmax(-1)


def test_what_is_trained_beside_says_what_the_engine_says(model_path: Path, base: Any) -> None:
    same(trained_logits(base), engine_logits(model_path))


def test_a_run_learns_and_its_adapter_says_the_same_in_the_engine_from_both_files(
    tmp_path: Path, model_path: Path, base: Any
) -> None:
    before = trained_logits(base)
    trainer = Trainer(base, rows(), SETTINGS, held_out=rows()[:6], say=lambda line: None)
    untrained = trainer.held_out_loss()
    torch.testing.assert_close(trained_logits(base), before)
    trainer.run()
    assert trainer.held_out_loss() < 0.5 * untrained
    matrices = {name: (module.a, module.b) for name, module in trainer.adapter.items()}
    told = {"base": "someone/tiny", "prompts": "some prompts"}
    save_peft(tmp_path / "peft", matrices, rank=4, alpha=8.0, **told)
    config = read_config(GGUFFile(model_path))
    save_gguf(tmp_path / "adapter.gguf", matrices, alpha=8.0, config=config, **told)
    assert (trained_logits(base) - before).abs().max() > 0.5
    for path in (tmp_path / "peft", tmp_path / "adapter.gguf"):
        adapter = read_adapter(path, config, LIMITS)
        assert (adapter.base, adapter.prompts, adapter.rank) == ("someone/tiny", "some prompts", 4)
        same(trained_logits(base), engine_logits(model_path, path))


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # what PEFT asks of transformers
def test_peft_reads_the_folder_and_says_the_same(tmp_path: Path, model_path: Path, base: Any) -> None:
    peft = pytest.importorskip("peft")
    trainer = Trainer(base, rows(), SETTINGS, say=lambda line: None)
    trainer.run()
    matrices = {name: (module.a, module.b) for name, module in trainer.adapter.items()}
    save_peft(tmp_path / "peft", matrices, rank=4, alpha=8.0, base="someone/tiny", prompts="")
    theirs = peft.PeftModel.from_pretrained(load_base(model_path, "cpu", torch.float32), tmp_path / "peft")
    same(trained_logits(base), trained_logits(theirs))


def test_rows_that_are_kept_hold_the_model_near_its_base(model_path: Path) -> None:
    drifted = {}
    for weight in (0.0, 20.0):
        settings = Settings(rank=4, alpha=8.0, epochs=8, batch_tokens=256, learning_rate=2e-2, keep_weight=weight)
        trainer = Trainer(load_base(model_path, "cpu", torch.float32), rows(kept=True), settings, say=lambda line: None)
        kept = [row for row in rows(kept=True) if row.kept]
        assert trainer.kept_agreement(kept)["kl"] < 1e-6
        trainer.run()
        drifted[weight] = trainer.kept_agreement(kept)["kl"]
    assert drifted[20.0] < 0.5 * drifted[0.0]


def test_a_run_that_was_killed_goes_on_from_its_checkpoint_and_ends_the_same(tmp_path: Path, model_path: Path) -> None:
    def trainer(folder: Path, stop_at: int | None = None) -> Trainer:
        said = iter(range(1000))

        def say(line: str) -> None:
            if stop_at is not None and next(said) >= stop_at:
                raise KeyboardInterrupt

        settings = Settings(rank=4, alpha=8.0, epochs=30, batch_tokens=256, checkpoint_seconds=0.0)
        return Trainer(load_base(model_path, "cpu", torch.float32), rows(), settings, folder=folder, say=say)

    whole = trainer(tmp_path / "whole")
    whole.run()
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / "killed", stop_at=0).run()
    again = trainer(tmp_path / "killed")
    history = again.run()
    assert history.steps == whole.history.steps
    assert [point["step"] for point in history.points] == [point["step"] for point in whole.history.points]
    for name, module in whole.adapter.items():
        np.testing.assert_allclose(module.b.detach(), again.adapter[name].b.detach(), atol=1e-5)


def test_a_run_whose_loss_is_no_number_stops_and_its_last_checkpoint_is_a_good_one(tmp_path: Path, base: Any) -> None:
    settings = Settings(rank=4, alpha=8.0, epochs=30, batch_tokens=256, checkpoint_seconds=0.0)
    trainer = Trainer(base, rows(), settings, folder=tmp_path, say=lambda line: None)
    step = trainer.loop._step

    def spoilt(batch: list[TokenRow]) -> torch.Tensor:
        if trainer.history.steps == 14:
            next(iter(trainer.adapter.values())).b.data.fill_(math.nan)
        return step(batch)

    trainer.loop._step = spoilt  # type: ignore[method-assign]
    with pytest.raises(Diverged, match="the loss is no number at step"):
        trainer.run()
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["history"]["steps"] == 10
    assert all(bool(b.isfinite().all()) for _, b in state["adapter"].values())


def test_the_time_limit_ends_a_run_with_the_rate_at_nothing(base: Any) -> None:
    said: list[str] = []
    trainer = Trainer(base, rows(), Settings(rank=4, epochs=1000, batch_tokens=256, most_seconds=0.2), say=said.append)
    history = trainer.run()
    assert history.steps < 3000
    assert said[-1].startswith("the time is up at step")
    assert schedule(1.0, 0.03) == pytest.approx(0.0)


def test_a_batch_marks_the_positions_whose_next_token_is_learned() -> None:
    batch = collate([TokenRow((1, 2, 3, 4), 2), TokenRow((5, 6, 7), 1)])
    assert batch.learned[:, :4].tolist() == [[False, True, True, False], [True, True, False, False]]
    assert not batch.learned[:, 4:].any()


def test_batches_hold_every_row_once_within_their_budget() -> None:
    rng = random.Random(2)
    many = [TokenRow(tuple(range(rng.randrange(4, 60))), 1, at % 7 == 0) for at in range(300)]
    made = batches(many, 256, seed=1)
    assert sorted(map(repr, many)) == sorted(repr(row) for batch in made for row in batch)
    assert all(len(batch) * max(len(row.ids) for row in batch) <= 256 for batch in made)
    assert all(len({row.kept for row in batch}) == 1 for batch in made)


def test_another_architecture_is_refused_by_name(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "qwen.gguf", architecture="qwen2")
    with pytest.raises(ModelError, match="is of the architecture 'qwen2'; adapters are trained for 'llama'"):
        load_base(path, "cpu", torch.float32)


def test_beside_a_quantized_layer_the_adapter_adds_the_same_as_within_a_whole_one() -> None:
    plain = torch.nn.Sequential()
    plain.add_module("q_proj", torch.nn.Linear(16, 8, bias=False))
    quantized = torch.nn.Sequential()
    quantized.add_module("q_proj", torch.nn.Linear(16, 8, bias=False))
    quantized.q_proj.weight.data.copy_(plain.q_proj.weight.data)
    quantized.q_proj.weight.quant_state = "as bitsandbytes has it"
    x = torch.randn(3, 16, generator=torch.Generator().manual_seed(1))
    said = []
    for model in (plain, quantized):
        adapter = with_adapter(model, 4, 8.0, seed=3)["q_proj"]
        torch.nn.init.normal_(adapter.b, generator=torch.Generator().manual_seed(2))
        if said:
            adapter.a.data.copy_(said[0][1].a.data)
        out = model(x)
        out.square().sum().backward()
        said.append((out.detach(), adapter))
    torch.testing.assert_close(said[0][0], said[1][0])
    torch.testing.assert_close(said[0][1].a.grad, said[1][1].a.grad)
    torch.testing.assert_close(said[0][1].b.grad, said[1][1].b.grad)
    assert type(said[0][1]) is not type(said[1][1])


def test_an_nf4_base_without_a_gpu_is_refused(model_path: Path) -> None:
    with pytest.raises(ModelError, match=r"an NF4 base \(--qlora\) needs an NVIDIA GPU"):
        load_base(model_path, "cpu", torch.float32, nf4=True)


def test_a_loss_that_rises_to_three_times_what_it_was_stops_the_run(tmp_path: Path, base: Any) -> None:
    settings = Settings(rank=4, alpha=8.0, epochs=30, batch_tokens=256, checkpoint_seconds=0.0)
    trainer = Trainer(base, rows(), settings, folder=tmp_path, say=lambda line: None)
    step = trainer.loop._step

    def rising(batch: list[TokenRow]) -> torch.Tensor:
        return step(batch) + (100 if trainer.history.steps >= 20 else 0)

    trainer.loop._step = rising  # type: ignore[method-assign]
    with pytest.raises(
        Diverged, match=r"the loss has risen from [\d.]+ to 1\d\d[\d.]* at step 30; the last checkpoint in .* is from before"
    ):
        trainer.run()
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["history"]["steps"] == 20


def test_a_loss_is_drawn_in_the_terminal() -> None:
    points = [{"step": 10.0 * at, "loss": 10.0 - at} for at in range(1, 9)]
    lines = terminal_plot(points).split("\n")
    assert lines[0].startswith("        9 |█")
    assert lines[-1].endswith("step 80")
    assert len({len(line) for line in lines[:-1]}) == 1
    assert terminal_plot(points[:1]) == ""


def test_compiled_layers_say_what_plain_ones_say_and_are_compiled_once_a_kind(base: Any) -> None:
    made = Trainer(base, rows(), SETTINGS, say=lambda line: None)
    batch = [collate([row]) for row in rows()[:2]]
    before = [float(made._loss(one).detach()) for one in batch]
    torch._dynamo.utils.counters.clear()
    compile_layers(made.model, backend="eager")
    after = [float(made._loss(one).detach()) for one in batch]
    assert after == pytest.approx(before, rel=1e-5)
    made._loss(batch[0]).backward()
    assert all(module.a.grad is not None and module.b.grad is not None for module in made.adapter.values())
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 2
    assert not torch._dynamo.utils.counters["graph_break"]
