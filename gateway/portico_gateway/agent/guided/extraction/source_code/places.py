"""How well each place of some source files answers a question: words in the line and around it, and the kind of code there.

Lines, whole statements and small bodies compete. A word counts by how rare it is in these files, and by where it stands: in the
line itself, in its statement, in the comment above it, in the names around it, in the file's path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from portico_gateway.agent.guided.extraction.source_code.expected import CodeKind, ExpectedCode, expected_code
from portico_gateway.agent.guided.extraction.source_code.kind_fit import KindFit, is_import
from portico_gateway.agent.guided.extraction.source_code.messages import Message, holds_message, messages
from portico_gateway.agent.guided.extraction.source_code.statements import Role, SourceTree, Statement, is_comment, is_prose
from portico_gateway.agent.guided.extraction.source_code.words import Senses, Term, with_synonyms, words_in
from portico_gateway.guidance.tool_retrieval import Floats
from portico_gateway.guidance.weights import SourceWeights

_FIGURE = re.compile(r"(?<![A-Za-z_])\d|\b[A-Z]{2,}_?[A-Z_]+\b")  # or a constant, which may be one; h11 is none
_STRING = re.compile(r"[\"'`][^\"'`\s][^\"'`]*[\"'`]|\b[A-Z]{2,}_[A-Z_]+\b")  # or a constant
_GIVEN = re.compile(r"=\s*\S|\bdefault|\breturn\b|\braise\b|\bthrow\b|\w\s*:\s*[\w\"'\[{]", re.IGNORECASE)
_SWITCH = re.compile(r"\b(?:true|false|none|null|nil)\b", re.IGNORECASE)
_TESTS = re.compile(r"(^|/)(tests?|testing|benchmarks?|examples?)(/|$)|(^|/)(test_|conftest)|[._]test\.|\.spec\.")
_ASKED_TESTS = re.compile(r"(?<!\bto )\btests?\b", re.IGNORECASE)  # and nothing that somebody wants to test
_IN_WORDS = frozenset((CodeKind.SINCE, CodeKind.REASON))  # what comments say
LONG_TEXT = 6  # lines of a comment
LONG_STATEMENT = 14  # lines; a longer one is read line by line
SMALL_BODY = 8  # lines of one that is taken whole


def lacks_value(expected: ExpectedCode, text: str) -> bool:
    """Has code nothing of the type of value that is asked for?"""
    if expected.number:
        return not _FIGURE.search(text)
    if expected.switch:
        return not _SWITCH.search(text)
    if expected.text:
        return not _STRING.search(text)
    return expected.default and not _GIVEN.search(text)


@dataclass(frozen=True, slots=True)
class ScoredPlace:
    """Lines `first` to `last` of a file. `score` in nats; `coverage`: the share of the question's words found, by rarity."""

    tree: SourceTree
    statement: Statement
    first: int
    last: int
    score: float
    coverage: float
    fit: float  # whether it is the kind of code that is asked for, 0 to 1


class SourceScorer:
    """Scores the places of files."""

    def __init__(self, senses: Senses, weights: SourceWeights) -> None:
        self._senses = senses
        self.weights = weights

    def places(
        self, question: str, terms: Sequence[Term], trees: Sequence[SourceTree], nearness: Mapping[str, float]
    ) -> list[ScoredPlace]:
        """Best first. `terms` are the question's; `nearness`: by path, how good the search thought the file, 0 to 1."""
        expected = expected_code(question)
        if not terms or not trees:
            return []
        words = [[words_in(line) for line in tree.lines] for tree in trees]
        of_paths = [words_in(tree.path) for tree in trees]
        matrices, of_path = self._matched(terms, words, of_paths)
        rarity = _rarity(terms, matrices, self.weights)
        asked, quoted, found = with_synonyms(terms), messages(question), list[ScoredPlace]()
        for tree, lines, path in zip(trees, matrices, of_path, strict=True):
            near = nearness.get(tree.path, 0.0)
            fit = KindFit(tree, terms, asked, expected)
            scores = _FileScores(tree, lines, path, rarity, expected, question, quoted, self.weights, fit)
            found += scores.places(near)
        return sorted(found, key=lambda place: (-place.score, place.first, place.last))

    def _matched(
        self, terms: Sequence[Term], words: Sequence[Sequence[Sequence[str]]], paths: Sequence[Sequence[str]]
    ) -> tuple[list[Floats], Floats]:
        """By file [lines, terms], and by path [files, terms]: the best match of each term there."""
        vocabulary = {w: n for n, w in enumerate(dict.fromkeys(w for file in (*words, paths) for line in file for w in line))}
        if not vocabulary:
            return [np.zeros((len(file), len(terms)), np.float32) for file in words], np.zeros(
                (len(paths), len(terms)), np.float32
            )
        matches = self._senses.matches(terms, list(vocabulary)).T
        return [_best(file, vocabulary, matches) for file in words], _best(paths, vocabulary, matches)


def _best(lines: Sequence[Sequence[str]], vocabulary: Mapping[str, int], matches: Floats) -> Floats:
    """[lines, terms]: the maximum over each line's words."""
    out = np.zeros((len(lines), matches.shape[1]), np.float32)
    filled = [number for number, line in enumerate(lines) if line]
    if filled:
        ids = [vocabulary[word] for number in filled for word in lines[number]]
        starts = np.cumsum([0, *(len(lines[number]) for number in filled[:-1])])
        out[filled] = np.maximum.reduceat(matches[ids], starts, axis=0)
    return out


