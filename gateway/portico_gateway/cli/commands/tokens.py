"""`portico tokens`: how a text is cut, by one model's tokenizer or several side by side."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from portico_gateway.cli import exit_codes
from portico_gateway.cli.tokens_view import CutText
from portico_gateway.safe_output.inert import inert, inert_json

MOST_BYTES = 16 << 20


@click.command(epilog="Exit codes: 0 shown, 2 wrong usage, 3 there is no such model, or it has no tokenizer that can be read.")
@click.argument("text", required=False)
@click.option("--model", "models", multiple=True, metavar="NAME|FILE", help="A model; repeatable; default: the default model.")
@click.option("--ids", "with_ids", is_flag=True, help="Show each token's number.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array on stdout.")
def command(text: str | None, models: tuple[str, ...], with_ids: bool, as_json: bool) -> int:
    """Show how TEXT (a text, a file's name, or stdin) is cut into tokens, by several models side by side."""
    from rich.console import Console

    from portico_engine import EngineError
    from portico_gateway.cli.tokens_view import show_tokens, tokens_object
    from portico_gateway.model.installed import INSTALL_ENGINE, missing_libraries

    given = _text(text)
    if missing := missing_libraries():
        click.echo(f"portico: the engine is not installed ({', '.join(missing)}): {INSTALL_ENGINE}", err=True)
        return exit_codes.NO_MODEL
    try:
        cuts = [_cut(given, model) for model in models or (None,)]
    except EngineError as error:
        click.echo(inert(f"portico: {error}"), err=True)
        return exit_codes.NO_MODEL
    if as_json:
        click.echo(inert_json([tokens_object(cut) for cut in cuts], indent=2))
    else:
        show_tokens(cuts, Console(highlight=False), with_ids=with_ids)
    return exit_codes.OK


def _cut(text: str, model: str | None) -> CutText:
    from portico_engine import DEFAULT_MODEL, find_model, load_tokenizer

    tokenizer = load_tokenizer(find_model(model))
    ids = tuple(tokenizer.encode(text))
    table = tokenizer.token_bytes
    pieces = tuple(table[i].removeprefix(b"\xff") if tokenizer.is_control(i) else table[i] for i in ids)
    return CutText(model or DEFAULT_MODEL, ids, pieces, len(text), len(text.encode("utf-8", "surrogatepass")))


def _text(given: str | None) -> str:
    """The argument itself, or what is in the file of that name, or stdin."""
    if given is None or given == "-":
        if sys.stdin.isatty():
            raise click.UsageError("no text: write it after `portico tokens`, in quotes, name a file, or pipe it in")
        return sys.stdin.read(MOST_BYTES)
    path = Path(given)
    try:
        is_file = len(given) < 4096 and path.is_file()
    except (OSError, ValueError):
        is_file = False
    if not is_file:
        return given
    if path.stat().st_size > MOST_BYTES:
        raise click.UsageError(f"{given} has {path.stat().st_size} bytes; at most {MOST_BYTES} are shown")
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise click.UsageError(f"{given} can't be read: {error.strerror}") from None
