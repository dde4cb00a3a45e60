"""What a bearer token stands for: a key of portico.toml, known by its hash, or an access token that its issuer vouches for.

It owns recognising tokens. It knows neither paths nor what a scope opens: `auth.py` does.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime

import httpx2
from mcp.server.auth.provider import AccessToken, TokenVerifier

from portico_gateway.config.sections import KeyConfig, OAuthConfig
from portico_gateway.http.middleware.introspection import Introspection

_PREFIX = "portico-"


def new_key() -> tuple[str, str]:
    """A new key and its SHA-256 in hex."""
    key = _PREFIX + secrets.token_urlsafe(32)
    return key, key_hash(key)


def key_hash(key: str) -> str:
    """Plain SHA-256 is enough: a key is 256 random bits, not a password."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class BearerTokenVerifier(TokenVerifier):
    """Keys first, then, where OAuth is configured, the authorization server."""

    def __init__(self, keys: Mapping[str, KeyConfig], oauth: OAuthConfig, *, client: httpx2.AsyncClient | None = None) -> None:
        """`client` speaks to the authorization server; by default a new one at every question."""
        self._keys = keys
        self._oauth = oauth
        self._introspection = Introspection(oauth, client=client)

    async def verify_token(self, token: str) -> AccessToken | None:
        """The token's holder and scopes, or None where nobody knows it."""
        if found := self._key(token):
            return found
        if not self._oauth.issuer or token.startswith(_PREFIX):
            return None
        return await self._introspection.described(token)

    def _key(self, token: str) -> AccessToken | None:
        """Compares with every key, so that the time taken tells nothing about which one was near."""
        digest, now = key_hash(token), datetime.now(UTC)
        names = [name for name, key in self._keys.items() if hmac.compare_digest(key.sha256, digest) and not key.is_over(now)]
        if not names:
            return None
        scopes = [str(scope) for scope in self._keys[names[0]].scopes]
        return AccessToken(token=token, client_id=names[0], scopes=scopes, resource=self._oauth.resource or None)
