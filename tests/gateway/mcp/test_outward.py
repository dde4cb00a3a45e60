"""What goes out past the SDK's own serialization is what that would have let out."""

from __future__ import annotations

from typing import Any

import mcp_types
import pytest
from mcp_types import methods
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from portico_gateway.mcp.outward import handshake_result, outward_result

_ANNOTATIONS = {"audience": ["user"], "priority": 0.5, "lastModified": "2025-01-01"}
RESULTS: list[dict[str, Any]] = [
    {"content": []},
    {"content": [{"type": "text", "text": "x"}], "isError": True},
    {
        "content": [{"type": "text", "text": "x", "annotations": _ANNOTATIONS, "_meta": {"a": 1}}],
        "structuredContent": {"a": None, "b": [1, {"c": None}]},
        "_meta": {"z": None},
    },
    {
        "content": [
            {"type": "image", "data": "aa==", "mimeType": "image/png", "annotations": _ANNOTATIONS},
            {"type": "audio", "data": "aa==", "mimeType": "audio/wav"},
            {"type": "resource_link", "uri": "a://x", "name": "n", "size": 3, "icons": [{"src": "x", "sizes": ["1x1"]}]},
            {"type": "resource", "resource": {"uri": "a://b", "text": "t", "mimeType": "x/y", "_meta": {"q": 1}}},
            {"type": "resource", "resource": {"uri": "a://b", "blob": "aa=="}},
        ]
    },
    {"content": [{"type": "text", "text": "x", "odd": 1}], "extra": 2, "resultType": "complete"},
]


@pytest.mark.parametrize("version", HANDSHAKE_PROTOCOL_VERSIONS)
@pytest.mark.parametrize("said", RESULTS)
def test_a_result_goes_out_as_the_sdk_would_write_it(said: dict[str, Any], version: str) -> None:
    result = mcp_types.CallToolResult.model_validate(said, by_name=False)
    whole = result.model_dump(by_alias=True, mode="json", exclude_none=True)
    assert handshake_result(result) == methods.serialize_server_result("tools/call", version, whole)


def test_a_result_without_names_is_passed_on_itself() -> None:
    plain, linked = (mcp_types.CallToolResult.model_validate(RESULTS[each], by_name=False) for each in (1, 3))
    assert outward_result("db", plain) is plain
    named = outward_result("db", linked)
    assert named.content[2].uri != "a://x"  # type: ignore[union-attr]
    assert linked.content[2].uri == "a://x"  # type: ignore[union-attr]
