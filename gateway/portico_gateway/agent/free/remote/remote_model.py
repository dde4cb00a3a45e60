"""A model behind an OpenAI-compatible server on this machine: each turn is one chat completion.

It owns the connection, what is asked of the server and how its errors read. It loads nothing and starts nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import httpx2

from portico_engine import Tool
from portico_engine.errors import ContextOverflow
from portico_gateway.agent.events import AnswerText, ConversationTrimmed, ThoughtText
from portico_gateway.agent.free.limits import FreeLimits
from portico_gateway.agent.free.remote.chat_answer import turn_of, usage_of
from portico_gateway.agent.free.remote.chat_request import chat_request
from portico_gateway.agent.free.trimming import Trimmed, trim
from portico_gateway.agent.free.turn_model import TurnRequest, TurnWriter, Written, WrittenTurn
from portico_gateway.agent.free.turns import ModelTurn, Turn
from portico_gateway.agent.question_run import QuestionRun
from portico_gateway.errors import ModelServerError
from portico_gateway.model.remote.chat_faults import context_of, overflow_of

CHARACTERS_A_TOKEN = 3  # as a turn's size is guessed: rather too large than too small
CONNECT_SECONDS = 5.0
MAX_ANSWER = 16 << 20  # bytes
ANSWER_SHARE = 4  # of the context, a quarter is for one turn, at most
TRIM_SHARE = 2  # a conversation that doesn't fit is brought down to half of the context


class RemoteModel:
    """Implements `TurnModel`; `await RemoteModel.open(url)`, `aclose` ends it."""

    def __init__(self, client: httpx2.AsyncClient, name: str, context_length: int) -> None:
        self.name = name
        self._client = client
        self._context_length = context_length

    @classmethod
    async def open(cls, url: str, key: str = "", *, transport: httpx2.AsyncBaseTransport | None = None) -> RemoteModel:
        """The first model of the server at `url` (with `/v1`). Raises ModelServerError."""
        client = httpx2.AsyncClient(
            base_url=url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
            trust_env=False,  # no proxy hears what is asked
            transport=transport,
        )
        try:
            with anyio.fail_after(CONNECT_SECONDS):
                listed = await _json(client, "GET", "models")
            models = listed.get("data") if isinstance(listed, dict) else None
            if not isinstance(models, list) or not models or not isinstance(models[0], dict) or "id" not in models[0]:
                raise ModelServerError(f"the model server at {url} lists no model; its url must end as in http://HOST:PORT/v1")
        except BaseException as error:
            await client.aclose()
            if isinstance(error, TimeoutError):
                raise ModelServerError(f"the model server at {url} does not answer") from None
            raise
        return cls(client, str(models[0]["id"]), context_of(models[0]))

    @property
    def context_length(self) -> int:
        """As the server says it."""
        return self._context_length

    @property
    def calls_by_name(self) -> bool:
        """See `TurnModel`: other servers take calls of the tools alone that they were given."""
        return False

    async def tool_tokens(self, tools: Sequence[Tool]) -> int:
        """See `TurnModel`."""
        return sum(len(tool.description) + len(json.dumps(tool.parameters)) for tool in tools) // CHARACTERS_A_TOKEN

    async def writer(self, tools: Sequence[Tool], limits: FreeLimits) -> TurnWriter:
        """See `TurnModel`."""
        return _RemoteWriter(self, tools, limits)

    async def complete(self, body: dict[str, Any]) -> Any:
        """A chat completion. Raises ContextOverflow, ModelServerError."""
        return await _json(self._client, "POST", "chat/completions", body)

    async def aclose(self) -> None:
        await self._client.aclose()


@dataclass(slots=True)
class _Completed:
    """What the server answered, None where it did not; the turns that it was asked with, and what was left out of them."""

    turns: list[Turn]
    answer: Any = None
    trimmed: Trimmed | None = None
    tokens_before: int = 0


class _RemoteWriter:
    """Implements `TurnWriter`."""

    def __init__(self, model: RemoteModel, tools: Sequence[Tool], limits: FreeLimits) -> None:
        self._model, self._tools, self._limits = model, tools, limits

    async def write(self, run: QuestionRun, asked: TurnRequest) -> AsyncGenerator[Written]:
        """See `TurnWriter`."""
        began = time.perf_counter()
        completed = await self._within_time(asked)
        if (gone := completed.trimmed) is not None:
            yield ConversationTrimmed(gone.results, gone.past, gone.cut, completed.tokens_before, _guess(gone.turns))
        yield completed.turns
        if completed.answer is None:
            yield WrittenTurn(ModelTurn(), ended=False)
            return
        written = turn_of(completed.answer, self._limits.calls_a_turn)
        run.first_token = run.first_token or time.perf_counter()
        run.usage.append(usage_of(completed.answer, time.perf_counter() - began))
        if written.turn.thought:
            yield ThoughtText(written.turn.thought)
        if written.turn.text:
            yield AnswerText(written.turn.text)
        yield written

    async def _within_time(self, asked: TurnRequest) -> _Completed:
        """The server's answer, none where the question's time is over before. A conversation that the server finds too long is
        shortened, once."""
        found = _Completed(list(asked.turns))
        with anyio.move_on_after(asked.budget.seconds_left):
            try:
                found.answer = await self._answer(found.turns, asked)
            except ContextOverflow as error:
                excess = error.prompt_tokens - self._model.context_length // TRIM_SHARE
                step = trim(found.turns, [_guess([turn]) for turn in found.turns], excess)
                if not step.changed:
                    raise
                found.turns, found.trimmed, found.tokens_before = step.turns, step, error.prompt_tokens
                found.answer = await self._answer(found.turns, asked)
        return found

    async def _answer(self, turns: Sequence[Turn], asked: TurnRequest) -> Any:
        most = self._model.context_length // ANSWER_SHARE  # servers refuse more than the context holds
        body = chat_request(self._model.name, turns, self._tools, asked)
        return await self._model.complete({**body, "max_tokens": min(body["max_tokens"], most)})


def _guess(turns: Sequence[Turn]) -> int:
    """About how many tokens they are."""
    return len(str(turns)) // CHARACTERS_A_TOKEN


async def _json(client: httpx2.AsyncClient, method: str, path: str, body: Any = None) -> Any:
    """What the server answers. Raises ContextOverflow, ModelServerError."""
    where = f"the model server at {client.base_url}"
    try:
        async with client.stream(method, path, json=body) as response:
            raw = b""
            async for piece in response.aiter_bytes():
                raw += piece
                if len(raw) > MAX_ANSWER:
                    raise ModelServerError(f"{where} answered with more than {MAX_ANSWER >> 20} MiB")
    except httpx2.HTTPError as error:
        raise ModelServerError(f"{where} can't be reached: {error or type(error).__name__}") from None
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError):
        answer = raw[:200].decode(errors="replace")
    if response.status_code == httpx2.codes.OK and not isinstance(answer, str):
        return answer
    raise _fault(where, response.status_code, answer)


def _fault(where: str, status: int, answer: Any) -> ContextOverflow | ModelServerError:
    """Servers of one API say their errors in three forms."""
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    said = error.get("message") if isinstance(error, dict) else error
    return overflow_of(error) or ModelServerError(f"{where} answered with {status}: {str(said)[:300]}")
