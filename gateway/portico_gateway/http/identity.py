"""Who asks: the name that limits, stored responses and the engine know a request's maker by."""

from __future__ import annotations

from portico_gateway.caller import LOCAL
from portico_gateway.caller import principal as caller_name

__all__ = ["LOCAL", "caller_name"]
