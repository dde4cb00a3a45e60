"""A host that answers dialogs as Codex does, line by line: its form, its plain question where it can't show a form, and what it
answers by itself, without a person.

What it does is read from its sources (2026-11), `tui/src/bottom_pane/mcp_server_elicitation.rs` and
`codex-mcp/src/elicitation.rs`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

ASKING = Path(__file__).parents[1] / "asking_server.py"
CONFIG = """
[gateway]
own_servers = []

[policy]
ask = ["asks__read"]

[servers.asks]
command = {python}
args = [{server}]
"""
HELLO = {
    "protocolVersion": "2025-06-18",
    "capabilities": {"elicitation": {}},
    "clientInfo": {"name": "codex-mcp-client", "title": "Codex", "version": "0.149.1"},
}
Answer: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def by_form(typed: Mapping[str, str]) -> Answer:
    """Its form after Enter in each field: texts begin empty, whatever their default, are stripped, and left out where nothing
    was typed; choices begin with their default. A number in the form makes it a plain question."""

    def answer(params: Mapping[str, Any]) -> Mapping[str, Any]:
        fields = params["requestedSchema"]["properties"]
        if not fields or any(field["type"] in ("number", "integer") for field in fields.values()):
            return approved(params)
        content: dict[str, Any] = {}
        for name, field in fields.items():
            if "enum" in field:
                content[name] = typed.get(name, field.get("default", field["enum"][0]))
            elif field["type"] == "boolean":
                content[name] = field["default"]
            elif text := typed.get(name, "").strip():
                content[name] = text
        return {"action": "accept", "content": content, "_meta": None}

    return answer


def approved(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Its plain question, answered by "approve"."""
    return {"action": "accept", "content": {}}


def never_ask_full_access(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """`approval_policy = "never"` and no sandbox: nobody is asked."""
    if not params["requestedSchema"]["properties"]:
        return {"action": "accept", "content": {}}
    return {"action": "decline", "content": None}


class Codex:
    def __init__(self, folder: Path) -> None:
        config = CONFIG.format(python=json.dumps(sys.executable), server=json.dumps(str(ASKING)))
        (folder / "config.toml").write_text(config)
        places = {"LOG_DIR": "logs", "AUDIT_FILE": "audit.db", "CHOICES_FILE": "choices.json", "PINS_FILE": "pins.json"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "portico_gateway", "stdio", "--config", str(folder / "config.toml")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=folder,
            env={**os.environ, **{f"PORTICO_{name}": str(folder / place) for name, place in places.items()}},
        )
        self.asked: list[Mapping[str, Any]] = []
        self._n_requests = 0
        self.request("initialize", HELLO)
        self._send({"method": "notifications/initialized"})

    def call(self, tool: str, arguments: Mapping[str, Any], answer: Answer) -> tuple[bool, str]:
        """Whether a call succeeded, and its first text; `answer` says what dialogs are answered with."""
        message = self.request("tools/call", {"name": tool, "arguments": arguments}, answer)
        assert "result" in message, message
        result = message["result"]
        return not result.get("isError"), result["content"][0]["text"]

    def request(self, method: str, params: Mapping[str, Any], answer: Answer = approved) -> dict[str, Any]:
        self._n_requests += 1
        self._send({"id": self._n_requests, "method": method, "params": params})
        assert self.process.stdout is not None
        for line in self.process.stdout:
            message: dict[str, Any] = json.loads(line)
            if message.get("method") == "elicitation/create":
                self.asked.append(message["params"])
                self._send({"id": message["id"], "result": answer(message["params"])})
            elif message.get("id") == self._n_requests and "method" not in message:
                return message
        raise AssertionError(f"no answer to {method}")

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.process.stdin.flush()


@pytest.fixture(scope="module")
def codex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Codex]:
    running = Codex(tmp_path_factory.mktemp("codex"))
    yield running
    assert running.process.stdin is not None
    assert running.process.stdout is not None
    with running.process.stdout, running.process.stdin:
        pass
    try:
        running.process.wait(20)
    finally:
        running.process.kill()


def fixed(answer: Mapping[str, Any]) -> Answer:
    return lambda params: answer


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (approved, "wrote x"),
        (fixed({"action": "accept", "content": None, "_meta": None}), "wrote x"),
        (fixed({"action": "accept"}), "wrote x"),
        (by_form({}), "wrote x"),
        (by_form({"text": "  typed \n"}), "wrote typed"),
        (fixed({"action": "accept", "content": {}, "_meta": {"persist": "always"}}), "wrote x"),
    ],
)
def test_what_its_user_accepts_is_called_once_and_remembered_by_nobody(codex: Codex, answer: Answer, text: str) -> None:
    before = len(codex.asked)
    for n_asked in (1, 2):
        assert codex.call("asks__write", {"text": "x"}, answer) == (True, text)
        assert len(codex.asked) == before + n_asked


@pytest.mark.parametrize(
    "answer",
    [
        fixed({"action": "decline", "content": None, "_meta": None}),
        fixed({"action": "cancel", "content": None}),
        fixed({"decision": "approved"}),
        fixed({}),
        never_ask_full_access,
    ],
)
@pytest.mark.parametrize(("tool", "arguments"), [("asks__write", {"text": "x"}), ("asks__read", {})])
def test_whatever_else_it_answers_calls_nothing_and_says_so(
    codex: Codex, answer: Answer, tool: str, arguments: dict[str, Any]
) -> None:
    succeeded, text = codex.call(tool, arguments, answer)
    assert not succeeded
    assert tool in text
    assert "wrote" not in text
    if "action" not in answer({"requestedSchema": {"properties": {"a": {}}}}):
        assert text.endswith("no answer to elicitation/create: action: Field required")


def test_a_call_without_arguments_has_a_field_so_that_a_person_is_asked(codex: Codex) -> None:
    assert codex.call("asks__read", {}, by_form({}))[0]
    assert list(codex.asked[-1]["requestedSchema"]["properties"]) == ["portico_allow"]
    assert "codex_approval_kind" not in json.dumps(codex.asked[-1]), "its reviewer, a model, may answer what says so"
    assert not codex.call("asks__read", {}, by_form({"portico_allow": "no"}))[0]
