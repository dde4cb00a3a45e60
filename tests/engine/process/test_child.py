"""Which of the child's threads does what it is asked for."""

from __future__ import annotations

import pickle
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from tests.engine.fakes import fake_engine

from portico_engine import Engine
from portico_engine.front.engine_thread import EngineThread
from portico_engine.process import child, messages

SECONDS = 30.0


class Parent:
    """The other end, and who rendered each chat."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.stream = sock.makefile("rb")
        self.rendered_by: list[str] = []

    def ask(self, function: messages.Function, *arguments: Any) -> Any:
        self._socket.sendall(messages.encode(messages.CallFunction(1, function, arguments)))
        (size,) = messages.HEADER.unpack(self.stream.read(messages.HEADER.size))
        return pickle.loads(self.stream.read(size))


@contextmanager
def connected(monkeypatch: pytest.MonkeyPatch, render_seconds: float = 0.0) -> Iterator[Parent]:
    """A child in this process, whose reader is the thread "reader"."""
    ours, theirs = socket.socketpair()
    engine = fake_engine()
    with closing(ours), closing(theirs):
        ours.settimeout(SECONDS)
        parent = Parent(ours)
        render = Engine.render_chat

        def rendering(self: Engine, *arguments: Any) -> tuple[int, ...]:
            parent.rendered_by.append(threading.current_thread().name)
            until = time.thread_time() + render_seconds
            while time.thread_time() < until:
                pass
            return render(self, *arguments)

        monkeypatch.setattr(Engine, "render_chat", rendering)
        made = child.Child(messages.Wire(theirs))
        made._thread = EngineThread(engine, made._deliver)
        reader = threading.Thread(target=made.run, name="reader")
        reader.start()
        yield parent
        ours.shutdown(socket.SHUT_WR)
        reader.join(SECONDS)
        made._thread.close()
        made._thread.join()
        made._beside.shutdown()
        for stream in (parent.stream, made._wire._stream):
            stream.close()


def chat(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_the_reader_makes_the_tokens_of_a_short_prompt_and_a_thread_beside_it_those_of_a_long_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with connected(monkeypatch) as parent:
        short, long = (parent.ask("render_chat", chat(text), None, None) for text in ("Hi", "Hi " * 12_000))
        assert isinstance(short, messages.Reply)
        assert isinstance(long, messages.Reply)
        assert len(long.value) > len(short.value) > 2
        assert isinstance(parent.ask("tokenize", "Hi"), messages.Reply)
        assert isinstance(parent.ask("render_chat", [{"role": "user", "content": 3}], None, None), messages.Failure)
    assert [name == "reader" for name in parent.rendered_by] == [True, False, True]


def test_a_template_that_takes_long_again_and_again_is_not_for_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_BRIEF_SECONDS", 0.001)
    with connected(monkeypatch, render_seconds=0.005) as parent:
        for _ in range(5):
            assert isinstance(parent.ask("render_chat", chat("Hi"), None, None), messages.Reply)
    assert [name == "reader" for name in parent.rendered_by] == [True, True, True, False, False]
