"""The parent's side: starts the child, asks it, tells what comes back, and sees to it that no process is left.

It owns one child from its start to its end, and doesn't start another: that is its user's decision. Implements `EngineClient`.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import pickle
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from portico_engine.adapters.adapter import AdapterInfo
from portico_engine.client import VocabularyView
from portico_engine.errors import ChatTemplateError, EngineDied, EngineError
from portico_engine.faults import error_text, faults_of
from portico_engine.front.flow_control import Receipts
from portico_engine.loading.engine_loader import EngineLoader
from portico_engine.loading.options import LoadProgress
from portico_engine.priors.call_prior import CallPrior
from portico_engine.priors.tool_call_prior import ToolCallPrior
from portico_engine.process import messages
from portico_engine.process.exit_reason import describe_exit, memory_kills
from portico_engine.process.grammar_cache import GrammarSender
from portico_engine.process.lazy_prior import pack_prior, split_prior
from portico_engine.request import Delta, Embeddings, ModelInfo, Pooling, Request
from portico_engine.tool import Tool

CLOSE_SECONDS = 12.0  # that the child gets to save what is to be kept; its disk gets 10
_MODULE = "portico_engine.process.child"
_log = logging.getLogger(__name__)


class EngineProcess:
    """`engine = await EngineProcess.open(load)`; `aclose` ends it."""

    def __init__(self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pid = process.pid
        self._process = process
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count()
        self._grammars = GrammarSender()
        self._priors: dict[int, Mapping[str, CallPrior]] = {}  # of requests in flight, what crosses when it is looked at
        self._making: set[asyncio.Task[None]] = set()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._streams: dict[int, asyncio.Queue[tuple[Any, ...] | Exception]] = {}  # an error ends one: it has no more deltas
        self._kills_before = memory_kills()
        self._engine_loaded: messages.EngineLoaded | None = None
        self._tokens: RemoteVocabulary | None = None
        self._end: str | None = None
        self._listening: asyncio.Task[None] | None = None
        self._copying = asyncio.create_task(self._copy_stderr(), name="engine process's stderr")

    @classmethod
    async def open(cls, load: EngineLoader, progress: LoadProgress = lambda _stage, _fraction: None) -> EngineProcess:
        """Start a process that calls `load` (which must be picklable), and wait until the engine is there.

        Raises what `load` raises (EngineError, ImportError, MemoryError), and EngineDied where the process ends over it.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await _spawn(theirs, load)
            reader, writer = await asyncio.open_connection(sock=ours)
        except BaseException:
            ours.close()  # by which the child, if it is there, knows that it isn't wanted
            raise
        engine = cls(process, reader, writer)
        try:
            await engine._load(load, progress)
        except BaseException:
            await asyncio.shield(engine._kill())
            raise
        return engine

    @property
    def info(self) -> ModelInfo:
        return self._loaded.info

    @property
    def tokens(self) -> VocabularyView:
        assert self._tokens is not None
        return self._tokens

    @property
    def chat_template(self) -> str:
        """See `EngineClient`."""
        if self._loaded.chat_template is None:
            raise ChatTemplateError.missing(self.info.name)
        return self._loaded.chat_template

    async def render_chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Tool] | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> tuple[int, ...]:
        """See `EngineClient`."""
        prompt: tuple[int, ...] = await self._call("render_chat", messages, tools, variables)
        return prompt

    async def tokenize(self, text: str) -> tuple[int, ...]:
        """See `EngineClient`."""
        found: tuple[int, ...] = await self._call("tokenize", text)
        return found

    async def generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        """See `EngineClient`."""
        if self._end is not None:
            raise EngineDied(self._end)
        number = next(self._numbers)
        stream = self._streams[number] = asyncio.Queue()
        receipts = Receipts(lambda count: self._send(messages.Taken(number, request.id, count)))
        finished = False
        try:
            self._send(self._submission(number, request))
            while not finished:
                values = await stream.get()
                if isinstance(values, Exception):
                    finished = True
                    try:
                        raise values
                    finally:
                        del values  # it holds this frame
                delta = messages.unpack_delta(request.id, values)
                finished = delta.finish_reason is not None
                yield delta
                if not finished:
                    receipts.took(delta)
        finally:
            del self._streams[number]
            self._priors.pop(number, None)
            if not finished:
                self._send(messages.Abort(number, request.id))

    async def score(
        self, prompt: Sequence[int], continuations: Sequence[Sequence[int]], salt: bytes = b""
    ) -> list[list[float]]:
        """See `EngineClient`."""
        scores: list[list[float]] = await self._call("score", prompt, continuations, salt)
        return scores

    async def embed(self, texts: Sequence[str | Sequence[int]], pooling: Pooling | None = None) -> Embeddings:
        """See `EngineClient`."""
        found: Embeddings = await self._call("embed", texts, pooling)
        return found

    async def load_adapter(self, name: str, path: Path) -> AdapterInfo:
        """See `EngineClient`. A relative path is this process's."""
        absolute = Path(os.path.abspath(path))  # noqa: ASYNC240 - it asks for no more than the working directory
        info: AdapterInfo = await self._call("load_adapter", name, absolute)
        return info

    async def unload_adapter(self, name: str) -> None:
        """See `EngineClient`."""
        await self._call("unload_adapter", name)

    async def adapters(self) -> tuple[AdapterInfo, ...]:
        """See `EngineClient`."""
        infos: tuple[AdapterInfo, ...] = await self._call("adapters")
        return infos

    async def stats(self) -> dict[str, float]:
        """See `EngineClient`."""
        figures: dict[str, float] = await self._call("stats")
        return figures

    async def ended(self) -> str:
        """See `EngineClient`."""
        assert self._listening is not None
        await asyncio.wait([self._listening])
        assert self._end is not None
        return self._end

    async def aclose(self) -> None:
        """See `EngineClient`. A child that takes longer than CLOSE_SECONDS is killed."""
        self._send(messages.CloseEngine())
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.ended()
        await asyncio.shield(self._kill())

    @property
    def _loaded(self) -> messages.EngineLoaded:
        assert self._engine_loaded is not None, "open() returns when it is there"
        return self._engine_loaded

    async def _load(self, load: EngineLoader, progress: LoadProgress) -> None:
        done: asyncio.Future[messages.EngineLoaded] = asyncio.get_running_loop().create_future()
        self._listening = asyncio.create_task(self._listen(done, progress), name="engine process")
        self._send(messages.LoadEngine(load, logging.getLogger().getEffectiveLevel()))
        self._engine_loaded = await done
        self._tokens = RemoteVocabulary(self._engine_loaded)

    def _submission(self, number: int, request: Request) -> messages.Submit:
        grammar = None if request.grammar is None else self._grammars.pack(request.grammar)
        prior = split_prior(request.prior)
        if prior.names:
            assert isinstance(request.prior, ToolCallPrior)
            self._priors[number] = request.prior.calls
        return messages.Submit(number, replace(request, grammar=None, prior=None), grammar, pack_prior(prior))

    async def _reply_with_prior(self, number: int, name: str) -> None:
        """Answer a step of the child that waits, in any case: with nothing where its request was given up meanwhile."""
        packed = pack_prior(CallPrior())
        try:
            if number in self._priors:
                packed = pack_prior(await asyncio.to_thread(self._priors[number].__getitem__, name))
        except asyncio.CancelledError:  # the event loop ends, and the child with it
            raise
        except BaseException as error:  # noqa: BLE001 - its maker's fault, whatever it is, one that can't be pickled among it
            packed = pack_prior(EngineError(f"a prior can't be made ({error_text(error)})"))
        self._send(messages.LazyPriorReply(number, name, packed))

    async def _call(self, function: messages.Function, *arguments: Any) -> Any:
        number = next(self._numbers)
        return await self._ask(number, messages.CallFunction(number, function, arguments))

    async def _ask(self, number: int, message: object) -> Any:
        if self._end is not None:
            raise EngineDied(self._end)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            with faults_of("what is sent to the engine"):  # it may be nested too deeply
                self._send(message)
            return await answer
        finally:
            del self._waiting[number]
            del answer  # what it holds as an error holds this frame

    def _send(self, message: object) -> None:
        if self._end is None:
            self._writer.write(messages.encode(message))

    async def _listen(self, loaded: asyncio.Future[messages.EngineLoaded], progress: LoadProgress) -> None:
        """Tell what comes until the child ends; then tell that."""
        try:
            while True:
                (size,) = messages.HEADER.unpack(await self._reader.readexactly(messages.HEADER.size))
                message = pickle.loads(await self._reader.readexactly(size))
                match message:
                    case messages.LoadingProgress(stage, fraction):
                        progress(stage, fraction)
                    case messages.EngineLoaded():
                        loaded.set_result(message)
                    case messages.Failure(None, error):
                        loaded.set_exception(error)
                    case _:
                        self._dispatch(message)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except Exception:  # noqa: BLE001 - the outermost loop of the task: without it everybody would wait for ever
            _log.exception("the engine's process can't be understood")
            self._kill_group()
        self._end = describe_exit(await self._process.wait(), self._kills_before)
        for answer in (loaded, *self._waiting.values()):
            if not answer.done():
                answer.set_exception(EngineDied(self._end))
        for stream in self._streams.values():
            stream.put_nowait(EngineDied(self._end))

    def _dispatch(self, message: object) -> None:
        match message:
            case messages.StepDeltas(deltas):
                for number, values in deltas:
                    if number in self._streams:
                        self._streams[number].put_nowait(values)
            case messages.Reply(number, value):
                if (answer := self._waiting.get(number)) is not None and not answer.done():
                    answer.set_result(value)
            case messages.Failure(int(number), error):
                if (answer := self._waiting.get(number)) is not None and not answer.done():
                    answer.set_exception(error)
                elif (stream := self._streams.get(number)) is not None:
                    stream.put_nowait(error)
            case messages.LazyPriorRequest(number, name):
                making = asyncio.create_task(self._reply_with_prior(number, name), name="a lazy prior")
                self._making.add(making)
                making.add_done_callback(self._making.discard)
            case messages.LogMessage(record):
                logging.getLogger(record.name).handle(record)

    async def _copy_stderr(self) -> None:
        """What native code says, a crash's stack among it, goes to the log."""
        assert self._process.stderr is not None
        rest = b""
        while data := await self._process.stderr.read(1 << 16):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                _log.info("%s", line.decode(errors="replace"))
        if rest:
            _log.info("%s", rest.decode(errors="replace"))

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)  # its id is the group's: it was started in one of its own

    async def _kill(self) -> None:
        """The whole group, at once; afterwards nothing of it is left."""
        self._kill_group()
        await asyncio.wait([task for task in (self._listening, self._copying) if task is not None])
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


