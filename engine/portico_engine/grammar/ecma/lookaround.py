"""Assertions as intersections and complements.

A pattern becomes lines: sequences of plain expressions and assertions. Where every assertion about what comes before stands
left of every one about what comes after, the language is exact:

    prefix: built from the left,   J := J & (.* X)   at a lookbehind X
    suffix: built from the right,  K := K & (X .*)   at a lookahead X

An assertion about a single character moves into the expression beside it first, so that `\\bfoo\\b` is exact as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from portico_engine.grammar.ecma.nodes import (
    WORD,
    Alternative,
    Assertion,
    Backreference,
    CapturingGroup,
    Disjunction,
    PatternLanguage,
    PatternNode,
    Quantified,
    Regular,
)
from portico_engine.grammar.ir import (
    ANY_CHARACTER,
    ANY_TEXT,
    EMPTY,
    NEVER,
    Alt,
    And,
    Chars,
    Empty,
    Node,
    Not,
    Text,
    alt,
    repeat,
    seq,
)
from portico_engine.grammar.regular.automata import nullable

SOME = repeat(ANY_CHARACTER, 1)
MAX_LINES = 128
_BEFORE = frozenset({"start", "behind", "not-behind"})
_AFTER = frozenset({"end", "ahead", "not-ahead"})
_WORD_CHARACTER = Regular(Chars(WORD))
_AFTER_WORD, _AFTER_NO_WORD = Assertion("behind", _WORD_CHARACTER), Assertion("not-behind", _WORD_CHARACTER)
_BEFORE_WORD, _BEFORE_NO_WORD = Assertion("ahead", _WORD_CHARACTER), Assertion("not-ahead", _WORD_CHARACTER)

Item = Node | Assertion
Line = tuple[Item, ...]


@dataclass
class _NotExact(Exception):
    """What follows can't be exact; carries why."""

    why: str


def lower(tree: PatternNode) -> PatternLanguage:
    """The strings in which the pattern finds a match."""
    loosened: list[str] = []
    try:
        lines = _lines(tree, loosened)
    except _NotExact as error:
        return PatternLanguage(ANY_TEXT, error.why)
    parts = [_line_language((ANY_TEXT, *line, ANY_TEXT), loosened) for line in lines]
    return PatternLanguage(alt(*parts), "; ".join(dict.fromkeys(loosened)))


def both(first: Node, second: Node) -> Node:
    """Intersection, simplified where it is plain to see."""
    if NEVER in (first, second):
        return NEVER
    if first in (ANY_TEXT, second):
        return second
    if second == ANY_TEXT:
        return first
    if isinstance(first, Empty) or isinstance(second, Empty):
        return EMPTY if nullable(first) and nullable(second) else NEVER
    return And(
        (*(first.parts if isinstance(first, And) else (first,)), *(second.parts if isinstance(second, And) else (second,)))
    )


def _lines(tree: PatternNode, loosened: list[str]) -> list[Line]:
    match tree:
        case Regular(node):
            return [(node,)]
        case Assertion("edge"):
            return [(_AFTER_WORD, _BEFORE_NO_WORD), (_AFTER_NO_WORD, _BEFORE_WORD)]
        case Assertion("not-edge"):
            return [(_AFTER_WORD, _BEFORE_WORD), (_AFTER_NO_WORD, _BEFORE_NO_WORD)]
        case Assertion():
            return [(tree,)]
        case Disjunction(options):
            return _limited([line for option in options for line in _lines(option, loosened)])
        case Alternative(parts):
            found: list[Line] = [()]
            for part in parts:
                found = _limited([(*before, *after) for before, after in product(found, _lines(part, loosened))])
            return found
        case Quantified(item, low, high):
            return _repeated(item, low, high, loosened)
        case CapturingGroup(_, item):
            return _lines(item, loosened)
        case Backreference():
            raise _NotExact("any string: a backreference is not regular")


def _limited(lines: list[Line]) -> list[Line]:
    if len(lines) > MAX_LINES:
        raise _NotExact("any string: its assertions branch too often")
    return lines


def _repeated(item: PatternNode, low: int, high: int | None, loosened: list[str]) -> list[Line]:
    """A repetition with an assertion inside: unrolled where it is short."""
    if high is not None and high <= 3:
        return _limited(
            [
                tuple(x for line in combo for x in line)
                for n in range(low, high + 1)
                for combo in product(_lines(item, loosened), repeat=n)
            ]
        )
    tempered = _tempered(item)
    if tempered is not None:
        return [(repeat(tempered, low, high),)]
    loosened.append("what it accepts without the lookaround inside a repetition")
    bare = _without_assertions(item)
    return [(repeat(bare, low, high),)]


def _tempered(item: PatternNode) -> Node | None:
    """`(?:(?!x)c)*` where x is one character: a smaller class."""
    if not isinstance(item, Alternative) or len(item.parts) != 2:
        return None
    assertion, one = item.parts
    if not isinstance(assertion, Assertion) or assertion.kind not in ("ahead", "not-ahead") or not isinstance(one, Regular):
        return None
    body = assertion.body
    if not isinstance(body, Regular) or _one_character(body.node) is None or _one_character(one.node) is None:
        return None
    return both(one.node, body.node if assertion.kind == "ahead" else Not(body.node))


def _one_character(node: Node) -> Node | None:
    """The node where it stands for exactly one character."""
    if isinstance(node, Chars) or (isinstance(node, Text) and len(node.value) == 1):
        return node
    if isinstance(node, Alt) and all(_one_character(option) is not None for option in node.options):
        return node
    return None


