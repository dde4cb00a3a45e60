"""Where the package's own adapter lies, the default model's. It is made by `make adapter`; an installation may lack it."""

from __future__ import annotations

from pathlib import Path

from portico_engine.errors import AdapterError

FOLDER = Path(__file__).parent / "default"


def default_adapter() -> Path:
    """A PEFT folder. Raises AdapterError where this installation has none."""
    if not (FOLDER / "adapter_model.safetensors").exists():
        raise AdapterError(f"this installation has no default adapter ({FOLDER}); `make adapter` trains one, or name your own")
    return FOLDER
