"""Implements `EngineClient` over model servers: prompts are conversations, and tokens stay theirs.

What needs tokens (scores, log-probabilities of single tokens, adapters) is refused by name. A server that fails before its
first word is followed by the next one; after it the answer has begun, and ends with what went wrong.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx2

from portico_engine import AdapterInfo, Delta, FinishReason, ModelInfo, Request, Tool, Usage
from portico_engine.errors import AdapterError, RequestError, UnknownAdapter
from portico_engine.request import Embeddings, Pooling
from portico_gateway.model.remote.dialect import GrammarForm, grammar_fields
from portico_gateway.model.remote.errors import ModelServerFault, ServerTimeout, ServerUnreachable
from portico_gateway.model.remote.pool import ServerPool
from portico_gateway.model.remote.prompt import RemotePrompt
from portico_gateway.model.remote.server import ModelServer

REMOTE = "remote"  # `ModelInfo.executor`
_ANY_VOCABULARY = 1 << 31  # larger than any: which tokens there are, the server knows
_LARGE = 1_000_000_000  # parameters, where the server doesn't say: it needs no guidance
_ENDED = {"stop": FinishReason.STOP, "tool_calls": FinishReason.STOP, "length": FinishReason.LENGTH}
_ONLY_HERE = "is not known of a model behind another server; leave it out"


class _NoVocabulary:
    """Implements `VocabularyView`: nothing is known."""

    token_bytes: Sequence[bytes] = ()
    end_token_ids: frozenset[int] = frozenset()

    def token_id(self, token: str) -> int | None:
        return None

    def is_control(self, token: int) -> bool:
        return False


class RemoteEngine:
    """`await RemoteEngine.open(urls)`; `aclose` ends it."""

    def __init__(self, pool: ServerPool, clients: Sequence[httpx2.AsyncClient]) -> None:
        self._pool = pool
        self._clients = clients
        self._closed = asyncio.Event()
        self._watch = asyncio.create_task(pool.watch(), name="model servers")

    @classmethod
    async def open(
        cls,
        urls: Sequence[str],
        key: str = "",
        *,
        seconds: float = 120.0,
        form: GrammarForm | None = None,
        transports: Mapping[str, httpx2.AsyncBaseTransport] | None = None,
    ) -> RemoteEngine:
        """The servers at `urls` (each with `/v1`), one of which must be well. `seconds`: that one may say nothing; `form`: how
        grammars are sent, None for what each says of itself. Raises ModelServerFault."""
        clients, servers = [], []
        for url in urls:
            client = httpx2.AsyncClient(
                base_url=url.rstrip("/") + "/",
                headers={"Authorization": f"Bearer {key}"} if key else {},
                trust_env=False,  # no proxy hears what is asked
                transport=(transports or {}).get(url),
            )
            clients.append(client)
            servers.append(ModelServer(url.rstrip("/"), client, seconds, form))
        pool = ServerPool(servers)
        try:
            await pool.connect()
        except BaseException:
            for client in clients:
                await client.aclose()
            raise
        return cls(pool, clients)

    @property
    def servers(self) -> tuple[ModelServer, ...]:
        return self._pool.servers

    @property
    def info(self) -> ModelInfo:
        """Of the first server that is well."""
        server = next((each for each in self.servers if each.model), self.servers[0])
        meta = server.about.get("meta")
        said = meta.get("n_params") if isinstance(meta, Mapping) else None
        parameters = said if isinstance(said, int) and said > 0 else _LARGE
        context = min((each.context_length for each in self.servers if each.context_length), default=0)
        return ModelInfo(server.model, "", context, _ANY_VOCABULARY, parameters, "", 0, REMOTE, REMOTE)

    @property
    def tokens(self) -> _NoVocabulary:
        return _NoVocabulary()

    @property
    def chat_template(self) -> str:
        """It has no place for tools: they stand in the instructions, so that every server reads the same."""
        return ""

    async def render_chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Tool] | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> tuple[int, ...]:
        """`variables` are for the server's own template."""
        return RemotePrompt.of_messages(messages, variables)

    async def tokenize(self, text: str) -> tuple[int, ...]:
        return RemotePrompt.of_text(text)

    async def generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        """See `EngineClient`. Raises ModelServerFault too."""
        began, tried = time.monotonic(), None
        body = self._body(request)
        assert isinstance(request.prompt, RemotePrompt)
        for server in await self._pool.servers_for(request.prompt.prefix_key):
            answer = _Answer(request, began)
            assert server.form is not None
            sent = {**body, **grammar_fields(request.grammar, server.form)}
            try:
                async with aclosing(server.chat(sent)) as chunks:
                    async for chunk in chunks:
                        if (delta := answer.delta(chunk)) is not None:
                            yield delta
                yield answer.last(server)
                return
            except ModelServerFault as fault:
                self._pool.failed(server, fault)
                if answer.begun or isinstance(fault, ServerTimeout):  # another one would be as slow, and the client waits
                    raise
                tried = fault
        assert tried is not None, "there is a server, or servers_for raises"
        raise tried

    def _body(self, request: Request) -> dict[str, Any]:
        """A chat completion's, or a completion's, but for model and grammar."""
        prompt, sampling = request.prompt, request.sampling
        if not isinstance(prompt, RemotePrompt):
            raise RequestError(f"a prompt of tokens {_ONLY_HERE}")
        if sampling.logprobs is not None:
            raise RequestError(f"logprobs: the log-probability of a token {_ONLY_HERE}")
        if request.adapter is not None:
            raise UnknownAdapter(request.adapter, [])
        body: dict[str, Any] = {"temperature": sampling.temperature, "top_p": sampling.top_p}
        body |= {"messages": list(prompt.messages)} if prompt.messages else {"prompt": prompt.text}
        body |= {"chat_template_kwargs": prompt.variables} if prompt.variables else {}
        if request.max_tokens < self.info.context_length - len(prompt):
            body["max_tokens"] = request.max_tokens  # else: to the end of the context, which the server knows better
        optional = {
            "top_k": sampling.top_k or None,
            "min_p": sampling.min_p or None,
            "seed": sampling.seed if sampling.is_seeded else None,
            "frequency_penalty": sampling.frequency_penalty or None,
            "presence_penalty": sampling.presence_penalty or None,
            "repetition_penalty": sampling.repetition_penalty if sampling.repetition_penalty != 1.0 else None,
            "logit_bias": {str(token): bias for token, bias in sampling.logit_bias} or None,
            "stop": list(request.stop) or None,
            "min_tokens": sampling.min_tokens or None,
            "ignore_eos": sampling.ignore_eos or None,
            "stop_token_ids": list(sampling.stop_token_ids) or None,
        }
        if sampling.dry_multiplier:
            breakers = sampling.dry_sequence_breakers
            optional |= {
                "dry_multiplier": sampling.dry_multiplier,
                "dry_base": sampling.dry_base,
                "dry_allowed_length": sampling.dry_allowed_length,
                "dry_penalty_last_n": sampling.dry_penalty_last_n,
                "dry_sequence_breakers": None if breakers is None else list(breakers),
            }
        if sampling.xtc_probability:
            optional |= {"xtc_probability": sampling.xtc_probability, "xtc_threshold": sampling.xtc_threshold}
        body |= {name: value for name, value in optional.items() if value is not None}
        return {**body, "stream_options": {"include_usage": True}}

    async def score(
        self, prompt: Sequence[int], continuations: Sequence[Sequence[int]], salt: bytes = b""
    ) -> list[list[float]]:
        raise RequestError(f"the score of a text {_ONLY_HERE}")

    async def embed(self, texts: Sequence[str | Sequence[int]], pooling: Pooling | None = None) -> Embeddings:
        raise RequestError(f"the embedding of a text {_ONLY_HERE}")

    async def load_adapter(self, name: str, path: Path) -> AdapterInfo:
        raise AdapterError(f"the adapter {name!r} can't be loaded into a model behind another server")

    async def unload_adapter(self, name: str) -> None:
        raise UnknownAdapter(name, [])

    async def adapters(self) -> tuple[AdapterInfo, ...]:
        return ()

    async def stats(self) -> dict[str, float]:
        """None of an engine: each server has its own."""
        return {}

    async def ended(self) -> str:
        """It ends by being closed alone: servers come and go."""
        await self._closed.wait()
        return "it was closed"

    async def aclose(self) -> None:
        self._closed.set()
        self._watch.cancel()
        await asyncio.gather(self._watch, return_exceptions=True)
        for client in self._clients:
            await client.aclose()


