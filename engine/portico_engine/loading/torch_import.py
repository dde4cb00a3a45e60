"""How torch is imported: with threads that sleep when they have nothing to do, and in a process of our own without the parts
of it that no executor uses.

It knows nothing of models. torch imports its exporter, its data loaders, its distributions and the shapes of every operator for
its compiler each time, which is two fifths of what importing it takes.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from portico_engine.loading.device import has_nvidia_gpu

_SPINS = "2000"  # some 40 microseconds: longer than the gap between two operations
# Asked for by name alone while torch is imported. The registrations do their work by being imported, for torch's compiler and
# for tensors without data: nobody may need those in a process that leaves them out.
_LEFT_OUT = (
    "torch._meta_registrations",
    "torch.distributed._meta_registrations",
    "torch.distributions",
    "torch.export",
    "torch.masked",
    "torch.utils.data",
)


def import_torch() -> None:
    """Import torch (a second) with its idle threads told to sleep soon.

    By default they spin for milliseconds after each operation. Beside other busy processes, such as our own servers while
    they index, the spinning takes the processor from whoever has work: decoding on two cores was six times slower. The
    OpenMP library reads its settings once, when it is loaded; the user's own are left alone.
    """
    own = not ({"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & os.environ.keys())
    if own:
        os.environ["GOMP_SPINCOUNT"] = _SPINS
    try:
        importlib.import_module("torch")
    finally:
        if own:
            os.environ.pop("GOMP_SPINCOUNT", None)


def lean_torch() -> None:
    """From now on this process imports torch without what a decoder on a CPU doesn't use; each part but the registrations is
    there when it is first used. For processes that are ours alone. Where torch is imported already, or the machine has an
    NVIDIA GPU, nothing changes.
    """
    if "torch" not in sys.modules and not has_nvidia_gpu() and not any(isinstance(f, _LateFinder) for f in sys.meta_path):
        sys.meta_path.insert(0, _LateFinder(_LEFT_OUT))


class _LateFinder(MetaPathFinder, Loader):
    """Finds a `_LateModule` in the place of each module of these names, once."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = set(names)

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in self._names else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _LateModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        assert isinstance(module, _LateModule)
        if module.__name__ == "torch._meta_registrations":
            _allow_generators()
        module.late_finder = self  # from here on it can be loaded

    def load(self, late: ModuleType) -> ModuleType:
        """The real module, in the place of this one wherever torch looks for it."""
        name = late.__name__
        self._names.discard(name)
        if sys.modules.get(name) is late:
            del sys.modules[name]
        real = importlib.import_module(name)
        parent, _, child = name.rpartition(".")
        setattr(sys.modules[parent], child, real)
        return real


def _allow_generators() -> None:
    """Let `torch.Generator` be made: torch 2.13 refuses until a module that the registrations import gave it its metaclass."""
    if set_metaclass := getattr(sys.modules["torch._C"], "_set_generator_metaclass", None):
        set_metaclass(importlib.import_module("torch._opaque_base").OpaqueBaseMeta)


class _LateModule(ModuleType):
    """Loads what it stands for when something of it is asked for."""

    late_finder: _LateFinder | None = None

    def __getattr__(self, name: str) -> Any:
        # While it is made the import system looks for `__path__`; `inspect` asks every module there is for its `__file__`.
        if self.late_finder is None or (name.startswith("__") and name not in ("__path__", "__all__")):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(self.late_finder.load(self), name)
