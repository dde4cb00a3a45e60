"""An engine whose model says the same word again and again, so many steps a second: scheduler, blocks and process are the real
ones, and no time goes into a model. It can be loaded by an engine's process."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.engine.fake_executor import FakeExecutor, FakeStep
from tests.engine.fakes import INFO, fake_engine, tiny_tokenizer

from portico_engine import Engine, LoadProgress
from portico_engine.grammar.protocol import Bitmask
from portico_engine.plan import Bias, StepPlan, StepResult

CONTEXT = 4096
ROWS = 128
WORD = " word"


@dataclass
class PacedStep(FakeStep):
    """Ends at the executor's next tick."""

    def finish(self, bitmask: Bitmask | None = None, bias: Bias | None = None) -> StepResult:
        assert isinstance(self.executor, PacedExecutor)
        self.executor.wait()
        return super().finish(bitmask, bias)

    def _sampled(self, bitmask: Bitmask | None, bias: Bias | None) -> StepResult:
        assert isinstance(self.executor, PacedExecutor)
        tokens = tuple((self.executor.token,) * len(row.logits_indices) for row in self.plan.rows)
        logprobs = tuple((-0.1,) * len(each) for each in tokens)
        return StepResult(tokens, logprobs, tuple(((),) * len(each) for each in tokens), ())


@dataclass
class PacedExecutor(FakeExecutor):
    """Says `token`; a step takes `seconds`."""

    token: int = 0
    seconds: float = 0.0
    tick: float = 0.0

    def submit(self, plan: StepPlan) -> PacedStep:
        return PacedStep(self, plan)

    def wait(self) -> None:
        now = time.monotonic()
        self.tick = max(self.tick + self.seconds, now)
        time.sleep(self.tick - now)


def load_paced(seconds: float, progress: LoadProgress) -> Engine:
    """Steps of so many seconds."""
    executor = PacedExecutor(
        blocks=ROWS * CONTEXT // 16,
        rows=ROWS,
        step_tokens=8192,
        vocab_size=INFO.vocab_size,
        context_length=CONTEXT,
        token=tiny_tokenizer().encode(WORD)[0],
        seconds=seconds,
    )
    return fake_engine(executor, check=False)  # which looks at every block after every step
