"""Where a schema's references lead by its own names, and which of them go round in a circle.

A circle is one that no value ends: a subschema that applies itself to the very value that it is asked about (JSON Schema
2020-12, core, 9.4.1 calls what results undefined). One that goes through a property or an item is recursion, and right.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote, urljoin

from portico_engine.grammar.schema import keywords as read

REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_SAME_VALUE = ("not", "if", "then", "else")  # keywords whose subschema is asked about the same value
_SAME_VALUE_LISTS = ("allOf", "anyOf", "oneOf")
_SAME_VALUE_MAPS = ("dependentSchemas", "dependencies")


class Circle(NamedTuple):
    """A reference that leads back to a subschema which is being asked already."""

    schema: dict[str, Any]  # it stands in this one
    keyword: str  # one of REFERENCES


class Names:
    """A document's own names, looked for once."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.resources = False  # are there schemas with names of their own, from which references count?
        self.anchors: dict[str, Any] = {}
        self._own = root.get("$id", root.get("id")) if isinstance(root, dict) else None
        stack = [root]
        while stack:
            item = stack.pop()
            if isinstance(item, list):
                stack.extend(item)
            elif isinstance(item, dict):
                self._note(item)
                stack.extend(item.values())

    def _note(self, item: dict[str, Any]) -> None:
        for keyword in ("$anchor", "$dynamicAnchor", "$id", "id"):
            name = item.get(keyword)
            if not isinstance(name, str):
                continue
            if not keyword.endswith("id"):
                self.anchors.setdefault(name, item)
            elif name.startswith("#"):
                self.anchors.setdefault(name[1:], item)
            elif item is not self.root:
                self.resources = True

    def target(self, reference: Any) -> Any:
        """The subschema that a reference within the document leads to; None where it leads to none."""
        if not isinstance(reference, str):
            return None
        resource, _, fragment = reference.partition("#")
        if resource and _joined(self._own, resource) != _joined(self._own, ""):
            return None
        name = unquote(fragment)
        if not name:
            return self.root
        at = self.root if name.startswith("/") else self.anchors.get(name)
        for step in name[1:].split("/") if name.startswith("/") else ():
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(at, list) and read.is_index(key) and int(key) < len(at):
                at = at[int(key)]
            elif isinstance(at, dict) and key in at:
                at = at[key]
            else:
                return None
        return at if isinstance(at, dict | bool) else None


def _joined(own: Any, resource: str) -> str:
    try:
        return urljoin(own.partition("#")[0], resource) if isinstance(own, str) else resource
    except ValueError:  # "http://[" is no URI
        return resource


class _Step(NamedTuple):
    """A way from a subschema to one that is asked about the same value."""

    target: dict[str, Any]
    keyword: str

    @property
    def refers(self) -> bool:
        return self.keyword in REFERENCES


def circles(root: Any) -> list[Circle]:
    """References without which no subschema of the document asks itself about the same value, in time linear in its size.
    Empty for a document with resources of their own, which only a whole resolver can follow."""
    names = Names(root)
    if names.resources:
        return []
    found: dict[tuple[int, str], Circle] = {}
    done: set[int] = set()
    for start in _subschemas(root):
        if id(start) not in done:
            _look_from(start, names, done, found)
    return list(found.values())


def _subschemas(root: Any) -> Iterator[dict[str, Any]]:
    stack = [root]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield item
            stack.extend(reversed(item.values()))
        elif isinstance(item, list):
            stack.extend(reversed(item))


def _look_from(start: dict[str, Any], names: Names, done: set[int], found: dict[tuple[int, str], Circle]) -> None:
    """Depth first. Of a circle the reference that was taken last is the one to be left out."""
    entered = {id(start): 0}  # where on the way each open subschema stands
    way = [(start, _steps(start, names))]
    referred: list[tuple[int, Circle]] = []  # the references on the way: where they lead to, and what they are
    while way:
        schema, steps = way[-1]
        step = next(steps, None)
        if step is None:
            way.pop()
            del entered[id(schema)]
            done.add(id(schema))
            while referred and referred[-1][0] >= len(way):
                referred.pop()
            continue
        circle = Circle(schema, step.keyword)
        back = entered.get(id(step.target))
        if back is not None:
            last = circle if step.refers else next((one for at, one in reversed(referred) if at > back), None)
            if last is not None:
                found.setdefault((id(last.schema), last.keyword), last)
        elif id(step.target) not in done:
            entered[id(step.target)] = len(way)
            if step.refers:
                referred.append((len(way), circle))
            way.append((step.target, _steps(step.target, names)))


def _steps(schema: dict[str, Any], names: Names) -> Iterator[_Step]:
    for keyword in REFERENCES:
        if isinstance(target := names.target(schema.get(keyword)), dict):
            yield _Step(target, keyword)
    for keyword in _SAME_VALUE:
        if isinstance(sub := schema.get(keyword), dict):
            yield _Step(sub, keyword)
    for keyword in _SAME_VALUE_LISTS:
        listed = schema.get(keyword)
        for sub in listed if isinstance(listed, list) else ():
            if isinstance(sub, dict):
                yield _Step(sub, keyword)
    for keyword in _SAME_VALUE_MAPS:
        mapped = schema.get(keyword)
        for sub in mapped.values() if isinstance(mapped, dict) else ():
            if isinstance(sub, dict):
                yield _Step(sub, keyword)
