"""The definitions that tools had when they were first seen, kept from one process to the next.

It owns the file, which is its owner's alone, and what stands in it: by server (what is started or connected to, whatever it is
called) and tool a digest, and which later definitions a person consented to, by caller. A file that can't be read or written
costs one line, and what is known then counts in this process alone. Two processes that write in the same moment may lose what
one of them found new: that tool is seen for the first time once more.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import platformdirs

from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import UnknownName
from portico_gateway.safe_output.private_files import private_folder, private_opener
from portico_gateway.upstreams.names import namespaced

log = logging.getLogger(__name__)

MAX_SERVERS = 200  # the one that was started longest ago goes when there are more
MAX_CONSENTS = 100  # callers of one tool, the first to consent goes first
_DAY = 86400.0  # seconds; how often the file learns that a server is still in use


@dataclass(slots=True)
class Pin:
    """Of one tool: the digest of its first definition, and of a later one that a caller's person consented to, by caller."""

    first: str
    consents: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ServerPins:
    """Of one server: what the gateway called it last, when it was last started (seconds since the epoch), and its tools."""

    server: str
    used: float
    tools: dict[str, Pin] = field(default_factory=dict)


def pins_file() -> Path:
    """Where pins are kept; PORTICO_PINS_FILE puts them elsewhere."""
    if named := os.environ.get("PORTICO_PINS_FILE"):
        return Path(named)
    return platformdirs.user_state_path("portico", appauthor=False) / "definition-pins.json"


def server_identity(spec: UpstreamSpec) -> str | None:
    """What a server is, whatever it is called: sha256 over its command, arguments and folder, or its URL, none of which is
    told by it. None where its definitions are not to be kept."""
    if not spec.pin_definitions:
        return None
    what = [spec.transport, spec.command, list(spec.args), spec.cwd, spec.url]
    return hashlib.sha256(json.dumps(what, separators=(",", ":")).encode("utf-8", "surrogatepass")).hexdigest()


class DefinitionPins:
    """Of one user, in the file at `path`."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._servers: dict[str, ServerPins] = {}  # by identity: what was read last, and what could not be written
        self._seen: tuple[int, int, int] | None = None
        self._has_complained = False

    def of(self, identity: str, server: str) -> Mapping[str, Pin]:
        """The pins of a server that starts under this name, by tool."""
        self._read()
        pins = self._servers.get(identity)
        if pins is None:
            return {}
        if pins.server != server or not 0 <= self._clock() - pins.used < _DAY:
            pins.server, pins.used = server, self._clock()
            self._write()
        return pins.tools

    def add(self, identity: str, server: str, tools: Mapping[str, str]) -> None:
        """Keep the digests of tools that were seen for the first time, by name; what is there stays."""
        self._read()
        pins = self._servers.setdefault(identity, ServerPins(server, self._clock()))
        for name, digest in tools.items():
            pins.tools.setdefault(name, Pin(digest))
        latest = sorted(self._servers.items(), key=lambda each: each[1].used)[-MAX_SERVERS:]
        self._servers = dict(latest)
        self._write()

    def consent(self, identity: str, tool: str, digest: str, caller: str) -> None:
        """A caller's person has seen this definition of a tool, and allowed a call of it."""
        self._read()
        pin = self._servers[identity].tools.get(tool) if identity in self._servers else None
        if pin is None:  # forgotten meanwhile
            return
        pin.consents.pop(caller, None)
        pin.consents[caller] = digest
        for surplus in list(pin.consents)[:-MAX_CONSENTS]:
            del pin.consents[surplus]
        self._write()

    def all(self) -> list[ServerPins]:
        """Those that are kept, by the names of their servers."""
        self._read()
        return sorted(self._servers.values(), key=lambda each: (each.server, each.used))

    def forget(self, server: str, tool: str | None = None) -> int:
        """Forget the tools of a server, or one; how many. They are seen for the first time at the server's next start. Raises
        UnknownName where there are none, and OSError where the file can't be written."""
        self._read()
        found = {key: pins for key, pins in self._servers.items() if pins.server == server}
        n_tools = sum(len(pins.tools) if tool is None else tool in pins.tools for pins in found.values())
        if not n_tools:
            raise UnknownName("pinned definition", server if tool is None else namespaced(server, tool))
        for key, pins in found.items():
            if tool is None:
                del self._servers[key]
            else:
                pins.tools.pop(tool, None)
        self._replace_file()
        return n_tools

    def _read(self) -> None:
        """Take what another process has written since."""
        try:
            about = self._path.stat()
            seen = about.st_mtime_ns, about.st_size, about.st_ino
            if seen == self._seen:
                return
            self._seen = seen
            self._servers = _servers(json.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            if self._seen is not None:  # somebody took it away: all is to be seen for the first time
                self._servers, self._seen = {}, None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            self._complain(f"definitions of tools can't be read from {self._path}, so each counts as new", error)

    def _write(self) -> None:
        try:
            self._replace_file()
        except OSError as error:
            self._complain(f"definitions of tools can't be kept in {self._path}, so they count until this process ends", error)

    def _replace_file(self) -> None:
        """In one step. Raises OSError."""
        fresh = self._path.with_suffix(f".{os.getpid()}.tmp")
        private_folder(self._path.parent)
        try:
            with open(fresh, "w", encoding="utf-8", opener=private_opener) as file:
                json.dump({"servers": {key: asdict(pins) for key, pins in self._servers.items()}}, file)
            fresh.replace(self._path)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise
        about = self._path.stat()
        self._seen = about.st_mtime_ns, about.st_size, about.st_ino

    def _complain(self, what: str, error: Exception) -> None:
        if not self._has_complained:
            self._has_complained = True
            log.warning("%s: %s", what, (isinstance(error, OSError) and error.strerror) or error)


def _servers(tree: Any) -> dict[str, ServerPins]:
    """What a file says. Raises ValueError, TypeError, KeyError or AttributeError where that is none."""
    found: dict[str, ServerPins] = {}
    for key, entry in tree["servers"].items():
        tools = {name: Pin(_text(pin["first"]), _texts(pin["consents"])) for name, pin in entry["tools"].items()}
        found[key] = ServerPins(_text(entry["server"]), float(entry["used"]), tools)
    return found


def _texts(tree: Any) -> dict[str, str]:
    return {key: _text(value) for key, value in tree.items()}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
