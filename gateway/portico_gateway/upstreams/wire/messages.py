"""Bytes of a server as JSON-RPC messages, read leniently: a message that can be understood is, whatever is odd about it.

It owns encodings, batches, envelopes and the bounds of one message; `answers.py` mends what an answer says. An answer that
can't be read becomes the error of the request that it names, or of all that wait, so that nobody waits for it.
"""

from __future__ import annotations

import json
import logging
import math
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

import mcp_types
from mcp.shared.exceptions import MCPError
from mcp_types import ErrorData, JSONRPCError, JSONRPCMessage, JSONRPCRequest, JSONRPCResponse
from pydantic_core import to_json

from portico_servers.common.host_messages import outer_id
from portico_servers.common.json_rpc import read_message
from portico_servers.common.unicode_text import plain_text

log = logging.getLogger(__name__)

MAX_MESSAGE = 32 << 20  # bytes of one message; more is no tool's result but a mistake or an attack
# Items of lists and objects in one message. Reading one holds up all others of this process (the interpreter's lock): text of
# MAX_MESSAGE for some 50 ms, so many small objects for 80.
MAX_ITEMS = 250_000
MAX_DEPTH = 100  # of nested lists and objects: what reads an answer later recurses, at most some 200 deep
LARGE = 256 << 10  # bytes; from here on a message is read in a thread

# Codes of the gateway's own for answers, outside of the range that JSON-RPC reserves. The SDK tells a connection's end and a
# deadline by codes that servers use for errors of their own (rate limits, things not found), so those are moved out of its way.
UNREADABLE_ANSWER = -132700
SESSION_EXPIRED = -132404  # the request was refused before it ran: its session is unknown to the server
HTTP_REFUSED = -132400  # the server answered with an HTTP status and no JSON-RPC
_MOVED = {mcp_types.CONNECTION_CLOSED: -132000, mcp_types.REQUEST_TIMEOUT: -132001}
_MOVED_BACK = {moved: code for code, moved in _MOVED.items()}
_TELL_EVERY = 1.0  # seconds
_ENDS = 8192  # bytes of what can't be read that are looked at
_BOMS = b"\xff\xfe\xef\xbb\xbf\xbd"  # bytes of the marks that texts begin with, and of U+FFFD
_BETWEEN = re.compile(r"[\s,\0\x1e]*")  # what may stand between two messages of one line
_told_at = -_TELL_EVERY


def own_code(code: int) -> int:
    """The code that the server sent, for the one that its message carries inside the gateway."""
    return _MOVED_BACK.get(code, code)


def read_messages(data: bytes) -> list[JSONRPCMessage]:
    """The messages of one line or body; of a batch, those that can be read. Never raises."""
    if len(data) > LARGE and _has_too_many_items(data):
        return unreadable(data, f"its answer has more than {MAX_ITEMS:,} items of lists and objects")
    try:
        return [_with_moved_code(read_message(data))]
    except ValueError:
        return _read_odd(data)


def unreadable(data: bytes, why: str) -> list[JSONRPCMessage]:
    """The error of the request that `data` answers, without an id where it names none; nothing where it is no answer."""
    _tell(why, data)
    identity, is_request = outer_id(data)
    if identity is None and not is_request:
        data = _as_if_json(data)
        identity, is_request = outer_id(data)
    is_answer = identity is not None or (data.startswith((b"{", b"[")) and b'"jsonrpc"' in data and b'"method"' not in data)
    return [_error(identity, UNREADABLE_ANSWER, why)] if is_answer and not is_request else []


def id_number(identity: Any) -> Any:
    """An id, as a number where it is one: some servers send every id as text."""
    return int(identity) if isinstance(identity, str) and identity.isdecimal() and len(identity) < 20 else identity


