"""How OpenAI-compatible servers say that a conversation is too long, and how much their model's context holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from portico_engine.errors import ContextOverflow

DEFAULT_CONTEXT = 8192  # tokens, where the server doesn't say
_CONTEXT_SAID = re.compile(r"context length is (\d+)")
_PROMPT_SAID = re.compile(r"(\d+) (?:input tokens|tokens in the messages|in the messages)|equested tokens \((\d+)\)")
_WINDOW_SAID = re.compile(r"context window of (\d+)")
_TOO_LONG = ("exceed_context_size_error", "context_length_exceeded")
_TOO_LONG_SAID = ("maximum context length", "exceeds the available context size", "exceed context window")


def context_of(model: Mapping[str, Any]) -> int:
    """Tokens of a listed model's context: vLLM says `max_model_len`, llama-server `meta.n_ctx`."""
    meta = model.get("meta")
    said = model.get("max_model_len") or (meta.get("n_ctx") if isinstance(meta, Mapping) else None)
    return said if isinstance(said, int) and said > 0 else DEFAULT_CONTEXT


def overflow_of(error: Any, context_length: int | None = None) -> ContextOverflow | None:
    """The error, where it says that a conversation is too long."""
    said = error.get("message") if isinstance(error, Mapping) else error
    kinds = {error.get("type"), error.get("code")} if isinstance(error, Mapping) else set()
    if not (kinds & set(_TOO_LONG) or any(words in str(said) for words in _TOO_LONG_SAID)):
        return None
    numbers = {k: v for k, v in error.items() if isinstance(v, int)} if isinstance(error, Mapping) else {}
    known = _number(_CONTEXT_SAID, said) or _number(_WINDOW_SAID, said)
    context = numbers.get("n_ctx") or known or context_length or DEFAULT_CONTEXT
    return ContextOverflow(numbers.get("n_prompt_tokens") or _number(_PROMPT_SAID, said) or context, context)


def _number(pattern: re.Pattern[str], said: object) -> int | None:
    found = pattern.search(str(said))
    return next((int(group) for group in found.groups() if group), None) if found else None
