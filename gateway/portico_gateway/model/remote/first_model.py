"""The name of the model behind several servers, asked before anything else runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from portico_gateway.model.remote.engine import RemoteEngine


def first_model(urls: Sequence[str], key: str) -> str:
    """That of the first server that answers. Raises ModelServerFault where none does."""

    async def ask() -> str:
        engine = await RemoteEngine.open(urls, key)
        try:
            return engine.info.name
        finally:
            await engine.aclose()

    return asyncio.run(ask())
