"""Which configurations of workspaces a person trusts: each by its real path and the digest of its bytes.

A `portico.toml` that lies in a workspace may have come with it, and starts programs; so it counts only after somebody said so,
once for each content. The user's own config folder and a file that was named need no trust. It owns the list, a file in the
user's state folder that its owner alone can read, and knows nothing of what a configuration says.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import platformdirs

from portico_gateway.errors import ConfigError

log = logging.getLogger(__name__)

_FILE_NAME = "trusted-configurations.json"
_MAX_ENTRIES = 1000  # contents that are remembered; beyond that the oldest go, and are asked for again


@dataclass(frozen=True, slots=True)
class TrustedConfig:
    """One content of one file. `time` is ISO 8601, UTC."""

    path: str
    sha256: str
    time: str


@dataclass(frozen=True, slots=True)
class WorkspaceConfig:
    """A configuration found in a workspace, as it was read: what is trusted is what is used."""

    path: Path
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def __str__(self) -> str:
        """What to say of one that is left out."""
        folder = self.path.parent
        return f"{self.path} is left out: a workspace's configuration starts programs; look at it, then: portico trust {folder}"


AskTrust = Callable[[WorkspaceConfig], bool]  # asks a person, or says that it is left out; True: it counts from now on


def say_left_out(found: WorkspaceConfig) -> bool:
    """The `AskTrust` of a process without a terminal."""
    log.warning("%s", found)
    return False


def trust_file() -> Path:
    """Where the list is."""
    return platformdirs.user_state_path("portico", appauthor=False) / _FILE_NAME


def trusted_configs() -> list[TrustedConfig]:
    """What is trusted, oldest first. A list that can't be read trusts nothing, and says so."""
    path = trust_file()
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["trusted"]
        return [TrustedConfig(str(each["path"]), str(each["sha256"]), str(each["time"])) for each in entries]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        log.warning("%s can't be read, so no workspace's configuration is trusted: %s", path, error)
        return []


def is_trusted(found: WorkspaceConfig) -> bool:
    """Was this very content at this very place trusted?"""
    where, digest = os.path.realpath(found.path), found.sha256
    return any(each.path == where and each.sha256 == digest for each in trusted_configs())


def trust(found: WorkspaceConfig) -> None:
    """Trust this content at this place. Raises ConfigError where the list can't be written."""
    where, digest = os.path.realpath(found.path), found.sha256
    others = [each for each in trusted_configs() if (each.path, each.sha256) != (where, digest)]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    _write([*others, TrustedConfig(where, digest, now)][-_MAX_ENTRIES:])


def revoke(place: Path) -> list[TrustedConfig]:
    """Trust nothing any more that lies at `place`, a file or the folder of one. Returns what was trusted."""
    where = os.path.realpath(place)
    gone = [each for each in trusted_configs() if where in (each.path, os.path.dirname(each.path))]
    if gone:
        _write([each for each in trusted_configs() if each not in gone])
    return gone


def _write(entries: list[TrustedConfig]) -> None:
    path = trust_file()
    fresh = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(fresh, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            json.dump({"trusted": [asdict(each) for each in entries]}, file, indent=1)
        fresh.replace(path)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise ConfigError(f"the list of trusted configurations can't be written: {error.strerror}", path=path) from None
