"""Answers from source files: the places that answer, one by one and, where a list is asked for, together.

What is printed of a place, `source_code/display.py` says; which place is a good one, `source_code/places.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from portico_gateway.agent.citations import Citation
from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate
from portico_gateway.agent.guided.extraction.source_code.different import different
from portico_gateway.agent.guided.extraction.source_code.display import PlaceDisplay, cut, in_one_line
from portico_gateway.agent.guided.extraction.source_code.expected import expected_code
from portico_gateway.agent.guided.extraction.source_code.members import members
from portico_gateway.agent.guided.extraction.source_code.places import ScoredPlace, SourceScorer, lacks_value
from portico_gateway.agent.guided.extraction.source_code.statements import Role, SourceTree, source_tree
from portico_gateway.agent.guided.extraction.source_code.words import Term, question_terms, words_in
from portico_gateway.guidance.weights import SourceWeights

MOST_CANDIDATES = 12
_LINE_NUMBER = re.compile(r"^(?:[^\s:]+:)?\d+:", re.MULTILINE)
MOST_TOGETHER = 8  # places that make one list


class SourceFile:
    """A file that a search led to: its statements, and the fields that name it to its server."""

    def __init__(
        self, path: str, text: str, fields: Mapping[str, object], nearness: float, symbols: Mapping[int, str] | None = None
    ) -> None:
        """`nearness`: how good the search thought it, 0 to 1; `symbols`: by line, its server's name of what is there."""
        self.tree = source_tree(path, text)
        self.fields = fields
        self.nearness = nearness
        self.symbols = symbols or {}


Files = Mapping[str, SourceFile]  # by path


def source_lines(question: str, files: Sequence[SourceFile], scorer: SourceScorer) -> list[AnswerCandidate]:
    """The candidates of some files, best first."""
    trees = [file.tree for file in files]
    by_path = {file.tree.path: file for file in files}
    expected = expected_code(question)
    terms = _of_the_whole(question_terms(question), files)
    display = PlaceDisplay(expected, frozenset(term.stem for term in terms), trees)
    places = scorer.places(question, terms, trees, {file.tree.path: file.nearness for file in files})
    found = list(_listed(question, terms, trees, by_path, scorer.weights))
    if expected.several:
        found += _together(places, by_path, scorer.weights)
    for place in different(places, scorer.weights, MOST_CANDIDATES):
        candidate = _candidate(place, display.text(place), by_path)
        bare = lacks_value(expected, _LINE_NUMBER.sub("", candidate.text))
        found.append(replace(candidate, lacks_value=bare, short=display.short(place), constants=display.open_constants(place)))
    return sorted(found, key=lambda candidate: -(candidate.weight or 0.0))


def _of_the_whole(terms: Sequence[Term], files: Sequence[SourceFile]) -> list[Term]:
    """What the whole workspace is called says little of a place in it: a plain word of its root's name counts as one that says
    what kind of thing is meant."""
    own = {stem for root in {str(file.fields.get("root") or "") for file in files} for stem in words_in(root)}
    return [replace(term, kind=True) if term.stem in own and not term.name else term for term in terms]


def _candidate(place: ScoredPlace, text: str, files: Files) -> AnswerCandidate:
    path, line = place.tree.path, place.first
    quote = place.tree.lines[line - 1].strip()
    symbol = files[path].symbols.get(line) or place.tree.qualified(place.statement)
    named = {"symbol": symbol, "start_line": line, "end_line": place.last, "text": text}
    citation = Citation({**files[path].fields, **named}, f"{path}:{line}", line, quote)
    return AnswerCandidate(text, citation, weight=place.score, found=place.coverage, fit=place.fit)


def _together(places: Sequence[ScoredPlace], files: Files, weights: SourceWeights) -> Iterator[AnswerCandidate]:
    """Of places alike in one file, the best ones as a list."""
    if not places:
        return
    best = places[0]
    alike: dict[int, ScoredPlace] = {}
    for place in places:
        if best.score - place.score > weights.together or len(alike) == MOST_TOGETHER:
            break
        same = place.tree is best.tree and place.statement.role is best.statement.role is not Role.TEXT
        same = same and place.statement.parents == best.statement.parents and place.fit >= best.fit
        if same and place.last - place.first <= 2:
            alike.setdefault(place.statement.first, place)
    if len(alike) < 2:
        return
    parts = [f"{place.tree.path}: {place.tree.qualified(place.statement, itself=False)}".rstrip(": ") for place in [best]]
    ordered = sorted(alike.values(), key=lambda place: place.first)
    parts += [
        f"{place.first}: {in_one_line(chr(10).join(place.tree.lines[place.first - 1 : place.last]))}" for place in ordered
    ]
    first = replace(best, first=ordered[0].first, statement=ordered[0].statement, score=best.score + weights.list_bonus)
    yield _candidate(first, cut("\n".join(parts)), files)


def _listed(
    question: str, terms: Sequence[Term], trees: Sequence[SourceTree], files: Files, weights: SourceWeights
) -> Iterator[AnswerCandidate]:
    for found in members(question, terms, trees)[:2]:
        line = found.owner.first if found.owner is not None else 1
        quote = found.tree.lines[line - 1].strip() if found.tree.lines else ""
        citation = Citation(
            {**files[found.tree.path].fields, "start_line": line, "text": found.text}, f"{found.tree.path}:{line}", line, quote
        )
        text = cut(f"{found.tree.path}:{line}: {found.text}")
        yield AnswerCandidate(text, citation, weight=weights.members * found.named, found=1.0, fit=found.named)
