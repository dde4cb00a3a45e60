from __future__ import annotations

import pytest

from portico_gateway.agent.guided.extraction.source_code.constants import (
    defines,
    definition,
    is_module,
    module_of,
    named,
    values,
)
from portico_gateway.agent.guided.extraction.source_code.statements import source_tree


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("timeout: float = DEFAULT_TIMEOUT,", ["DEFAULT_TIMEOUT"]),
        ("def get(url, timeout=DEFAULT_TIMEOUT, retries=3):", ["DEFAULT_TIMEOUT"]),
        ("return settings.MAX_ITEMS", ["MAX_ITEMS"]),
        ("const size = options.size || DEFAULT_SIZE;", ["DEFAULT_SIZE"]),
        ("timeout := defaultTimeout", ["defaultTimeout"]),
        ("size = MAX_SIZE(3)", []),  # it is called
        ("TIMEOUT = 5", []),  # it is defined here
        ("# HTTP and TLS are spoken", []),  # no value
        ("class Box(Generic[KT]):", []),
    ],
)
def test_a_constant_is_a_value_where_it_is_assigned_passed_or_returned(line: str, found: list[str]) -> None:
    assert values(line) == found


def test_a_line_names_constants_that_are_no_values_too() -> None:
    assert named("if LIMIT > 3: raise TooMany(LIMIT)") == ["LIMIT"]


@pytest.mark.parametrize(
    "line", ["TIMEOUT = 5", "TIMEOUT: Final[int] = 5", "export const TIMEOUT = 5", "pub const TIMEOUT: u32 = 5;", "  TIMEOUT=5"]
)
def test_an_assignment_defines_it(line: str) -> None:
    assert defines(line, "TIMEOUT")


@pytest.mark.parametrize("line", ["MY_TIMEOUT = 5", "if TIMEOUT == 5:", "TIMEOUT", "wait(TIMEOUT=5)"])
def test_anything_else_does_not(line: str) -> None:
    assert not defines(line, "TIMEOUT")


@pytest.mark.parametrize(
    ("text", "module"),
    [
        ("from .defaults import (\n    LIMIT,\n    TIMEOUT,\n)\n", "defaults"),
        ("from app.net.config import TIMEOUT\n", "app/net/config"),
        ("import { TIMEOUT } from './net/config'\n", "net/config"),
        ("const { TIMEOUT } = require('./config')\n", "config"),
        ("import app\n", ""),
    ],
)
def test_where_it_is_imported_from_is_read(text: str, module: str) -> None:
    assert module_of("TIMEOUT", source_tree("a.py", text)) == module


def test_a_module_is_a_file_or_a_folder_of_its_name() -> None:
    assert is_module("src/app/config.py", "app/config")
    assert is_module("src/app/config/__init__.py", "config")
    assert is_module("lib/config.js", "config.js")
    assert not is_module("src/app/myconfig.py", "config")
    assert not is_module("config.py", "")


def test_of_two_definitions_the_imported_one_counts() -> None:
    use = source_tree("client.py", "from .defaults import TIMEOUT\n\n\ndef get(timeout=TIMEOUT): ...\n")
    other, own = source_tree("tests/fakes.py", "TIMEOUT = 1\n"), source_tree("defaults.py", "TIMEOUT = 30\n")
    found = definition("TIMEOUT", use, [use, other, own])
    assert found is not None
    assert found.tree is own
