"""What is wrong with a configuration, in words: every mistake at once, each with its file, line, key and what would be right.

It owns which values a message may show. Values that may be secrets (env, headers, keys, URLs, arguments, whatever came out of a
variable) are never in one.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, get_args, get_origin

from pydantic import BaseModel, ValidationError

from portico_gateway.config.config_file import ConfigFile
from portico_gateway.config.key_lines import json_line, toml_line
from portico_gateway.config.mcp_servers_json import SERVER_KEYS
from portico_gateway.errors import ConfigError

Key: TypeAlias = tuple[str | int, ...]

_MAX_SHOWN = 20  # mistakes in one message
_MAX_VALUE = 80  # characters of a value
_OPEN_SECTIONS = {"model", "serve", "gateway", "policy", "audit", "log"}
_OPEN_KEYS = {"servers": {"type", "era", "start_timeout", "call_timeout", "pin_definitions", "enabled"}, "keys": {"scopes"}}


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake. `where` is a file and line, or the variable or option that it came from."""

    key: Key
    text: str
    where: str = ""
    line: int | None = None
    file: ConfigFile | None = None

    def __str__(self) -> str:
        return f"{self.where}: {self.text}" if self.where else self.text


@dataclass(frozen=True, slots=True)
class KeyOrigins:
    """Where a key's value came from: the file as `written`, or what `origins` names."""

    file: ConfigFile | None
    written: Mapping[str, Any]
    origins: Mapping[Key, str]

    def mistake(self, key: Key, text: str) -> Mistake:
        """A mistake in the value of `key`, placed."""
        if (origin := self._origin(key)) is not None:
            return Mistake(key, text, origin)
        if self.file is None:
            return Mistake(key, text)
        line = self._line(key)
        where = f"{self.file.path}:{line}" if line is not None else str(self.file.path)
        return Mistake(key, text, where, line, self.file)

    def shown(self, key: Key, value: Any) -> str:
        """` (is 3)`, where the value may be shown."""
        inner = _OPEN_KEYS.get(str(key[0]), set()) if key else set()
        is_open = bool(key) and (key[0] in _OPEN_SECTIONS or (len(key) > 2 and key[2] in inner))
        if not is_open or isinstance(value, dict):
            return ""
        if self._origin(key) is None:
            value = self._as_written(key, value)
        text = repr(value)
        return f" (is {text if len(text) <= _MAX_VALUE else text[:_MAX_VALUE] + '...'})"

    def _origin(self, key: Key) -> str | None:
        return next((self.origins[key[:length]] for length in range(len(key), 0, -1) if key[:length] in self.origins), None)

    def _line(self, key: Key) -> int | None:
        assert self.file is not None
        if not self.file.is_json:
            return toml_line(self.file.text, key)
        return next((line for name in SERVER_KEYS if (line := json_line(self.file.text, (name, *key[1:]))) is not None), None)

    def _as_written(self, key: Key, value: Any) -> Any:
        """The value with its variables' names instead of their values."""
        found: Any = self.written
        for part in key:
            try:
                found = found[part]
            except (KeyError, IndexError, TypeError):
                return value
        return found


def mistakes_of(error: ValidationError, whole: type[BaseModel], places: KeyOrigins) -> list[Mistake]:
    """Every mistake that validation found, in the file's order. A key that is required may be there under a wrong name: such a
    one comes first."""
    found: list[tuple[bool, Mistake]] = []
    for problem in error.errors(include_url=False, include_context=False):
        key = tuple(part for part in problem["loc"] if isinstance(part, str | int))
        if problem["type"] == "extra_forbidden":
            found.append((False, places.mistake(key, _unknown_key(key, whole))))
        else:
            reason = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
            said = f"{'.'.join(map(str, key))}: {reason}" if key else reason
            found.append((True, places.mistake(key, said + places.shown(key, problem["input"]))))
    misspelt = {mistake.key[:-1] for known, mistake in found if not known}
    found = [(known, each) for known, each in found if not (known and each.key[:-1] in misspelt and _is_missing(each))]
    return [mistake for _, mistake in sorted(found, key=lambda pair: (pair[1].line or 0, pair[0]))]


def config_error(mistakes: list[Mistake]) -> ConfigError:
    """All of them as one error, a line each; its path, line and key are the first one's."""
    first, *rest = list(dict.fromkeys(mistakes))
    more = [str(mistake) for mistake in rest[: _MAX_SHOWN - 1]]
    if len(rest) >= _MAX_SHOWN:
        more.append(f"and {len(rest) - _MAX_SHOWN + 1} more")
    text = "\n".join([str(first) if first.file is None else first.text, *more])
    path = None if first.file is None else first.file.path
    return ConfigError(text, path=path, line=first.line, key=".".join(map(str, first.key)))


def _is_missing(mistake: Mistake) -> bool:
    return mistake.text.endswith(": Field required")


def _unknown_key(key: Key, whole: type[BaseModel]) -> str:
    section: type[BaseModel] = whole
    is_name = False  # servers.NAME, keys.NAME
    for part in key[:-1]:
        field = None if is_name else section.model_fields.get(str(part))
        is_name = False
        if field is not None and (inner := _model_in(field.annotation)) is not None:
            section, is_name = inner, get_origin(field.annotation) is dict
    known = list(section.model_fields)
    close = difflib.get_close_matches(str(key[-1]), known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
    return f"unknown key {'.'.join(map(str, key))!r}; {hint}"


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds: alone, optionally, or many of them by name."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _model_in(each)) is not None), None)
