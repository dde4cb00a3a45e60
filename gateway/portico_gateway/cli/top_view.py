"""How `portico top` shows a reading at a terminal. It reads nothing and keeps nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from portico_gateway.cli.top_snapshot import ModelSnapshot, Snapshot
from portico_gateway.safe_output.inert import inert
from portico_gateway.safe_output.redaction import redacted

_BAR = 16  # characters


def top_view(snapshot: Snapshot, url: str) -> RenderableType:
    """One screen: the default model at length, and the others so far as they are loaded."""
    default, *others = snapshot.models
    shown: list[RenderableType] = [
        _head(f"{default.name or 'no model'} at {redacted(url)}: {snapshot.status}"),
        _table(default),
    ]
    for model in others:
        shown.append(_head(f"{model.name}: {model.state or 'unknown'}"))
        if model.executor is not None:
            shown.append(_table(model))
    return Group(*shown)


def _head(text: str) -> Text:
    return Text(inert(text), style="bold")


def _table(model: ModelSnapshot) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for title, value in _lines(model):
        table.add_row(Text(inert(title)), Text(inert(value)))
    return table


def _lines(model: ModelSnapshot) -> Iterator[tuple[str, str]]:
    if model.executor:
        yield "executor", model.executor
    yield "requests", _counts(model.requests) or "the engine is not there"
    speed = "-" if model.tokens_per_second is None else f"{model.tokens_per_second:.1f} tokens/s"
    forced = "" if model.forced_share is None else f", {model.forced_share:.0%} of them forced"
    yield "speed", speed + forced
    sums = {state: sum(owners.values()) for state, owners in model.blocks.items()}
    total = sum(sums.values())
    yield "KV blocks", f"{_counts(sums)}  {_bar(sums.get('held', 0.0) / total if total else 0.0)} held"
    for state, owners in model.blocks.items():
        if sums[state] and set(owners) != {""}:
            yield f"  {state}", _counts({f"of the {owner}": count for owner, count in owners.items()})
    yield "prefix hits", "-" if model.hit_rate is None else f"{model.hit_rate:.0%} of prompts' tokens"
    yield "preempted", f"{model.preemptions:.0f}"
    yield "step", _step(model)
    yield "memory", model.memory or "-"
    for kind, what in model.fallbacks.items():
        yield f"fallback {kind}", what or "see portico doctor"


def _step(model: ModelSnapshot) -> str:
    whole = sum(model.step_ms.values())
    rate = "" if model.steps_per_second is None else f", {model.steps_per_second:.1f} a second"
    parts = ", ".join(f"{part} {value:.2f}" for part, value in model.step_ms.items())
    return f"{whole:.2f} ms{rate}: {parts}" if parts else "-"


def _counts(found: Mapping[str, float]) -> str:
    return ", ".join(f"{value:.0f} {state}" for state, value in found.items())


def _bar(share: float) -> str:
    full = round(share * _BAR)
    return "█" * full + "░" * (_BAR - full)
