"""What is measured of one engine, by its client's interface: wall-clock times of requests as whoever sends them sees them.

It owns the requests and the arithmetic. Which engine, and how much is asked, is its caller's.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from contextlib import aclosing
from itertools import count
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from portico_engine import FinishReason, Request, SamplingParams
from portico_engine.grammar import (
    CallFinished,
    CallFormat,
    CompiledGrammar,
    ToolCallParser,
    check_arguments,
    compile_tool_calls,
    control_tokens,
    detect_format,
)
from portico_engine.request import MAX_ROWS
from portico_gateway.bench.workload import MAX_CALL_TOKENS, Workload, text, tools, turns
from portico_gateway.errors import GatewayError

if TYPE_CHECKING:
    from portico_engine import EngineClient

Report = Callable[[str], None]  # hears what is measured now
_GREEDY = SamplingParams(temperature=0)
_DECODE_PROMPT = 32  # tokens
_NEVER = -100.0  # added to the logit of what ends an answer


class _Answer(NamedTuple):
    """One request's. `arrivals`: (seconds on the clock, tokens) of each delta."""

    began: float
    arrivals: list[tuple[float, int]]
    text: str

    @property
    def first(self) -> float:
        """Seconds until the first token."""
        return next((at for at, tokens in self.arrivals if tokens), self.arrivals[-1][0]) - self.began

    @property
    def seconds(self) -> float:
        return self.arrivals[-1][0] - self.began


async def measure(engine: EngineClient, workload: Workload, report: Report) -> dict[str, float]:
    """All figures by name, of what fits the engine's context and rows.

    Raises GatewayError where a request fails, EngineDied where the engine does.
    """
    bench = _Bench(engine, workload)
    report("warming up")
    await bench.prefill(64)
    figures: dict[str, float] = {}
    for length in workload.prefills:
        if length < engine.info.context_length:
            report(f"prefill of {length} tokens")
            figures[f"prefill_{length}"] = max([await bench.prefill(length) for _ in range(workload.repeats)])
    report("reuse of a prefix")
    figures |= await bench.prefix_reuse()
    most = engine.info.extra.get(MAX_ROWS, max(workload.decode_rows))
    for rows in workload.decode_rows:
        report(f"decode of {rows}" if rows <= most else f"decode of {rows} is left out: {most} rows are the most of a step")
        if rows <= most:
            figures[f"decode_{rows}"] = max([await bench.decode(rows) for _ in range(workload.repeats)])
    for clients, calls in workload.calls:
        report(f"tool calls of {clients} clients")
        figures |= await bench.calls(clients, calls)
    return figures


class _Bench:
    """One engine under one workload."""

    def __init__(self, engine: EngineClient, workload: Workload) -> None:
        self._engine = engine
        self._workload = workload
        self._tools = tools()
        self._schemas = {tool.name: tool.parameters for tool in self._tools}
        self._format = detect_format(engine.chat_template)
        self._grammar = _grammar(engine, self._format)
        self._control = frozenset(control_tokens(self._format, engine.tokens).values())
        self._salt = _fresh()
        self._numbers = count()

    async def prefill(self, length: int) -> float:
        """Tokens a second of a prompt of so many tokens that nobody has read."""
        answer = await self._answer(await self._prompt(length), max_tokens=1, salt=_fresh())
        return length / answer.first

    async def decode(self, rows: int) -> float:
        """Tokens a second of so many answers together, once all of them have begun."""
        never = tuple((token, _NEVER) for token in sorted(self._engine.tokens.end_token_ids))
        sampling = SamplingParams(temperature=0, logit_bias=never)
        prompts = [await self._prompt(_DECODE_PROMPT) for _ in range(rows)]
        salt = _fresh()
        answers = await asyncio.gather(
            *(self._answer(prompt, self._workload.decode_tokens, sampling, salt=salt) for prompt in prompts)
        )
        begun = max(answer.began + answer.first for answer in answers)
        later = [arrival for answer in answers for arrival in answer.arrivals if arrival[0] > begun]
        return sum(tokens for _, tokens in later) / (max(at for at, _ in later) - begun) if later else 0.0

    async def prefix_reuse(self) -> dict[str, float]:
        """Seconds to the first token behind the tools, read for the first time and known."""
        cold, warm = [], []
        for _ in range(self._workload.repeats):
            self._salt = _fresh()
            cold.append((await self._answer(await self._question(), max_tokens=1, salt=self._salt)).first)
            warm.append((await self._answer(await self._question(), max_tokens=1, salt=self._salt)).first)
        return {"first_token_cold": min(cold), "first_token_warm": min(warm)}

    async def calls(self, clients: int, calls: int) -> dict[str, float]:
        """So many constrained calls by so many clients, who each ask one after the other: calls a second, the median of their
        seconds, and the share that is valid.
        """
        left = iter(range(calls))
        seconds: list[float] = []
        valid: list[bool] = []

        async def client() -> None:
            for seed in left:
                took, is_valid = await self._call(seed)
                seconds.append(took)
                valid.append(is_valid)

        began = perf_counter()
        await asyncio.gather(*(client() for _ in range(clients)))
        per_second = len(seconds) / (perf_counter() - began)
        return {
            f"calls_per_second_{clients}": per_second,
            f"call_seconds_{clients}": median(seconds),
            f"calls_valid_{clients}": sum(valid) / len(valid),
        }

    async def _call(self, seed: int) -> tuple[float, bool]:
        began = perf_counter()
        sampling = SamplingParams(temperature=0.7, seed=seed)
        answer = await self._answer(
            await self._question(), MAX_CALL_TOKENS, sampling, salt=self._salt, grammar=self._grammar, whole=True
        )
        took = perf_counter() - began
        parser = ToolCallParser(self._format, constrained=True)
        events = [*parser.feed(answer.text), *parser.finish()]
        found = [event for event in events if isinstance(event, CallFinished)]
        return took, len(found) == 1 and self._is_valid(found[0])

    def _is_valid(self, call: CallFinished) -> bool:
        return call.name in self._schemas and not check_arguments(self._schemas[call.name], json.loads(call.arguments_json))

    async def _question(self) -> tuple[int, ...]:
        return await self._engine.render_chat(turns(self._tools, next(self._numbers)))

    async def _prompt(self, length: int) -> tuple[int, ...]:
        return (await self._engine.tokenize(text(length, next(self._numbers))))[:length]

    async def _answer(
        self,
        prompt: tuple[int, ...],
        max_tokens: int,
        sampling: SamplingParams = _GREEDY,
        *,
        salt: bytes,
        grammar: CompiledGrammar | None = None,
        whole: bool = False,
    ) -> _Answer:
        request = Request(
            uuid.uuid4().hex,
            prompt,
            sampling,
            max_tokens,
            grammar=grammar,
            salt=salt,
            whole=whole,
            shown_tokens=self._control,
        )
        answer = _Answer(perf_counter(), [], "")
        pieces: list[str] = []
        async with aclosing(self._engine.generate(request)) as deltas:
            async for delta in deltas:
                answer.arrivals.append((perf_counter(), len(delta.tokens)))
                pieces.append(delta.text)
                if delta.finish_reason is FinishReason.ERROR:
                    raise GatewayError(f"a request failed: {delta.error}")
        return answer._replace(text="".join(pieces))


def _grammar(engine: EngineClient, format: CallFormat) -> CompiledGrammar:
    return compile_tool_calls(tools(), format=format, special_tokens=control_tokens(format, engine.tokens))


def _fresh() -> bytes:
    """A salt under which nothing is known yet."""
    return uuid.uuid4().bytes
