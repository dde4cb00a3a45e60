"""reStructuredText, Sphinx's included -> Page. docutils parses; the text stays the source, line for line.

docutils runs without `raw`, `include`, `csv-table` files or any other access to files, and its configuration files are not
read. Directives and roles that only Sphinx knows are taken as containers and plain text; those that document an object
(`function`, `option`, `glossary`, ...) become sections under the anchor that Sphinx gives them (`sphinx_objects`).
"""

from __future__ import annotations

import re
from typing import Any

from docutils import core, nodes
from docutils.parsers.rst import Directive, Parser, directives, roles, states

from portico_servers.docs.errors import ReadError
from portico_servers.docs.ingest.pages import Heading, Page, make_page
from portico_servers.docs.ingest.readers.sphinx_objects import OBJECTS, Domain, glossary_terms

_DIRECTIVE = re.compile(r"^[ \t]*(?:[-*] )?\.\. +([A-Za-z][\w:.+-]*?)::(?:\s|$)", re.M)
_ROLE = re.compile(r":([A-Za-z][\w:.+-]*):(?=`)|(?<=`):([A-Za-z][\w:.+-]*):")
_SPHINX_ONLY = {"toctree", "index", "only", "highlight", "productionlist", "tabularcolumns", "literalinclude", "testsetup"}
_SETTINGS = {
    "report_level": 5,
    "halt_level": 5,
    "raw_enabled": False,
    "file_insertion_enabled": False,
    "_disable_config": True,
    "doctitle_xform": False,
    "docinfo_xform": False,
    "auto_id_prefix": "id",
    "embed_stylesheet": False,
    "smart_quotes": False,
    "warning_stream": False,
    "line_length_limit": 100_000,
}


class _Opaque(Directive):  # type: ignore[misc]
    """A directive whose content is no prose of this page: a table of contents, code, an index entry."""

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        return []


class _Container(_Opaque):
    """An unknown directive: its content is parsed as if it stood in a box."""

    def run(self) -> list[nodes.Node]:
        box = nodes.container()
        self.state.nested_parse(self.content, self.content_offset, box)
        return [box]


class _Object(_Opaque):
    """A directive that documents something: a section of its own, with Sphinx's anchor."""

    def run(self) -> list[nodes.Node]:
        domain: Domain = self.state.document.settings.portico_domain
        signatures = _signatures(self.arguments)
        last = self.content_offset + len(self.content) if self.content else self.lineno + max(0, len(signatures) - 1)
        found = domain.open(self.name, signatures)
        box = nodes.container(names=[], portico=(found, self.lineno, last))
        if self.name.endswith("glossary"):
            for title, anchor, line, end in glossary_terms(list(self.content)):
                box += nodes.container(portico_term=(title, anchor, self.content_offset + line, self.content_offset + end))
        self.state.nested_parse(self.content, self.content_offset, box)
        domain.close(found)
        return [box]


def _signatures(arguments: list[str]) -> list[str]:
    lines = "\n".join(arguments).replace("\\\n", "").split("\n")
    return [line.strip() for line in lines if line.strip() and not re.match(r"\s*:[\w-]+:", line)]


def _plain_role(
    name: str, rawtext: str, text: str, lineno: int, inliner: Any, options: Any = None, content: Any = None
) -> tuple[list[nodes.Node], list[nodes.Node]]:
    """`:func:`~os.path.join`` reads `join`; `:ref:`Title <label>`` reads `Title`."""
    shown = re.sub(r"\s*(?<!\\)<[^<>]*>\s*$", "", text) or text
    if shown.startswith("~"):
        shown = shown.rpartition(".")[2]
    return [nodes.literal(rawtext, shown.lstrip("!"))], []


