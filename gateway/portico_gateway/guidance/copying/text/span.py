"""Span: characters of a text that may be copied into a call, and what they look like."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from portico_gateway.guidance.copying.text.number_words import Number


class SpanKind(Enum):
    """What a span looks like."""

    QUOTED = "quoted"
    LITERAL = "literal"  # JSON: [1, 2], {"a": 1}
    URL = "url"
    EMAIL = "email"
    PATH = "path"
    DATE = "date"
    TIME = "time"
    ZONE = "zone"  # Asia/Tokyo, UTC+2
    VERSION = "version"
    FORMULA = "formula"
    IDENTIFIER = "identifier"
    NUMBER = "number"
    NAME = "name"
    PHRASE = "phrase"
    CLAUSE = "clause"

    __hash__ = object.__hash__  # members are one each; the hash of their names is worked out in Python, for every look-up


@dataclass(frozen=True, slots=True)
class Span:
    """Characters [start, end) of a text; `text` is what they say without marks around."""

    text: str
    start: int
    end: int
    kind: SpanKind
    numbers: tuple[Number, ...] = ()  # what it may stand for, the likeliest first
    percent: bool = False
    literal: Any = field(default=None, compare=False)  # the JSON value of a LITERAL
