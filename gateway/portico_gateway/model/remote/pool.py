"""Which of several model servers gets a request, and which one next where that fails.

Prompts that begin alike go to one server, where their beginning is cached: rendezvous hashing (Thaler and Ravishankar 1998), so
that a server that comes or goes moves only its own share. One that has much more to do than the others is passed over for the
moment (bounded loads: Mirrokni, Thorup and Zadimoghaddam 2018). Servers that fail are asked every few seconds how they are.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from math import ceil

from portico_gateway.model.remote.errors import ModelChanged, ModelServerFault, ServerTimeout, ServerUnreachable
from portico_gateway.model.remote.server import ModelServer

log = logging.getLogger(__name__)

_OF_THE_SERVER = (ServerUnreachable, ServerTimeout, ModelChanged)

LOAD = 1.25  # times the mean of what is under way, that a server may have before others go first
LOOK_SECONDS = 5.0  # between two looks at a server that failed
LOOKS_AT_WELL = 6  # of these looks one goes to the others too: has any got another model?


class ServerPool:
    """The servers in the order of the configuration."""

    def __init__(self, servers: Sequence[ModelServer]) -> None:
        self.servers = tuple(servers)

    def order(self, key: str) -> list[ModelServer]:
        """Those that may get a request whose prompt begins as `key` says, the best first."""
        well = [server for server in self.servers if server.problem is None]
        ranked = sorted(well, key=lambda server: rank(server.url, key), reverse=True)
        most = ceil(LOAD * (sum(server.in_flight for server in well) + 1) / len(well)) if well else 0
        return sorted(ranked, key=lambda server: server.in_flight >= most)  # stable: the rest keeps its order

    async def servers_for(self, key: str) -> list[ModelServer]:
        """As `order`; where none is well, they are looked at now. Raises the fault of the first where that does not help."""
        found = self.order(key)
        if not found:
            await self.connect()
            found = self.order(key)
        return found

    def failed(self, server: ModelServer, fault: ModelServerFault) -> None:
        """A fault that is the server's own, and not one request's, has it get no further ones until it is well again."""
        server.failures += 1
        if not isinstance(fault, _OF_THE_SERVER):
            return
        if server.problem is None:
            log.warning("%s; requests go elsewhere until it is well again", fault)
        server.problem = fault

    async def connect(self) -> None:
        """Ask every server what it has. Raises the first one's fault where none of them is well."""
        await asyncio.gather(*(self.look_at(server) for server in self.servers))
        if all(server.problem is not None for server in self.servers):
            problem = self.servers[0].problem
            assert problem is not None
            raise problem

    async def watch(self) -> None:
        """Look at the servers again and again, until cancelled. One that is well and answers something is left alone: that it
        answers says as much, and llama-cpp-python's server breaks an answer off for whatever else it is asked."""
        looks = 0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            looks += 1
            every = looks % LOOKS_AT_WELL == 0
            await asyncio.gather(*(self.look_at(server) for server in self.servers if _wants_look(server, every=every)))

    async def look_at(self, server: ModelServer) -> None:
        """Is it well, with the model that it had?"""
        try:
            await server.connect()
        except ModelServerFault as fault:
            self.failed(server, fault)
            server.problem = fault
        else:
            if server.problem is not None and server.model:
                log.warning("the model server at %s is well again", server.url)
            server.problem = None


def _wants_look(server: ModelServer, *, every: bool) -> bool:
    return server.problem is not None or (every and not server.in_flight)


def rank(url: str, key: str) -> int:
    """A server's weight for a key: the highest wins."""
    return int.from_bytes(hashlib.sha256(f"{url}\0{key}".encode()).digest()[:8])
