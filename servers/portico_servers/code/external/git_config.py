"""The configuration that git runs with on a store of ours: our own, and the plain values that it takes over from the user's and
the repository's. Their files are read by `git config` as data; nothing in them is run or followed but the user's own includes.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

CONFIG_SECONDS = 5.0  # to read a configuration file: milliseconds
_BIG_FILE = "16m"  # beyond it git says that files differ, not how
_MAX_KNOWN = 100  # configurations
# Plain values: none of them is a program, a path or an address.
_TAKEN_OVER = frozenset(
    {
        "core.repositoryformatversion",
        "extensions.objectformat",
        "extensions.refstorage",
        "core.autocrlf",
        "core.eol",
        "core.filemode",
        "core.ignorecase",
        "core.symlinks",
        "core.precomposeunicode",
        "core.trustctime",
        "core.checkstat",
    }
)
_OURS = {
    "core.bare": "false",
    "core.fsmonitor": "false",
    "core.untrackedcache": "false",
    "core.hookspath": os.devnull,
    "core.attributesfile": os.devnull,
    "core.pager": "cat",
    "core.quotepath": "false",
    "core.bigfilethreshold": _BIG_FILE,
    "core.safecrlf": "false",
    "diff.external": "",
    "protocol.allow": "never",
    "submodule.recurse": "false",
    "gc.auto": "0",
}
_settings: dict[tuple[object, ...], dict[str, str]] = {}  # of configurations, by the files' state; see `_known_config`


def plain_values(program: str, directory: Path, environment: Mapping[str, str], repository: Path) -> dict[str, str]:
    """Values of the user's configuration and, over them, of the one at `repository`. `directory` is a git directory of ours,
    `environment` one in which git reads nobody's configuration."""
    command = [program, "config", "--includes", "--list", "-z"]
    mine = _known_config(_users_files(), command, directory, users_environment(directory))
    values = {key: value for key, value in mine.items() if key in _TAKEN_OVER}
    values["core.excludesfile"] = os.path.expanduser(mine.get("core.excludesfile", _default_excludes()))
    if os.path.lexists(repository):
        path = os.path.realpath(repository)
        command = [program, "config", "--file", path, "--no-includes", "--list", "-z"]
        theirs = _known_config([path], command, directory, environment)
        values |= {key: value for key, value in theirs.items() if key in _TAKEN_OVER}
    return values


def users_environment(directory: Path) -> dict[str, str]:
    """With the user's own configuration, which a workspace can't write; for reading values of it alone."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return {**kept, "GIT_DIR": str(directory), "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def _default_excludes() -> str:
    """Where git looks for the user's own ignore rules if they name no file."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return os.path.join(home, "git", "ignore")


def _users_files() -> list[str]:
    """Where the user's and the system's configuration usually stands."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return [os.path.expanduser("~/.gitconfig"), os.path.join(home, "git", "config"), "/etc/gitconfig"]


def _known_config(
    files: Sequence[str], command: Sequence[str], directory: Path, environment: Mapping[str, str]
) -> dict[str, str]:
    """As `_list_config`, asked once for each state of these files."""
    state: list[object] = [*files]
    for file in files:
        try:
            known = os.stat(file)
            state += [known.st_ino, known.st_size, known.st_mtime_ns]
        except OSError:
            state.append(None)
    key = tuple(state)
    if key not in _settings:
        if len(_settings) >= _MAX_KNOWN:
            _settings.clear()
        _settings[key] = _list_config(command, directory, environment)
    return _settings[key]


def _list_config(command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Keys, in lower case, and values. A file that can't be parsed has none."""
    found: dict[str, str] = {}
    with suppress(subprocess.TimeoutExpired, OSError):
        done = subprocess.run(
            command,
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=CONFIG_SECONDS,
        )
        for item in done.stdout.split(b"\0"):
            key, _, value = item.decode("utf-8", "surrogateescape").partition("\n")
            found[key.lower()] = value or "true"
    return found


def write_config(directory: Path, values: Mapping[str, str]) -> None:
    """Write the configuration of a git directory of ours: these values, and over them those that keep everything still."""
    lines = []
    for key, value in {"core.repositoryformatversion": "0", **values, **_OURS}.items():
        section, _, name = key.partition(".")
        quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        lines.append(f'[{section}]\n\t{name} = "{quoted}"\n')
    (directory / "config").write_text("".join(lines), encoding="utf-8", errors="surrogateescape")
