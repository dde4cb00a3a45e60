"""Models as lines of text: the list, one model's description, progress. It finds nothing out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from portico_gateway.hub.recommended import CPU_BYTES, RECOMMENDED, Recommended

if TYPE_CHECKING:
    from portico_engine import ModelDescription, StoredModel

CONCURRENCIES = (1, 4, 16)
_EXECUTORS = {"torch-cpu": "torch on the CPU", "torch-cuda": "torch on a GPU", "llama_cpp": "llama.cpp"}


def size(n_bytes: float) -> str:
    """Bytes for people: 2.5 GB, 480 MB."""
    return (
        f"{n_bytes / 1e9:.1f} GB"
        if n_bytes >= 1e9
        else f"{n_bytes / 1e6:.0f} MB"
        if n_bytes >= 1e6
        else f"{n_bytes / 1e3:.0f} kB"
    )


def list_lines(models: Sequence[StoredModel]) -> Iterator[str]:
    """A line each: name, kind, size, whose, path."""
    rows = [(each.name, each.kind, size(each.size), each.store, str(each.path)) for each in models]
    widths = [max(len(row[i]) for row in rows) for i in range(4)] if rows else []
    for row in rows:
        yield "  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[-1]])


def recommended_lines(memory: int, *, from_codes: bool, on_gpu: bool, best: Recommended | None) -> Iterator[str]:
    """The list, largest first: what each needs, and whether it fits."""
    for each in RECOMMENDED:
        fits = each.fits(memory, from_codes=from_codes)
        slow = "" if on_gpu or each.size <= CPU_BYTES else ", slow"
        note = "recommended here" if each is best else f"fits{slow}" if fits else "too large for this machine"
        needs = size(each.needs(from_codes=from_codes))
        yield f"{each.name:<15} {size(each.size):>8}  {each.licence:<11} needs {needs:>8}  {note:<26}  {each.source}"


def description_lines(about: ModelDescription) -> Iterator[str]:
    """One model, whole."""
    yield f"file          {about.path} ({size(about.size)})"
    title = f", {about.title}" if about.title else ""
    yield f"architecture  {about.architecture}, {about.parameters / 1e9:.2f} billion weights{title}"
    if about.licence:
        yield f"licence       {about.licence}"
    yield f"context       {about.context_length} tokens"
    yield f"quantization  {about.quantization}"
    for each in about.types:
        bits = 8 * each.n_bytes / max(1, each.weights)
        yield (
            f"  {each.name:<8} {each.tensors:>5} tensors {each.weights / 1e6:>9.1f}M weights {size(each.n_bytes):>8} "
            f"{bits:5.2f} bits  CPU: {each.on_cpu}; GPU: {each.on_gpu}"
        )
    yield from _text_lines(about)
    yield from _memory_lines(about)
    if about.outlook is not None:
        yield f"runs here     by {about.outlook.executor} on {about.outlook.device}"
        for what in about.outlook.fallbacks.values():
            yield f"              {what}"
    else:
        yield f"runs here     no: {about.obstacle}"


def _text_lines(about: ModelDescription) -> Iterator[str]:
    tokenizer = about.tokenizer
    if tokenizer.problem:
        yield f"tokenizer     {tokenizer.kind}: {tokenizer.problem}"
    else:
        begins = f", begins with {tokenizer.bos}" if tokenizer.bos else ""
        yield f"tokenizer     {tokenizer.kind}, {tokenizer.size} tokens{begins}, ends with {' '.join(tokenizer.ends)}"
    template = about.template
    if about.embeds:
        yield "embeddings    yes: it brings its own pooling (/v1/embeddings)"
    if template is None:
        yield "template      none: it answers no chats"
    else:
        tools = "writes tools its own way" if template.takes_tools else "has no place for tools (they are told as signatures)"
        thoughts = ", can think first" if template.takes_thoughts else ""
        yield f"template      {template.characters} characters, {tools}{thoughts}"


def _memory_lines(about: ModelDescription) -> Iterator[str]:
    memory = about.memory
    yield f"memory        {memory.kv_per_token / 1024:.0f} KiB of KV a token; this machine has {size(memory.machine)}"
    for executor in memory.weights:
        yield f"  {_EXECUTORS[executor]}: weights {size(memory.weights[executor])}; with steps and KV of so many conversations:"
        yield f"    {'context':>8}" + "".join(f"{count:>12}" for count in CONCURRENCIES)
        for context in memory.contexts:
            cells = ""
            for count in CONCURRENCIES:
                needed = size(memory.needed(executor, context, count))
                cells += f"{needed + ('' if memory.fits(executor, context, count) else ' !'):>12}"
            yield f"    {context:>8}{cells}"
    if any(not memory.fits(each, context, 16) for each in memory.weights for context in memory.contexts):
        yield "    ! more than this machine has"


def description_object(about: ModelDescription) -> dict[str, Any]:
    """The same for programs."""
    found = asdict(about)
    found["path"] = str(about.path)
    found["outlook"] = None if about.outlook is None else about.outlook._asdict()
    return found
