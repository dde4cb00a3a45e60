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
from portico_engine.request import (
    SAMPLING_RANGES,
    Delta,
    FinishReason,
    ModelInfo,
    ParameterRange,
    Prior,
    Request,
    SamplingParams,
    TokenPrior,
    Tool,
    Usage,
)

if TYPE_CHECKING:
    from portico_engine.client import EngineClient, Load, Progress, Tokens, loader
    from portico_engine.engine import Engine
    from portico_engine.front.async_engine import AsyncEngine
    from portico_engine.priors.text_prior import TextPrior
    from portico_engine.priors.tool_call_prior import CallPrior, ToolCallPrior
    from portico_engine.process.client import EngineProcess
    from portico_engine.text.tokenizer import Tokenizer

_LAZY = {
    "AsyncEngine": "portico_engine.front.async_engine",
    "Engine": "portico_engine.engine",
    "EngineClient": "portico_engine.client",
    "EngineProcess": "portico_engine.process.client",
    "Load": "portico_engine.client",
    "Progress": "portico_engine.client",
    "loader": "portico_engine.client",
    "Tokens": "portico_engine.client",
    "CallPrior": "portico_engine.priors.tool_call_prior",
    "Tokenizer": "portico_engine.text.tokenizer",
    "TextPrior": "portico_engine.priors.text_prior",
    "ToolCallPrior": "portico_engine.priors.tool_call_prior",
}

__all__ = [
    "SAMPLING_RANGES",
    "AsyncEngine",
    "CallPrior",
    "ChatTemplateError",
    "ContextOverflow",
    "Delta",
    "Engine",
    "EngineClient",
    "EngineDied",
    "EngineError",
    "EngineProcess",
    "FinishReason",
    "GBNFSyntaxError",
    "GrammarError",
    "GrammarTooLarge",
    "Load",
    "ModelError",
    "ModelInfo",
    "ParameterRange",
    "Prior",
    "Progress",
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
    "find_model",
    "loader",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
