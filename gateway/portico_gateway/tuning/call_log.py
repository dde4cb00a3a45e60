"""The audit log's calls as examples: what was asked, what was called, and what a person made of it.

It owns what counts as kept, refused and put right, and what is passed over. It knows no rows and no tools.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from portico_gateway.errors import ConfigError, GatewayError
from portico_gateway.policy.audit_database import open_read_only

Fate = Literal["kept", "refused"]
_BAD = "bad"  # what feedback says of a call
_REFUSED = ("ConsentRefused", "ConsentRequired")  # a person said no, or was asked and let it be


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """A call for a question, and whether a person kept or refused it."""

    id: int
    caller: str
    question: str
    tool: str
    arguments: dict[str, Any]
    fate: Fate


@dataclass(frozen=True, slots=True)
class CorrectedCall:
    """A call that was refused, and the one of the same tool that was made for the same question instead."""

    refused: LoggedCall
    kept: LoggedCall


class NoConsent(GatewayError):
    """The log may not be trained on: nobody said so."""


def refuse_without_consent(use_log: bool) -> None:
    """Raises NoConsent, which says how consent is given."""
    if not use_log:
        raise NoConsent(
            "what you asked is not trained on unless you say so: set use_log = true under [tune] in portico.toml; from then on "
            "the audit log keeps questions and arguments with their calls"
        )


def read_calls(log: Path) -> tuple[list[LoggedCall], Counter[str]]:
    """The calls, oldest first, and how many others are passed over, and why. Raises ConfigError for an unreadable log."""
    if not log.exists():
        raise ConfigError("there is no such log yet: ask something first (portico ask)", path=log)
    try:
        with open_read_only(log) as connection:
            columns = {row["name"] for row in connection.execute("pragma table_info(calls)")}
            later = ", ".join(name if name in columns else f"null as {name}" for name in ("call", "question", "asked"))
            wanted = f"id, caller, tool, arguments, outcome, kind, {later}"
            rows = [dict(row) for row in connection.execute(f"select {wanted} from calls order by id")]
    except sqlite3.Error as error:
        raise ConfigError(f"the audit log can't be read: {error}", path=log) from None
    feedback = {row["call"]: row["outcome"] for row in rows if row["kind"] == "feedback"}  # the last word counts
    passed_over: Counter[str] = Counter()
    return list(_calls(rows, feedback, passed_over)), passed_over


def _calls(rows: Sequence[dict[str, Any]], feedback: dict[str, str], passed_over: Counter[str]) -> Iterator[LoggedCall]:
    for row in rows:
        if row["kind"] != "tool":
            continue
        if not row["question"]:
            passed_over["without its question"] += 1
        elif not row["arguments"]:
            passed_over["without its arguments"] += 1
        elif row["outcome"] in _REFUSED or feedback.get(row["call"]) == _BAD:
            yield _call(row, "refused")
        elif row["outcome"] == "ok":
            if row["asked"]:
                yield replace(_call(row, "refused"), arguments=json.loads(row["asked"]))
            yield _call(row, "kept")
        else:
            passed_over["that failed"] += 1


def _call(row: dict[str, Any], fate: Fate) -> LoggedCall:
    return LoggedCall(row["id"], row["caller"], row["question"], row["tool"], json.loads(row["arguments"]), fate)


def corrections(calls: Sequence[LoggedCall]) -> list[CorrectedCall]:
    """Each refused call that was followed by a kept one of the same tool, for the same question, with other arguments; one that
    a person edited before it ran is such a pair."""
    found = []
    for at, call in enumerate(calls):
        if call.fate != "refused":
            continue
        better = next(
            (
                later
                for later in calls[at + 1 :]
                if later.fate == "kept"
                and (later.caller, later.question, later.tool) == (call.caller, call.question, call.tool)
                and later.arguments != call.arguments
            ),
            None,
        )
        if better is not None:
            found.append(CorrectedCall(call, better))
    return found
