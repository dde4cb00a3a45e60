"""A model server whose answers are scripted, as a transport under the real client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

MODELS = {"object": "list", "data": [{"id": "big-model", "object": "model", "owned_by": "llamacpp", "meta": {"n_ctx": 4096}}]}


def chunk(content: str | None = None, *, model: str = "big-model", reason: str | None = None, **more: Any) -> Mapping[str, Any]:
    delta = {} if content is None else {"content": content}
    return {"model": model, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **more}


def answer(*pieces: str, reason: str = "stop") -> list[Any]:
    """The chunks of a whole answer."""
    usage = {"prompt_tokens": 30, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 20}}
    return [*(chunk(piece) for piece in pieces), chunk(reason=reason), {"choices": [], "usage": usage}]


@dataclass
class ScriptedServer(httpx2.AsyncBaseTransport):
    """`script(body)` gives an answer's chunks, a (status, body), or an error to raise; an error among the chunks breaks off."""

    script: Callable[[Mapping[str, Any]], Iterable[Any] | tuple[int, Any] | Exception] = lambda body: answer("Hello", " there")
    models: Any = field(default_factory=lambda: MODELS)
    bodies: list[Mapping[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.keys.append(request.headers.get("authorization"))
        if request.url.path.endswith("/models"):
            if isinstance(self.models, Exception):
                raise self.models
            status, body = self.models if isinstance(self.models, tuple) else (200, self.models)
            return httpx2.Response(status, json=body)
        self.bodies.append(json.loads(await request.aread()))
        made = self.script(self.bodies[-1])
        if isinstance(made, Exception):
            raise made
        if isinstance(made, tuple):
            return httpx2.Response(made[0], json=made[1])
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=_Events(made))


class _Events(httpx2.AsyncByteStream):
    def __init__(self, chunks: Iterable[Any]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for each in self._chunks:
            if isinstance(each, Exception):
                raise each
            yield each if isinstance(each, bytes) else f"data: {json.dumps(each)}\n\n".encode()
        yield b"data: [DONE]\n\n"
