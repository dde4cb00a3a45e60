"""The path and language filters: what each lets through."""

from __future__ import annotations

import pytest

from portico_servers.code.tools.filters import SearchFilter


def test_a_header_is_found_as_c_and_as_cpp() -> None:
    assert [SearchFilter.of("", language).accepts("r")("x.h") for language in ("c", "c++", "go")] == [True, True, False]
    assert SearchFilter.of("", "text").accepts("r")("LICENSE")


@pytest.mark.parametrize(
    ("wanted", "path", "accepted"),
    [
        ("", "a/b.py", True),
        (".", "a/b.py", True),
        ("a/", "a/b.py", True),
        ("b.py", "a/b.py", True),
        ("*.py", "a/b.py", True),
        ("a/*.ts", "a/b.py", False),
        ("root/a", "a/b.py", True),
        ("root", "a/b.py", True),
        ("A/B", "a/b.py", True),
        ("c", "a/b.py", False),
    ],
)
def test_a_path_filter_takes_directories_parts_and_globs(wanted: str, path: str, accepted: bool) -> None:
    assert SearchFilter.of(wanted, "").accepts("root")(path) is accepted
