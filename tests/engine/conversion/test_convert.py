"""Folders become GGUF files that say the same, and GGUF files other quantizations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.engine.models.families import FAMILIES
from tests.engine.tiny_folder import write_folder
from tests.engine.tiny_model import WIDE, random_tensors, write_tiny_llama

from portico_engine import ModelError, load_engine
from portico_engine.conversion.requantize import requantize
from portico_engine.conversion.tokenizer_metadata import PROBES
from portico_engine.conversion.to_gguf import convert_folder
from portico_engine.weights.gguf_file import GGUFFile
