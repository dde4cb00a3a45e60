"""What `portico bench` found counts where it was found, and decides for executor "auto" there alone."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portico_engine import model_digest
from portico_gateway.config.sections import EngineConfig, ModelConfig
from portico_gateway.model import bench_record, host
from portico_gateway.model.bench_record import BenchRecord, bench_file, find_record, follow_bench, keep_record
from portico_gateway.model.machine import describe_machine, library_versions

CALLS = bench_record.CALLS_PER_SECOND


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF")
    return file


def record(model: Path, **calls: float) -> BenchRecord:
    figures = {name.replace("torch_", "torch-"): {CALLS: value} for name, value in calls.items()}
    return BenchRecord(describe_machine(), model_digest(model), library_versions(), "2026-11-29T12:00:00+00:00", False, figures)


def test_a_record_is_found_again_and_its_file_is_its_owners_alone(model: Path) -> None:
    kept = record(model, torch_cpu=7.0)
    assert find_record(model) is None
    assert keep_record(kept) == bench_file()
    assert bench_file().stat().st_mode & 0o777 == 0o600
    assert find_record(model) == kept


@pytest.mark.parametrize(
    "other",
    [{"machine": "another machine"}, {"model": "0" * 64}, {"versions": {"portico": "0.0.1"}}],
    ids=["machine", "model", "version"],
)
def test_what_was_measured_elsewhere_is_ignored(model: Path, other: dict[str, Any]) -> None:
    keep_record(replace(record(model, torch_cpu=1.0, llama_cpp=9.0), **other))
    assert find_record(model) is None
    assert follow_bench(model, {"executor": "auto"}) == {"executor": "auto"}


def test_measuring_again_replaces_what_was_measured_and_keeps_the_rest(model: Path) -> None:
    keep_record(record(model, torch_cpu=7.0, llama_cpp=3.0))
    keep_record(record(model, torch_cpu=8.0))
    found = find_record(model)
    assert found is not None
    assert found.figures == {"torch-cpu": {CALLS: 8.0}, "llama_cpp": {CALLS: 3.0}}


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"records": [{"machine": 1}]}', '{"records": 7}'])
def test_a_file_that_cannot_be_read_is_as_if_it_were_not_there(
    model: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench_file().parent.mkdir(parents=True)
    bench_file().write_text(text)
    assert follow_bench(model, {}) == {}
    assert "nothing measured counts" in caplog.text


@pytest.mark.parametrize(
    ("calls", "options", "executor"),
    [
        ({"torch_cpu": 3.0, "llama_cpp": 9.0}, {}, "llama_cpp"),
        ({"torch_cpu": 3.0, "llama_cpp": 9.0}, {"executor": "auto"}, "llama_cpp"),
        ({"torch_cpu": 3.0, "llama_cpp": 9.0}, {"executor": "torch"}, "torch"),  # what is named is what is taken
        ({"torch_cpu": 3.0, "llama_cpp": 9.0}, {"max_rows": 128}, None),  # more than llama.cpp has
        ({"torch_cpu": 3.0, "llama_cpp": 9.0}, {"adapters": 1}, None),  # llama.cpp takes none
        ({"torch_cpu": 3.0, "llama_cpp": 3.1}, {}, None),  # no clear case
        ({"torch_cpu": 9.0, "llama_cpp": 3.0}, {}, None),
        ({"llama_cpp": 3.0}, {}, None),  # nothing to compare it with
        ({"torch_cpu": 3.0, "llama_cpp": 9.0, "torch_cuda": 1.0}, {}, None),  # torch has the GPU
    ],
)
def test_auto_is_what_was_clearly_the_fastest_on_a_cpu(
    model: Path, calls: dict[str, float], options: dict[str, Any], executor: str | None
) -> None:
    keep_record(record(model, **calls))
    assert follow_bench(model, options).get("executor", "auto") == (executor or "auto")


def test_one_line_in_the_log_says_what_was_found(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    keep_record(record(model, torch_cpu=3.0, llama_cpp=9.0))
    follow_bench(model, {})
    (line,) = [each.getMessage() for each in caplog.records]
    assert line == (
        "executor auto is llama_cpp: portico bench found 3.0 calls/s by torch-cpu and 9.0 by llama_cpp "
        "on 2026-11-29T12:00:00+00:00"
    )


def test_a_served_model_follows_it(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[dict[str, Any]] = []
    monkeypatch.setattr("portico_engine.find_model", lambda name: model)
    monkeypatch.setattr("portico_engine.engine_loader", lambda path, **options: loaded.append(options))
    keep_record(record(model, torch_cpu=3.0, llama_cpp=9.0))
    host.model_host(ModelConfig(), EngineConfig())
    host.model_host(ModelConfig(executor="torch-cpu"), EngineConfig())
    assert [options["executor"] for options in loaded] == ["llama_cpp", "torch-cpu"]
