"""How likely a file is what a question about code means, from its path alone."""

from __future__ import annotations

import re

_TESTS = re.compile(
    r"(^|/)(tests?|testing|specs?|__tests__|fixtures?)(/|$)|(^|/)(test_[^/]*|[^/]*_test|[^/]*\.(test|spec)|conftest)\.[^/.]+$"
)
_ASKED_TESTS = re.compile(r"(?<!\bto )\btests?\b", re.IGNORECASE)
_ASIDE = re.compile(
    r"(^|/)(vendor|vendored|third_party|_vendor|node_modules|dist|build|generated|examples?|benchmarks?|migrations|locale)(/|$)"
)
_PROSE = frozenset(("text", "json", "yaml", "toml", "html", "css", "markdown"))
_RECORDS = (".pyi", ".d.ts", ".lock", "changelog.md", "changes.rst", "changes.md", "news.md", "history.md")


def path_prior(path: str, language: str) -> float:
    """Between 0 and 1. Tests and vendored trees are what others' code is checked or copied with; records list names only."""
    value = 1.0
    if _TESTS.search(path):
        value *= 0.6
    if _ASIDE.search(path):
        value *= 0.7
    if language in _PROSE:
        value *= 0.8
    if path.lower().endswith(_RECORDS):
        value *= 0.7
    return value


def asks_for_tests(question: str) -> bool:
    """Are tests what is meant? Neither who wants to test something means them, nor "the latest" and `TestClient`."""
    return _ASKED_TESTS.search(question) is not None
