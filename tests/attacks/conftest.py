"""Prints what was tried and what held, a line a kind of attack: `make attacks`.

A test says its kind by `@pytest.mark.attack("7 the engine outlives a request")`; each case of a parametrized test is one try.
"""

from __future__ import annotations

from collections import Counter

import pytest

_kinds: dict[str, str] = {}  # test -> kind
_outcomes: dict[str, bool] = {}  # test -> held


def _order(kind: str) -> tuple[int, str]:
    number = kind.split(" ")[0]
    return (int(number) if number.isdigit() else 99, kind)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        mark = item.get_closest_marker("attack")
        if mark is not None:
            _kinds[item.nodeid] = mark.args[0]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.nodeid in _kinds and not report.skipped:
        _outcomes[report.nodeid] = _outcomes.get(report.nodeid, True) and report.passed


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _outcomes:
        return
    tried = Counter(_kinds[test] for test in _outcomes)
    held = Counter(_kinds[test] for test, ok in _outcomes.items() if ok)
    width = max(map(len, tried))
    terminalreporter.write_line(f"{'attack':{width}}  tried  held")
    for kind in sorted(tried, key=_order):
        terminalreporter.write_line(f"{kind:{width}}  {tried[kind]:5}  {held[kind]:4}")
