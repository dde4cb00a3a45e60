"""How a person is asked for consent."""

from __future__ import annotations

from portico_gateway.policy.approvals import Approvals
from portico_gateway.policy.consent import consent_question


def test_long_arguments_are_cut_and_the_question_says_so() -> None:
    record = Approvals().ask("local", "s__t", {"text": "x" * 5000}, "d", "it is not read-only")
    asked = consent_question(record)
    assert len(asked) < 2200
    assert asked.endswith("… (the first 2000 of 5012 characters)")
