"""An engine on the fake executor whose steps take a while, for a child process: its grammars are real."""

from __future__ import annotations

import time

from tests.engine.fake_executor import FakeExecutor, FakeStep
from tests.engine.fakes import INFO, tiny_tokenizer
from tests.engine.tiny_model import CHAT_TEMPLATE

from portico_engine import Engine
from portico_engine.loading.options import LoadProgress
from portico_engine.plan import StepPlan


class PacedExecutor(FakeExecutor):
    """A step takes five milliseconds, as a small model's does."""

    def submit(self, plan: StepPlan) -> FakeStep:
        time.sleep(0.005)
        return super().submit(plan)


def load_paced(progress: LoadProgress) -> Engine:
    executor = PacedExecutor(blocks=4096, vocab_size=len(tiny_tokenizer().tokens), context_length=8192)
    return Engine(executor, tiny_tokenizer(), INFO, chat_template=CHAT_TEMPLATE, check=False)
