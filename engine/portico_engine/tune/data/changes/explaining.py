"""Descriptions for the parameters of our own tools: some say how a value is to be written, and then it is written so.

It owns the ways: a share in percent, a date with the month first, a choice as a number, a list in one text. Questions stay.
"""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from portico_engine.tool import Tool
from portico_engine.tune.data.schema_questions import words_of
from portico_engine.tune.data.spec_file import state
from portico_engine.tune.data.word_lists import COUNTRY_CODES, STATE_CODES, WITH_REGION

_Write = Callable[[Any], Any]


class _Way(NamedTuple):
    """How a parameter is described, and how its values are written then; None: this value can't be."""

    about: str
    write: _Write = lambda value: value


def _date(form: str) -> _Write:
    return lambda value: datetime.date.fromisoformat(value).strftime(form)


def _twelve(value: str) -> str:
    hour, minute = (int(part) for part in value.split(":"))
    return f"{(hour - 1) % 12 + 1}:{minute:02d} {'AM' if hour < 12 else 'PM'}"


def _times(factor: float) -> _Write:
    def write(value: float) -> float:
        made = round(value * factor, 6)
        return int(made) if made == int(made) else made

    return write


_WAYS: dict[str, tuple[_Way, ...]] = {
    "date": (
        _Way("The date, in YYYY-MM-DD format."),
        _Way("Date (YYYY-MM-DD)"),
        _Way("Day in ISO format, e.g. 2024-05-17"),
        _Way("The date in MM/DD/YYYY format", _date("%m/%d/%Y")),
        _Way("Date as DD.MM.YYYY", _date("%d.%m.%Y")),
        _Way("Date in the format DD/MM/YYYY", _date("%d/%m/%Y")),
        _Way("The day, as in 'May 17, 2024'", lambda v: _date("%B ")(v) + f"{int(v[8:])}, {v[:4]}"),
        _Way("Date as YYYYMMDD", _date("%Y%m%d")),
    ),
    "clock": (
        _Way("Time of day in 24-hour format (HH:MM)."),
        _Way("The time, HH:MM"),
        _Way("Time, such as '7:30 PM'.", _twelve),
        _Way("Time in the format HH:MM:SS", lambda value: f"{value}:00"),
        _Way("Time of day in 12-hour format with AM or PM", _twelve),
    ),
    "city": (
        _Way("Name of the city."),
        _Way("The city, e.g. 'Boston'"),
        _Way("The city and state or country, e.g. San Francisco, CA", WITH_REGION.get),
        _Way("Location in the format 'City, State' (US) or 'City, Country'", WITH_REGION.get),
        _Way("The city and country, e.g. Lyon, France", WITH_REGION.get),
    ),
    "rate": (
        _Way("As a decimal, e.g. 0.05 for 5%."),
        _Way("A share between 0 and 1."),
        _Way("In decimal form (8% is 0.08)"),
        _Way("The annual rate, as a decimal fraction."),
        _Way("In percent, e.g. 5 for 5%", _times(100)),
        _Way("Percentage from 0 to 100.", _times(100)),
    ),
    "percent": (
        _Way("In percent."),
        _Way("Percentage, e.g. 5 for 5%"),
        _Way("Percent, between 0 and 100."),
        _Way("As a decimal, e.g. 0.05 for 5%", _times(0.01)),
        _Way("Rate as a fraction of 1 (0.1 is 10%)", _times(0.01)),
        _Way("Expressed as a decimal.", _times(0.01)),
    ),
    "us_state": (
        _Way("Name of the state."),
        _Way("State, as a two-letter code, e.g. 'TX'", STATE_CODES.get),
        _Way("Two-letter abbreviation of the state.", STATE_CODES.get),
    ),
    "country": (
        _Way("The country."),
        _Way("The country's name, e.g. Spain"),
        _Way("ISO 3166 code of the country, two letters", COUNTRY_CODES.get),
    ),
    "person": (_Way("Full name of the person."), _Way("The name, in upper case.", str.upper), _Way("Who it is about.")),
    "address": (_Way("The full address, with street and number."), _Way("Address: street, city and whatever else is known")),
    "expression": (
        _Way("The function, in Python syntax, e.g. 'x**2'"),
        _Way("Expression in x, as Python writes it."),
        _Way("The function as a string, e.g. 3*x**2 or x**3."),
    ),
}
_CODED = ("{words}: {list}", "Code of the {words} ({list}).", "Number of the {words}. Possible values: {list}")
_LISTED = (
    "One of: {list}.",
    "The {words}: {list}",
    "Possible values are {list}.",
    "Options: {list}",
    "The {words} (e.g. {list})",
)
_PLAIN = (
    "The {words}.",
    "The {words} to use",
    "{Words} for the request.",
    "{Words}",
    "Specifies the {words}.",
    "The {words} in question.",
)
_DEFAULTS = (" Default is {value}.", " Defaults to {value}", " (default: {value})", " Optional, {value} if absent.")


