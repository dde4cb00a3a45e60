"""How a person watches a question being answered: calls and results as they come, the answer as it streams, sources, figures.

Results and answers go to stdout; progress goes to stderr. Colours come from rich, which honours NO_COLOR and pipes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.text import Text

from portico_gateway.agent.events import (
    AnswerText,
    ConversationTrimmed,
    Event,
    QuestionUnderstood,
    RunFinished,
    RunMetrics,
    ThoughtText,
    ToolCallFinished,
    ToolCallStarted,
)
from portico_gateway.agent.judgement import Judgement, Verdict
from portico_gateway.safe_output.inert import inert, inert_json, inert_line


class ProgressLine:
    """What goes on before the answer, as one line on stderr that is replaced; plain lines where stderr is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._parts: dict[str, str] = {}

    def __enter__(self) -> ProgressLine:
        if self._console.is_terminal:
            self._status = self._console.status("starting")
            self._status.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the line away: what follows is the answer."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def update(self, what: str, state: str) -> None:
        """`what` (the model, a server) is now in `state`."""
        if self._parts.get(what) == state:
            return
        self._parts[what] = state
        if self._status is not None:
            self._status.update(_shown(" · ".join(f"{k}: {v}" for k, v in self._parts.items())))
        elif not state.endswith("%"):
            self._console.print(inert(f"{what}: {state}"), style="dim", highlight=False, markup=False)


class TerminalView:
    """Prints events as a person wants to read them."""

    def __init__(self, console: Console, *, started: float | None = None) -> None:
        """`started` is when the command began, in seconds since the epoch: the figures then tell the time since."""
        self._console = console
        self._writing = ""  # what kind of text the cursor stands behind
        self._started = started

    def handle(self, event: Event) -> None:
        if isinstance(event, ToolCallStarted):
            self._end_of_text()
            self._console.print(
                f"[cyan]→[/] [bold]{_shown(event.tool)}[/]({_shown(_arguments(event.arguments))})", highlight=False
            )
        elif isinstance(event, ToolCallFinished):
            self._result(event)
        elif isinstance(event, AnswerText):
            self._text("answer", event.text, "")
        elif isinstance(event, ThoughtText):
            self._text("thought", event.text, "dim")
        elif isinstance(event, QuestionUnderstood):
            self._console.print(f"[dim]understood as:[/] {_shown(event.understood)}", highlight=False)
        elif isinstance(event, ConversationTrimmed):
            self._end_of_text()
            self._console.print(f"[yellow]{trimmed_line(event)}[/]", highlight=False)
        else:
            self._finish(event)

    def _text(self, kind: str, text: str, style: str) -> None:
        if self._writing != kind:
            self._end_of_text()
            self._console.print()
            self._writing = kind
        self._console.print(Text(inert(text), style=style), end="", soft_wrap=True)

    def _end_of_text(self) -> None:
        if self._writing:
            self._console.print()
        self._writing = ""

    def _result(self, event: ToolCallFinished) -> None:
        took = f"[dim]{event.seconds * 1000:.0f} ms[/]"
        if event.error is not None:
            self._console.print(
                f"  [red]{'denied' if event.denied else 'failed'}[/] {took}: {_shown(event.error)}", highlight=False
            )
        elif not event.result.found:
            self._console.print(f"  nothing found {took}", highlight=False)
        else:
            self._console.print(Text("\n".join("  " + line for line in inert(event.result.text).splitlines())), soft_wrap=True)
            self._console.print(f"  {took}", highlight=False)

    def _finish(self, event: RunFinished) -> None:
        self._end_of_text()
        self._verdict(event)
        if event.limit is not None:
            self._console.print(f"[yellow]Ended by a limit:[/] {event.limit}", highlight=False)
        if event.citations:
            self._console.print("\n[bold]Sources[/]")
            for source in event.citations:
                self._console.print(f"  {_shown(source.label)} [dim]({_shown(source.server)})[/]", highlight=False)
        self._console.print(
            f"\n[dim]{figures_line(event.metrics, wall_seconds(event.metrics, self._started))}[/]", highlight=False
        )

    def _verdict(self, event: RunFinished) -> None:
        """Where there is no answer: that, why, and what came nearest; which words played no part; what was searched in part."""
        judgement = event.judgement
        if judgement.verdict is Verdict.NOT_FOUND:
            searched = ", ".join(f"{c.tool}({_arguments(c.arguments)})" for c in event.tool_calls)
            self._console.print(f"\n[yellow]Not found.[/] Searched: {_shown(searched) or 'nothing'}", highlight=False)
            for reason in judgement.reasons:
                self._console.print(f"  {_shown(inert_line(reason))}", highlight=False)
        elif judgement.verdict is Verdict.DENIED:
            self._console.print("\n[yellow]Denied.[/] The question needs a call that was refused.", highlight=False)
        elif judgement.verdict is Verdict.NO_ANSWER:
            why = "; ".join(judgement.reasons)
            said = (f": {why}" if why else "") + ("; these places are the nearest:" if judgement.nearest else ".")
            self._console.print(f"\n[yellow]No answer[/]{_shown(inert_line(said))}", highlight=False)
            for place in judgement.nearest:
                label = "" if place.text.startswith(place.label) else place.label
                self._console.print(f"  {_shown(inert_line(': '.join(filter(None, (label, place.text)))))}", highlight=False)
        if judgement.coverage.unused and not judgement.answered:
            words = ", ".join(judgement.coverage.unused)
            self._console.print(f"[yellow]Words not used:[/] {_shown(inert_line(words))}", highlight=False)
        for note in judgement.incomplete:
            self._console.print(f"[yellow]Searched in part:[/] {_shown(inert_line(note))}", highlight=False)


