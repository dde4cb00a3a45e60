"""Answers of people that count for later calls, too: of one caller, one tool as it is defined now, these arguments or any, for
a while.

It owns the file, which is its owner's alone, and which choice a call falls under. It asks nobody; whether a choice may be
remembered is the policy's to say.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import platformdirs

from portico_gateway.errors import UnknownName
from portico_gateway.policy.approvals import same_arguments
from portico_gateway.safe_output.private_files import private_folder, private_opener

log = logging.getLogger(__name__)

MAX_SECONDS = 366 * 86400.0
MAX_CHOICES = 1000  # the ones that expire first go when there are more


@dataclass(frozen=True, slots=True)
class RememberedAnswer:
    """One remembered answer. `arguments` None: whichever. Times are seconds since the epoch."""

    id: str
    caller: str
    tool: str
    definition: str  # digest of what the tool said of itself
    arguments: Mapping[str, Any] | None
    allow: bool
    created: float
    expires: float

    def covers(self, caller: str, tool: str, definition: str, arguments: Mapping[str, Any]) -> bool:
        """Is a call of this kind?"""
        same = (self.caller, self.tool, self.definition) == (caller, tool, definition)
        return same and (self.arguments is None or same_arguments(self.arguments, arguments))


def choices_file() -> Path:
    """Where choices are kept; PORTICO_CHOICES_FILE puts them elsewhere."""
    if named := os.environ.get("PORTICO_CHOICES_FILE"):
        return Path(named)
    return platformdirs.user_data_path("portico", appauthor=False) / "choices.json"


class RememberedChoices:
    """Of one user. Without a `path` they are kept in memory; with one, other processes' are seen too."""

    def __init__(self, path: Path | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._choices: list[RememberedAnswer] = []
        self._seen: tuple[int, int, int] | None = None

    def find(
        self, caller: str, tool: str, definition: str, arguments: Mapping[str, Any], *, exact: bool = False
    ) -> RememberedAnswer | None:
        """The choice that a call falls under, the narrowest and latest first; with `exact` one for these arguments alone."""
        found = [each for each in self.all() if each.covers(caller, tool, definition, arguments)]
        found = [each for each in found if each.arguments is not None or not exact]
        return max(found, key=lambda each: (each.arguments is not None, each.created), default=None)

    def add(
        self,
        caller: str,
        tool: str,
        definition: str,
        arguments: Mapping[str, Any] | None,
        *,
        allow: bool,
        seconds: float,
    ) -> RememberedAnswer:
        """Remember an answer, in place of an earlier one for the same calls."""
        now = self._clock()
        kept = None if arguments is None else dict(arguments)
        choice = RememberedAnswer(
            secrets.token_hex(4), caller, tool, definition, kept, allow, now, now + min(seconds, MAX_SECONDS)
        )
        others = [each for each in self.all() if not _same_calls(each, choice)]
        self._save(sorted([*others, choice], key=lambda each: each.expires)[-MAX_CHOICES:])
        return choice

    def all(self) -> list[RememberedAnswer]:
        """Those that still count, the first to expire first."""
        self._load()
        return [each for each in self._choices if each.expires > self._clock()]

    def forget(self, identity: str) -> RememberedAnswer:
        """Raises UnknownName."""
        kept = self.all()
        found = next((each for each in kept if each.id == identity), None)
        if found is None:
            raise UnknownName("remembered choice", identity)
        self._save([each for each in kept if each is not found])
        return found

    def _load(self) -> None:
        if self._path is None:
            return
        try:
            about = self._path.stat()
        except OSError:
            self._choices, self._seen = [], None
            return
        seen = about.st_mtime_ns, about.st_size, about.st_ino
        if seen == self._seen:
            return
        try:
            self._choices = [RememberedAnswer(**each) for each in json.loads(self._path.read_text(encoding="utf-8"))]
        except (OSError, ValueError, TypeError) as error:
            log.warning("remembered choices in %s can't be read, so none counts: %s", self._path, error)
            self._choices = []
        self._seen = seen

    def _save(self, choices: list[RememberedAnswer]) -> None:
        """In one step. What can't be written counts in this process alone."""
        self._choices = choices
        if self._path is None:
            return
        fresh = self._path.with_suffix(f".{os.getpid()}.tmp")
        try:
            private_folder(self._path.parent)
            with open(fresh, "w", encoding="utf-8", opener=private_opener) as file:
                json.dump([asdict(each) for each in choices], file)
            fresh.replace(self._path)
            about = self._path.stat()
            self._seen = about.st_mtime_ns, about.st_size, about.st_ino
        except OSError as error:
            log.warning("a choice can't be kept in %s: %s", self._path, error.strerror or error)


def _same_calls(one: RememberedAnswer, other: RememberedAnswer) -> bool:
    """Are both for the very same calls?"""
    if (one.caller, one.tool, one.definition) != (other.caller, other.tool, other.definition):
        return False
    if one.arguments is None or other.arguments is None:
        return one.arguments is other.arguments
    return same_arguments(one.arguments, other.arguments)
