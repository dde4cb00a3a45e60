"""A question that needs several calls, taken apart into parts: a later one may refer to what an earlier one found.

"Find the category with the fewest films, then count its films" is two parts; the second is asked once "its" can be replaced
by a name. It reads English joints and pronouns; it knows no tool and no result.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from portico_gateway.guidance.stemming import content_words, stems_of

MAX_CALLS = 4  # of all parts together
MAX_PARTS = 3
MAX_CHARACTERS = 600  # a longer text is no question of parts
_ASKS = (
    r"(?:which|what|who|whose|when|where|how|(?:in|at|on|of|by|to|from|with|for)\s+which|(?:since|as\s+of)\s+(?:which|what))\b"
)
_TELLS = r"(?:tell|say|show|list|count|name|give|print|read|report)\b"
_ABBREVIATED = r"(?<!\bi\.e\.)(?<!\be\.g\.)"  # ends no sentence
_JOINT = re.compile(
    rf"""(?<=[.?!;]){_ABBREVIATED}\s+(?=[A-Za-z]) | [,;]?\s+(?:and\s+)?then\s+ | [,;]?\s+and\s+(?={_ASKS}|{_TELLS})
    | [,:;]\s+(?={_ASKS})""",
    re.IGNORECASE | re.VERBOSE,
)
_SEEKS = re.compile(r"\W*(?:please\s+)?(?:find|look|search|take|get|open|go|see|read|check|pick)\b", re.IGNORECASE)
_HEAD = re.compile(
    r"\b(?:find|up|at|for|take|get|out|pick|open)\s+(?:the|a|which)\s+(?:(?:first|last|next|(?:most|least)\s+\w+|\w+est)\s+)*([a-z]+)",
    re.IGNORECASE,
)
_INTERROGATIVE = re.compile(rf"\W*(?:and\s+)?(?:{_ASKS}|(?:why|is|are|was|were|do|does|did|has|have|had)\b)", re.IGNORECASE)
_REQUESTS = re.compile(r"\W*(?:please\b|(?:can|could|would|will)\s+you\b)", re.IGNORECASE)
_SEVERAL = re.compile(r"\b(?:which|what|all|the|list)\s+(?:\w+\s+){0,3}?\w{3,}s\b", re.IGNORECASE)
_ELLIPTICAL = re.compile(
    r"""\W*(?:and\s+)?(?:
      how\s+(?:many|much)\s+(?:
        (?:are|is|were|was|did|do|does|have|has|in|on|of(?!\s+(?:its|their|his|her|them)\b)|at|from|by|for|with)\b
        | ['"‘“] | (?-i:[A-Z]))
      | (?:\w+\s+)?which\s+one\b.*\b(?:do|does|did)\W*$ )""",
    re.IGNORECASE | re.VERBOSE,
)  # of what, the part before it says
_DOES = r"(?:are|is|were|was|did|do|does|have|has|had|can|will)\b"
_COUNTED = re.compile(rf"\bhow\s+(?:many|much)\s+(?P<what>(?:(?!{_DOES})[\w-]+\s+){{1,3}}?)(?={_DOES})", re.IGNORECASE)
_UNNAMED = re.compile(rf"^\W*(?:and\s+)?how\s+(?:many|much)\s+(?={_DOES})", re.IGNORECASE)  # what is counted isn't said
_SCENE = re.compile(rf"[^?]*?(?:[.!]{_ABBREVIATED}|:)\s+(?=[A-Za-z])")  # what the questions behind it are about
_SAYS_KIND = re.compile(  # what kind of thing is asked for, and no more
    rf"""\W*(?:and\s+)?(?:
      (?:which|what)\s+\w+(?:\s+(?:is|was)\s+(?:it|that|this))? | what(?:['’]s|\s+is)\s+(?:it|that|this)\s+(?:called|named)
      | name\s+of\s+the\s+\w+ | {_TELLS}(?:\s+(?:me|us))?\s+the\s+\w+ )\W*""",
    re.IGNORECASE | re.VERBOSE,
)
_WHETHER = re.compile(
    r"\W*(?:(?:do\s+you\s+know|can\s+you\s+tell\s+me)\b|(?:is|are|was|were|does|do|did|can|may|has|have)\b)", re.I
)
_OF_THOSE = re.compile(r"\b(?:do|does|did|are|is|have|has)\W*$|\bsuch\b", re.IGNORECASE)  # "How many teachers do?"
_WHY = re.compile(r"\W*(?:how\s+come|why)\b", re.IGNORECASE)
_CONDITION = re.compile(  # no question: the verb of one comes right behind
    r"\W*(?:when|where|if|while)\s+(?!(?:is|are|was|were|do|does|did|has|have|had|will|would|can|could|should|must)\b)",
    re.IGNORECASE,
)
_COUNTS_THEM = re.compile(  # asks how many those are that the part before it speaks of
    r"""\W*(?:and\s+)?(?:if\s+(?:so|yes|there\s+are),?\s+)?
    (?:(?:what(?:['’]s|\s+is|\s+was)|(?:i|we)\s+(?:only\s+|just\s+)?(?:need|want)|(?:tell|give)\s+(?:me|us))\s+)?
    (?:only\s+|just\s+)?(?:the|their|its|a)\s+(?:exact\s+|total\s+)?(?:number|count|total|tally)
    (?:\s+of\s+(?:them|those|these))?(?:,?\s+please)?\W*""",
    re.IGNORECASE | re.VERBOSE,
)
_HOW_MANY = re.compile(r"\bhow\s+many\b", re.IGNORECASE)
_THERE_IS = re.compile(r"\b(?:are|is|were|was)\s+there\W*$", re.IGNORECASE)  # of a kind, and no place
_AGAIN = re.compile(  # says what is asked for once more
    rf"\W*(?:please\s+)?{_TELLS}(?:\s+(?:me|us))?(?:\s+(?:it|them|that|those|him|her|which))?(?:\s+please)?\W*", re.IGNORECASE
)
_ELLIPSIS = re.compile(r"^\W*and\s+(the\s[^?]*\?)$", re.IGNORECASE)
_OF_SEVERAL = re.compile(r"\b(?:them|they|their|those|these)\b", re.IGNORECASE)
_REFERENCE = re.compile(
    r"""\b(?:
      (?P<noun>(?:that|this|those|these|the\ same)\s+(?!(?:one|is|are|was|has|have|do|does|in|of)\b)[a-z]{3,}?)
        (?P<of>['’]s)?(?=\s|[?.!,]|$)
      | (?P<owner>its|their|his|her)\b
      | (?P<place>there)\b(?!\s+(?:is|are|was|were)\b)
      | (?P<thing>that\ one|this\ one|it|them|they|those|he|she|him)\b )""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that is asked; `refers`: to what the part before it found."""

    text: str
    refers: bool = False


def parts(question: str) -> list[Part]:
    """The question's parts, in order; one where it asks one thing, or can't be taken apart."""
    if len(question) > MAX_CHARACTERS:
        return [Part(question)]
    if (scene := _SCENE.match(question)) and not _begins(scene[0]):
        first, *others = parts(question[scene.end() :])
        return [Part(scene[0] + first.text), *others] if others else [Part(question)]
    texts = [_asked_whole(text) for piece in _JOINT.split(question) if (text := piece.strip(" ,;"))]
    texts = [texts[0], *(_of_the_same(text, texts[0]) for text in texts[1:] if not _AGAIN.fullmatch(text))] if texts else []
    if not 1 < len(texts) <= MAX_PARTS or not all(map(content_words, texts)) or not _begins(texts[0]):
        return [Part(question)]
    found = [Part(texts[0]), *(Part(text, _refers(text, texts[0])) for text in texts[1:])]
    for before, part in pairwise(found):
        if _one_with(before, part):
            return [Part(question)]
    return found


def _refers(text: str, first: str) -> bool:
    """Does it speak of what was found? "How many books and how many authors are there?" asks for two numbers."""
    both_count = _HOW_MANY.search(first) and _HOW_MANY.search(text)
    return _REFERENCE.search(_THERE_IS.sub("", text) if both_count else text) is not None


def _of_the_same(text: str, first: str) -> str:
    """ "How many are on B?" behind "How many tracks are on A" as a question of its own."""
    counted = _COUNTED.search(first)
    return _UNNAMED.sub(lambda found: found[0] + counted["what"], text, count=1) if counted else text


def _begins(text: str) -> bool:
    """May it be the first of several parts?"""
    return _asks(text) or _SEEKS.match(text) is not None


def _asked_whole(text: str) -> str:
    """ "And the year of that one?" as a question."""
    return _ELLIPSIS.sub(r"What is \1", text, count=1)


def _one_with(before: Part, part: Part) -> bool:
    """Does one only set the scene for the other, say what the other asks for, or speak of all that the other lists?"""
    if (
        _COUNTS_THEM.fullmatch(part.text)
        or _ELLIPTICAL.match(part.text)
        or _WHY.match(before.text)
        or _CONDITION.match(before.text)
    ):
        return True
    if _INTERROGATIVE.match(before.text) and (_SAYS_KIND.fullmatch(part.text) or _CONDITION.match(part.text)):
        return True
    if _WHETHER.match(before.text) and (part.refers or _OF_THOSE.search(part.text)):
        return True
    if not part.refers:
        return _SEEKS.match(before.text) is not None or not _asks(part.text) or not _asks(before.text)
    return _asks(before.text) and _SEVERAL.search(before.text) is not None and _OF_SEVERAL.search(part.text) is not None


def _asks(text: str) -> bool:
    return (
        re.match(
            rf"\W*(?:and\s+)?(?:{_ASKS}|{_TELLS}|(?:the\s+)?number\s+of\b|is\b|are\b|does\b|do\b|can\b)", text, re.IGNORECASE
        )
        is not None
    )


def asks_to_know(question: str) -> bool:
    """Is it a question, and no request to do something? "Can you delete it?" is a request."""
    if _REQUESTS.match(question):
        return False
    return _INTERROGATIVE.match(question) is not None or question.rstrip().endswith("?")


def head_noun(text: str) -> str | None:
    """What kind of thing a part looks for: "category" of "Take the category with the fewest films"."""
    found = _HEAD.search(text)
    return found[1].lower() if found and content_words(found[1]) else None


def resolved(part: Part, thing: str, noun: str | None) -> str:
    """The part with the thing in place of the first word that refers to it, the noun with it where a pronoun has none."""
    named = f"the {noun} {thing}" if noun else thing

    def name(match: re.Match[str]) -> str:
        if match["noun"]:
            kind = match["noun"].split()[-1]
            own = noun is None or stems_of(kind) == stems_of(noun)
            return f"the {kind} {thing}{match['of'] or ''}" if own else f"the {kind} of {named}"
        if match["owner"]:
            return f"{named}'s"
        return f"in {named}" if match["place"] else named

    return _REFERENCE.sub(name, part.text, count=1)


def joined(answers: Sequence[str]) -> str:
    """The parts' answers as one, each once."""
    return "\n".join(dict.fromkeys(text.strip() for text in answers if text.strip()))
