"""One question a token, whose answer is bounded in time and bytes, and believed for as long as it is good."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from portico_gateway.config.sections import OAuthConfig
from portico_gateway.http.middleware import introspection
from portico_gateway.http.middleware.introspection import Introspection, describe

pytestmark = [pytest.mark.attack("18 OAuth is asked once, in bounds"), pytest.mark.anyio]
OAUTH = OAuthConfig(issuer="https://as.example", resource="https://me.example/mcp", introspection_url="https://as.example/i")
ACTIVE: dict[str, Any] = {"active": True, "scope": "mcp", "aud": OAUTH.resource, "client_id": "c"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Issuer:
    """An authorization server that says `said`, in pieces with a pause between, and counts the questions."""

    def __init__(self, said: Any, *, pause: float = 0.0, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.asked = 0
        self.content = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.pause, self.status, self.headers = pause, status, headers

    async def _pieces(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.content), 4096 if not self.pause else 1):
            await asyncio.sleep(self.pause)
            yield self.content[start : start + (4096 if not self.pause else 1)]

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        return httpx2.Response(self.status, content=self._pieces(), headers=self.headers)

    def tokens(self) -> Introspection:
        return Introspection(OAUTH, client=httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer)))


async def test_a_token_is_asked_about_once_and_not_at_every_request() -> None:
    issuer = Issuer(ACTIVE)
    tokens = issuer.tokens()
    found = await asyncio.gather(*(tokens.described("t") for _ in range(50)))
    found += [await tokens.described("t") for _ in range(50)]
    assert issuer.asked == 1
    assert all(each is not None and each.client_id == "oauth:c" for each in found)
    await tokens.described("another")
    assert issuer.asked == 2


async def test_a_refusal_is_believed_for_a_while_and_pushes_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(introspection, "MOST_KEPT", 10)
    good, bad = Issuer(ACTIVE), Issuer({"active": False})
    tokens = good.tokens()
    await tokens.described("good")
    tokens._client = bad.tokens()._client
    for number in range(30):
        assert await tokens.described(f"bad {number}") is None
        assert await tokens.described(f"bad {number}") is None
    assert bad.asked == 30
    assert len(tokens._bad) == 10
    assert await tokens.described("good") is not None
    assert (good.asked, bad.asked) == (1, 30)


async def test_an_answer_is_believed_until_the_token_ends_and_five_minutes_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(introspection.time, "time", lambda: now)
    for ends, lasts in ((now + 20, 20), (now + 10_000, 300), (None, 300)):
        issuer = Issuer({**ACTIVE, **({} if ends is None else {"exp": int(ends)})})
        tokens = issuer.tokens()
        start = now
        assert await tokens.described("t") is not None
        now = start + lasts - 2
        await tokens.described("t")
        assert issuer.asked == 1
        now = start + lasts + 1
        await tokens.described("t")
        assert issuer.asked == 2
        now = start


@pytest.mark.parametrize(
    ("issuer", "most"),
    [
        (Issuer(ACTIVE, pause=0.05), 5.0),  # a byte now and then
        (Issuer(b" " * (1 << 20) + json.dumps(ACTIVE).encode()), 5.0),
        (Issuer(b"[" * 60_000), 5.0),
        (Issuer(json.dumps(ACTIVE).encode(), headers={"content-encoding": "gzip"}), 5.0),
        (Issuer(ACTIVE, status=500), 5.0),
        (Issuer(ACTIVE, status=302, headers={"location": "https://evil.example"}), 5.0),
        (Issuer(b"\xff\xff"), 5.0),
        (Issuer(b""), 5.0),
        (Issuer([ACTIVE]), 5.0),
        (Issuer(b'{"active":true,"exp":1e999}'), 5.0),
        (Issuer(b'{"active":true,"exp":' + b"9" * 5000 + b"}"), 5.0),
    ],
    ids=["drips", "large", "deep", "compressed", "500", "redirects", "no text", "empty", "a list", "no time", "digits"],
)
async def test_a_bad_issuer_vouches_for_nobody_and_takes_no_time(
    monkeypatch: pytest.MonkeyPatch, issuer: Issuer, most: float
) -> None:
    monkeypatch.setattr(introspection, "PATIENCE", 0.3)
    begun = time.monotonic()
    assert await issuer.tokens().described("t") is None
    assert time.monotonic() - begun < most


@pytest.mark.parametrize(
    ("claims", "counts"),
    [
        ({}, True),
        ({"nbf": -3600}, True),
        ({"nbf": 3600}, False),
        ({"nbf": 1}, True),  # clocks differ
        ({"exp": 60}, True),
        ({"exp": -1}, False),
        ({"nbf": -60, "exp": 60}, True),
    ],
)
def test_a_token_counts_from_nbf_to_exp(claims: dict[str, int], counts: bool) -> None:
    now = int(time.time())
    said = {**ACTIVE, **{name: now + seconds for name, seconds in claims.items()}}
    assert (describe("t", said, OAUTH) is not None) is counts


async def test_made_up_tokens_wait_for_each_other_and_for_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(introspection, "PATIENCE", 0.2)
    issuer = Issuer(ACTIVE, pause=0.05)
    tokens = issuer.tokens()
    flood = [asyncio.create_task(tokens.described(f"made up {number}")) for number in range(100)]
    await asyncio.sleep(0.05)
    assert issuer.asked <= introspection.AT_ONCE
    for task in flood:
        task.cancel()
    await asyncio.gather(*flood, return_exceptions=True)
