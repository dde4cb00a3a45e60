"""What a question is weighed against in a tool's arguments: an object's keys, values and alternatives, each read once.

It reads JSON Schemas and knows no question; what each part is worth is `argument_priors`'.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from portico_gateway.guidance.description_convention import THE_KEY, StringRole, option_titles, quoted, string_role
from portico_gateway.guidance.schema_views import description_of, variants
from portico_gateway.guidance.slots import Branch, branch_vocabulary, branches
from portico_gateway.guidance.stemming import content_words, stems_of


class ObjectReading:
    """An object of a tool's arguments; `root` is the schema that its references are in."""

    def __init__(self, schema: Any, root: Mapping[str, Any]) -> None:
        self._schema, self._root = schema, root

    @cached_property
    def forms(self) -> Sequence[Branch]:
        """Its alternatives; none where it has one form only."""
        return branches(self._schema, self._root)

    @cached_property
    def known_stems(self) -> frozenset[str]:
        """Of every name, listed value and phrase of its alternatives."""
        return frozenset(stem for text in branch_vocabulary(self.forms) for stem in stems_of(text))

    @cached_property
    def others(self) -> Mapping[str, ValueReading]:
        """The keys of its alternatives that are no choices, numbers or conditions."""
        slots = {slot.name: slot for form in self.forms for slot in form.slots if slot.other is not None}
        return {name: ValueReading(name, [slot.other], self._root) for name, slot in slots.items()}

    @cached_property
    def values(self) -> Mapping[str, ValueReading]:
        """Of all its views, in order."""
        names = list(dict.fromkeys(name for view in self._views for name in view["properties"]))
        nodes = {name: [view["properties"][name] for view in self._views if name in view["properties"]] for name in names}
        return {name: ValueReading(name, of, self._root) for name, of in nodes.items()}

    @cached_property
    def needed(self) -> frozenset[str]:
        """The keys that every view requires."""
        return frozenset(name for name in self.values if all(name in (view.get("required") or ()) for view in self._views))

    @cached_property
    def _views(self) -> list[dict[str, Any]]:
        return [view for view in variants(self._schema, self._root) if view.get("properties")]


class ValueReading:
    """A key's value, of all views of its object."""

    def __init__(self, name: str, nodes: Sequence[Any], root: Mapping[str, Any]) -> None:
        views = [view for node in nodes for view in variants(node, root)]
        described = description_of(views)
        views += [inner for view in views if view.get("type") == "array" for inner in variants(view.get("items"), root)]
        options = option_titles(views)
        objects = [view for view in views if view.get("properties")]
        self.options: Mapping[str, frozenset[str]] = {option: frozenset(content_words(option)) for option in options}
        self.option_texts = [f"{value} {title}".replace("_", " ").replace(".", " ") for value, title in options.items()]
        self.phrases = [(_option_of(one.option), [f" {phrase} " for phrase in one.written]) for one in quoted(described)]
        self.object = ObjectReading({"anyOf": objects}, root) if objects else None
        self.is_item = any(view.get("type") == "array" for view in views)  # the object is one of an array's
        self.is_free_string = any(map(_is_free_string, views))
        self.role: StringRole = string_role(name, described)

    def spoken(self, asked: str) -> dict[str, bool]:
        """Which options a question speaks for, word by word, and whether it does for the key; `asked` are its words with single
        spaces between and around.

        Phrases with gaps speak for alternatives alone; those of an option that is no word ("<") speak for the key.
        """
        found: dict[str, bool] = {}
        for option, phrases in self.phrases:
            found[option] = found.get(option, False) or any(phrase in asked for phrase in phrases)
        return found


def _option_of(written: str) -> str:
    word = re.search(r"\w+$", written)
    return word[0] if word else THE_KEY


def _is_free_string(view: Mapping[str, Any]) -> bool:
    kind = view.get("type")
    return (kind == "string" or (isinstance(kind, list) and "string" in kind)) and "enum" not in view and "const" not in view
