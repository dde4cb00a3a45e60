"""What the tools answer on the wire: pydantic models, whose schemas are the tools' output schemas, and their short text.

The text is what a small model and a person read: it keeps to a budget, and the structured result has the rest.
"""

from __future__ import annotations

from pydantic import BaseModel, Field

from portico_servers.code.syntax.languages import language_of
from portico_servers.code.syntax.symbols import Symbol
from portico_servers.common.text_budget import dedent, one_line, within

PAGE_SIZE = 10  # hits
MAX_RESULTS = 200
TEXT_BUDGET = 1_200
_SNIPPET_LINES = 8
_LINE_CHARS = 140


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


class Hits(BaseModel):
    """Hits, best first. `complete` is false while the index is being built or when a bound was met: `note` says which."""

    hits: list[Hit]
    complete: bool = True
    note: str | None = None
    next_cursor: str | None = None


class OutlineItem(BaseModel):
    name: str
    kind: str
    start_line: int
    end_line: int
    depth: int = Field(description="0 for the outermost")
    signature: str


class Outline(BaseModel):
    path: str
    root: str
    language: str
    lines: int
    symbols: list[OutlineItem]
    imports: list[str] = []
    complete: bool = True
    note: str | None = None


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
    text, shown = within((_hit_text(hit, several_roots, snippet) for hit in result.hits), budget - len(tail) - 40)
    more = len(result.hits) - shown
    lines = [text, f"(+{more} more)" if more else "", tail]
    return "\n".join(line for line in lines if line)


def _hit_text(hit: Hit, several_roots: bool, snippet: int) -> str:
    where = f"{hit.root}/{hit.path}" if several_roots else hit.path
    what = " ".join(part for part in (hit.kind, hit.symbol) if part)
    head = f"{where}:{hit.start_line}{f' {what}' if what else ''}"
    filled = dedent([line for line in hit.text.split("\n") if line.strip()])
    body = [line[:_LINE_CHARS].rstrip() for line in filled[:snippet]]
    return "\n".join([head, *(f"  {line}" for line in body)])


def outline_text(outline: Outline, budget: int = TEXT_BUDGET) -> str:
    head = f"{outline.path} ({outline.language}, {outline.lines} lines)"
    if not outline.symbols:
        return f"{head}: no definitions"
    rows = (f"{'  ' * item.depth}{item.start_line}: {one_line(item.signature, 100)}" for item in outline.symbols)
    text, shown = within(rows, budget - len(head) - 30)
    more = len(outline.symbols) - shown
    return "\n".join(
        line for line in (head, text, f"(+{more} more)" if more else "", f"({outline.note})" if outline.note else "") if line
    )


def passage_text(passage: Passage) -> str:
    head = f"{passage.path}:{passage.start_line}-{passage.end_line} of {passage.total_lines}"
    return "\n".join(line for line in (head, passage.text, f"({passage.note})" if passage.note else "") if line)
