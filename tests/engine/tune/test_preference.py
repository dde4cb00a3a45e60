"""DPO, IPO and KTO on a tiny random model, from a supervised adapter that is their reference."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from tests.engine.tiny_model import write_tiny_llama
from tests.engine.tune.preference_pairs import pairs

from portico_engine.errors import AdapterError
from portico_engine.models.config import read_config
from portico_engine.tune.export.peft_folder import save_peft
from portico_engine.tune.preference.answers import rated
from portico_engine.tune.preference.beta_sweep import sweep
from portico_engine.tune.preference.losses import Method, dpo_loss, ipo_loss, kto_loss, sft_loss
from portico_engine.tune.preference.train import PreferenceTrainer
from portico_engine.tune.rendering import TokenRow
from portico_engine.tune.training.likelihood import AnswerLikelihood
from portico_engine.tune.training.loop import OtherRun, OutOfMemory, Settings
from portico_engine.tune.training.low_rank import with_adapter
from portico_engine.tune.training.start import read_start
from portico_engine.weights.gguf_file import GGUFFile

pytest.importorskip("transformers")

from portico_engine.tune.training.base_model import load_base

SETTINGS = Settings(rank=4, alpha=8.0, epochs=4, batch_tokens=512, learning_rate=5e-3, seed=2)


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preference")
    return write_tiny_llama(folder / "tiny.gguf", quantization=gguf.GGMLQuantizationType.F32)


@pytest.fixture(scope="module")
def start(model_path: Path) -> Path:
    """An adapter with something in it, as supervised training leaves one."""
    adapter = with_adapter(load_base(model_path, "cpu", torch.float32), 4, 8.0, 5)
    generator = torch.Generator().manual_seed(1)
    matrices = {name: (m.a, torch.randn(m.b.shape, generator=generator) * 0.02) for name, m in adapter.items()}
    folder = model_path.parent / "sft"
    save_peft(folder, matrices, rank=4, alpha=8.0, base="someone/tiny", prompts="some prompts")
    return folder


def trainer(model_path: Path, start: Path, **more: Any) -> PreferenceTrainer:
    stored = read_start(start, read_config(GGUFFile(model_path)))
    more = {"settings": SETTINGS} | more
    base = load_base(model_path, "cpu", torch.float32)
    return PreferenceTrainer(base, pairs(), start=stored, say=lambda line: None, **more)


@pytest.mark.parametrize("method", ["dpo", "ipo", "kto"])
def test_each_method_comes_to_prefer_the_chosen_answers(model_path: Path, start: Path, method: Method) -> None:
    made = trainer(model_path, start, sft_weight=0.0)
    unseen = pairs(32)[24:]
    chosen, rejected = ([pair[side] for pair in unseen] for side in (0, 1))
    before = made.per_token(chosen) - made.per_token(rejected)
    made.run(method, 0.1)
    after = made.per_token(chosen) - made.per_token(rejected)
    assert float((after - before).mean()) > 0.3
    assert made.preferred_share(unseen) > 0.8


@pytest.mark.parametrize("method", ["dpo", "ipo", "kto"])
def test_the_good_answers_own_loss_keeps_them_likely(model_path: Path, start: Path, method: Method) -> None:
    def chosen_after(weight: float) -> float:
        made = trainer(model_path, start, sft_weight=weight)
        made.run(method, 0.1)
        return float(made.per_token([pair.chosen for pair in pairs()]).mean())

    assert chosen_after(3.0) > chosen_after(0.0) + 0.1


def test_the_loss_of_no_good_answers_is_nothing() -> None:
    said = AnswerLikelihood(torch.tensor([-3.0, -5.0]), torch.tensor([2.0, 6.0]))
    assert float(sft_loss(said)) == pytest.approx(1.0)
    assert float(sft_loss(AnswerLikelihood(said.log_p[:0], said.tokens[:0]))) == 0.0


def test_a_run_begins_where_the_reference_stands_so_that_its_first_loss_is_that_of_no_preference(
    model_path: Path, start: Path
) -> None:
    made = trainer(model_path, start, sft_weight=0.0)
    made._know_reference([row for pair in pairs() for row in pair])
    for method, loss in (("dpo", math.log(2)), ("ipo", 25.0)):
        assert float(made._pair_loss(pairs()[:4], method, 0.1).detach()) == pytest.approx(loss, abs=1e-3)  # type: ignore[arg-type]


def test_the_losses_are_those_of_their_papers() -> None:
    chosen, rejected = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 1.0])
    margin = chosen - rejected
    expected = sum(math.log(1 + math.exp(-0.3 * m)) for m in margin.tolist()) / 2
    assert float(dpo_loss(chosen, rejected, 0.3)) == pytest.approx(expected)
    assert float(ipo_loss(chosen, rejected, 0.25)) == pytest.approx(sum((m - 2.0) ** 2 for m in margin.tolist()) / 2)
    good = torch.tensor([True, False])
    z0 = 0.2  # the mean of the mismatched, which a negative one would not lower below nothing
    worth = [1 / (1 + math.exp(-0.3 * (1.0 - z0))), 1 / (1 + math.exp(-0.3 * (z0 + 2.0)))]
    expected = (2.0 * (1 - worth[0]) + 1.0 * (1 - worth[1])) / 2
    assert float(kto_loss(chosen, good, torch.tensor([0.1, 0.3]), 0.3, 2.0, 1.0)) == pytest.approx(expected)


def test_three_betas_are_tried_on_pairs_that_are_not_trained_on(model_path: Path, start: Path) -> None:
    said: list[str] = []
    best, tried = sweep(trainer(model_path, start), "dpo", pairs(32)[24:], 0.3, said.append)
    assert [round(one.beta, 3) for one in tried] == [0.1, 0.3, 0.9]
    assert best in tried
    assert best.preferred == max(one.preferred for one in tried)
    assert len(said) == 3


def test_a_mismatched_answer_is_another_question_s() -> None:
    rows = [pair.chosen for pair in pairs(2)] + [TokenRow((9, 9, 9, 50, 2), 3)]
    for answer in rated([(row, True) for row in rows], seed=1):
        others = [row.ids[row.learned :] for row in rows if row is not answer.row]
        assert answer.mismatched.ids[: answer.row.learned] == answer.row.ids[: answer.row.learned]
        assert answer.mismatched.ids[answer.row.learned :] in others


def test_a_run_goes_on_from_its_checkpoint_alone_where_it_is_the_same_run(
    model_path: Path, start: Path, tmp_path: Path
) -> None:
    trainer(model_path, start, made_from="this").run("dpo", 0.1, folder=tmp_path)
    again = trainer(model_path, start, made_from="this").run("dpo", 0.1, folder=tmp_path)
    assert again.steps > 0
    with pytest.raises(OtherRun, match="over other data, another base or another adapter"):
        trainer(model_path, start, made_from="that").run("dpo", 0.1, folder=tmp_path)
    with pytest.raises(OtherRun, match="another adapter to begin with"):
        trainer(model_path, start, made_from="this").run("dpo", 0.2, folder=tmp_path)
    faster = Settings(rank=4, alpha=8.0, epochs=4, batch_tokens=512, learning_rate=1e-2, seed=2)
    with pytest.raises(OtherRun, match=r"of a run with learning_rate 0.005 \(now 0.01\)"):
        trainer(model_path, start, made_from="this", settings=faster).run("dpo", 0.1, folder=tmp_path)


def test_out_of_memory_says_which_batch_fits(model_path: Path, start: Path) -> None:
    made = trainer(model_path, start, settings=Settings(rank=4, alpha=8.0, batch_tokens=4096))
    whole = made._pair_loss

    def short(batch: Any, *rest: Any) -> torch.Tensor:
        if len(batch) > 6:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        return whole(batch, *rest)

    made._pair_loss = short  # type: ignore[method-assign]
    with pytest.raises(
        OutOfMemory, match=r"a batch of 1,536 tokens does not fit into memory; 384 do: go on with --batch-tokens 384"
    ):
        made.run("dpo", 0.1)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda data: data[: len(data) // 2], "adapter_model.safetensors"),
        (lambda data: data[:-400] + b"\xff" * 400, "holds numbers that are none"),
    ],
)
def test_a_spoilt_start_is_refused_by_name(model_path: Path, start: Path, tmp_path: Path, spoil: Any, said: str) -> None:
    (tmp_path / "adapter_config.json").write_bytes((start / "adapter_config.json").read_bytes())
    (tmp_path / "adapter_model.safetensors").write_bytes(spoil((start / "adapter_model.safetensors").read_bytes()))
    with pytest.raises(AdapterError, match=said):
        read_start(tmp_path, read_config(GGUFFile(model_path)))


def test_a_pickle_is_not_opened(model_path: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(AdapterError, match="is a pickle, which can run any code"):
        read_start(tmp_path, read_config(GGUFFile(model_path)))
