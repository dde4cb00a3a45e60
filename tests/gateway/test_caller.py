"""What a host can be asked, by its capabilities, and how a person is asked for consent."""

from __future__ import annotations

from typing import Any

import mcp_types
import pytest

from portico_gateway.caller import question, takes_elicitation
from portico_gateway.policy.approvals import Approvals


@pytest.mark.parametrize(
    ("declared", "form", "url"),
    [
        ({}, False, False),
        ({"elicitation": {}}, True, False),
        ({"elicitation": {"form": {}}}, True, False),
        ({"elicitation": {"url": {}}}, False, True),
        ({"elicitation": {"form": {}, "url": {}}}, True, True),
    ],
)
def test_a_host_is_asked_in_the_modes_that_it_declares(declared: dict[str, Any], form: bool, url: bool) -> None:
    capabilities = mcp_types.ClientCapabilities.model_validate(declared)
    assert (takes_elicitation(capabilities, "form"), takes_elicitation(capabilities, "url")) == (form, url)


def test_long_arguments_are_cut_and_the_question_says_so() -> None:
    record = Approvals().ask("local", "s__t", {"text": "x" * 5000}, "d", "it is not read-only")
    asked = question(record)
    assert len(asked) < 2200
    assert asked.endswith("… (the first 2000 of 5012 characters)")