def explained(
    tool: Tool, types: Mapping[str, str], calls: Sequence[Mapping[str, Any]], rng: random.Random
) -> tuple[Tool, list[dict[str, Any]]]:
    """The tool with descriptions, and its calls' arguments as those want them. `types` in the notation of our own tools."""
    properties: dict[str, Any] = {}
    made = [dict(arguments) for arguments in calls]
    required = tool.parameters.get("required") or ()
    for name, schema in tool.parameters["properties"].items():
        properties[name] = schema
        if rng.random() < 0.85:
            values = [arguments[name] for arguments in calls if name in arguments]
            properties[name], written = _explained(words_of(name), schema, types[name], values, rng)
            if name not in required and rng.random() < 0.5:
                properties[name] = _with_default(properties[name], schema, types[name], rng)
            known = iter(written)
            for arguments in made:
                if name in arguments:
                    arguments[name] = next(known)
    return Tool(tool.name, tool.description, {**tool.parameters, "properties": properties}), made


def _explained(
    words: str, schema: dict[str, Any], kind: str, values: list[Any], rng: random.Random
) -> tuple[dict[str, Any], list[Any]]:
    said = {"words": words, "Words": words.capitalize()}
    if isinstance(schema.get("enum"), list):
        return _choice(schema["enum"], said, values, rng)
    if kind.startswith("[string@") and rng.random() < 0.15:
        return {"type": "string", "description": f"The {words}, separated by commas."}, [",".join(one) for one in values]
    ways = _WAYS.get(kind.partition("@")[2], ())
    way = rng.choice(ways) if ways else _Way(rng.choice(_PLAIN).format(**said))
    written = [way.write(value) for value in values]
    if any(value is None for value in written):
        return schema, values
    about = f"{rng.choice(('', f'{words.capitalize()}. ')) if ways else ''}{way.about}"
    return {**schema, "description": about}, written


def _choice(
    options: list[str], said: Mapping[str, str], values: list[Any], rng: random.Random
) -> tuple[dict[str, Any], list[Any]]:
    dice = rng.random()
    if dice < 0.12:
        codes = {option: at for at, option in enumerate(options, rng.choice((0, 1, 1)))}
        listed = ", ".join(f"{code} = {option}" for option, code in codes.items())
        return {"type": "integer", "description": rng.choice(_CODED).format(**said, list=listed)}, [
            codes[one] for one in values
        ]
    quoted = ", ".join(f"'{option}'" for option in options) if rng.random() < 0.5 else ", ".join(options)
    about = {"description": rng.choice(_LISTED).format(**said, list=quoted)}
    return {"type": "string", **about} if dice < 0.4 else {"type": "string", "enum": options, **about}, values


def _with_default(made: dict[str, Any], schema: Mapping[str, Any], kind: str, rng: random.Random) -> dict[str, Any]:
    if made.get("type") != schema.get("type") or made.get("type") in ("array", "object"):
        return made
    value = rng.choice(schema["enum"]) if "enum" in schema else False if made["type"] == "boolean" else state(kind, rng).value
    shown = f"'{value}'" if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    if rng.random() < 0.4:
        return made | {"default": value}
    return made | {
        "description": f"{made.get('description', '').rstrip('.')}.{rng.choice(_DEFAULTS).format(value=shown)}".lstrip(
            "."
        ).strip()
    }
