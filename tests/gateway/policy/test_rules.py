"""What the policy says of a call, by the tool's name, its annotation and what its conversation has read."""

from __future__ import annotations

import mcp_types
import pytest
from pydantic import ValidationError

from portico_gateway.caller import Caller
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


def test_what_the_person_asked_for_runs_where_the_owner_wants_that_and_all_else_asks() -> None:
    def verdict(now: Circumstances, **config: object) -> str:
        return Policy(PolicyConfig(**config)).ruling("s__t", tool(False), circumstances=now).verdict.value  # type: ignore[arg-type]

    asked = Circumstances(requested=True, read_untrusted=True)
    assert verdict(asked) == "ask"
    assert verdict(asked, others="requested") == "allow"
    assert verdict(Circumstances(), others="requested") == "ask"
    assert verdict(asked, others="requested", ask=["s__*"]) == "ask"
    assert verdict(asked, others="requested", deny=["s__*"]) == "deny"
    assert verdict(asked, others="requested", ask_after_read=True) == "ask"
    assert verdict(Circumstances(requested=True, changed=True), others="requested") == "ask"
    assert verdict(Circumstances(requested=True, shadows="other"), others="requested") == "ask"
    copied = Circumstances(copied=("/to was copied from a result of mail__read",))
    assert verdict(copied, others="requested") == "ask"
    with pytest.raises(ValidationError, match="can call itself anything"):
        PolicyConfig.model_validate({"callers": {"client:x": {"others": "requested"}}})


COPIED = Circumstances(copied=("/to was copied from a result of mail__read",))


def test_a_copied_argument_asks_where_the_call_would_run_and_writes_or_leaves() -> None:
    def verdict(tool_: mcp_types.Tool, now: Circumstances = COPIED, **config: object) -> str:
        return Policy(PolicyConfig(**config)).ruling("s__t", tool_, circumstances=now).verdict.value  # type: ignore[arg-type]

    elsewhere = mcp_types.Tool(
        name="t",
        input_schema={"type": "object"},
        annotations=mcp_types.ToolAnnotations(read_only_hint=True, open_world_hint=True),
    )
    assert verdict(tool(False), allow=["s__*"]) == "ask"
    assert verdict(tool(False), others="allow") == "ask"
    assert verdict(tool(False), allow=["s__*"], provenance=False) == "allow"
    assert verdict(tool(False), others="deny") == "deny"
    assert verdict(tool(False), deny=["s__*"]) == "deny"
    assert verdict(tool(True)) == "allow", "reading here tells nobody"
    assert verdict(elsewhere) == "ask"
    assert verdict(tool(True), egress=["s__*"]) == "ask"
    assert verdict(tool(True), Circumstances(copied=COPIED.copied, leaves=True)) == "ask"
    assert verdict(elsewhere, Circumstances()) == "allow"


def test_rules_of_a_caller_add_to_those_of_all() -> None:
    policy = Policy(
        PolicyConfig(
            callers={  # type: ignore[arg-type]
                "ci-*": {"allow": ["s__t"], "others": "deny", "calls_per_minute": 5},
                "ci-nightly": {"ask": ["s__read"], "calls_per_minute": 2, "calls_per_day": 10},
                "client:cursor*": {"deny": ["s__secret"]},
            }
        )
    )

    def verdict(name: str, caller: Caller, read_only: bool = False) -> str:
        return policy.ruling(name, tool(read_only), caller).verdict.value

    assert [verdict("s__t", Caller(name)) for name in ("ci-1", "local")] == ["allow", "ask"]
    assert [verdict("s__other", Caller(name)) for name in ("ci-1", "local")] == ["deny", "ask"]
    assert [verdict("s__read", Caller(name), True) for name in ("ci-1", "ci-nightly")] == ["allow", "ask"]
    assert [verdict("s__secret", Caller(client=client), True) for client in ("cursor-vscode", "zed")] == ["deny", "allow"]
    assert verdict("s__secret", Caller("client:cursor"), True) == "allow", "a key can't be named like a client's word"
    assert policy.quota(Caller("ci-nightly")) == (2, 10)
    assert policy.quota(Caller("ci-1")) == (5, None)
    assert policy.ruling("s__other", tool(False), Caller("ci-1")).reason == "it is not read-only"


def test_what_a_client_calls_itself_can_only_narrow() -> None:
    for loosened in ({"allow": ["s__t"]}, {"others": "allow"}):
        with pytest.raises(ValidationError, match="can call itself anything"):
            PolicyConfig(callers={"client:x": loosened})  # type: ignore[dict-item]
    policy = Policy(PolicyConfig(others="allow", callers={"client:x": {"others": "ask"}}))  # type: ignore[dict-item]
    assert policy.ruling("s__t", tool(False), Caller(client="x")).verdict is Verdict.ASK


@pytest.mark.parametrize("others", ["allow", "ask", "deny"])
@pytest.mark.parametrize("read_only", [True, False, None])
@pytest.mark.parametrize("now", [Circumstances(), COPIED, Circumstances(read_untrusted=True), Circumstances(changed=True)])
def test_an_explanation_ends_with_the_ruling_and_only_there(others: str, read_only: bool | None, now: Circumstances) -> None:
    policy = Policy(PolicyConfig(others=others, ask=["s__x"], ask_after_read=True))  # type: ignore[arg-type]
    rules = policy.explained("s__t", tool(read_only), circumstances=now)
    assert [rule.ruling for rule in rules[:-1]] == [None] * (len(rules) - 1)
    assert rules[-1].ruling == policy.ruling("s__t", tool(read_only), circumstances=now)
    assert all(rule.question.endswith("?") for rule in rules)


def test_a_ruling_that_was_made_before_counts_for_nothing_that_differs() -> None:
    policy = Policy(PolicyConfig(callers={"client:x": {"others": "deny"}}))  # type: ignore[dict-item]
    destructive = mcp_types.Tool(
        name="t",
        input_schema={"type": "object"},
        annotations=mcp_types.ToolAnnotations(read_only_hint=True, destructive_hint=True),
    )
    for _ in range(2):
        assert policy.ruling("s__t", tool(True)).verdict is Verdict.ALLOW
        assert policy.ruling("s__t", tool(False)).verdict is Verdict.ASK
        assert policy.ruling("s__t", destructive).verdict is Verdict.ASK
        assert policy.ruling("s__t", tool(False), Caller(client="x")).verdict is Verdict.DENY
        assert policy.ruling("s__t", tool(True), Caller(careful=frozenset(["s__t"]))).verdict is Verdict.ASK
        assert policy.ruling("s__t", tool(True), circumstances=Circumstances(changed=True)).verdict is Verdict.ASK
    for number in range(10_000):
        policy.ruling(f"s__{number}", tool(True))
    assert len(policy._rulings) <= 4096
