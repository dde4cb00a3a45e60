"""A GGUF file: its metadata and its tensors' bytes, memory-mapped.

It owns the container format (versions 2 and 3, little-endian; ggml-org's gguf.md is the specification) and the refusal of files
that are missing, cut short or damaged. It knows neither architectures nor what the numbers mean; block formats and
dequantization are gguf-py's. The header is read here and not by gguf.GGUFReader, which makes a numpy object of every vocabulary
entry.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, TypeVar, cast

import gguf
import numpy as np
import numpy.typing as npt

from portico_engine.errors import ModelError

_MAGIC = b"GGUF"
_MAX_COUNT = 1 << 28  # no sane header has more entries in one array
_MAX_RANK = 4
_ALL = slice(None)
_SAMPLE = 4096

_STRING, _ARRAY = 8, 9
_SCALARS: dict[int, tuple[struct.Struct, str]] = {
    0: (struct.Struct("<B"), "<u1"),
    1: (struct.Struct("<b"), "<i1"),
    2: (struct.Struct("<H"), "<u2"),
    3: (struct.Struct("<h"), "<i2"),
    4: (struct.Struct("<I"), "<u4"),
    5: (struct.Struct("<i"), "<i4"),
    6: (struct.Struct("<f"), "<f4"),
    7: (struct.Struct("<?"), "|b1"),
    10: (struct.Struct("<Q"), "<u8"),
    11: (struct.Struct("<q"), "<i8"),
    12: (struct.Struct("<d"), "<f8"),
}
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor's place in the file. `shape` is in numpy's order: rows first, the contiguous dimension last."""

    name: str
    shape: tuple[int, ...]
    type: gguf.GGMLQuantizationType
    offset: int  # bytes from the start of the file
    n_bytes: int


class _Truncated(Exception):
    """The header goes past the end of the file."""


class _Cursor:
    """A position in the header that refuses to read past the end."""

    def __init__(self, data: mmap.mmap, at: int) -> None:
        self.data = data
        self.at = at

    def scalar(self, fmt: struct.Struct) -> Any:
        if self.at + fmt.size > len(self.data):
            raise _Truncated
        (value,) = fmt.unpack_from(self.data, self.at)
        self.at += fmt.size
        return value

    def raw(self, size: int) -> bytes:
        if size > len(self.data) - self.at:
            raise _Truncated
        start = self.at
        self.at += size
        return self.data[start : self.at]

    def string(self) -> str:
        return self.raw(self.scalar(_U64)).decode("utf-8", errors="replace")

    def value(self, kind: int) -> Any:
        if kind in _SCALARS:
            return self.scalar(_SCALARS[kind][0])
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            raise ValueError(f"unknown value type {kind}")
        inner: int = self.scalar(_U32)
        count: int = self.scalar(_U64)
        if count > _MAX_COUNT:
            raise _Truncated
        if inner == _STRING:
            return [self.string() for _ in range(count)]
        if inner in _SCALARS:
            fmt, dtype = _SCALARS[inner]
            return np.frombuffer(self.raw(count * fmt.size), dtype=dtype)
        raise ValueError(f"unknown array type {inner}")