def _without_assertions(tree: PatternNode) -> Node:
    match tree:
        case Regular(node):
            return node
        case Assertion():
            return EMPTY
        case Alternative(parts):
            return seq(*map(_without_assertions, parts))
        case Disjunction(options):
            return alt(*map(_without_assertions, options))
        case Quantified(item, low, high):
            return repeat(_without_assertions(item), low, high)
        case CapturingGroup(_, item):
            return _without_assertions(item)
        case Backreference():
            return ANY_TEXT


# --- one line -----------------------------------------------------------------------------------------------------------------


def _line_language(line: Line, loosened: list[str]) -> Node:
    out: list[Node] = []
    todo = [_order(line)]
    while todo:
        current = todo.pop()
        if len(out) + len(todo) > MAX_LINES:
            loosened.append("any string: its assertions branch too often")
            return ANY_TEXT
        if _separable(current):
            out.append(_joined(current, loosened))
            continue
        moved = _move_one(current)
        if moved is not None:
            todo += map(_order, moved)
            continue
        loosened.append("what it accepts without one of its lookarounds")
        last = max(i for i, item in enumerate(current) if isinstance(item, Assertion) and item.kind in _BEFORE)
        todo.append((*current[:last], *current[last + 1 :]))
    return alt(*out)


def _order(line: Line) -> Line:
    """Neighbouring assertions commute: those about what comes before go first."""
    out: list[Item] = []
    run: list[Assertion] = []
    for item in line:
        if isinstance(item, Assertion):
            run.append(item)
            continue
        ordered: list[Assertion] = sorted(run, key=_is_after)
        out.extend(ordered)
        run = []
        out.append(item)
    last: list[Assertion] = sorted(run, key=_is_after)
    return (*out, *last)


def _is_after(assertion: Assertion) -> bool:
    return assertion.kind in _AFTER


def _separable(line: Line) -> bool:
    before = [i for i, item in enumerate(line) if isinstance(item, Assertion) and item.kind in _BEFORE]
    after = [i for i, item in enumerate(line) if isinstance(item, Assertion) and item.kind in _AFTER]
    return not before or not after or before[-1] < after[0]


def _single(item: Item) -> Node | None:
    if isinstance(item, Assertion) and isinstance(item.body, Regular):
        return _one_character(item.body.node)
    return None


def _move_one(line: Line) -> list[Line] | None:
    """Move one single-character assertion into the expression that it is about; None where there is none to move."""
    for index, item in enumerate(line):
        one = _single(item)
        if one is None or not isinstance(item, Assertion):
            continue
        ahead = item.kind in _AFTER
        step = 1 if ahead else -1
        at = index + step
        while 0 <= at < len(line) and isinstance(line[at], Assertion):
            at += step
        rest = [x for i, x in enumerate(line) if i != index]
        if not 0 <= at < len(line):  # at the string's end: nothing is there
            return [tuple(rest)] if item.kind.startswith("not-") else []
        node = line[at]
        assert not isinstance(node, Assertion)
        starts = seq(one, ANY_TEXT) if ahead else seq(ANY_TEXT, one)
        wanted = both(both(node, SOME), Not(starts)) if item.kind.startswith("not-") else both(node, starts)
        place = at - 1 if ahead else at
        out = [] if wanted == NEVER else [(*rest[:place], wanted, *rest[place + 1 :])]
        if nullable(node):  # the expression is empty: the assertion looks past it
            passed = [*rest[:place], *rest[place + 1 :]]
            passed.insert(place, item)
            out.append(tuple(passed))
        return [tuple(line) for line in out]
    return None


def _joined(line: Line, loosened: list[str]) -> Node:
    last = max((i for i, item in enumerate(line) if isinstance(item, Assertion) and item.kind in _BEFORE), default=-1)
    return seq(_prefix(line[: last + 1], loosened), _suffix(line[last + 1 :], loosened))


def _prefix(items: Line, loosened: list[str]) -> Node:
    """What may stand before the last assertion about it, that included."""
    made: Node = EMPTY
    for item in items:
        if not isinstance(item, Assertion):
            made = seq(made, item)
        elif item.kind == "start":
            made = EMPTY if nullable(made) else NEVER
        else:
            made = _asserted(made, item, loosened, before=True)
    return made


def _suffix(items: Line, loosened: list[str]) -> Node:
    made: Node = EMPTY
    for item in reversed(items):
        if not isinstance(item, Assertion):
            made = seq(item, made)
        elif item.kind == "end":
            made = EMPTY if nullable(made) else NEVER
        else:
            made = _asserted(made, item, loosened, before=False)
    return made


def _asserted(made: Node, assertion: Assertion, loosened: list[str], *, before: bool) -> Node:
    assert assertion.body is not None
    inner: list[str] = []
    try:
        lines = _lines(assertion.body, inner)
    except _NotExact:
        loosened.append("what it accepts without one of its lookarounds")
        return made
    languages = []
    for line in lines:
        wrong = _AFTER if before else _BEFORE
        if any(isinstance(item, Assertion) and item.kind in wrong for item in line):
            inner.append("looks both ways")
            line = tuple(item for item in line if not (isinstance(item, Assertion) and item.kind in wrong))
        languages.append(_prefix((ANY_TEXT, *line), inner) if before else _suffix((*line, ANY_TEXT), inner))
    language = alt(*languages)
    negative = assertion.kind.startswith("not-")
    if inner:
        loosened.append("what it accepts without one of its lookarounds")
        if negative:
            return made
    return both(made, Not(language)) if negative else both(made, language)
