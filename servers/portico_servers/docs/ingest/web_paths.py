"""What the pages of a library on the web are called in the index, and back."""

from __future__ import annotations

from urllib.parse import urlsplit


def page_path(address: str) -> str:
    """The page's path within its library: that of the address, `index` for a site's root."""
    parts = urlsplit(address)
    path = parts.path.lstrip("/")
    path = f"{path}index" if not path or path.endswith("/") else path
    return f"{path}?{parts.query}" if parts.query else path


def page_url(source: str, path: str) -> str:
    """The address that `page_path` was made from."""
    path = path.removesuffix("index") if path == "index" or path.endswith("/index") else path
    parts = urlsplit(source)
    return f"{parts.scheme}://{parts.netloc}/{path}"
