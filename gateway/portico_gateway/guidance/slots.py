"""A tool's alternatives as slots to fill: for an object with several branches, what each branch lets its keys be.

It reads JSON Schemas and knows no question. An array of objects that pair a name with a value is a list of conditions, whatever
its keys are called.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from portico_gateway.guidance.description_convention import (
    PhrasesByOption,
    UnlentPhrases,
    lend,
    trigger_phrases,
)
from portico_gateway.guidance.schema_views import description_of, variants


@dataclass(frozen=True, slots=True)
class Condition:
    """What one name may be compared with, and how."""

    ops: tuple[str, ...]
    kinds: frozenset[str]  # of values: string, number, boolean, null, date
    listed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Conditions:
    """An array of objects, each a name with a value: the names of its keys, and what each name allows."""

    subject: str
    op: str | None
    value: str
    of: Mapping[str, Condition]


@dataclass(frozen=True, slots=True)
class Slot:
    """What a key may be in one branch."""

    name: str
    needed: bool
    options: tuple[str, ...] = ()
    many: bool = False  # an array of options
    number: bool = False
    conditions: Conditions | None = None
    phrases: PhrasesByOption = field(default_factory=dict)
    other: Any = None  # the schema of a key that is none of these


@dataclass(frozen=True, slots=True)
class Branch:
    """One alternative of an object: the choice that stands for it, key by key, and its other slots."""

    choice: Mapping[str, str]
    slots: tuple[Slot, ...]
    phrases: Mapping[str, PhrasesByOption]  # of the keys in `choice`
    order: tuple[str, ...]  # of all keys


def branches(schema: Any, root: Mapping[str, Any]) -> list[Branch]:
    """The alternatives of an object; none where it has one form only."""
    views = [view for view in variants(schema, root) if view.get("properties")]
    if len(views) < 2:
        return []
    read: dict[str, _Read] = {}
    slots = [_slots(view, root, read) for view in views]
    deciding = [name for name in slots[0] if _decides(name, slots)]
    found: list[Branch] = []
    for of in slots:
        rest = tuple(slot for name, slot in of.items() if name not in deciding)
        phrases = {name: of[name].phrases for name in deciding if name in of}
        for choice in _combinations([of[name] for name in deciding if name in of]):
            found.append(Branch(choice, rest, phrases, tuple(of)))
    return found if deciding else []


class _Read(NamedTuple):
    slot: Slot
    phrases: UnlentPhrases


def _slots(view: Mapping[str, Any], root: Mapping[str, Any], read: dict[str, _Read]) -> dict[str, Slot]:
    """A branch's slots by name. `read` keeps those of other branches, which are often the same."""
    found: dict[str, _Read] = {}
    for name, node in view["properties"].items():
        if _forbidden(node):
            continue
        needed = name in (view.get("required") or ())
        text = json.dumps([name, needed, node], sort_keys=True, default=str)
        if text not in read:
            read[text] = _slot(name, node, needed, root)
        found[name] = read[text]
    unlent = {name: of.phrases for name, of in found.items()}
    return {name: replace(of.slot, phrases=lend(of.phrases, unlent)) for name, of in found.items()}


def _forbidden(node: Any) -> bool:
    return (
        node is False
        or node == {"not": {}}
        or (isinstance(node, Mapping) and any(_forbidden(part) for part in node.get("allOf") or ()))
    )


def branch_vocabulary(forms: Sequence[Branch]) -> Iterator[str]:
    """Every name, listed value and phrase of an object's alternatives."""
    for form in forms:
        yield from form.choice.values()
        by_option = [*form.phrases.values(), *(slot.phrases for slot in form.slots)]
        phrases = [phrase for of_key in by_option for of_option in of_key.values() for phrase in of_option]
        yield from (" ".join(part) for phrase in phrases for part in phrase.parts)
        for slot in form.slots:
            yield from (slot.name, *slot.options)
            for condition in slot.conditions.of.values() if slot.conditions else ():
                yield from condition.listed


def _decides(name: str, slots: Sequence[Mapping[str, Slot]]) -> bool:
    """A required choice that is another in another branch."""
    offered = {of[name].options for of in slots if name in of}
    return len(offered) > 1 and all(name in of and of[name].needed and of[name].options and not of[name].many for of in slots)


def _combinations(slots: Sequence[Slot]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = [{}]
    for slot in slots:
        found = [{**before, slot.name: option} for before in found for option in slot.options]
    return found


def _slot(name: str, node: Any, needed: bool, root: Mapping[str, Any]) -> _Read:
    forms = variants(node, root)
    arrays = [form for form in forms if form.get("type") == "array"]
    items = [item for form in arrays for item in variants(form.get("items"), root)]
    objects = [item for item in items if item.get("properties")]
    options = tuple(dict.fromkeys(value for form in (items if arrays else forms) for value in _offered(form)))
    number = any({"integer", "number"} & _types(form) for form in forms)
    conditions = _conditions(objects, root) if objects else None
    other = None if options or number or conditions else node
    slot = Slot(name, needed, options, bool(arrays), number, conditions, other=other)
    return _Read(slot, trigger_phrases(description_of(forms)))


def _conditions(objects: Sequence[Mapping[str, Any]], root: Mapping[str, Any]) -> Conditions | None:
    forms = [{name: variants(node, root) for name, node in item["properties"].items()} for item in objects]
    names = list(dict.fromkeys(name for form in forms for name in form))
    free = [name for name in names if any(not _offered(view) for form in forms for view in form.get(name, ()))]
    choices = [name for name in names if name not in free]
    if len(free) != 1 or not choices:
        return None
    subject = next((name for name in choices if _differs(name, forms)), choices[0])
    op, value = next((name for name in choices if name != subject), None), free[0]
    of: dict[str, Condition] = {}
    for form in forms:
        if not {subject, value} <= set(form):
            return None
        ops = tuple(v for view in form.get(op or "", ()) for v in _offered(view))
        kinds = frozenset(kind for view in form[value] for kind in _kinds(view))
        listed = tuple(v for view in form[value] for v in _offered(view))
        for option in (v for view in form[subject] for v in _offered(view)):
            of.setdefault(option, Condition(ops, kinds, listed))
    return Conditions(subject, op, value, of)


def _differs(name: str, forms: Sequence[Mapping[str, Sequence[Mapping[str, Any]]]]) -> bool:
    """No option of the key is offered by two forms: it tells them apart."""
    offered = [v for form in forms for v in {v for view in form.get(name, ()) for v in _offered(view)}]
    return len(offered) == len(set(offered))


def _kinds(view: Mapping[str, Any]) -> set[str]:
    kinds = {"number" if kind == "integer" else kind for kind in _types(view)}
    if "string" in kinds and ("date" in str(view.get("format", "")) or str(view.get("pattern", "")).startswith(r"^\d{4}")):
        kinds = kinds - {"string"} | {"date"}
    return kinds


def _types(view: Mapping[str, Any]) -> set[str]:
    kind = view.get("type")
    return set(kind) if isinstance(kind, list) else {kind} if isinstance(kind, str) else set()


def _offered(view: Mapping[str, Any]) -> list[str]:
    return [v for v in ([view["const"]] if "const" in view else view.get("enum") or ()) if isinstance(v, str)]
