"""`portico tune`: an adapter of one's own, from rows to what it is worth.

The work is in `portico_gateway/tuning` and the engine's `tune`, imported when a command runs.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from portico_gateway.cli import exit_codes
from portico_gateway.cli.options import model_option, workspace_options
from portico_gateway.safe_output.inert import inert

if TYPE_CHECKING:
    from portico_engine import Tool
    from portico_engine.tune.runs.options import RunOptions
    from portico_gateway.config.portico_config import PorticoConfig

INSTALL = 'training needs more libraries: pip install "portico-mcp[tune]"'
_PATH = click.Path(path_type=Path)
_EPILOG = (
    "Exit codes: 0 done, 1 refused or failed, 2 wrong usage or configuration, 3 no such model, 4 a server could not be started."
)
_DEFAULT = "default"
_SEED = click.option("--seed", type=int, default=1, show_default=True, help="Of everything that is drawn.")


@click.group(epilog="docs/tuning.md says when to train which, and what it is worth.")
def command() -> None:
    """Train an adapter on your own tools or your own log: data, training, evaluation, export."""


def _say(line: str) -> None:
    click.echo(inert(line), err=True)


def _run_options(work: Callable[..., int]) -> Callable[..., int]:
    """The options that all methods share; the command is given `RunOptions`' keywords."""
    options = [
        click.option("--data", type=_PATH, required=True, help="A file of rows (portico tune data writes some)."),
        click.option("--out", type=_PATH, required=True, help="The run's folder; a run that was killed goes on from there."),
        click.option("--start", metavar="DIR|default", help="The adapter to go on from: a folder, or Portico's own."),
        model_option,
        click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True),
        click.option("--small", is_flag=True, help="Fewer than 500 rows are meant."),
        click.option("--qlora", is_flag=True, help="Over an NF4 base, with a paged optimizer (GPU, extra tune-gpu)."),
        click.option("--rank", type=click.IntRange(1, 512), default=32, show_default=True, help="Of a new adapter."),
        click.option("--alpha", type=click.FloatRange(0, 1e6, min_open=True), default=64.0, show_default=True),
        click.option("--epochs", type=click.FloatRange(0, 1000, min_open=True), help="Default: the method's own."),
        click.option("--rate", "learning_rate", type=click.FloatRange(0, 1, min_open=True), help="Default: the method's own."),
        click.option("--batch-tokens", type=click.IntRange(64), default=8192, show_default=True, help="Of a step."),
        click.option("--longest", type=click.IntRange(16), default=1280, show_default=True, help="Tokens of a row."),
        click.option("--minutes", type=click.FloatRange(0, min_open=True), default=math.inf, help="The schedule ends then."),
        click.option("--checkpoint-seconds", type=click.FloatRange(0), default=60.0, show_default=True),
        _SEED,
    ]

    @wraps(work)
    def command_(**given: Any) -> int:
        return work(_options(**given))

    for option in reversed(options):
        command_ = option(command_)
    return command_


def _needs_libraries() -> None:
    """Exits where the extra is not installed."""
    import importlib.util

    from portico_gateway.model.installed import INSTALL_ENGINE, missing_libraries

    if missing := missing_libraries():
        click.echo(f"portico: the engine is not installed ({', '.join(missing)}): {INSTALL_ENGINE}", err=True)
        sys.exit(exit_codes.NO_MODEL)
    if importlib.util.find_spec("transformers") is None:
        click.echo(f"portico: {INSTALL}", err=True)
        sys.exit(exit_codes.FAILED)


def _model(name: str | None) -> tuple[Path, str]:
    """Its place, and what adapters call it."""
    from portico_engine import ModelError, find_model

    try:
        path = find_model(name or "smollm2")
    except ModelError as error:
        click.echo(inert(f"portico: {error}"), err=True)
        sys.exit(exit_codes.NO_MODEL)
    return path, "HuggingFaceTB/SmolLM2-135M-Instruct" if name in (None, "smollm2") else path.name


def _adapter(given: str) -> Path:
    from portico_engine import default_adapter

    return default_adapter() if given == _DEFAULT else Path(given).expanduser()


