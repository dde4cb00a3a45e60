"""What stands in a configuration for a value that is kept elsewhere: ${VAR}, ${VAR:-default}, ${file:PATH}, an env_file.

It also knows the variables that editors put into hosts' JSON (VS Code's variables reference). Errors name the variable or the
file, never a value. A literal `${` is written `$${`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_SECRET_BYTES = 64 << 10  # of a ${file:PATH}: a secret, or a certificate chain
MAX_ENV_FILE_BYTES = 1 << 20
_MAX_DEPTH = 8  # of defaults within defaults
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ENV_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*=\s*(.*)")
# Known to the editor alone, while it runs: https://code.visualstudio.com/docs/reference/variables-reference
_OF_THE_EDITOR = {
    "file", "fileBasename", "fileBasenameNoExtension", "fileExtname", "fileDirname", "fileDirnameBasename", "relativeFile",
    "relativeFileDirname", "fileWorkspaceFolder", "fileWorkspaceFolderBasename", "lineNumber", "columnNumber", "selectedText",
    "execPath", "defaultBuildTask", "extensionInstallFolder",
}  # fmt: skip
_KNOWN = "${NAME}, ${NAME:-default}, ${env:NAME}, ${file:PATH}, ${input:ID}, ${workspaceFolder}, ${userHome}"


class VariableError(ValueError):
    """A variable that has no value here."""


@dataclass(frozen=True, slots=True)
class Variables:
    """`folder` is the configuration file's, from which relative paths count; `workspace` the folder that an editor has open."""

    environ: Mapping[str, str]
    folder: Path
    workspace: Path

    def with_file(self, path: str) -> tuple[Variables, dict[str, str]]:
        """Also the variables of an env file, which count where the environment has none; and what is in it."""
        found = read_env_file(self.place(path))
        return Variables({**found, **self.environ}, self.folder, self.workspace), found

    def place(self, path: str) -> Path:
        """The file that a path in the configuration means."""
        return self.folder / os.path.expanduser(path)

    def expand(self, text: str, depth: int = 0) -> str:
        """`text` with every variable replaced. Raises VariableError."""
        out: list[str] = []
        at = 0
        while (start := text.find("${", at)) >= 0:
            if start and text[start - 1] == "$":  # $${ is a literal ${
                out.append(text[at : start - 1] + "${")
                at = start + 2
                continue
            end = _closing_brace(text, start + 2)
            if end < 0:
                raise VariableError("a '${' has no '}'")
            out += (text[at:start], self._value(text[start + 2 : end], depth))
            at = end + 1
        out.append(text[at:])
        return "".join(out)

    def _value(self, inside: str, depth: int) -> str:
        if depth >= _MAX_DEPTH:
            raise VariableError(f"variables stand in defaults more than {_MAX_DEPTH} deep")
        if (editors := self._editors(inside)) is not None:
            return editors
        if inside.startswith("file:"):
            return _secret(self.place(self.expand(inside.removeprefix("file:"), depth + 1)))
        if inside.startswith("input:"):
            return self._input(inside)
        name, dash, default = inside.removeprefix("env:").removeprefix("localEnv:").partition(":-")
        if not _NAME.fullmatch(name):
            raise VariableError(f"${{{inside}}} is not understood; known are {_KNOWN}")
        value = self.environ.get(name)
        if value is None and name in _OF_THE_EDITOR:
            raise VariableError(f"${{{inside}}} is known to the editor alone; write what it stands for")
        if value is None and not dash:
            raise VariableError(f"the environment variable {name} is not set")
        return value or self.expand(default, depth + 1) if dash else value or ""

    def _editors(self, inside: str) -> str | None:
        known: Mapping[str, Callable[[], str]] = {
            "workspaceFolder": lambda: str(self.workspace),
            "workspaceRoot": lambda: str(self.workspace),
            "workspaceFolderBasename": lambda: self.workspace.name,
            "workspaceRootFolderName": lambda: self.workspace.name,
            "cwd": lambda: str(self.workspace),
            "userHome": lambda: str(Path.home()),
            "pathSeparator": lambda: os.sep,
            "/": lambda: os.sep,
        }
        name = self.workspace.name
        if inside == f"workspaceFolder:{name}":
            return str(self.workspace)
        return known[inside]() if inside in known else None

    def _input(self, inside: str) -> str:
        name = f"PORTICO_INPUT_{inside.removeprefix('input:')}".upper().replace("-", "_")
        if name not in self.environ:
            raise VariableError(f"${{{inside}}} asks for an input; set the environment variable {name} instead")
        return self.environ[name]

    def expand_all(
        self, value: Any, report: Callable[[tuple[str | int, ...], str], None], key: tuple[str | int, ...] = ()
    ) -> Any:
        """A tree with every string expanded; one that can't be is reported with its key and stays as it is."""
        if isinstance(value, dict):
            return {name: self.expand_all(item, report, (*key, name)) for name, item in value.items()}
        if isinstance(value, list):
            return [self.expand_all(item, report, (*key, index)) for index, item in enumerate(value)]
        if isinstance(value, str) and "${" in value:
            try:
                return self.expand(value)
            except VariableError as error:
                report(key, str(error))
        return value


def read_env_file(path: Path) -> dict[str, str]:
    """NAME=VALUE lines, as `docker --env-file` and dotenv write them: comments, quotes, `export`. Raises VariableError."""
    found: dict[str, str] = {}
    for number, line in enumerate(_text(path, MAX_ENV_FILE_BYTES).splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        parts = _ENV_LINE.fullmatch(line)
        if parts is None:
            raise VariableError(f"{path}:{number}: expected NAME=VALUE")
        found[parts[1]] = _unquoted(parts[2])
    return found


def _unquoted(value: str) -> str:
    quote = value[:1]
    if quote in ("'", '"') and (end := value.find(quote, 1)) > 0:
        inner = value[1:end]
        return inner if quote == "'" else inner.replace("\\n", "\n")
    return re.split(r"\s#", value, maxsplit=1)[0].strip()


def _secret(path: Path) -> str:
    return _text(path, MAX_SECRET_BYTES).removesuffix("\n").removesuffix("\r")


def _text(path: Path, limit: int) -> str:
    try:
        if not path.is_file():
            raise VariableError(f"there is no file {path}")
        with path.open("rb") as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise VariableError(f"{path} is larger than {limit >> 10} KiB")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise VariableError(f"{path} is not UTF-8 text") from None
    except (OSError, ValueError) as error:
        if isinstance(error, VariableError):
            raise
        raise VariableError(f"{path} can't be read: {getattr(error, 'strerror', None) or error}") from None


def _closing_brace(text: str, start: int) -> int:
    """Where the brace that was opened before `start` closes; -1 where it doesn't."""
    depth = 1
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return at
    return -1
