"""Fetching public documentation pages: only public addresses, only what robots.txt allows, only so much, only so long.

Every hop is checked before a connection is made: the name is resolved once, every address it has must be public, and the
connection goes to the address that was checked (so that a second resolution can't change it). Redirects are followed by
hand under the same rules. Proxies from the environment are not used: behind one the check would mean nothing.
Knows HTTP; nothing of documentation. Sources: RFC 9110 (conditional requests), RFC 9309 (robots.txt).
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Collection
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit
from urllib.robotparser import RobotFileParser

from portico_servers.docs.errors import FetchRefused, ReadError
from portico_servers.docs.ingest.public_addresses import Address, is_public

if TYPE_CHECKING:
    import httpx2

    from portico_servers.docs.ingest.timed_connections import Clock

USER_AGENT = "portico-docs"
MAX_BYTES = 16_000_000
MAX_SECONDS = 30.0
MAX_REDIRECTS = 5
MAX_DELAY = 5.0  # of robots.txt's Crawl-delay


@dataclass(frozen=True, slots=True)
class Fetched:
    """`body` is empty where `status` is 304: what the caller has is still right. `url` is where redirects ended."""

    url: str
    status: int
    content_type: str
    body: bytes
    etag: str
    modified: str


class Fetcher:
    """Use as a context manager. `trusted_for_tests` are "host:port" pairs that may be private: for tests with a loopback
    server, and for nothing else."""

    def __init__(
        self, *, trusted_for_tests: Collection[str] = (), max_bytes: int = MAX_BYTES, max_seconds: float = MAX_SECONDS
    ) -> None:
        self._trusted = frozenset(trusted_for_tests)
        self._max_bytes = max_bytes
        self._max_seconds = max_seconds
        # One client a host: connections are pooled by address, and two names at one address must not share a TLS session.
        self._clients: dict[str, tuple[httpx2.Client, Clock]] = {}
        self._robots: dict[str, RobotFileParser] = {}
        self._last: dict[str, float] = {}

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for client, _ in self._clients.values():
            client.close()

    def get(self, url: str, *, etag: str = "", modified: str = "") -> Fetched:
        """The page at `url`, or status 304 if it is still the one with `etag` or `modified`.

        Raises FetchRefused for what may not be fetched and ReadError for what can't be.
        """
        for _ in range(MAX_REDIRECTS + 1):
            parts = checked_url(url)
            self._obey_robots(parts, url)
            fetched = self._once(url, parts, etag, modified)
            if fetched.status not in (301, 302, 303, 307, 308):
                return fetched
            url = fetched.url
        raise ReadError(f"{url}: more than {MAX_REDIRECTS} redirects")

    def _once(self, url: str, parts: SplitResult, etag: str, modified: str) -> Fetched:
        """One request, no redirect followed: for one, `Fetched.url` is where it leads."""
        import httpx2

        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        address = self._resolve(host, port)
        client, clock = self._client(f"{parts.scheme}:{host}:{port}")
        shown = f"[{address}]" if address.version == 6 else str(address)
        pinned = urlunsplit((parts.scheme, f"{shown}:{port}", parts.path or "/", parts.query, ""))
        headers = {"Host": parts.netloc, "User-Agent": USER_AGENT, "Accept": "text/markdown, text/html, text/plain, */*;q=0.5"}
        if etag:
            headers["If-None-Match"] = etag
        if modified:
            headers["If-Modified-Since"] = modified
        clock.start(self._max_seconds)
        try:
            with client.stream("GET", pinned, headers=headers, extensions={"sni_hostname": host}) as response:
                target = response.headers.get("location", "")
                if response.status_code in (301, 302, 303, 307, 308) and target:
                    further = joined(url, target)
                    if further is None:
                        raise ReadError(f"{url}: it leads to something that is no address: {target[:200]!r}")
                    return Fetched(further, response.status_code, "", b"", "", "")
                body = self._body(url, response) if response.status_code == 200 else b""
                return Fetched(
                    url,
                    response.status_code,
                    response.headers.get("content-type", ""),
                    body,
                    response.headers.get("etag", ""),
                    response.headers.get("last-modified", ""),
                )
        except httpx2.TimeoutException:
            raise ReadError(f"{url}: not there after {self._max_seconds:g} seconds") from None
        except httpx2.HTTPError as error:
            raise ReadError(f"{url}: {type(error).__name__}: {error}") from None

    def _client(self, key: str) -> tuple[httpx2.Client, Clock]:
        import httpx2

        from portico_servers.docs.ingest.timed_connections import Clock, TimedTransport

        if key not in self._clients:
            clock = Clock()
            transport = TimedTransport(clock)
            self._clients[key] = httpx2.Client(trust_env=False, follow_redirects=False, transport=transport), clock
        return self._clients[key]

    def _body(self, url: str, response: httpx2.Response) -> bytes:
        chunks: list[bytes] = []
        size = 0
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > self._max_bytes:
                raise ReadError(f"{url}: more than {self._max_bytes:,} bytes")
            chunks.append(chunk)
        return b"".join(chunks)

    def _resolve(self, host: str, port: int) -> Address:
        """The address to connect to. Raises FetchRefused if any address of the name is not public."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise ReadError(f"{host}: {error}") from None
        addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
        if f"{host}:{port}" not in self._trusted:
            for address in addresses:
                if not is_public(address):
                    raise FetchRefused(f"{host} is at {address}, which is not a public address; only public pages are fetched")
        return addresses[0]

    def _obey_robots(self, parts: SplitResult, url: str) -> None:
        origin = f"{parts.scheme}://{parts.netloc}"
        rules = self._robots.get(origin)
        if rules is None:
            rules = self._robots[origin] = self._read_robots(origin)
        if not rules.can_fetch(USER_AGENT, url):
            raise FetchRefused(f"{url}: the site's robots.txt does not allow it")
        delay = min(float(rules.crawl_delay(USER_AGENT) or 0), MAX_DELAY)
        rest = self._last.get(origin, 0.0) + delay - time.monotonic()
        if rest > 0:
            time.sleep(rest)
        self._last[origin] = time.monotonic()

    def _read_robots(self, origin: str) -> RobotFileParser:
        rules = RobotFileParser()
        url = f"{origin}/robots.txt"
        for _ in range(MAX_REDIRECTS + 1):
            fetched = self._once(url, checked_url(url), "", "")
            if fetched.status not in (301, 302, 303, 307, 308):
                break
            url = fetched.url
        if fetched.status == 200:
            rules.parse(fetched.body[:500_000].decode("utf-8", errors="replace").splitlines())
        elif fetched.status >= 500:
            rules.parse(["User-agent: *", "Disallow: /"])  # RFC 9309: unreachable means no
        else:
            rules.parse([])
        return rules


def joined(base: str, link: str) -> str | None:
    """Where a link on the page `base` leads; None where it is no address (`http://[x`)."""
    try:
        return urljoin(base, link)
    except ValueError:
        return None


def checked_url(url: str) -> SplitResult:
    """The parts of an http(s) URL without credentials. Raises FetchRefused for anything else."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise FetchRefused(f"{url[:200]}: not an address: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FetchRefused(f"{url[:200]}: only http and https addresses are fetched")
    if parts.username is not None or parts.password is not None:
        raise FetchRefused(f"{parts.hostname}: an address with a user name or password is not fetched")
    if port == 0 or any(ord(c) <= 32 or ord(c) == 127 for c in url.strip()):
        raise FetchRefused(f"{url[:200]!r}: not an address")
    return parts
