"""What a bearer token stands for: a key of portico.toml, known by its hash, or an access token that its issuer vouches for.

It owns recognising tokens. It knows neither paths nor what a scope opens: `auth.py` does.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from collections.abc import Mapping
from typing import Any

import httpx2
from mcp.server.auth.provider import AccessToken, TokenVerifier

from portico_gateway.config.sections import KeyConfig, OAuthConfig

log = logging.getLogger(__name__)

_PREFIX = "portico-"
_PATIENCE = 10.0  # seconds for the authorization server's answer


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
        self._client = client

    async def verify_token(self, token: str) -> AccessToken | None:
        """The token's holder and scopes, or None where nobody knows it."""
        if found := self._key(token):
            return found
        if not self._oauth.issuer or token.startswith(_PREFIX):
            return None
        try:
            return _described(token, await self._introspect(token), self._oauth)
        except (httpx2.HTTPError, ValueError) as error:
            log.warning("the authorization server can't be asked about a token: %s", error)
            return None

    def _key(self, token: str) -> AccessToken | None:
        """Compares with every key, so that the time taken tells nothing about which one was near."""
        digest = key_hash(token)
        names = [name for name, key in self._keys.items() if hmac.compare_digest(key.sha256, digest)]
        if not names:
            return None
        scopes = [str(scope) for scope in self._keys[names[0]].scopes]
        return AccessToken(token=token, client_id=names[0], scopes=scopes, resource=self._oauth.resource or None)

    async def _introspect(self, token: str) -> Any:
        """RFC 7662."""
        known = bool(self._oauth.client_id)
        auth = httpx2.BasicAuth(self._oauth.client_id, self._oauth.client_secret) if known else httpx2.Auth()
        client = self._client or httpx2.AsyncClient()
        try:
            answer = await client.post(self._oauth.introspection_url, data={"token": token}, auth=auth, timeout=_PATIENCE)
            answer.raise_for_status()
            return answer.json()
        finally:
            if self._client is None:
                await client.aclose()


def _described(token: str, said: Any, oauth: OAuthConfig) -> AccessToken | None:
    """An introspection's answer, if it is of an active token of the configured issuer."""
    if not isinstance(said, dict) or said.get("active") is not True or said.get("iss", oauth.issuer) != oauth.issuer:
        return None
    audience = said.get("aud")
    audiences = [str(one) for one in audience] if isinstance(audience, list) else [str(audience or "")]
    return AccessToken(
        token=token,
        client_id=f"oauth:{said.get('client_id', '')}",
        scopes=str(said.get("scope") or "").split(),
        expires_at=int(said["exp"]) if "exp" in said else None,
        resource=next((one for one in audiences if one == oauth.resource), audiences[0] if audiences else ""),
        subject=str(said["sub"]) if "sub" in said else None,
        claims={"iss": oauth.issuer},
    )
