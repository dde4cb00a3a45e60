"""One model server: its connection, what is asked of it, and how its answers and errors are read.

Nothing that it sends is believed: sizes, times and shapes are bounded, and another model than the first is an error.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx2

from portico_engine.errors import EngineError, RequestError
from portico_gateway.model.remote.chat_faults import context_of, overflow_of
from portico_gateway.model.remote.dialect import GrammarForm, form_of
from portico_gateway.model.remote.errors import ModelChanged, ModelServerFault, ServerBusy, ServerTimeout, ServerUnreachable

CONNECT_SECONDS = 5.0
MAX_LINE = 1 << 20  # bytes of one event
MAX_ANSWER = 16 << 20  # bytes of one answer
_BUSY = (429, 503)


@dataclass(slots=True)
class ModelServer:
    """`await connect()` says what it has; `chat` asks it. `problem` is why it gets no requests now."""

    url: str
    client: httpx2.AsyncClient
    seconds: float  # that it may say nothing
    form: GrammarForm | None = None  # as configured; else as it says
    model: str = ""
    context_length: int = 0
    about: Mapping[str, Any] = field(default_factory=dict)
    problem: ModelServerFault | None = None
    in_flight: int = 0
    requests: int = 0
    failures: int = 0
    _answers_as: str | None = None  # the model's name in its answers

    async def connect(self) -> None:
        """Read what model it has. Raises ModelServerFault; ModelChanged where it was another before."""
        try:
            with anyio.fail_after(CONNECT_SECONDS):
                listed = await self._json("GET", "models")
        except TimeoutError:
            raise ServerTimeout(self.url, f"says nothing for {CONNECT_SECONDS:g} s") from None
        found = listed.get("data") if isinstance(listed, dict) else None
        models = found if isinstance(found, list) else []
        first = models[0] if models else None
        if not isinstance(first, dict) or not isinstance(first.get("id"), str):
            raise ModelServerFault(self.url, "lists no model; its url must end as in http://HOST:PORT/v1")
        every = [each.get("id") for each in models if isinstance(each, dict)]
        if self.model and self.model not in every:
            raise ModelChanged(
                self.url, f"had the model {self.model!r} and has {first['id'][:80]!r} now; start Portico again for that"
            )
        if not self.model:
            self.model, self.about = first["id"], first
            self.context_length = context_of(first)
        self.form = self.form or form_of(first)

    async def chat(self, body: Mapping[str, Any]) -> AsyncGenerator[Mapping[str, Any], None]:
        """The chunks of a chat completion. Raises ModelServerFault, ContextOverflow, RequestError."""
        self.in_flight += 1
        self.requests += 1
        path = "completions" if "prompt" in body else "chat/completions"
        try:
            async with self._stream(path, {**body, "model": self.model, "stream": True}) as response:
                if response.status_code != httpx2.codes.OK:
                    raise self._refused(response.status_code, await _bounded(response, self.url))
                async with aclosing(self._chunks(response)) as chunks:
                    async for chunk in chunks:
                        yield self._checked(chunk)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise ServerUnreachable(self.url, f"can't be reached: {error or type(error).__name__}") from None
        except httpx2.TimeoutException:
            raise ServerTimeout(self.url, f"said nothing for {self.seconds:g} s") from None
        except httpx2.HTTPError as error:
            raise ServerUnreachable(self.url, f"broke off: {error or type(error).__name__}") from None
        finally:
            self.in_flight -= 1

    @asynccontextmanager
    async def _stream(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[httpx2.Response]:
        timeout = httpx2.Timeout(self.seconds, connect=CONNECT_SECONDS)
        async with self.client.stream("POST", path, json=body, timeout=timeout) as response:
            yield response

    async def _chunks(self, response: httpx2.Response) -> AsyncGenerator[Any, None]:
        """The data of the events, up to [DONE]."""
        size, line = 0, b""
        async for piece in response.aiter_bytes():
            size += len(piece)
            *whole, line = (line + piece).split(b"\n")
            if size > MAX_ANSWER or len(line) > MAX_LINE:
                raise ModelServerFault(self.url, f"sent more than {MAX_ANSWER >> 20} MiB for one answer")
            for each in whole:
                if not each.startswith(b"data:"):
                    continue
                data = each[5:].strip()
                if data == b"[DONE]":
                    return
                yield self._parsed(data)
        raise ServerUnreachable(self.url, "ended an answer before its end")

    def _parsed(self, data: bytes) -> Any:
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise ModelServerFault(self.url, f"sent an event that is no JSON: {data[:80].decode(errors='replace')}") from None

    def _checked(self, chunk: Any) -> Mapping[str, Any]:
        if not isinstance(chunk, Mapping):
            raise ModelServerFault(self.url, f"sent an event that is no chat completion's: {str(chunk)[:80]}")
        if "error" in chunk:
            raise self._refused(500, chunk)
        named = chunk.get("model")
        if isinstance(named, str):
            self._answers_as = self._answers_as or named
            if named != self._answers_as:
                raise ModelChanged(self.url, f"answered as {self._answers_as!r} and answers as {named[:80]!r} now")
        return chunk

    def _refused(self, status: int, answer: Any) -> EngineError:
        """Servers of one API say their errors in three forms."""
        error = answer.get("error", answer) if isinstance(answer, Mapping) else answer
        said = str(error.get("message", error) if isinstance(error, Mapping) else error)[:300]
        if (too_long := overflow_of(error, self.context_length)) is not None:
            return too_long
        if status in _BUSY:
            return ServerBusy(self.url, f"takes no more requests now ({status}: {said})")
        if status >= httpx2.codes.INTERNAL_SERVER_ERROR:
            return ModelServerFault(self.url, f"answered with {status}: {said}")
        if status in (httpx2.codes.UNAUTHORIZED, httpx2.codes.FORBIDDEN):
            return ModelServerFault(self.url, f"does not take the key under [engine] ({status}: {said})")
        if status == httpx2.codes.NOT_FOUND:  # the path and the model's name are ours, and no client's
            return ModelChanged(self.url, f"has no model {self.model!r} any more ({status}: {said})")
        return RequestError(f"the model server at {self.url} refused the request with {status}: {said}")

    async def _json(self, method: str, path: str) -> Any:
        try:
            async with self.client.stream(method, path, timeout=httpx2.Timeout(CONNECT_SECONDS)) as response:
                answer = await _bounded(response, self.url)
        except httpx2.HTTPError as error:
            raise ServerUnreachable(self.url, f"can't be reached: {error or type(error).__name__}") from None
        if response.status_code != httpx2.codes.OK:
            refused = self._refused(response.status_code, answer)
            raise (
                refused
                if isinstance(refused, ModelServerFault)
                else ModelServerFault(self.url, f"answered with {response.status_code}")
            )
        return answer


async def _bounded(response: httpx2.Response, url: str) -> Any:
    """A whole body; as JSON where it is such."""
    raw = b""
    async for piece in response.aiter_bytes():
        raw += piece
        if len(raw) > MAX_LINE:
            raise ModelServerFault(url, f"sent more than {MAX_LINE >> 20} MiB where a short answer was asked for")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return raw[:300].decode(errors="replace")
