"""What a statement may do in SQLite: the authorizer, an allow list, asked by SQLite itself while it compiles every statement.

It knows no files and no results. mode=ro and query_only keep the database unchanged even without it; it keeps statements from
reaching other files (ATTACH creates one despite mode=ro) and from changing the connection.
"""

from __future__ import annotations

import sqlite3

# PRAGMAs that only tell something. Those marked VALUE also set what they tell, when given a value.
_TELLING = {
    "table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list",
    "foreign_key_check", "collation_list", "compile_options", "function_list", "module_list", "pragma_list",
    "integrity_check", "quick_check", "page_count", "freelist_count", "data_version", "stats",
}  # fmt: skip
_VALUE = {
    "encoding",
    "user_version",
    "schema_version",
    "application_id",
    "page_size",
    "foreign_keys",
    "journal_mode",
    "query_only",
}
_REFUSED_FUNCTIONS = {
    "load_extension",
    "fts3_tokenizer",
    "readfile",
    "writefile",
    "edit",
    "fileio_ls",
    "lsmode",
    "zipfile",
    "sqlar_uncompress",
}
# Virtual tables that are there without being created.
READABLE_MODULES = (*(f"pragma_{name}" for name in sorted(_TELLING | _VALUE)), "json_each", "json_tree", "dbstat")
_READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}


def authorize(action: int, first: str | None, second: str | None, _database: str | None, _trigger: str | None) -> int:
    """SQLITE_OK for reading, for harmless functions and for PRAGMAs that only tell; SQLITE_DENY for all else."""
    if action in _READING:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION:
        return sqlite3.SQLITE_DENY if (second or "").lower() in _REFUSED_FUNCTIONS else sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA:
        name = (first or "").lower()
        if name in _TELLING or (name in _VALUE and second is None):
            return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY
