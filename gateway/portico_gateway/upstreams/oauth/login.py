"""A person's log-in at a server: a page in the browser, and the redirect that brings its answer back to this machine.

It owns the listener on loopback (RFC 8252, section 7.3). What is asked of the authorization server is the SDK's.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client.auth import AuthorizationCodeResult, OAuthFlowError
from mcp_types.version import LATEST_HANDSHAKE_VERSION

from portico_gateway.config.server_spec import OAuthClient, UpstreamSpec
from portico_gateway.errors import GatewayError
from portico_gateway.upstreams.oauth.authorization import Authorization, AuthorizedTransport

WAIT_SECONDS = 300.0  # for the person
_SECONDS = 30.0  # for each request
_MAX_LINE = 16 << 10
_PAGE = "Portico has what it needs. This page can be closed."


async def log_in(spec: UpstreamSpec, show: Callable[[str], Awaitable[None]]) -> bool:
    """Have a person log in at the server; `show` brings them to the page. False where the server asks for no log-in.

    Raises GatewayError where that fails, in words for the person.
    """
    assert spec.oauth is not None
    asked = False

    async def shown(page: str) -> None:
        nonlocal asked
        asked = True
        await show(page)

    start = {"protocolVersion": LATEST_HANDSHAKE_VERSION, "capabilities": {}, "clientInfo": {"name": "portico", "version": "1"}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": start})
    headers = {**spec.headers, "Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    try:
        async with _listening(spec.oauth) as receive:
            authorization = Authorization(spec.url, spec.oauth, show=shown, receive=receive)
            transport = AuthorizedTransport(httpx2.AsyncHTTPTransport(), authorization)
            async with (
                httpx2.AsyncClient(transport=transport, timeout=_SECONDS) as client,
                client.stream("POST", spec.url, content=body, headers=headers) as answer,
            ):
                status = answer.status_code
    except TimeoutError:
        raise GatewayError(f"nobody has logged in within {WAIT_SECONDS:g} s") from None
    except (OAuthFlowError, httpx2.HTTPError, OSError) as error:
        raise GatewayError(f"{spec.name}: the log-in failed: {error or type(error).__name__}") from error
    if status >= 400:
        raise GatewayError(
            f"{spec.name} answers with HTTP {status} {'after the log-in' if asked else 'and asks for no log-in'}"
        )
    return asked


@asynccontextmanager
async def _listening(client: OAuthClient) -> AsyncIterator[Callable[[], Awaitable[AuthorizationCodeResult]]]:
    """What waits for the browser to come back. Raises OSError where the port is taken."""
    found: asyncio.Future[AuthorizationCodeResult] = asyncio.get_running_loop().create_future()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = (await asyncio.wait_for(reader.readline(), _SECONDS)).decode("latin-1")
            page = urlsplit(line.split(" ")[1]) if line.startswith("GET ") else None
            if page is None or page.path != "/callback":
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            given = {name: values[0] for name, values in parse_qs(page.query).items()}
            if not found.done():
                if "code" in given:
                    code = AuthorizationCodeResult(code=given["code"], state=given.get("state"), iss=given.get("iss"))
                    found.set_result(code)
                else:
                    found.set_exception(OAuthFlowError(given.get("error_description") or given.get("error") or "no code came"))
            said = _PAGE.encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(said)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + said)
            await writer.drain()
        except (ValueError, IndexError, ConnectionError, TimeoutError):
            pass  # whatever that was, it was no browser
        finally:
            writer.close()

    async def receive() -> AuthorizationCodeResult:
        return await asyncio.wait_for(found, WAIT_SECONDS)

    server = await asyncio.start_server(answer, "127.0.0.1", client.redirect_port, limit=_MAX_LINE)
    async with server:
        yield receive
