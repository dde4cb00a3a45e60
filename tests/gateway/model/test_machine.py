"""Which machine this is."""

from __future__ import annotations

from pathlib import Path

import pytest

from portico_gateway.model import machine
from portico_gateway.model.machine import busy_with, describe_machine, gpus, library_versions


def test_a_machine_is_its_cpu_its_cores_its_memory_and_its_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU 9000\n")
    (tmp_path / "gpus" / "0000:01:00.0").mkdir(parents=True)
    (tmp_path / "gpus" / "0000:01:00.0" / "information").write_text("Model: \t NVIDIA Something\nIRQ: 7\n")
    monkeypatch.setattr(machine, "_CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(machine, "_GPU_INFO", tmp_path / "gpus")
    said = describe_machine()
    assert said.startswith("Some CPU 9000 (")
    assert "cores, " in said
    assert said.endswith(", NVIDIA Something")
    assert gpus() == ["NVIDIA Something"]


def test_a_system_without_these_files_still_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_CPU_INFO", tmp_path / "none")
    monkeypatch.setattr(machine, "_GPU_INFO", tmp_path / "none")
    assert "cores" in describe_machine()
    assert gpus() == []


def test_versions_are_porticos_and_those_of_what_is_installed() -> None:
    found = library_versions()
    assert {"portico", "torch"} <= found.keys()


def test_a_machine_that_others_keep_busy_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_cores", lambda: 2)
    monkeypatch.setattr("os.getloadavg", lambda: (0.9, 5.0, 5.0))
    assert busy_with() is None
    monkeypatch.setattr("os.getloadavg", lambda: (7.9, 0.0, 0.0))
    assert busy_with() == "a load of 7.9 on 2 cores"
