"""`/model` and `/adapter`: a conversation goes on with another model or under an adapter, and a wrong name changes nothing."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from rich.console import Console
from tests.gateway.http.fake_engine import FakeEngine

from portico_engine import AsyncEngine
from portico_gateway.agent.conversation import Exchange, path_of, save
from portico_gateway.assembly.ask_session import AskParts
from portico_gateway.cli.chat import loop
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.upstreams import Upstreams

pytest.importorskip("prompt_toolkit")
PLACES = ("here",)


class _Typed:
    """Stands for the line editor: what a person types, a line after the other."""

    lines: Sequence[str] = ()

    def __init__(self, *_: object) -> None:
        pass

    async def read(self, prompt: str) -> str:
        line, *type(self).lines = type(self).lines
        return line


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Types lines into a chat and gives the models that were opened, and what was shown."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def run(*lines: str, schema_tokens: int | None = None) -> tuple[list[str | None], str]:
        monkeypatch.setattr(loop, "LineEditor", type("Typed", (_Typed,), {"lines": [*lines, "/quit"]}))
        opened: list[str | None] = []

        @asynccontextmanager
        async def open_parts(model: str | None, update: object) -> AsyncIterator[AskParts]:
            opened.append(model)
            engine = AsyncEngine(FakeEngine(loaded_adapters=("law", "medicine")))  # type: ignore[arg-type]
            async with engine, Upstreams([]) as upstreams:
                yield AskParts(ToolCalls(upstreams), engine, schema_tokens=schema_tokens)

        out = io.StringIO()
        made = loop.Chat(open_parts, PLACES, Console(file=out, width=120, color_system=None))
        anyio.run(made.run)
        return opened, out.getvalue()

    return run


def test_another_model_goes_on_with_the_conversation(chat: Any) -> None:
    save(path_of(PLACES), [Exchange("Why?", "So.")])
    opened, shown = chat("/model", "/model smollm2", "/model")
    assert opened == [None, "smollm2"]
    assert "goes on after 1 exchanges" in shown


def test_a_model_that_is_not_there_is_told_and_the_one_before_goes_on(chat: Any) -> None:
    opened, shown = chat("/model no-such-model", "/model")
    assert opened == [None, None]
    assert "no-such-model" in shown
    assert "fake" in shown.rpartition("no-such-model")[2]


def test_an_adapter_is_chosen_told_and_left(chat: Any) -> None:
    _, shown = chat("/adapter", "/adapter law", "/model", "/adapter", "/adapter none", "/model")
    said = [line for line in shown.splitlines() if line.strip()][1:]
    assert said == [
        "fake; loaded: law, medicine",
        "answers now as fake:law",
        "fake:law",
        "fake:law; loaded: law, medicine",
        "answers now as fake",
        "fake",
    ]


def test_an_adapter_that_is_not_loaded_is_told_and_changes_nothing(chat: Any) -> None:
    _, shown = chat("/adapter law", "/adapter tax", "/model")
    assert "adapter" in shown
    assert "tax" in shown
    assert shown.splitlines()[-1] == "fake:law"
