"""Errors that the gateway raises. Every message is fit for a user: what is wrong, and what would be right.

    GatewayError
    ├── ConfigError             portico.toml, an mcpServers JSON or a PORTICO_* variable; names file, line and key
    ├── UnknownName             a tool, prompt, resource or approval that isn't there
    ├── PolicyError             a call that was not made, because of the policy
    │   ├── ToolDenied          the policy forbids it
    │   ├── ConsentRequired     a person has to approve it first; carries the approval's id where one can be given later
    │   ├── ConsentRefused      a person was asked and did not approve it
    │   └── QuotaExceeded       the caller has made as many calls as it may for now
    ├── InvalidEdit             arguments that a person gave instead of a call's own, and that its tool can't take
    ├── HubError                a model that can't be fetched: no network, no such one, no room, or not what it should be
    ├── ModelServerError        the model server of [engine] can't be reached, or answers with something else
    └── UpstreamError           an MCP server behind the gateway; names the server
        ├── UpstreamUnavailable it isn't up: still starting, failed to start, or its circuit is open
        ├── UpstreamDied        its process or connection ended, at start or in the middle of a call
        ├── UpstreamTimeout     it did not answer within the call's deadline
        └── UpstreamFault       it answered with something that is no valid MCP

How they leave the process is decided in one place a protocol: `mcp/server.py` for MCP, `http/errors.py` for HTTP, `cli/main.py`
for the terminal.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from pathlib import Path

from portico_gateway.safe_output.redaction import redacted, redacted_args

_MOST_TOLD = 30  # names in one message


class GatewayError(Exception):
    """Base of everything that the gateway raises for bad input or a bad neighbour. No secret is in its message."""

    def __init__(self, *args: object) -> None:
        super().__init__(*redacted_args(args))


class ConfigError(GatewayError):
    """A configuration that can't be used."""

    def __init__(self, message: str, *, path: Path | None = None, line: int | None = None, key: str | None = None) -> None:
        where = "" if path is None else f"{path}:{line}: " if line is not None else f"{path}: "
        super().__init__(where + message)
        self.path = path
        self.line = line
        self.key = key


class UnknownName(GatewayError):
    """Nothing here has the name that was asked for. `there`: the names that are, in the order in which they are told."""

    def __init__(self, kind: str, name: str, there: Collection[str] | None = None) -> None:
        shown = [*islice(there or (), _MOST_TOLD)]
        more = f" and {len(there) - len(shown)} more" if there is not None and len(there) > len(shown) else ""
        beside = "" if there is None else "; there are none" if not there else f"; there are: {', '.join(shown)}{more}"
        super().__init__(f"no {kind} is named {name!r}{beside}")
        self.kind = kind
        self.name = name


class PolicyError(GatewayError):
    """The call was not made: the policy or a person said no, or nobody could be asked."""


class ToolDenied(PolicyError):
    """The policy forbids the tool."""

    def __init__(self, tool: str, reason: str) -> None:
        super().__init__(f"{tool} is not allowed here: {reason}")


class ConsentRequired(PolicyError):
    """A person has to approve the call first. `approval` is the id to approve; None where this process takes no approvals."""

    def __init__(self, tool: str, reason: str, how: str, approval: str | None = None) -> None:
        super().__init__(f"{tool} needs a person's consent ({reason}); {how}")
        self.approval = approval


class ConsentRefused(PolicyError):
    """A person was asked and did not approve the call."""

    def __init__(self, tool: str) -> None:
        super().__init__(f"the user did not allow this call of {tool}")


class HubError(GatewayError):
    """A model can't be fetched from the hub."""


class QuotaExceeded(PolicyError):
    """The caller has made as many calls as it may for now. `retry_after`: seconds until it may again, None where never."""

    def __init__(self, caller: str, limit: int, span: str, retry_after: float | None) -> None:
        again = "" if retry_after is None else f"; the next in {retry_after:.0f} s"
        super().__init__(f"{caller!r} may make {limit} calls a {span}, and has{again}")
        self.retry_after = retry_after


class InvalidEdit(GatewayError):
    """Arguments that a person gave instead of a call's own, and that its tool can't take."""


class ModelServerError(GatewayError):
    """The server whose model answers can't be reached, or answered with something that is no answer."""


class UpstreamError(GatewayError):
    """An MCP server behind the gateway failed. The other servers go on."""

    def __init__(self, server: str, message: str) -> None:
        super().__init__(f"server {server!r} {message}")
        self.server = server


class UpstreamUnavailable(UpstreamError):
    """The server isn't up, so the call was not sent."""


class UpstreamDied(UpstreamError):
    """The server's process or connection ended."""


class UpstreamTimeout(UpstreamError):
    """The server did not answer in time; the call was cancelled."""


class UpstreamFault(UpstreamError):
    """The server's answer breaks the protocol or its own output schema."""


def first_line(error: BaseException) -> str:
    """What an error says, without secrets, for a message that quotes it; its type's name where it says nothing."""
    text = redacted(str(error)).strip()
    return text.splitlines()[0] if text else type(error).__name__
