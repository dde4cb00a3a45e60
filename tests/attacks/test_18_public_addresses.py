"""Pages are fetched from public addresses alone: every special range there is, however it's written, named or reached."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

import pytest
from tests.servers.docs.loopback import Site

from portico_servers.docs.errors import FetchRefused
from portico_servers.docs.ingest.public_addresses import is_public
from portico_servers.docs.ingest.web import Fetcher

pytestmark = pytest.mark.attack("18 SSRF")

# The first and last addresses of each range of IANA's special-purpose registries, and of what lies outside global unicast.
SPECIAL = """
0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.0.0/29 192.0.0.8/32 192.0.0.9/32
192.0.0.10/32 192.0.0.170/31 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24
198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 255.255.255.255/32
::/128 ::1/128 ::/96 ::ffff:0:0:0/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001:1::1/128 2001:1::2/128 2001:1::3/128
2001:2::/48 2001:3::/32 2001:4:112::/48 2001:10::/28 2001:20::/28 2001:30::/28 2001:db8::/32 2620:4f:8000::/48 3fff::/20
5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8 4000::/3 6000::/3 8000::/3 a000::/3 c000::/3 e000::/4 f000::/5 f800::/6
""".split()
PRIVATE = ("127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.0.1", "100.64.0.1", "192.0.0.8", "198.18.0.1", "0.0.0.0")
PUBLIC = ("93.184.216.34", "8.8.8.8", "192.0.1.1", "100.128.0.1", "172.32.0.1", "198.20.0.1", "203.0.114.1", "223.255.255.254")


@pytest.mark.parametrize("network", SPECIAL)
def test_no_address_of_a_special_range_is_public(network: str) -> None:
    found = ipaddress.ip_network(network)
    for address in (found[0], found[-1], found[found.num_addresses // 2]):
        assert not is_public(address), address


def embedding(address: str) -> dict[str, str]:
    number = int(ipaddress.IPv4Address(address))
    public = int(ipaddress.IPv4Address("8.8.8.8"))
    teredo = 0x20010000 << 96
    forms = {
        "mapped": 0xFFFF << 32 | number,
        "NAT64": int(ipaddress.IPv6Address("64:ff9b::")) | number,
        "6to4": 0x2002 << 112 | number << 80,
        "Teredo client": teredo | public << 64 | (number ^ 0xFFFFFFFF),
        "Teredo server": teredo | number << 64 | (public ^ 0xFFFFFFFF),
        "ISATAP": int(ipaddress.IPv6Address("2600::5efe:0:0")) | number,
        "ISATAP of a global address": int(ipaddress.IPv6Address("2600::200:5efe:0:0")) | number,
    }
    return {name: str(ipaddress.IPv6Address(value)) for name, value in forms.items()}


@pytest.mark.parametrize("inner", [*PRIVATE, "224.0.0.1", "255.255.255.255"])
@pytest.mark.parametrize("form", list(embedding("8.8.8.8")))
def test_an_address_that_holds_a_private_one_is_private(form: str, inner: str) -> None:
    assert not is_public(ipaddress.ip_address(embedding(inner)[form]))


@pytest.mark.parametrize("inner", PUBLIC)
@pytest.mark.parametrize("form", list(embedding("8.8.8.8")))
def test_an_address_that_holds_a_public_one_is_public(form: str, inner: str) -> None:
    assert is_public(ipaddress.ip_address(inner))
    assert is_public(ipaddress.ip_address(embedding(inner)[form]))


@pytest.mark.parametrize("address", ["2606:2800:220:1::1", "2a00:1450:4001:81b::200e", "2001:4860:4860::8888", "2400::1"])
def test_global_unicast_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def resolve_as(monkeypatch: pytest.MonkeyPatch, answer: Callable[[], str]) -> None:
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        if host != "docs.example":
            return real(host, port, *args, **kwargs)
        address = answer()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "::1", "fe80::1%lo", "192.0.0.8"])
def test_a_name_at_such_an_address_is_refused_before_any_connection(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    with Site() as site:
        resolve_as(monkeypatch, lambda: address)
        with Fetcher() as fetcher, pytest.raises(FetchRefused, match="not a public address"):
            fetcher.get(f"http://docs.example:{site.port}/")
        assert site.requests == []


def test_a_redirect_to_a_name_that_turns_private_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with Site() as site, Site() as secret:
        secret.pages["/"] = (200, "text/plain", "secret")
        site.redirects["/out"] = f"http://docs.example:{secret.port}/"
        resolve_as(monkeypatch, lambda: "127.0.0.1")
        with Fetcher(trusted_for_tests=[site.host]) as fetcher, pytest.raises(FetchRefused, match="not a public address"):
            fetcher.get(f"{site.url}/out")
        assert secret.requests == []


def test_a_name_that_changes_its_address_between_two_requests_is_looked_at_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """robots.txt from a public address, the page from a private one."""
    with Site() as secret:
        secret.pages["/"] = (200, "text/plain", "secret")
        answers = ["93.184.216.34", "127.0.0.1"]
        resolve_as(monkeypatch, lambda: answers.pop(0))
        with Fetcher() as fetcher:
            monkeypatch.setattr(fetcher, "_read_robots", lambda origin: _anything(fetcher, origin))
            with pytest.raises(FetchRefused, match="not a public address"):
                fetcher.get(f"http://docs.example:{secret.port}/")
        assert secret.requests == []
        assert answers == []


def _anything(fetcher: Fetcher, origin: str) -> Any:
    """Rules that allow all, after the look-up that reading them makes."""
    from urllib.robotparser import RobotFileParser

    assert str(fetcher._resolve("docs.example", int(origin.rpartition(":")[2]))) == "93.184.216.34"
    rules = RobotFileParser()
    rules.parse([])
    return rules
