"""A safetensors file: the places of its tensors, memory-mapped.

It owns the container (8 bytes of header length, a JSON header, then numbers; the format's README is its specification) and the
refusal of files that are missing, cut short or damaged. It knows neither architectures nor names.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Container
from math import prod
from pathlib import Path
from typing import Any

from gguf import GGMLQuantizationType as Q

from portico_engine.errors import ModelError
from portico_engine.weights.json_file import json_object
from portico_engine.weights.model_file import StoredArray, TensorInfo
from portico_engine.weights.regular_file import open_regular

_LENGTH = struct.Struct("<Q")
_MAX_HEADER = 100_000_000  # bytes, as the format limits it
TYPES = {"F32": Q.F32, "F16": Q.F16, "BF16": Q.BF16}
_BYTES = {
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I8": 1,
    "U8": 1,
    "F8_E4M3": 1,
}  # of one number, packed arrays' too


class SafetensorsFile:
    """An open file. `stored` is the header: dtype, shape and data_offsets by tensor; `metadata` what else it says."""

    def __init__(self, path: Path) -> None:
        """Map the file and read its header. Raises ModelError naming the file and what is wrong with it."""
        self.path = path
        self.data = _map(path)
        (length,) = _LENGTH.unpack_from(self.data) if len(self.data) >= _LENGTH.size else (0,)
        self.header_bytes = _LENGTH.size + length
        if not 2 <= length <= _MAX_HEADER or self.header_bytes > len(self.data):
            raise ModelError(f"{path} is cut short or no safetensors file: its header doesn't fit in it; download it again")
        header = json_object(self.data[_LENGTH.size : self.header_bytes], f"the header of {path}")
        about = header.pop("__metadata__", None)
        self.metadata: dict[str, Any] = about if isinstance(about, dict) else {}
        self.stored: dict[str, Any] = header

    @property
    def header(self) -> bytes:
        return self.data[: self.header_bytes]

    def info(self, stored_name: str, name: str, buffer: int) -> TensorInfo:
        """A tensor's place, under another name. Raises ModelError where its type isn't one of `TYPES` or its place is none."""
        array = self.array(stored_name, buffer, TYPES)
        return TensorInfo(name, array.shape, TYPES[array.dtype], array.offset, array.n_bytes, buffer)

    def array(self, stored_name: str, buffer: int, types: Container[str] = _BYTES) -> StoredArray:
        """An array's place. Raises ModelError where its type isn't one of `types` or its place is none."""
        entry = self.stored[stored_name]
        kind, shape, (first, last) = _entry(entry, f"{self.path}: the tensor {stored_name}")
        if kind not in types or kind not in _BYTES:
            raise ModelError(
                f"{self.path}: the tensor {stored_name} is of type {kind}; {', '.join(TYPES)} are supported: "
                "take the model's original weights, or a GGUF file"
            )
        n_bytes = prod(shape) * _BYTES[kind]
        offset = self.header_bytes + first
        if last - first != n_bytes:
            raise ModelError(f"{self.path} is damaged: the tensor {stored_name} of shape {shape} has {last - first} bytes")
        if offset + n_bytes > len(self.data):
            raise ModelError(
                f"{self.path} is cut short: the tensor {stored_name} ends at byte {offset + n_bytes}, "
                f"but the file has {len(self.data)}; download it again"
            )
        return StoredArray(kind, shape, offset, n_bytes, buffer)


def _entry(entry: object, what: str) -> tuple[str, tuple[int, ...], tuple[int, int]]:
    match entry:
        case {"dtype": str(kind), "shape": [*shape], "data_offsets": [int(first), int(last)]}:
            if all(isinstance(n, int) and n > 0 for n in shape) and 0 <= first <= last:
                return kind, tuple(shape), (first, last)
    raise ModelError(f"{what} has a damaged entry in the header: {str(entry)[:200]}; download it again")


def _map(path: Path) -> mmap.mmap:
    try:
        with open_regular(path) as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise ModelError(f"{path.name} is missing from the folder {path.parent}: download it too") from None
    except ValueError:
        raise ModelError(f"{path} is empty; download it again") from None
    except OSError as error:
        raise ModelError(f"{path} can't be read: {error.strerror}") from None
