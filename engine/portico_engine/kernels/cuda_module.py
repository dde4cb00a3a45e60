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

CUDA_SOURCES = Path(__file__).with_name("cuda")
_Argument = Tensor | int | None
_WITH_OWN_FEATURES = {(9, 0)}  # that later architectures lack: warpgroups' products


class CUDAModule:
    """A compiled source file, for one GPU. Compiling takes a fifth of a second."""

    def __init__(self, path: Path, defines: Mapping[str, int], device: torch.device) -> None:
        major, minor = torch.cuda.get_device_capability(device)
        own = "a" if (major, minor) in _WITH_OWN_FEATURES else ""
        options = ["--std=c++17", f"--gpu-architecture=sm_{major}{minor}{own}", f"--include-path={path.parent}"]
        options += [f"-D{name}={value}" for name, value in defines.items()]
        self._library = _checked(driver.cuLibraryLoadData(_compile(path, options), [], [], 0, [], [], 0))
        self._device = device
        self._kernels: dict[str, tuple[Any, Any]] = {}
        self._allowed: dict[str, int] = {}  # bytes of dynamic shared memory, by kernel

    def launch(
        self,
        name: str,
        grid: tuple[int, int, int],
        threads: int,
        *arguments: _Argument,
        shared_bytes: int = 0,
        overlap: bool = False,
        cluster: int = 1,
    ) -> None:
        """Start a kernel: tensors are passed by address, None as a null pointer, integers as int.

        With `overlap` it may start while the kernel before it is at work: it waits itself (cuda/launch_overlap.cuh). So many
        blocks of a `cluster`, neighbours along the grid's third dimension, see each other's shared memory.
        """
        kernel = self._kernel(name, shared_bytes)
        # By hand: the binding's own packing of arguments is slower.
        count = len(arguments)
        values = (ctypes.c_uint64 * count)(*[a.data_ptr() if isinstance(a, Tensor) else a or 0 for a in arguments])
        first = ctypes.addressof(values)
        addresses = (ctypes.c_uint64 * count)(*range(first, first + 8 * count, 8))
        at = ctypes.addressof(addresses)
        stream = torch.cuda.current_stream().cuda_stream
        if overlap or cluster > 1:
            attributes = ([_overlapping()] if overlap else []) + ([_clustered(cluster)] if cluster > 1 else [])
            _checked(driver.cuLaunchKernelEx(_launch(grid, threads, shared_bytes, stream, attributes), kernel, at, 0))
        else:
            _checked(driver.cuLaunchKernel(kernel, *grid, threads, 1, 1, shared_bytes, stream, at, 0))

    def _kernel(self, name: str, shared_bytes: int) -> Any:
        if name not in self._kernels:
            kernel = _checked(driver.cuLibraryGetKernel(self._library, name.encode()))
            self._kernels[name] = kernel, driver.CUfunction(int(kernel))
        kernel, function = self._kernels[name]
        if shared_bytes > self._allowed.get(name, 0):  # what any may have, 48 KiB, counts its static memory, too
            attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            index = self._device.index
            device = _checked(driver.cuDeviceGet(torch.cuda.current_device() if index is None else index))
            _checked(driver.cuKernelSetAttribute(attribute, shared_bytes, kernel, device))
            self._allowed[name] = shared_bytes
        return function


def _overlapping() -> Any:
    """A launch that does not wait for the kernel before it to end (programmatic dependent launch)."""
    attribute = driver.CUlaunchAttribute()
    attribute.id = driver.CUlaunchAttributeID.CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION
    attribute.value.programmaticStreamSerializationAllowed = 1
    return attribute


def _clustered(blocks: int) -> Any:
    attribute = driver.CUlaunchAttribute()
    attribute.id = driver.CUlaunchAttributeID.CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION
    size = attribute.value.clusterDim
    size.x, size.y, size.z = 1, 1, blocks
    return attribute


def _launch(grid: tuple[int, int, int], threads: int, shared_bytes: int, stream: int, attributes: list[Any]) -> Any:
    config = driver.CUlaunchConfig()
    config.gridDimX, config.gridDimY, config.gridDimZ = grid
    config.blockDimX, config.blockDimY, config.blockDimZ = threads, 1, 1
    config.sharedMemBytes = shared_bytes
    config.hStream = driver.CUstream(stream)
    config.attrs = attributes
    config.numAttrs = len(attributes)
    return config


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
