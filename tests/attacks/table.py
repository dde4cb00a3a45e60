"""What was tried and what held, a line a kind of attack: `make attacks`.

A test says its kind by `@pytest.mark.attack("7 the engine outlives a request")`; each case of a parametrized test is one try.
"""

from __future__ import annotations

from collections import Counter

import pytest

_KIND = "attack"


class AttackTable:
    """A plugin: its table stands at the end of pytest's report. The kind travels with a test's report, since tests run in other
    processes than the one that prints.
    """

    def __init__(self) -> None:
        self._outcomes: dict[tuple[str, str], bool] = {}  # kind and test -> held

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            if (mark := item.get_closest_marker(_KIND)) is not None:
                item.user_properties.append((_KIND, mark.args[0]))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped:
            return
        for kind in (str(value) for name, value in report.user_properties if name == _KIND):
            test = (kind, report.nodeid)
            self._outcomes[test] = self._outcomes.get(test, True) and report.passed

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._outcomes:
            return
        tried = Counter(kind for kind, _ in self._outcomes)
        held = Counter(kind for (kind, _), ok in self._outcomes.items() if ok)
        width = max(map(len, tried))
        terminalreporter.write_line(f"{'attack':{width}}  tried  held")
        for kind in sorted(tried, key=_order):
            terminalreporter.write_line(f"{kind:{width}}  {tried[kind]:5}  {held[kind]:4}")


def _order(kind: str) -> tuple[int, str]:
    number = kind.split(" ")[0]
    return (int(number) if number.isdigit() else 99, kind)
