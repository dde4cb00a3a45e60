"""How `portico top` shows a reading at a terminal. It reads nothing and keeps nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from portico_gateway.cli.top_snapshot import Snapshot
from portico_gateway.safe_output.inert import inert
from portico_gateway.safe_output.redaction import redacted

_BAR = 16  # characters


def top_view(snapshot: Snapshot, url: str) -> RenderableType:
    """One screen."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for title, value in _lines(snapshot):
        table.add_row(Text(inert(title)), Text(inert(value)))
    head = f"{snapshot.model or 'no model'} at {redacted(url)}: {snapshot.status}"
    return Group(Text(inert(head), style="bold"), table)


def _lines(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    if snapshot.executor:
        yield "executor", snapshot.executor
    yield "requests", _counts(snapshot.requests) or "the engine is not there"
    speed = "-" if snapshot.tokens_per_second is None else f"{snapshot.tokens_per_second:.1f} tokens/s"
    forced = "" if snapshot.forced_share is None else f", {snapshot.forced_share:.0%} of them forced"
    yield "speed", speed + forced
    total = sum(snapshot.blocks.values())
    used = snapshot.blocks.get("held", 0.0) / total if total else 0.0
    yield "KV blocks", f"{_counts(snapshot.blocks)}  {_bar(used)} held"
    yield "prefix hits", "-" if snapshot.hit_rate is None else f"{snapshot.hit_rate:.0%} of prompts' tokens"
    yield "preempted", f"{snapshot.preemptions:.0f}"
    yield "step", _step(snapshot)
    yield "memory", snapshot.memory or "-"
    for kind, what in snapshot.fallbacks.items():
        yield f"fallback {kind}", what or "see portico doctor"


def _step(snapshot: Snapshot) -> str:
    whole = sum(snapshot.step_ms.values())
    rate = "" if snapshot.steps_per_second is None else f", {snapshot.steps_per_second:.1f} a second"
    parts = ", ".join(f"{part} {value:.2f}" for part, value in snapshot.step_ms.items())
    return f"{whole:.2f} ms{rate}: {parts}" if parts else "-"


def _counts(found: Mapping[str, float]) -> str:
    return ", ".join(f"{value:.0f} {state}" for state, value in found.items())


def _bar(share: float) -> str:
    full = round(share * _BAR)
    return "█" * full + "░" * (_BAR - full)
