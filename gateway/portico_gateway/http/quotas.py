"""What each key may use a day, requests and tokens, and what it has used: kept on disk, so that no restart is a new day.

It knows callers by their names and nothing of what they ask. A day is one of UTC.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from portico_engine import Usage
from portico_gateway.config.sections import KeyConfig
from portico_gateway.http.errors import ApiError
from portico_gateway.safe_output.private_files import private_folder

_DAY = 86_400
_KEPT_DAYS = 35


class KeyQuotas:
    """`check` before a request, `count_request` when it is taken, `count_tokens` when it has used some."""

    def __init__(
        self, keys: Mapping[str, KeyConfig], file: Path | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        """`keys` may change meanwhile; without a `file` what was used is known as long as this lives."""
        self._keys = keys
        self._clock = clock
        if file is not None:
            private_folder(file.parent)
        self._db = sqlite3.connect(":memory:" if file is None else file, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")  # a lost second is no lost day
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS used "
            "(day INTEGER, caller TEXT, requests INTEGER, tokens INTEGER, PRIMARY KEY (day, caller))"
        )
        self._db.execute("DELETE FROM used WHERE day < ?", (self._today - _KEPT_DAYS,))

    def check(self, caller: str) -> None:
        """Raises ApiError (429) where the key's day is used up, or was nothing to begin with."""
        key = self._keys.get(caller)
        if key is None or (key.requests_per_day is None and key.tokens_per_day is None):
            return
        requests, tokens = self.used(caller)
        for what, used, most in (("requests", requests, key.requests_per_day), ("tokens", tokens, key.tokens_per_day)):
            if most is not None and used >= most:
                left = _DAY - int(self._clock()) % _DAY
                said = f"may use no {what}" if most == 0 else f"has used {used} of {most} {what} today, by UTC"
                raise ApiError(
                    429,
                    f"this key {said} ({what}_per_day in [keys.NAME])",
                    kind="insufficient_quota",
                    code="insufficient_quota",
                    headers={} if most == 0 else {"Retry-After": str(left)},
                )

    def count_request(self, caller: str) -> None:
        self._add(caller, 1, 0)

    def count_tokens(self, caller: str, usage: Usage) -> None:
        self._add(caller, 0, usage.prompt_tokens + usage.completion_tokens)

    def used(self, caller: str) -> tuple[int, int]:
        """Requests and tokens of today."""
        row = self._db.execute(
            "SELECT requests, tokens FROM used WHERE day = ? AND caller = ?", (self._today, caller)
        ).fetchone()
        return (row[0], row[1]) if row is not None else (0, 0)

    def close(self) -> None:
        self._db.close()

    def _add(self, caller: str, requests: int, tokens: int) -> None:
        if caller not in self._keys:
            return
        self._db.execute(
            "INSERT INTO used VALUES (?, ?, ?, ?) ON CONFLICT (day, caller) DO UPDATE SET "
            "requests = requests + excluded.requests, tokens = tokens + excluded.tokens",
            (self._today, caller, requests, tokens),
        )

    @property
    def _today(self) -> int:
        return int(self._clock()) // _DAY
