"""Which tool calls run, which need a person's consent, which never run: rules over names and annotations.

It owns the rules and their version. It knows neither who is asked nor how: `approvals.py` keeps consents, `tool_calls.py`
applies both.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

import mcp_types

from portico_gateway.config.sections import PolicyConfig


class Verdict(enum.StrEnum):
    """What the policy says of a call."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Ruling:
    """A verdict and why, in words for a user."""

    verdict: Verdict
    reason: str


class Policy:
    """The rules of `[policy]`. `version` changes whenever a rule does."""

    def __init__(self, config: PolicyConfig | None = None) -> None:
        self.config = config or PolicyConfig()
        self.version = hashlib.sha256(self.config.model_dump_json().encode()).hexdigest()[:16]

    def is_read_only(self, name: str, tool: mcp_types.Tool, *, changed: bool = False) -> bool:
        """By the owner's word in `writes` and `read_only`, else by the server's: what it calls destructive is not read-only,
        whatever else it says, and a definition that `changed` since the tool was first seen is not believed."""
        if _matches(name, self.config.writes):
            return False
        return _matches(name, self.config.read_only) or (not changed and _says_read_only(tool))

    def is_trusted(self, name: str) -> bool:
        """Whether what the tool `name` returns counts as trusted text."""
        return _matches(name, self.config.trusted)

    def ruling(self, name: str, tool: mcp_types.Tool, *, read_untrusted: bool = False, changed: bool = False) -> Ruling:
        """What becomes of a call of `tool`, by its gateway name. `read_untrusted`: its caller has read untrusted text.
        `changed`: its definition is another one than when it was first seen, and nobody has consented to that."""
        if _matches(name, self.config.deny):
            return Ruling(Verdict.DENY, "policy.deny names it")
        if _matches(name, self.config.ask):
            return Ruling(Verdict.ASK, "policy.ask names it")
        if self.is_read_only(name, tool, changed=changed):
            return Ruling(Verdict.ALLOW, "it is read-only")
        named = _matches(name, self.config.allow)
        if not named and changed and _says_read_only(tool) and not _matches(name, self.config.writes):
            return self._of_changed()
        verdict = Verdict.ALLOW if named else Verdict(self.config.others)
        if verdict is Verdict.ALLOW and read_untrusted and self.config.ask_after_read:
            return Ruling(Verdict.ASK, "it is not read-only, and this caller has read untrusted text")
        return Ruling(verdict, "policy.allow names it" if named else "it is not read-only")

    def ruling_of_read(self, *names: str) -> Ruling:
        """What becomes of reading a resource or rendering a prompt, which changes nothing: any of its names may be listed."""
        if any(_matches(name, self.config.deny) for name in names):
            return Ruling(Verdict.DENY, "policy.deny names it")
        if any(_matches(name, self.config.ask) for name in names):
            return Ruling(Verdict.ASK, "policy.ask names it")
        return Ruling(Verdict.ALLOW, "it is read-only")

    def _of_changed(self) -> Ruling:
        reason = "its server calls it read-only, and has changed its definition since it was first seen"
        return Ruling(Verdict.DENY if self.config.others == "deny" else Verdict.ASK, reason)


def _says_read_only(tool: mcp_types.Tool) -> bool:
    hints = tool.annotations
    return hints is not None and bool(hints.read_only_hint) and not hints.destructive_hint


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
