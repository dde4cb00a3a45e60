"""`portico bench`: how fast is the model on this machine, and by which executor?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from portico_gateway.cli import exit_codes
from portico_gateway.cli.options import model_option
from portico_gateway.safe_output.inert import inert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portico_gateway.bench.run import BenchRun
    from portico_gateway.bench.workload import Workload
    from portico_gateway.config.portico_config import PorticoConfig

EXECUTORS = ("torch-cpu", "torch-cuda", "llama_cpp")
_BAR_WIDTH = 78


@click.command(epilog="Exit codes: 0 measured, 1 no executor could be, 2 wrong usage or configuration, 3 no such model.")
@model_option
@click.option(
    "--executor", "executors", type=click.Choice(EXECUTORS), multiple=True, help="Measure this one; repeatable; default: all."
)
@click.option("--quick", is_flag=True, help="Less of everything: half a minute on two cores.")
@click.option("--long", is_flag=True, help="More of everything, and a prefill of 2,048 tokens.")
@click.option("--config", type=click.Path(path_type=Path), help="portico.toml: its [model] and [engine].")
@click.option(
    "--png", type=click.Path(path_type=Path, dir_okay=False), help="Draw the figures into this file (needs matplotlib)."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def command(
    model: str | None,
    executors: tuple[str, ...],
    quick: bool,
    long: bool,
    config: Path | None,
    png: Path | None,
    as_json: bool,
) -> int:
    """Measure the model on this machine, by executor: prefill, decode, tool calls, reuse of a prefix.

    What is found is kept in your state folder; executor "auto" follows it on this machine, for this model and these versions.
    """
    from portico_gateway.bench.picture import can_draw
    from portico_gateway.bench.workload import LONG, QUICK, USUAL
    from portico_gateway.cli.interrupt import interruptible
    from portico_gateway.config.config_file import find_config
    from portico_gateway.config.logs import set_up_logging
    from portico_gateway.config.portico_config import parse_config

    if quick and long:
        raise click.UsageError("--quick and --long are opposites: give one of them")
    loaded = parse_config(find_config(config), flags={"model.name": model})
    set_up_logging("bench", loaded.log)
    if png is not None and not can_draw():
        _say("no PNG: matplotlib is not installed (pip install matplotlib); the bars are below")
        png = None
    interruptible()
    return _measured(loaded, executors, QUICK if quick else LONG if long else USUAL, quick, png, as_json)


def _measured(
    config: PorticoConfig, executors: Sequence[str], workload: Workload, quick: bool, png: Path | None, as_json: bool
) -> int:
    import anyio

    from portico_engine import ModelError, find_model, model_digest
    from portico_gateway.bench.picture import draw
    from portico_gateway.bench.run import process_opener, run_bench
    from portico_gateway.model.machine import busy_with
    from portico_gateway.model.options import load_options

    try:
        path = find_model(config.model.name)
        digest = model_digest(path)
    except ModelError as error:
        _say(str(error))
        return exit_codes.NO_MODEL
    if (load := busy_with()) is not None:
        _say(f"this machine is busy ({load}): figures will be lower than it can, and executor auto may follow a wrong lead")
    usable, unusable = _usable(executors)
    options = load_options(config.model.model_copy(update={"kv_disk_gib": 0.0}), config.engine)
    run = anyio.run(run_bench, usable, process_opener(path, options), workload, _say)
    run.problems = {**unusable, **run.problems}
    record = run.record(digest, quick=quick)
    _show(run, path, record.machine, as_json)
    if png is not None and run.figures:
        draw(run.figures, f"{path.name}: {record.machine}", png)
        _say(f"drawn into {png}")
    if not run.figures:
        return exit_codes.FAILED
    _keep(run, digest, quick)
    return exit_codes.OK


def _usable(asked: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Those that can be measured, and why the others can't."""
    from portico_engine import usable_executors

    found = {name: why for name, why in usable_executors().items() if not asked or name in asked}
    return [name for name, why in found.items() if why is None], {name: why for name, why in found.items() if why is not None}


def _keep(run: BenchRun, digest: str, quick: bool) -> None:
    from portico_gateway.model.bench_record import keep_record

    try:
        _say(f"kept in {keep_record(run.record(digest, quick=quick))}; executor auto follows it")
    except OSError as error:
        _say(f"not kept, so that executor auto does not follow it: {error}")


def _show(run: BenchRun, path: Path, machine: str, as_json: bool) -> None:
    from portico_gateway.safe_output.inert import inert_json

    if as_json:
        about = {"model": str(path), "machine": machine, "figures": run.figures, "problems": run.problems}
        click.echo(inert_json({**about, "fallbacks": {name: dict(found) for name, found in run.fallbacks.items()}}, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    from portico_gateway.bench.figures import bars, rows

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    table.add_column(f"{inert(path.name)}, {inert(machine)}", overflow="fold")
    table.add_column("")
    for name in run.figures:
        table.add_column(name, justify="right")
    for row in rows(run.figures):
        table.add_row(row.title, row.unit, *(row.shown(name) for name in run.figures))
    if run.figures:
        console.print(table)
        console.print()
        for line in bars(run.figures, min(console.width, _BAR_WIDTH)):
            console.print(line, markup=False)
    for name, why in run.problems.items():
        console.print(f"{name} was not measured: {inert(why)}", markup=False, soft_wrap=True)
    for found in run.fallbacks.values():
        for each in found.values():
            console.print(inert(each), markup=False, soft_wrap=True)


def _say(text: str) -> None:
    click.echo(inert(f"portico: {text}"), err=True)
