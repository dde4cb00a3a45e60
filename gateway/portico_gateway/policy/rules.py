"""Which tool calls run, which need a person's consent, which never run: rules over names, annotations and callers.

It owns the rules and their version. It knows neither who is asked nor how: `approvals.py` keeps consents, `tool_calls.py`
applies both. A ruling and its explanation are made by the same rules, one after the other.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

import mcp_types

from portico_gateway.caller import Caller
from portico_gateway.config.sections import CallerRules, PolicyConfig
from portico_gateway.policy.quotas import Quota

_CLIENT = "client:"
_MAX_RULINGS = 4096
_CAREFUL = ("deny", "ask", "requested", "allow")  # the most careful first


class Verdict(enum.StrEnum):
    """What the policy says of a call."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Ruling:
    """A verdict and why, in words for a user. `may_remember`: a person's answer may count for later calls, too; `exact`: for
    calls with the same arguments alone."""

    verdict: Verdict
    reason: str
    may_remember: bool = False
    exact: bool = False


class Rule(NamedTuple):
    """One rule as it was applied: what it looks at, and its ruling, None where it has nothing to say of this call."""

    question: str
    ruling: Ruling | None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a ruling depends on beside the tool. `read_untrusted`: the caller has read untrusted text; `shadows`: another
    server's tool of which its definition speaks; `changed`: the tool's definition is another one than when it was first seen,
    and nobody has consented to that; `copied`: arguments that come from an untrusted result, in words; `leaves`: an argument
    names a place on the web; `requested`: the person's own words ask for this very call, which was not made yet."""

    read_untrusted: bool = False
    changed: bool = False
    shadows: str | None = None
    copied: tuple[str, ...] = ()
    leaves: bool = False
    requested: bool = False


NOTHING_SPECIAL = Circumstances()
ANYBODY = Caller()


