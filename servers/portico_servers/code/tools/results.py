"""What the tools answer on the wire: pydantic models, whose schemas are the tools' output schemas, and their short text.

The text is what a small model and a person read: it keeps to a budget, and the structured result has the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

from pydantic import BaseModel, Field, PrivateAttr

from portico_servers.code.syntax.languages import language_of
from portico_servers.code.syntax.symbols import Symbol
from portico_servers.common.text_budget import ELLIPSIS, dedent, one_line, within

PAGE_SIZE = 10  # hits
MAX_RESULTS = 200
TEXT_BUDGET = 1_200
_SNIPPET_LINES = 8
_LINE_CHARS = 140
_REST_CHARS = 50  # of a line that says how many results are left, and the cursor of the next


class Hit(BaseModel):
    """One place in the code."""

    path: str = Field(description="relative to its root")
    root: str = Field(description="the root's name, as in code://{root}/{path}")
    start_line: int
    end_line: int
    symbol: str | None = Field(default=None, description="the definition around it, dotted")
    kind: str | None = Field(
        default=None, description="function, class, ...; for references: call, import, ...; for changes: added, ..."
    )
    language: str
    text: str
    score: float = 0.0


class Paged(BaseModel):
    """A page of results. The short text shows less than the structured result, so it goes on from where it ends itself:
    `resumable` says by which cursor, for each of the results."""

    _cursors: Sequence[str] = PrivateAttr(default=())

    def resumable(self, cursors: Sequence[str]) -> Self:
        """With the cursor that goes on after each result of this page, in their order."""
        self._cursors = cursors
        return self

    def text_rest(self, shown: int, total: int, next_cursor: str | None) -> str:
        """What a text of the first `shown` of the page's `total` results says of the others, and of the next page."""
        if shown < total:
            cursor = f", with cursor {self._cursors[shown - 1]}" if 0 < shown <= len(self._cursors) else ""
            return f"(+{total - shown} more{cursor})"
        return f"(more with cursor {next_cursor})" if next_cursor else ""


class Hits(Paged):
    """Hits, best first. `complete` is false while the index is being built or when a bound was met: `note` says which."""

    hits: list[Hit]
    complete: bool = True
    note: str | None = None
    next_cursor: str | None = None
    words: dict[str, int] = Field(
        default={}, description="Of a ranked query's words, how many pieces of code hold each; none while indexing"
    )


class OutlineItem(BaseModel):
    name: str
    kind: str
    start_line: int
    end_line: int
    depth: int = Field(description="0 for the outermost")
    signature: str


class Outline(Paged):
    path: str
    root: str
    language: str
    lines: int
    symbols: list[OutlineItem]
    imports: list[str] = []
    complete: bool = True
    note: str | None = None
    next_cursor: str | None = None


class Passage(BaseModel):
    path: str
    root: str
    language: str
    start_line: int
    end_line: int
    total_lines: int
    symbol: str | None = None
    text: str
    complete: bool = Field(default=True, description="false if a bound cut the text: read on from end_line + 1")
    note: str | None = None


def make_hit(
    root: str, path: str, start: int, end: int, symbol: Symbol | None, text: str, *, kind: str | None = None, score: float = 0.0
) -> Hit:
    """A hit; `kind` is the symbol's unless given."""
    return Hit(
        path=path,
        root=root,
        start_line=start,
        end_line=end,
        symbol=symbol.qualified if symbol else None,
        kind=kind or (symbol.kind if symbol else None),
        language=language_of(path),
        text=text,
        score=score,
    )


def hits_text(result: Hits, *, nothing: str, budget: int = TEXT_BUDGET, snippet: int = _SNIPPET_LINES) -> str:
    """`path:line kind symbol`, then at most `snippet` lines, for as many hits as fit `budget` characters."""
    if not result.hits:
        return f"{nothing}{f' ({result.note})' if result.note else ''}"
    several_roots = len({hit.root for hit in result.hits}) > 1
    tail = f"({result.note})" if result.note else ""
    text, shown = within((_hit_text(hit, several_roots, snippet) for hit in result.hits), budget - len(tail) - _REST_CHARS)
    return _joined((text, result.text_rest(shown, len(result.hits), result.next_cursor), tail))


def _hit_text(hit: Hit, several_roots: bool, snippet: int) -> str:
    where = f"{hit.root}/{hit.path}" if several_roots else hit.path
    what = " ".join(part for part in (hit.kind, hit.symbol) if part)
    head = f"{where}:{hit.start_line}{f' {what}' if what else ''}"
    filled = dedent([line for line in hit.text.split("\n") if line.strip()])
    body = [line if len(line) <= _LINE_CHARS else f"{line[: _LINE_CHARS - 1].rstrip()}{ELLIPSIS}" for line in filled[:snippet]]
    more = [ELLIPSIS] if len(filled) > snippet else []
    return "\n".join([head, *(f"  {line}" for line in (*body, *more))])


def outline_text(outline: Outline, budget: int = TEXT_BUDGET) -> str:
    head = f"{outline.path} ({outline.language}, {outline.lines} lines)"
    tail = f"({outline.note})" if outline.note else ""
    if not outline.symbols:
        return " ".join(filter(None, (f"{head}: no definitions", tail)))
    rows = (f"{'  ' * item.depth}{item.start_line}: {one_line(item.signature, 100)}" for item in outline.symbols)
    text, shown = within(rows, budget - len(head) - len(tail) - _REST_CHARS)
    return _joined((head, text, outline.text_rest(shown, len(outline.symbols), outline.next_cursor), tail))


def _joined(lines: Iterable[str]) -> str:
    return "\n".join(filter(None, lines))


def passage_text(passage: Passage) -> str:
    head = f"{passage.path}:{passage.start_line}-{passage.end_line} of {passage.total_lines}"
    return _joined((head, passage.text, f"({passage.note})" if passage.note else ""))
