"""What a host can be asked, by its capabilities."""

from __future__ import annotations

from typing import Any

import mcp_types
import pytest

from portico_gateway.caller import supports_elicitation


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
    assert (supports_elicitation(capabilities, "form"), supports_elicitation(capabilities, "url")) == (form, url)
