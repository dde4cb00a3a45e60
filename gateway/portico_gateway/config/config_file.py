"""Which configuration file counts, and its bytes, read once: what was judged is what is used.

A file that was named (`--config`, PORTICO_CONFIG) counts; then one in the workspace, if a person trusts this content of it;
then the one in the user's config folder.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from portico_gateway.config.trust import AskTrust, WorkspaceConfig, is_trusted, say_left_out
from portico_gateway.errors import ConfigError

FILE_NAME = "portico.toml"
MAX_BYTES = 4 << 20  # a configuration of a person's is a thousandth of it


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The file that counts."""

    path: Path
    text: str

    @property
    def is_json(self) -> bool:
        """A host's server list, and not portico.toml."""
        return self.path.suffix.lower() == ".json"

    @property
    def folder(self) -> Path:
        """From which its relative paths count."""
        return self.path.absolute().parent

    @property
    def workspace(self) -> Path:
        """The folder that an editor has open which keeps this file."""
        return self.folder.parent if self.folder.name in (".vscode", ".cursor", ".roo", ".zed") else self.folder


def user_file() -> Path:
    """The file in the user's config folder, there or not."""
    return platformdirs.user_config_path("portico") / FILE_NAME


def workspace_file(folder: Path | None = None) -> Path | None:
    """portico.toml in `folder` (default: the working directory); None where there is none, or where it is the user's own."""
    path = (folder or Path.cwd()) / FILE_NAME
    if not is_there(path) or os.path.realpath(path) == os.path.realpath(user_file()):
        return None
    return path


def is_there(path: Path) -> bool:
    """Whether something has this name, be it unreadable, a folder or a link that leads nowhere: it is to be read, and what is
    wrong said, since whoever goes on without it goes on without its rules."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        return error.errno != errno.ELOOP  # a folder on the way that leads nowhere has nothing in it
    except ValueError:
        return True
    return True


def named_file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file that the user named, by option or environment."""
    return path or (Path(environ["PORTICO_CONFIG"]) if environ.get("PORTICO_CONFIG") else None)


def find_config(
    path: Path | None = None,
    *,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
    ask: AskTrust = say_left_out,
) -> ConfigFile | None:
    """The file that counts. `ask` hears of a workspace's that isn't trusted yet. Raises ConfigError."""
    named = named_file(path, os.environ if environ is None else environ)
    if named is not None:
        return _decoded(named, read_bytes(named))
    if (found := workspace_file(folder)) is not None:
        candidate = WorkspaceConfig(found, read_bytes(found))
        if is_trusted(candidate) or ask(candidate):
            return _decoded(found, candidate.content)
    own = user_file()
    return _decoded(own, read_bytes(own)) if is_there(own) else None


def read_bytes(path: Path, *, most: int = MAX_BYTES) -> bytes:
    """The whole file, of at most so many bytes. Raises ConfigError."""
    try:
        if path.exists() and not path.is_file():
            raise ConfigError("this is no file, so it can't be the configuration", path=path)
        with path.open("rb") as file:
            content = file.read(most + 1)
    except FileNotFoundError:
        what = "this is a link that leads nowhere" if path.is_symlink() else "there is no such configuration file"
        raise ConfigError(what, path=path) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"can't read the configuration: {getattr(error, 'strerror', None) or error}", path=path) from None
    if len(content) > most:
        raise ConfigError(f"a configuration may have at most {most >> 20} MiB", path=path)
    return content


def _decoded(path: Path, content: bytes) -> ConfigFile:
    try:
        return ConfigFile(path, content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"can't read the configuration: it is not UTF-8 text (byte {error.start})", path=path) from None
