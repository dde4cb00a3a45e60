"""How a tool's own server reads a question: a call of the tool, and which of the question's words that call accounts for.

A server that knows its data better than a schema can say offers it to the gateway that started it (`_meta`, never to hosts). It
is a proposal: the call is checked against what the tool takes, and made under policy, as any other.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QuestionReading:
    """One call that answers the question as its server understands it."""

    arguments: Mapping[str, Any]
    schema: Mapping[str, Any]  # the tool's input schema, narrowed to what the question leaves open
    used: tuple[str, ...]  # the question's words that the call accounts for, as they stand
    unused: tuple[str, ...]  # those that matter, and that it does nothing with
    empty: bool = False  # where the call finds nothing, that there is none is the answer

    @property
    def share(self) -> float:
        """Of the words, how many are used: 0 to 1."""
        return len(self.used) / max(1, len(self.used) + len(self.unused))


def question_reading(text: str) -> QuestionReading | None:
    """A server's JSON as a reading; None where it has none, or says something else."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, Mapping) or not isinstance(data.get("arguments"), Mapping):
        return None
    schema = data.get("schema")
    if not isinstance(schema, Mapping):
        log.warning("a server's reading of a question has no schema")
        return None
    used, unused = (tuple(map(str, words)) if isinstance(words := data.get(key), list) else () for key in ("used", "unused"))
    return QuestionReading(data["arguments"], schema, used, unused, data.get("empty") is True)
