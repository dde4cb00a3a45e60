"""A server that plays Hugging Face's hub on loopback: listings, redirects to another port, ranges, and what goes wrong."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "c0ffee" * 6 + "c0ff"


@dataclass
class Hub:
    """Repositories and their files; `asked` are the requests for files, as (host's port, path, range, had a token)."""

    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    licence: str = "apache-2.0"
    ranges: bool = True
    cut_after: int | None = None  # bytes of an answer, of each until `cuts` are used up
    cuts: int = 0
    tampered: bool = False  # other bytes come than the listing says
    status: int = 200
    circles: bool = False  # redirects lead nowhere
    more: bytes = b""  # behind each file
    asked: list[tuple[int, str, str | None, bool]] = field(default_factory=list)
    url: str = ""
    cdn: str = ""

    def listing(self, repository: str) -> dict[str, Any]:
        siblings = []
        for name, content in self.files[repository].items():
            entry: dict[str, Any] = {"rfilename": name, "size": len(content)}
            if name.endswith((".gguf", ".safetensors")):
                entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
            entry["blobId"] = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
            siblings.append(entry)
        return {"id": repository, "sha": COMMIT, "siblings": siblings, "cardData": {"license": self.licence}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        hub, path = self.hub, self.path.partition("?")[0]
        if hub.status != 200:
            self._send(hub.status, b"{}")
        elif path.startswith("/api/models/"):
            repository = path.removeprefix("/api/models/").partition("/revision/")[0]
            known = repository in hub.files
            self._send(200 if known else 404, json.dumps(hub.listing(repository)).encode() if known else b"{}")
        elif path.startswith("/blobs/") and not hub.circles:
            self._note(path)
            self._file(path.removeprefix("/blobs/"))
        elif "/resolve/" in path:
            self._note(path)
            self.send_response(302)
            self.send_header("Location", f"{hub.cdn}/blobs{path}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._send(404, b"")

    def _note(self, path: str) -> None:
        port = self.server.server_address[1]
        self.hub.asked.append((int(port), path, self.headers.get("Range"), "Authorization" in self.headers))

    def _file(self, path: str) -> None:
        hub = self.hub
        repository, _, rest = path.partition("/resolve/")
        content = hub.files[repository][rest.partition("/")[2]]
        if hub.tampered:
            content = bytes(len(content))
        content += hub.more
        start, wanted = 0, self.headers.get("Range")
        if wanted and hub.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self._send(416, b"")
                return
        body = content[start:]
        self.send_response(206 if wanted and hub.ranges else 200)
        self.send_header("Content-Length", str(len(body)))
        if wanted and hub.ranges:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if hub.cut_after is not None and hub.cuts > 0:
            hub.cuts -= 1
            self.wfile.write(body[: hub.cut_after])
            self.wfile.flush()
            self.close_connection = True
        else:
            self.wfile.write(body)

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def running_hub() -> Iterator[Hub]:
    """The hub and the host of its files, on two ports."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), handler) for _ in range(2)]
    threads = [threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    hub.url, hub.cdn = (f"http://127.0.0.1:{server.server_address[1]}" for server in servers)
    try:
        yield hub
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()
