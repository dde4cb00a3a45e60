"""Makes all calls of fixture_calls on a fresh workspace, two at a time, and gives their normalized answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixture_calls import ANSWERS, Call
from fixture_servers import CONFIGS, http_servers
from fixture_workspace import make_workspace
from inspector_cli import Reply, inspect

_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Made:
    """A call, what the Inspector printed, and that without what differs from run to run."""

    call: Call
    reply: Reply
    answer: dict[str, Any]


def replay(home: Path, calls: Iterable[Call], said: Callable[[Made], None] = lambda _: None) -> list[Made]:
    """All answers in the order of `calls`; `said` hears each as it comes. `home` is an empty folder of the caller's."""
    home = home.resolve()
    make_workspace(home)
    (home / "user").mkdir()
    with http_servers(home) as http, ThreadPoolExecutor(_AT_ONCE) as threads:

        def make(call: Call) -> Made:
            config = http if call.transport == "http" else CONFIGS / "stdio.json"
            reply = inspect(config, call.server, call.era, call.arguments, home=home)
            made = Made(call, reply, reply.normalized(home))
            said(made)
            return made

        return list(threads.map(make, calls))


def recorded(server: str, era: str) -> dict[str, Any]:
    """The answers on file, by the calls' keys."""
    path = answer_file(server, era)
    loaded: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return loaded


def answer_file(server: str, era: str) -> Path:
    return ANSWERS / f"{server}.{era}.json"
