"""How a model would be loaded, and what a loaded one says of that."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.tiny_model import write_tiny_llama

from portico_engine import ModelError, foresee, load_engine, usable_executors
from portico_engine.linear import int4
from portico_engine.loading import device
from portico_engine.loading import load_engine as loading
from portico_engine.loading import usable_executors as usable
from portico_engine.loading.memory_plan import Placement


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "gpu_obstacle", lambda: "torch finds no NVIDIA GPU")


@pytest.mark.usefixtures("no_gpu")
def test_what_is_foreseen_is_what_a_loaded_model_says(tiny_path: Path) -> None:
    outlook = foresee(tiny_path)
    info = load_engine(tiny_path).info
    assert outlook.executor == "torch-cpu"
    assert outlook.memory is not None
    assert "KV up to" in outlook.memory
    assert info.memory_plan == outlook.memory
    assert info.fallbacks == outlook.fallbacks
    assert info.fallbacks["device"] == "the CPU instead of a GPU: torch finds no NVIDIA GPU"


def test_what_is_foreseen_of_llama_cpp_is_what_a_loaded_model_says(tiny_path: Path) -> None:
    pytest.importorskip("llama_cpp")
    outlook = foresee(tiny_path, executor="llama_cpp", context=128)
    engine = load_engine(tiny_path, executor="llama_cpp", context=128)
    assert (outlook.executor, outlook.device) == ("llama_cpp", "this machine")
    assert outlook.memory is not None
    assert "tokens of running requests" in outlook.memory
    assert engine.info.memory_plan == outlook.memory
    engine.close()


@pytest.mark.usefixtures("no_gpu")
def test_a_cpu_that_was_asked_for_is_no_fallback(tiny_path: Path) -> None:
    assert "device" not in foresee(tiny_path, executor="torch-cpu").fallbacks
    assert "device" not in load_engine(tiny_path, executor="torch-cpu").info.fallbacks


def test_codes_that_the_cpu_has_no_fast_product_for_are_told_of(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int4, "cpu_capability", lambda: "AVX2")
    monkeypatch.setenv("PORTICO_KERNELS", "off")
    info = load_engine(tiny_path, executor="torch-cpu").info
    assert info.fallbacks == {
        "kernels": "plain torch instead of kernels compiled for this CPU: PORTICO_KERNELS is off",
        "weights": "bfloat16 instead of the file's codes: this CPU (AVX2) has no fast 4-bit product",
    }
    assert foresee(tiny_path, executor="torch-cpu").fallbacks == info.fallbacks


def test_codes_that_there_is_no_memory_for_are_told_of(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int4, "cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(loading, "placement", lambda *_: Placement(second=False))
    assert "no memory for codes" in foresee(tiny_path, executor="torch-cpu").fallbacks["weights"]


def test_a_model_that_torch_has_no_decoder_for_is_llama_cpps_and_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf", architecture="minicpm")
    monkeypatch.setattr(loading, "has_llama_cpp", lambda: True)
    outlook = foresee(path)
    assert outlook.executor == "llama_cpp"
    assert outlook.fallbacks["executor"].startswith("llama.cpp instead of torch: ")
    assert "'minicpm' is not supported" in outlook.fallbacks["executor"]
    with pytest.raises(ModelError, match="not supported"):
        foresee(path, executor="torch-cpu")


def test_the_rows_of_a_step_are_known_outside(tiny_path: Path) -> None:
    assert load_engine(tiny_path, executor="torch-cpu", max_rows=3).info.extra["max_rows"] == 3


def test_executors_that_cannot_be_used_say_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usable, "gpu_obstacle", lambda: "triton is not installed (pip install triton)")
    monkeypatch.setattr(usable, "has_llama_cpp", lambda: False)
    assert usable_executors() == {
        "torch-cpu": None,
        "torch-cuda": "triton is not installed (pip install triton)",
        "llama_cpp": "llama-cpp-python is not installed: pip install 'portico-mcp[llama]'",
    }


@pytest.mark.usefixtures("no_gpu")
def test_several_devices_are_foreseen_with_the_memory_of_each(tiny_path: Path) -> None:
    one, two = foresee(tiny_path), foresee(tiny_path, devices=2)
    assert (two.executor, two.device) == ("torch-cpu", "each of 2 processes of this machine")
    assert one.memory is not None
    assert two.memory is not None
    assert two.memory.startswith("on each of 2 devices: weights 0.0 GiB, KV up to")
    with pytest.raises(ModelError, match="can't be split over 3 ranks; it can be over 2"):
        foresee(tiny_path, devices=3)


@pytest.mark.usefixtures("no_gpu")
def test_experts_are_dealt_out_where_there_are_any(tiny_path: Path) -> None:
    assert foresee(tiny_path, devices=2, expert_parallel=True).memory == foresee(tiny_path, devices=2).memory


def test_fewer_gpus_than_devices_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "gpu_obstacle", lambda: None)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "H200")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(
        ModelError, match=r"devices is 2, and torch finds 1 GPU \(H200\); give at most 1, or executor torch-cpu"
    ):
        device.choose_device("auto", 2)
