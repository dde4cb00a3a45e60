"""Starts an engine where it is safe: in a thread of this process, or, where llama.cpp or several devices run the model and
could take the process with them, in one of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from portico_gateway.model.bench_record import follow_bench

if TYPE_CHECKING:
    from portico_engine import EngineClient, LoadProgress


async def start_engine(
    path: Path, options: Mapping[str, Any], report: LoadProgress = lambda _stage, _fraction: None
) -> EngineClient:
    """With `load_engine`'s options, "auto" as `portico bench` found it; the caller closes it. `report` is called on any thread.

    Raises EngineError.
    """
    from portico_engine import AsyncEngine, EngineProcess, engine_loader
    from portico_engine.errors import UnsupportedModel

    options = await anyio.to_thread.run_sync(follow_bench, path, options)
    executor = options.get("executor", "auto")
    if executor != "llama_cpp" and options.get("devices", 1) == 1:
        here = engine_loader(path, **{**options, "executor": "torch" if executor == "auto" else executor})
        try:
            engine = await anyio.to_thread.run_sync(here, report, abandon_on_cancel=True)
            return await AsyncEngine(engine).__aenter__()
        except UnsupportedModel:
            if executor != "auto":
                raise
    return await EngineProcess.open(engine_loader(path, **options), report)
