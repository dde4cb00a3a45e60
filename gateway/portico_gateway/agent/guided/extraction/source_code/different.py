"""Places that are different answers: lines beside each other are one, and so is what stands twice.

A good line brings the good ones near it along, so that what answers is not cut off by the line that names it. Code that is kept
twice, for threads and for an event loop, counts once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from portico_gateway.agent.guided.extraction.source_code.places import LONG_STATEMENT, ScoredPlace
from portico_gateway.agent.guided.extraction.source_code.statements import Role
from portico_gateway.guidance.weights import SourceWeights

MOST_LINES = 8  # of places that are shown as one
MOST_APART = 5  # lines between two of them
_LINE_COMMENT = re.compile(r"\s*(?:#(?!\[|include|define)|//|--\s)")
_TWIN = re.compile(r"\b(?:async|await)\s+|async_?(?=\w)|(?<=[.\s])a(?=close\b|iter|next|enter|exit)|\s+", re.IGNORECASE)


def different(places: Sequence[ScoredPlace], weights: SourceWeights, most: int) -> list[ScoredPlace]:
    """The best of the places, which are sorted, each with the good ones beside it."""
    found: list[ScoredPlace] = []
    told: set[str] = set()
    for place in places:
        if len(found) == most:
            break
        if any(_is_part(place, other) for other in found):
            continue
        whole = _widened(place, places, weights)
        text = _TWIN.sub("", "\n".join(whole.tree.lines[whole.first - 1 : whole.last]))
        if text not in told:
            told.add(text)
            found.append(whole)
    return found


def _is_part(place: ScoredPlace, of: ScoredPlace) -> bool:
    """Is it among the lines of the other, or another line of the same statement?"""
    if place.tree is not of.tree:
        return False
    statement = place.statement
    is_shown_whole = statement.role is not Role.CODE or statement.last - statement.first < LONG_STATEMENT
    return (statement is of.statement and is_shown_whole) or (of.first <= place.first and place.last <= of.last)


def _widened(place: ScoredPlace, places: Sequence[ScoredPlace], weights: SourceWeights) -> ScoredPlace:
    """With the places near it in the same definition that are nearly as good; of a comment, with all of it."""
    if place.statement.role is Role.TEXT:
        return _whole_comment(place)
    if place.statement.role is not Role.CODE:
        return place
    first, last = place.first, place.last
    for other in places:
        if place.score - other.score > weights.beside_best:
            break
        if other.tree is not place.tree or other.statement.role is not Role.CODE or not _one_definition(place, other):
            continue
        low, high = min(first, other.first), max(last, other.last)
        apart = max(other.first - last, first - other.last)
        if apart <= MOST_APART and high - low < MOST_LINES:
            first, last = low, high
    return replace(place, first=first, last=last)


def _one_definition(place: ScoredPlace, other: ScoredPlace) -> bool:
    named = [[i for i in one.statement.parents if one.tree.statements[i].name] for one in (place, other)]
    return named[0] == named[1]


def _whole_comment(place: ScoredPlace) -> ScoredPlace:
    """Of a comment in lines of its own, with those right before and behind it: a sentence goes on in the next one."""
    lines = {number for number, line in enumerate(place.tree.lines, 1) if _LINE_COMMENT.match(line)}
    first, last = place.first, place.last
    if not lines.issuperset(range(first, last + 1)):
        return place
    while last + 1 in lines and last - first + 1 < MOST_LINES:
        last += 1
    while first - 1 in lines and last - first + 1 < MOST_LINES:
        first -= 1
    return replace(place, first=first, last=last)
