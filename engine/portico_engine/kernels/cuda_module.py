"""CUDA C++ compiled for this GPU when it is first needed (by NVRTC, which comes with torch), and launched on torch's stream.

It owns compiling, loading and launching. It knows no kernel.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from cuda.bindings import driver, nvrtc
from torch import Tensor

_Argument = Tensor | int | None


class CUDAModule:
    """A compiled source file, for one GPU. Compiling takes a fifth of a second."""

    def __init__(self, path: Path, defines: Mapping[str, int], device: torch.device) -> None:
        major, minor = torch.cuda.get_device_capability(device)
        options = ["--std=c++17", f"--gpu-architecture=sm_{major}{minor}", f"--include-path={path.parent}"]
        options += [f"-D{name}={value}" for name, value in defines.items()]
        self._library = _checked(driver.cuLibraryLoadData(_compile(path, options), [], [], 0, [], [], 0))
        self._kernels: dict[str, Any] = {}

    def launch(self, name: str, grid: tuple[int, int, int], threads: int, *arguments: _Argument) -> None:
        """Start a kernel: tensors are passed by address, None as a null pointer, integers as int."""
        if name not in self._kernels:
            kernel = _checked(driver.cuLibraryGetKernel(self._library, name.encode()))
            self._kernels[name] = driver.CUfunction(int(kernel))
        # By hand: the binding's own packing of arguments is slower.
        count = len(arguments)
        values = (ctypes.c_uint64 * count)(*[a.data_ptr() if isinstance(a, Tensor) else a or 0 for a in arguments])
        first = ctypes.addressof(values)
        addresses = (ctypes.c_uint64 * count)(*range(first, first + 8 * count, 8))
        stream = torch.cuda.current_stream().cuda_stream
        _checked(driver.cuLaunchKernel(self._kernels[name], *grid, threads, 1, 1, 0, stream, ctypes.addressof(addresses), 0))


@cache
def _source(path: Path) -> bytes:
    return path.read_bytes()


def _compile(path: Path, options: list[str]) -> bytes:
    program = _checked(nvrtc.nvrtcCreateProgram(_source(path), path.name.encode(), 0, [], []))
    (status,) = nvrtc.nvrtcCompileProgram(program, len(options), [option.encode() for option in options])
    if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        log = b" " * _checked(nvrtc.nvrtcGetProgramLogSize(program))
        nvrtc.nvrtcGetProgramLog(program, log)
        raise RuntimeError(f"{path.name} can't be compiled with {' '.join(options)}: {log.decode(errors='replace')}")
    binary = bytes(_checked(nvrtc.nvrtcGetCUBINSize(program)))
    nvrtc.nvrtcGetCUBIN(program, binary)
    nvrtc.nvrtcDestroyProgram(program)
    return binary


def _checked(result: tuple[Any, ...]) -> Any:
    """The value of a driver's answer."""
    status, *values = result
    if status != 0:
        raise RuntimeError(f"CUDA: {status.name}")
    return values[0] if values else None