def addressed(message: JSONRPCMessage, waiting: Iterable[int | str]) -> list[JSONRPCMessage]:
    """The message; of an error that names no request, one for each of those `waiting` that it may be about: the only one there
    is, or all where it is an answer that could not be read."""
    if not isinstance(message, JSONRPCError) or message.id is not None:
        return [message]
    asked = list(waiting)
    if len(asked) > 1 and message.error.code != UNREADABLE_ANSWER:
        return []
    return [JSONRPCError(jsonrpc="2.0", id=identity, error=message.error) for identity in asked]


def _as_if_json(data: bytes) -> bytes:
    """The ends of what is no JSON, to look for its names: in ASCII, in double quotes."""
    ends = data if len(data) <= 2 * _ENDS else data[:_ENDS] + data[-_ENDS:]
    return ends.replace(b"\0", b"").replace(b"'", b'"').lstrip(_BOMS + b" \t\r")


def _has_too_many_items(data: bytes) -> bool:
    """Counted by their commas and brackets, those outside of strings; in steps of which none takes long."""
    if sum(map(data.count, (b",", b"[", b"{"))) <= MAX_ITEMS:
        return False
    plain = data.replace(rb"\\", b"").replace(rb"\"", b"")  # now every quote begins or ends a string
    items, at = 0, 0
    while items <= MAX_ITEMS:
        begin = plain.find(b'"', at)
        end = len(plain) if begin < 0 else begin
        items += plain.count(b",", at, end) + plain.count(b"[", at, end) + plain.count(b"{", at, end)
        at = plain.find(b'"', begin + 1) + 1
        if begin < 0 or not at:
            break
    return items > MAX_ITEMS


def scrubbed(value: Any) -> Any:
    """The same value with U+FFFD for what is not Unicode and None for numbers that JSON does not have. At most MAX_DEPTH deep;
    raises RecursionError beyond."""
    return _scrubbed(value, MAX_DEPTH)


