"""Starts a server on loopback for a benchmark, ours or another, and ends it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from portico_engine.kernels.cpu.build import FOLDER, KernelsUnavailable, build, kernels_folder

_END_SECONDS = 60
_LOAD_SECONDS = 600
_MAIN = "import sys; from portico_gateway.cli.main import main; sys.exit(main())"


@contextmanager
def serving(command: Sequence[str], folder: Path) -> Iterator[int]:
    """The port that the command prints, once it does; its caches and state are in `folder`, but for the CPU's compiled kernels:
    a server that finds none computes without them. Exits with what it said instead.
    """
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "XDG_STATE_HOME": str(folder / "state")}
    if (kernels := kernels_folder()) is not None:
        environment[FOLDER] = str(kernels)
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        drain: threading.Thread | None = None
        try:
            said = ""
            for line in process.stdout:
                said += line
                if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                    # a server that goes on talking would wait for a reader of its pipe
                    drain = threading.Thread(target=deque, args=(process.stdout, 0), daemon=True)
                    drain.start()
                    yield int(found[1])
                    break
            else:
                raise SystemExit(said)
        finally:
            process.terminate()
            try:
                process.wait(timeout=_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
            if drain is not None:
                drain.join(timeout=_END_SECONDS)


@contextmanager
def portico_serve(
    folder: Path, *options: str, guidance: str = "auto", program: Sequence[str] = (sys.executable, "-c", _MAIN)
) -> Iterator[tuple[int, str]]:
    """`portico serve` of this checkout without servers and audit log: its port and the model's name, once that answers.
    `program` is what takes its arguments.
    """
    sections = {"audit": "enabled = false", "gateway": "own_servers = []", "model": f'guidance = "{guidance}"'}
    (folder / "portico.toml").write_text("".join(f"[{name}]\n{line}\n" for name, line in sections.items()))
    (folder / "work").mkdir()
    try:
        build()
    except KernelsUnavailable as missing:
        print(f"without the CPU's kernels: {missing}", file=sys.stderr)
    command = [*program, "serve", "--port", "0", "--config", str(folder / "portico.toml"), *options]
    with serving(command, folder) as port:
        yield port, wait_for_model(port)


def wait_for_model(port: int) -> str:
    """The name of the model behind OpenAI's API at this port, once it answers."""
    deadline = time.monotonic() + _LOAD_SECONDS
    name = "default"
    while time.monotonic() < deadline:
        connection = HTTPConnection("127.0.0.1", port, timeout=_LOAD_SECONDS)
        connection.request("GET", "/v1/models")
        for model in json.load(connection.getresponse()).get("data") or ():
            name = str(model["id"])
        greeting = {"model": name, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
        connection.request("POST", "/v1/chat/completions", json.dumps(greeting), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
        if answer.status == 200:
            return name
        if answer.status != 503 or not any(word in said for word in (b"model_loading", b"Loading model")):
            raise SystemExit(f"the model can't be used: {said.decode()}")
        time.sleep(0.5)
    raise SystemExit(f"the model wasn't loaded in {_LOAD_SECONDS} s")
