"""Several calls of one tool asked for in one request, as people put them: what is wanted once, then the values of each call.

It owns how the calls' values stand beside each other. What is wanted and what a value may be, `schema_questions` says.
"""

from __future__ import annotations

import random
from typing import Any

from portico_engine.tool import Tool
from portico_engine.tune.data.schema_questions import in_words, request_of, value_of, words_of
from portico_engine.tune.data.value_kinds import Stated

_COUNTS = (2, 2, 2, 2, 3, 3, 4)
_TRIES = 12  # values that are made for one that no other call has
_LISTED = ("{request} for {values}", "{request} for {values}", "{request} for each of {values}", "{request}: {values}",
    "{request} with {words} {values}", "{request} where {words} is {values}", "{request} with {values} as the {words}",
    "for {values}, {request}", "{request} of {values}")  # fmt: skip
_GROUPED = ("{request} with {groups}", "{request} for {groups}", "{request}, once with {once}", "{request}: {groups}",
    "{request}, first with {then}", "{request}. {numbered}", "{request} where {groups}", "{request} for {again}")  # fmt: skip
_FOR_ALL = (", {shared}", ", all with {shared}", ". For all of them {shared}", ", each with {shared}", " with {shared}")


def ask_several(tool: Tool, rng: random.Random) -> tuple[str, list[dict[str, Any]]] | None:
    """A question and the arguments of each of its calls, no two alike. None: nothing of it can be stated twice."""
    request = request_of(tool, rng)
    properties = tool.parameters.get("properties") or {}
    required = set(tool.parameters.get("required") or ())
    optional = [name for name in properties if name not in required]
    wanted = required | set(rng.sample(optional, min(len(optional), rng.choice((0, 0, 1)) + (not required))))
    first = {name: value_of(name, properties[name], rng) for name in properties if name in wanted}
    if request is None or not first or None in first.values():
        return None
    varied = [name for name in first if _is_varied(properties[name])]
    if not varied:
        return None
    differing = rng.sample(varied, rng.randint(1, min(3, len(varied))))
    calls = [{name: stated for name, stated in first.items() if stated is not None}]
    for _ in range(rng.choice(_COUNTS) - 1):
        another = _another(calls, differing, properties, rng)
        if another is None:
            break
        calls.append(another)
    if len(calls) < 2:
        return None
    question = _sentence(request, calls, [name for name in first if name in differing], rng)
    return question, [{name: stated.value for name, stated in call.items()} for call in calls]


def _is_varied(schema: Any) -> bool:
    """Has it values enough that several can be listed, each in a word or two?"""
    return (
        isinstance(schema, dict)
        and schema.get("type") in ("string", "integer", "number")
        and len(schema.get("enum", "...")) > 2
    )


def _another(
    calls: list[dict[str, Stated]], differing: list[str], properties: dict[str, Any], rng: random.Random
) -> dict[str, Stated] | None:
    """The first call with other values where they differ: none of them another call's."""
    found = dict(calls[0])
    for name in differing:
        taken = [call[name].value for call in calls]
        for _ in range(_TRIES):
            stated = value_of(name, properties[name], rng)
            if stated is not None and stated.value not in taken:
                found[name] = stated
                break
        else:
            return None
    return found


def _sentence(request: str, calls: list[dict[str, Stated]], differing: list[str], rng: random.Random) -> str:
    asks = request.startswith(("Can", "Could"))
    if len(differing) == 1:
        name = differing[0]
        values = [call[name].surface for call in calls]
        both = "both " if len(values) == 2 and rng.random() < 0.2 else ""
        said = rng.choice(_LISTED).format(request=request, words=words_of(name), values=both + in_words(values))
    else:
        labelled = rng.random() < 0.7
        groups = [
            in_words([f"{words_of(name)} {call[name].surface}" if labelled else call[name].surface for name in differing])
            for call in calls
        ]
        said = rng.choice(_GROUPED).format(
            request=request, groups=", and ".join(groups), once=", once with ".join(groups), then=", then with ".join(groups),
            again=" and again for ".join(groups), numbered=" ".join(f"{at}) {group}" for at, group in enumerate(groups, 1)),
        )  # fmt: skip
    shared = [f"{words_of(name)} {stated.surface}" for name, stated in calls[0].items() if name not in differing]
    if shared:
        said += rng.choice(_FOR_ALL).format(shared=in_words(shared))
    said += "?" if asks else rng.choice((".", ".", ""))
    return said[0].upper() + said[1:] if rng.random() < 0.8 else said
