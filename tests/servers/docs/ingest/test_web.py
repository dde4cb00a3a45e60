"""Only public pages are fetched, whichever way a private one is asked for; tests use a loopback server trusted by name."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.servers.docs.loopback import Site

from portico_servers.docs.errors import FetchRefused, ReadError
from portico_servers.docs.ingest.public_addresses import is_public
from portico_servers.docs.ingest.web import Fetcher, checked_url


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("127.8.8.8", False),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("fec0::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("2001:0:4136:e378:8000:63bf:80ff:fffe", False),
    ],
)
def test_addresses_are_public_or_not_however_they_are_written(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://x/y",
        "http://",
        "http://user:pw@example.org/",
        "gopher://x",
        "http://x:0/",
        "http://[::1",
        "http://a b/",
    ],
)
def test_only_plain_http_addresses_are_taken(url: str) -> None:
    with pytest.raises(FetchRefused):
        checked_url(url)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "127.1", "2130706433", "0x7f.1"])
def test_a_private_address_is_refused_before_any_connection(site: Site, host: str) -> None:
    with Fetcher() as fetcher, pytest.raises((FetchRefused, ReadError)):
        fetcher.get(f"http://{host}:{site.port}/page.html")
    assert site.requests == []


def test_a_name_is_refused_if_any_of_its_addresses_is_private(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    _resolve_as(monkeypatch, lambda host: ["93.184.216.34", "127.0.0.1"])
    with Fetcher() as fetcher, pytest.raises(FetchRefused, match="not a public address"):
        fetcher.get(f"http://docs.example:{site.port}/")
    assert site.requests == []


def test_the_connection_goes_to_the_address_that_was_checked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    _resolve_as(monkeypatch, lambda host: asked.append(host) or ["127.0.0.1"])
    site.pages["/a.html"] = (200, "text/html", "<p>hello")
    with Fetcher(trusted_for_tests=[f"docs.example:{site.port}"]) as fetcher:
        assert fetcher.get(f"http://docs.example:{site.port}/a.html").body == b"<p>hello"
    # Once for robots.txt, once for the page; httpx2 was given the address and asked nobody.
    assert [name for name in asked if name != "127.0.0.1"] == ["docs.example"] * 2
    assert site.requests[-1][1]["Host"] == f"docs.example:{site.port}"


def test_a_redirect_to_a_private_address_is_refused(site: Site) -> None:
    with Site() as secret:
        secret.pages["/"] = (200, "text/plain", "secret")
        site.redirects["/out"] = f"http://127.0.0.1:{secret.port}/"
        site.redirects["/file"] = "file:///etc/passwd"
        with Fetcher(trusted_for_tests=[site.host]) as fetcher:
            for path in ("/out", "/file"):
                with pytest.raises(FetchRefused):
                    fetcher.get(f"{site.url}{path}")
        assert secret.requests == []


def test_redirects_are_followed_and_loops_end(site: Site) -> None:
    site.redirects.update({"/a": "/b", "/b": "/c", "/loop": "/loop"})
    site.pages["/c"] = (200, "text/html", "there")
    with Fetcher(trusted_for_tests=[site.host]) as fetcher:
        fetched = fetcher.get(f"{site.url}/a")
        assert (fetched.url, fetched.body) == (f"{site.url}/c", b"there")
        with pytest.raises(ReadError, match="redirects"):
            fetcher.get(f"{site.url}/loop")


def test_robots_txt_is_obeyed(site: Site) -> None:
    site.pages["/robots.txt"] = (200, "text/plain", "User-agent: *\nDisallow: /private\n")
    site.pages["/private/x"] = site.pages["/open"] = (200, "text/plain", "x")
    with Fetcher(trusted_for_tests=[site.host]) as fetcher:
        assert fetcher.get(f"{site.url}/open").status == 200
        with pytest.raises(FetchRefused, match=r"robots\.txt"):
            fetcher.get(f"{site.url}/private/x")


def test_a_robots_txt_that_fails_means_no(site: Site) -> None:
    site.pages["/robots.txt"] = (503, "text/plain", "")
    with Fetcher(trusted_for_tests=[site.host]) as fetcher, pytest.raises(FetchRefused):
        fetcher.get(f"{site.url}/open")


def test_a_page_too_large_is_cut_off(site: Site) -> None:
    site.pages["/big"] = (200, "text/plain", "x" * 200_000)
    with (
        Fetcher(trusted_for_tests=[site.host], max_bytes=100_000) as fetcher,
        pytest.raises(ReadError, match="more than 100,000 bytes"),
    ):
        fetcher.get(f"{site.url}/big")


@pytest.mark.parametrize("rest", [b"", b"Content-Length: 1000\r\n\r\n"], ids=["head", "body"])
def test_an_answer_that_drips_has_the_time_of_one_request(rest: bytes) -> None:
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\n" + rest)
                while not ended.wait(0.02):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        host = f"127.0.0.1:{listening.getsockname()[1]}"
        began = time.monotonic()
        with (
            Fetcher(trusted_for_tests=[host], max_seconds=0.3) as fetcher,
            pytest.raises(ReadError, match=r"not there after 0\.3 seconds"),
        ):
            fetcher.get(f"http://{host}/page")
        assert time.monotonic() - began < 5
        ended.set()
        thread.join(60)


def test_nobody_listening_is_an_error_in_one_line(site: Site) -> None:
    host = site.host
    site.close()
    with Fetcher(trusted_for_tests=[host]) as fetcher, pytest.raises(ReadError) as error:
        fetcher.get(f"http://{host}/")
    assert "\n" not in str(error.value)


def _resolve_as(monkeypatch: pytest.MonkeyPatch, answer: Callable[[str], Any]) -> None:
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        if host == "docs.example":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answer(host)]
        return real(host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
