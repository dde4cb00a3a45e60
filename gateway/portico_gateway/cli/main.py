"""The `portico` command: a click group whose commands are imported when they are used, and the mapping of errors to exit codes
(`exit_codes.py`).
"""

from __future__ import annotations

import importlib
import io
import logging
import os
import re
import sys
from pathlib import Path

import click

from portico_gateway.cli import exit_codes
from portico_gateway.config.isolated_python import shut_out_workspace
from portico_gateway.errors import GatewayError
from portico_gateway.safe_output.inert import inert
from portico_servers.common.search_path import search_absolute_folders_only
from portico_servers.common.standard_streams import open_standard_streams
from portico_servers.common.version import package_version

_SIZE = re.compile("[0-9]{1,5}")  # of a terminal

# The one-liners of `portico --help`, kept here so that help imports no command. A test holds them against the commands' own.
SUMMARIES = {
    "ask": "Answer QUESTION (or stdin) about code, documents and databases, with sources.",
    "chat": "Talk with the local model about code, documents and databases; calls are approved or edited as they come.",
    "serve": "Serve the model under OpenAI's and Anthropic's API, and MCP, over HTTP.",
    "stdio": "Be an MCP server on stdin and stdout, with all tools of all servers.",
    "server": "Run one of Portico's own MCP servers.",
    "config": "Print the entry that adds Portico to an MCP host, put it into the host's file, or take it out.",
    "launch": "Start Codex, Claude Code or opencode on the local model; ARGUMENTS go to the client as they are.",
    "background": "Show and stop the processes that answer questions at once.",
    "add": "Add an MCP server to portico.toml, and leave the rest of the file as it is.",
    "remove": "Take an MCP server out of portico.toml, and leave the rest of the file as it is.",
    "login": "Log in at the MCP server NAME, or forget that.",
    "tools": "List the tools of all servers, or of the server or tool NAME: what they do, and whether a call asks first.",
    "trust": "Trust a workspace's portico.toml, or show and revoke what is trusted.",
    "model": "Show or install the default model (an alias: `portico models` does it too).",
    "models": "List, describe, fetch, convert and delete models; install the default one.",
    "tokens": "Show how TEXT (a text, a file's name, or stdin) is cut into tokens, by several models side by side.",
    "tune": "Train an adapter on your own tools or your own log: data, training, evaluation, export.",
    "audit": "Show the log of tool calls, follow it, or make a call of it again.",
    "policy": "Say why a call runs, asks or is denied; show and forget remembered answers, and tools' first definitions.",
    "key": "Keys for the HTTP side: make, list, rotate and revoke them.",
    "grammar": "Show the grammar that tools, a schema or a GBNF file compile to.",
    "bench": "Measure the model on this machine, by executor: prefill, decode, tool calls, reuse of a prefix.",
    "top": "Watch a running `portico serve`: requests, speed, KV blocks, where the time of steps goes.",
    "doctor": "Check this machine: Python, libraries, model, configuration, hosts' files, port, permissions, servers.",
}


class LazyGroup(click.Group):
    """Commands by file name under `cli/commands`: module `NAME`, attribute `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        found = {path.stem for path in (Path(__file__).parent / "commands").glob("[!_]*.py")}
        return [name for name in SUMMARIES if name in found] + sorted(found - SUMMARIES.keys())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"portico_gateway.cli.commands.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUMMARIES.get(name) or self._summary(ctx, name)) for name in self.list_commands(ctx)])

    def _summary(self, ctx: click.Context, name: str) -> str:
        command = self.get_command(ctx, name)
        return command.get_short_help_str(80) if command else ""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            known = ", ".join(self.list_commands(ctx))
            raise click.UsageError(f"{error.message} Commands: {known}.", ctx) from None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_version(), prog_name="portico")
def cli() -> None:
    """MCP servers for code, docs and databases behind a gateway with a local model built in.

    Every tool call the local model makes is valid, and nothing leaves this machine.
    """


def main() -> None:
    """Entry point of the `portico` script: no stack trace reaches a user, and no file of the working directory is imported."""
    open_standard_streams()
    search_absolute_folders_only()
    shut_out_workspace()
    for size in ("COLUMNS", "LINES"):  # libraries take them for numbers, whatever they are
        if not _SIZE.fullmatch(os.environ.get(size, "1")):
            del os.environ[size]
    sys.exit(_flushed(run(sys.argv[1:])))


def run(args: list[str]) -> int:
    """Run a command line and return its exit code; errors go to stderr as one line."""
    try:
        result = cli.main(args=args, prog_name="portico", standalone_mode=False)
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        click.echo(inert(shown.getvalue()), err=True, nl=False)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return exit_codes.INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()  # the reader left
        return exit_codes.FAILED
    except GatewayError as error:
        click.echo(f"portico: {inert(str(error))}", err=True)
        return exit_codes.of_error(error)
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001 - the outermost: no stack trace reaches a user, of native code's panics neither
        click.echo(f"portico: {inert(str(error) if _is_engine_error(error) else _unexpected(error))}", err=True)
        return exit_codes.FAILED
    return result if isinstance(result, int) else exit_codes.OK


def _flushed(code: int) -> int:
    """The exit code, once all that was printed is written; a disk that is full is a line, not Python's last words."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _silence_stdout()
        if not isinstance(error, BrokenPipeError):
            click.echo(f"portico: the output can't be written: {error.strerror}", err=True)
        return code or exit_codes.FAILED
    return code


def _silence_stdout() -> None:
    """Python must not complain about it while it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _unexpected(error: BaseException) -> str:
    """What to say of a mistake of ours, whose trace goes to the log; of a file or disk that refuses, what it said."""
    from portico_gateway.config.logs import close_log_file, set_up_logging
    from portico_gateway.config.sections import LogConfig
    from portico_gateway.errors import first_line

    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if isinstance(error.filename, str) else error.strerror
    said = f"{type(error).__name__}: {first_line(error)}"
    path = set_up_logging("errors", LogConfig())
    for handler in logging.getLogger().handlers:
        if not isinstance(handler, logging.FileHandler):
            handler.setLevel(logging.CRITICAL + 1)  # the line below says it
    logging.getLogger("portico_gateway").error("a command failed", exc_info=error)
    close_log_file()
    return f"this is a mistake in Portico ({said}); " + (f"{path} has more" if path else "no log could be written")


def _is_engine_error(error: BaseException) -> bool:
    """Asked of the class alone, so that no command pays for importing the engine."""
    return any(kind.__module__ == "portico_engine.errors" for kind in type(error).__mro__)
