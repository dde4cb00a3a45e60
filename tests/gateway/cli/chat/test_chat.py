"""`portico chat` in a real terminal: a question, an approval with an edited argument, an interrupt, a resume.

The model is a scripted OpenAI-compatible server; the MCP server, the policy, the audit log and the terminal are real.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from tests.gateway.cli.chat.terminals import Terminal, terminal, wait_for, wait_for_end

pytest.importorskip("prompt_toolkit")

ASKING = Path(__file__).parents[2] / "asking_server.py"


class _Model(BaseHTTPRequestHandler):
    """Calls `asks__write` with the question's last word, says in Markdown what came of it, and never answers "wait"."""

    bodies: list[Any]
    release: Event
    asked_to_wait: Event

    def do_GET(self) -> None:
        self._send({"data": [{"id": "scripted", "max_model_len": 8192}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.bodies.append(body)
        last = body["messages"][-1]
        message: dict[str, Any] = {"role": "assistant", "content": None}
        if last["role"] == "user" and last["content"].endswith("wait"):
            self.asked_to_wait.set()
            self.release.wait(60)
        if last["role"] == "user" and last["content"].startswith("write"):
            arguments = json.dumps({"text": last["content"].split()[-1]})
            call = {"id": "call00001", "type": "function", "function": {"name": "asks__write", "arguments": arguments}}
            message["tool_calls"] = [call]
        else:
            message["content"] = f"# Done\n\nIt said **{last['content'][:30]}**\x1b[2J."
        usage = {"prompt_tokens": 10, "completion_tokens": 5}
        reason = "tool_calls" if "tool_calls" in message else "stop"
        self._send({"choices": [{"index": 0, "message": message, "finish_reason": reason}], "usage": usage})

    def _send(self, body: Any) -> None:
        data = json.dumps(body).encode()
        try:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except OSError:
            pass  # the question was interrupted

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def model() -> Iterator[tuple[str, type[_Model]]]:
    handler = type("Handler", (_Model,), {"bodies": [], "release": Event(), "asked_to_wait": Event()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        listening.daemon_threads = True
        thread = Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}/v1", handler
        handler.release.set()
        listening.shutdown()
        thread.join()


def command(tmp_path: Path, url: str, *more: str) -> tuple[list[str], dict[str, str]]:
    """The command line over one asking server and this model, and its environment."""
    config = tmp_path / "chat.toml"
    config.write_text(
        f"[engine]\nurl = {json.dumps(url)}\n[gateway]\nown_servers = []\n"
        f"[servers.asks]\ncommand = {json.dumps(sys.executable)}\nargs = [{json.dumps(str(ASKING))}]\n"
    )
    environ = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "PORTICO_AUDIT_FILE": str(tmp_path / "audit.db"),
    }
    return [sys.executable, "-m", "portico_gateway", "chat", "--config", str(config), *more], environ


def say(at: Terminal, text: str) -> None:
    at.type(text + "\r")


def test_a_conversation_with_an_edited_call_an_interrupt_and_a_resume(tmp_path: Path, model: tuple[str, type[_Model]]) -> None:
    url, handler = model
    words, environ = command(tmp_path, url)
    with terminal(words, tmp_path, environ) as at:
        wait_for(at, "/help says more")
        say(at, "write first")
        wait_for(at, 'Arguments: {"text": "first"}')
        wait_for(at, "e = edit the arguments")
        say(at, "e")
        wait_for(at, 'arguments: {"text": "first"}')
        at.type("\x7f" * len('first"}'))
        say(at, 'second"}')
        seen = wait_for(at, "Done")
        assert "wrote second" in seen
        assert "\x1b[2J" not in seen.replace("\x1b[2J\x1b[H", "")

        say(at, "please wait")
        wait_for(at, "please wait")
        assert handler.asked_to_wait.wait(60)
        at.type("\x03")
        wait_for(at, "interrupted")
        say(at, "/good well done")
        wait_for(at, "noted as good")
        say(at, "/stats")
        wait_for(at, "1 questions")
        say(at, f"/save {tmp_path}/talk.md")
        wait_for(at, "saved in")
        say(at, "/tools write")
        wait_for(at, "asks__write")
        say(at, "/nonsense")
        wait_for(at, "there is no /nonsense")
        say(at, "/quit")
        wait_for_end(at)

    results = [message for body in handler.bodies for message in body["messages"] if message["role"] == "tool"]
    assert "wrote second" in results[0]["content"]
    assert "changed the arguments" in results[0]["content"]
    saved = (tmp_path / "talk.md").read_text()
    assert "## write first" in saved
    assert '`asks__write` `{"text": "second"}`' in saved
    with sqlite3.connect(tmp_path / "audit.db") as log:
        log.row_factory = sqlite3.Row
        written = {row["kind"]: dict(row) for row in log.execute("select * from calls")}
    assert written["tool"]["decision"] == "terminal, edited"
    assert written["feedback"]["call"] == written["tool"]["call"]
    assert (written["feedback"]["outcome"], written["feedback"]["error"]) == ("good", "well done")

    before = len(handler.bodies)
    words, environ = command(tmp_path, url, "--continue")
    with terminal(words, tmp_path, environ) as at:
        wait_for(at, "goes on after 1 exchanges")
        say(at, "and now")
        wait_for(at, "Done")
        at.type("\x04")
        wait_for_end(at)
    asked = [message["content"] for message in handler.bodies[before]["messages"] if message["role"] == "user"]
    assert asked == ["write first", "and now"]


def test_without_a_terminal_it_says_what_to_use(capsys: pytest.CaptureFixture[str]) -> None:
    from portico_gateway.cli.main import run

    assert run(["chat"]) == 2
    assert "portico ask" in capsys.readouterr().err
