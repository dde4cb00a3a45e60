from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.tiny_model import write_tiny_llama

from portico_gateway.cli import doctor_devices
from portico_gateway.cli.doctor_check import Check
from portico_gateway.config.portico_config import PorticoConfig


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("models") / "tiny.gguf")


def checks(model: Path, **engine: object) -> list[Check]:
    config = PorticoConfig.model_validate({"model": {"name": str(model), "executor": "torch-cpu"}, "engine": engine})
    return list(doctor_devices.device_checks(config))


def test_gpus_that_no_model_takes_are_told_of(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_devices, "gpus", lambda: ["H200"])
    assert checks(tiny) == []
    monkeypatch.setattr(doctor_devices, "gpus", lambda: ["H200", "H200"])
    (check,) = checks(tiny)
    assert (check.state, check.found[:32]) == ("ok", "a model takes one of 2 GPUs; dev")


def test_what_would_run_on_several_devices_is_told_with_the_memory_of_each(tiny: Path) -> None:
    (check,) = checks(tiny, devices=2)
    assert check.state == "ok"
    assert check.found.startswith("2, tensor parallel: torch-cpu on each of 2 processes of this machine; on each of 2 ")


def test_a_model_that_does_not_split_fails_with_what_would(tiny: Path) -> None:
    (check,) = checks(tiny, devices=3)
    assert check.state == "fail"
    assert "can't be split over 3 ranks; it can be over 2" in check.found
