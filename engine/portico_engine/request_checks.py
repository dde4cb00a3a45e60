"""What a request must be to be accepted. Everything here is said before the first step, by the name of the field.

It knows an executor's limits and a matcher's shortest ending, not what else is running.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from numbers import Real
from typing import Any

from portico_engine.errors import ContextOverflow, RequestError
from portico_engine.executors.protocol import Capabilities
from portico_engine.grammar.protocol import Matcher
from portico_engine.request import Request
from portico_engine.sampling import validate

_ANY_LENGTH = 1 << 30
_LONGEST_PIN = 3600
_KINDS: dict[str, type[Any]] = {
    "id": str,
    "caller": str,
    "pin_where": str,
    "salt": bytes,
    "priority": int,
    "max_tokens": int,
    "keep": int,
    "shared_prefix_tokens": int,
    "pin": Real,
}
_NAMES = {str: "text", bytes: "bytes", int: "a whole number", Real: "a number"}


def check_request(request: Request, caps: Capabilities) -> int:
    """How many tokens the answer may have. Raises RequestError naming the field, ContextOverflow with both numbers."""
    if not caps.generates:
        raise RequestError("this model makes embeddings (/v1/embeddings) and writes no text; name another one for that")
    _check_kinds(request)
    if not request.prompt:
        raise RequestError("the prompt is empty; it needs at least one token")
    if request.max_tokens < 1:
        raise RequestError(f"max_tokens is {request.max_tokens}; it must be at least 1")
    if isinstance(request.stop, str) or not all(isinstance(stop, str) for stop in request.stop):
        raise RequestError(f"stop is {request.stop!r}; it must be several texts")
    if any(not stop for stop in request.stop):
        raise RequestError("stop holds an empty string, which would stop everything")
    if len(request.prompt) >= caps.context_length:
        raise ContextOverflow(len(request.prompt), caps.context_length)
    check_vocabulary(request.prompt, caps, "the prompt")
    if not 0 <= request.keep <= len(request.prompt):
        raise RequestError(f"keep is {request.keep}; it must be from 0 to the prompt's {len(request.prompt)} tokens")
    if not 0 <= request.shared_prefix_tokens <= len(request.prompt):
        raise RequestError(
            f"shared_prefix_tokens is {request.shared_prefix_tokens}; it must be from 0 to the prompt's {len(request.prompt)}"
        )
    if not 0 <= request.pin <= _LONGEST_PIN:
        raise RequestError(f"pin is {request.pin}; it must be from 0 to {_LONGEST_PIN} seconds")
    validate(request.sampling, caps.vocab_size)
    return min(request.max_tokens, caps.context_length - len(request.prompt))


def check_tokens(tokens: Sequence[int], caps: Capabilities) -> None:
    """Can they be embedded? Raises RequestError, ContextOverflow with both numbers."""
    if not tokens:
        raise RequestError("input: a text is empty; an embedding needs at least one token")
    if len(tokens) > caps.context_length:
        raise ContextOverflow(len(tokens), caps.context_length)
    check_vocabulary(tokens, caps, "input")


def check_vocabulary(tokens: Sequence[int], caps: Capabilities, what: str) -> None:
    """Raises RequestError where `what` holds anything but tokens of the vocabulary."""
    try:
        array("q", tokens)
    except (TypeError, OverflowError):
        raise RequestError(f"{what} holds what is no token; tokens are whole numbers") from None
    for token in (min(tokens), max(tokens)) if tokens else ():
        if not 0 <= token < caps.vocab_size:
            raise RequestError(f"{what} holds the token {token}; the vocabulary has {caps.vocab_size}")


def _check_kinds(request: Request) -> None:
    """What queues and caches order and name requests by: one of another kind would fail in a step that is everybody's."""
    for field, kind in _KINDS.items():
        value = getattr(request, field)
        if not isinstance(value, kind):
            raise RequestError(f"{field} is {value!r}; it must be {_NAMES[kind]}")


def check_budget(matcher: Matcher, max_new: int) -> None:
    """Raise RequestError where even the grammar's shortest text is longer than the answer may be."""
    shortest = matcher.closing_tokens(_ANY_LENGTH)  # None: not known, then the length itself is the only end
    if shortest is not None and len(shortest) > max_new:
        raise RequestError(
            f"the answer may have {max_new} tokens (max_tokens, as far as the context goes), "
            f"but the grammar's shortest text needs {len(shortest)}, its end among them"
        )