def _device(given: str) -> str:
    from portico_engine.tune.runs.options import choose_device

    return choose_device(given)


def _options(**given: Any) -> RunOptions:
    _needs_libraries()
    from portico_engine.tune.runs.options import RunOptions
    from portico_gateway.tuning.prompts import TRAINED_ON

    model, base = _model(given.pop("model"))
    start = given.pop("start")
    device = _device(given.pop("device"))
    return RunOptions(
        model=model, base=base, prompts=TRAINED_ON, start=None if start is None else _adapter(start), device=device, say=_say,
        **given,
    )  # fmt: skip


# -- data


def _data_options(work: Callable[..., int]) -> Callable[..., int]:
    options = [
        click.option("--out", type=_PATH, required=True, help="The folder for the rows."),
        click.option("--tools", type=_PATH, multiple=True, help="A file with an answer to tools/list; repeatable."),
        click.option("--catalog", is_flag=True, help="Questions about the tools of this workspace's servers."),
        click.option("--log", is_flag=True, help="Calls of the audit log ([tune] use_log = true), with what became of them."),
        click.option("--rows", type=click.IntRange(1, 1_000_000), default=3000, show_default=True, help="Made of tool lists."),
        click.option("--licence", default="yours", show_default=True, help="What rows made of tool lists stand under."),
        click.option(
            "--without", type=_PATH, multiple=True, help="Questions of an evaluation, a line each; rows like them go."
        ),
        click.option("--small", is_flag=True, help="Fewer than 500 rows are meant."),
        click.option("--yes", is_flag=True, help="Write without asking."),
        _SEED,
        workspace_options,
    ]
    for option in reversed(options):
        work = option(work)
    return work


@command.command("data", epilog=_EPILOG)
@_data_options
def data(**given: Any) -> int:
    """Make rows of tool lists, of this workspace's tools, or of your own log; shown before they are written."""
    _needs_engine()
    from portico_gateway.tuning.data_set import DataSet

    if not (given["tools"] or given["catalog"] or given["log"]):
        raise click.UsageError("no source: give --tools FILE, --catalog or --log")
    config = _config(given)
    made = DataSet()
    without = [line for path in given["without"] for line in _text(path).splitlines()]
    _collect(made, config, given)
    made.check(without=without, small=given["small"])
    for line in made.shown():
        click.echo(inert(line))
    if not (given["yes"] or _confirmed(f"Write these rows to {given['out']}?")):
        click.echo("nothing was written", err=True)
        return exit_codes.FAILED
    for name, count in made.write(given["out"]).items():
        click.echo(inert(f"{given['out'] / name}: {count} rows"))
    return exit_codes.OK


def _collect(made: Any, config: PorticoConfig, given: dict[str, Any]) -> None:
    from portico_engine.tune.data.tool_questions import Origin
    from portico_gateway.policy.audit import audit_file
    from portico_gateway.tuning.call_log import read_calls, refuse_without_consent
    from portico_gateway.tuning.own_tools import listed_tools

    if given["log"]:
        refuse_without_consent(config.tune.use_log)
    lists = [(str(path.name), listed_tools(path)) for path in given["tools"]]
    own: list[Tool] = []
    if given["catalog"] or (given["log"] and not lists):
        own = _live_tools(config, given)
    if given["log"]:
        calls, passed_over = read_calls(audit_file(config.audit))
        known = own or [tool for _, tools in lists for tool in tools]
        made.add_log(calls, known, seed=given["seed"], passed_over=passed_over)
    if given["catalog"]:
        lists.append(("this workspace's servers", own))
    for name, tools in lists:
        share = max(1, round(given["rows"] * len(tools) / sum(len(each) for _, each in lists)))
        made.add_tools(tools, Origin(name, given["licence"]), share, seed=given["seed"], renamed=0.6)


def _needs_engine() -> None:
    from portico_gateway.model.installed import INSTALL_ENGINE, missing_libraries

    if missing := missing_libraries():
        click.echo(f"portico: the engine is not installed ({', '.join(missing)}): {INSTALL_ENGINE}", err=True)
        sys.exit(exit_codes.NO_MODEL)