class _Answer:
    """One answer's deltas, from the chunks of a server."""

    def __init__(self, request: Request, began: float) -> None:
        self._request, self._began = request, began
        self._first: float | None = None
        self._reason: FinishReason | None = None
        self._usage: Mapping[str, Any] = {}
        self._pieces = 0

    @property
    def begun(self) -> bool:
        """Has any of it been told?"""
        return self._first is not None

    def delta(self, chunk: Mapping[str, Any]) -> Delta | None:
        """What a chunk adds, if it adds text."""
        usage = chunk.get("usage")
        self._usage = usage if isinstance(usage, Mapping) else self._usage
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else {}
        if not isinstance(choice, Mapping):
            return None
        if isinstance(reason := choice.get("finish_reason"), str):
            self._reason = _ENDED.get(reason, FinishReason.STOP)
        told = choice.get("delta")
        text = told.get("content") if isinstance(told, Mapping) else choice.get("text")
        if not isinstance(text, str) or not text:
            return None
        self._first = self._first or time.monotonic()
        self._pieces += 1
        return Delta(self._request.id, text)

    def last(self, server: ModelServer) -> Delta:
        """The end. Raises ServerUnreachable where the server did not say that it is one."""
        if self._reason is None:
            raise ServerUnreachable(
                server.url,
                "ended an answer without saying why (llama-cpp-python's does when it is asked something else meanwhile, unless "
                "it is started with --interrupt_requests False)",
            )
        return Delta(self._request.id, finish_reason=self._reason, usage=self._counted())

    def _counted(self) -> Usage:
        """As the server says it; where it says nothing, by its pieces."""
        details = self._usage.get("prompt_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, Mapping) else None
        now = time.monotonic()
        first = self._first or now
        return Usage(
            prompt_tokens=_count(self._usage.get("prompt_tokens"), len(self._request.prompt)),
            cached_tokens=_count(cached, 0),
            completion_tokens=_count(self._usage.get("completion_tokens"), self._pieces),
            time_to_first_token=first - self._began,
            decode_seconds=now - first,
        )


def _count(said: Any, otherwise: int) -> int:
    return said if isinstance(said, int) and said >= 0 else otherwise
