"""Where the package's own adapter lies, the default model's. It is made by `make adapter`; an installation may lack it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from portico_engine.errors import AdapterError

FOLDER = Path(__file__).parent / "default"
_WEIGHTS = "adapter_model.safetensors"


def default_adapter() -> Path:
    """A PEFT folder. Raises AdapterError where this installation has none, or other weights than its DIGEST says."""
    weights = FOLDER / _WEIGHTS
    if not weights.exists():
        raise AdapterError(f"this installation has no default adapter ({FOLDER}); `make adapter` trains one, or name your own")
    try:
        expected, _, name = (FOLDER / "DIGEST").read_text(encoding="utf-8").strip().partition("  ")
        with weights.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AdapterError(f"{error.filename} of the default adapter can't be read: {error.strerror or error}") from None
    if (found, name) != (expected, _WEIGHTS):
        said = f"SHA-256 is {found} and must be {expected[:100]!r}, of {name[:100]!r}"
        raise AdapterError(f"{weights} is not the default adapter: its {said}; install Portico anew")
    return FOLDER
