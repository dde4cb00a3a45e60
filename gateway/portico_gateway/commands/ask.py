"""`portico ask`: one question about a workspace, answered by the local model through real MCP servers."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from portico_gateway.agent import Event, Finished
    from portico_gateway.specs import UpstreamSpec

EXIT_NOT_FOUND = 1
EXIT_MODEL = 3
EXIT_SERVERS = 4
EXIT_INTERRUPTED = 130
DEFAULT_STEPS = 3


@click.command(
    epilog="Exit codes: 0 answered, 1 nothing found, 2 wrong usage or configuration, 3 the model can't be loaded or can't take "
    "the question, 4 no server could be started, 130 interrupted."
)
@click.argument("question", required=False)
@click.option("--root", type=click.Path(path_type=Path), help="Folder whose code is searched; default: the working directory.")
@click.option("--docs", type=click.Path(path_type=Path), multiple=True, help="Folder of documents; default: those of the root.")
@click.option("--db", type=click.Path(path_type=Path), multiple=True, help="SQLite file; default: those found in the root.")
@click.option(
    "--config", type=click.Path(path_type=Path), help="portico.toml or a host's mcp.json: its servers instead of ours."
)
@click.option("--model", metavar="NAME|FILE.gguf", help="The model; default: SmolLM2-135M-Instruct.")
@click.option("--max-steps", type=click.IntRange(1, 16), default=DEFAULT_STEPS, show_default=True, help="Tool calls at most.")
@click.option("--continue", "go_on", is_flag=True, help="Go on with the last conversation about this workspace.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout, and nothing else.")
def command(
    question: str | None,
    root: Path | None,
    docs: tuple[Path, ...],
    db: tuple[Path, ...],
    config: Path | None,
    model: str | None,
    max_steps: int,
    go_on: bool,
    as_json: bool,
) -> None:
    """Answer QUESTION (or stdin) about code, documents and databases, with sources."""
    import anyio

    from portico_engine.errors import EngineError
    from portico_gateway.errors import ConfigError

    question = _question(question)
    try:
        specs, model, workspace = _workspace(root, docs, db, config, model)
        code = anyio.run(_run, question, specs, workspace, model, max_steps, go_on, as_json)
    except ConfigError as error:
        raise click.UsageError(str(error)) from None
    except EngineError as error:
        click.echo(f"portico: {error}", err=True)
        sys.exit(EXIT_MODEL)
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(code)


def _question(given: str | None) -> str:
    text = sys.stdin.read() if given in (None, "-") and not sys.stdin.isatty() else (given or "")
    if not text.strip() or text == "-":
        raise click.UsageError('no question: write it after `portico ask`, in quotes, or pipe it in (echo "..." | portico ask)')
    return text.strip()


def _workspace(
    root: Path | None, docs: Sequence[Path], db: Sequence[Path], config: Path | None, model: str | None
) -> tuple[tuple[UpstreamSpec, ...], str, list[str]]:
    """The servers to start, the model's name, and what the conversation is about. Raises ConfigError for what isn't there."""
    from portico_gateway.config import load_config
    from portico_gateway.errors import ConfigError
    from portico_gateway.specs import default_specs

    if config is not None and not config.is_file():
        raise ConfigError("there is no such file; --config takes a portico.toml or a host's mcp.json", path=config)
    for option, folder in [("--root", root), *(("--docs", d) for d in docs)]:
        if folder is not None and not folder.is_dir():
            kind = "is not a folder" if folder.exists() else "is not there"
            raise ConfigError(f"{option} {folder} {kind}; give an existing folder")
    for file in db:
        if "://" not in str(file) and not file.is_file():
            raise ConfigError(f"--db {file} is not there; give an existing SQLite file")
    loaded = load_config(config, flags={"model.name": model})
    given = root is not None or docs or db
    specs = loaded.specs() if loaded.servers and not given else default_specs(root, list(docs) or None, list(db) or None)
    place = [str(p.absolute()) for p in (root or Path.cwd(), *docs, *db)] + ([str(config.absolute())] if config else [])
    return specs, loaded.model.name, place


async def _run(
    question: str,
    specs: tuple[UpstreamSpec, ...],
    workspace: Sequence[str],
    model: str,
    max_steps: int,
    go_on: bool,
    as_json: bool,
) -> int:
    from rich.console import Console

    from portico_gateway import conversation
    from portico_gateway.session import open_session
    from portico_gateway.view import Progress, TerminalView, as_json_object

    stderr = Console(stderr=True)
    kept = conversation.path_of(workspace)
    history = conversation.load(kept) if go_on else []
    handle = None if as_json else TerminalView(Console(highlight=False)).handle
    with Progress(stderr) as progress:
        async with open_session(specs, model, progress.update) as session:
            progress.stop()
            for server, why in session.failures().items():
                stderr.print(f"server {server} is not available: {why}", style="red", highlight=False, markup=False)
            if not session.host.tools():
                stderr.print("no server could be started, so there is nothing to ask", style="red")
                return EXIT_SERVERS
            finished = await _watch(session.agent.ask(question, history=history, max_steps=max_steps), handle)
            failures = session.failures()
    if as_json:
        click.echo(as_json_object(finished, failures, session.model))
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": finished.answer or "Not found."}]
    conversation.save(kept, [*history, *turns])
    return 0 if finished.found else EXIT_NOT_FOUND


async def _watch(events: AsyncIterator[Event], handle: Callable[[Event], None] | None) -> Finished:
    from portico_gateway.agent import Finished

    async for event in events:
        if handle is not None:
            handle(event)
        if isinstance(event, Finished):
            return event
    raise AssertionError("the loop ended without an end")
