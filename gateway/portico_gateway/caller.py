"""Who calls a tool, and how that side can be asked something while the call runs.

One shape for an MCP host of either era, the terminal and the gateway's own model: consent, and what servers ask of a user, a
model or a file system, all go through it. It knows neither how anybody is asked nor what is done with the answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

import mcp_types

LOCAL = "local"  # whoever sits at this machine, and everybody where there are no keys
ConsentChannel = Literal["elicitation", "http", "terminal"]  # how a person is asked


class ConsentRequest(Protocol):
    """The call that a person is asked about."""

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """What its arguments must be, where that is known: then they may be edited."""

    @property
    def marks(self) -> Sequence[str]:
        """What is known of where its arguments come from, in words."""

    @property
    def problem(self) -> str:
        """Why the arguments that the person gave instead could not be taken; empty the first time."""

    @property
    def may_remember(self) -> bool:
        """May the answer count for later calls?"""

    @property
    def tool(self) -> str: ...
    @property
    def arguments(self) -> Mapping[str, Any]: ...
    @property
    def reason(self) -> str:
        """Why the call needs consent."""


TellHost: TypeAlias = Callable[[mcp_types.LoggingMessageNotification | mcp_types.ElicitCompleteNotification], Awaitable[None]]


class AskHost(Protocol):
    """Asks the host. `key` is what the server calls its question, where it gave a name. Raises MCPError where the host answers
    with an error."""

    async def __call__(self, request: mcp_types.InputRequest, key: str = "") -> mcp_types.InputResponse: ...


@dataclass(frozen=True, slots=True)
class Remember:
    """For how long an answer is to count, and for which later calls of the tool: of exactly these arguments, or of any."""

    seconds: float
    arguments: Literal["exact", "any"] = "exact"


@dataclass(frozen=True, slots=True)
class ConsentAnswer:
    """What a person said of a call: whether it may run, with which arguments instead of its own, and for how long that
    counts."""

    approve: bool
    arguments: Mapping[str, Any] | None = None
    remember: Remember | None = None


AskConsent: TypeAlias = Callable[[ConsentRequest], Awaitable[bool | ConsentAnswer]]

# The caller of the running task's operation: what an upstream of 2026-07-28 asks comes back within that task.
current_caller: ContextVar[Caller | None] = ContextVar("current_caller", default=None)


@dataclass(frozen=True, slots=True)
class Caller:
    """`name`: the key's or "local"; `client`: what the host calls itself. `consent` asks a person for one exact call."""

    name: str = LOCAL
    client: str = ""
    conversation: str = ""  # of its host: where a server asks, it asks one conversation
    capabilities: mcp_types.ClientCapabilities = field(default_factory=mcp_types.ClientCapabilities)
    ask: AskHost | None = None
    consent: AskConsent | None = None
    tell: TellHost | None = None  # takes a server's notification that belongs to the call
    log_level: mcp_types.LoggingLevel | None = None  # from which on the host wants that; None: as the server sees fit
    channel: ConsentChannel = "elicitation"  # how `consent` asks
    careful: frozenset[str] = frozenset()  # tools that it wants a person asked about, whatever the policy lets it
    question: str = ""  # what is asked that the call is for, where it is known; it need not be a person who asks
    said: str = ""  # what the person wrote, where that is known: what stands in it is theirs, wherever else it stands


def principal(scope: Mapping[str, Any] | None) -> str:
    """The name of who sent an HTTP request, by its ASGI scope: the key's, or the token's client and subject; else LOCAL."""
    user = scope.get("user") if scope is not None else None
    if user is None:
        return LOCAL
    from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
    from mcp.server.auth.provider import principal_components

    if not isinstance(user, AuthenticatedUser):
        return LOCAL
    client, _, subject = principal_components(user.access_token)
    return f"{client}/{subject}" if subject else client


def salt_of(name: str) -> bytes:
    """What keeps one caller's text in the model's memory from telling another anything; none where there are no keys."""
    return b"" if name == LOCAL else name.encode("utf-8", "surrogatepass")


def supports_elicitation(capabilities: mcp_types.ClientCapabilities, mode: str) -> bool:
    """Whether a host with these can show a "form" or open a "url". Those that declare neither mode mean forms."""
    can = capabilities.elicitation
    if can is None:
        return False
    return can.url is not None if mode == "url" else can.form is not None or can.url is None


class on_behalf_of:
    """What upstreams ask within the block is for `caller`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def __enter__(self) -> None:
        self._token = current_caller.set(self._caller)

    def __exit__(self, *_: object) -> None:
        current_caller.reset(self._token)
