"""How long the gateway has a conversation kept, and how a configuration has a model loaded: `load_engine`'s options. It loads
nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import platformdirs

from portico_gateway.config.sections import EngineConfig, ModelConfig
from portico_gateway.errors import ConfigError
from portico_servers.common.regular_files import open_regular

WAIT_SECONDS = 60.0  # that a conversation which may call a tool stays in memory for its result


def load_options(config: ModelConfig, engine: EngineConfig | None = None) -> dict[str, Any]:
    """`load_engine`'s keyword arguments. With `engine`, for many clients: the machine's memory is theirs."""
    options: dict[str, Any] = {"executor": config.executor, "context": config.context}
    if config.chat_template:
        options["chat_template"] = chat_template(config.chat_template)
    if config.speculation:
        options["speculation"] = config.speculation
    if config.kv_type != "f16":
        options["kv_type"] = config.kv_type
    if config.pooling:
        options["pooling"] = config.pooling
    if engine is not None:
        options |= {"memory": engine.memory, "max_rows": engine.max_rows, "kv_tokens": engine.kv_tokens}
        options |= device_options(engine)
    loaded = {config.adapter} - {"none"} | (set(config.adapters) if engine is not None else set())  # clients may name any
    if loaded:
        options |= {"adapters": len(loaded), "adapter_rank": (engine or EngineConfig()).adapter_rank}
    if config.kv_disk_gib:
        options |= {"kv_dir": kv_folder(), "kv_dir_bytes": max(1, int(config.kv_disk_gib * 2**30))}
    if config.kv_host_gib:
        options["kv_host_bytes"] = int(config.kv_host_gib * 2**30)
    if config.kv_offload_dtype != "bf16":
        options["kv_offload_dtype"] = config.kv_offload_dtype
    return options


def device_options(engine: EngineConfig) -> dict[str, Any]:
    """Over which devices: of `load_engine`'s keyword arguments, for one client too."""
    return {"devices": engine.devices, "expert_parallel": engine.expert_parallel} if engine.devices > 1 else {}


def chat_template(given: str) -> str:
    """The template's text, given as such or as a file's path. Raises ConfigError for a file that can't be read."""
    if "{{" in given or "{%" in given:
        return given
    try:
        with open_regular(Path(given).expanduser()) as file:
            return file.read().decode("utf-8")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ConfigError(
            f"chat_template is {given!r}, which can't be read ({why}); it is a Jinja file, or the template's text itself",
            key="model.chat_template",
        ) from None


def kv_folder() -> Path:
    """Where prompts' beginnings, computed once, survive the process: in the user's cache folder."""
    return platformdirs.user_cache_path("portico", appauthor=False) / "kv"
