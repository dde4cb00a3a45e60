"""An engine on the fake executor whose steps take a while, for a child process: its grammars are real."""

from __future__ import annotations

import os
import time

from tests.engine.fake_executor import FakeExecutor, FakeStep
from tests.engine.fakes import INFO, tiny_tokenizer
from tests.engine.tiny_model import CHAT_TEMPLATE

from portico_engine import Engine
from portico_engine.loading.options import LoadProgress
from portico_engine.plan import StepPlan

GAPS = "PORTICO_TEST_GAPS"  # names a file that gets a line a step: seconds since the last, of the clock and of the thread


class PacedExecutor(FakeExecutor):
    """A step takes five milliseconds, as a small model's does. It notes how long after the last one each step began."""

    last: tuple[float, float] | None = None

    def submit(self, plan: StepPlan) -> FakeStep:
        now = time.perf_counter(), time.thread_time()
        if self.last is not None:
            with open(os.environ[GAPS], "a") as file:
                file.write(f"{now[0] - self.last[0]} {now[1] - self.last[1]}\n")
        self.last = now
        time.sleep(0.005)
        return super().submit(plan)


def load_paced(progress: LoadProgress) -> Engine:
    executor = PacedExecutor(blocks=4096, vocab_size=len(tiny_tokenizer().tokens), context_length=8192)
    return Engine(executor, tiny_tokenizer(), INFO, chat_template=CHAT_TEMPLATE, check=False)
