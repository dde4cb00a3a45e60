"""A JSON Schema as a document: its dialect, its subschemas by JSON pointer, and where its references lead.

It reads `$id`, `$anchor`, `$ref` and the dialect's differences, and nothing of what keywords mean. Nothing is ever fetched: a
reference that leaves the document finds only what the caller handed in, and the dialects' own meta-schemas.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from portico_engine.errors import GrammarTooLarge, InvalidSchema
from portico_engine.grammar.bounds import Limits


class Dialect(enum.IntEnum):
    """Drafts of JSON Schema, in order."""

    DRAFT_4 = 4
    DRAFT_6 = 6
    DRAFT_7 = 7
    DRAFT_2019 = 2019
    DRAFT_2020 = 2020


_DIALECTS = {
    "json-schema.org/draft-03/schema": Dialect.DRAFT_4,
    "json-schema.org/draft-04/schema": Dialect.DRAFT_4,
    "json-schema.org/draft-06/schema": Dialect.DRAFT_6,
    "json-schema.org/draft-07/schema": Dialect.DRAFT_7,
    "json-schema.org/draft/2019-09/schema": Dialect.DRAFT_2019,
    "json-schema.org/draft/2020-12/schema": Dialect.DRAFT_2020,
}
_DATA = frozenset({"enum", "const", "default", "examples", "example"})  # keywords that hold values, never schemas


def dialect_of(schema: Any) -> Dialect:
    """The draft that a schema names; where it names none, 2020-12, unless it is written in draft-07's own way."""
    if not isinstance(schema, dict):
        return Dialect.DRAFT_2020
    named = schema.get("$schema")
    if isinstance(named, str):
        known = _DIALECTS.get(named.split("://", 1)[-1].rstrip("#"))
        return known or Dialect.DRAFT_2020
    for value in _dicts(schema):
        if isinstance(value.get("items"), list) or ("dependencies" in value and isinstance(value["dependencies"], dict)):
            return Dialect.DRAFT_7
        if isinstance(value.get("exclusiveMinimum"), bool) or isinstance(value.get("exclusiveMaximum"), bool):
            return Dialect.DRAFT_4
    return Dialect.DRAFT_2020


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield item
            stack.extend(v for k, v in item.items() if k not in _DATA)
        elif isinstance(item, list):
            stack.extend(item)


@dataclass(eq=False, slots=True)
class SchemaNode:
    """One subschema. Compared by identity: a document has one node for each pointer."""

    value: Any
    pointer: str
    base: str  # URI of the resource that it belongs to
    dialect: Dialect
    children: dict[tuple[str | int, ...], SchemaNode] = field(default_factory=dict, repr=False)


