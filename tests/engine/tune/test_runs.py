"""Runs as a user starts them, of a tiny random model: from a file of rows to a folder, and what is refused before anything."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import pytest
from tests.engine.tiny_folder import write_folder
from tests.engine.tiny_model import random_tensors, vocabulary, write_tiny_llama
from tests.engine.tune.data.test_row_file import LIGHT, OFF, ON, pairs, prompt, supervised

from portico_engine.errors import AdapterError
from portico_engine.tune.data.row_file import RatedRow, write_rows
from portico_engine.tune.runs.options import RefusedRun, RunOptions

pytest.importorskip("transformers")

from portico_engine.adapters.adapter import AdapterLimits
from portico_engine.adapters.read_adapter import read_adapter
from portico_engine.tune.preference.beta_sweep import DEFAULT_BETA
from portico_engine.tune.runs.evaluation import Capability, Comparison, Evaluator
from portico_engine.tune.runs.exporting import export_adapter
from portico_engine.tune.runs.preferences import run_preference
from portico_engine.tune.runs.reinforced import run_rlhf
from portico_engine.tune.runs.supervised import run_sft
from portico_engine.tune.training.base_model import decoder_config


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    return write_tiny_llama(folder / "tiny.gguf", quantization=gguf.GGMLQuantizationType.F32, context=512)


@pytest.fixture(scope="module")
def options(model_path: Path) -> RunOptions:
    said: list[str] = []
    write_rows(model_path.parent / "sft.jsonl", supervised())
    write_rows(model_path.parent / "pairs.jsonl", pairs())
    return RunOptions(
        data=model_path.parent / "sft.jsonl", out=model_path.parent / "sft", model=model_path, base="someone/tiny", prompts="p",
        small=True, rank=4, alpha=8.0, epochs=3, learning_rate=5e-3, batch_tokens=1024, longest=300, say=said.append,
    )  # fmt: skip


@pytest.fixture(scope="module")
def sft(options: RunOptions) -> Path:
    return run_sft(options)


def heard(options: RunOptions) -> str:
    said = options.say.__self__  # type: ignore[attr-defined]
    return "\n".join(said)


def test_a_supervised_run_leaves_an_adapter_a_report_and_shows_its_loss(options: RunOptions, sft: Path) -> None:
    report = json.loads((options.out / "run.json").read_text(encoding="utf-8"))
    before, after = report["held_out_loss"]
    assert after < before
    assert (report["method"], report["rows"], report["held_out"]) == ("sft", 18, 2)
    assert read_adapter(sft, decoder_config(options.model), AdapterLimits(1, 8)).prompts == "p"
    assert "the adapter is in" in heard(options)


def test_a_run_that_is_done_is_not_trained_again(options: RunOptions, sft: Path) -> None:
    config = decoder_config(options.model)
    before = read_adapter(sft, config, AdapterLimits(1, 8)).digest
    run_sft(options)
    assert "going on from step" in heard(options)
    assert read_adapter(sft, config, AdapterLimits(1, 8)).digest == before


@pytest.mark.parametrize("method", ["dpo", "ipo"])
def test_pairs_are_trained_on_with_a_beta_that_was_tried(options: RunOptions, sft: Path, tmp_path: Path, method: Any) -> None:
    own = replace(options, data=options.data.with_name("pairs.jsonl"), out=tmp_path, start=sft, epochs=6)
    run_preference(method, own)
    report = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert [one["beta"] for one in report["tried"]] == pytest.approx([DEFAULT_BETA[method] * by for by in (1 / 3, 1, 3)])
    assert report["beta"] in [one["beta"] for one in report["tried"]]
    assert report["reference_sha256"]
    assert report["held_out"] == 2


def test_rated_answers_are_trained_on_without_pairs(options: RunOptions, sft: Path, tmp_path: Path) -> None:
    rows = [RatedRow(prompt(n), ON if n % 2 else OFF, bool(n % 2), "here", "MIT", (LIGHT,)) for n in range(20)]
    write_rows(tmp_path / "rated.jsonl", rows)
    run_preference("kto", replace(options, data=tmp_path / "rated.jsonl", out=tmp_path / "kto", start=sft))
    assert json.loads((tmp_path / "kto" / "run.json").read_text(encoding="utf-8"))["rated"] == 18


def test_rlhf_trains_a_reward_model_and_then_by_both_rewards(options: RunOptions, sft: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "few.jsonl", pairs(5))
    run_rlhf(replace(options, data=tmp_path / "few.jsonl", out=tmp_path, start=sft, epochs=1, batch_tokens=4096), group=2)
    report = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert {"reward", "right", "scored"} <= report["history"]["points"][-1].keys()
    assert report["tasks"] == 4
    assert 0 <= report["reward_model_right"] <= 1


def test_an_evaluation_says_what_was_gained_and_what_was_forgotten(options: RunOptions, sft: Path) -> None:
    evaluator = Evaluator(
        options.model, device="cpu", texts=("Plain words, and more of them.",), conversations=("Hello",), longest=200
    )
    found = evaluator.compare(supervised(4), sft)
    evaluator.close()
    assert found.before["all"].tasks == 4
    one, other = found.capability
    assert one.perplexity != other.perplexity
    assert found.as_json()["perplexity"] == [one.perplexity, other.perplexity]


def test_an_adapter_that_forgot_too_much_is_told_of() -> None:
    before, after = Capability(60.0, ((1, 2), (3, 4))), Capability(90.0, ((1, 2), (9, 9)))
    losses = Comparison({}, {}, (before, after)).losses
    assert losses[0] == "perplexity of plain text rose from 60.0 to 90.0 (at most 1.1 times)"
    assert losses[1] == "50% of conversations are answered as before (at least 70%)"
    assert not Comparison({}, {}, (before, replace(before, perplexity=61.0))).losses


def test_an_adapter_is_exported_in_each_form_and_they_say_the_same(options: RunOptions, sft: Path, tmp_path: Path) -> None:
    config = decoder_config(options.model)
    told = {"model": options.model, "base": "someone/tiny", "prompts": "p", "say": lambda line: None}
    for form in ("peft", "gguf"):
        out = tmp_path / (form if form == "peft" else "adapter.gguf")
        export_adapter(options.out, form, out, **told)
        read = read_adapter(out, config, AdapterLimits(1, 8))
        own = read_adapter(sft, config, AdapterLimits(1, 8))
        for name, matrix in own.matrices.items():
            assert abs(read.matrices[name].b @ read.matrices[name].a - matrix.b @ matrix.a).max() < 1e-2
    export_adapter(options.out, "merged", tmp_path / "whole.gguf", **told)
    merged, base = gguf.GGUFReader(tmp_path / "whole.gguf"), gguf.GGUFReader(options.model)
    assert {t.name for t in merged.tensors} == {t.name for t in base.tensors}
    assert merged.fields.keys() == base.fields.keys()
    with pytest.raises(AdapterError, match="is there already"):
        export_adapter(options.out, "peft", tmp_path / "peft", **told)


def test_a_merged_model_says_what_the_base_says_with_the_adapter(options: RunOptions, sft: Path, tmp_path: Path) -> None:
    import torch

    from portico_engine.tune.training.base_model import load_base
    from portico_engine.tune.training.low_rank import with_adapter
    from portico_engine.tune.training.start import begin_at, read_start

    export_adapter(
        options.out, "merged", tmp_path / "m.gguf", model=options.model, base="b", prompts="p", say=lambda line: None
    )
    base, merged = (load_base(path, "cpu", torch.float32) for path in (options.model, tmp_path / "m.gguf"))
    begin_at(with_adapter(base, 4, 8.0, 1), read_start(sft, decoder_config(options.model)))
    ids = torch.arange(20, 60)[None]
    with torch.no_grad():
        assert (base(input_ids=ids).logits - merged(input_ids=ids).logits).abs().max() < 1e-3


def test_a_checkpoint_of_a_run_that_was_stopped_is_exported(options: RunOptions, sft: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "checkpoint.pt").write_bytes((options.out / "checkpoint.pt").read_bytes())
    told = {"model": options.model, "base": "someone/tiny", "prompts": "p", "say": lambda line: None}
    export_adapter(run, "peft", tmp_path / "out", **told)
    read, own = (read_adapter(place, decoder_config(options.model), AdapterLimits(1, 8)) for place in (tmp_path / "out", sft))
    assert read.digest == own.digest
    (run / "checkpoint.pt").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(RefusedRun, match="is no checkpoint, or cut short"):
        export_adapter(run, "peft", tmp_path / "again", **told)


def test_preferences_without_a_supervised_start_are_refused_with_the_reason(options: RunOptions, tmp_path: Path) -> None:
    own = replace(options, data=options.data.with_name("pairs.jsonl"), out=tmp_path)
    for run in (lambda: run_preference("dpo", own), lambda: run_rlhf(own)):
        with pytest.raises(RefusedRun, match=r"can't teach it to call: train it on calls first \(portico tune sft\)"):
            run()


def test_a_hugging_face_folder_is_a_base_as_well(options: RunOptions, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model", random_tensors(), {"model_type": "llama", "vocab_size": len(vocabulary())})
    data = replace(options, model=folder, out=tmp_path / "run", epochs=2)
    adapter = run_sft(data)
    assert read_adapter(adapter, decoder_config(folder), AdapterLimits(1, 8)).rank == 4


def test_a_start_for_another_model_is_refused_by_name(options: RunOptions, sft: Path, tmp_path: Path) -> None:
    from tests.engine.tiny_model import Shape

    other = write_tiny_llama(tmp_path / "wide.gguf", shape=Shape(hidden=128, feed_forward=192))
    with pytest.raises(AdapterError, match="this model calls for"):
        run_preference("dpo", replace(options, model=other, start=sft, out=tmp_path / "run"))