class GGUFFile:
    """An open GGUF file. `metadata` values are Python scalars, strings, lists of strings, or numpy arrays."""

    def __init__(self, path: Path) -> None:
        """Map the file and read its header. Raises ModelError naming the file and what is wrong with it."""
        self.path = path
        self.metadata: dict[str, Any] = {}
        self.tensors: dict[str, TensorInfo] = {}
        self._data = _map(path)
        self.size = len(self._data)
        cursor = _Cursor(self._data, len(_MAGIC))
        try:
            self._read_header(cursor)
        except _Truncated:
            raise ModelError(f"{path} is cut short: its header goes past the end of the file; download it again") from None
        except ValueError as error:
            raise ModelError(f"{path} is damaged: {error} in its header; download it again") from None
        self.header_bytes = cursor.at

    def fingerprint(self) -> str:
        """sha256 over the header, both ends of every tensor, and the time of the last change: all that tells two files apart
        without reading them whole.
        """
        digest = hashlib.sha256(self._data[: self.header_bytes])
        for info in self.tensors.values():
            end = info.offset + info.n_bytes
            digest.update(self._data[info.offset : min(info.offset + _SAMPLE, end)])
            digest.update(self._data[max(info.offset, end - _SAMPLE) : end])
        digest.update(str(self.path.stat().st_mtime_ns).encode())
        return digest.hexdigest()

    def _read_header(self, cursor: _Cursor) -> None:
        version = cursor.scalar(_U32)
        if version & 0xFFFF == 0:
            raise ModelError(f"{self.path} is a big-endian GGUF file; only little-endian ones are supported")
        if version not in (2, 3):
            raise ModelError(f"{self.path} is GGUF version {version}; versions 2 and 3 are supported")
        n_tensors, n_values = cursor.scalar(_U64), cursor.scalar(_U64)
        if n_tensors > _MAX_COUNT or n_values > _MAX_COUNT:
            raise _Truncated
        for _ in range(n_values):
            key = cursor.string()
            self.metadata[key] = cursor.value(cursor.scalar(_U32))
        infos = [self._read_tensor_info(cursor) for _ in range(n_tensors)]
        alignment = int(self.metadata.get("general.alignment", 32))
        if alignment <= 0:
            raise ValueError(f"an alignment of {alignment}")
        start = -(-cursor.at // alignment) * alignment
        for info in infos:
            placed = TensorInfo(info.name, info.shape, info.type, start + info.offset, info.n_bytes)
            if placed.offset + placed.n_bytes > self.size:
                raise ModelError(
                    f"{self.path} is cut short: the tensor {info.name} ends at byte {placed.offset + placed.n_bytes}, "
                    f"but the file has {self.size}; download it again"
                )
            self.tensors[info.name] = placed

    def _read_tensor_info(self, cursor: _Cursor) -> TensorInfo:
        name = cursor.string()
        rank: int = cursor.scalar(_U32)
        if rank > _MAX_RANK:
            raise ValueError(f"the tensor {name!r} has {rank} dimensions")
        shape = tuple(reversed([int(cursor.scalar(_U64)) for _ in range(rank)])) or (1,)
        kind: int = cursor.scalar(_U32)
        try:
            type_ = gguf.GGMLQuantizationType(kind)
        except ValueError:
            raise ModelError(f"{self.path}: the tensor {name} has the unknown type {kind}") from None
        block, block_bytes = gguf.GGML_QUANT_SIZES[type_]
        if shape[-1] % block:
            raise ValueError(f"the tensor {name!r} has rows of {shape[-1]}, not a multiple of {block}")
        return TensorInfo(name, shape, type_, cursor.scalar(_U64), prod(shape) // block * block_bytes)

    def get(self, key: str, kind: type[T], default: T | None = None) -> T:
        """A metadata value of this type. Raises ModelError where it is missing without a default, or of another type."""
        value = self.metadata.get(key, default)
        if value is None:
            raise ModelError(f"{self.path}: the metadata key {key} is missing")
        if kind is float and isinstance(value, int):
            value = float(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ModelError(f"{self.path}: the metadata key {key} is {type(value).__name__}, not {kind.__name__}")
        return value

    def raw(self, name: str, rows: slice = _ALL) -> npt.NDArray[np.uint8]:
        """The tensor's bytes as they are in the file, without a copy: [rows, bytes per row]."""
        info = self._info(name)
        flat = np.frombuffer(self._data, dtype=np.uint8, count=info.n_bytes, offset=info.offset)
        return flat.reshape(prod(info.shape[:-1]), -1)[rows]

    def dequantize(self, name: str, rows: slice = _ALL) -> npt.NDArray[np.float32]:
        """The tensor, or some rows of its first dimension where it has two, in float32."""
        info = self._info(name)
        flat = self.raw(name, rows)
        if info.type == gguf.GGMLQuantizationType.F32:
            return flat.view(np.float32).reshape(-1, *info.shape[1:])
        try:
            values = gguf.quants.dequantize(
                flat.view(np.float16) if info.type == gguf.GGMLQuantizationType.F16 else flat, info.type
            )
        except NotImplementedError:
            raise ModelError(f"{self.path}: the tensor {name} is of type {info.type.name}, which can't be read") from None
        return cast("npt.NDArray[np.float32]", values.reshape(-1, *info.shape[1:]))

    def _info(self, name: str) -> TensorInfo:
        info = self.tensors.get(name)
        if info is None:
            raise ModelError(f"{self.path}: the tensor {name} is missing")
        return info


def _map(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
            if magic != _MAGIC:
                what = "is empty" if not magic else f"starts with {magic!r}, not with {_MAGIC!r}"
                raise ModelError(f"{path} is not a GGUF file: it {what}")
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise ModelError(f"no model file at {path}") from None
    except OSError as error:
        raise ModelError(f"{path} can't be read: {error.strerror}") from None
