"""What the words of a parameter's name and description say of its values: their shape, their units, whether they are names.

It knows English words, and no parameter's schema nor any question.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from portico_gateway.guidance.copying.text.span import SpanKind
from portico_gateway.guidance.stemming import stems_of

ROLES: Mapping[SpanKind, frozenset[str]] = {  # words of a name that ask for a shape
    SpanKind.URL: frozenset("url uri link website webpage endpoint href".split()),
    SpanKind.EMAIL: frozenset("email mail e-mail".split()),
    SpanKind.PATH: frozenset("path paths file filename folder directory dir filepath".split()),
    SpanKind.DATE: frozenset("date dates birthday dob deadline datetime day timestamp".split()),
    SpanKind.ZONE: frozenset("timezone zone tz".split()),
    SpanKind.TIME: frozenset("time hour".split()),
    SpanKind.VERSION: frozenset(["version"]),
    SpanKind.FORMULA: frozenset("expression formula equation polynomial".split()),
    SpanKind.IDENTIFIER: frozenset("id ids identifier uuid serial key token sku revision sha ref".split()),
}


def _stems(words: str) -> frozenset[str]:
    return frozenset(stem for word in words.split() for stem in stems_of(word))


CUES: Mapping[str, frozenset[str]] = {  # by preposition, stems of the names that it goes with
    cue: _stems(words)
    for cue, words in {
        "from": "from source origin start departure begin old sender initial base",
        "to": "to destination target end arrival new recipient receiver goal final",
        "in": "location city country place region state area language year currency unit format genre",
        "at": "location place time venue rate price store restaurant",
        "near": "location city place",
        "on": "date day topic platform",
        "by": "author artist creator director writer by factor",
        "for": "name duration query target item product purpose",
        "with": "with value title content",
        "between": "start first lower minimum",
        "until": "end",
        "since": "start since",
        "under": "max maximum",
        "below": "max maximum",
        "within": "max maximum radius",
        "most": "max maximum",
        "above": "min minimum",
        "over": "min minimum",
        "least": "min minimum",
    }.items()
}
UNITS: Mapping[str, frozenset[str]] = {  # by what stands at a number, stems of what it may measure
    unit: _stems(f"{unit} {words}")
    for units, words in {
        "kg": "kilogram weight mass",
        "g": "gram weight",
        "lb lbs": "pound weight",
        "mm": "millimeter",
        "cm": "centimeter height",
        "m": "meter height",
        "km": "kilometer distance",
        "mi miles": "mile distance",
        "ft feet": "foot feet",
        "kmh km/h mph": "speed velocity",
        "ms": "millisecond",
        "s sec seconds": "second time duration",
        "min mins minutes": "minute time duration",
        "h hr hrs hours": "hour time duration",
        "days day": "day time period duration",
        "months month": "month time period",
        "years year": "year time period term duration",
        "%": "percent rate interest",
        "$": "dollar usd price amount cost budget",
        "€": "euro price amount cost",
        "£": "pound price amount cost",
        "degrees": "degree angle temperature",
        "people": "people guest person",
        "times": "times count number",
    }.items()
    for unit in units.split()
}
PROPER = _stems(  # whose values are names, with capitals
    "location city country place state region address destination origin venue town county airport author artist actor actress "
    "director player team company brand person organization manufacturer museum university cast star name"
)
LARGER_PLACES = _stems("state country region county province")
FOLDERS = _stems("repository repo directory dir folder project root workspace")  # whose path is no file's
REFERENCES = _stems("branch tag commit revision ref")  # "the branch feature/export" is no path
HOLDERS = _stems("repository folder directory project file table")  # "the folder work"


@lru_cache(maxsize=4096)
def asked_shape(name: str, description: str) -> SpanKind | None:
    """The shape that a parameter's words ask for, its name's (in words) before its description's."""
    for word in reversed(name.split()):
        for kind, names in ROLES.items():
            if word in names:
                return kind
    if re.search(r"YYYY|ISO[ -]?8601|\d{4}-\d\d-\d\d", description, re.IGNORECASE):
        return SpanKind.DATE
    if re.search(r"\b(?:commit|git) (?:sha|hash)\b|\bSHA(?:-?1)?\b", description):
        return SpanKind.IDENTIFIER
    if re.search(r"\be-?mail address", description, re.IGNORECASE):
        return SpanKind.EMAIL
    return SpanKind.URL if re.search(r"\bURL\b", description) else None
