"""A large model that says what it is told to, under the grammar that it is really given, and a host of four tools.

The template is rendered by the engine's own renderer, and what the script says must be a sentence of the request's grammar: a
script that a real model could not write fails the test.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import anyio
import mcp_types as types
from tests.engine.grammar.oracle import accepts

from portico_engine import Delta, FinishReason, Request, Tool, Usage
from portico_engine.text.chat_template import ChatTemplate
from portico_gateway.agent.conversation import Exchange
from portico_gateway.agent.events import Event, RunFinished
from portico_gateway.agent.free.local.local_model import LocalModel
from portico_gateway.agent.free.loop import FreeAgent

PLAIN = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ '\n' }}{% endfor %}<assistant>"
HERMES = (
    "{% if tools %}<tools>{% for tool in tools %}{{ tool | tojson }}{% endfor %}</tools>{% endif %}"
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% for call in m.tool_calls or [] %}"
    '<tool_call>\n{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}\n</tool_call>'
    "{% endfor %}{{ '\n' }}{% endfor %}<assistant>"
)
THINKING = HERMES.replace("{{ m.content }}", "{{ m.reasoning_content or '' }}</think>{{ m.content }}", 1)
OBJECT = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"], "additionalProperties": False}
TOOLS = tuple(Tool(name, f"What {name} does.", OBJECT) for name in ("code__search", "docs__search", "db__rows", "files__write"))


def hermes(*calls: tuple[str, str]) -> str:
    """Calls as Hermes writes them: (tool, query) each."""
    bodies = [f'<tool_call>\n{{"name": "{name}", "arguments": {{"query":"{query}"}}}}\n</tool_call>' for name, query in calls]
    return "\n".join(bodies)


def text(value: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=value)])


class Host:
    """`answer(name, arguments)` gives or raises what a call comes to. files__write is the one tool that writes."""

    def __init__(self, answer: Callable[[str, Mapping[str, Any]], types.CallToolResult] | None = None) -> None:
        self.answer = answer or (lambda name, arguments: text(f"{name} found {arguments['query']}"))
        self.called: list[str] = []
        self.running = 0
        self.most_running = 0

    def tools(self) -> Sequence[Tool]:
        return TOOLS

    def server_of(self, tool: str) -> str:
        return tool.split("__")[0]

    def is_read_only(self, tool: str) -> bool:
        return tool != "files__write"

    def profiles(self) -> Mapping[str, Sequence[str]]:
        return {}

    def templates(self, server: str) -> Sequence[str]:
        return ["code://{root}/{+path}"]

    def may_run_concurrently(self, tool: str) -> bool:
        return tool != "files__write"

    async def call_tool(self, name: str, arguments: Mapping[str, Any]) -> types.CallToolResult:
        self.called.append(f"{name}({arguments['query']})")
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        await anyio.lowlevel.checkpoint()
        try:
            return self.answer(name, arguments)
        finally:
            self.running -= 1

    async def read_text(self, server: str, uri: str) -> str:
        return "\n\ndef free(self):\n"


class _Vocabulary:
    token_bytes: Sequence[bytes] = ()
    end_token_ids: frozenset[int] = frozenset()

    def token_id(self, token: str) -> int | None:
        return None

    def is_control(self, token: int) -> bool:
        return False


@dataclass
class Model:
    """Says `texts`, one a turn; of a (text, reason) pair the turn ends for that reason. A token is a character."""

    texts: list[str | tuple[str, FinishReason]]
    template: str = HERMES
    context: int = 20_000
    hangs: bool = False
    prompts: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    tokens: _Vocabulary = field(default_factory=_Vocabulary)

    @property
    def info(self) -> Any:
        return SimpleNamespace(context_length=self.context, parameters=7_000_000_000, name="scripted")

    @property
    def chat_template(self) -> str:
        return self.template

    async def tokenize(self, text: str) -> tuple[int, ...]:
        return tuple(map(ord, text))

    async def render_chat(self, messages: Sequence[Any], tools: Sequence[Tool] | None = None) -> tuple[int, ...]:
        return tuple(map(ord, ChatTemplate(self.template).render(messages, tools)))

    async def generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        self.requests.append(request)
        self.prompts.append("".join(map(chr, request.prompt)))
        said = self.texts.pop(0)
        text, reason = said if isinstance(said, tuple) else (said, FinishReason.STOP)
        assert request.grammar is not None
        assert reason is not FinishReason.STOP or accepts(request.grammar.text, text), f"not in the grammar: {text}"
        yield Delta(request.id, text=text[:3], tokens=(1,))
        yield Delta(request.id, text=text[3:], tokens=(2,))
        if self.hangs:
            await anyio.sleep_forever()
        usage = Usage(prompt_tokens=len(request.prompt), completion_tokens=len(text), sampled_steps=1, decode_seconds=0.5)
        yield Delta(request.id, finish_reason=reason, usage=usage)


def ask(model: Model, host: Host | None = None, question: str = "Where is it freed?", **options: Any) -> list[Event]:
    """The events of one question. Options of `ask` are `history` and `max_steps`; others are the agent's."""
    asked = {key: options.pop(key) for key in ("history", "max_steps") if key in options}
    of_model = {key: options.pop(key) for key in ("sampling", "caller") if key in options}

    async def collect() -> list[Event]:
        with anyio.fail_after(20):
            agent = FreeAgent(LocalModel(model, **of_model), host or Host(), **options)  # type: ignore[arg-type]
            return [event async for event in agent.ask(question, **asked)]

    return anyio.run(collect)


def talk(model: Model, host: Host | None = None, *questions: str, **options: Any) -> list[Exchange]:
    """The questions of one conversation, one after the other, as `portico chat` asks them."""
    exchanges: list[Exchange] = []

    async def collect() -> None:
        with anyio.fail_after(20):
            agent = FreeAgent(LocalModel(model), host or Host(), **options)  # type: ignore[arg-type]
            for question in questions:
                end = end_of([event async for event in agent.ask(question, history=list(exchanges))])
                exchanges.append(Exchange(end.question, end.answer))

    anyio.run(collect)
    return exchanges


def end_of(events: Sequence[Event]) -> RunFinished:
    end = events[-1]
    assert isinstance(end, RunFinished)
    return end
