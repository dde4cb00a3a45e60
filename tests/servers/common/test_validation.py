from __future__ import annotations

import subprocess
import sys

from portico_servers.common.validation import first_error, validator


def test_the_first_error_says_where_it_is() -> None:
    checker = validator({"properties": {"n": {"type": "integer"}}})
    assert first_error(checker, {"n": 1}) is None
    assert list(first_error(checker, {"n": "x"}).absolute_path) == ["n"]


def test_importing_it_does_not_import_jsonschema() -> None:
    code = "import sys; import portico_servers.common.validation; print('jsonschema' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.strip() == "False"
