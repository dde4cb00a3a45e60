"""A question with the call that is right for it, and what the call has to find. It owns how a question is put in haste or at
length, and what of it a search is given: the sentence that asks, without what stands around it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, NamedTuple

from portico_engine.tune.data.sources.own_servers.phrases import HASTE, LONG_SHARE, ROUGH_SHARE, phrases

QUERY: Any = object()  # in place of an argument: what of the question a search is given
MOST_QUERY = 400  # characters that a search of documentation takes


class Finding(NamedTuple):
    """Where in a workspace the answer stands: a line of code, or a line of a page's text."""

    file: str
    line: int = 0
    text: str = ""


class Asked(NamedTuple):
    """`tool` by its own name. `finding` None: whatever the call answers."""

    question: str
    tool: str
    arguments: dict[str, Any]
    finding: Finding | None = None


def asked(
    question: str, tool: str, arguments: Mapping[str, Any], rng: random.Random, finding: Finding | None = None, area: str = ""
) -> Asked:
    """As a person may write it: a share in haste, a share behind a sentence that says why (`area` names whose)."""
    copied = {str(value).partition(" ")[0] for value in arguments.values()}
    named = any(question.startswith(one) for one in copied if one)  # a name is written as it is
    core = question[:1].upper() + question[1:] if rng.random() < 0.5 and not named else question
    before = after = ""
    draw = rng.random()
    if draw < ROUGH_SHARE:
        before, lower, after = rng.choice(HASTE)
        core = core.rstrip("?!. ")
        core = core[:1].lower() + core[1:] if lower and not named and not core[:2].isupper() else core
    elif draw < ROUGH_SHARE + LONG_SHARE and area:
        before = f"{rng.choice(phrases('before')[area])} "
        core = core if named else core[:1].upper() + core[1:]
    query = core.rstrip("?!. ")[:MOST_QUERY]
    filled = {key: query if value is QUERY else value for key, value in arguments.items()}
    return Asked(f"{before}{core}{after}", tool, filled, finding)
