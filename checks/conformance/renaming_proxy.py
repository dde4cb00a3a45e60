"""Between the suite and the gateway: the suite's fixed names stand for the gateway's, in both directions.

The suite calls `test_simple_text` and reads `test://static-text`; the gateway offers both of its server `f` as
`f__test_simple_text` and `portico://f/test://static-text`. Nothing else of a request or an answer is touched: names
are replaced as the bytes that they are, in bodies and in the headers that repeat them.
"""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from threading import Thread
from time import monotonic, sleep

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

SERVER = "f"  # short: with it the longest of the suite's names is still one that the gateway needs not cut
_TOOL, _RESOURCE = f"{SERVER}__".encode(), f"portico://{SERVER}/".encode()
_NAMES = re.compile(rb'("name"\s*:\s*")(test_|json_schema_)')
_NOT_PASSED = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding"}
_START_SECONDS = 10.0


def inward(body: bytes) -> bytes:
    """A request's body with the gateway's names."""
    body = _NAMES.sub(rb"\1" + _TOOL + rb"\2", body)
    return re.sub(rb'("uri"\s*:\s*")(test://)', rb"\1" + _RESOURCE + rb"\2", body)


def inward_header(value: str) -> str:
    """A header's value with the gateway's names."""
    if value.strip().startswith(("test_", "json_schema_")):
        return value.replace(value.strip(), _TOOL.decode() + value.strip())
    return value.replace("test://", f"{_RESOURCE.decode()}test://") if value.strip().startswith("test://") else value


def outward(line: bytes) -> bytes:
    """A line of an answer with the suite's names."""
    return line.replace(_TOOL, b"").replace(_RESOURCE, b"")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def renaming(gateway: str, port: int) -> Iterator[str]:
    """The URL of a proxy on `port` for the gateway at `gateway` (its /mcp)."""
    theirs, ours = httpx2.URL(gateway).netloc.decode(), f"127.0.0.1:{port}"

    def address(value: str) -> str:
        return value.replace(ours, theirs).replace(f"localhost:{port}", theirs)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with httpx2.AsyncClient(timeout=None, trust_env=False) as app.state.client:
            yield

    async def passed(request: Request) -> StreamingResponse:
        headers = [
            (name, address(value) if name == "origin" else inward_header(value) if name == "mcp-name" else value)
            for name, value in request.headers.items()
            if name not in _NOT_PASSED
        ]
        headers.append(("host", address(request.headers.get("host", ""))))
        content = inward(await request.body())
        built = request.app.state.client.build_request(request.method, gateway, headers=headers, content=content)
        answer = await request.app.state.client.send(built, stream=True)

        async def lines() -> AsyncIterator[bytes]:
            kept = b""
            try:
                async for part in answer.aiter_raw():
                    *whole, kept = (kept + part).split(b"\n")
                    for line in whole:
                        yield outward(line) + b"\n"
                yield outward(kept)
            finally:
                await answer.aclose()

        shown = {name: value for name, value in answer.headers.items() if name.lower() not in _NOT_PASSED}
        return StreamingResponse(lines(), status_code=answer.status_code, headers=shown)

    app = Starlette(routes=[Route("/mcp", passed, methods=["GET", "POST", "DELETE"])], lifespan=lifespan)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", ws="none"))
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    until = monotonic() + _START_SECONDS
    while not server.started:
        if monotonic() > until:
            raise RuntimeError("the renaming proxy did not start")
        sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        server.should_exit = True
        thread.join(10)
