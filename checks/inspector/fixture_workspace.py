"""The workspace that the recorded answers speak of: copied, put under git and given its database, the same bytes each time.

It knows neither servers nor the Inspector.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parents[2] / "inspector-fixtures"
SOURCE = HERE / "workspace"
_TABLES = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    status TEXT NOT NULL CHECK (status IN ('open', 'paid', 'returned')),
    total_cents INTEGER NOT NULL
);
CREATE INDEX orders_by_customer ON orders (customer_id);
"""
_CUSTOMERS = [(1, "Ada Brook", "Lisbon"), (2, "Ben Castor", "Oslo"), (3, "Cleo Dorn", "Lisbon")]
_STATUS = ("open", "paid", "returned")


def make_workspace(home: Path) -> Path:
    """`home`/workspace with code/ (a git repository of two commits), docs/ and orders.sqlite."""
    place = home / "workspace"
    shutil.copytree(SOURCE, place, ignore=shutil.ignore_patterns("orders.sqlite*"))
    _commit(place / "code")
    make_database(place / "orders.sqlite")
    return place


def make_database(path: Path) -> None:
    """Three customers and twelve orders in a new SQLite file."""
    path.unlink(missing_ok=True)
    database = sqlite3.connect(path)
    try:
        database.executescript(_TABLES)
        database.executemany("INSERT INTO customers VALUES (?, ?, ?)", _CUSTOMERS)
        orders = [(n, n % 3 + 1, _STATUS[n % 3], 490 + 37 * n) for n in range(1, 13)]
        database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", orders)
        database.commit()
    finally:
        database.close()


def _commit(folder: Path) -> None:
    """Everything but web/ in a first commit, tagged `first`; web/ in a second. Names and dates are fixed, so hashes are too."""
    _git(folder, "init", "-q", "-b", "main")
    _git(folder, "add", ".gitignore", "shop")
    _git(folder, "commit", "-q", "-m", "Stock and orders")
    _git(folder, "tag", "first")
    _git(folder, "add", "web")
    _git(folder, "commit", "-q", "-m", "Receipts show amounts")


def _git(folder: Path, *arguments: str) -> None:
    person = {"NAME": "Fixture", "EMAIL": "fixture@example.org", "DATE": "2026-01-05T09:00:00+00:00"}
    env = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in person.items()}
    env |= {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    subprocess.run(["git", *arguments], cwd=folder, env=env, check=True, timeout=30)


if __name__ == "__main__":  # for the configs of configs/, which are started from this folder
    make_database(SOURCE / "orders.sqlite")
