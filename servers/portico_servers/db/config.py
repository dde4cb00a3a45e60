"""The owner's TOML file: limits, lookup columns, powerful roles, canned queries. It reads and checks; it opens no database.

secrets = ["password", "diagnosis"]        # columns called so are never read for the built-in model (regular expressions)

[limits]
seconds = 5.0                              # of one statement; also: rows, bytes

[connections.shop]
lookups = ["customers.country"]            # columns whose values may stand in tool definitions
local_values = ["customers.city"]          # columns whose values only the model built into a gateway is shown
write = true                               # offer the tool `write` for it (default: false)
allow_powerful_role = false                # PostgreSQL: connect as a superuser and the like

[[queries]]                                # each becomes a tool
name = "best_customers"
description = "The customers who spent most in a country."
sql = "SELECT ... WHERE country = :country LIMIT :n"
params.country = { type = "string" }
params.n = { type = "integer", default = 10, minimum = 1, maximum = 100 }
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from portico_servers.common.regular_files import open_regular
from portico_servers.db.errors import DatabaseConfigError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.secret_columns import SECRETS
from portico_servers.db.statements.placeholders import placeholder_names

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,39}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LimitsConfig(_Strict):
    """Bounds of every statement."""

    rows: int = Field(default=StatementLimits().rows, ge=1, le=10_000)
    bytes: int = Field(default=StatementLimits().bytes, ge=1_000, le=50_000_000)
    seconds: float = Field(default=StatementLimits().seconds, gt=0, le=600)


class ConnectionConfig(_Strict):
    """What the owner allows one connection."""

    lookups: tuple[Annotated[str, Field(pattern=r"^.+\..+$")], ...] = ()
    local_values: tuple[Annotated[str, Field(pattern=r"^.+\..+$")], ...] = ()
    write: bool = False
    allow_powerful_role: bool = False


class ParamConfig(_Strict):
    """One typed parameter of a canned query. Without a default it is required."""

    type: Literal["string", "integer", "number", "boolean", "date"]
    description: str | None = None
    default: str | int | float | bool | None = None
    enum: tuple[str | int | float, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None

    def json_schema(self) -> dict[str, Any]:
        """As tools/list shows it."""
        schema: dict[str, Any] = {"type": "string", "format": "date"} if self.type == "date" else {"type": self.type}
        for key in ("description", "default", "minimum", "maximum"):
            if (value := getattr(self, key)) is not None:
                schema[key] = value
        return {**schema, "enum": list(self.enum)} if self.enum else schema


class QueryConfig(_Strict):
    """A canned query: SQL of the owner's with `:name` placeholders."""

    name: Name
    description: str
    sql: str
    title: str | None = None
    connection: str | None = None
    params: dict[Name, ParamConfig] = {}

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> QueryConfig:
        if self.name in (info.context or ()):
            raise ValueError(f"name {self.name!r} is a built-in tool's")
        used = set(placeholder_names(self.sql))
        if used != set(self.params):
            raise ValueError(f"sql uses {sorted(used)}, but params are {sorted(self.params)}")
        return self


class Config(_Strict):
    """The whole file."""

    limits: LimitsConfig = LimitsConfig()
    connections: dict[str, ConnectionConfig] = {}
    secrets: tuple[Annotated[str, Field(min_length=1)], ...] = SECRETS
    queries: tuple[QueryConfig, ...] = ()

    @field_validator("secrets")
    @classmethod
    def _patterns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in value:
            try:
                re.compile(pattern)
            except re.error as exc:
                raise ValueError(f"{pattern!r} is no regular expression: {exc}") from None
        return value

    @model_validator(mode="after")
    def _unique(self) -> Config:
        names = [query.name for query in self.queries]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two queries are named {name!r}")
        return self

    def bounds(self) -> StatementLimits:
        """The limits as the server passes them around."""
        return StatementLimits(self.limits.rows, self.limits.bytes, self.limits.seconds)


def load(path: Path, reserved_names: Collection[str] = ()) -> Config:
    """The file's config; no canned query may have one of the `reserved_names`.

    DatabaseConfigError names the key, its line where that can be told, and what is wrong.
    """
    try:
        with open_regular(path) as file:
            text = file.read().decode("utf-8")
        return Config.model_validate(tomllib.loads(text), context=reserved_names)
    except OSError as exc:
        raise DatabaseConfigError(f"{path}: {exc.strerror or exc}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise DatabaseConfigError(f"{path}: {exc}") from None
    except ValidationError as exc:
        error = exc.errors()[0]
        key = ".".join(str(part) for part in error["loc"])
        what = "unknown key" if error["type"] == "extra_forbidden" else error["msg"]
        raise DatabaseConfigError(f"{path}{_line(text, error['loc'])}: {key or 'file'}: {what}") from None


def _line(text: str, location: tuple[int | str, ...]) -> str:
    """`:12`, the first line that begins with the last named key, or nothing."""
    names = [part for part in location if isinstance(part, str)]
    for number, line in enumerate(text.splitlines(), 1):
        if names and re.match(rf"\s*\[*[\w.]*\b{re.escape(names[-1])}\b", line):
            return f":{number}"
    return ""
