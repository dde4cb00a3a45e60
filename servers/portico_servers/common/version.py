"""The version that servers tell their hosts. It knows no server."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def package_version() -> str:
    """The installed package's version; "0" where it runs from files that nobody installed."""
    try:
        return version("portico-mcp")
    except PackageNotFoundError:
        return "0"
