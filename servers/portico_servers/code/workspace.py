"""All roots together: what the tools ask, answered from index, files, ripgrep and syntax trees. It knows nothing of MCP.

Methods that compute are plain functions, for a worker thread; those that run a program are async, and a cancelled one ends
its program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event

import anyio.to_thread

from portico_servers.code import tokens
from portico_servers.code.errors import BadFilter, BadRange, GitError, NoSuchSymbol
from portico_servers.code.filters import Filter
from portico_servers.code.history import Change, changed_since
from portico_servers.code.index import RootIndex
from portico_servers.code.languages import KINDS, language_of
from portico_servers.code.rank import KnownFile, Scored
from portico_servers.code.references import Reference, References, references
from portico_servers.code.results import Hit, Hits, Outline, OutlineItem, Passage
from portico_servers.code.ripgrep import files_with, grep
from portico_servers.code.snippets import enclosing, excerpt, read_text
from portico_servers.code.store import FoundSymbol
from portico_servers.code.symbols import Symbol, definitions
from portico_servers.common import cursor as cursors
from portico_servers.common.jail import Jail, NotFound, Place

PAGE = 10
MAX_RESULTS = 200
_PER_FILE = 3  # of one file on a page of ranked hits
READ_LINES = 200
_READ_CHARS = 12_000
_MAX_QUERY = 2_000


class Workspace:
    """`start` begins indexing in the background and returns; every answer says whether it's complete."""

    def __init__(
        self, roots: Sequence[Path], cache_dir: Path, *, changed: Callable[[str, Sequence[str]], None] | None = None
    ) -> None:
        self.jail = Jail(roots)
        self.indexes = {name: RootIndex(root, name, cache_dir, changed=changed) for name, root in self.jail.names.items()}

    def start(self) -> None:
        for index in self.indexes.values():
            index.start()

    def close(self) -> None:
        for index in self.indexes.values():
            index.close()

    @property
    def complete(self) -> bool:
        return all(index.progress.complete for index in self.indexes.values())

    def progress_note(self) -> str | None:
        """How far the index is, while it's being built."""
        parts = [index.progress for index in self.indexes.values() if not index.progress.complete]
        if not parts:
            return None
        return f"still indexing: {sum(p.done for p in parts):,} of {sum(p.total for p in parts):,} files; ask again for more"

    # search

    def search(self, query: str, path: str = "", language: str = "", cursor: str | None = None) -> Hits:
        """Ranked search. Raises `BadFilter`, `BadCursor`."""
        query = query[:_MAX_QUERY]
        wanted = Filter.of(path, language)
        offset = cursors.decode(cursor, "search", query, wanted.path, wanted.language)
        complete, note = self.complete, self.progress_note()
        scored: list[tuple[str, KnownFile, Scored]] = []
        for name, index in self.indexes.items():
            accepts = wanted.accepts(name)
            accept = (lambda file, accepts=accepts: accepts(file.path)) if wanted else None
            scored.extend((name, file, hit) for file, hit in index.search(query, accept=accept, limit=MAX_RESULTS))
        scored.sort(key=lambda item: -item[2].score)
        words = tokens.question_terms(query)
        hits: list[Hit] = []
        per_file: dict[tuple[str, str], int] = {}
        taken = offset
        for name, file, hit in scored[offset:]:
            taken += 1
            key = (name, file.path)
            per_file[key] = per_file.get(key, 0) + 1
            if per_file[key] > _PER_FILE:
                continue
            store = self.indexes[name].store
            symbol = store.symbol(hit.file_id, hit.ordinal) if store is not None and hit.ordinal >= 0 else None
            text = self._excerpt(name, file.path, hit.start, hit.end, words)
            if text is not None:
                hits.append(_hit(name, file.path, hit.start, hit.end, symbol, text, score=round(hit.score, 3)))
            if len(hits) == PAGE:
                break
        more = taken < len(scored)
        following = (
            cursors.encode(taken, "search", query, wanted.path, wanted.language) if more and taken < MAX_RESULTS else None
        )
        return Hits(hits=hits, complete=complete, note=note or self._empty_note(hits, wanted), next_cursor=following)

    async def search_regex(self, pattern: str, path: str = "", language: str = "", cursor: str | None = None) -> Hits:
        """Matching lines, by file. Raises `BadPattern`, `BadFilter`, `BadCursor`, `ToolMissing`."""
        wanted = Filter.of(path, language)
        offset = cursors.decode(cursor, "regex", pattern, wanted.path, wanted.language)
        found: list[tuple[float, str, str, int, str]] = []
        complete = True
        for name, index in self.indexes.items():
            accepts = wanted.accepts(name)
            result = await grep(index.root, pattern, options=wanted.ripgrep_options(), within=self._narrow(name, wanted))
            complete = complete and result.complete
            priors = {file.path: file.prior for file in index.files()}
            found.extend(
                (-priors.get(match.path, 0.5), name, match.path, match.line, match.text)
                for match in result.matches
                if accepts(match.path)
            )
        found.sort()
        page = found[offset : offset + PAGE]
        hits = []
        for _, name, file, line, text in page:
            store = self.indexes[name].store
            symbol = enclosing(store.symbols_in(file), line) if store is not None else None
            hits.append(_hit(name, file, line, line, symbol, text))
        after = offset + len(page)
        following = cursors.encode(after, "regex", pattern, wanted.path, wanted.language) if after < len(found) else None
        note = None if complete else f"stopped at a bound: {len(found)} matches so far; narrow the pattern, path or language"
        return Hits(hits=hits, complete=complete, note=note or self._empty_note(hits, wanted), next_cursor=following)

    # symbols

    def find_symbol(self, name: str, kind: str = "", cursor: str | None = None) -> Hits:
        """Definitions called `name` (`Class.method` narrows); failing that, those whose names contain it."""
        kind = kind.strip().lower()
        if kind and kind not in KINDS:
            raise BadFilter(f"unknown kind {kind[:40]!r}: use one of {', '.join(KINDS)}")
        offset = cursors.decode(cursor, "symbol", name, kind)
        *owner, last = [
            part for part in name.strip().strip("`").removesuffix("()").replace("::", ".").replace("#", ".").split(".") if part
        ] or [""]
        found = self._named(last, owner, kind)
        note = self.progress_note()
        if not found and last:
            found = self._similar(last, kind)
            if found:
                note = note or f"no definition is called {name!r}; these contain it"
        page = found[offset : offset + PAGE]
        hits = []
        for root, item in page:
            text = self._excerpt(root, item.path, item.symbol.start, item.symbol.end, ())
            if text is not None:
                hits.append(_hit(root, item.path, item.symbol.start, item.symbol.end, item.symbol, text))
        after = offset + len(page)
        following = cursors.encode(after, "symbol", name, kind) if after < len(found) else None
        return Hits(hits=hits, complete=self.complete, note=note, next_cursor=following)

    def _named(self, last: str, owner: Sequence[str], kind: str) -> list[tuple[str, FoundSymbol]]:
        found: list[tuple[str, FoundSymbol]] = []
        for root, index in self.indexes.items():
            if index.store is not None and last:
                priors = {file.path: file.prior for file in index.files()}
                named = index.store.symbols_named(last, kind=kind or None)
                found.extend(
                    (root, item) for item in sorted(named, key=lambda i: (i.symbol.name != last, -priors.get(i.path, 0.5)))
                )
        if owner:
            narrowed = [(root, item) for root, item in found if _owned(item, owner)]
            found = narrowed or found
        return found

    def _similar(self, part: str, kind: str) -> list[tuple[str, FoundSymbol]]:
        return [
            (root, item)
            for root, index in self.indexes.items()
            if index.store is not None
            for item in index.store.symbols_like(part, kind=kind or None, limit=100)
        ]

    async def find_references(self, name: str, path: str = "", cursor: str | None = None) -> Hits:
        """Uses of a name, its definitions first. Raises `BadFilter`, `BadCursor`, `ToolMissing`."""
        wanted = Filter.of(path, "")
        offset = cursors.decode(cursor, "references", name, wanted.path)
        word = name.strip().strip("`").removesuffix("()").replace("::", ".").split(".")[-1].strip()
        if not word or len(word) > 200 or any(c.isspace() or c == "\0" for c in word):
            raise BadFilter(f"not a name: {name[:80]!r}; give one identifier, such as parse_config")
        found: list[tuple[str, Reference]] = []
        complete, unread, in_text = True, 0, 0
        for root, index in self.indexes.items():
            paths, all_files = await files_with(
                index.root, word, options=["--fixed-strings", "--word-regexp"], within=self._narrow(root, wanted)
            )
            accepts = wanted.accepts(root)
            priors = {file.path: file.prior for file in index.files()}
            defining = {item.path for item in index.store.symbols_named(word)} if index.store is not None else set()
            ordered = sorted(filter(accepts, paths), key=lambda p: (p not in defining, -priors.get(p, 0.5), p))
            part = await self._references_in(root, ordered, word)
            found.extend((root, item) for item in part.found)
            complete = complete and all_files and part.complete
            unread, in_text = unread + part.unread, in_text + part.in_text
        found.sort(key=lambda item: item[1].kind != "definition")
        page = found[offset : offset + PAGE]
        hits = []
        for root, item in page:
            hit = _hit(root, item.path, item.line, item.line, item.symbol, item.text)
            hits.append(hit.model_copy(update={"kind": item.kind}))
        after = offset + len(page)
        following = cursors.encode(after, "references", name, wanted.path) if after < len(found) else None
        said = [f"{len(found)}{'' if complete else '+'} uses"] if found else []
        if unread:
            said.append(f"stopped at a bound with {unread} files unread; narrow with path")
        if in_text:
            said.append(f"{in_text} more in comments and strings")
        return Hits(hits=hits, complete=complete, note="; ".join(said) or self._empty_note(hits, wanted), next_cursor=following)

    async def _references_in(self, root: str, paths: Sequence[str], word: str) -> References:
        """On a worker thread, which a cancelled call tells to stop."""
        stop = Event()
        try:
            return await anyio.to_thread.run_sync(
                lambda: references(self.jail, str(self.indexes[root].root), paths, word, stop=stop), abandon_on_cancel=True
            )
        finally:
            stop.set()

    async def changed_since(self, ref: str, path: str = "", cursor: str | None = None) -> Hits:
        """Files changed since a revision or a date, in every root that is in a repository. Raises `GitError`, `BadCursor`."""
        wanted = Filter.of(path, "")
        offset = cursors.decode(cursor, "changed", ref, wanted.path)
        found: list[tuple[str, Change]] = []
        complete, failure = True, None
        for root, index in self.indexes.items():
            try:
                result = await changed_since(index.root, ref)
            except GitError as error:
                failure = error
                continue
            complete = complete and result.complete
            accepts = wanted.accepts(root)
            found.extend((root, change) for change in result.changes if accepts(change.path))
        if failure is not None and not found:
            raise failure
        hits = [self._change_hit(root, change) for root, change in found[offset : offset + PAGE]]
        after = offset + len(hits)
        following = cursors.encode(after, "changed", ref, wanted.path) if after < len(found) else None
        note = f"{len(found)} files changed since {ref}" if found else f"nothing changed since {ref}"
        return Hits(hits=hits, complete=complete, note=note, next_cursor=following)

    def _change_hit(self, root: str, change: Change) -> Hit:
        store = self.indexes[root].store
        symbol = enclosing(store.symbols_in(change.path), change.start) if store is not None else None
        counts = f"+{change.added} -{change.removed}" if change.diff else ""
        text = "\n".join(part for part in (counts, "\n".join(change.diff.split("\n")[:40])[:3_000]) if part)
        hit = _hit(root, change.path, change.start, change.end, symbol, text)
        return hit.model_copy(update={"kind": change.kind})

    # files

    def outline(self, path: str) -> Outline:
        """What a file defines, from its text now. A directory gives its files. Raises `NotFound`."""
        place = self.jail.locate(path or ".")
        if place.path.is_dir():
            return self._listing(place)
        text = read_text(self.jail, str(place.path))
        relative = place.relative.as_posix()
        language = language_of(relative)
        found = definitions(language, text.data)
        items = [
            OutlineItem(
                name=symbol.name,
                kind=symbol.kind,
                start_line=symbol.start,
                end_line=symbol.end,
                depth=depth,
                signature=symbol.signature,
            )
            for symbol, depth in _depths(found.symbols)
        ]
        imports = [" ".join(" ".join(text.lines[start - 1 : end]).split())[:200] for start, end in found.imports]
        kept = items[:MAX_RESULTS]
        note = (
            f"the first {len(kept)} of {len(items)} definitions; read the file for the rest" if len(items) > len(kept) else None
        )
        return Outline(
            path=relative,
            root=self.jail.name_of(place.root),
            language=language,
            lines=len(text.lines),
            symbols=kept,
            imports=imports[:50],
            complete=len(kept) == len(items) and not text.cut,
            note=note,
        )

    def _listing(self, place: Place) -> Outline:
        name = self.jail.name_of(place.root)
        prefix = "" if not place.relative.parts else f"{place.relative.as_posix()}/"
        inside = sorted(
            (file for file in self.indexes[name].files() if file.path.startswith(prefix)), key=lambda file: file.path
        )
        entries: dict[str, list[KnownFile]] = {}
        for file in inside:
            head, slash, _ = file.path[len(prefix) :].partition("/")
            entries.setdefault(head + slash, []).append(file)
        items = [
            OutlineItem(
                name=entry,
                kind="directory" if entry.endswith("/") else "file",
                start_line=1,
                end_line=max(sum(f.lines for f in files), 1),
                depth=0,
                signature=f"{entry} ({len(files)} files)"
                if entry.endswith("/")
                else f"{entry} ({files[0].language}, {files[0].lines} lines)",
            )
            for entry, files in entries.items()
        ]
        return Outline(
            path=place.relative.as_posix(),
            root=name,
            language="directory",
            lines=sum(file.lines for file in inside),
            symbols=items[:MAX_RESULTS],
            complete=self.complete and len(items) <= MAX_RESULTS,
            note=self.progress_note(),
        )

    def read(self, path: str, start: int = 0, end: int = 0, symbol: str = "") -> Passage:
        """Lines of a file, or a definition in it. Raises `NotFound`, `BadRange`, `NoSuchSymbol`."""
        place = self.jail.locate(path)
        text = read_text(self.jail, str(place.path))
        relative = place.relative.as_posix()
        language = language_of(relative)
        total = len(text.lines)
        found: Symbol | None = None
        if symbol:
            found = _pick(definitions(language, text.data).symbols, symbol, relative)
            start, end = found.start, found.end
        start = start or 1
        end = end or (start + READ_LINES - 1)
        if start < 0 or end < start or start > max(total, 1):
            raise BadRange(f"{relative} has {total} lines; asked for {start} to {end}")
        last = min(end, total, start + READ_LINES - 1)
        lines = list(text.lines[start - 1 : last])
        while len(lines) > 1 and sum(len(line) + 1 for line in lines) > _READ_CHARS:
            lines = lines[: max(1, len(lines) * _READ_CHARS // (sum(len(line) + 1 for line in lines) + 1))]
        last = max(start + len(lines) - 1, start)
        cut = last < min(end, total) or text.cut
        return Passage(
            path=relative,
            root=self.jail.name_of(place.root),
            language=language,
            start_line=start,
            end_line=last,
            total_lines=total,
            symbol=found.qualified if found else None,
            text="\n".join(lines)[:_READ_CHARS],
            complete=not cut,
            note=f"cut at line {last}: read on from {last + 1}" if cut else None,
        )

    def paths(self, root: str, prefix: str, limit: int = 100) -> list[str]:
        """For completion: files of `root` whose path begins with, or else contains, `prefix`."""
        index = self.indexes.get(root)
        if index is None:
            return []
        files = sorted(file.path for file in index.files())
        begins = [path for path in files if path.startswith(prefix)]
        return (begins or [path for path in files if prefix.lower() in path.lower()])[:limit]

    def names(self, prefix: str, limit: int = 100) -> list[str]:
        """For completion: names of definitions that begin with `prefix`."""
        found = [
            name
            for index in self.indexes.values()
            if index.store is not None
            for name in index.store.names_with_prefix(prefix, limit)
        ]
        return list(dict.fromkeys(found))[:limit]

    def _excerpt(self, root: str, path: str, start: int, end: int, words: Sequence[str]) -> str | None:
        """The snippet as the file is now; None if it went away."""
        try:
            text = read_text(self.jail, str(self.indexes[root].root / path))
        except NotFound:
            return None
        return excerpt(text.lines, start, end, words)

    def _narrow(self, name: str, wanted: Filter) -> str:
        """Where rg begins: the filtered directory or file itself, if that's what the filter names."""
        if wanted.path:
            try:
                place = self.jail.locate(wanted.path)
            except NotFound:
                return "."
            if place.root == self.indexes[name].root and place.relative.parts:
                return f"./{place.relative.as_posix()}"
        return "."

    def _empty_note(self, hits: Sequence[Hit], wanted: Filter) -> str | None:
        if hits or not wanted:
            return None
        counts = sum(1 for name, index in self.indexes.items() for file in index.files() if wanted.accepts(name)(file.path))
        return f"{counts} files match {wanted.describe()}" if counts else f"no file matches {wanted.describe()}"


def _hit(root: str, path: str, start: int, end: int, symbol: Symbol | None, text: str, score: float = 0.0) -> Hit:
    return Hit(
        path=path,
        root=root,
        start_line=start,
        end_line=end,
        symbol=symbol.qualified if symbol else None,
        kind=symbol.kind if symbol else None,
        language=language_of(path),
        text=text,
        score=score,
    )


def _owned(item: FoundSymbol, owner: Sequence[str]) -> bool:
    parents = [part.lower() for part in item.symbol.parent.split(".")] + [
        part.lower() for part in item.path.rsplit(".", 1)[0].split("/")
    ]
    return all(part.lower() in parents for part in owner)


def _pick(symbols: Sequence[Symbol], wanted: str, path: str) -> Symbol:
    wanted = wanted.strip().strip("`").removesuffix("()").replace("::", ".")
    tests: tuple[Callable[[Symbol], bool], ...] = (
        lambda s: s.qualified == wanted,
        lambda s: s.name == wanted,
        lambda s: s.qualified.endswith(f".{wanted}"),
        lambda s: s.qualified.lower() == wanted.lower() or s.name.lower() == wanted.lower(),
    )
    for test in tests:
        for symbol in symbols:
            if test(symbol):
                return symbol
    names = ", ".join(dict.fromkeys(symbol.name for symbol in symbols[:20]))
    raise NoSuchSymbol(f"{path} defines no {wanted[:80]!r}" + (f"; it defines {names}" if names else ""))


def _depths(symbols: Sequence[Symbol]) -> list[tuple[Symbol, int]]:
    """Each symbol with the number of definitions around it."""
    stack: list[Symbol] = []
    out: list[tuple[Symbol, int]] = []
    for symbol in symbols:
        while stack and not (stack[-1].start <= symbol.start and symbol.end <= stack[-1].end):
            stack.pop()
        out.append((symbol, len(stack)))
        stack.append(symbol)
    return out
