"""A JSON Schema as a document: its dialect, its subschemas by JSON pointer, and where its references lead.

It reads `$id`, `$anchor`, `$ref` and the dialect's differences, and nothing of what keywords mean. Nothing is ever fetched: a
reference that leaves the document finds only what the caller handed in, and the dialects' own meta-schemas.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote, urljoin

from portico_engine.errors import GrammarTooLarge, InvalidSchema
from portico_engine.grammar.bounds import Meter
from portico_engine.grammar.schema.keywords import escape, is_index


class SchemaDialect(enum.IntEnum):
    """Drafts of JSON Schema, in order."""

    DRAFT_4 = 4
    DRAFT_6 = 6
    DRAFT_7 = 7
    DRAFT_2019 = 2019
    DRAFT_2020 = 2020


_DIALECTS = {
    "json-schema.org/draft-03/schema": SchemaDialect.DRAFT_4,
    "json-schema.org/draft-04/schema": SchemaDialect.DRAFT_4,
    "json-schema.org/draft-06/schema": SchemaDialect.DRAFT_6,
    "json-schema.org/draft-07/schema": SchemaDialect.DRAFT_7,
    "json-schema.org/draft/2019-09/schema": SchemaDialect.DRAFT_2019,
    "json-schema.org/draft/2020-12/schema": SchemaDialect.DRAFT_2020,
}
_DATA = frozenset({"enum", "const", "default", "examples", "example"})  # keywords that hold values, never schemas
_NAMING = frozenset({"$id", "id", "$anchor", "$dynamicAnchor"})
_TELLING = _NAMING | {"exclusiveMinimum", "exclusiveMaximum", "items", "dependencies"}


def dialect_of(schema: Any) -> SchemaDialect:
    """The draft that a schema names; where it names none, 2020-12, unless it is written in draft-07's own way."""
    if not isinstance(schema, dict):
        return SchemaDialect.DRAFT_2020
    return _named_dialect(schema) or _survey(schema, None).dialect


def _named_dialect(schema: Any) -> SchemaDialect | None:
    """The dialect of `$schema`; an unknown one is read as 2020-12."""
    named = schema.get("$schema") if isinstance(schema, dict) else None
    if not isinstance(named, str):
        return None
    return _DIALECTS.get(named.split("://", 1)[-1].rstrip("#"), SchemaDialect.DRAFT_2020)


class _Survey(NamedTuple):
    """What one walk over a schema tells."""

    dialect: SchemaDialect  # by its way of writing
    names_itself: bool  # is there an $id or an anchor?


def _joined(base: str, reference: str) -> str:
    """RFC 3986's resolution; what is no URI (`http://[x`) stays as it is, and is nothing's name."""
    try:
        return urljoin(base, reference)
    except ValueError:
        return reference


def _survey(schema: Any, meter: Meter | None) -> _Survey:
    """Walk level by level, so that depth costs no recursion. Raises GrammarTooLarge."""
    dialect, names_itself = SchemaDialect.DRAFT_2020, False
    level: list[Any] = [schema]
    depth = 0
    while level:
        depth += 1
        if meter is not None and depth > meter.limits.nesting:
            raise GrammarTooLarge(f"the schema is nested more than {meter.limits.nesting} levels deep (its limit on nesting)")
        below: list[Any] = []
        for number, item in enumerate(level):
            if meter is not None and number & 4095 == 4095:
                meter.check_time()
            if isinstance(item, list):
                below += [child for child in item if isinstance(child, dict | list)]
                continue
            if not item.keys().isdisjoint(_TELLING):
                dialect = min(dialect, _way_of_writing(item))
                names_itself = names_itself or not item.keys().isdisjoint(_NAMING)
            below += [child for key, child in item.items() if isinstance(child, dict | list) and key not in _DATA]
        level = below
    return _Survey(dialect, names_itself)


