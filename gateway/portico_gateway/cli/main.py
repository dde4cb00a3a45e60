"""The `portico` command: a click group whose commands are imported when they are used, and the mapping of errors to exit codes
(`exit_codes.py`).
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from pathlib import Path

import click

from portico_gateway.cli import exit_codes
from portico_gateway.config.isolated_python import shut_out_workspace
from portico_gateway.errors import GatewayError
from portico_gateway.safe_output.inert import inert
from portico_servers.common.version import package_version

# The one-liners of `portico --help`, kept here so that help imports no command. A test holds them against the commands' own.
SUMMARIES = {
    "ask": "Answer QUESTION (or stdin) about code, documents and databases, with sources.",
    "serve": "Serve the model under OpenAI's and Anthropic's API, and MCP, over HTTP.",
    "stdio": "Be an MCP server on stdin and stdout, with all tools of all servers.",
    "server": "Run one of Portico's own MCP servers.",
    "config": "Print the entry that adds Portico to an MCP host.",
    "background": "Show and stop the processes that answer questions at once.",
    "add": "Add an MCP server to portico.toml, and leave the rest of the file as it is.",
    "remove": "Take an MCP server out of portico.toml, and leave the rest of the file as it is.",
    "tools": "List the tools of all servers, or of NAME: read-only or not, whether a call asks first, what they do.",
    "trust": "Trust a workspace's portico.toml, or show and revoke what is trusted.",
    "model": "Show or install the default model.",
    "tune": "Train an adapter on your own tools or your own log: data, training, evaluation, export.",
    "audit": "Show the log of tool calls.",
    "key": "Make keys for the HTTP side.",
    "grammar": "Show the grammar that tools, a schema or a GBNF file compile to.",
    "bench": "Measure the model on this machine, by executor: prefill, decode, tool calls, reuse of a prefix.",
    "top": "Watch a running `portico serve`: requests, speed, KV blocks, where the time of steps goes.",
    "doctor": "Check this machine: Python, libraries, model, servers.",
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
    shut_out_workspace()
    sys.exit(run(sys.argv[1:]))


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
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader left; python must not complain while it flushes
        return exit_codes.FAILED
    except GatewayError as error:
        click.echo(f"portico: {inert(str(error))}", err=True)
        return exit_codes.of_error(error)
    except Exception as error:
        if not _is_engine_error(error):
            raise
        click.echo(f"portico: {inert(str(error))}", err=True)
        return exit_codes.FAILED
    return result if isinstance(result, int) else exit_codes.OK


def _is_engine_error(error: Exception) -> bool:
    """Asked of the class alone, so that no command pays for importing the engine."""
    return any(kind.__module__ == "portico_engine.errors" for kind in type(error).__mro__)
