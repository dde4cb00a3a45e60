"""Portico's model engine: GGUF models, grammar-constrained decoding, paged KV. It knows neither MCP nor HTTP.

Importing it loads no model library: what needs one is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from portico_engine.errors import (
    ChatTemplateError,
    ContextOverflow,
    EngineDied,
    EngineError,
    GBNFSyntaxError,
    GrammarError,
    GrammarTooLarge,
    ModelError,
    RequestError,
    Unsatisfiable,
)
from portico_engine.loading.model_path import find_model
from portico_engine.priors.protocol import Prior, TokenPrior
from portico_engine.request import Delta, FinishReason, ModelInfo, Request, SamplingParams, Usage
from portico_engine.tool import Tool

if TYPE_CHECKING:
    from portico_engine.client import EngineClient, Tokens
    from portico_engine.engine import Engine
    from portico_engine.front.async_engine import AsyncEngine
    from portico_engine.loading.engine_loader import EngineLoader, engine_loader
    from portico_engine.loading.load_engine import load_engine
    from portico_engine.loading.options import LoadOptions, LoadProgress
    from portico_engine.priors.text_prior import TextPrior
    from portico_engine.priors.tool_call_prior import CallPrior, ToolCallPrior
    from portico_engine.process.client import EngineProcess
    from portico_engine.text.tokenizer import Tokenizer

_LAZY = {
    "AsyncEngine": "portico_engine.front.async_engine",
    "Engine": "portico_engine.engine",
    "EngineClient": "portico_engine.client",
    "EngineProcess": "portico_engine.process.client",
    "EngineLoader": "portico_engine.loading.engine_loader",
    "LoadOptions": "portico_engine.loading.options",
    "LoadProgress": "portico_engine.loading.options",
    "engine_loader": "portico_engine.loading.engine_loader",
    "load_engine": "portico_engine.loading.load_engine",
    "Tokens": "portico_engine.client",
    "CallPrior": "portico_engine.priors.tool_call_prior",
    "Tokenizer": "portico_engine.text.tokenizer",
    "TextPrior": "portico_engine.priors.text_prior",
    "ToolCallPrior": "portico_engine.priors.tool_call_prior",
}

__all__ = [
    "AsyncEngine",
    "CallPrior",
    "ChatTemplateError",
    "ContextOverflow",
    "Delta",
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
    "ModelError",
    "ModelInfo",
    "Prior",
    "Request",
    "RequestError",
    "SamplingParams",
    "TextPrior",
    "TokenPrior",
    "Tokenizer",
    "Tokens",
    "Tool",
    "ToolCallPrior",
    "Unsatisfiable",
    "Usage",
    "engine_loader",
    "find_model",
    "load_engine",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
