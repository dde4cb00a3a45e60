"""Engines that a child process can load: functions at the top of a module, which pickle by their names."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tests.engine.fake_executor import FakeExecutor, FakeStep
from tests.engine.fakes import INFO, fake_engine, tiny_tokenizer
from tests.engine.tiny_model import CHAT_TEMPLATE

from portico_engine import Engine, EngineError, ModelError
from portico_engine.executors.protocol import Capabilities
from portico_engine.loading.options import LoadProgress
from portico_engine.plan import StepPlan
from portico_engine.request import Pooling


@dataclass
class ActingExecutor(FakeExecutor):
    """Does something in the step numbered `at` (from 1), or in every one."""

    act: Callable[[], None] = lambda: None
    at: int | None = None

    def submit(self, plan: StepPlan) -> FakeStep:
        step = super().submit(plan)
        if self.at in (None, len(self.steps)):
            self.act()
        return step


def crash() -> None:
    ctypes.string_at(0)


def hang() -> None:
    logging.getLogger("test").warning("hanging")
    threading.Event().wait()


def dawdle() -> None:
    time.sleep(0.005)


def load_plain(progress: LoadProgress) -> Engine:
    progress("weights", 0.5)
    return fake_engine()


def load_long(_progress: LoadProgress) -> Engine:
    """Answers of up to 2,000 tokens."""
    return fake_engine(FakeExecutor(vocab_size=INFO.vocab_size, context_length=2000, blocks=400))


def load_slow(_progress: LoadProgress) -> Engine:
    return fake_engine(ActingExecutor(vocab_size=INFO.vocab_size, act=dawdle))


def load_crashing(_progress: LoadProgress) -> Engine:
    return fake_engine(ActingExecutor(vocab_size=INFO.vocab_size, act=crash, at=3))


def load_crashing_once(marker: Path, progress: LoadProgress) -> Engine:
    """The process that makes the file `marker` crashes in its third step, later ones don't."""
    if marker.exists():
        return load_plain(progress)
    marker.touch()
    return load_crashing(progress)


def load_hanging(_progress: LoadProgress) -> Engine:
    return fake_engine(ActingExecutor(vocab_size=INFO.vocab_size, act=hang, at=3))


def load_failing_in_a_step(_progress: LoadProgress) -> Engine:
    return fake_engine(FakeExecutor(vocab_size=INFO.vocab_size, fail_at=2))


def fail() -> None:
    raise RuntimeError("broken for good")


def load_always_failing(_progress: LoadProgress) -> Engine:
    return fake_engine(ActingExecutor(vocab_size=INFO.vocab_size, act=fail))


class Panic(BaseException):
    """As pyo3's PanicException: no Exception."""


def panic() -> None:
    raise Panic("dead")


def load_dying(_progress: LoadProgress) -> Engine:
    engine = fake_engine(ActingExecutor(vocab_size=INFO.vocab_size, act=panic))
    engine.fail_all = lambda _message: panic()  # type: ignore[method-assign]
    return engine


class Talkative(FakeExecutor):
    """Says in each step what no log can carry, and fails at embeddings with what no message can."""

    def submit(self, plan: StepPlan) -> FakeStep:
        log = logging.getLogger("test")
        log.warning("%d tokens", "many")
        log.warning("a lock", extra={"lock": threading.Lock()})
        log.warning("a row: %s", Unsayable())
        return super().submit(plan)

    @property
    def caps(self) -> Capabilities:
        return replace(super().caps, embedding_size=4)

    def embed(self, texts: Sequence[Sequence[int]], pooling: Pooling | None = None) -> npt.NDArray[np.float32]:
        error = EngineError("no embedding")
        match len(texts):
            case 1:
                error.lock = threading.Lock()  # type: ignore[attr-defined]
            case 2:
                error.parts = Explosive()  # type: ignore[attr-defined]
            case 3:
                raise Unsayable
            case 4:
                raise Panic("dead")
        raise error


class Unsayable(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class Explosive:
    """Can be sent, and not be read."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return panic, ()


def load_talkative(_progress: LoadProgress) -> Engine:
    return fake_engine(Talkative(vocab_size=INFO.vocab_size))


def tell_frozen() -> None:
    logging.getLogger("test").warning(
        "%s", "nothing is frozen" if gc.get_freeze_count() < 10_000 else "what was loaded is frozen"
    )


def load_telling_frozen(_progress: LoadProgress) -> Engine:
    return fake_engine(ActingExecutor(vocab_size=INFO.vocab_size, act=tell_frozen, at=1))


def load_without_template(_progress: LoadProgress) -> Engine:
    return Engine(FakeExecutor(vocab_size=INFO.vocab_size), tiny_tokenizer(), INFO)


def load_with_real_grammars(_progress: LoadProgress) -> Engine:
    return Engine(FakeExecutor(vocab_size=INFO.vocab_size), tiny_tokenizer(), INFO, chat_template=CHAT_TEMPLATE)


def load_nothing(_progress: LoadProgress) -> Engine:
    raise ModelError("there is no such model")


def load_without_library(_progress: LoadProgress) -> Engine:
    raise ModuleNotFoundError("No module named 'torch'", name="torch")


def load_wrongly(_progress: LoadProgress) -> Engine:
    raise ZeroDivisionError("a fault of ours")


def load_for_ever(_progress: LoadProgress) -> Engine:
    hang()
    raise AssertionError("not reached")


def load_crash(_progress: LoadProgress) -> Engine:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("not reached")


def load_talking(_progress: LoadProgress) -> Engine:
    print("a native library says hello", flush=True)
    logging.getLogger("portico_engine.kv").warning("the disk is %s", "slow")
    return fake_engine()


def load_with_adapters(_progress: LoadProgress) -> Engine:
    return fake_engine(FakeExecutor(vocab_size=INFO.vocab_size, n_adapters=2))
