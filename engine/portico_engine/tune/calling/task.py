"""A question with its tools, its grammar and the calls that are right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from portico_engine.errors import GrammarError
from portico_engine.grammar import CompiledGrammar, compile_tool_calls
from portico_engine.tool import Tool
from portico_engine.tune.data.rows import Row
from portico_engine.tune.data.said_calls import SaidCall, read_calls

MOST_CALLS = 8  # in one answer, where several are wanted


class RendersChats(Protocol):
    """What makes tokens of turns: an engine."""

    def render_chat(self, messages: Sequence[Mapping[str, Any]]) -> tuple[int, ...]: ...


@dataclass(frozen=True, slots=True)
class Task:
    """`calls`: those that are right; none, where no tool fits. `grammar`: None where anything may be said."""

    question: str
    prompt: tuple[int, ...]
    tools: tuple[Tool, ...]
    calls: tuple[SaidCall, ...]
    grammar: CompiledGrammar | None

    @property
    def kind(self) -> str:
        """What is to be answered, in a word."""
        return "several" if len(self.calls) > 1 else "one" if self.calls else "none"


def tasks_of(rows: Iterable[Row], renderer: RendersChats, *, longest: int) -> Iterator[Task]:
    """Those of the rows whose prompt has at most `longest` tokens, and whose tools a grammar can be made of. Whether to call at
    all is the model's choice, as it is for whoever asks `serve` without saying otherwise.
    """
    for row in rows:
        prompt = renderer.render_chat(row.prompt)
        calls = read_calls(row.completion) if row.completion.startswith(("{", "[")) else []
        if len(prompt) > longest or isinstance(calls, str):
            continue
        several = row.completion.startswith("[")
        try:
            grammar = compile_tool_calls(row.tools, choice="auto", parallel=(1, MOST_CALLS) if several else (1, 1))
        except GrammarError:
            continue
        yield Task(row.question, prompt, row.tools, tuple(calls), grammar)