def _register(text: str) -> None:
    """Teach docutils the names that this text uses. Its registry is global: names that it knows itself are left alone."""
    known = set(directives._directive_registry) | set(directives._directives)
    for name in set(_DIRECTIVE.findall(text)) | {n.lower() for n in _DIRECTIVE.findall(text)}:
        base = name.rpartition(":")[2]
        if name in OBJECTS:
            directives.register_directive(name, _Object)
        elif name not in known:
            directives.register_directive(name, _Opaque if base in _SPHINX_ONLY else _Container)
    for first, second in _ROLE.findall(text):
        role = (first or second).lower()
        if role not in roles._role_registry and role not in roles._roles:
            roles.register_local_role(role, _plain_role)


def read_rst(path: str, text: str) -> Page:
    _register(text)
    domain = Domain()
    overrides = {**_SETTINGS, "portico_domain": domain}
    try:
        tree = core.publish_doctree(text, parser=Parser(inliner=_inliner()), settings_overrides=overrides)
    except (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError, AssertionError) as error:
        # docutils has no exception of its own for what its own directives trip over.
        raise ReadError(f"{path}: not readable as reStructuredText: {type(error).__name__}: {error}") from None
    lines = text.split("\n")
    headings: list[Heading] = []
    _walk(tree, 0, lines, headings)
    return make_page("", text, "rst", headings)


def _inliner() -> states.Inliner:
    """Bare addresses stay text: nothing here follows them, and looking for them takes minutes in some long lines."""
    inliner = states.Inliner()
    inliner.implicit_inline = lambda text, lineno: [nodes.Text(text)] if text else []
    return inliner


def _walk(node: nodes.Node, level: int, lines: list[str], headings: list[Heading]) -> None:
    """Sections and objects, in order of the document. `level` is that of the enclosing heading."""
    pending: list[str] = []
    for child in getattr(node, "children", ()):
        if isinstance(child, nodes.target):
            pending += [*child["ids"], *([child["refid"]] if "refid" in child else [])]
            continue
        deeper = level
        if isinstance(child, nodes.section):
            deeper = level + 1
            headings.append(_section(child, deeper, lines))
        elif isinstance(child, nodes.container) and "portico" in child:
            found, line, last = child["portico"]
            if found.module_anchor and headings:
                _rename(headings, found.module_anchor)
            if found.anchors:
                deeper = level + 1
                headings.append(Heading(deeper, found.title, found.anchors[0], line, last, (*found.anchors[1:], *pending)))
        elif isinstance(child, nodes.container) and "portico_term" in child:
            title, anchor, line, last = child["portico_term"]
            headings.append(Heading(level + 1, title, anchor, line, last))
            continue
        elif pending and headings:
            _alias(headings, pending)
        pending = []
        if not isinstance(child, (nodes.Text, nodes.TextElement)):
            _walk(child, deeper, lines, headings)
    if pending and headings:
        _alias(headings, pending)


def _section(node: nodes.section, level: int, lines: list[str]) -> Heading:
    # docutils notes the line of the underline; an overlined title begins two lines above it.
    under = node.line or 1
    line = max(1, under - 1)
    mark = lines[under - 1].strip()[:1] if under <= len(lines) else ""
    over = lines[line - 2].strip() if line >= 2 else ""
    if mark and over and not over.strip(mark):
        line -= 1
    title = node[0].astext() if node.children and isinstance(node[0], nodes.title) else ""
    ids = node["ids"] or [""]
    return Heading(level, " ".join(title.split()), ids[0], line, aliases=tuple(ids[1:]))


def _rename(headings: list[Heading], anchor: str) -> None:
    """Sphinx gives a section that begins with `.. module:: m` the id `module-m`."""
    last = headings[-1]
    if last.anchor.startswith("module-"):
        return
    headings[-1] = Heading(last.level, last.title, anchor, last.line, last.end, (last.anchor, *last.aliases))


def _alias(headings: list[Heading], names: list[str]) -> None:
    last = headings[-1]
    headings[-1] = Heading(last.level, last.title, last.anchor, last.line, last.end, (*last.aliases, *names))
