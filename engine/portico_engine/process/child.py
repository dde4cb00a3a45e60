"""The child's side: loads the engine, answers the parent, and ends when the parent does.

The main thread reads messages, and does itself what is done in less time than another thread needs to begin (a short prompt's
tokens), so that it hears at once when the parent is gone, whatever the engine is doing. What may take longer runs on threads
beside the steps, generating and scoring between them, on the engine's own thread.
"""

from __future__ import annotations

import copy
import faulthandler
import gc
import logging
import os
import pickle
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NoReturn

from portico_engine.adapters.adapter import AdapterInfo
from portico_engine.engine import Engine
from portico_engine.errors import ChatTemplateError, EngineError
from portico_engine.faults import error_text
from portico_engine.front.engine_thread import EngineThread
from portico_engine.loading.engine_loader import EngineLoader
from portico_engine.loading.torch_import import lean_torch
from portico_engine.priors.call_prior import CallPrior
from portico_engine.process import messages
from portico_engine.process.grammar_cache import GrammarReceiver
from portico_engine.process.lazy_prior import join_prior, unpack_prior
from portico_engine.request import Delta
from portico_engine.text.tokenizer import Tokenizer

_SWITCH_SECONDS = 0.00005  # that a thread beside the steps keeps Python's lock when a step wants it: some 600 times, on a CPU
_BESIDE = 4  # threads for what doesn't wait for a step
_SHORT = 1 << 15  # bytes of a message that asks for tokens: the reader makes them itself, some 0.1 ms
_BRIEF_SECONDS = 0.005  # of its processor: a template that took longer several times is for the threads
_MOST_LONG = 3
_YOUNG = 10_000  # new objects that are looked through at once: a step makes thousands, hardly any of them in cycles
_log = logging.getLogger(__name__)


class Child:
    """Answers what comes over `wire`."""

    def __init__(self, wire: messages.Wire) -> None:
        self._wire = wire
        self._beside = ThreadPoolExecutor(_BESIDE, thread_name_prefix="portico-child")
        self._grammars = GrammarReceiver()
        self._thread: EngineThread[int] | None = None
        self._awaited_priors: dict[tuple[int, str], Future[CallPrior]] = {}  # that steps wait for
        self._closing = False
        self._long = 0  # times that making tokens of a short message was not brief

    def run(self) -> None:
        """Until the parent closes its end; where it has the engine closed, the process ends with that."""
        while (message := self._wire.receive()) is not None:
            match message:
                case messages.LoadEngine(load, level):
                    logging.basicConfig(level=level, handlers=[_ToParent(self._wire)])
                    self._beside.submit(self._load, load)
                case messages.Submit():
                    self._submit(message)
                case messages.LazyPriorReply(number, name, packed):
                    self._resolve(self._awaited_priors.pop((number, name)), packed)
                case messages.Taken(number, request_id, n_tokens):
                    self._engine_thread.taken(request_id, number, n_tokens)
                case messages.Abort(number, request_id):
                    self._engine_thread.abort(request_id, number)
                case messages.CloseEngine():
                    self._closing = True
                    self._engine_thread.close()
                case messages.CallFunction(number, "render_chat" | "tokenize" as function, arguments) if self._is_short():
                    self._reply_at_once(number, function, arguments)
                case messages.CallFunction(number, function, arguments):
                    self._reply_when_done(number, self._call, function, arguments)

    @property
    def _engine_thread(self) -> EngineThread[int]:
        assert self._thread is not None, "nothing is asked before the engine is there"
        return self._thread

    def _load(self, load: EngineLoader) -> None:
        try:
            engine = load(lambda stage, fraction: self._send(messages.LoadingProgress(stage, fraction)))
            if engine.info.generates:
                engine.grammars  # noqa: B018 - made now: it takes 0.2 s, for which streams would pause
            gc.collect()
            gc.freeze()  # what is loaded stays: looking through it for garbage takes 80 ms, in the middle of somebody's step
            gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
            self._thread = EngineThread(engine, self._deliver, self._ended)
            self._send(_engine_loaded(engine))
        except BaseException as error:  # noqa: BLE001 - the parent's, who waits for it
            self._fail(None, error)

    def _submit(self, message: messages.Submit) -> None:
        try:
            grammar = None if message.grammar is None else self._grammars.unpack(message.grammar)
            prior = join_prior(unpack_prior(message.prior), partial(self._request_prior, message.number))
            request = replace(message.request, grammar=grammar, prior=prior)
        except BaseException as error:  # noqa: BLE001 - one request's fault doesn't end the process
            self._fail(message.number, error)
            return
        try:
            self._engine_thread.submit(request, message.number).add_done_callback(partial(self._refuse, message.number))
        except EngineError as error:
            self._fail(message.number, error)

    def _refuse(self, number: int, submission: Future[None]) -> None:
        """Tell of a request that was not accepted; of one that was, its deltas do."""
        if (error := submission.exception()) is not None:
            self._fail(number, error)

    def _request_prior(self, number: int, name: str) -> CallPrior:
        """Ask the parent, in the middle of a step."""
        future: Future[CallPrior] = Future()
        self._awaited_priors[number, name] = future
        self._send(messages.LazyPriorRequest(number, name))
        return future.result()

    def _resolve(self, awaited: Future[CallPrior], packed: bytes) -> None:
        try:
            prior = unpack_prior(packed)
        except EngineError as error:
            prior = error
        if isinstance(prior, Exception):
            awaited.set_exception(prior)
        else:
            awaited.set_result(prior)

    def _call(self, function: messages.Function, arguments: tuple[Any, ...]) -> Future[Any]:
        engine = self._engine_thread.engine
        match function:
            case "score":
                return self._engine_thread.call(lambda: engine.score(*arguments))
            case "embed":
                return self._engine_thread.call(lambda: engine.embed(*arguments))
            case "render_chat":
                return self._beside.submit(engine.render_chat, *arguments)
            case "tokenize":
                return self._beside.submit(_tokenize, engine.tokenizer, *arguments)
            case "stats":
                return self._beside.submit(engine.stats)
            case "load_adapter":
                return self._beside.submit(self._load_adapter, *arguments)
            case "unload_adapter":
                return self._engine_thread.call(lambda: engine.unload_adapter(*arguments))
            case "adapters":
                return self._beside.submit(engine.adapters)

    def _is_short(self) -> bool:
        return self._long < _MOST_LONG and self._wire.received_bytes <= _SHORT

    def _reply_at_once(self, number: int, function: Literal["render_chat", "tokenize"], arguments: tuple[Any, ...]) -> None:
        """Tokens of a short message, made here."""
        engine, begun = self._engine_thread.engine, time.thread_time()
        try:
            made = engine.render_chat(*arguments) if function == "render_chat" else _tokenize(engine.tokenizer, *arguments)
        except BaseException as error:  # noqa: BLE001 - the caller's, native code's panics among it
            self._fail(number, error)
        else:
            self._send(messages.Reply(number, made))
        self._long += time.thread_time() - begun > _BRIEF_SECONDS

    def _load_adapter(self, name: str, path: Path) -> AdapterInfo:
        """Read beside the steps, added between two."""
        engine = self._engine_thread.engine
        adapter = engine.read_adapter(path)
        return self._engine_thread.call(lambda: engine.add_adapter(name, adapter)).result()

    def _reply_when_done(self, number: int, start: Callable[..., Future[Any]], *arguments: Any) -> None:
        """What `start` begins, when it is done."""

        def done(future: Future[Any]) -> None:
            try:
                self._send(messages.Reply(number, future.result()))
            except BaseException as error:  # noqa: BLE001 - the call's, or of what it came to, which can't be sent
                self._fail(number, error)

        try:
            start(*arguments).add_done_callback(done)
        except EngineError as error:
            self._fail(number, error)

    def _fail(self, number: int | None, error: BaseException) -> None:
        """Say what a call came to. Nobody would hear of an error that can't be sent, or be read at the other end."""
        portable = _portable(error)
        try:
            pickle.loads(pickle.dumps(portable))
        except BaseException as another:  # noqa: BLE001 - whatever foreign parts of it do
            _log.error("an error can't be sent", exc_info=another)
            portable = EngineError(error_text(error))
        self._send(messages.Failure(number, portable))

    def _deliver(self, told: Sequence[tuple[int, Delta]]) -> None:
        self._send(messages.StepDeltas([(number, messages.pack_delta(delta)) for number, delta in told]))

    def _ended(self) -> None:
        os._exit(0 if self._closing else 1)  # of no more use

    def _send(self, message: object) -> None:
        with suppress(ConnectionError):  # the parent is gone, which the main thread hears too
            self._wire.send(message)


