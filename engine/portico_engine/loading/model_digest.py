"""A model's SHA-256: of any model, to know it again, and of the default one, whether it is the file that was tested. It is
computed once, and kept by size and time.

It owns the digest and the note of it in the user's cache folder. A note that can't be read or written costs the time to compute
the digest (0.15 s for 100 MB), never the answer.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

import platformdirs

from portico_engine.errors import ModelError

_NOTE = "model-digests.json"
_MAX_NOTES = 100  # files; older ones go


def model_digest(path: Path) -> str:
    """SHA-256 of a model file, in hex; of a folder, over the digests of the files that make the model. Raises ModelError."""
    if not path.is_dir():
        return _digest(path)
    files = sorted(file for file in path.iterdir() if file.suffix in (".json", ".safetensors"))
    return hashlib.sha256("".join(f"{file.name} {_digest(file)}\n" for file in files).encode()).hexdigest()


def check_digest(path: Path, expected: str, mend: str) -> None:
    """Raises ModelError, which names both digests, where the file at `path` is another one; `mend` says what to do then."""
    found = _digest(path)
    if found != expected:
        raise ModelError(f"{path} is not the model that belongs there: its SHA-256 is {found} and must be {expected}; {mend}")


def _digest(path: Path) -> str:
    try:
        key = _key(path)
        notes = _notes()
        if key in notes:
            return notes[key]
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if _key(path) == key:  # it was not written meanwhile
            _keep({**notes, key: found})
    except OSError as error:
        raise ModelError(f"{path} can't be read: {error.strerror or error}") from None
    return found


def _key(path: Path) -> str:
    at = path.stat()
    return f"{os.path.realpath(path)}:{at.st_size}:{at.st_mtime_ns}:{at.st_ino}"


def _note_file() -> Path:
    return platformdirs.user_cache_path("portico", appauthor=False) / _NOTE


def _notes() -> dict[str, str]:
    try:
        notes = json.loads(_note_file().read_text(encoding="utf-8"))
        return {str(key): str(value) for key, value in notes.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _keep(notes: dict[str, str]) -> None:
    path = _note_file()
    fresh = path.with_suffix(f".{os.getpid()}.tmp")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(fresh, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            json.dump(dict(list(notes.items())[-_MAX_NOTES:]), file)
        fresh.replace(path)
        return
    with suppress(OSError):
        fresh.unlink(missing_ok=True)
