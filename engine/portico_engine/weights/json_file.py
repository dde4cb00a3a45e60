"""JSON files of a model folder: objects, read or refused by name.

It owns the errors of reading. It knows no file's keys.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from portico_engine.errors import ModelError
from portico_engine.weights.regular_file import open_regular


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file. Raises ModelError where there is no such file, or no object in it."""
    try:
        with open_regular(path) as file:
            return json_object(file.read(), str(path))
    except FileNotFoundError:
        raise ModelError(f"{path.name} is missing from the folder {path.parent}") from None
    except OSError as error:
        raise ModelError(f"{path} can't be read: {error.strerror}") from None


def read_optional_json(path: Path) -> dict[str, Any]:
    """The same; empty where there is no such file."""
    return read_json(path) if path.exists() else {}


def json_object(data: bytes, where: str) -> dict[str, Any]:
    """The object in these bytes. Raises ModelError naming `where` they are from."""
    try:
        value = json.loads(data)
    except ValueError as error:
        raise ModelError(f"{where} is no JSON: {error}; download it again") from None
    except RecursionError:
        raise ModelError(f"{where} is JSON that nests too deeply; download it again") from None
    if not isinstance(value, dict):
        raise ModelError(f"{where} holds a JSON {type(value).__name__}, not an object")
    return value
