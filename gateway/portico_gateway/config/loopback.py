"""Which hosts are this machine itself, and which proxy a request to another one goes through."""

from __future__ import annotations

import ipaddress
import urllib.request
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Is this address, or name, this machine's own? No name is looked up."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower().rstrip(".") == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def proxy_of(url: str) -> str | None:
    """The proxy that the environment names for this URL. What is said to this machine goes through none, whatever NO_PROXY
    says: arguments, results and keys would leave it."""
    parts = urlsplit(url)
    if parts.hostname is None or is_loopback(parts.hostname) or urllib.request.proxy_bypass(parts.hostname):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"