def _way_of_writing(schema: dict[str, Any]) -> SchemaDialect:
    if isinstance(schema.get("exclusiveMinimum"), bool) or isinstance(schema.get("exclusiveMaximum"), bool):
        return SchemaDialect.DRAFT_4
    if isinstance(schema.get("items"), list) or isinstance(schema.get("dependencies"), dict):
        return SchemaDialect.DRAFT_7
    return SchemaDialect.DRAFT_2020


@dataclass(eq=False, slots=True)
class SchemaNode:
    """One subschema. Compared by identity: a document has one node for each pointer."""

    value: Any
    pointer: str
    base: str  # URI of the resource that it belongs to
    dialect: SchemaDialect
    children: dict[tuple[str | int, ...], SchemaNode] = field(default_factory=dict, repr=False)


class SchemaDocument:
    """A schema and everything that it can refer to."""

    def __init__(self, schema: Any, meter: Meter, resources: Mapping[str, Any] | None = None) -> None:
        survey = _survey(schema, meter) if isinstance(schema, dict) else _Survey(SchemaDialect.DRAFT_2020, False)
        self._names_itself = survey.names_itself
        self.dialect = _named_dialect(schema) or survey.dialect
        self._resources: dict[str, SchemaNode] = {}
        self._anchors: dict[tuple[str, str], SchemaNode] = {}
        self._outside = resources
        self.root = self._add_resource(schema, "", "", self.dialect)

    def child(self, node: SchemaNode, *path: str | int) -> SchemaNode:
        """The subschema at `path` under `node`."""
        known = node.children.get(path)
        if known is None:
            value, base, at = node.value, node.base, node
            for key in path:
                value = value[key]
            known = SchemaNode(value, node.pointer + "".join(f"/{escape(key)}" for key in path), base, at.dialect)
            own = self._own_id(value, known.dialect)
            if own is not None:
                known.base = _joined(base, own)
                known = self._resources.get(known.base, known) if known.base in self._resources else known
            node.children[path] = known
        return known

    def resolve(self, node: SchemaNode, reference: str, pointer: str) -> SchemaNode:
        """The node that `reference`, standing in `node`, leads to; InvalidSchema where it leads nowhere."""
        whole = node.base + reference if reference.startswith("#") else _joined(node.base, reference)
        uri, _, fragment = whole.partition("#")
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
            if isinstance(at.value, list) and is_index(str(key)) and int(key) < len(at.value):
                key = int(key)
            elif not isinstance(at.value, dict) or key not in at.value:
                raise InvalidSchema(pointer, f"{reference!r} leads to nothing in this schema ({token!r} isn't there)")
            at = self.child(at, key)
        return at

    # --- resources ---------------------------------------------------------------------------------------------------------

    def _load(self, uri: str) -> SchemaNode | None:
        if self._outside is not None and uri in self._outside:
            value = self._outside[uri]
            return self._add_resource(value, uri, f"<{uri}>", dialect_of(value) if isinstance(value, dict) else self.dialect)
        if "json-schema.org/" in uri:
            from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

            found = REGISTRY.get(uri)
            if found is not None:
                return self._add_resource(found.contents, uri, f"<{uri}>", dialect_of(found.contents))
        return None

    def _add_resource(self, value: Any, uri: str, pointer: str, dialect: SchemaDialect) -> SchemaNode:
        own = self._own_id(value, dialect)
        base = uri if own is None else _joined(uri, own).partition("#")[0]
        root = SchemaNode(value, pointer, base, dialect)
        self._resources[uri] = root
        self._resources.setdefault(base, root)
        if self._names_itself or pointer:
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
                base = _joined(resource.base, own).partition("#")[0]
                node = SchemaNode(value, anchor_at.pointer + "".join(f"/{escape(k)}" for k in path), base, resource.dialect)
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

    @staticmethod
    def _own_id(value: Any, dialect: SchemaDialect) -> str | None:
        if not isinstance(value, dict):
            return None
        own = value.get("id" if dialect == SchemaDialect.DRAFT_4 else "$id")
        if not isinstance(own, str) or own.startswith("#") or (dialect < SchemaDialect.DRAFT_2019 and "$ref" in value):
            return None
        return own
