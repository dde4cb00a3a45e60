"""Where an engine is started: in a thread, or, where llama.cpp runs the model, in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("llama_cpp")

from tests.engine.tiny_model import write_tiny_llama

from portico_engine import AsyncEngine, EngineClient, EngineProcess, ModelError, model_digest
from portico_gateway.model.bench_record import CALLS_PER_SECOND, BenchRecord, keep_record
from portico_gateway.model.machine import describe_machine, library_versions
from portico_gateway.model.start import start_engine


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("architecture", "executor", "kind", "runs"),
    [
        ("llama", "auto", AsyncEngine, "torch"),
        ("llama", "torch-cpu", AsyncEngine, "torch"),
        ("llama", "llama_cpp", EngineProcess, "llama_cpp"),
        ("minicpm", "auto", EngineProcess, "llama_cpp"),  # which torch has no decoder for
    ],
)
async def test_llama_cpp_never_runs_in_this_process(
    tmp_path: Path, architecture: str, executor: str, kind: type[EngineClient], runs: str
) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf", architecture=architecture)
    engine = await start_engine(path, {"executor": executor, "context": 128})
    try:
        assert isinstance(engine, kind)
        assert engine.info.executor == runs
    finally:
        await engine.aclose()


@pytest.mark.anyio
async def test_nor_do_several_devices_whose_end_would_be_its_own(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf")
    engine = await start_engine(path, {"executor": "torch-cpu", "context": 128, "devices": 2})
    try:
        assert isinstance(engine, EngineProcess)
        assert engine.info.numerics_id.endswith("-2ranks")
    finally:
        await engine.aclose()


@pytest.mark.anyio
async def test_nor_does_it_where_torch_has_no_memory_for_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from portico_engine.loading import device

    monkeypatch.setattr(device, "memory_bytes", lambda: 1000)
    engine = await start_engine(write_tiny_llama(tmp_path / "tiny.gguf"), {"context": 128})
    try:
        assert isinstance(engine, EngineProcess)
    finally:
        await engine.aclose()


@pytest.mark.anyio
async def test_an_executor_that_was_asked_for_is_not_replaced(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf", architecture="minicpm")
    with pytest.raises(ModelError, match="'minicpm' is not supported"):
        await start_engine(path, {"executor": "torch-cpu"})


@pytest.mark.anyio
async def test_auto_is_what_portico_bench_found_the_fastest(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf")
    figures = {"torch-cpu": {CALLS_PER_SECOND: 1.0}, "llama_cpp": {CALLS_PER_SECOND: 9.0}}
    keep_record(BenchRecord(describe_machine(), model_digest(path), library_versions(), "2026-11-29", True, figures))
    engine = await start_engine(path, {"context": 128})
    try:
        assert isinstance(engine, EngineProcess)
        assert engine.info.executor == "llama_cpp"
    finally:
        await engine.aclose()


@pytest.mark.anyio
async def test_what_a_process_fell_back_to_is_known_outside_of_it(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf", architecture="minicpm")
    engine = await start_engine(path, {"executor": "auto", "context": 128})
    try:
        assert engine.info.fallbacks["executor"].startswith("llama.cpp instead of torch: ")
    finally:
        await engine.aclose()
