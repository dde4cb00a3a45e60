"""Constrained calls a second where a device computes for one half of the sequences while the processor sees to the other,
against all in one step.

usage: python benchmarks/half_batches.py [--clients 64] [--calls 300] [--step-ms 25] [--fixed 0.3] [--rounds 3] [--no-write]

The engine in this process over costless_engine.py, twelve tools, no HTTP. A step of all clients' rows takes `--step-ms` of the
device, one after the other, one of fewer rows less: the share `--fixed` of it whatever there is in it, the rest by rows. What a
device's step takes really is for a device to say: this shows what taking turns is worth if it takes so long. The clock is the
thread's own on the processor, put forward where it waits for the device, so that a busy machine counts less.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import tool_call_load
from costless_engine import CostlessExecutor, CostlessStep, load_costless
from guided_calls import tools_of
from portico_engine import Engine, Request, SamplingParams, default_model_path
from portico_engine import half_batches as halves
from portico_engine.grammar import compile_tool_calls
from portico_engine.grammar.protocol import Bitmask
from portico_engine.plan import Bias, StepPlan, StepResult
from portico_engine.step_timing import StepTiming
from report import table, write

PROMPT, QUESTION = 780, 40  # tokens that all prompts begin with, and a prompt's own
WORDS = 40_000
NEVER = sys.maxsize


class Load:
    """Clients that ask one call after the other."""

    def __init__(self, engine: Engine, clients: int, calls: int) -> None:
        self._engine, self._clients, self._calls = engine, clients, calls
        self._grammar = compile_tool_calls(tools_of(tool_call_load.TOOLS))
        self._random = random.Random(1)
        self._shared = self._tokens(PROMPT)
        self._asked = 0

    def run(self) -> dict[str, float]:
        """Calls a second, and steps and milliseconds of this thread's processor a call."""
        device: Any = self._engine._executor
        before, began, spent = self._engine.stats(), device.now, time.thread_time()
        left, live = self._calls, 0
        while left or live:
            while left and live < self._clients:
                self._ask()
                left, live = left - 1, live + 1
            live -= sum(delta.finish_reason is not None for delta in self._engine.step())
        took, spent = device.now - began, time.thread_time() - spent
        after = self._engine.stats()
        steps, ahead = (after[key] - before[key] for key in ("steps", "steps_ahead"))
        return {"calls_per_s": self._calls / took, "cpu_ms": 1000 * spent / self._calls, "steps": steps, "steps_ahead": ahead}

    def _ask(self) -> None:
        self._asked += 1
        sampling = SamplingParams(temperature=0.7, seed=self._asked)
        prompt = (*self._shared, *self._tokens(QUESTION))
        self._engine.submit(
            Request(str(self._asked), prompt, max_tokens=96, sampling=sampling, grammar=self._grammar, whole=True)
        )

    def _tokens(self, count: int) -> tuple[int, ...]:
        return tuple(self._random.randrange(5, WORDS) for _ in range(count))


class Device(CostlessExecutor):
    """A step takes `whole` where it has `rows` rows, of which the share `fixed` whatever it has."""

    whole, fixed, rows = 0.0, 0.0, 1
    waited = 0.0

    @property
    def now(self) -> float:
        """The thread's time on the processor, without what draws tokens, and what it has waited for the device."""
        return time.thread_time() - self.spent + self.waited

    def submit(self, plan: StepPlan) -> DeviceStep:
        seconds = self.whole * (self.fixed + (1 - self.fixed) * len(plan.rows) / self.rows)
        self._free = max(self._free, self.now) + seconds
        return DeviceStep(self, plan, self._free)


class DeviceStep(CostlessStep):
    """Nobody sleeps until it ends: the clock is put forward."""

    def finish(self, bitmask: Bitmask | None = None, bias: Bias | None = None) -> StepResult:
        if self.result is None:
            self.sample(bitmask, bias)
        assert self.result is not None
        assert isinstance(self.executor, Device)
        self.executor.waited += max(0.0, self.until - self.executor.now)
        return self.result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--step-ms", type=float, default=25.0, help="that a step of all rows takes of the device")
    parser.add_argument("--fixed", type=float, default=0.3, help="the share of that which a step of few rows takes too")
    parser.add_argument("--rounds", type=int, default=3, help="in turns; medians count")
    parser.add_argument("--no-write", action="store_true", help="write no results")
    args = parser.parse_args()
    engine = load_costless(Path(default_model_path()), 0.0, None, lambda _stage, _fraction: None)
    engine._timing = StepTiming(time.perf_counter)
    device: Any = engine._executor
    device.__class__ = Device
    load = Load(engine, args.clients, args.calls)
    load.run()
    device.whole, device.fixed, device.rows = args.step_ms / 1000, args.fixed, args.clients
    ways = {"in halves": halves.LEAST, "all in one step": NEVER}
    found: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for _ in range(args.rounds):
        for way, least in ways.items():
            halves.LEAST = least
            found[way].append(load.run())
    medians = {
        way: {key: round(statistics.median(each[key] for each in runs), 2) for key in runs[0]} for way, runs in found.items()
    }
    table(["", *next(iter(medians.values()))], [[way, *each.values()] for way, each in medians.items()])
    if not args.no_write:
        write("half_batches", {**{key: value for key, value in vars(args).items() if key != "no_write"}, "ways": medians})


if __name__ == "__main__":
    main()
