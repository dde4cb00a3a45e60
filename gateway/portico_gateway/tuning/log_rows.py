"""Logged calls as rows to train on: kept ones for supervised training, corrected ones as pairs, all of them as rated answers.

It owns what stands around a call: some of the user's other tools beside its own, in a prompt as `serve` writes one; and that
nothing personal, no secret and no call of a tool that is there no more is among it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from portico_engine import Tool
from portico_engine.tune.data.example import Call
from portico_engine.tune.data.row_file import PairRow, RatedRow
from portico_engine.tune.data.rows import Neighbours, Row, call_text
from portico_gateway.tuning.call_log import CorrectedCall, LoggedCall, corrections
from portico_gateway.tuning.masking import Masking, holds_secret
from portico_gateway.tuning.prompts import serve_system

ORIGIN, LICENCE = "your audit log", "yours"
_BESIDE = (0, 1, 2, 3, 5, 8)  # other tools in a prompt


@dataclass(slots=True)
class LogRows:
    """Rows of each shape; `left_out`: calls that make none, by reason."""

    supervised: list[Row] = field(default_factory=list)
    pairs: list[PairRow] = field(default_factory=list)
    rated: list[RatedRow] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    masking: Masking = field(default_factory=Masking)


def log_rows(calls: Sequence[LoggedCall], tools: Sequence[Tool], *, seed: int) -> LogRows:
    """Of calls whose tools are still there."""
    made = LogRows()
    rng = random.Random(seed)
    by_name = {tool.name: tool for tool in tools}
    neighbours = Neighbours(list(tools))
    usable = [_masked(call, made.masking) for call in calls if _is_usable(call, by_name, made.left_out)]
    prompts: dict[str, tuple[list[dict[str, str]], tuple[Tool, ...]]] = {}

    def prompt(question: str) -> tuple[list[dict[str, str]], tuple[Tool, ...]]:
        """One a question, so that its answers stand side by side."""
        if question not in prompts:
            own = [by_name[name] for name in dict.fromkeys(call.tool for call in usable if call.question == question)]
            offered = own + neighbours.beside(own, rng.choice(_BESIDE), rng, kin=True)
            rng.shuffle(offered)
            system = {"role": "system", "content": serve_system(offered)}
            prompts[question] = [system, {"role": "user", "content": question}], tuple(offered)
        return prompts[question]

    seen: set[str] = set()
    for call in usable:
        text = _text(call, by_name)
        messages, offered = prompt(call.question)
        if (key := f"{call.fate} {call.question} {text}") in seen:
            made.left_out["that repeat another"] += 1
            continue
        seen.add(key)
        made.rated.append(RatedRow(messages, text, call.fate == "kept", ORIGIN, LICENCE, offered))
        if call.fate == "kept":
            made.supervised.append(Row(messages, text, ORIGIN, LICENCE, tools=offered))
    made.pairs = [_pair(correction, by_name, *prompt(correction.kept.question)) for correction in corrections(usable)]
    return made


def _is_usable(call: LoggedCall, tools: dict[str, Tool], left_out: Counter[str]) -> bool:
    why = (
        "of tools that are there no more" if call.tool not in tools
        else "that hold a secret" if holds_secret(call.question) or holds_secret(call.arguments)
        else None
    )  # fmt: skip
    if why is not None:
        left_out[why] += 1
    return why is None


def _masked(call: LoggedCall, masking: Masking) -> LoggedCall:
    arguments: dict[str, Any] = masking.value(call.arguments)
    return replace(call, question=masking.text(call.question), arguments=arguments)


def _pair(
    correction: CorrectedCall, tools: dict[str, Tool], messages: list[dict[str, str]], offered: tuple[Tool, ...]
) -> PairRow:
    return PairRow(messages, _text(correction.kept, tools), _text(correction.refused, tools), ORIGIN, LICENCE, offered)


def _text(call: LoggedCall, tools: dict[str, Tool]) -> str:
    return call_text(Call(tools[call.tool], call.arguments))
