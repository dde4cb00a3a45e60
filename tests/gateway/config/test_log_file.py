"""The log's file: bounded, and cheap enough for a line a request."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path

from portico_gateway.config.logs import _PrivateFile


class Counting(logging.Formatter):
    made = 0

    def format(self, record: logging.LogRecord) -> str:
        self.made += 1
        return super().format(record)


def write(path: Path, texts: list[str]) -> int:
    """How often a line was made."""
    counting = Counting()
    with closing(_PrivateFile(path, maxBytes=500, backupCount=2, encoding="utf-8")) as file:
        file.setFormatter(counting)
        for text in texts:
            file.handle(logging.LogRecord("x", logging.INFO, "", 0, text, (), None))
    return counting.made


def test_a_line_is_made_once_and_the_file_turns_at_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    lines = [f"line {number:03} {'x' * 40}" for number in range(30)]
    assert write(path, lines[:15]) == 15
    assert write(path, lines[15:]) == 15  # what an earlier process wrote counts
    files = [tmp_path / name for name in ("a.log.2", "a.log.1", "a.log")]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert all(0 < file.stat().st_size < 500 for file in files)
    kept = "".join(file.read_text() for file in files).splitlines()
    assert kept == lines[-len(kept) :]
    assert len(kept) >= 18
