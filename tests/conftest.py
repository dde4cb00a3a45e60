"""What tests of several packages share."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from portico_engine.kernels.cpu.build import FOLDER, KernelsUnavailable, build, kernels_folder
from tests.attacks.table import AttackTable

# How long an example takes to make, or to run, is the machine's: a busy one fails no test by it.
settings.register_profile("portico", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("portico")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(AttackTable())


@pytest.fixture(scope="session", autouse=True)
def _definitions_are_kept_in_a_temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """So that servers of an earlier run are not known again, nor a developer's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PORTICO_PINS_FILE", str(tmp_path_factory.mktemp("pins") / "pins.json"))
        yield


@pytest.fixture(scope="session", autouse=True)
def _kernels_are_compiled_before() -> Iterator[None]:
    """So that no process that a test starts, in whatever home folder, compiles them beside it, or has others than the one
    before.
    """
    with pytest.MonkeyPatch.context() as patch:
        if FOLDER not in os.environ:
            patch.setenv(FOLDER, str(kernels_folder()))
        with contextlib.suppress(KernelsUnavailable):
            build()
        yield


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    """The root logger, which is as it was after the test, its level and handlers and how it takes its own errors."""
    root = logging.getLogger()
    handlers, level, raises = list(root.handlers), root.level, logging.raiseExceptions
    yield root
    for handler in list(root.handlers):
        if handler not in handlers:
            root.removeHandler(handler)
            handler.close()
    for handler in handlers:
        if handler not in root.handlers:
            root.addHandler(handler)
    root.setLevel(level)
    logging.raiseExceptions = raises
