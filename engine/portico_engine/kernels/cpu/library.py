"""The compiled kernels as a library of functions: what `build` left in the cache folder, loaded once a process.

It owns loading and the signatures. Operations over tensors are its neighbours'.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

import torch

from portico_engine.kernels.cpu import build

_P, _I64, _I32 = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32
_SIGNATURES = {
    "portico_add_norm": (_P, _P, _P, _P, _P, _I64, _I64),
    "portico_rotate": (_P, _P, _P, _I64, _I64, _I64, _I64),
    "portico_swiglu": (_P, _P, _I64, _I64),
    "portico_attention": (_P, _I64, _P, _I64, _P, _I64, _P, _P, _P, _I32, _P, _I32, _I32, _I32, _I32),
    "portico_product": (_P, _P, _I64, _I32, _P, _I64, _I32, _P, _I32),
    "portico_layers": (_P, _P, _I64, _P, _P, _I32, _P),
    "portico_pack": (_P, _P, _P, _P, _P),
    "portico_numbers": (),
}
Numbers: TypeAlias = Literal["float32", "int16", "bf16 pairs"]  # that products from codes multiply
_NUMBERS: tuple[Numbers, ...] = ("float32", "int16", "bf16 pairs")


class KernelLibrary:
    """The functions, by their names without `portico_`. They take addresses: who calls them checks types and shapes."""

    def __init__(self, path: Path) -> None:
        """Raises OSError for a file that can't be loaded."""
        assert torch.__version__, "whose OpenMP the library's threads are"
        library = ctypes.CDLL(str(path))
        self.numerics = path.stem  # two libraries may round otherwise
        functions = {name: getattr(library, name) for name in _SIGNATURES}
        for name, function in functions.items():
            function.argtypes, function.restype = _SIGNATURES[name], None
        functions["portico_numbers"].restype = ctypes.c_int
        self.add_norm = functions["portico_add_norm"]
        self.rotate = functions["portico_rotate"]
        self.swiglu = functions["portico_swiglu"]
        self.attention = functions["portico_attention"]
        self.product = functions["portico_product"]
        self.layers = functions["portico_layers"]
        self.pack = functions["portico_pack"]
        self.numbers: Numbers = _NUMBERS[functions["portico_numbers"]()]
        self.takes_tables = self.numbers == "bf16 pairs"  # any 16 values in a product, not steps of one size alone


@cache
def _load(path: Path) -> KernelLibrary:
    return KernelLibrary(path)


def load_kernels() -> KernelLibrary:
    """This machine's library; where there is none yet, one is being built from now on. Raises KernelsUnavailable."""
    try:
        return _load(build.find_library())
    except build.KernelsUnavailable as missing:
        if missing.building:
            build.build_beside()
        raise
    except OSError as error:
        raise build.KernelsUnavailable(f"the compiled library can't be loaded ({error})") from None
