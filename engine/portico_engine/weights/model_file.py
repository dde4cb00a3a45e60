"""What the loader asks of any model on disk: metadata under GGUF's keys, tensors under GGUF's names.

It owns tensors' places, the reading of their numbers and of typed metadata. `gguf_file` and `hugging_face` know how a model is
stored; nothing here knows architectures. Block formats and dequantization are gguf-py's.
"""

from __future__ import annotations

import hashlib
import mmap
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import gguf
import numpy as np
import numpy.typing as npt

from portico_engine.errors import ModelError
from portico_engine.quantization.packing import Packing

T = TypeVar("T")
_ALL = slice(None)
_SAMPLE = 4096


class StoredArray(NamedTuple):
    """The place of one array of a packed matrix. `dtype` is safetensors' name."""

    dtype: str
    shape: tuple[int, ...]
    offset: int
    n_bytes: int
    buffer: int


class PackedArrays(NamedTuple):
    """What a matrix is made of that is stored as several arrays: all of its rows, and which of them are the tensor's."""

    arrays: Mapping[str, StoredArray]
    shape: tuple[int, int]
    rows: slice = _ALL


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor's place. `shape` is in numpy's order: rows first, the contiguous dimension last.

    Of a packed matrix the place is that of its codes, and `packed` says the rest.
    """

    name: str
    shape: tuple[int, ...]
    type: gguf.GGMLQuantizationType | Packing
    offset: int  # bytes from the start of its buffer
    n_bytes: int
    buffer: int = 0  # which of the model's buffers: a file has one, a folder several
    packed: PackedArrays | None = None

    def part(self, name: str, first: int, count: int) -> TensorInfo:
        """Some of the rows, or of whatever the first dimension counts, as a tensor of its own."""
        shape = (count, *self.shape[1:])
        if self.packed is not None:
            assert self.packed.rows == _ALL, "no part of a part"
            return replace(self, name=name, shape=shape, packed=self.packed._replace(rows=slice(first, first + count)))
        row_bytes = self.n_bytes // self.shape[0]
        offset, n_bytes = self.offset + first * row_bytes, count * row_bytes
        return replace(self, name=name, shape=shape, offset=offset, n_bytes=n_bytes)


class ModelFile(ABC):
    """An open model. `metadata` values are Python scalars, strings, lists of strings, or numpy arrays.

    Subclasses fill in everything when they are made. Stacked and fused matrices are listed as their parts (`split_tensors`).
    """

    interleaves_rotary: bool  # are rows of families with interleaved rotary pairs stored for those?

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0  # bytes on disk
        self.metadata: dict[str, Any] = {}
        self.tensors: dict[str, TensorInfo] = {}
        self.buffers: list[mmap.mmap | bytes] = []

    def fingerprint(self) -> str:
        """sha256 over what `content_digest` takes and the times of the last changes: all that tells two models apart on one
        machine without reading them whole."""
        digest = self._content()
        for file in self._files():
            digest.update(str(file.stat().st_mtime_ns).encode())
        return digest.hexdigest()

    def content_digest(self) -> str:
        """sha256 over the headers and both ends of every tensor: the same wherever and whenever the model was put there."""
        return self._content().hexdigest()

    def _content(self) -> hashlib._Hash:
        digest = hashlib.sha256()
        for header in self._headers():
            digest.update(header)
        for info in self.tensors.values():
            data, end = self.buffers[info.buffer], info.offset + info.n_bytes
            digest.update(data[info.offset : min(info.offset + _SAMPLE, end)])
            digest.update(data[max(info.offset, end - _SAMPLE) : end])
        return digest

    @abstractmethod
    def _headers(self) -> Sequence[bytes]:
        """What there is beside tensors."""

    @abstractmethod
    def _files(self) -> Sequence[Path]:
        """What is mapped."""

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
        flat = np.frombuffer(self.buffers[info.buffer], dtype=np.uint8, count=info.n_bytes, offset=info.offset)
        return flat.reshape(prod(info.shape[:-1]), -1)[rows]

    def packed(self, name: str) -> dict[str, tuple[str, tuple[int, ...], npt.NDArray[np.uint8]]]:
        """The arrays of a packed matrix, without a copy: type as safetensors calls it, shape, bytes."""
        packed = self._info(name).packed
        assert packed is not None, f"{name} is no packed matrix"
        return {
            key: (a.dtype, a.shape, np.frombuffer(self.buffers[a.buffer], np.uint8, a.n_bytes, a.offset))
            for key, a in packed.arrays.items()
        }

    def dequantize(self, name: str, rows: slice = _ALL) -> npt.NDArray[np.float32]:
        """The tensor, or some rows of its first dimension where it has two, in float32. None that is packed."""
        info = self._info(name)
        if isinstance(info.type, Packing):
            raise ModelError(
                f"{self.path}: the tensor {name} is packed as {info.type.name}, which only matrices of layers can be"
            )
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
