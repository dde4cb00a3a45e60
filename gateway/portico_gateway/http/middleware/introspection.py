"""What the authorization server says of an access token (RFC 7662), asked once a token and not once a request.

It owns the question, its bounds in time and bytes, and how long an answer is believed. It knows no paths and no scopes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
import time
from collections import OrderedDict
from typing import Any

import httpx2
from mcp.server.auth.provider import AccessToken

from portico_gateway.config.loopback import proxy_of
from portico_gateway.config.sections import OAuthConfig
from portico_servers.common.unicode_text import plain_value

log = logging.getLogger(__name__)

PATIENCE = 10.0  # seconds for the whole answer, however it drips
MAX_ANSWER = 64 << 10  # bytes of it; a few hundred are usual
BELIEVED = 300.0  # seconds at most, and never beyond `exp`: a token that is revoked stops within them
DISBELIEVED = 10.0  # seconds that a refusal is believed
FAILURE = 2.0  # seconds until a server that failed is asked again about the same token
LEEWAY = 10.0  # seconds that the authorization server's clock may be ahead by
MOST_KEPT = 4096  # answers of each kind; the oldest go
AT_ONCE = 16  # questions under way; others wait for them


class Introspection:
    """`described(token)` is the token's holder and scopes, or None."""

    def __init__(self, oauth: OAuthConfig, *, client: httpx2.AsyncClient | None = None) -> None:
        """`client` speaks to the authorization server; by default a new one at every question."""
        self._oauth = oauth
        self._client = client
        # By the token's hash; refusals are kept apart, so that made-up tokens push no real one out.
        self._good: OrderedDict[bytes, tuple[AccessToken, float]] = OrderedDict()
        self._bad: OrderedDict[bytes, float] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[AccessToken | None]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def described(self, token: str) -> AccessToken | None:
        """None of a token that isn't active here and now, or of which the server can't be asked."""
        name = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        now = time.time()
        if name in self._good and self._good[name][1] > now:
            return self._good[name][0]
        if self._bad.get(name, 0.0) > now:
            return None
        asking = self._asking.get(name)
        if asking is None:
            asking = self._asking[name] = asyncio.create_task(self._learn(name, token), name="introspection")
            asking.add_done_callback(lambda _: self._asking.pop(name, None))
        return await asyncio.shield(asking)  # others may wait for it too

    async def _learn(self, name: bytes, token: str) -> AccessToken | None:
        try:
            async with self._turns, asyncio.timeout(PATIENCE):
                found = describe(token, await self._ask(token), self._oauth)
            believed = DISBELIEVED
        except (httpx2.HTTPError, ValueError, TimeoutError, RecursionError) as error:
            log.warning("the authorization server can't be asked about a token (%s)", type(error).__name__)
            found, believed = None, FAILURE
        now = time.time()
        if found is None:
            self._good.pop(name, None)
            _keep(self._bad, name, now + believed)
        else:
            _keep(self._good, name, (found, min(now + BELIEVED, found.expires_at or math.inf)))
        return found

    async def _ask(self, token: str) -> Any:
        known = bool(self._oauth.client_id)
        auth = httpx2.BasicAuth(self._oauth.client_id, self._oauth.client_secret) if known else httpx2.Auth()
        client = self._client or httpx2.AsyncClient(trust_env=False, proxy=proxy_of(self._oauth.introspection_url))
        plain = {"Accept": "application/json", "Accept-Encoding": "identity"}
        try:
            async with client.stream(
                "POST", self._oauth.introspection_url, data={"token": token}, headers=plain, auth=auth, timeout=PATIENCE
            ) as answer:
                answer.raise_for_status()
                if "content-encoding" in answer.headers:
                    raise ValueError("its answer is compressed, which was not asked for")
                body = bytearray()
                async for piece in answer.aiter_raw():
                    body += piece
                    if len(body) > MAX_ANSWER:
                        raise ValueError(f"its answer has over {MAX_ANSWER} bytes")
                return plain_value(json.loads(body))
        finally:
            if self._client is None:
                await client.aclose()


def describe(token: str, said: Any, oauth: OAuthConfig) -> AccessToken | None:
    """An introspection's answer, if it is of an active token of the configured issuer. Raises ValueError where it is none."""
    if not isinstance(said, dict) or said.get("active") is not True or said.get("iss", oauth.issuer) != oauth.issuer:
        return None
    begins, ends = _seconds(said, "nbf"), _seconds(said, "exp")
    now = time.time()
    if (begins is not None and begins > now + LEEWAY) or (ends is not None and ends <= now):
        return None
    audience = said.get("aud")
    audiences = [str(one) for one in audience] if isinstance(audience, list) else [str(audience or "")]
    return AccessToken(
        token=token,
        client_id=f"oauth:{said.get('client_id', '')}",
        scopes=str(said.get("scope") or "").split(),
        expires_at=ends,
        resource=next((one for one in audiences if one == oauth.resource), audiences[0] if audiences else ""),
        subject=str(said["sub"]) if "sub" in said else None,
        claims={"iss": oauth.issuer},
    )


def _seconds(said: dict[str, Any], claim: str) -> int | None:
    """A claim's NumericDate, since the epoch."""
    value = said.get(claim)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{claim} is no time")
    return int(value)


def _keep(kept: OrderedDict[bytes, Any], name: bytes, value: Any) -> None:
    kept[name] = value
    kept.move_to_end(name)
    while len(kept) > MOST_KEPT:
        kept.popitem(last=False)
