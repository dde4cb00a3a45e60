"""Seconds of steps by part."""

from __future__ import annotations

from tests.engine.fakes import fake_engine, run

from portico_engine import Request
from portico_engine.request import STEP_PARTS
from portico_engine.step_timing import StepTiming


def test_each_lap_adds_what_went_by_to_its_part_and_nothing_between_steps_counts() -> None:
    times = iter([0.0, 10.0, 11.0, 13.0, 50.0, 54.0])
    timing = StepTiming(lambda: next(times))
    timing.start()
    timing.lap("schedule")
    timing.lap("launch")
    timing.start()
    timing.lap("launch")
    stats = timing.stats()
    assert (stats["step_seconds_schedule"], stats["step_seconds_launch"], stats["step_seconds_wait"]) == (1.0, 6.0, 0.0)
    assert stats["step_seconds"] == timing.total == 7.0


def test_an_engines_steps_are_counted_by_every_part() -> None:
    engine = fake_engine()
    run(engine, [Request("a", (5, 6, 7), max_tokens=4)])
    stats = engine.stats()
    parts = [stats[f"step_seconds_{part}"] for part in STEP_PARTS]
    assert all(seconds > 0 for seconds in parts)
    assert abs(sum(parts) - stats["step_seconds"]) < 1e-9


def test_an_idle_engine_counts_nothing() -> None:
    engine = fake_engine()
    engine.step()
    assert engine.stats()["step_seconds"] == 0
