"""Which hosts there are: how each writes a server, and where its files lie on this system.

The names of keys and places of files are those of each host's own documentation, as of November 2026. Nothing here reads a
file.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Scope = Literal["project", "user"]
HostName = Literal["claude-desktop", "claude-code", "vscode", "cursor", "windsurf", "zed", "codex", "gemini"]


@dataclass(frozen=True, slots=True)
class Host:
    """How one host writes its servers. `key`: under which its file keeps them; `extra`: what each entry has beside the command.

    `project`: its file within a folder; `user`: its file for everything, by `sys.platform` ("" for all others), in which
    variables are written as $NAME. `url_key`: how an entry names a server that runs, where the host takes one.
    """

    name: HostName
    title: str
    key: str
    user: Mapping[str, str]
    project: str | None = None
    url_key: str | None = "url"
    typed: bool = False
    toml: bool = False
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """Where its servers may be written; the first where nobody says: an entry is about one folder."""
        return ("project", "user") if self.project is not None else ("user",)

    def file(self, scope: Scope, folder: Path, environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
        """Its file, there or not. `folder` is the project's."""
        if scope == "project":
            assert self.project is not None
            return folder / self.project
        return Path(_expanded(self.user.get(platform, self.user[""]), environ))


def _expanded(place: str, environ: Mapping[str, str]) -> str:
    """A place with its first part, a variable, filled in; where that isn't set, with what it is by default."""
    head, _, rest = place.partition("/")
    home = environ.get("HOME") or environ.get("USERPROFILE") or os.path.expanduser("~")
    default = {
        "$HOME": home,
        "$XDG_CONFIG_HOME": f"{home}/.config",
        "$APPDATA": f"{home}/AppData/Roaming",
        "$CODEX_HOME": f"{home}/.codex",
        "$CLAUDE_CONFIG_DIR": home,
    }
    return f"{environ.get(head[1:]) or default[head]}/{rest}"


HOSTS: dict[str, Host] = {
    host.name: host
    for host in (
        Host(
            "claude-desktop",
            "Claude Desktop",
            "mcpServers",
            {
                "darwin": "$HOME/Library/Application Support/Claude/claude_desktop_config.json",
                "win32": "$APPDATA/Claude/claude_desktop_config.json",
                "": "$XDG_CONFIG_HOME/Claude/claude_desktop_config.json",
            },
            url_key=None,
        ),
        Host("claude-code", "Claude Code", "mcpServers", {"": "$CLAUDE_CONFIG_DIR/.claude.json"}, ".mcp.json", typed=True),
        Host(
            "vscode",
            "VS Code",
            "servers",
            {
                "darwin": "$HOME/Library/Application Support/Code/User/mcp.json",
                "win32": "$APPDATA/Code/User/mcp.json",
                "": "$XDG_CONFIG_HOME/Code/User/mcp.json",
            },
            ".vscode/mcp.json",
            typed=True,
        ),
        Host("cursor", "Cursor", "mcpServers", {"": "$HOME/.cursor/mcp.json"}, ".cursor/mcp.json"),
        Host("windsurf", "Windsurf", "mcpServers", {"": "$HOME/.codeium/windsurf/mcp_config.json"}, url_key="serverUrl"),
        Host(
            "zed",
            "Zed",
            "context_servers",
            {
                "darwin": "$HOME/.config/zed/settings.json",
                "win32": "$APPDATA/Zed/settings.json",
                "": "$XDG_CONFIG_HOME/zed/settings.json",
            },
            ".zed/settings.json",
            extra={"source": "custom"},
        ),
        Host("codex", "Codex", "mcp_servers", {"": "$CODEX_HOME/config.toml"}, toml=True),
        Host("gemini", "Gemini CLI", "mcpServers", {"": "$HOME/.gemini/settings.json"}, ".gemini/settings.json", "httpUrl"),
    )
}
