"""The directives by which Sphinx documents objects, and the anchors that it gives them. Knows nothing of docutils.

Source: Sphinx's domains (python, c, cpp, javascript, std) and the object types that CPython's and Django's own
configurations add.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from portico_servers.docs.ingest.anchors import sphinx_id

_PYTHON_CLASSES = {"class", "exception"}
_PYTHON_LEAVES = {"function", "method", "attribute", "data", "classmethod", "staticmethod", "property", "type"}
_PYTHON_LEAVES |= {"decorator", "decoratormethod", "awaitablefunction", "coroutinefunction", "coroutinemethod"}
_PYTHON_LEAVES |= {"abstractmethod", "awaitablemethod"}
_C = {"function", "macro", "type", "member", "var", "struct", "union", "enum", "enumerator"}
# directive -> (prefix of the anchor, does the program's name belong into it)
_STANDARD = {
    "option": "cmdoption",
    "cmdoption": "cmdoption",
    "envvar": "envvar",
    "confval": "confval",
    "opcode": "opcode",
    "pdbcommand": "pdbcommand",
    "2to3fixer": "2to3fixer",
    "setting": "std-setting",
    "templatetag": "std-templatetag",
    "templatefilter": "std-templatefilter",
    "fieldlookup": "std-fieldlookup",
    "django-admin": "django-admin",
    "django-admin-option": "cmdoption",
}
_MODULES = {"module", "currentmodule", "program"}
OBJECTS = frozenset(
    {name for bare in _PYTHON_CLASSES | _PYTHON_LEAVES for name in (bare, f"py:{bare}")}
    | {"py:module", "py:currentmodule", "glossary", "describe", "object"}
    | {f"c:{name}" for name in _C}
    | {f"js:{name}" for name in ("function", "class", "method", "attribute", "data")}
    | set(_STANDARD)
    | _MODULES
)

_SIGNATURE = re.compile(r"^(?:(?:async|abstract|classmethod|static|final)\s+)*(?P<name>@?[\w.]+)\s*(?:[\[(:=].*|->.*)?$")
_C_NAME = re.compile(r"(?P<name>[A-Za-z_]\w*(?:\.\w+)*)\s*(?:\(|\[|$|=|;)")


@dataclass(frozen=True, slots=True)
class Documented:
    """What one directive documents. Without `anchors` it's a mere box; `scope` is the class that its content lies in."""

    title: str = ""
    anchors: tuple[str, ...] = ()
    scope: str = ""
    module_anchor: str = ""


@dataclass(slots=True)
class Domain:
    """Where in the program the text stands: the module, the enclosing classes, the command-line program."""

    module: str = ""
    program: str = ""
    classes: list[str] = field(default_factory=list)

    def open(self, directive: str, signatures: list[str]) -> Documented:
        """Call before the directive's content is parsed, and `close` afterwards."""
        domain, _, kind = directive.rpartition(":")
        first = signatures[0] if signatures else ""
        if kind in ("module", "currentmodule") and domain in ("", "py"):
            self.module = "" if first == "None" else first
            return Documented(module_anchor=f"module-{first}" if kind == "module" else "")
        if kind == "program":
            self.program = "" if first == "None" else re.sub(r"\s+", "-", first)
            return Documented()
        if domain == "c":
            return self._named(signatures, [f"c.{name}" for s in signatures if (name := _c_name(s))])
        if domain == "js":
            return self._named(signatures, [s.partition("(")[0].strip() for s in signatures])
        if kind in _STANDARD and domain in ("", "std"):
            return self._named(signatures, [a for s in signatures for a in self._standard(kind, s)])
        if kind in _PYTHON_CLASSES | _PYTHON_LEAVES:
            return self._python(kind, signatures)
        return Documented(title=first)

    def close(self, opened: Documented) -> None:
        if opened.scope:
            self.classes.pop()

    def _named(self, signatures: list[str], anchors: list[str]) -> Documented:
        return Documented(title=signatures[0] if signatures else "", anchors=tuple(dict.fromkeys(a for a in anchors if a)))

    def _python(self, kind: str, signatures: list[str]) -> Documented:
        names = []
        for signature in signatures:
            found = _SIGNATURE.match(signature)
            if not found:
                continue
            name = found["name"].lstrip("@")
            scope = self.classes[-1] if self.classes else ""
            if scope and name != scope and not name.startswith(f"{scope}."):
                name = f"{scope}.{name}"
            if self.module and name.startswith(f"{self.module}."):
                name = name[len(self.module) + 1 :]
            names.append(name)
        anchors = tuple(dict.fromkeys(f"{self.module}.{name}" if self.module else name for name in names))
        scope = names[0] if names and kind in _PYTHON_CLASSES else ""
        if scope:
            self.classes.append(scope)
        title = signatures[0] if signatures else ""
        if anchors and "." in anchors[0]:
            # The reader of a single passage should see whose method it is.
            bare = title.partition("(")
            title = f"{anchors[0]}({bare[2]}" if bare[1] else anchors[0]
        return Documented(title=title, anchors=anchors, scope=scope)

    def _standard(self, kind: str, signature: str) -> list[str]:
        prefix = _STANDARD[kind]
        if prefix == "cmdoption":
            names = [re.split(r"[\s=\[<]", part.strip(), maxsplit=1)[0] for part in signature.split(",")]
            program = f"cmdoption-{self.program}" if self.program else prefix
            return [sphinx_id(program if n.startswith(("-", "/")) else f"{program}-arg", n) for n in names if n]
        name = signature.split("(")[0].split()[0] if signature.split() else ""
        return [f"{prefix}-{name}" if kind in ("opcode", "setting", "envvar") else sphinx_id(prefix, name)] if name else []


def _c_name(signature: str) -> str:
    found = _C_NAME.search(signature)
    return found["name"] if found else ""


def glossary_terms(content: list[str]) -> list[tuple[str, str, int, int]]:
    """(term, anchor, first line, last line) of a `glossary`'s content, lines counted from 1 in it."""
    terms: list[tuple[str, str, int, int]] = []
    starts = [n for n, line in enumerate(content) if line.strip() and not line.startswith((" ", "\t", "..", ":"))]
    for index, start in enumerate(starts):
        end = starts[index + 1] if index + 1 < len(starts) else len(content)
        # A term directly above another one shares its definition.
        term = re.sub(r"\s+:.*$", "", content[start].strip())
        terms.append((term, sphinx_id("term", term), start + 1, end))
    return terms