def _config(given: dict[str, Any]) -> PorticoConfig:
    from portico_gateway.cli.trust_prompt import ask_trust
    from portico_gateway.config.logs import set_up_logging
    from portico_gateway.config.portico_config import load_config

    config = load_config(given["config"], folder=given["root"], ask=ask_trust)
    set_up_logging("tune", config.log)
    return config


def _live_tools(config: PorticoConfig, given: dict[str, Any]) -> list[Tool]:
    import anyio

    from portico_gateway.config.workspace import workspace_specs
    from portico_gateway.tuning.own_tools import NoTools, live_tools

    specs = workspace_specs(config, given["root"], given["docs"], given["db"])
    tools, missing = anyio.run(live_tools, config, specs)
    for server, why in missing.items():
        _say(f"portico: server {server} is not available: {why}")
    if not tools:
        raise NoTools("no server could be started, so that there are no tools")
    return tools


def _text(path: Path) -> str:
    from portico_gateway.errors import ConfigError

    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"this file can't be read: {error}", path=path) from None


def _confirmed(question: str) -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        _say("portico: there is no terminal to ask at; --yes writes without asking")
        return False
    return click.confirm(question, default=False, err=True)


# -- training


@command.command("sft", epilog=_EPILOG)
@_run_options
def sft(options: RunOptions) -> int:
    """Supervised training on questions with their calls: the first step, and most of what there is to gain."""
    from portico_engine.tune.runs.supervised import run_sft

    click.echo(run_sft(options))
    return exit_codes.OK


def _preference(method: Any, about: str) -> None:
    @command.command(method, epilog=_EPILOG, help=about)
    @click.option("--beta", type=click.FloatRange(0, 100, min_open=True), help="Tried beside a third and three times of it.")
    @click.option("--sft-weight", type=click.FloatRange(0, 100), help="Of the good answers' own loss.  [default: 1]")
    @_run_options
    def command_(options: RunOptions) -> int:
        from portico_engine.tune.runs.preferences import run_preference

        click.echo(run_preference(method, options))
        return exit_codes.OK


_preference("dpo", "Direct preference optimization: pairs of a better and a worse answer, after sft.")
_preference("ipo", "Identity preference optimization: as dpo, for pairs that are nearly all right; after sft.")
_preference("kto", "Kahneman-Tversky optimization: answers that were kept or refused, without pairs; after sft.")


@command.command("rlhf", epilog=_EPILOG)
@click.option("--group", type=click.IntRange(2, 64), default=8, show_default=True, help="Answers to each question.")
@_run_options
def rlhf(options: RunOptions, group: int) -> int:
    """A reward model from pairs, then GRPO: its reward, and whether a call is valid and right; after sft."""
    from portico_engine.tune.runs.reinforced import run_rlhf

    click.echo(run_rlhf(options, group=group))
    return exit_codes.OK


# -- what it is worth


@command.command("eval", epilog=_EPILOG)
@click.argument("adapter", metavar="DIR|default")
@click.option("--data", type=_PATH, required=True, help="A file of rows; those that no run trains on are asked.")
@click.option("--all", "everything", is_flag=True, help="Ask all rows of the file: one that was not trained on.")
@click.option("--before", default="none", show_default=True, metavar="DIR|default|none", help="What it is compared with.")
@click.option("--install", metavar="NAME", help="If it has not lost too much, name it so in portico.toml.")
@click.option("--force", is_flag=True, help="Install it whatever it has lost.")
@click.option("--config", type=_PATH, help="The portico.toml to name it in; default: the user's.")
@model_option
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--longest", type=click.IntRange(16), default=1536, show_default=True, help="Tokens of a prompt.")
@click.option("--limit", type=click.IntRange(1), default=500, show_default=True, help="Questions at most.")
def evaluate(
    adapter: str,
    data: Path,
    everything: bool,
    before: str,
    install: str | None,
    force: bool,
    config: Path | None,
    model: str | None,
    device: str,
    longest: int,
    limit: int,
) -> int:
    """What an adapter gained and what it forgot, before and after, through the engine's own tool calls."""
    _needs_libraries()
    from portico_gateway.tuning.judging import rows_to_ask

    rows = rows_to_ask(data, everything=everything)[:limit]
    other = None if before == "none" else _adapter(before)
    names = ("the base" if other is None else before, "the adapter")
    return _judged(rows, _adapter(adapter), other, _model(model)[0], _device(device), longest, names, install, force, config)


