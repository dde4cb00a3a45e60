"""Brings what the questions are about into a folder of the user's cache, once, and says how each workspace is configured.

Trees come as source distributions through `pip download` and as npm packages through `npm pack`, each at one version and with
one digest; third-party servers are installed beside them, at one version. Nothing of it is ever committed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import platformdirs

from answers_material import odd, outside, registers, stores

CACHE = platformdirs.user_cache_path("portico-benchmarks") / "answers"


class Tree(NamedTuple):
    """A source distribution of PyPI, or a package of npm."""

    package: str
    version: str
    sha256: str  # of the archive
    npm: bool = False


TREES = {
    "attrs": Tree("attrs", "26.1.0", "d03ceb89cb322a8fd706d4fb91940737b6642aa36998fe130a9bc96c985eff32"),
    "cachetools": Tree("cachetools", "8.0.2", "30ac523adfc118b51d2b2e7bad8a0ddb31370dfe2700c7f10ca224f36ccf81e0"),
    "click": Tree("click", "8.5.1", "9bbfada76703fd1d784b83eea012e3e8c6a001a876543ef104fa56aaaeb072b4"),
    "commander": Tree("commander", "14.0.3", "5849703c500e0f324eb01340d8bda1f9ec48fc37bb7be9712eb0dd52aad92f6c", npm=True),
    "express": Tree("express", "5.3.0", "62450d99e36dc393295f1ddd93cb9291e658c169f3b700b0110c1ae8fa799930", npm=True),
    "flask": Tree("flask", "3.1.3", "0ef0e52b8a9cd932855379197dd8f94047b359ca0a78695144304cb45f87c9eb"),
    "httpcore": Tree("httpcore", "1.0.9", "6e34463af53fd2ab5d807f399a9b45ea31c3dfa2276f15a2c3f00afff6e176e8"),
    "jinja2": Tree("jinja2", "3.1.6", "0137fb05990d35f1275a587e9aee6d56da821fc83491a0fb838183be43f66d6d"),
    "pluggy": Tree("pluggy", "1.7.0", "d1eaa46ebb595891b860ab086b4d09c8588af65ebd4361b8e8f4bb8920b90ba8"),
    "requests": Tree("requests", "2.34.2", "f288924cae4e29463698d6d60bc6a4da69c89185ad1e0bcc4104f584e960b9ed"),
    "sqlite-utils": Tree("sqlite-utils", "4.2.1", "76114b6a5414714e6c70e5fa5c4781b301b590f6951b5da39c8cc60c21382ba1"),
    "starlette": Tree("starlette", "1.10.0", "b8399098d4c1e3522734f7235dc79b1fc967f96cf139c81e0fa30479e0685f9b"),
    "tenacity": Tree("tenacity", "9.2.1", "a606b5c808d0cded4a359d5b9932d867ff2a6a6b64d37350260fd01bbdf83839"),
    "tomlkit": Tree("tomlkit", "0.15.2", "83e32755ba1d20d9340bd069ee97e9f6232ba2346b63ffcba425de01f7e327a6"),
    "uvicorn": Tree("uvicorn", "0.54.0", "a2e33cbfaa0306f8e6b0c13e0cb89d7d7a2da3e62b90c66e18c33d9807b28620"),
}
CODE = ("starlette", "requests", "tomlkit", "httpcore", "pluggy", "express", "jinja2")
CODE += ("cachetools", "commander", "tenacity", "uvicorn")  # of the part `packages`
DOCS = {
    "flask-docs": "flask",
    "click-docs": "click",
    "sqlite-utils-docs": "sqlite-utils",
    "attrs-docs": "attrs",
    "jinja-docs": "jinja2",
}
# Database -> who writes it, and the digest of its dump.
DATABASES: dict[str, tuple[Callable[[sqlite3.Connection], None], str]] = {
    "music": (stores.music, "266e801acebf0396dbf70dd3667f75b87422ae505870ad9adeb3dfc94bc1f9df"),
    "film": (stores.film, "cace055f7009fa6894e1eacb09071ac5ae5c04691e7cd4da1ab56516bebc8141"),
    "orders": (stores.orders, "60238823f4cafe4eedef38192d81cdcff3ee2070fcd33ca5cb266b5b60041f40"),
    "library": (registers.library, "6df372767a7161970dcb9ac375ac61c69cce80fbcd9a92f0cef3d60a526f6dcf"),
    "school": (registers.school, "af9f80f1d9589f877bfa2e90dd469982f70219f9dafe60e2d606208e3f76fafa"),
    "sensors": (registers.sensors, "2bf264aa2e2434879c37532f8954dcb3e400048838409b500575e29070e50405"),
    "helpdesk": (odd.helpdesk, "843b8d91e49f98aba7ebf54565f599d025ac5709926eb9e05a15e7ef661c24ec"),
    "practice": (odd.practice, "3b39379bf6d8638e13aac4fa111bd32cc23d2ae8026b75e0bc7cf4b17729bba5"),
    "bikes": (outside.bikes, "0d92c10039fcede27a3733e32d61fd97324226c4237515cda92041a1bab13555"),
}
PIP_SERVERS = ("mcp-server-git==2026.10.19", "mcp-server-time==2026.10.19")
OLD_PIP_SERVERS = ("mcp-server-sqlite==2025.4.25", "mcp-server-calculator==0.2.1")  # they need an SDK before version 2
NPM_SERVERS = tuple(f"@modelcontextprotocol/server-{name}@2026.8.31" for name in ("filesystem", "memory", "everything"))
OUTSIDE = {
    "office": ("files", "memory", "time"),
    "tally": ("git", "calculator"),
    "bikes": ("shop", "everything"),
    "studio": ("studio",),
}
AREAS = {**dict.fromkeys(CODE, "code"), **dict.fromkeys(DOCS, "docs"), **dict.fromkeys(OUTSIDE, "third_party")}
AREAS |= {name: "db" for name in DATABASES if name != "bikes"}


class Workspace(NamedTuple):
    """Where `portico ask` is started, and with which options."""

    name: str
    root: Path  # where evidence files are looked up, and the working directory
    options: tuple[str, ...]  # of `portico ask`
    database: Path | None = None


def workspace(name: str) -> Workspace:
    if name in TREES:
        return Workspace(name, tree_folder(name), ("--root", str(tree_folder(name))))
    if name in DOCS:
        root = tree_folder(DOCS[name])
        return Workspace(name, root, ("--root", str(root), "--docs", str(root / "docs")))
    if name in OUTSIDE:
        database = CACHE / "outside" / "bikes.db" if name == "bikes" else None
        return Workspace(name, CACHE / "outside", ("--config", str(config_file(name))), database)
    folder = CACHE / "databases" / name
    return Workspace(name, folder, ("--root", str(folder), "--db", str(folder / f"{name}.db")), folder / f"{name}.db")


def tree_folder(name: str) -> Path:
    return CACHE / "trees" / f"{name}-{TREES[name].version}"


def config_file(name: str) -> Path:
    return CACHE / "outside" / f"{name}.toml"


def bring(say: Callable[[str], None] = lambda _: None) -> None:
    """Bring whatever is not there yet. Raises SystemExit where a digest is not the pinned one."""
    bring_trees(say)
    bring_databases(say)
    servers = _bring_servers(say)
    _write_outside(servers)


def bring_databases(say: Callable[[str], None] = lambda _: None) -> None:
    """The databases alone."""
    for name, (write, digest) in DATABASES.items():
        path = CACHE / "outside" / "bikes.db" if name == "bikes" else CACHE / "databases" / name / f"{name}.db"
        if not path.is_file() or _dump_digest(path) != digest:
            say(f"writing {name}.db")
            _write_database(path, write)
            if (found := _dump_digest(path)) != digest:
                raise SystemExit(f"{path}: the digest of the dump is {found}, and should be {digest}")


def bring_trees(say: Callable[[str], None] = lambda _: None) -> None:
    """The source trees and documentations alone."""
    for name in TREES:
        if not tree_folder(name).is_dir():
            say(f"bringing {name}")
            _bring_tree(name)


def _bring_tree(name: str) -> None:
    tree = TREES[name]
    archives = CACHE / "archives" / name
    shutil.rmtree(archives, ignore_errors=True)
    archives.mkdir(parents=True)
    if tree.npm:
        command = ["npm", "pack", "--silent", f"{tree.package}@{tree.version}", "--pack-destination", str(archives)]
    else:
        options = ["--no-deps", "--no-binary", tree.package, "-q", "-d", str(archives)]
        command = [sys.executable, "-m", "pip", "download", *options, f"{tree.package}=={tree.version}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    [archive] = archives.iterdir()
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != tree.sha256:
        raise SystemExit(f"{archive}: the digest is {found}, and should be {tree.sha256}")
    with tarfile.open(archive) as packed:
        packed.extractall(archives, filter="data")
    [unpacked] = (path for path in archives.iterdir() if path.is_dir())
    tree_folder(name).parent.mkdir(parents=True, exist_ok=True)
    unpacked.rename(tree_folder(name))


def _write_database(path: Path, write: Callable[[sqlite3.Connection], None]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    write(connection)
    connection.commit()
    connection.close()


def _dump_digest(path: Path) -> str:
    connection = sqlite3.connect(path)
    text = "\n".join(connection.iterdump())
    connection.close()
    return hashlib.sha256(text.encode()).hexdigest()


def _bring_servers(say: Callable[[str], None]) -> dict[str, list[str]]:
    """The command of each third-party server."""
    folder = CACHE / "servers"
    for name, packages in (("pip", PIP_SERVERS), ("old-pip", OLD_PIP_SERVERS)):
        if not (folder / name / "ready").is_file():
            say(f"bringing {', '.join(packages)}")
            subprocess.run([sys.executable, "-m", "venv", str(folder / name)], check=True)
            python = folder / name / "bin" / "python"
            subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages], check=True)
            (folder / name / "ready").touch()
    npm = folder / "npm"
    if not (npm / "ready").is_file():
        say(f"bringing {', '.join(NPM_SERVERS)}")
        npm.mkdir(parents=True, exist_ok=True)
        (npm / "package.json").write_text("{}")
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
        subprocess.run(["npm", "install", *options, *NPM_SERVERS], check=True, cwd=npm)
        (npm / "ready").touch()
    work = CACHE / "outside"
    node = shutil.which("node") or "node"
    script = lambda name: str(npm / "node_modules" / "@modelcontextprotocol" / f"server-{name}" / "dist" / "index.js")  # noqa: E731
    return {
        "files": [node, script("filesystem"), str(work / "notes")],
        "memory": [node, script("memory")],
        "everything": [node, script("everything")],
        "time": [str(folder / "pip" / "bin" / "mcp-server-time"), "--local-timezone", "UTC"],
        "git": [str(folder / "pip" / "bin" / "mcp-server-git")],
        "shop": [str(folder / "old-pip" / "bin" / "mcp-server-sqlite"), "--db-path", str(work / "bikes.db")],
        "calculator": [str(folder / "old-pip" / "bin" / "mcp-server-calculator")],
        "studio": [sys.executable, str(Path(__file__).with_name("studio_server.py"))],
    }


# What these servers do not mark as read-only although it is; a user allows it once.
READ_ONLY = ("shop__read_query", "shop__list_tables", "shop__describe_table", "calculator__calculate")


def _write_outside(servers: dict[str, list[str]]) -> None:
    work = CACHE / "outside"
    for place in ("notes", "tally"):
        shutil.rmtree(work / place, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    outside.notes(work / "notes")
    outside.memory(work / "memory.jsonl")
    outside.repository(work / "tally")
    for name, used in OUTSIDE.items():
        lines = [f"[policy]\nread_only = {json.dumps([tool for tool in READ_ONLY if tool.partition('__')[0] in used])}\n"]
        for server in used:
            command, *args = servers[server]
            lines.append(
                f"[servers.{server}]\ncommand = {json.dumps(command)}\nargs = {json.dumps(args)}\ncwd = {json.dumps(str(work))}"
            )
            env = {"PATH": os.environ.get("PATH", os.defpath)}
            if server == "memory":
                env["MEMORY_FILE_PATH"] = str(work / "memory.jsonl")
            lines.append("env = {" + ", ".join(f"{k} = {json.dumps(v)}" for k, v in env.items()) + "}\n")
        config_file(name).write_text("\n".join(lines))
