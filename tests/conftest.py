"""What tests of several packages share."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _definitions_are_kept_in_a_temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """So that servers of an earlier run are not known again, nor a developer's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PORTICO_PINS_FILE", str(tmp_path_factory.mktemp("pins") / "pins.json"))
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
