"""What an API tells of itself, so that the rest of the HTTP side need not know it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from fastapi import APIRouter

from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.service import GenerationService
from portico_gateway.http.wire import Json

ErrorBody: TypeAlias = Callable[[ApiError], Json]


@dataclass(frozen=True, slots=True)
class Api:
    """One API: its paths begin with `prefix`, and `router` makes their routes over the model."""

    prefix: str
    router: Callable[[GenerationService], APIRouter]
    error_body: ErrorBody
    key_header: bytes | None = None  # where its clients send their key, if not as a bearer token; lower case

    def owns(self, path: str) -> bool:
        return path == self.prefix or path.startswith(f"{self.prefix}/")