def _scrubbed(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not isinstance(value, dict | list):
        return value
    if not depth:
        raise RecursionError
    if isinstance(value, dict):
        return {plain_text(key): _scrubbed(item, depth - 1) for key, item in value.items()}
    return [_scrubbed(item, depth - 1) for item in value]


def _read_odd(data: bytes) -> list[JSONRPCMessage]:
    text = data.decode("utf-8-sig", "replace").strip("\0 \t\r\n")
    if not text:
        return []
    messages: list[JSONRPCMessage] = []
    at = 0 if text.startswith(("{", "[")) else max(0, text.find('{"jsonrpc"'))  # behind words of a log on the same line
    while at < len(text):
        try:
            value, end = _DECODER.raw_decode(text, at)
            value = scrubbed(value)
        except RecursionError:
            messages += unreadable(text[at:].encode(), f"its answer is nested more than {MAX_DEPTH} deep")
            break
        except ValueError as error:
            messages += unreadable(text[at:].encode(), _not_json(text, error))
            break
        found = (_message(item) for item in (value if isinstance(value, list) else [value]))
        messages += (message for message in found if message is not None)
        between = _BETWEEN.match(text, end)
        assert between is not None
        at = between.end()
        if not isinstance(value, dict | list):
            break  # words of a log that begin like JSON
    if not messages:
        _tell("it is no request, answer or notification", data)
    # A host that waits for one answer may hear no more after it, so what only tells comes first.
    return sorted(messages, key=lambda message: isinstance(message, JSONRPCResponse | JSONRPCError))


def _not_json(text: str, error: ValueError) -> str:
    if "\0" in text:
        return "its answer has NUL bytes, as UTF-16 has; messages are UTF-8"
    return f"its answer is no valid JSON: {error}"


def _tell(why: str, data: bytes) -> None:
    """In the log, at most once a second: a server may write nothing else."""
    global _told_at
    now = time.monotonic()
    if now - _told_at >= _TELL_EVERY:
        _told_at = now
        log.warning("not a JSON-RPC message (%s): %.200r", why, data[:200])


def _number(digits: str) -> int | float:
    """Python refuses to read integers of more than 4,300 digits."""
    return int(digits) if len(digits) <= 4000 else float(digits)


_DECODER = json.JSONDecoder(parse_int=_number)


def _message(value: Any) -> JSONRPCMessage | None:
    if not isinstance(value, dict):
        return None
    identity = value.get("id")
    if isinstance(identity, float) and identity.is_integer():
        identity = int(identity)
    if "method" not in value and isinstance(identity, int | str) and not isinstance(identity, bool):
        return _answer(identity, value)
    whole = {**value, "jsonrpc": "2.0"}
    if identity is not None:
        whole["id"] = identity
    else:
        whole.pop("id", None)
    if not isinstance(whole.get("params", {}), dict):
        whole.pop("params")
    try:
        return mcp_types.jsonrpc_message_adapter.validate_python(whole, by_name=False)
    except ValueError:
        return None


def _answer(identity: int | str, value: Mapping[str, Any]) -> JSONRPCMessage:
    error, result = value.get("error"), value.get("result")
    if error is not None and not isinstance(result, dict):
        said = error if isinstance(error, dict) else {"message": error}
        code, message = said.get("code"), said.get("message")
        right = isinstance(code, int) and not isinstance(code, bool)
        text = message if isinstance(message, str) else "" if message is None else json.dumps(message)
        data = said.get("data")
        return _error(identity, _MOVED.get(code, code) if right else mcp_types.INTERNAL_ERROR, text, data)  # type: ignore[arg-type]
    if result is not None and not isinstance(result, dict):
        return _error(identity, UNREADABLE_ANSWER, f"its answer's result is a {type(result).__name__}, not an object")
    return JSONRPCResponse(jsonrpc="2.0", id=identity, result=result or {})


def _error(identity: int | str | None, code: int, message: str, data: Any = None) -> JSONRPCError:
    error = ErrorData(code=code, message=message) if data is None else ErrorData(code=code, message=message, data=data)
    return JSONRPCError(jsonrpc="2.0", id=identity, error=error)


def _with_moved_code(message: JSONRPCMessage) -> JSONRPCMessage:
    if isinstance(message, JSONRPCError) and message.error.code in _MOVED:
        message.error.code = _MOVED[message.error.code]
    return message


def write_message(message: JSONRPCMessage) -> bytes:
    """One message as JSON, with U+FFFD for what is not Unicode in it."""
    try:
        return message.model_dump_json(by_alias=True, exclude_unset=True).encode()
    except ValueError:
        whole = scrubbed(message.model_dump(by_alias=True, exclude_unset=True))
        return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


def write_request(identity: int, method: str, params: Mapping[str, Any]) -> bytes:
    """A request as a line of JSON, with U+FFFD for what is not Unicode in it and null for numbers that JSON does not have.
    Raises MCPError for parameters that are nested more than MAX_DEPTH deep."""
    try:
        line = _line(identity, method, params)
    except ValueError:
        line = b""
    if not line or (line.count(b"{") + line.count(b"[") > MAX_DEPTH and _is_deeper(params, MAX_DEPTH)):
        try:
            line = _line(identity, method, scrubbed(params))
        except RecursionError:
            deep = f"the arguments are nested more than {MAX_DEPTH} deep, which no server is sent"
            raise MCPError(mcp_types.INVALID_PARAMS, deep) from None
    return line


def _line(identity: int, method: str, params: Mapping[str, Any]) -> bytes:
    message = {"jsonrpc": "2.0", "id": identity, "method": method, "params": params}
    return to_json(message, inf_nan_mode="null") + b"\n"


def _is_deeper(value: Any, most: int) -> bool:
    """Is it nested more than so deep?"""
    level = [value]
    for _ in range(most + 1):
        members = (each.values() if isinstance(each, dict) else each for each in level)
        level = [item for each in members for item in each if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def is_request(message: JSONRPCMessage) -> bool:
    """Whether it is a request, which has an answer."""
    return isinstance(message, JSONRPCRequest)