class _ToParent(logging.Handler):
    """Log records become messages. Formatted first: what they refer to may not be picklable."""

    def __init__(self, wire: messages.Wire) -> None:
        super().__init__()
        self._wire = wire

    def emit(self, record: logging.LogRecord) -> None:
        try:
            record = copy.copy(record)
            record.msg, record.args = record.getMessage(), None
            if record.exc_info:
                record.exc_text = logging.Formatter().formatException(record.exc_info)
                record.exc_info = None
            self._wire.send(messages.LogMessage(record))
        except ConnectionError:
            pass
        except Exception:  # noqa: BLE001 - what is said badly, or can't be sent, is no fault of who was at work
            self.handleError(record)


def _tokenize(tokenizer: Tokenizer, text: str) -> tuple[int, ...]:
    return tuple(tokenizer.encode(text))


def _engine_loaded(engine: Engine) -> messages.EngineLoaded:
    tokenizer = engine.tokenizer
    control = {text: i for i, text in enumerate(tokenizer.tokens) if tokenizer.is_control(i)}
    try:
        template = engine.chat_template
    except ChatTemplateError:
        template = None
    return messages.EngineLoaded(engine.info, template, tokenizer.token_bytes, tokenizer.end_token_ids, control)


def _portable(error: BaseException) -> Exception:
    """The error as it can cross: our own and Python's as they are, a library's by its name and words."""
    if isinstance(error, EngineError | ImportError | MemoryError):
        return error
    _log.error("an error that nothing handles", exc_info=error)
    return EngineError(f"the engine failed ({error_text(error)})")


def main() -> NoReturn:
    """Entry: the only argument is the file descriptor of the child's end of the socket."""
    os.dup2(2, 1)  # what a native library prints goes where its complaints go
    faulthandler.enable()
    lean_torch()
    sys.setswitchinterval(_SWITCH_SECONDS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    code = 1
    with socket.socket(fileno=int(sys.argv[1])) as sock:
        try:
            Child(messages.Wire(sock)).run()
            code = 0
        finally:
            if code:
                traceback.print_exc()
            sys.stderr.flush()
            os._exit(code)  # at once: threads may be in the middle of a step, and nobody waits for it


if __name__ == "__main__":
    main()
