"""Parses bodies in a child process: `json` and pydantic hold the interpreter's lock, so that no thread of this one would help.

It owns one child: started at the first body that is worth it, started anew where it ended or took too long, ended with the
application. Its bodies are parsed one after the other.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import struct
import sys
from contextlib import suppress
from typing import Any

from pydantic import BaseModel

from portico_gateway.http.bodies.parse import Body, Refusal, parse_body
from portico_gateway.http.errors import ApiError

log = logging.getLogger(__name__)

HEADER = struct.Struct("!I")  # the length of the message behind it, in bytes
HERE_BYTES = 256 << 10  # a body up to this size is parsed on the event loop: it takes a few milliseconds
HERE_VALUES = 5_000  # ... if it has no more values than this
SECONDS = 20.0  # for one body, the start of the child included; within the bounds of `measure.py` it takes one at most
_MODULE = "portico_gateway.http.bodies.child"


class BodyWorker:
    """`parse` gives what the schema makes of a body; `aclose` ends the child."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def parse(self, schema: type[Body], body: bytes, values: int) -> Body:
        """A body of so many `values`, as its schema's object. Raises ApiError."""
        if len(body) <= HERE_BYTES and values <= HERE_VALUES:
            found = parse_body(schema, body)
        else:
            async with self._turn:
                found = await self._ask(schema, body)
        if isinstance(found, Refusal):
            raise found.error()
        return found

    async def aclose(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _ask(self, schema: type[Body], body: bytes) -> Body | Refusal:
        try:
            async with asyncio.timeout(SECONDS):
                return await self._exchange(schema, body)
        except (TimeoutError, OSError, EOFError) as error:
            log.warning("the process that parses bodies failed (%s: %s)", type(error).__name__, error)
            busy = "the body could not be parsed in time; try again soon"
            raise ApiError(503, busy, kind="server_error", code="body_not_parsed", headers={"Retry-After": "5"}) from error
        finally:
            if sys.exception() is not None:  # an answer that nobody reads would be taken for the next one's
                await asyncio.shield(self.aclose())

    async def _exchange(self, schema: type[Body], body: bytes) -> Body | Refusal:
        if self._process is None or self._process.returncode is not None:
            self._process = await _spawn()
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.writelines([message(schema), HEADER.pack(len(body)), body])
        await process.stdin.drain()
        (size,) = HEADER.unpack(await process.stdout.readexactly(HEADER.size))
        answer = await process.stdout.readexactly(size)
        found: Any = await asyncio.to_thread(pickle.loads, answer)  # the lock goes round while it makes the objects
        return found  # type: ignore[no-any-return]


def message(value: type[BaseModel] | BaseModel | Refusal) -> bytes:
    """As it goes through the pipe."""
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return HEADER.pack(len(data)) + data


def _module_path() -> str:
    """Where this process finds its modules, but for the working directory, which is a user's data."""
    here = os.getcwd()
    return os.pathsep.join(folder for folder in sys.path if os.path.isabs(folder) and folder != here)


async def _spawn() -> asyncio.subprocess.Process:
    """Isolated: neither its working directory nor a user's site is where it finds its modules."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", _MODULE),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=os.sep,
        env={**os.environ, "PYTHONPATH": _module_path()},
        process_group=0,  # Ctrl-C is for the parent
    )
