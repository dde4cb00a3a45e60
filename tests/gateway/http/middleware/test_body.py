"""A body that is compressed is refused by name; what says that it isn't is taken."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

pytestmark = pytest.mark.anyio
ASKED = json.dumps({"model": "fake", "messages": [{"role": "user", "content": "hi"}]}).encode()


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/api/chat", "/mcp"])
@pytest.mark.parametrize("how", ["gzip", "zstd", "gzip, identity"])
async def test_a_compressed_body_is_refused_by_name(serve: Any, path: str, how: str) -> None:
    async with serve() as client:
        headers = {"content-type": "application/json", "content-encoding": how}
        refused = await client.post(path, content=gzip.compress(ASKED), headers=headers)
    assert refused.status_code == 415
    assert f"the body is compressed (content-encoding: {how})" in refused.text


async def test_a_body_as_it_is_is_taken(serve: Any) -> None:
    async with serve() as client:
        for how in ("identity", "Identity", ""):
            headers = {"content-type": "application/json", "content-encoding": how}
            assert (await client.post("/v1/chat/completions", content=ASKED, headers=headers)).status_code == 200
