"""Patterns of `[policy]` that can name nothing of any server: what a server's other name, or a slip, leaves of a rule.

It knows names alone. A server that has not started may have any tool, so that a pattern counts wherever it may name some tool
or resource of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import get_args

from portico_gateway.config.portico_config import PorticoConfig
from portico_gateway.config.sections import CallerRules, OwnServer, PolicyConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.upstreams.names import SEPARATOR, namespaced, outward_uri

_GATEWAYS_OWN = ("ask", "find_tools", "call_tool")
_FOR_ALL = ("allow", "ask", "deny", "read_only", "writes", "trusted", "egress")
_FOR_CALLERS = ("allow", "ask", "deny")


def idle_patterns(config: PorticoConfig, specs: Iterable[UpstreamSpec]) -> list[str]:
    """What is said of each such pattern. Servers are those of `specs`, all of the configuration, and ours, which a folder's
    options switch on. Nothing is said where requests over HTTP may bring servers along, which have any names."""
    if config.policy.request_servers:
        return []
    servers = list(dict.fromkeys([*(spec.name for spec in specs), *config.servers, *get_args(OwnServer)]))
    return [
        f'{where} has "{pattern}", which names no server; there are: {", ".join(servers)}'
        for where, pattern in _patterns(config.policy)
        if not any(fnmatchcase(own, pattern) for own in _GATEWAYS_OWN)
        and not any(_may_name(pattern, server) for server in servers)
    ]


def _patterns(policy: PolicyConfig) -> Iterator[tuple[str, str]]:
    """The key of each list, and each of its patterns."""
    sections: list[tuple[str, PolicyConfig | CallerRules, tuple[str, ...]]] = [("policy", policy, _FOR_ALL)]
    sections += [(f"policy.callers.{name}", rules, _FOR_CALLERS) for name, rules in policy.callers.items()]
    for where, section, keys in sections:
        for key in keys:
            yield from ((f"{where}.{key}", pattern) for pattern in getattr(section, key))


def _may_name(pattern: str, server: str) -> bool:
    """Does some name that begins as the server's do match? Then a beginning of the pattern matches all of that."""
    hashed = namespaced(server, "x.").partition(SEPARATOR)[0]
    starts = (f"{server}{SEPARATOR}", f"{hashed}{SEPARATOR}", outward_uri(server, ""))
    return any(fnmatchcase(start, pattern[:end]) for start in starts for end in range(1, len(pattern) + 1))
