from __future__ import annotations

import platform
import sys

import pytest

from portico_engine.kernels.cpu import build as building
from portico_engine.kernels.cpu.build import KernelsUnavailable, build
from portico_engine.kernels.cpu.library import KernelLibrary

AVX2 = {"avx2", "fma", "f16c"}  # what x86-64-v3 has of what the kernels use


@pytest.fixture(scope="session")
def native() -> KernelLibrary:
    """This machine's."""
    try:
        return KernelLibrary(build())
    except KernelsUnavailable as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session", params=["all its instructions", "AVX2"])
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, native: KernelLibrary) -> KernelLibrary:
    """This machine's, and what it would be on one with AVX2 alone."""
    if request.param != "AVX2":
        return native
    if sys.platform != "linux" or platform.machine() != "x86_64" or AVX2 - set(building._cpu_features().split()):
        pytest.skip("this CPU has no AVX2")
    made = tmp_path_factory.mktemp("kernels") / "avx2.so"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "_machine_flag", lambda: "-march=x86-64-v3")
        building._compile(made)
    return KernelLibrary(made)