class SchemaDocument:
    """A schema and everything that it can refer to."""

    def __init__(self, schema: Any, limits: Limits, resources: Mapping[str, Any] | None = None) -> None:
        _check_nesting(schema, limits)
        self.dialect = dialect_of(schema)
        self._resources: dict[str, SchemaNode] = {}
        self._anchors: dict[tuple[str, str], SchemaNode] = {}
        self._dynamic: dict[tuple[str, str], SchemaNode] = {}
        self._outside = resources
        self.root = self._add_resource(schema, "", "", self.dialect)

    def child(self, node: SchemaNode, *path: str | int) -> SchemaNode:
        """The subschema at `path` under `node`."""
        known = node.children.get(path)
        if known is None:
            value, base, at = node.value, node.base, node
            for key in path:
                value = value[key]
            known = SchemaNode(value, node.pointer + "".join(f"/{_escape(key)}" for key in path), base, at.dialect)
            own = self._own_id(value, known.dialect)
            if own is not None:
                known.base = urljoin(base, own)
                known = self._resources.get(known.base, known) if known.base in self._resources else known
            node.children[path] = known
        return known

    def resolve(self, node: SchemaNode, reference: str, pointer: str) -> SchemaNode:
        """The node that `reference`, standing in `node`, leads to; InvalidSchema where it leads nowhere."""
        uri, fragment = urldefrag(urljoin(node.base, reference) if not reference.startswith("#") else node.base + reference)
        resource = self._resources.get(uri) or self._load(uri)
        if resource is None:
            raise InvalidSchema(
                pointer, f"{reference!r} is outside this schema, and references are never fetched; put it under $defs"
            )
        fragment = unquote(fragment)
        if not fragment:
            return resource
        if not fragment.startswith("/"):
            found = self._anchors.get((uri, fragment))
            if found is None:
                raise InvalidSchema(pointer, f"{reference!r} names an anchor that isn't in the schema")
            return found
        at = resource
        for token in fragment[1:].split("/"):
            key: str | int = token.replace("~1", "/").replace("~0", "~")
            if isinstance(at.value, list) and str(key).isdigit() and int(key) < len(at.value):
                key = int(key)
            elif not isinstance(at.value, dict) or key not in at.value:
                raise InvalidSchema(pointer, f"{reference!r} leads to nothing in this schema ({token!r} isn't there)")
            at = self.child(at, key)
        return at

    def dynamic_anchor(self, node: SchemaNode, fragment: str) -> bool:
        """Does `fragment` name a $dynamicAnchor in the resource of `node`?"""
        return (node.base, fragment) in self._dynamic

    # --- resources ---------------------------------------------------------------------------------------------------------

    def _load(self, uri: str) -> SchemaNode | None:
        if self._outside is not None and uri in self._outside:
            value = self._outside[uri]
            return self._add_resource(value, uri, f"<{uri}>", dialect_of(value) if isinstance(value, dict) else self.dialect)
        if "json-schema.org/" in uri:
            from jsonschema_specifications import REGISTRY

            found = REGISTRY.get(uri)
            if found is not None:
                return self._add_resource(found.contents, uri, f"<{uri}>", dialect_of(found.contents))
        return None

    def _add_resource(self, value: Any, uri: str, pointer: str, dialect: Dialect) -> SchemaNode:
        own = self._own_id(value, dialect)
        base = urldefrag(urljoin(uri, own))[0] if own is not None else uri
        root = SchemaNode(value, pointer, base, dialect)
        self._resources[uri] = root
        self._resources.setdefault(base, root)
        self._index(root)
        return root

    def _index(self, root: SchemaNode) -> None:
        """Find the embedded resources and anchors below `root`."""
        stack: list[tuple[SchemaNode, SchemaNode, tuple[str | int, ...], Any]] = [(root, root, (), root.value)]
        while stack:
            resource, anchor_at, path, value = stack.pop()
            if isinstance(value, list):
                stack.extend((resource, anchor_at, (*path, i), v) for i, v in enumerate(value))
                continue
            if not isinstance(value, dict):
                continue
            own = self._own_id(value, resource.dialect) if path else None
            if own is not None:
                base = urldefrag(urljoin(resource.base, own))[0]
                node = SchemaNode(value, anchor_at.pointer + "".join(f"/{_escape(k)}" for k in path), base, resource.dialect)
                self._resources.setdefault(base, node)
                anchor_at.children[path] = node
                resource, anchor_at, path = node, node, ()
            self._note_anchors(value, resource, anchor_at, path)
            stack.extend((resource, anchor_at, (*path, k), v) for k, v in value.items() if k not in _DATA)

    def _note_anchors(self, value: dict[str, Any], resource: SchemaNode, at: SchemaNode, path: tuple[str | int, ...]) -> None:
        for keyword in ("$anchor", "$dynamicAnchor", "$id", "id"):
            name = value.get(keyword)
            if not isinstance(name, str) or (keyword in ("$id", "id") and not name.startswith("#")):
                continue
            node = self.child(at, *path) if path else at
            self._anchors.setdefault((resource.base, name.lstrip("#")), node)
            if keyword == "$dynamicAnchor":
                self._dynamic.setdefault((resource.base, name), node)

    @staticmethod
    def _own_id(value: Any, dialect: Dialect) -> str | None:
        if not isinstance(value, dict):
            return None
        own = value.get("id" if dialect == Dialect.DRAFT_4 else "$id")
        if not isinstance(own, str) or own.startswith("#") or (dialect < Dialect.DRAFT_2019 and "$ref" in value):
            return None
        return own


def _escape(key: str | int) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")


def _check_nesting(schema: Any, limits: Limits) -> None:
    """Walk level by level, so that depth costs no recursion."""
    level, depth = [schema], 0
    while level:
        depth += 1
        if depth > limits.nesting:
            raise GrammarTooLarge(f"the schema is nested more than {limits.nesting} levels deep (its limit on nesting)")
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, dict | list)
        ]