def _judged(
    rows: Sequence[Any],
    adapter: Path,
    before: Path | None,
    model: Path,
    device: str,
    longest: int,
    names: tuple[str, str],
    install: str | None,
    force: bool,
    config: Path | None,
) -> int:
    from portico_gateway.tuning.installing import install_adapter
    from portico_gateway.tuning.judging import compare, in_lines, write_report

    found = compare(model, device, rows, adapter, before, longest=longest)
    for line in in_lines(found, names):
        click.echo(inert(line))
    if adapter.parent.joinpath("run.json").exists():
        write_report(adapter.parent, found, {"adapter": adapter.name, "before": names[0]})
    for loss in found.losses:
        _say(f"lost more than it may: {loss}")
    if install is None:
        return exit_codes.FAILED if found.losses else exit_codes.OK
    if found.losses and not force:
        _say(f"it is not installed; --force installs it as {install} all the same")
        return exit_codes.FAILED
    place, file = install_adapter(adapter, install, config)
    click.echo(inert(f"installed in {place}, named in {file}; adapter = {install!r} under [model] has it answer"))
    return exit_codes.OK


@command.command("export", epilog=_EPILOG)
@click.argument("source", type=_PATH, metavar="DIR")
@click.option(
    "--to", "form", type=click.Choice(["peft", "gguf", "merged"]), required=True, help="merged: a whole model in GGUF."
)
@click.option("--out", type=_PATH, required=True, help="A folder for peft, a file for gguf and merged.")
@model_option
def export(source: Path, form: str, out: Path, model: str | None) -> int:
    """An adapter (or a stopped run's last checkpoint) as PEFT or llama.cpp reads it, or merged into the model."""
    _needs_libraries()
    from portico_engine.tune.runs.exporting import export_adapter
    from portico_gateway.tuning.prompts import TRAINED_ON

    place, base = _model(model)
    export_adapter(source, form, out, model=place, base=base, prompts=TRAINED_ON, say=_say)
    click.echo(out)
    return exit_codes.OK


@command.command("catalog", epilog=_EPILOG)
@click.option("--out", type=_PATH, required=True, help="The run's folder; a run that was killed goes on from there.")
@click.option(
    "--tools", type=_PATH, multiple=True, help="Files with answers to tools/list, instead of this workspace's servers."
)
@click.option("--rows", type=click.IntRange(600, 200_000), default=4000, show_default=True, help="Questions that are made.")
@click.option("--start", default=_DEFAULT, show_default=True, metavar="DIR|default|none", help="The adapter to go on from.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=math.inf, help="The training ends then.")
@click.option("--install", metavar="NAME", help="If it has not lost too much, name it so in portico.toml.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--batch-tokens", type=click.IntRange(64), default=8192, show_default=True)
@click.option("--longest", type=click.IntRange(16), default=1280, show_default=True, help="Tokens of a row.")
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True, help="Held-out questions that are asked.")
@model_option
@_SEED
@workspace_options
def catalog(**given: Any) -> int:
    """An adapter for your own tools, from their lists alone, and what it gained on questions that it has not seen."""
    _needs_libraries()
    from portico_gateway.tuning.catalog import train_catalog
    from portico_gateway.tuning.own_tools import listed_tools

    config = _config(given)
    tools = [tool for path in given["tools"] for tool in listed_tools(path)] or _live_tools(config, given)
    start = None if given["start"] == "none" else _adapter(given["start"])
    model, base = _model(given["model"])
    device = _device(given["device"])
    adapter, rows = train_catalog(
        tools, given["out"], rows=given["rows"], start=start, model=model, base=base, device=device, minutes=given["minutes"],
        batch_tokens=given["batch_tokens"], longest=given["longest"], seed=given["seed"], say=_say,
    )  # fmt: skip
    names = ("the base" if start is None else given["start"], "this catalog's")
    return _judged(
        rows[: given["limit"]], adapter, start, model, device, given["longest"], names, given["install"], False, given["config"]
    )
