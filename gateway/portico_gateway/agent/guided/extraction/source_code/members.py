"""What a class or a file has: its methods, classes or functions, named and counted, where a question asks for them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from portico_gateway.agent.guided.extraction.source_code.expected import CodeKind, expected_code
from portico_gateway.agent.guided.extraction.source_code.statements import Role, SourceTree, Statement
from portico_gateway.agent.guided.extraction.source_code.words import Term, words_in
from portico_gateway.guidance.stemming import stems_of

MOST_NAMES = 40

_ASKED = re.compile(
    r"\b(?:how many|number of|count of|what|which|all|list|name|list of|the)\s+(?:\w+\s+){0,2}?"
    r"(?P<what>methods|functions|classes|subclasses|members)\b",
    re.IGNORECASE,
)
_KIN = re.compile(
    r"\b(?:what|which|list(?: all)?|all|name)\s+(?:the\s+)?(?P<word>\w+)\s+(?P<what>exceptions|errors|warnings|classes)\s+"
    r"(?:are\s+(?:there|defined)|exist|(?:do|does)\s+.*\b(?:define|have|know))\b",
    re.IGNORECASE,
)
_OTHERWISE = frozenset((CodeKind.CALLS, CodeKind.RAISES, CodeKind.RETURNS))
_OF = re.compile(r"\b(?:does|do|of|in|has|have|on|from|inside|defined|there|are|derive|inherit|subclasses)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Members:
    """Named things below a class or in a file, and how well the question names that class or file: 0 to 1."""

    tree: SourceTree
    owner: Statement | None  # None: the file
    what: str
    names: tuple[str, ...]
    named: float

    @property
    def text(self) -> str:
        """The count, and every name."""
        what, _, of = self.what.partition(" ")
        what = what if len(self.names) != 1 else {"classes": "class", "subclasses": "subclass"}.get(what, what[:-1])
        more = f" and {len(self.names) - MOST_NAMES} more" if len(self.names) > MOST_NAMES else ""
        owner = f"class {self.owner.name}: " if self.owner is not None else ""
        return f"{owner}{len(self.names)} {what}{of and f' {of}'}: {', '.join(self.names[:MOST_NAMES])}{more}"


def members(question: str, terms: Sequence[Term], trees: Sequence[SourceTree]) -> list[Members]:
    """What the question asks to list, of each class or file that it names."""
    if kin := _KIN.search(question):
        return sorted(_kin(trees, kin["word"], kin["what"].lower()), key=lambda m: -len(m.names))
    asked = _ASKED.search(question)
    if _OTHERWISE & set(expected_code(question).kinds):
        return []
    if asked is None or not _OF.search(question, asked.end("what")):
        return []
    what = asked["what"].lower()
    names = {term.text: 1.0 for term in terms if term.whole} | {term.stem: 0.6 for term in terms if term.name}
    found: list[Members] = []
    for tree in trees:
        if what == "subclasses":
            found += _subclasses(tree, names)
            continue
        for index, statement in enumerate(tree.statements):
            if statement.role is Role.TYPE and (named := _named(statement.name, names)):
                found.append(Members(tree, statement, what, _below(tree, index, what), named))
        if named := _file_named(tree.path, question):
            found.append(Members(tree, None, what, _below(tree, None, what), named))
    return sorted((m for m in found if m.names), key=lambda m: -m.named)


def _named(name: str, names: dict[str, float]) -> float:
    return max(names.get(name, 0.0), names.get(name.replace("_", "").lower(), 0.0) and 0.6)


def _file_named(path: str, question: str) -> float:
    base = path.rsplit("/", 1)[-1]
    return 1.0 if path in question else 0.9 if re.search(rf"(?<!\w){re.escape(base)}(?!\w)", question) else 0.0


def _below(tree: SourceTree, index: int | None, what: str) -> tuple[str, ...]:
    """Names right below a class, or anywhere at the outermost level of a file."""
    wanted = (Role.TYPE,) if what == "classes" else (Role.TYPE, Role.FUNCTION) if what == "members" else (Role.FUNCTION,)
    found: dict[str, None] = {}
    for statement in tree.statements:
        definitions = [i for i in statement.parents if tree.statements[i].name]
        if statement.role in wanted and (definitions[-1:] == [index] if index is not None else not definitions):
            found[statement.name] = None
    return tuple(found)


def _kin(trees: Sequence[SourceTree], word: str, what: str) -> list[Members]:
    """Of each file, the classes whose names or bases have a word: "Which timeout exceptions are there?"."""
    stems = set(stems_of(word))
    found: list[Members] = []
    for tree in trees:
        heads = [statement for statement in tree.statements if statement.role is Role.TYPE]
        names = dict.fromkeys(s.name for s in heads if stems and stems <= set(words_in(tree.text(s))))
        if len(names) > 1:
            found.append(Members(tree, None, f"{what} of {word}", tuple(names), 0.9))
    return found


def _subclasses(tree: SourceTree, names: dict[str, float]) -> list[Members]:
    found: list[Members] = []
    for name, named in names.items():
        heads = [s for s in tree.statements if s.role is Role.TYPE and s.name != name]
        derived = [s.name for s in heads if re.search(rf"[(:,<\s.]{re.escape(name)}\b", _after_name(tree, s))]
        if derived and named == 1.0:
            found.append(Members(tree, None, f"subclasses of {name}", tuple(dict.fromkeys(derived)), named))
    return found


def _after_name(tree: SourceTree, statement: Statement) -> str:
    return tree.text(statement).partition(statement.name)[2]
