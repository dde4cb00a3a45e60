from __future__ import annotations

import subprocess
import sys

from portico_servers.common.validation import first_error, validator


def test_the_first_error_says_where_it_is() -> None:
    checker = validator({"properties": {"n": {"type": "integer"}}})
    assert first_error(checker, {"n": 1}) is None
    assert list(first_error(checker, {"n": "x"}).absolute_path) == ["n"]


def test_the_format_checker_that_takes_seconds_is_not_imported_and_can_be_later() -> None:
    code = (
        "import sys; from portico_servers.common.validation import validator; validator({});"
        "assert 'jsonschema' in sys.modules; print('rfc3987_syntax' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.strip() == "False"