class Policy:
    """The rules of `[policy]`. `version` changes whenever a rule does."""

    def __init__(self, config: PolicyConfig | None = None) -> None:
        self.config = config or PolicyConfig()
        self.version = hashlib.sha256(self.config.model_dump_json().encode()).hexdigest()[:16]
        self._rulings: dict[Hashable, Ruling] = {}  # by all that they depend on: most calls are like an earlier one
        self.heeds_requests = "requested" in (self.config.others, *(rules.others for rules in self.config.callers.values()))

    def is_read_only(self, name: str, tool: mcp_types.Tool, *, changed: bool = False) -> bool:
        """By the owner's word in `writes` and `read_only`, else by the server's: what it calls destructive is not read-only,
        whatever else it says, and a definition that `changed` since the tool was first seen is not believed."""
        if _matches(name, self.config.writes):
            return False
        return _matches(name, self.config.read_only) or (not changed and _says_read_only(tool))

    def is_trusted(self, name: str) -> bool:
        """Whether what the tool `name` returns counts as trusted text."""
        return _matches(name, self.config.trusted)

    def is_egress(self, name: str, tool: mcp_types.Tool, *, leaves: bool = False) -> bool:
        """Whether a call sends its arguments elsewhere: by the owner's word, the server's, or because it names a place on the
        web."""
        hints = tool.annotations
        return leaves or _matches(name, self.config.egress) or (hints is not None and hints.open_world_hint is True)

    def quota(self, caller: Caller) -> Quota:
        """How many calls this caller may make: the least of what names it."""
        rules = [rules for _, rules in self._of(caller)]
        minute = [each.calls_per_minute for each in rules if each.calls_per_minute is not None]
        day = [each.calls_per_day for each in rules if each.calls_per_day is not None]
        return Quota(min(minute, default=None), min(day, default=None))

    def ruling(
        self, name: str, tool: mcp_types.Tool, caller: Caller = ANYBODY, circumstances: Circumstances = NOTHING_SPECIAL
    ) -> Ruling:
        """What becomes of a call of `tool`, by its gateway name: the word of the first rule that has one."""
        key = (name, _hints(tool), caller.name, caller.client, caller.careful, circumstances)
        if key not in self._rulings:
            if len(self._rulings) >= _MAX_RULINGS:
                self._rulings.clear()
            ruling = self.explained(name, tool, caller, circumstances)[-1].ruling
            assert ruling is not None
            self._rulings[key] = ruling
        return self._rulings[key]

    def explained(
        self, name: str, tool: mcp_types.Tool, caller: Caller = ANYBODY, circumstances: Circumstances = NOTHING_SPECIAL
    ) -> list[Rule]:
        """The rules in the order in which they are applied, up to the one that decides."""
        applied: list[Rule] = []
        for rule in self._rules(name, tool, caller, circumstances):
            applied.append(rule)
            if rule.ruling is not None:
                break
        if rule.ruling is not None and rule.ruling.verdict is Verdict.ALLOW and name in caller.careful:
            asks = Ruling(Verdict.ASK, "the request wants a person asked")
            applied.append(Rule("does the request want a person asked?", asks))
        return applied

    def ruling_of_read(self, *names: str, caller: Caller = ANYBODY) -> Ruling:
        """What becomes of reading a resource or rendering a prompt, which changes nothing: any of its names may be listed."""
        for verdict in (Verdict.DENY, Verdict.ASK):
            for where, patterns in self._lists(verdict.value, caller):
                if any(_matches(name, patterns) for name in names):
                    return Ruling(verdict, f"{where} names it")
        return Ruling(Verdict.ALLOW, "it is read-only")

    # -- the rules, the first that has a word decides

    def _rules(self, name: str, tool: mcp_types.Tool, caller: Caller, now: Circumstances) -> Iterator[Rule]:
        for verdict in (Verdict.DENY, Verdict.ASK):
            for where, patterns in self._lists(verdict.value, caller):
                yield Rule(f"does {where} name it?", _named(name, patterns, Ruling(verdict, f"{where} names it")))
        read_only = self.is_read_only(name, tool, changed=now.changed or now.shadows is not None)
        allowing = next((where for where, patterns in self._lists("allow", caller) if _matches(name, patterns)), None)
        others = self._others(caller)
        if self.config.provenance and (read_only or allowing is not None or others in ("allow", "requested")):
            yield self._of_copied(name, tool, read_only, now)
        yield Rule("is it read-only?", Ruling(Verdict.ALLOW, "it is read-only") if read_only else None)
        if allowing is None:
            yield self._of_changed(name, tool, others, now)
        if (allowing is not None or others in ("allow", "requested")) and self.config.ask_after_read:
            reason = "it is not read-only, and this caller has read untrusted text"
            asks = Ruling(Verdict.ASK, reason, may_remember=True, exact=True) if now.read_untrusted else None
            yield Rule("has this caller read untrusted text?", asks)
        if allowing is not None:
            yield Rule("does a list allow it?", Ruling(Verdict.ALLOW, f"{allowing} names it"))
        if others == "requested":
            yield self._of_requested(now)
        verdict = Verdict.ASK if others == "requested" else Verdict(others)
        yield Rule("what becomes of others?", Ruling(verdict, "it is not read-only", may_remember=True))

    def _of_copied(self, name: str, tool: mcp_types.Tool, read_only: bool, now: Circumstances) -> Rule:
        ruling = None
        if now.copied and not (read_only and not self.is_egress(name, tool, leaves=now.leaves)):
            what = "it sends its arguments elsewhere" if read_only else "it is not read-only"
            reason = f"{what}, and {'; '.join(now.copied)}, which is not trusted"
            ruling = Ruling(Verdict.ASK, reason, may_remember=True, exact=True)
        return Rule("is an argument of a write, or of what leaves this machine, copied from an untrusted result?", ruling)

    def _of_requested(self, now: Circumstances) -> Rule:
        ruling = None
        if now.requested and not (now.changed or now.shadows):
            ruling = Ruling(Verdict.ALLOW, "the person's own words ask for it, with all of its arguments")
        return Rule("do the person's own words ask for it, with all of its arguments?", ruling)

    def _of_changed(self, name: str, tool: mcp_types.Tool, others: str, now: Circumstances) -> Rule:
        ruling = None
        if (now.changed or now.shadows) and _says_read_only(tool) and not _matches(name, self.config.writes):
            why = "has changed its definition since it was first seen" if now.changed else f"speaks in it of {now.shadows}"
            reason = f"its server calls it read-only, and {why}"
            ruling = Ruling(Verdict.DENY if others == "deny" else Verdict.ASK, reason)
        return Rule("has its definition changed since it was first seen, or does it speak of another server's tool?", ruling)

    def _of(self, caller: Caller) -> list[tuple[str, CallerRules]]:
        """The further rules for this caller, by the pattern that names it."""
        found = []
        for pattern, rules in self.config.callers.items():
            name = f"{_CLIENT}{caller.client}" if pattern.startswith(_CLIENT) else caller.name
            if fnmatchcase(name, pattern):
                found.append((pattern, rules))
        return found

    def _lists(self, verdict: str, caller: Caller) -> Iterator[tuple[str, Sequence[str]]]:
        """The lists of one verdict that count for this caller, and their names."""
        yield f"policy.{verdict}", getattr(self.config, verdict)
        for pattern, rules in self._of(caller):
            yield f"policy.callers.{pattern}.{verdict}", getattr(rules, verdict)

    def _others(self, caller: Caller) -> str:
        """What becomes of others: what names the caller goes before what holds for all, the most careful of several first."""
        given = [rules.others for _, rules in self._of(caller) if rules.others is not None]
        by_client = [rules.others for pattern, rules in self._of(caller) if pattern.startswith(_CLIENT) and rules.others]
        own = [each for each in given if each not in by_client]
        base = [min(own, key=_CAREFUL.index)] if own else [self.config.others]
        return min([*base, *by_client], key=_CAREFUL.index)


def _named(name: str, patterns: Iterable[str], ruling: Ruling) -> Ruling | None:
    return ruling if _matches(name, patterns) else None


def _hints(tool: mcp_types.Tool) -> tuple[bool | None, ...]:
    """What the rules see of a tool beside its name."""
    hints = tool.annotations
    return () if hints is None else (hints.read_only_hint, hints.destructive_hint, hints.open_world_hint)


def _says_read_only(tool: mcp_types.Tool) -> bool:
    hints = tool.annotations
    return hints is not None and bool(hints.read_only_hint) and not hints.destructive_hint


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
