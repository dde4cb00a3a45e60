"""Tokens and client registrations: one file a server, its owner's alone. It knows no flow."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any, TypeVar

import platformdirs
from mcp.shared.auth import OAuthClientInformationFull, OAuthMetadata, OAuthToken, ProtectedResourceMetadata
from pydantic import BaseModel, ValidationError

from portico_gateway.safe_output.private_files import private_folder, private_opener
from portico_gateway.safe_output.redaction import know_secrets

_Model = TypeVar("_Model", bound=BaseModel)


def token_file(url: str) -> Path:
    """Where what belongs to the server at this URL is kept."""
    name = hashlib.sha256(url.encode()).hexdigest()[:32]
    return platformdirs.user_state_path("portico", appauthor=False) / "oauth" / f"{name}.json"


class TokenStore:
    """Implements the SDK's `TokenStorage`. A file that can't be read counts as none; OSError where it can't be written."""

    def __init__(self, path: Path, *, registered: OAuthClientInformationFull | None = None) -> None:
        """`registered`: a client that its owner has registered; then none is kept."""
        self._path = path
        self._registered = registered

    async def get_tokens(self) -> OAuthToken | None:
        tokens = _read(OAuthToken, self._load().get("tokens"))
        if tokens is not None:
            _keep_secret(tokens)
        return tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        _keep_secret(tokens)
        expires = None if tokens.expires_in is None else time.time() + tokens.expires_in
        self._keep(tokens=tokens.model_dump(mode="json", exclude_none=True), expires=expires)

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self._registered or _read(OAuthClientInformationFull, self._load().get("client"))

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self._keep(client=client_info.model_dump(mode="json", exclude_none=True))

    def metadata(self) -> tuple[OAuthMetadata | None, ProtectedResourceMetadata | None]:
        """What both servers said of themselves when the tokens were given: where those are renewed."""
        kept = self._load()
        return _read(OAuthMetadata, kept.get("authorization_server")), _read(ProtectedResourceMetadata, kept.get("resource"))

    def set_metadata(self, server: OAuthMetadata | None, resource: ProtectedResourceMetadata | None) -> None:
        parts = {"authorization_server": server, "resource": resource}
        self._keep(**{name: None if part is None else part.model_dump(mode="json") for name, part in parts.items()})

    def expires(self) -> float | None:
        """When the access token does, in seconds since the epoch; None where that isn't known."""
        found = self._load().get("expires")
        return float(found) if isinstance(found, int | float) else None

    def forget(self) -> bool:
        """Whether there was something."""
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        return True

    def _load(self) -> dict[str, Any]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _keep(self, **parts: Any) -> None:
        private_folder(self._path.parent)
        new = self._path.with_suffix(f".{os.getpid()}")
        with open(new, "w", encoding="utf-8", opener=private_opener) as file:
            json.dump({**self._load(), **parts}, file)
        os.replace(new, self._path)


def _keep_secret(tokens: OAuthToken) -> None:
    """Take them out of whatever is told from now on."""
    know_secrets(headers={"access": tokens.access_token, "refresh": tokens.refresh_token or ""})


def _read(model: type[_Model], value: Any) -> _Model | None:
    try:
        return None if value is None else model.model_validate(value)
    except ValidationError:
        return None
