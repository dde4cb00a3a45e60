from __future__ import annotations

import pytest

from portico_engine.kernels.cpu.build import KernelsUnavailable, build
from portico_engine.kernels.cpu.library import KernelLibrary


@pytest.fixture(scope="session")
def library() -> KernelLibrary:
    """This machine's."""
    try:
        return KernelLibrary(build())
    except KernelsUnavailable as missing:
        pytest.skip(str(missing))
