"""`portico-docs add`, `list`, `refresh`, `remove`: the libraries that a server without a DIR serves, side by side in versions.

Knows the terminal. Progress goes to stderr, results to stdout.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portico_servers.common.inert_text import inert
from portico_servers.docs.errors import DocsError, PageNotFound, SourceError

if TYPE_CHECKING:
    from portico_servers.docs.index.models import LibraryVersion
    from portico_servers.docs.index.web_refresh import RefreshOutcome
    from portico_servers.docs.service import Service

_SECONDS_A_LINE = 3.0
_MAX_REASONS = 20
_KINDS = "Markdown, reStructuredText, HTML, PDF, notebooks, manual pages, text"
cache_option = click.option(
    "--cache-dir", type=click.Path(path_type=Path, file_okay=False), help="Where the index is kept.", metavar="DIR"
)


@click.command()
@click.argument("source")
@click.option("--library", default="", help="Name of the library (default: found out from the source).")
@click.option("--version", default="", help="Version of the library (default: found out from the source).")
@click.option("--package", is_flag=True, help="SOURCE is an installed Python package, even if a file has that name.")
@cache_option
def add(source: str, library: str, version: str, package: bool, cache_dir: Path | None) -> None:
    """Add a library: a directory, a file, an installed Python package, or the address of an llms.txt, sitemap or page."""
    from portico_servers.docs.ingest.sources import source_of

    with _service(cache_dir) as service:
        found = source_of(source, library=library, version=version, package=package)
        before = next(
            (s for s in service.store.library_versions() if (s.library, s.version) == (found.library, found.version)), None
        )
        if before is not None and (before.kind, before.source) != (found.kind, found.place):
            raise SourceError(
                f"{before.name} is the documentation of {before.source}: give this one another --library or --version,"
                f" or remove that one first (portico-docs remove {before.name})"
            )
        library_version = service.store.add_library_version(found.library, found.version, found.kind, found.place)
        try:
            _update(service, [library_version])
            if not service.store.stamps(library_version.id):
                raise SourceError(f"{source}: no documentation in it that can be read ({_KINDS})")
        except SourceError:
            if before is None:
                service.store.remove_library_version(library_version.id)
            raise
        _say(next(s for s in service.store.library_versions() if s.id == library_version.id))


@click.command("list")
@cache_option
def list_(cache_dir: Path | None) -> None:
    """List the libraries that were added."""
    with _service(cache_dir) as service:
        library_versions = service.store.library_versions()
        if not library_versions:
            click.echo("no libraries yet: portico-docs add SOURCE", err=True)
        for library_version in library_versions:
            _say(library_version)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME[@VERSION]]...")
@cache_option
def refresh(names: tuple[str, ...], cache_dir: Path | None) -> None:
    """Read again what changed at the source of the named libraries (default: all)."""
    with _service(cache_dir) as service:
        library_versions = _named(service, names) if names else service.store.library_versions()
        problem = _update(service, library_versions, keep_going=True)
        for library_version in service.store.library_versions():
            if library_version.id in {s.id for s in library_versions}:
                _say(library_version)
        if problem:
            raise SourceError(problem)


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME[@VERSION]...")
@cache_option
def remove(names: tuple[str, ...], cache_dir: Path | None) -> None:
    """Remove libraries from the index (all versions, or one). The sources are not touched."""
    with _service(cache_dir) as service:
        for library_version in _named(service, names):
            service.store.remove_library_version(library_version.id)
            click.echo(inert(f"removed {library_version.name}"))


@contextmanager
def _service(cache_dir: Path | None) -> Iterator[Service]:
    from portico_servers.docs.config import DocsConfig
    from portico_servers.docs.service import Service

    # What it warns of is said here, once.
    logging.getLogger("portico_servers.docs.index.indexer").addFilter(_silent)
    try:
        with closing(Service(DocsConfig((), cache_dir, watch=False))) as service:
            yield service
    except DocsError as error:
        raise click.ClickException(inert(str(error))) from None
    finally:
        logging.getLogger("portico_servers.docs.index.indexer").removeFilter(_silent)


def _silent(record: logging.LogRecord) -> bool:
    return False


def _named(service: Service, names: Sequence[str]) -> list[LibraryVersion]:
    found = []
    for name in names:
        try:
            found += service.library.choose(name if "@" in name else f"{name}@*")
        except PageNotFound as error:
            raise SourceError(str(error)) from None
    return list(dict.fromkeys(found))


def _update(service: Service, library_versions: Sequence[LibraryVersion], *, keep_going: bool = False) -> str:
    """Index the sources, with progress. The problems of those that couldn't be had, if they needn't stop the rest."""
    from portico_servers.docs.index.web_refresh import refresh as crawl
    from portico_servers.docs.ingest.web import Fetcher

    problems = []
    with _bar() as show, Fetcher() as fetcher:
        for library_version in library_versions:
            if library_version.kind != "url":
                continue
            try:
                _tell(crawl(service.store, library_version, fetcher, partial(show, f"fetching {library_version.name}")))
            except SourceError as error:
                if not keep_going:
                    raise
                problems.append(f"{library_version.name}: {error}")
        _index(service, library_versions, show)
    failed = service.indexer.progress.failed
    problems += [failed[s.name] for s in library_versions if s.name in failed]
    _say_left_out([why for name, why in failed.items() if name not in {s.name for s in library_versions}])
    if problems and not keep_going:
        raise SourceError(problems[0])
    return "; ".join(problems)


def _index(service: Service, library_versions: Sequence[LibraryVersion], show: _Show) -> None:
    progress = service.indexer.progress
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            show(f"{progress.phase} {progress.library_version}".strip(), progress.done, progress.total)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        service.indexer.update(library_versions)
    finally:
        done.set()
        watcher.join()


_Show = Callable[[str, int, int], None]  # what is being done, how much of it, of how much (0: unknown)


@contextmanager
def _bar() -> Iterator[_Show]:
    """On a terminal a bar that goes away again; elsewhere a line every few seconds."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _line_by_line()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("", total=None)
        yield lambda what, done, total: bars.update(task, description=inert(what), completed=done, total=total or None)


def _line_by_line() -> _Show:
    last = time.monotonic()

    def show(what: str, done: int, total: int) -> None:
        nonlocal last
        if total and time.monotonic() - last >= _SECONDS_A_LINE:
            last = time.monotonic()
            click.echo(inert(f"{what}: {done} of {total}"), err=True)

    return show


def _tell(outcome: RefreshOutcome) -> None:
    click.echo(f"{outcome.read} pages read, {outcome.unchanged} unchanged, {outcome.gone} gone", err=True)
    _say_left_out(list(outcome.skipped.values()))
    if outcome.elsewhere:
        click.echo(f"left out: {outcome.elsewhere} links to other hosts", err=True)


def _say_left_out(reasons: Sequence[str]) -> None:
    for why in reasons[:_MAX_REASONS]:
        click.echo(inert(f"left out: {why}"), err=True)
    if len(reasons) > _MAX_REASONS:
        click.echo(f"left out: {len(reasons) - _MAX_REASONS} more", err=True)


def _say(version: LibraryVersion) -> None:
    note = f"  ({version.note})" if version.note else "" if version.complete else "  (incomplete)"
    indexed = version.indexed_at or "never indexed"
    click.echo(inert(f"{version.name}  {version.pages} pages  {indexed}  {version.source}{note}"))
