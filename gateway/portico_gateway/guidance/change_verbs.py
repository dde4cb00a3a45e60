"""Does a question ask for a change, and does a tool make one? By verbs alone: "delete the branch", `delete_branch`.

A question that only asks ("how do I delete a branch?", "which file was changed?") asks for none. It knows English.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Literal

from portico_engine import Tool
from portico_gateway.guidance.stemming import spaced

_GROUPS: Mapping[str, str] = {
    "create": "create add insert make new register append post upload generate init build compose",
    "delete": "delete remove drop erase clear destroy purge uninstall cancel unregister close forget discard",
    "change": "update change modify set edit rename move replace write overwrite save reset reschedule adjust patch",
    "send": "send email message reply forward publish share notify submit push",
    "book": "book reserve order buy purchase schedule rent pay transfer",
    "commit": "commit merge rebase checkout stash",
}
_GROUP_OF = {verb: group for group, verbs in _GROUPS.items() for verb in verbs.split()}
_WEAK = frozenset("new make generate build compose email message set post order book close share init".split())
_READS = frozenset(
    "get list show find search read fetch retrieve query describe check count view lookup look browse calculate compute "
    "convert estimate predict compare analyze identify is has".split()
)
_ASKING = frozenset(
    "how what which who whom whose where when why does do did is are was were has have had if tell explain describe show list "
    "find get".split()
)
_POLITE = re.compile(
    r"^(?:(?:please|kindly|hi|hello|hey|so|ok|okay|now|then|and|also|just|i(?:'d| would) like (?:you )?to"
    r"|i (?:want|need)(?: you)? to|help me(?: to)?|(?:can|could|would|will) (?:you|we|i)(?: please)?|let's|go ahead and|try to)"
    r"[\s,:]+)+"
)
_CLAUSE = re.compile(r"[.!?;\n]+\s*|,?\s+(?:and|then)\s+(?:then\s+)?|,\s+")


def change_asked(question: str) -> frozenset[str]:
    """The kinds of change that a question asks for in so many words; empty where it only asks."""
    found: set[str] = set()
    for at, clause in enumerate(_CLAUSE.split(question.lower())):
        words = re.findall(r"[a-z']+", _POLITE.sub("", clause.strip()))
        if not words:
            continue
        if at == 0 and words[0] in _ASKING:
            return frozenset()
        if words[0] in _GROUP_OF:
            found.add(_GROUP_OF[words[0]])
    return frozenset(found)


def change_made(tool: Tool) -> str | None:
    """The kind of change that a tool makes, by the first verb of its name, or of its description; None where it makes none."""
    return _change_made(tool.name, tool.description)


@lru_cache(maxsize=2_048)
def _change_made(name: str, description: str) -> str | None:
    return _first_verb(spaced(name).replace("_", " ").split()) or _of_description(description)


def _of_description(description: str) -> str | None:
    words = re.findall(r"[a-z]+", description.lower())[:1]
    return _first_verb([_base(word) for word in words])


def _first_verb(words: Iterable[str]) -> str | None:
    for word in words:
        if word in _READS:
            return None
        if word in _GROUP_OF and word not in _WEAK:
            return _GROUP_OF[word]
    return None


def _base(verb: str) -> str:
    for ending in ("s", "es"):
        if verb.endswith(ending) and verb.removesuffix(ending) in _GROUP_OF:
            return verb.removesuffix(ending)
    return verb


Fit = Literal["asked", "not asked", "neutral"]


def change_fit(tool: Tool, asked: frozenset[str]) -> Fit:
    """How a tool's change stands to what is asked for."""
    made = change_made(tool)
    if made is None:
        return "neutral"
    return "asked" if made in asked else "not asked"
