"""A panic of native code is no Exception, and passed all that answers in an API's shape: here it becomes one."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from portico_servers.common.panics import is_order


class PanicMiddleware:
    """The innermost: what is outside of it counts, logs and answers as for any other error."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises RuntimeError in a panic's place."""
        try:
            await self.app(scope, receive, send)
        except Exception:
            raise
        except BaseException as error:
            if is_order(error):
                raise
            raise RuntimeError(f"{type(error).__name__}: {error}") from error