async def _spawn(sock: socket.socket, load: EngineLoader) -> asyncio.subprocess.Process:
    """A child that has this end of a socket pair, works outside the working directory and imports nothing from there."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", _MODULE, str(sock.fileno())),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=[sock.fileno()],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(_import_path(load)), "PYTHONSAFEPATH": "1"},
        cwd=os.sep,
        process_group=0,  # Ctrl-C is for the parent, and the group can be ended as a whole
    )


def _import_path(load: EngineLoader) -> list[str]:
    """sys.path without the working directory, where anybody's files may lie; kept only where `load` itself is from it."""
    made: Any = load
    while isinstance(made, partial):
        made = made.func
    module = sys.modules.get(getattr(made, "__module__", type(made).__module__))
    code = os.path.realpath(getattr(module, "__file__", None) or os.sep)
    here = os.path.realpath(os.curdir)
    needed = code.startswith(here.rstrip(os.sep) + os.sep)
    return [entry for entry in sys.path if os.path.isabs(entry) and (needed or os.path.realpath(entry) != here)]


class RemoteVocabulary:
    """Implements `VocabularyView` by what the child said when it had loaded."""

    def __init__(self, loaded: messages.EngineLoaded) -> None:
        self.token_bytes = loaded.token_bytes
        self.end_token_ids = loaded.end_token_ids
        self._control = loaded.control
        self._control_ids = frozenset(loaded.control.values())

    def token_id(self, token: str) -> int | None:
        """See `VocabularyView`."""
        return self._control.get(token)

    def is_control(self, token: int) -> bool:
        """See `VocabularyView`."""
        return token in self._control_ids
