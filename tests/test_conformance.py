"""What stands between the conformance suite and the gateway changes names alone; the fixture server has all that is asked."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

CHECKS = Path(__file__).parents[1] / "checks" / "conformance"


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(CHECKS))
    return importlib.import_module("renaming_proxy")


@pytest.mark.parametrize(
    ("said", "passed"),
    [
        (b'{"params":{"name":"test_simple_text"}}', b'{"params":{"name":"f__test_simple_text"}}'),
        (b'{"params":{"uri": "test://static-text"}}', b'{"params":{"uri": "portico://f/test://static-text"}}'),
        (b'{"name":"Alice","text":"test_simple_text"}', b'{"name":"Alice","text":"test_simple_text"}'),
        (b'{"resourceUri":"test://example-resource"}', b'{"resourceUri":"test://example-resource"}'),
        (b'{"name":"missing_tool"}', b'{"name":"missing_tool"}'),
    ],
)
def test_a_request_has_the_gateways_names_and_an_answer_the_suites(proxy: ModuleType, said: bytes, passed: bytes) -> None:
    assert proxy.inward(said) == passed
    assert proxy.outward(passed) == said


def test_headers_that_repeat_a_name_are_renamed_with_their_spaces(proxy: ModuleType) -> None:
    assert proxy.inward_header(" test_simple_text ") == " f__test_simple_text "
    assert proxy.inward_header("test://static-text") == "portico://f/test://static-text"
    assert proxy.inward_header("tools/list") == "tools/list"


def test_the_fixture_server_has_what_the_suite_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(CHECKS))
    server = importlib.import_module("fixture_server")
    assert len(server.TOOLS) >= 26
    assert all(tool.description and tool.annotations.read_only_hint for tool, _ in server.TOOLS.values())
    assert server.build() is not None
