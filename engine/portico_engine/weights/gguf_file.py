"""A GGUF file: its metadata and its tensors' bytes, memory-mapped.

It owns the container format (versions 2 and 3, little-endian; ggml-org's gguf.md is the specification) and the refusal of files
that are missing, cut short or damaged. It knows neither architectures nor what the numbers mean. The header is read here and
not by gguf.GGUFReader, which makes a numpy object of every vocabulary entry.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from portico_engine.errors import ModelError
from portico_engine.weights.model_file import ModelFile, TensorInfo
from portico_engine.weights.regular_file import open_regular
from portico_engine.weights.split_tensors import split_tensors

_MAGIC = b"GGUF"
_MAX_COUNT = 1 << 28  # no sane header has more entries in one array
_MAX_RANK = 4

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
_SPLIT = re.compile(r"(?P<stem>.+)-\d{5}-of-(?P<count>\d{5})\.gguf")
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")


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


class GGUFFile(ModelFile):
    """An open GGUF file, or the first of several that hold one model (`NAME-00001-of-00003.gguf`)."""

    interleaves_rotary = True

    def __init__(self, path: Path) -> None:
        """Map the file and read its header. Raises ModelError naming the file and what is wrong with it."""
        super().__init__(path)
        self._shards = [_Shard(path, 0)]
        self.metadata = self._shards[0].metadata
        self._shards += [_Shard(other, i) for i, other in enumerate(self._others(), 1)]
        self.buffers = [shard.data for shard in self._shards]
        self.size = sum(len(shard.data) for shard in self._shards)
        tensors = {name: info for shard in self._shards for name, info in shard.tensors.items()}
        self.tensors = split_tensors(tensors, self.metadata)

    @property
    def header_bytes(self) -> int:
        """Size of the first file's header."""
        return self._shards[0].header_bytes

    def _others(self) -> Sequence[Path]:
        """The other files of a model in several."""
        count, number = self.get("split.count", int, 1), self.get("split.no", int, 0)
        if count <= 1:
            return []
        name = _SPLIT.fullmatch(self.path.name)
        if name is None or int(name["count"]) != count:
            raise ModelError(
                f"{self.path} is one of {count} files of a model, which must be called NAME-00001-of-{count:05}.gguf"
            )
        paths = [self.path.with_name(f"{name['stem']}-{i:05}-of-{count:05}.gguf") for i in range(1, count + 1)]
        if number != 0:
            raise ModelError(f"{self.path} is part {number + 1} of {count} of a model; give the first, {paths[0].name}")
        missing = [path.name for path in paths if not path.exists()]
        if missing:
            raise ModelError(f"{self.path} is the first of {count} files of a model, but {missing[0]} is not beside it")
        return paths[1:]

    def _headers(self) -> Sequence[bytes]:
        return [shard.data[: shard.header_bytes] for shard in self._shards]

    def _files(self) -> Sequence[Path]:
        return [shard.path for shard in self._shards]


class _Shard:
    """One file's header: what `ModelFile` says of metadata and tensors."""

    def __init__(self, path: Path, buffer: int) -> None:
        self.path = path
        self.buffer = buffer
        self.data = _map(path)
        self.metadata: dict[str, Any] = {}
        self.tensors: dict[str, TensorInfo] = {}
        cursor = _Cursor(self.data, len(_MAGIC))
        try:
            self._read_header(cursor)
        except _Truncated:
            raise ModelError(f"{path} is cut short: its header goes past the end of the file; download it again") from None
        except ValueError as error:
            raise ModelError(f"{path} is damaged: {error} in its header; download it again") from None
        self.header_bytes = cursor.at

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
        alignment = self.metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or isinstance(alignment, bool) or alignment <= 0:
            raise ValueError(f"an alignment of {str(alignment)[:40]}")
        start = -(-cursor.at // alignment) * alignment
        for info in infos:
            placed = TensorInfo(info.name, info.shape, info.type, start + info.offset, info.n_bytes, self.buffer)
            if placed.offset + placed.n_bytes > len(self.data):
                raise ModelError(
                    f"{self.path} is cut short: the tensor {info.name} ends at byte {placed.offset + placed.n_bytes}, "
                    f"but the file has {len(self.data)}; download it again"
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


def _map(path: Path) -> mmap.mmap:
    try:
        with open_regular(path) as file:
            magic = file.read(len(_MAGIC))
            if magic != _MAGIC:
                what = "is empty" if not magic else f"starts with {magic!r}, not with {_MAGIC!r}"
                raise ModelError(f"{path} is not a GGUF file: it {what}")
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise ModelError(f"no model file at {path}") from None
    except OSError as error:
        raise ModelError(f"{path} can't be read: {error.strerror}") from None
