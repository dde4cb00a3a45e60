"""What the policy says of a call, by the tool's name, its annotation and what its conversation has read."""

from __future__ import annotations

import mcp_types
import pytest

from portico_gateway.config.sections import PolicyConfig
from portico_gateway.policy.rules import Circumstances, Policy, Verdict


def tool(read_only: bool | None) -> mcp_types.Tool:
    hints = None if read_only is None else mcp_types.ToolAnnotations(read_only_hint=read_only)
    return mcp_types.Tool(name="t", input_schema={"type": "object"}, annotations=hints)


@pytest.mark.parametrize(
    ("config", "read_only", "verdict"),
    [
        ({}, True, "allow"),
        ({}, False, "ask"),
        ({}, None, "ask"),
        ({"others": "deny"}, None, "deny"),
        ({"others": "deny"}, True, "allow"),
        ({"allow": ["s__*"]}, False, "allow"),
        ({"allow": ["other__*"]}, False, "ask"),
        ({"ask": ["s__t"]}, True, "ask"),
        ({"deny": ["s__t"]}, True, "deny"),
        ({"deny": ["*"], "ask": ["*"], "allow": ["*"]}, True, "deny"),
        ({"ask": ["*"], "allow": ["*"]}, False, "ask"),
        ({"read_only": ["s__*"]}, None, "allow"),
        ({"writes": ["s__*"]}, True, "ask"),
        ({"writes": ["s__*"], "read_only": ["s__*"]}, True, "ask"),
    ],
)
def test_the_most_careful_rule_that_fits_decides(config: dict[str, object], read_only: bool | None, verdict: str) -> None:
    policy = Policy(PolicyConfig.model_validate(config))
    assert policy.ruling("s__t", tool(read_only)).verdict == verdict


def test_after_an_untrusted_read_even_an_allowed_write_needs_consent_if_the_owner_wants_that() -> None:
    careful = Policy(PolicyConfig(allow=["s__*"], ask_after_read=True))
    assert careful.ruling("s__t", tool(False)).verdict is Verdict.ALLOW
    assert careful.ruling("s__t", tool(False), circumstances=Circumstances(read_untrusted=True)).verdict is Verdict.ASK
    assert careful.ruling("s__t", tool(True), circumstances=Circumstances(read_untrusted=True)).verdict is Verdict.ALLOW
    assert (
        Policy(PolicyConfig(allow=["s__*"]))
        .ruling("s__t", tool(False), circumstances=Circumstances(read_untrusted=True))
        .verdict
        is Verdict.ALLOW
    )


def test_the_version_is_the_rules() -> None:
    assert Policy(PolicyConfig(allow=["a"])).version == Policy(PolicyConfig(allow=["a"])).version
    assert Policy(PolicyConfig(allow=["a"])).version != Policy(PolicyConfig(allow=["b"])).version