def _rarity(terms: Sequence[Term], matrices: Sequence[Floats], weights: SourceWeights) -> Floats:
    """[terms]: how much finding each says."""
    total = sum(len(lines) for lines in matrices)
    held = sum((lines > weights.found).sum(axis=0) for lines in matrices)
    idf = np.log1p(total / (1.0 + np.asarray(held, np.float32)))
    factor = [weights.name_factor if t.name else weights.kind_factor if t.kind else 1.0 for t in terms]
    return np.asarray(idf * np.asarray(factor, np.float32), np.float32)


@dataclass(slots=True)
class _FileScores:
    """The places of one file. Matrices are [statements or lines, terms]."""

    tree: SourceTree
    lines: Floats
    path: Floats
    rarity: Floats
    expected: ExpectedCode
    question: str
    quoted: Sequence[Message]
    weights: SourceWeights
    kind_fit: KindFit

    def places(self, nearness: float) -> list[ScoredPlace]:
        statements = self.tree.statements
        whole = np.stack([self.lines[s.first - 1 : s.last].max(axis=0) for s in statements]) if statements else self.lines[:0]
        above = self._documentation(whole)
        prior = self.weights.nearness * nearness + self._of_path()
        found: list[ScoredPlace] = []
        said = {int(index) for index in np.flatnonzero(np.maximum(whole, above).max(axis=1, initial=0.0))}
        for index, statement in enumerate(statements):
            if said and index not in said:
                continue
            around = self._around(index, whole, above)
            found += self._of_statement(index, statement, around, whole[index], prior)
        return found

    def _documentation(self, whole: Floats) -> Floats:
        """Of each statement: the comment right above it, or the documentation string right below."""
        out = np.zeros_like(whole)
        statements = self.tree.statements
        for index, (before, after) in enumerate(pairwise(statements)):
            if before.role is Role.TEXT and after.role is not Role.TEXT and after.first - before.last <= 2:
                out[index + 1] = np.maximum(out[index + 1], whole[index])
            if before.role in (Role.TYPE, Role.FUNCTION) and after.role is Role.TEXT and after.indent > before.indent:
                out[index] = np.maximum(out[index], whole[index + 1])
        return out

    def _around(self, index: int, whole: Floats, above: Floats) -> Floats:
        weights, statement = self.weights, self.tree.statements[index]
        found = np.maximum(self.path * weights.in_path, above[index] * weights.in_comment)
        for parent in statement.parents:
            definition = self.tree.statements[parent].role is not Role.CODE
            found = np.maximum(found, whole[parent] * (weights.in_head if definition else weights.in_condition))
            found = np.maximum(found, above[parent] * weights.in_head_comment)
        near = self.lines[max(0, statement.first - 3) : statement.last + 2].max(axis=0)
        return np.asarray(np.maximum(found, near * weights.beside), np.float32)

    def _of_statement(self, index: int, statement: Statement, around: Floats, whole: Floats, prior: float) -> list[ScoredPlace]:
        lines = statement.last - statement.first + 1
        found: list[ScoredPlace] = []
        if lines <= (LONG_TEXT if statement.role is Role.TEXT else LONG_STATEMENT) or statement.role in (
            Role.TYPE,
            Role.FUNCTION,
        ):
            found.append(self._place(statement, statement.first, statement.last, np.maximum(around, whole), whole, prior))
        if lines > 1:
            inside = np.maximum(around, whole * self.weights.in_statement)
            for line in range(statement.first, statement.last + 1):
                own = self.lines[line - 1]
                if own.any():
                    found.append(self._place(statement, line, line, np.maximum(inside, own), own, prior))
        if statement.role is Role.TYPE and self.expected.several:
            end = self.tree.body_end(index)
            if statement.last < end <= statement.last + SMALL_BODY:
                body = self.lines[statement.first - 1 : end].max(axis=0)
                found.append(self._place(statement, statement.first, end, np.maximum(around, body), body, prior))
        return found

    def _place(self, statement: Statement, first: int, last: int, there: Floats, own: Floats, prior: float) -> ScoredPlace:
        weights = self.weights
        total = max(float(self.rarity.sum()), 1e-6)
        coverage = float(there @ self.rarity) / total
        fit, named = self.kind_fit.of(statement, first, last)
        score = weights.coverage * coverage + weights.own * float(own @ self.rarity) / total + weights.fit * fit + prior
        score += weights.named * named
        text = "\n".join(self.tree.lines[first - 1 : last])
        if lacks_value(self.expected, text):
            score -= weights.no_value
        if any(holds_message(text, message) for message in self.quoted):
            score += weights.message
        if not (self.expected.several or named):
            score -= weights.line * max(0, last - first - 2)
        is_text = statement.role is Role.TEXT or (first == last and is_comment(text))
        if is_text and not _IN_WORDS & set(self.expected.kinds):
            score -= weights.text
        elif CodeKind.IMPORTS not in self.expected.kinds and is_import(self.tree.lines[statement.first - 1]):
            score -= weights.imports
        return ScoredPlace(self.tree, statement, first, last, score, coverage, fit)

    def _of_path(self) -> float:
        score = 0.0
        if _TESTS.search(self.tree.path) and not _ASKED_TESTS.search(self.question):
            score += self.weights.test_file
        if is_prose(self.tree.path):
            score += self.weights.prose_file
        return score
