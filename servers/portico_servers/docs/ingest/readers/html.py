"""HTML -> Page: the main content as light Markdown, every heading and documented object under the id that a browser opens.

`line` counts in the Markdown made here. Navigation, scripts, forms and permalinks are left out. Parsing is selectolax's
(lexbor); nothing is ever fetched or run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from portico_servers.docs.errors import ReadError
from portico_servers.docs.ingest.pages import Heading, Page, make_page

_MAIN = ("[role=main]", "main", "article", "#content", "#main", ".document", ".content", "body")
_NOISE = (
    "script, style, noscript, template, nav, header nav, footer, aside, form, iframe, svg, button, select, input, "
    "[role=navigation], [role=search], [role=banner], [role=contentinfo], [aria-hidden=true], [hidden], "
    ".linenos, a.headerlink, a.header-anchor, a.doc-anchor, a.anchor-link, a.hash-link, a.viewcode-link, "
    ".toctree-wrapper, .sphinxsidebar, .related, .breadcrumb, "
    ".breadcrumbs, .cookie-banner, .skip-link, .edit-this-page"
)
_INLINE = {"a", "abbr", "b", "bdi", "big", "cite", "code", "del", "dfn", "em", "font", "i", "ins", "kbd", "label", "mark", "q"}
_INLINE |= {"s", "samp", "small", "span", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr", "-text"}
_LAYOUT = "table, h1, h2, h3, h4, dl, pre"  # a table with these in its cells only places them
_SPACES = re.compile(r"\s+")
_MAX_DEPTH = 400
_RUN = ("- ", "| ")  # lines that stand together


def read_html(path: str, text: str) -> Page:
    """Raises ReadError for a page without text: what scripts would put there is not seen."""
    tree = LexborHTMLParser(text)
    title_node = tree.css_first("title")
    title = _clean(title_node.text()) if title_node else ""
    main = next((node for css in _MAIN if (node := tree.css_first(css)) is not None and node.text(strip=True)), None)
    for node in main.css(_NOISE) if main is not None else ():
        node.decompose()
    writer = _Writer()
    if main is not None:
        writer.block(main, 0)
    writer.flush()
    if not any(char.isalnum() for line in writer.lines for char in line):
        raise ReadError(f"{path}: no text in it (pages that scripts build can't be read)")
    first = next((h.title for h in writer.headings if h.title), "")
    return make_page(first or title, "\n".join(writer.lines).strip("\n"), "html", writer.finished())


@dataclass(slots=True)
class _Writer:
    lines: list[str] = field(default_factory=list)
    headings: list[Heading] = field(default_factory=list)
    _aliases: dict[int, list[str]] = field(default_factory=dict)  # index in headings -> further ids
    _pending: list[str] = field(default_factory=list)  # ids met since the last text
    _inline: list[str] = field(default_factory=list)
    _indent: str = ""
    _bullet: bool = False
    _level: int = 0  # of the heading that the current text stands under

    def finished(self) -> list[Heading]:
        return [
            Heading(h.level, h.title, h.anchor, h.line, h.end, _others(h.anchor, (*h.aliases, *self._aliases.get(n, ()))))
            for n, h in enumerate(self.headings)
        ]

    def block(self, node: LexborNode, depth: int) -> None:
        if depth > _MAX_DEPTH:
            self._inline.append(node.text())
            return
        child = node.child
        while child is not None:
            self._child(child, depth)
            child = child.next

    def flush(self) -> None:
        text = _clean("".join(self._inline))
        self._inline.clear()
        if not text:
            return
        self._settle()
        self._write([text])

    def _write(self, lines: list[str]) -> None:
        indent = self._indent
        if self._bullet:
            lines, indent, self._bullet = [f"- {lines[0]}", *(f"  {line}" for line in lines[1:])], self._indent[:-2], False
        mark = lines[0][:2]
        together = mark in _RUN and self.lines and self.lines[-1].lstrip().startswith(mark)
        if self.lines and self.lines[-1] and not together:
            self.lines.append("")
        self.lines += [f"{indent}{line}" if line.strip() else "" for line in lines]

    def _settle(self) -> None:
        """Ids that turned out not to belong to a heading lead to the section that they stand in."""
        if self._pending and self.headings:
            self._aliases.setdefault(len(self.headings) - 1, []).extend(self._pending)
        if self.headings:
            self._pending.clear()

    def _child(self, node: LexborNode, depth: int) -> None:
        tag = node.tag or ""
        if tag == "-text":
            self._inline.append(node.text(deep=True) or "")
            return
        if tag.startswith(("-", "!")):
            return
        identifier = node.attributes.get("id") or (node.attributes.get("name") if tag == "a" else None)
        if identifier and tag not in ("dt", "h1", "h2", "h3", "h4", "h5", "h6"):
            if tag in _INLINE:
                self._pending.append(identifier)
            else:
                self.flush()
                self._pending.append(identifier)
        if tag in ("h1", "h2", "h3", "h4", "h5", "h6"):
            self._heading(node, int(tag[1]), identifier)
        elif tag == "pre":
            self.flush()
            self._settle()
            self._write(["```", *(node.text() or "").strip("\n").split("\n"), "```"])
        elif tag == "br":
            self._inline.append(" ")
        elif tag == "table" and not any(inner.mem_id != node.mem_id for inner in node.css(_LAYOUT)):
            self.flush()
            self._settle()
            self._table(node)
        elif tag == "dl":
            self.flush()
            self._definitions(node, depth)
        elif tag == "li":
            self.flush()
            self._item(node, depth)
        elif tag == "img":
            self._inline.append(node.attributes.get("alt") or "")
        elif tag == "code" or (tag in ("tt", "kbd", "samp")):
            text = node.text()
            self._inline.append(f"`{_clean(text)}`" if text and "`" not in text else text or "")
        elif tag in _INLINE:
            self.block(node, depth + 1)
        else:
            self.flush()
            self.block(node, depth + 1)
            self.flush()

    def _heading(self, node: LexborNode, level: int, identifier: str | None) -> None:
        self.flush()
        inner = [i for n in node.css("[id], a[name]") if (i := n.attributes.get("id") or n.attributes.get("name"))]
        title = _clean(node.text())
        ids = [*([identifier] if identifier else []), *self._pending, *inner]
        # The outermost id before the heading is its section's; an id on the heading itself is what its permalink uses.
        anchor = (identifier or (self._pending[0] if self._pending else inner[0] if inner else "")) or ""
        self._pending.clear()
        if not title:
            return
        self._level = level
        self._write([f"{'#' * level} {title}"])
        self.headings.append(Heading(level, title, anchor, len(self.lines), aliases=_others(anchor, ids)))

    def _item(self, node: LexborNode, depth: int) -> None:
        outer, self._indent = self._indent, self._indent + "  "
        self._bullet = True  # whatever the item writes first carries it
        self.block(node, depth + 1)
        self.flush()
        self._indent, self._bullet = outer, False

    def _definitions(self, node: LexborNode, depth: int) -> None:
        """`<dl>`: a `<dt>` with an id is an object of its own, as Sphinx writes functions and glossary terms."""
        start: int | None = None
        level = self._level
        child = node.child
        while child is not None:
            tag = child.tag or ""
            if tag == "dt":
                start = self._term(child, depth, level, start)
            elif tag in ("dd", "div"):
                outer, self._indent = self._indent, self._indent + "  "
                self.block(child, depth + 1)
                self.flush()
                self._indent = outer
                if start is not None:
                    self._close(start, level)
                start = None
            child = child.next
        if start is not None:
            self._close(start, level)
        self._level = level

    def _term(self, node: LexborNode, depth: int, level: int, start: int | None) -> int | None:
        identifier = node.attributes.get("id")
        self.flush()
        text = _clean(node.text())
        inner = [i for n in node.css("[id]") if (i := n.attributes.get("id"))]
        self._write([f"**{text}**" if text else ""])
        if start is not None:
            self._aliases.setdefault(start, []).extend(i for i in (identifier, *inner) if i)
            return start
        if not identifier:
            self._settle()
            return None
        aliases = tuple(dict.fromkeys((*self._pending, *(i for i in inner if i != identifier))))
        self._pending.clear()
        text = _qualified(text, identifier)
        self.headings.append(Heading(level + 1, text, identifier, len(self.lines), aliases=aliases))
        self._level = level + 1
        return len(self.headings) - 1

    def _close(self, start: int, level: int) -> None:
        self._settle()
        h = self.headings[start]
        self.headings[start] = Heading(h.level, h.title, h.anchor, h.line, max(h.line, len(self.lines)), h.aliases)
        self._level = level

    def _table(self, node: LexborNode) -> None:
        rows = []
        for row in node.css("tr"):
            cells = [_clean(cell.text()) for cell in row.css("th, td")]
            if any(cells):
                rows.append("| " + " | ".join(cells) + " |")
        if rows:
            self._write(rows)
        self._pending += [i for n in node.css("[id]") if (i := n.attributes.get("id"))]
        self._settle()


def _others(anchor: str, ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(i for i in dict.fromkeys(ids) if i != anchor)


def _qualified(signature: str, identifier: str) -> str:
    """`decode(s)` under `json.JSONDecoder.decode` reads `json.JSONDecoder.decode(s)`: a passage is often seen alone."""
    name, _, last = identifier.rpartition(".")
    return f"{name}.{signature}" if name and re.match(rf"{re.escape(last)}(?!\w)", signature) else signature


def _clean(text: str | None) -> str:
    return _SPACES.sub(" ", text or "").strip()
