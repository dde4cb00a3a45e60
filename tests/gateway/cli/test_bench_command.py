"""`portico bench` over a scripted engine: what is printed, what is kept, how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.http.fake_engine import FakeEngine

from portico_engine import AsyncEngine, EngineClient, ModelError, Request
from portico_gateway.bench import run as bench_run
from portico_gateway.bench import workload
from portico_gateway.cli.main import run
from portico_gateway.model.bench_record import bench_file, find_record

CALL = '{"name":"read_order","arguments":{"number":31,"with_author":true}}'
SMALL = workload.Workload((16,), (1,), 4, ((1, 1), (16, 16)), 1)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model of which two executors are said to be usable; llama_cpp fails to load it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF")

    def opener(path: Path, options: dict[str, Any]) -> bench_run.Open:
        assert (path, "kv_dir" in options) == (file, False), "nothing of an earlier run may be found on disk"

        async def open_engine(name: str) -> EngineClient:
            if name == "llama_cpp":
                raise ModelError("llama.cpp can't read it")
            return await AsyncEngine(FakeEngine(_script, context_length=100_000)).__aenter__()  # type: ignore[arg-type]

        return open_engine

    monkeypatch.setattr(bench_run, "process_opener", opener)
    monkeypatch.setattr("portico_engine.find_model", lambda name: file)
    usable = {"torch-cpu": None, "torch-cuda": "torch finds no NVIDIA GPU", "llama_cpp": None}
    monkeypatch.setattr("portico_engine.usable_executors", lambda: usable)
    monkeypatch.setattr("portico_gateway.config.logs.set_up_logging", lambda *_: None)
    for name in ("QUICK", "USUAL", "LONG"):
        monkeypatch.setattr(workload, name, SMALL)
    return file


def _script(request: Request) -> list[str]:
    return [CALL] if request.grammar is not None else ["a", "b", "c"]


def test_a_table_and_bars_are_shown_and_the_result_is_kept(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--quick"]) == 0
    shown = capsys.readouterr()
    for said in ("torch-cpu", "prefill, 16 tokens", "constrained tool calls, 16 at a time", "█"):
        assert said in shown.out
    assert "torch-cuda was not measured: torch finds no NVIDIA GPU" in shown.out
    assert "llama_cpp was not measured: llama.cpp can't read it" in shown.out
    assert "torch-cpu: prefill of 16 tokens" in shown.err
    record = find_record(model)
    assert record is not None
    assert record.quick
    assert list(record.figures) == ["torch-cpu"]


@pytest.mark.usefixtures("model")
def test_json_is_one_object_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--json", "--executor", "torch-cpu"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["figures"]) == {"torch-cpu"}
    assert found["figures"]["torch-cpu"]["calls_valid_16"] == 1.0
    assert found["problems"] == {}


@pytest.mark.usefixtures("model")
def test_where_nothing_could_be_measured_nothing_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--executor", "llama_cpp"]) == 1
    assert "llama.cpp can't read it" in capsys.readouterr().out
    assert not bench_file().exists()


@pytest.mark.usefixtures("model")
def test_a_png_without_matplotlib_is_said_and_the_rest_is_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("portico_gateway.bench.picture.can_draw", lambda: False)
    assert run(["bench", "--png", str(tmp_path / "bench.png")]) == 0
    assert "matplotlib is not installed" in capsys.readouterr().err
    assert not (tmp_path / "bench.png").exists()


def test_quick_and_long_together_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--quick", "--long"]) == 2
    assert "opposites" in capsys.readouterr().err


def test_a_model_that_is_not_there_is_exit_code_3(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portico_gateway.config.logs.set_up_logging", lambda *_: None)
    assert run(["bench", "--model", str(tmp_path / "gone.gguf")]) == 3
    assert "no model file" in capsys.readouterr().err
