"""What a model on disk is, before it is loaded: its shape, its tensors by type, its tokenizer and template, the memory that it
takes, and what would run it here.

It owns the gathering of these facts. Nothing is computed with the weights, and how facts look is its caller's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import gguf

from portico_engine.errors import EngineError, ModelError
from portico_engine.executors.llama_cpp.library import has_llama_cpp
from portico_engine.loading.device import memory_bytes
from portico_engine.loading.fitting import USABLE
from portico_engine.loading.llama_plan import kv_bytes_per_token
from portico_engine.loading.load_engine import Outlook, foresee, load_tokenizer, open_model, quantization_name
from portico_engine.loading.memory_plan import StepMemory, n_parameters, step_memory
from portico_engine.loading.weight_memory import cpu_codes, cpu_weights, gpu_weights
from portico_engine.models.config import read_config
from portico_engine.quantization.block_formats import FORMATS, bits_per_weight, is_quantized
from portico_engine.weights.model_file import ModelFile

_CONTEXTS = (4096, 16384, 32768, 131072)
_PLAIN = {gguf.GGMLQuantizationType.F32: "float32 for vectors, bfloat16 for matrices"}


@dataclass(frozen=True, slots=True)
class TensorType:
    """All tensors of one type: how many, their weights and bytes on disk, and what computes with them."""

    name: str
    tensors: int
    weights: int
    n_bytes: int
    on_cpu: str
    on_gpu: str


@dataclass(frozen=True, slots=True)
class TokenizerFacts:
    """`ends` are tokens that end an answer, as texts. `problem`: why it can't be used."""

    kind: str
    size: int = 0
    bos: str | None = None
    ends: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class TemplateFacts:
    """`takes_tools`: does it write tools into the prompt itself; `takes_thoughts`: can it be told to think."""

    characters: int
    takes_tools: bool
    takes_thoughts: bool


@dataclass(frozen=True, slots=True)
class MemoryFacts:
    """Bytes. `weights` and `steps` by executor, `kv_per_token` of one position; `fits(...)` is against `machine`."""

    weights: Mapping[str, int]
    steps: Mapping[str, StepMemory]
    kv_per_token: int
    machine: int
    contexts: tuple[int, ...]

    def needed(self, executor: str, context: int, concurrency: int) -> int:
        """Weights, the KV of so many conversations of this length, and the largest step with them."""
        step = self.steps[executor].needed(context, concurrency) if executor in self.steps else 0
        return self.weights[executor] + context * concurrency * self.kv_per_token + step

    def fits(self, executor: str, context: int, concurrency: int) -> bool:
        """Is that within this machine's memory?"""
        return self.needed(executor, context, concurrency) <= self.machine * USABLE


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What is known of a model. `outlook` is how it would be run here, or `obstacle` why it can't be."""

    path: Path
    title: str
    licence: str
    architecture: str
    parameters: int
    size: int
    quantization: str
    context_length: int
    types: tuple[TensorType, ...]
    tokenizer: TokenizerFacts
    template: TemplateFacts | None
    memory: MemoryFacts
    embeds: bool
    outlook: Outlook | None
    obstacle: str | None


def describe_model(path: Path) -> ModelDescription:
    """Read the headers of the model at `path`. Raises ModelError where it is no model or is damaged; one that is well but can't
    be run here has an `obstacle`.
    """
    file = open_model(path)
    arch = file.get("general.architecture", str)
    outlook, obstacle = _outlook(path)
    return ModelDescription(
        path=path,
        title=str(file.metadata.get("general.name", "")),
        licence=str(file.metadata.get("general.license", "")),
        architecture=arch,
        parameters=n_parameters(file),
        size=file.size,
        quantization=quantization_name(file),
        context_length=file.get(f"{arch}.context_length", int, 0),
        types=_types(file),
        tokenizer=_tokenizer(file),
        template=_template(file),
        memory=_memory(file, arch),
        embeds=f"{arch}.pooling_type" in file.metadata,
        outlook=outlook,
        obstacle=obstacle,
    )


