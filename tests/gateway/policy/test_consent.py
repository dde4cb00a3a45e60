"""How a person is asked for consent."""

from __future__ import annotations

from portico_gateway.policy.approvals import Approvals, CallAsked
from portico_gateway.policy.consent import consent_question


def test_a_long_argument_is_shown_by_its_ends_its_length_and_its_digest() -> None:
    arguments = {"text": "begin" + "x" * 5000 + "end", "path": "/etc"}
    asked = consent_question(Approvals().ask("local", CallAsked("s__t", arguments, "d", "it is not read-only")))
    assert len(asked) < 2200
    assert '{"text": "begin' in asked
    assert "5008 characters in all, sha256 " in asked
    assert asked.endswith('end", "path": "/etc"}')
