"""Is the extra `engine` installed? Asked without importing any of it."""

from __future__ import annotations

import importlib.util

LIBRARIES = ("torch", "gguf", "tokenizers", "llguidance", "jinja2")
INSTALL_ENGINE = "pip install 'portico-mcp[engine]'"  # what mends it


def missing_libraries() -> list[str]:
    """The engine's libraries that are not installed; nothing is imported to find out."""
    return [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
