"""Directives of reST and MyST: which of them hold text, code, a name that their text is about, or nothing to read."""

from __future__ import annotations

import re
from enum import Enum, auto

_RST = re.compile(r"\.\.\s+([A-Za-z][\w:+.-]*)::\s*(.*)$")
_FENCE_INFO = re.compile(r"\{([A-Za-z][\w:+.-]*)\}\s*(.*)$")
_CODE = frozenset("code code-block sourcecode parsed-literal testcode doctest prompt ipython testoutput click:example".split())
_CODE |= {"click:run", "code-cell", "testsetup", "literalinclude", "console"}
_SILENT = frozenset(
    "image figure toctree contents include index currentmodule module highlight raw tabularcolumns meta todo autofunction "
    "autoclass automethod automodule autodata autoattribute autoexception autosummary click mermaid graphviz".split()
)
_NAMED = frozenset(
    "data function class method attribute exception option cmdoption envvar confval decorator type module macro property "
    "classmethod staticmethod glossary describe object command program setting".split()
)
_TABS = frozenset(("tab", "tab-item", "group-tab", "code-tab"))
_SINCE = {
    "versionadded": "Added in version",
    "versionchanged": "Changed in version",
    "deprecated": "Deprecated since version",
    "versionremoved": "Removed in version",
}


class Holds(Enum):
    """What is below a directive's first line."""

    TEXT = auto()
    CODE = auto()
    NAMED = auto()  # text about the name that the first line gives
    TAB = auto()  # text that is one of several variants; the first line names it
    NOTHING = auto()


def rst_directive(line: str) -> tuple[str, str] | None:
    """(name, argument) of a reST directive's first line."""
    match = _RST.match(line)
    return (match[1], match[2].strip()) if match else None


def fence_directive(info: str) -> tuple[str, str] | None:
    """(name, argument) of what follows the marks of a MyST fence; None for code in a language."""
    match = _FENCE_INFO.match(info.strip())
    return (match[1], match[2].strip()) if match else None


def holds(name: str) -> Holds:
    """What the directive holds; an unknown one holds text."""
    last = name.rsplit(":", 1)[-1]
    if name in _CODE or last in _CODE:
        return Holds.CODE
    if name in _SILENT:
        return Holds.NOTHING
    if name in _TABS:
        return Holds.TAB
    return Holds.NAMED if last in _NAMED else Holds.TEXT


def opening(name: str, argument: str) -> str:
    """What the first line says to a reader: a change's version, or the text that stands there."""
    if name in _SINCE:
        version, _, rest = argument.partition(" ")
        return f"{_SINCE[name]} {version}" + (f": {rest.strip()}" if rest.strip() else "")
    return argument
