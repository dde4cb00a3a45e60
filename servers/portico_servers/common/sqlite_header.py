"""How a file shows that it is an SQLite database."""

from __future__ import annotations

SQLITE_MAGIC = b"SQLite format 3\x00"  # the first 16 bytes of every database file that is not empty
