"""Portico's model engine: grammar-constrained decoding over paged KV. It knows neither MCP nor HTTP.

What is asked, and by whom:

    request.py         a request, how to sample, and the events of its answer
    tool.py            a tool as templates and grammars see it
    request_checks.py  what a request must be to be accepted
    client.py          EngineClient: what a program uses of a loaded model, wherever it runs
    errors.py          what bad input raises, as a tree

The loop, which sees tokens and never a tensor:

    engine.py          schedule, run, mask, sample, accept
    answers.py         how answers grow and end
    scheduler.py       who runs in the next step
    scheduled_step.py  whose rows a step has, and what of it still counts when it is finished
    fairness/          several callers: who of the waiting goes first, whose turn it is in a step
    sequence.py        one request under way
    settlement.py      requests whose grammars have more to find out than fits into a step
    plan.py            one step's work as values: what an executor is asked for and answers
    step_runner.py     a step's rows on the executor, where some of them fail
    constraints.py     a step's token masks, and what priors add
    speculation.py     tokens that are guessed from the text before
    repetition.py      penalties on what would repeat
    sampling.py        tokens from logits: the reference of every executor's sampler
    faults.py          one request's fault, and how it is said
    step_timing.py     where the time of steps goes, part by part
    fallbacks.py       what is done instead of something better, and why
    scoring.py         log-probabilities of given continuations

Rooms, each with a map of its own:

    stores/            which models are on this machine, in whichever program's folders
    loading/           from a model on disk to an engine
    conversion/        a model from one form on disk to another
    text/              tokenizers, chat templates, streamed text
    grammar/           tool lists, JSON Schemas and GBNF to a matcher
    adapters/          LoRA adapters: read, checked against the model, and which are loaded
    priors/            what a caller believes about an answer
    kv/                blocks, the prefix index, eviction, tiers
    executors/         run a plan: torch on CPU or CUDA, llama.cpp
    parallel/          one model over several devices: what each has, and what they say to each other
    models/            decoders of the model families, and their weights
    weights/           model files: metadata and tensors
    linear/            linear layers, in bfloat16 or quantized
    kernels/           for NVIDIA GPUs, each beside its plain twin
    quantization/      quantized matrices as values
    front/             the engine for asyncio, on a thread of this process
    process/           the engine in a child process
    tune/              adapters of one's own; nothing else imports it

Importing it loads no model library: what needs one is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from portico_engine.errors import (
    AdapterError,
    ChatTemplateError,
    ContextOverflow,
    EngineDied,
    EngineError,
    GBNFSyntaxError,
    GrammarError,
    GrammarTooLarge,
    ModelError,
    RequestError,
    UnknownAdapter,
    Unsatisfiable,
)
from portico_engine.loading.device import memory_bytes
from portico_engine.loading.model_path import DEFAULT_MODEL, default_model_path, find_model
from portico_engine.priors.protocol import Prior, TokenPrior
from portico_engine.request import (
    PRESETS,
    SAMPLING_RANGES,
    Delta,
    Embeddings,
    FinishReason,
    ModelInfo,
    ParameterRange,
    Pooling,
    Preset,
    Request,
    SamplingParams,
    Usage,
)
from portico_engine.stores.places import find_stored, models_folder, remove_stored, stored_models
from portico_engine.stores.stored_model import StoredModel
from portico_engine.tool import TEXT_PARAMETER, TextInput, Tool, text_tool

if TYPE_CHECKING:
    from portico_engine.adapters.adapter import AdapterInfo
    from portico_engine.adapters.default_adapter import default_adapter
    from portico_engine.client import EngineClient, VocabularyView
    from portico_engine.conversion.requantize import quantization_types, requantize
    from portico_engine.conversion.to_gguf import convert_folder
    from portico_engine.engine import Engine
    from portico_engine.front.async_engine import AsyncEngine
    from portico_engine.loading.description import ModelDescription, describe_model, needed_memory
    from portico_engine.loading.engine_loader import EngineLoader, engine_loader
    from portico_engine.loading.load_engine import Outlook, foresee, load_engine, load_tokenizer
    from portico_engine.loading.model_digest import model_digest
    from portico_engine.loading.options import LoadOptions, LoadProgress
    from portico_engine.loading.torch_import import lean_torch
    from portico_engine.loading.usable_executors import llama_cpp_backend, usable_executors
    from portico_engine.priors.call_prior import CallPrior
    from portico_engine.priors.text_prior import TextPrior
    from portico_engine.priors.tool_call_prior import ToolCallPrior
    from portico_engine.process.client import EngineProcess
    from portico_engine.text.tokenizer import Tokenizer

_LAZY = {
    "AdapterInfo": "portico_engine.adapters.adapter",
    "default_adapter": "portico_engine.adapters.default_adapter",
    "AsyncEngine": "portico_engine.front.async_engine",
    "Engine": "portico_engine.engine",
    "EngineClient": "portico_engine.client",
    "ModelDescription": "portico_engine.loading.description",
    "describe_model": "portico_engine.loading.description",
    "needed_memory": "portico_engine.loading.description",
    "convert_folder": "portico_engine.conversion.to_gguf",
    "quantization_types": "portico_engine.conversion.requantize",
    "requantize": "portico_engine.conversion.requantize",
    "EngineProcess": "portico_engine.process.client",
    "EngineLoader": "portico_engine.loading.engine_loader",
    "LoadOptions": "portico_engine.loading.options",
    "LoadProgress": "portico_engine.loading.options",
    "engine_loader": "portico_engine.loading.engine_loader",
    "load_engine": "portico_engine.loading.load_engine",
    "load_tokenizer": "portico_engine.loading.load_engine",
    "foresee": "portico_engine.loading.load_engine",
    "Outlook": "portico_engine.loading.load_engine",
    "model_digest": "portico_engine.loading.model_digest",
    "lean_torch": "portico_engine.loading.torch_import",
    "llama_cpp_backend": "portico_engine.loading.usable_executors",
    "usable_executors": "portico_engine.loading.usable_executors",
    "VocabularyView": "portico_engine.client",
    "CallPrior": "portico_engine.priors.call_prior",
    "Tokenizer": "portico_engine.text.tokenizer",
    "TextPrior": "portico_engine.priors.text_prior",
    "ToolCallPrior": "portico_engine.priors.tool_call_prior",
}

__all__ = [
    "DEFAULT_MODEL",
    "PRESETS",
    "SAMPLING_RANGES",
    "TEXT_PARAMETER",
    "AdapterError",
    "AdapterInfo",
    "AsyncEngine",
    "CallPrior",
    "ChatTemplateError",
    "ContextOverflow",
    "Delta",
    "Embeddings",
    "Engine",
    "EngineClient",
    "EngineDied",
    "EngineError",
    "EngineLoader",
    "EngineProcess",
    "FinishReason",
    "GBNFSyntaxError",
    "GrammarError",
    "GrammarTooLarge",
    "LoadOptions",
    "LoadProgress",
    "ModelDescription",
    "ModelError",
    "ModelInfo",
    "Outlook",
    "ParameterRange",
    "Pooling",
    "Preset",
    "Prior",
    "Request",
    "RequestError",
    "SamplingParams",
    "StoredModel",
    "TextInput",
    "TextPrior",
    "TokenPrior",
    "Tokenizer",
    "Tool",
    "ToolCallPrior",
    "UnknownAdapter",
    "Unsatisfiable",
    "Usage",
    "VocabularyView",
    "convert_folder",
    "default_adapter",
    "default_model_path",
    "describe_model",
    "engine_loader",
    "find_model",
    "find_stored",
    "foresee",
    "lean_torch",
    "llama_cpp_backend",
    "load_engine",
    "load_tokenizer",
    "memory_bytes",
    "model_digest",
    "models_folder",
    "needed_memory",
    "quantization_types",
    "remove_stored",
    "requantize",
    "stored_models",
    "text_tool",
    "usable_executors",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
