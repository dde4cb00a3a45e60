"""JSON text as one JSON-RPC message. It knows no transport and mends nothing."""

from __future__ import annotations

from typing import Any

import mcp_types
from mcp_types import JSONRPCMessage, JSONRPCRequest, JSONRPCResponse
from pydantic_core import from_json

_REQUEST = frozenset(["jsonrpc", "id", "method"])
_RESPONSE = frozenset(["jsonrpc", "id", "result"])


def read_message(data: bytes | str) -> JSONRPCMessage:
    """The same message as the SDK's adapter reads. Raises ValueError where it is none.

    The adapter tries all kinds of messages on each and takes what fits best; here the members tell which it is, where they are
    those of a request or an answer and no others.
    """
    value = from_json(data)
    kind = _kind(value)
    if kind is not None:
        try:
            return kind.model_validate(value, by_name=False)
        except ValueError:
            pass  # the adapter may find it to be of another kind
    return mcp_types.jsonrpc_message_adapter.validate_python(value, by_name=False)


def _kind(value: Any) -> type[JSONRPCRequest | JSONRPCResponse] | None:
    if not isinstance(value, dict):
        return None
    members = value.keys()
    if members == _RESPONSE:
        return JSONRPCResponse
    return JSONRPCRequest if members - {"params"} == _REQUEST else None