def trimmed_line(event: ConversationTrimmed) -> str:
    """`context full, 7900 to 3100 tokens: left out 3 results of tools`"""
    counts = {"results of tools": event.results, "earlier turns": event.past_turns, "ends of new results": event.cut}
    gone = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"context full, {event.tokens_before} to {event.tokens_after} tokens: left out {gone}"


def wall_seconds(metrics: RunMetrics, started: float | None) -> float:
    """What the person waited: since the command began; since the question where that isn't known."""
    return metrics.total_seconds if started is None else time.time() - started


def figures_line(metrics: RunMetrics, wall: float | None = None) -> str:
    """`first token 0.42 s · 63 tokens/s · 58% forced · tools 0.01 s · 2.1 s in all`"""
    return (
        f"first token {metrics.time_to_first_token:.2f} s · {metrics.tokens_per_second:.0f} tokens/s · "
        f"{metrics.forced_share:.0%} forced · tools {metrics.tool_seconds:.2f} s · "
        f"{metrics.total_seconds if wall is None else wall:.1f} s in all"
    )


def as_json_object(event: RunFinished, failures: Mapping[str, str], model: str, *, started: float | None = None) -> str:
    """The one object that `--json` prints."""
    calls: list[dict[str, Any]] = [
        {
            "tool": c.tool, "arguments": c.arguments, "found": c.result.found, "text": c.result.text,
            "truncated": c.result.truncated, "seconds": round(c.seconds, 4), "error": c.error, "denied": c.denied,
        }
        for c in event.tool_calls
    ]  # fmt: skip
    whole = {
        "question": event.question,
        "asked": event.asked or event.question,
        "answer": event.answer,
        "found": event.found,
        **_judgement(event.judgement),
        "limit": event.limit,
        "model": model,
        "calls": calls,
        "sources": [asdict(s) for s in event.citations],
        "figures": {
            **{k: round(v, 4) for k, v in asdict(event.metrics).items()},
            "wall_seconds": round(wall_seconds(event.metrics, started), 4),
        },
        "failed_servers": dict(failures),
    }
    return inert_json(whole)


def _judgement(judgement: Judgement) -> dict[str, Any]:
    """What `--json` says of how the question ended."""
    confidence = judgement.confidence
    return {
        "verdict": judgement.verdict.value,
        "confidence": None if confidence is None else round(confidence, 4),
        "coverage": asdict(judgement.coverage),
        "reasons": list(judgement.reasons),
        "nearest": [asdict(place) for place in judgement.nearest],
        "incomplete": list(judgement.incomplete),
        "draft": judgement.draft,
        "features": {name: round(value, 4) for name, value in judgement.features.items()},
    }


def _shown(text: str) -> str:
    """Text from outside in a line with markup."""
    return escape(inert(text))


def _arguments(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}={json.dumps(v, ensure_ascii=False)}" for k, v in arguments.items())
