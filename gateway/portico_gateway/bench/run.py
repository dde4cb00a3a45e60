"""Every executor that can be used here, measured one after the other with one model.

Each runs in a process of its own, as `portico serve` has it: so none has another's memory or threads, and one that crashes
costs its own figures alone. It owns the order and what is said of those that can't be measured.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from portico_engine.errors import EngineError
from portico_gateway.bench.measurements import Report, measure
from portico_gateway.bench.workload import Workload
from portico_gateway.errors import GatewayError
from portico_gateway.model.bench_record import BenchRecord
from portico_gateway.model.machine import describe_machine, library_versions

if TYPE_CHECKING:
    from portico_engine import EngineClient

Open: TypeAlias = "Callable[[str], Awaitable[EngineClient]]"  # an engine by its executor's name; raises EngineError


@dataclass(slots=True)
class BenchRun:
    """What came of it. `problems`: executors without figures, and why."""

    figures: dict[str, dict[str, float]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    fallbacks: dict[str, Mapping[str, str]] = field(default_factory=dict)  # by executor, see `ModelInfo.fallbacks`

    def record(self, model: str, *, quick: bool) -> BenchRecord:
        """As it is kept; `model` is its digest."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return BenchRecord(describe_machine(), model, library_versions(), now, quick, self.figures)


async def run_bench(executors: Sequence[str], open_engine: Open, workload: Workload, report: Report) -> BenchRun:
    """Measure these executors. What fails is told of in the run and stops none of the others."""
    run = BenchRun()
    for name in executors:
        report(f"{name}: loading")
        try:
            engine = await open_engine(name)
            async with aclosing(engine):
                run.fallbacks[name] = engine.info.fallbacks
                run.figures[name] = await measure(engine, workload, partial(_of_executor, report, name))
        except (EngineError, GatewayError, ImportError, MemoryError) as error:
            run.problems[name] = str(error) or type(error).__name__
    return run


def _of_executor(report: Report, name: str, what: str) -> None:
    report(f"{name}: {what}")


def process_opener(path: Path, options: Mapping[str, Any]) -> Open:
    """Engines of the model at `path` with these `load_engine`'s options, each in a process."""
    from portico_engine import EngineProcess, engine_loader

    async def open_engine(executor: str) -> EngineClient:
        return await EngineProcess.open(engine_loader(path, **{**options, "executor": executor}))

    return open_engine
