"""Which addresses belong to the public internet. It knows addresses, neither names nor HTTP.

An address is public if three say so: `ipaddress`' own properties, the tables below (which hold wherever this Python's lists are
older), and, where one holds an IPv4 address, that one too. Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries
(as of 2025-10; RFC 6890), IANA IPv6 Address Space (2000::/3 is all of global unicast), RFC 6052 (NAT64), RFC 3056 (6to4),
RFC 4380 (Teredo), RFC 5214 (ISATAP).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# What the registry calls globally reachable within these (anycast services of 192.0.0.0/24 and 2001::/23) serves no pages.
_SPECIAL_IPV4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",  # "this network"
            "10.0.0.0/8",  # private use
            "100.64.0.0/10",  # shared address space
            "127.0.0.0/8",  # loopback
            "169.254.0.0/16",  # link-local; clouds' metadata
            "172.16.0.0/12",  # private use
            "192.0.0.0/24",  # IETF protocol assignments
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # 6to4 relays, deprecated
            "192.168.0.0/16",  # private use
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarking
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved; broadcast
        ),
    )
)
_SPECIAL_IPV6 = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # IETF protocol assignments, but for Teredo (below): benchmarking, ORCHID, AMT, AS112, DRIP
            "2001:db8::/32",  # documentation
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # documentation
        ),
    )
)
_GLOBAL_UNICAST = ipaddress.IPv6Network(
    "2000::/3"
)  # outside: loopback, mapped, discard, SRv6, unique and link-local, multicast
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # the local-use 64:ff9b:1::/48 is not public
_ISATAP = (0x00005EFE, 0x02005EFE)  # upper half of the interface identifier


def is_public(address: Address) -> bool:
    """Whether the address belongs to the public internet, whichever way it's written: also what is embedded in IPv6."""
    if isinstance(address, ipaddress.IPv4Address):
        return _is_plainly_public(address) and not any(address in network for network in _SPECIAL_IPV4)
    embedded = list(_embedded(address))
    if not all(map(is_public, embedded)):
        return False
    if embedded and _is_transition(address):
        return True
    return (
        _is_plainly_public(address)
        and not address.is_site_local
        and address in _GLOBAL_UNICAST
        and not any(address in network for network in _SPECIAL_IPV6)
    )


def _is_plainly_public(address: Address) -> bool:
    return address.is_global and not (
        address.is_multicast
        or address.is_reserved
        or address.is_loopback
        or address.is_link_local
        or address.is_private
        or address.is_unspecified
    )


def _is_transition(address: ipaddress.IPv6Address) -> bool:
    """Whether packets to it go to the IPv4 address that it holds, so that this one alone counts."""
    return bool(address.ipv4_mapped or address.sixtofour or address.teredo or address in _NAT64)


def _embedded(address: ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo  # the relay's server and the client
    low = int(address) & 0xFFFFFFFF
    if address in _NAT64 or (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        yield ipaddress.IPv4Address(low)
