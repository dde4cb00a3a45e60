"""Requests to a server that wants OAuth: they carry its token, and a refusal has the SDK's flow run.

It owns when the flow runs. The SDK holds a lock over a whole request, answers included, so that one slow call would stop all
others of its server: here a request that has a valid token goes by itself, and only a refusal goes through the flow.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx2
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider, OAuthFlowError
from mcp.client.auth.utils import extract_field_from_www_auth
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata
from pydantic import AnyUrl

from portico_gateway.config.server_spec import OAuthClient
from portico_gateway.upstreams.oauth.token_store import TokenStore, token_file

CLIENT_NAME = "Portico"
MAX_BODY = 1 << 20  # bytes of an answer that belongs to the flow
Show = Callable[[str], Awaitable[None]]
Receive = Callable[[], Awaitable[AuthorizationCodeResult]]


def redirect_uri(client: OAuthClient) -> str:
    """Where a browser comes back to after a log-in."""
    return f"http://127.0.0.1:{client.redirect_port}/callback"


def token_store(url: str, client: OAuthClient) -> TokenStore:
    """What is kept of the server at this URL."""
    registered = None
    if client.client_id:
        method = "client_secret_basic" if client.client_secret else "none"
        registered = OAuthClientInformationFull(
            client_id=client.client_id,
            client_secret=client.client_secret or None,
            redirect_uris=[AnyUrl(redirect_uri(client))],
            token_endpoint_auth_method=method,
        )
    return TokenStore(token_file(url), registered=registered)


class Authorization(OAuthClientProvider):
    """The SDK's flow for one server, over what is kept of it. Without `show` and `receive` nobody can log in: where that is
    needed, the flow ends with OAuthFlowError."""

    def __init__(self, url: str, client: OAuthClient, *, show: Show | None = None, receive: Receive | None = None) -> None:
        self.store = token_store(url, client)
        about = OAuthClientMetadata(client_name=CLIENT_NAME, redirect_uris=[AnyUrl(redirect_uri(client))])
        super().__init__(url, about, self.store, show, receive, client_metadata_url=client.client_metadata_url or None)

    async def load(self) -> None:
        """Take what is kept now: another process may have renewed it."""
        await self._initialize()

    async def _initialize(self) -> None:
        await super()._initialize()
        about = self.context
        about.token_expiry_time = self.store.expires()
        if about.oauth_metadata is None:  # without it the SDK would renew tokens at the MCP server's own address
            about.oauth_metadata, about.protected_resource_metadata = self.store.metadata()

    def keep_metadata(self) -> None:
        """For whoever renews the tokens later."""
        self.store.set_metadata(self.context.oauth_metadata, self.context.protected_resource_metadata)

    @property
    def is_loaded(self) -> bool:
        return self._initialized

    def token(self) -> str | None:
        """The access token, where it is still good."""
        tokens = self.context.current_tokens
        return tokens.access_token if tokens is not None and self.context.is_token_valid() else None


class AuthorizedTransport(httpx2.AsyncBaseTransport):
    """Wraps a transport to one server. Raises OAuthFlowError where a person would have to log in."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, authorization: Authorization) -> None:
        self._inner = inner
        self._authorization = authorization

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if not self._authorization.is_loaded:
            await self._authorization.load()
        sent = self._authorization.token()
        if sent is not None:
            response = await self._send(request, sent)
            if not _is_refusal(response):
                return response
            await response.aclose()
            await self._authorization.load()
            other = self._authorization.token()
            if other not in (None, sent):
                response = await self._send(request, str(other))
                if not _is_refusal(response):
                    return response
                await response.aclose()
        return await self._through_flow(request)

    async def _send(self, request: httpx2.Request, token: str) -> httpx2.Response:
        request.headers["Authorization"] = f"Bearer {token}"
        return await self._inner.handle_async_request(request)

    async def _through_flow(self, request: httpx2.Request) -> httpx2.Response:
        """The last answer to the request itself."""
        flow, asked = self._authorization.async_auth_flow(request), False
        try:
            outgoing = await anext(flow)
            while True:
                response = await self._inner.handle_async_request(outgoing)
                response.request = outgoing
                if outgoing is not request:
                    response, asked = await _whole(response), True
                try:
                    outgoing = await flow.asend(response)
                except StopAsyncIteration:
                    break
                await response.aclose()
        finally:
            await flow.aclose()
        if asked:
            self._authorization.keep_metadata()
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


def _is_refusal(response: httpx2.Response) -> bool:
    """Of the token: none is good for this, or one with more rights is needed (RFC 6750, section 3.1)."""
    if response.status_code == 403:
        return extract_field_from_www_auth(response, "error") == "insufficient_scope"
    return response.status_code == 401


async def _whole(response: httpx2.Response) -> httpx2.Response:
    """An answer of the flow's, which is small. Raises OAuthFlowError for another."""
    body = b""
    try:
        stream = response.stream
        assert isinstance(stream, httpx2.AsyncByteStream)
        async for chunk in _chunks(stream):
            body += chunk
            if len(body) > MAX_BODY:
                raise OAuthFlowError(f"{response.request.url.host} answers with more than {MAX_BODY >> 20} MiB")
    finally:
        await response.aclose()
    return httpx2.Response(
        response.status_code, headers=response.headers, stream=httpx2.ByteStream(body), request=response.request
    )


async def _chunks(stream: httpx2.AsyncByteStream) -> AsyncIterator[bytes]:
    async for chunk in stream:
        yield chunk
