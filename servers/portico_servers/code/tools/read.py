"""outline and read: what is in a file, from its text as it is now, whatever the index knows of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from portico_servers.code.errors import BadRange, NoSuchSymbol
from portico_servers.code.ranking.documents import IndexedFile
from portico_servers.code.syntax.languages import language_of
from portico_servers.code.syntax.source_text import MAX_BYTES, SourceText, read_text
from portico_servers.code.syntax.symbols import Symbol, definitions
from portico_servers.code.tools.results import MAX_RESULTS, Outline, OutlineItem, Passage
from portico_servers.code.workspace import Workspace
from portico_servers.common import cursors
from portico_servers.common.path_jail import JailedPath, NotFound
from portico_servers.common.text_budget import one_line

READ_LINES = 200
_READ_CHARS = 12_000
_MAX_IMPORTS = 50


def outline(workspace: Workspace, path: str, cursor: str | None = None) -> Outline:
    """What a file defines. A directory gives its files. Raises `NotFound`, `BadCursor`."""
    question = ("outline", path.strip())
    offset = cursors.decode(cursor, *question)
    place = workspace.jail.locate(path.strip() or ".")
    if place.path.is_dir():
        return _page(_listing(workspace, place), offset, question)
    text = _text(workspace, place, path)
    relative = place.relative.as_posix()
    found = definitions(language_of(relative), text.data)
    whole = Outline(
        path=relative,
        root=workspace.jail.name_of(place.root),
        language=language_of(relative),
        lines=text.count,
        symbols=[_item(symbol, depth) for symbol, depth in _with_depths(found.symbols)],
        imports=[one_line(" ".join(text.lines(start, end)), 200) for start, end in found.imports[:_MAX_IMPORTS]],
        complete=not text.cut,
        note="the file is too large to read whole" if text.cut else None,
    )
    return _page(whole, offset, question)


def _page(whole: Outline, offset: int, question: tuple[str, ...]) -> Outline:
    """The part of an outline that begins at definition or file `offset`."""
    items = whole.symbols[offset : offset + MAX_RESULTS]
    after = offset + len(items)
    total = len(whole.symbols)
    following = cursors.encode(after, *question) if after < total else None
    counted = f"{offset + 1} to {after} of {total}" if len(items) < total else None
    page = whole.model_copy(
        update={
            "symbols": items,
            "complete": whole.complete and following is None,
            "note": "; ".join(filter(None, (counted, whole.note))) or None,
            "next_cursor": following,
        }
    )
    return page.resumable([cursors.encode(offset + n + 1, *question) for n in range(len(items))])


def read(workspace: Workspace, path: str, start: int = 0, end: int = 0, symbol: str = "") -> Passage:
    """Lines of a file (0: from its start, to a page's end), or a definition in it. Raises `NotFound`, `BadRange`,
    `NoSuchSymbol`."""
    place = workspace.jail.locate(path)
    text = _text(workspace, place, path)
    relative = place.relative.as_posix()
    language = language_of(relative)
    total = text.count
    found: Symbol | None = None
    if symbol:
        found = _select_symbol(definitions(language, text.data).symbols, symbol, relative)
        start, end = found.start, found.end
    first, wanted = start or 1, end or max(total, start)
    if total == 0 and max(start, end) <= 1 and min(start, end) >= 0:
        wanted = 1  # an empty file is read as one
    if first < 0 or wanted < first or first > max(total, 1):
        raise BadRange(f"{relative} has lines 1 to {total}; asked for {first} to {end or 'its end'}")
    lines = _fit_lines(text.lines(first, min(wanted, first + READ_LINES - 1)))
    last = first + max(len(lines), 1) - 1
    note = f"cut at line {last}: read on from {last + 1}" if last < min(wanted, total) else None
    if len(lines) == 1 and len(lines[0]) > _READ_CHARS:
        lines, beyond = [lines[0][:_READ_CHARS]], len(lines[0]) - _READ_CHARS
        note = "; ".join(filter(None, (f"line {first} has {beyond:,} characters more", note)))
    if text.cut and last == total:
        note = f"the file is larger than {MAX_BYTES:,} bytes: what comes after line {total} can't be read"
    return Passage(
        path=relative,
        root=workspace.jail.name_of(place.root),
        language=language,
        start_line=first,
        end_line=last,
        total_lines=total,
        symbol=found.qualified if found else None,
        text="\n".join(lines),
        complete=note is None,
        note=note,
    )


def _text(workspace: Workspace, place: JailedPath, given: str) -> SourceText:
    try:
        return read_text(workspace.jail, str(place.path))
    except NotFound:
        raise NotFound(given) from None  # the caller's own words: where the root lies is none of its business


def _fit_lines(lines: Sequence[str]) -> list[str]:
    """As many whole lines as fit, at least one."""
    taken: list[str] = []
    used = 0
    for line in lines:
        used += len(line) + 1
        if used > _READ_CHARS and taken:
            break
        taken.append(line)
    return taken


def _listing(workspace: Workspace, place: JailedPath) -> Outline:
    name = workspace.jail.name_of(place.root)
    prefix = f"{place.relative.as_posix()}/" if place.relative.parts else ""
    inside = sorted(
        (file for file in workspace.indexes[name].files() if file.path.startswith(prefix)), key=lambda file: file.path
    )
    entries: dict[str, list[IndexedFile]] = {}
    for file in inside:
        head, slash, _ = file.path[len(prefix) :].partition("/")
        entries.setdefault(head + slash, []).append(file)
    items = [_entry(entry, files) for entry, files in entries.items()]
    return Outline(
        path=place.relative.as_posix(),
        root=name,
        language="directory",
        lines=sum(file.lines for file in inside),
        symbols=items,
        complete=workspace.complete,
        note=workspace.progress_note(),
    )


def _entry(entry: str, files: Sequence[IndexedFile]) -> OutlineItem:
    directory = entry.endswith("/")
    about = f"{len(files)} files" if directory else f"{files[0].language}, {files[0].lines} lines"
    return OutlineItem(
        name=entry,
        kind="directory" if directory else "file",
        start_line=1,
        end_line=max(sum(file.lines for file in files), 1),
        depth=0,
        signature=f"{entry} ({about})",
    )


def _item(symbol: Symbol, depth: int) -> OutlineItem:
    return OutlineItem(
        name=symbol.name,
        kind=symbol.kind,
        start_line=symbol.start,
        end_line=symbol.end,
        depth=depth,
        signature=symbol.signature,
    )


def _select_symbol(symbols: Sequence[Symbol], wanted: str, path: str) -> Symbol:
    """The definition that `wanted` means: by its dotted name, its name, the end of its dotted name, or any case."""
    wanted = wanted.strip().strip("`").removesuffix("()").replace("::", ".")
    folded = wanted.lower()
    tests: tuple[Callable[[Symbol], bool], ...] = (
        lambda s: s.qualified == wanted,
        lambda s: s.name == wanted,
        lambda s: s.qualified.endswith(f".{wanted}"),
        lambda s: folded in (s.qualified.lower(), s.name.lower()),
    )
    for test in tests:
        for symbol in symbols:
            if test(symbol):
                return symbol
    names = ", ".join(list(dict.fromkeys(symbol.name for symbol in symbols))[:20])
    raise NoSuchSymbol(f"{path} defines no {wanted[:80]!r}{f'; it defines {names}' if names else ''}")


def _with_depths(symbols: Sequence[Symbol]) -> list[tuple[Symbol, int]]:
    """Each symbol with the number of definitions around it."""
    around: list[Symbol] = []
    out: list[tuple[Symbol, int]] = []
    for symbol in symbols:
        while around and not (around[-1].start <= symbol.start and symbol.end <= around[-1].end):
            around.pop()
        out.append((symbol, len(around)))
        around.append(symbol)
    return out
