"""Sample databases, written once a session; tests must not change them."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.db_samples import SAMPLES, write_sqlite


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The three samples as SQLite files, by name."""
    folder = tmp_path_factory.mktemp("samples")
    return {name: write_sqlite(folder, name) for name in SAMPLES}
