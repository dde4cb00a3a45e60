"""What goes wrong with a model server. Each names the server, and what would help.

ModelServerFault      it answered with something that is no answer (502)
├── ServerUnreachable it is down, refuses connections, or ended in the middle (503)
├── ServerBusy        it takes no more requests now (503)
├── ServerTimeout     it said nothing for too long (504)
└── ModelChanged      it has another model than when it was first asked (503)
"""

from __future__ import annotations

from typing import ClassVar

from portico_engine.errors import EngineError


class ModelServerFault(EngineError):
    """`status` and `code` are how HTTP says it."""

    status: ClassVar[int] = 502
    code: ClassVar[str] = "model_server_fault"
    again: ClassVar[int | None] = None  # seconds after which it may be worth asking again

    def __init__(self, url: str, message: str) -> None:
        super().__init__(f"the model server at {url} {message}")
        self.url = url


class ServerUnreachable(ModelServerFault):
    status, code, again = 503, "model_server_down", 5


class ServerBusy(ModelServerFault):
    status, code, again = 503, "model_server_busy", 5


class ServerTimeout(ModelServerFault):
    status, code = 504, "model_server_timeout"


class ModelChanged(ModelServerFault):
    status, code = 503, "model_changed"
