"""Kept results: the latest questions, and no others."""

from __future__ import annotations

from portico_servers.code.result_cache import ResultCache


def test_the_latest_questions_are_kept_and_the_oldest_forgotten() -> None:
    kept = ResultCache(questions=2)
    for question in ("one", "two", "one", "three"):
        kept.put(question, question.upper())
    assert [kept.get(question) for question in ("one", "two", "three", "never")] == ["ONE", None, "THREE", None]
