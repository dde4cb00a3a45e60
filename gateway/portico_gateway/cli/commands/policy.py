"""`portico policy`: why a call runs, asks or is denied, the answers that people had remembered, and the definitions that tools
had when they were first seen."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from portico_gateway.cli import exit_codes
from portico_gateway.cli.options import workspace_options
from portico_gateway.safe_output.inert import inert, inert_json, inert_line

if TYPE_CHECKING:
    from portico_gateway.config.portico_config import PorticoConfig
    from portico_gateway.config.server_spec import UpstreamSpec

WAIT = 30.0  # seconds for the tool's server
_SHOWN = 12  # characters of a digest


@click.group()
def command() -> None:
    """Say why a call runs, asks or is denied; show and forget remembered answers, and tools' first definitions."""


@command.command(epilog="Exit codes: 0 explained, 2 wrong usage or configuration, 4 the tool's server can't be reached.")
@click.argument("tool")
@click.option(
    "--as", "caller", default="local", show_default=True, metavar="CALLER", help="Whose call: a key's name, or local."
)
@click.option("--client", default="", help="What the caller's host calls itself.")
@click.option("--arguments", metavar="JSON", help="Of the call, for remembered answers and web addresses.")
@click.option("--after-read", is_flag=True, help="As if the caller had read untrusted text before.")
@click.option(
    "--copied", multiple=True, metavar="POINTER", help="As if this argument came from an untrusted result; repeatable."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@workspace_options
def explain(
    tool: str,
    caller: str,
    client: str,
    arguments: str | None,
    after_read: bool,
    copied: tuple[str, ...],
    as_json: bool,
    root: Path | None,
    docs: tuple[Path, ...],
    db: tuple[str, ...],
    config: Path | None,
) -> int:
    """Say what becomes of a call of TOOL (SERVER__NAME), rule by rule up to the one that decides."""
    import anyio

    from portico_gateway.caller import Caller
    from portico_gateway.cli.trust_prompt import ask_trust
    from portico_gateway.config.portico_config import load_config
    from portico_gateway.config.workspace import workspace_specs
    from portico_gateway.errors import UnknownName
    from portico_gateway.upstreams.names import SEPARATOR

    given = _arguments(arguments)
    loaded = load_config(config, folder=root, ask=ask_trust)
    every = workspace_specs(loaded, root, docs, db)
    specs = [spec for spec in every if tool.startswith(f"{spec.name}{SEPARATOR}")]
    if not specs:
        raise UnknownName("server", tool.partition(SEPARATOR)[0], [spec.name for spec in every])
    marks = [f"{pointer} was copied from an untrusted result" for pointer in copied]
    asked = _Asked(tool, Caller(caller, client=client), given, after_read, marks)
    found = anyio.run(_explained, loaded, specs, asked)
    click.echo(inert_json(found, indent=2)) if as_json else _show(found)
    return exit_codes.OK


class _Asked:
    """What is to be explained."""

    def __init__(self, tool: str, caller: Any, arguments: dict[str, Any], after_read: bool, marks: Sequence[str]) -> None:
        self.tool, self.caller, self.arguments, self.after_read, self.marks = tool, caller, arguments, after_read, marks


def _arguments(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError as error:
        raise click.BadParameter(f"this is not valid JSON: {error}", param_hint="--arguments") from None
    if not isinstance(found, dict):
        raise click.BadParameter("arguments are a JSON object", param_hint="--arguments")
    return found


async def _explained(config: PorticoConfig, specs: Sequence[UpstreamSpec], asked: _Asked) -> dict[str, Any]:
    from dataclasses import replace

    from portico_gateway.assembly.gateway import open_tool_calls
    from portico_gateway.errors import UnknownName

    with open_tool_calls(config, specs) as tool_calls:
        async with tool_calls.upstreams as upstreams:
            await upstreams.ready(WAIT)
            there = {entry.name: entry for entry in upstreams.catalog.tools}
            if asked.tool not in there:
                raise UnknownName("tool", asked.tool, there)
            entry = there[asked.tool]
            policy, now = tool_calls.policy, await tool_calls.circumstances(entry, asked.caller, asked.arguments)
            now = replace(now, read_untrusted=asked.after_read, copied=(*now.copied, *asked.marks))
            rules = policy.explained(entry.name, entry.tool, asked.caller, now)
            ruling = rules[-1].ruling
            assert ruling is not None
            choice = None
            if ruling.may_remember:
                choice = tool_calls.choices.find(
                    asked.caller.name, entry.name, entry.digest, asked.arguments, exact=ruling.exact
                )
            quota = policy.quota(asked.caller)
    return {
        "tool": asked.tool,
        "caller": asked.caller.name,
        "verdict": ruling.verdict.value,
        "reason": ruling.reason,
        "rules": [{"question": rule.question, "verdict": rule.ruling.verdict.value if rule.ruling else None} for rule in rules],
        "remembered": None if choice is None else {"id": choice.id, "allow": choice.allow, "expires": choice.expires},
        "calls_per_minute": quota.a_minute,
        "calls_per_day": quota.a_day,
    }


def _show(found: dict[str, Any]) -> None:
    for rule in found["rules"]:
        click.echo(inert_line(f"  {rule['question']:<100} {rule['verdict'] or 'no'}"))
    click.echo(inert_line(f"{found['tool']} called by {found['caller']}: {found['verdict']}, because {found['reason']}"))
    if found["remembered"] is not None:
        answer = "allowed" if found["remembered"]["allow"] else "refused"
        click.echo(f"a remembered answer counts: {answer} until {_moment(found['remembered']['expires'])}")
    for span in ("minute", "day"):
        if (limit := found[f"calls_per_{span}"]) is not None:
            click.echo(f"at most {limit} calls a {span}")


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array on stdout.")
def choices(as_json: bool) -> None:
    """List the answers that count for later calls."""
    import dataclasses

    from portico_gateway.policy.remembered import RememberedChoices, choices_file

    found = RememberedChoices(choices_file()).all()
    if as_json:
        click.echo(inert_json([dataclasses.asdict(each) for each in found], indent=2))
        return
    for each in found:
        which = "any arguments" if each.arguments is None else inert_json(each.arguments)
        verdict = "allow" if each.allow else "refuse"
        click.echo(inert_line(f"{each.id}  {verdict}  {each.tool}  {which}  {each.caller}  until {_moment(each.expires)}"))
    if not found:
        click.echo("no answer is remembered", err=True)


@command.command()
@click.argument("identity", metavar="ID")
def forget(identity: str) -> None:
    """Forget a remembered answer: the next such call asks again."""
    from portico_gateway.policy.remembered import RememberedChoices, choices_file

    gone = RememberedChoices(choices_file()).forget(identity)
    click.echo(inert(f"portico: calls of {gone.tool} ask again"), err=True)


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array on stdout.")
def pins(as_json: bool) -> None:
    """List the tools whose first definition is kept: one that says something else of itself asks."""
    import dataclasses

    from portico_gateway.upstreams.definition_pins import DefinitionPins, pins_file

    found = DefinitionPins(pins_file()).all()
    if as_json:
        click.echo(inert_json([dataclasses.asdict(each) for each in found], indent=2))
        return
    for each in found:
        click.echo(inert_line(f"{each.server}  last started {_moment(each.used)}"))
        for name, pin in each.tools.items():
            later = [f"{digest[:_SHOWN]} allowed by {caller}" for caller, digest in pin.consents.items()]
            click.echo(inert_line(f"  {name}  {'; '.join([pin.first[:_SHOWN], *later])}"))
    if not found:
        click.echo("no definition is kept", err=True)


@command.command()
@click.argument("server")
@click.argument("tool", required=False)
def unpin(server: str, tool: str | None) -> None:
    """Forget the first definitions of SERVER's tools, or of TOOL alone: what they say at its next start is taken as it is."""
    from portico_gateway.errors import ConfigError
    from portico_gateway.upstreams.definition_pins import DefinitionPins, pins_file

    place = pins_file()
    try:
        n_tools = DefinitionPins(place).forget(server, tool)
    except OSError as error:
        raise ConfigError(f"can't be written: {error.strerror or error}", path=place) from None
    what = f"{n_tools} tools" if n_tools != 1 else "one tool"
    click.echo(inert(f"portico: {what} of {server} will be seen for the first time when it next starts"), err=True)


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
