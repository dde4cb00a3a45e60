"""Metadata into a GGUF file, each value by its own type. Which keys there are, its callers know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gguf
import numpy as np


def write_values(writer: gguf.GGUFWriter, values: Mapping[str, Any]) -> None:
    """Whole numbers as uint32, others as float32, lists and arrays as arrays of what is in them."""
    for key, value in values.items():
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int | np.integer):
            writer.add_uint32(key, int(value))
        elif isinstance(value, float):
            writer.add_float32(key, value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        else:
            writer.add_array(key, value.tolist() if isinstance(value, np.ndarray) else value)
