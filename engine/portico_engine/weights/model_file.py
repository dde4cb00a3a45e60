"""What the loader asks of any model on disk: metadata under GGUF's keys, tensors under GGUF's names.

It owns tensors' places, the reading of their numbers and of typed metadata. `gguf_file` and `hugging_face` know how a model is
stored; nothing here knows architectures. Block formats and dequantization are gguf-py's.
"""

from __future__ import annotations

import hashlib
import mmap
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, TypeVar, cast

import gguf
import numpy as np
import numpy.typing as npt

from portico_engine.errors import ModelError

T = TypeVar("T")
_ALL = slice(None)
_SAMPLE = 4096


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor's place. `shape` is in numpy's order: rows first, the contiguous dimension last."""

    name: str
    shape: tuple[int, ...]
    type: gguf.GGMLQuantizationType
    offset: int  # bytes from the start of its buffer
    n_bytes: int
    buffer: int = 0  # which of the model's buffers: a file has one, a folder several


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
        """sha256 over the headers, both ends of every tensor, and the times of the last changes: all that tells two models
        apart without reading them whole.
        """
        digest = hashlib.sha256()
        for header in self._headers():
            digest.update(header)
        for info in self.tensors.values():
            data, end = self.buffers[info.buffer], info.offset + info.n_bytes
            digest.update(data[info.offset : min(info.offset + _SAMPLE, end)])
            digest.update(data[max(info.offset, end - _SAMPLE) : end])
        for file in self._files():
            digest.update(str(file.stat().st_mtime_ns).encode())
        return digest.hexdigest()

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
