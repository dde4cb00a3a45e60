"""From a path to an adapter that fits this model, whichever of the two forms it has. It owns the choice of the reader."""

from __future__ import annotations

from pathlib import Path

from portico_engine.adapters.adapter import Adapter, AdapterLimits
from portico_engine.adapters.fit import fit
from portico_engine.adapters.gguf_adapter import read_gguf_adapter
from portico_engine.adapters.peft_folder import CONFIG, WEIGHTS, read_peft_folder
from portico_engine.errors import AdapterError
from portico_engine.models.config import DecoderConfig


def read_adapter(path: Path, config: DecoderConfig, limits: AdapterLimits) -> Adapter:
    """Read a PEFT folder or a GGUF adapter, and fit it to this decoder. Raises AdapterError naming what is wrong."""
    if path.is_dir():
        stored = read_peft_folder(path, config, limits.rank)
    elif not path.exists():
        raise AdapterError(f"there is no adapter at {path}")
    elif path.suffix == ".gguf":
        stored = read_gguf_adapter(path, config, limits.rank)
    else:
        raise AdapterError(
            f"{path} is neither a GGUF file nor a folder with {CONFIG} and {WEIGHTS}; "
            "other files, pickles among them, are not read"
        )
    return fit(stored, config, limits.rank)
