"""Columns whose names say that they keep a secret: their values are read for nobody's guessing. It knows names, no values."""

from __future__ import annotations

import re
from collections.abc import Sequence

from portico_servers.db.schema import Column, Table

SECRETS = ("pass(word|wd|phrase)?", "pwd", "token", "secret", "key", "hash", "salt", "pin", "credential", "ssn", "iban", "cvv")


def is_secret(column: Column, table: Table, patterns: Sequence[str] = SECRETS) -> bool:
    """Is one of the patterns a word of the column's name? Primary and foreign keys are no secrets."""
    if table.is_key(column.name) or not patterns:
        return False
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column.name)
    return re.search(rf"(?:^|[_\W])(?:{'|'.join(patterns)})s?(?:$|[_\W])", name, re.IGNORECASE) is not None
