"""What is remembered of callers from one call to the next: what they read, what they and others consented to, how often they
called.

It owns how much of that is kept, and for whom: callers of one server's tools and of those that a request brought along are the
same ones. What follows from it is `tool_calls`' and the policy's.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from portico_gateway.policy.approvals import Approvals
from portico_gateway.policy.provenance import Provenance
from portico_gateway.policy.quotas import Quotas

_MAX_READERS = 10_000  # callers that are remembered for having read untrusted text
_MAX_CONSENTED = 10_000  # changed definitions that a person has consented to, of all callers


@dataclass(slots=True)
class CallMemory:
    """In this process, until it ends."""

    approvals: Approvals
    quotas: Quotas = field(default_factory=Quotas)
    provenance: Provenance = field(default_factory=Provenance)
    _readers: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _consented: OrderedDict[tuple[str, str, str], None] = field(default_factory=OrderedDict)

    def note_untrusted(self, caller: str) -> None:
        """The caller has read what may carry instructions."""
        _remember(self._readers, caller, _MAX_READERS)

    def has_read_untrusted(self, caller: str) -> bool:
        return caller in self._readers

    def note_consent(self, caller: str, tool: str, definition: str) -> None:
        """A person has allowed this caller a call of the tool, as this digest defines it."""
        _remember(self._consented, (caller, tool, definition), _MAX_CONSENTED)

    def has_consented(self, caller: str, tool: str, definition: str) -> bool:
        return (caller, tool, definition) in self._consented


def _remember(kept: OrderedDict[Any, None], item: Any, most: int) -> None:
    """The latest `most` items."""
    kept[item] = None
    kept.move_to_end(item)
    if len(kept) > most:
        kept.popitem(last=False)