def needed_memory(path: Path, **options: Any) -> int:
    """About how many bytes a model takes when it is loaded with these `LoadOptions`: weights, and KV of one full context.

    Raises what `load_engine` raises.
    """
    file = open_model(path)
    arch = file.get("general.architecture", str)
    memory = _memory(file, arch)
    context = options.get("kv_tokens") or options.get("context") or min(memory.contexts[-1:] or (0,))
    weights = memory.weights.get(foresee(path, **options).executor, file.size)
    return weights + min(context * memory.kv_per_token, memory.machine // 4)


def _outlook(path: Path) -> tuple[Outlook | None, str | None]:
    try:
        return foresee(path), None
    except EngineError as error:
        return None, str(error)


def _types(file: ModelFile) -> tuple[TensorType, ...]:
    tensors: Counter[gguf.GGMLQuantizationType] = Counter()
    weights: Counter[gguf.GGMLQuantizationType] = Counter()
    n_bytes: Counter[gguf.GGMLQuantizationType] = Counter()
    for info in file.tensors.values():
        tensors[info.type] += 1
        weights[info.type] += prod(info.shape)
        n_bytes[info.type] += info.n_bytes
    return tuple(
        TensorType(kind.name, tensors[kind], weights[kind], n_bytes[kind], _on_cpu(kind), _on_gpu(kind))
        for kind, _ in n_bytes.most_common()
    )


def _on_cpu(kind: gguf.GGMLQuantizationType) -> str:
    """By torch."""
    from portico_engine.linear.cpu_codes import codes_supported

    if not is_quantized(kind):
        return _PLAIN.get(kind, "bfloat16")
    return "codes for few tokens, bfloat16 for many" if codes_supported() else "bfloat16"


def _on_gpu(kind: gguf.GGMLQuantizationType) -> str:
    """By torch."""
    if not is_quantized(kind):
        return _PLAIN.get(kind, "bfloat16")
    return f"from {'its' if kind in FORMATS else 'new 8-bit'} codes, {bits_per_weight(kind):.1f} bits a weight"


def _tokenizer(file: ModelFile) -> TokenizerFacts:
    kind = str(file.metadata.get("tokenizer.ggml.model", "tokenizer.json"))
    pre = file.metadata.get("tokenizer.ggml.pre")
    name = f"{kind} ({pre})" if pre else kind
    try:
        made = load_tokenizer(file.path)
    except ModelError as error:
        return TokenizerFacts(name, problem=str(error))
    bos = None if made.bos_token_id is None else made.tokens[made.bos_token_id]
    return TokenizerFacts(name, made.vocab_size, bos, tuple(made.tokens[i] for i in sorted(made.end_token_ids)))


def _template(file: ModelFile) -> TemplateFacts | None:
    source = file.metadata.get("tokenizer.chat_template")
    if not isinstance(source, str):
        return None
    return TemplateFacts(len(source), "tools" in source, "enable_thinking" in source or "thinking" in source)


def _memory(file: ModelFile, arch: str) -> MemoryFacts:
    weights: dict[str, int] = {}
    steps: dict[str, StepMemory] = {}
    try:
        config = read_config(file)
        per_token = config.kv_bytes_per_token
        weights["torch-cpu"] = cpu_weights(file, config, codes=cpu_codes())
        weights["torch-cuda"] = gpu_weights(file, config, copies=False)
        steps = {"torch-cpu": step_memory(config, cuda=False), "torch-cuda": step_memory(config, cuda=True)}
    except ModelError:
        per_token = kv_bytes_per_token(file, arch)
    if has_llama_cpp() and not file.path.is_dir():
        weights["llama_cpp"] = file.size
    longest = file.get(f"{arch}.context_length", int, 0)
    contexts: Sequence[int] = [each for each in _CONTEXTS if each < longest]
    return MemoryFacts(weights, steps, per_token, memory_bytes(), (*contexts, longest) if longest else tuple(contexts))
