from __future__ import annotations

import json
from typing import Any

import mcp_types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portico_servers.common.json_rpc import read_message

_VALUES = st.sampled_from([None, 1, 1.0, 1.5, "1", "x", True, {}, {"a": 1}, [], [1], {"code": 1, "message": "m"}])
_MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.sampled_from(["2.0", "2.0", "1.0", 2]),
        **dict.fromkeys(("id", "method", "params", "result", "error", "extra"), _VALUES),
    },
)


def _outcome(read: Any, data: bytes) -> str:
    try:
        return repr(read(data))
    except ValueError:
        return "none"


def _sdk(data: bytes) -> Any:
    return mcp_types.jsonrpc_message_adapter.validate_json(data, by_name=False)


@given(_MESSAGES)
@settings(max_examples=500)
def test_a_message_is_read_as_the_sdk_reads_it(message: dict[str, Any]) -> None:
    data = json.dumps(message).encode()
    assert _outcome(read_message, data) == _outcome(_sdk, data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"[]",
        b"7",
        b'{"jsonrpc":"2.0","id":1,"result":{"a":NaN}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"a":1e999}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"a":' + b"1" * 5000 + b"}}",
        b'{"jsonrpc":"2.0","id":1,"result":{"a":"\\ud800"}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"a":"\xff"}}',
        b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"result":{}}',
        b'{"jsonrpc":"2.0","id":1,"result":{}} x',
        b'{"jsonrpc":"2.0","id":1,"id":2,"result":{}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"a":' + b"[" * 250 + b"]" * 250 + b"}}",
        b'{"jsonrpc":"2.0","id":12345678901234567890123,"method":"ping"}',
    ],
)
def test_odd_text_is_read_or_refused_as_the_sdk_does(data: bytes) -> None:
    assert _outcome(read_message, data) == _outcome(_sdk, data)
