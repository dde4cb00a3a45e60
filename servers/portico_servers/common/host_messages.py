"""What a host writes, a line or a body, as JSON-RPC messages: read leniently, and what can't be read is answered.

The SDK takes a request with an id that is none (`null`, `1.5`) for a notification, which nobody answers, and knows no id of
what it can't parse. Here each request that comes in leads to a message or to a refusal with its id, so that no host waits for
nothing. It knows no transport.

Source: JSON-RPC 2.0, sections 4 to 6; MCP 2025-03-26 for batches, which later revisions don't have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import mcp_types
from mcp_types import JSONRPCError, JSONRPCMessage, JSONRPCNotification
from pydantic import TypeAdapter, ValidationError

from portico_servers.common.json_rpc import read_message
from portico_servers.common.unicode_text import plain_body

MAX_BATCH = 1000  # messages
_JSON: TypeAdapter[Any] = TypeAdapter(Any)
_LARGEST_EXACT = 1 << 53  # integers up to here are the same as floating-point numbers
_BOM = b"\xef\xbb\xbf"
_SHOWN = 200  # characters of what is wrong
_EDGE = 4096  # bytes at the ends of an unreadable message in which its id is looked for
_MEMBER = rb'\s*"(?:jsonrpc|method|id)"\s*:\s*(?:"[^"\\]{0,200}"|-?\d{1,18})\s*'
_HEAD = re.compile(rb"\s*\{(?:%s(?:,|\Z))*" % _MEMBER)
_TAIL = re.compile(rb"(?:,%s)+\}\s*\Z" % _MEMBER)
_ID = re.compile(rb'"id"\s*:\s*(?:"([^"\\]{0,200})"|(-?\d{1,18}))')


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to a message that is none."""

    error: JSONRPCError


class OneMessage(NamedTuple):
    """A message, and the JSON text that says it."""

    message: JSONRPCMessage
    body: bytes


def read_host_messages(data: bytes) -> list[JSONRPCMessage | Refusal]:
    """The messages of one line or body, in order; none where it is blank. Never raises."""
    try:
        message = read_message(data)
    except ValueError:
        return _read_odd(data)
    if isinstance(message, JSONRPCNotification) and b'"id"' in data:
        return _read_odd(data)
    return [message]


def one_message(body: bytes) -> OneMessage | Refusal:
    """The one message of an HTTP body, and the body as the SDK reads it: as it came, if it does."""
    try:
        message = read_message(body)
        if not (isinstance(message, JSONRPCNotification) and b'"id"' in body):
            return OneMessage(message, body)
    except ValueError:
        pass
    read = _read_odd(body)
    if body.lstrip(_BOM + b" \t\r\n").startswith(b"["):
        return _invalid(None, "an HTTP body is one message; batches ended with MCP 2025-06-18")
    if not read:
        return _invalid(None, "the body is empty")
    (one,) = read
    if isinstance(one, Refusal):
        return one
    return OneMessage(one, one.model_dump_json(by_alias=True, exclude_unset=True).encode())


def outer_id(data: bytes) -> tuple[str | int | None, bool]:
    """The id of a message that can't be read, and whether it is a request. It is looked for where writers put it: in front of
    the part that may hold another one (params, result, error), or behind it."""
    head, tail = data[:_EDGE], data[-_EDGE:]
    front, back = _HEAD.match(head), _TAIL.search(tail)
    outer = front[0] if front else b""
    # Behind the part, unless the message was cut within it.
    if back and (b'"jsonrpc"' in back[0] or data.count(b"{") == data.count(b"}")):
        outer += back[0]
    found = _ID.search(outer)
    if found is None:
        return None, b'"method"' in outer
    identity = found[1].decode("utf-8", "replace") if found[1] is not None else int(found[2])
    return identity, b'"method"' in outer


def _read_odd(data: bytes) -> list[JSONRPCMessage | Refusal]:
    text = plain_body(data.removeprefix(_BOM)).strip(b"\0 \t\r\n")
    if not text:
        return []
    try:
        value = _JSON.validate_json(text)
    except ValidationError as error:
        why = error.errors(include_url=False, include_input=False)[0]["msg"]
        return [_refused(outer_id(text)[0], mcp_types.PARSE_ERROR, f"not a JSON-RPC message: {why[:_SHOWN]}")]
    if not isinstance(value, list):
        return [_message(value)]
    if not 0 < len(value) <= MAX_BATCH:
        return [_invalid(None, f"a batch has 1 to {MAX_BATCH:,} messages, not {len(value):,}")]
    return [_message(item) for item in value]


def _message(value: Any) -> JSONRPCMessage | Refusal:
    if not isinstance(value, dict):
        return _invalid(None, f"a message is an object, not {_kind(value)}")
    whole = dict(value)
    identity = whole.get("id")
    if isinstance(identity, float) and identity.is_integer() and abs(identity) <= _LARGEST_EXACT:
        whole["id"] = identity = int(identity)
    known = identity if isinstance(identity, str | int) and not isinstance(identity, bool) else None
    if known is not None and "method" not in whole and ("result" in whole or "error" in whole):
        return _answer(known, whole)
    if identity is None and str(whole.get("method", "")).startswith("notifications/"):
        whole.pop("id", None)  # of a serializer that writes what it has not
    elif "id" in whole and known is None and "method" in whole:
        return _invalid(None, f"the id of a request is a string or an integer, not {_kind(identity)}")
    if why := _wrong_part(whole):
        return _invalid(known, why)
    try:
        return mcp_types.jsonrpc_message_adapter.validate_python(whole, by_name=False)
    except ValidationError:
        return _invalid(known, "it has no method, no result and no error")


def _wrong_part(message: Mapping[str, Any]) -> str | None:
    if message.get("jsonrpc") != "2.0":
        return 'its "jsonrpc" must be "2.0"'
    if "method" in message and not isinstance(message["method"], str):
        return f'its "method" is a string, not {_kind(message["method"])}'
    if not isinstance(message.get("params"), dict | None):
        return f'its "params" are an object in MCP, not {_kind(message["params"])}'
    return None


def _answer(identity: str | int, answer: Mapping[str, Any]) -> JSONRPCMessage:
    """The host's answer to a request of ours. One that is none is an error, so that the request ends."""
    try:
        return mcp_types.jsonrpc_message_adapter.validate_python({**answer, "jsonrpc": "2.0"}, by_name=False)
    except ValidationError:
        said = answer.get("error", "an answer without a result")
        return _error(identity, mcp_types.INTERNAL_ERROR, f"the host answered with {str(said)[:_SHOWN]}")


def _invalid(identity: str | int | None, why: str) -> Refusal:
    return _refused(identity, mcp_types.INVALID_REQUEST, f"not a JSON-RPC 2.0 request, notification or response: {why}")


def _refused(identity: str | int | None, code: int, said: str) -> Refusal:
    return Refusal(_error(identity, code, said))


def _error(identity: str | int | None, code: int, said: str) -> JSONRPCError:
    return JSONRPCError(jsonrpc="2.0", id=identity, error=mcp_types.ErrorData(code=code, message=said))


def _kind(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return f"the number {str(value)[:30]}"
    return "a string" if isinstance(value, str) else "a list" if isinstance(value, list) else "an object"
