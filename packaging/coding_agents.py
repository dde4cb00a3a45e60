"""Puts coding agents of npm into .venv/clients, for tests/end_to_end/test_coding_agents.py.

usage: .venv/bin/python packaging/coding_agents.py NAME...   (codex, opencode, claude)

An agent is a package whose optional dependencies hold its binary for each platform. npm would take every one that runs here: of
opencode's, one for each set of instructions of the CPU. The one for this platform is enough, and the package's own script links
it, once both have the digests that packaging/coding_agents.json names. What is there already at its pinned version is left as
it is. A package that the registry does not have, or whose binary for this platform has no digest there, is named in
.venv/clients/.missing, and its test is skipped with that reason.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import shutil
import sys
from pathlib import Path

from npm_packages import FOLDER, NpmError, npm

AGENTS = {
    "claude": "@anthropic-ai/claude-code@2.1.332",
    "codex": "@openai/codex@0.171.0",
    "opencode": "opencode-ai@1.18.33",
}
UNUSED = {"codex": ("codex-resources", "bin/codex-code-mode-host*")}  # voice, and a host for the model's code: 120 MB
PLACE = Path(__file__).resolve().parent.parent / ".venv" / "clients"
MODULES = PLACE / "node_modules"
DIGESTS: dict[str, str] = json.loads((FOLDER / "coding_agents.json").read_text())  # by NAME@VERSION, as npm has them
_ARCHITECTURES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
_NOT_THERE = re.compile(r"E404|ETARGET")


def binary(package: str) -> str:
    """What holds the binary for this platform, as npm takes it: NAME@VERSION."""
    found: dict[str, str] = json.loads((MODULES / package / "package.json").read_text())["optionalDependencies"]
    machine = platform.machine().lower()
    ending = f"-{sys.platform}-{_ARCHITECTURES.get(machine, machine)}"
    for name, version in found.items():
        if name.endswith(ending):
            return f"{name}@{version}"
    raise NpmError(f"E404: {package} has no binary for this platform ({ending[1:]})")


def check_digests(modules: Path) -> None:
    """All that npm installed there: it has compared what it unpacked with what the registry says, whom nobody has asked yet.
    Removes what has another digest than ours, or none, and raises NpmError: no script of it was run.
    """
    found: dict[str, dict[str, str]] = json.loads((modules / ".package-lock.json").read_text())["packages"]
    for place, package in found.items():
        name = place.rpartition("node_modules/")[2]
        known = f"{package.get('name', name)}@{package['version']}"
        digest = package.get("integrity", "none")
        if DIGESTS.get(known) != digest:
            shutil.rmtree(modules / name, ignore_errors=True)
            raise NpmError(f"{known} has the digest {digest}, and must have {DIGESTS.get(known, 'one that is known')}")


def install(name: str) -> None:
    """Raises NpmError."""
    package = AGENTS[name].rpartition("@")[0]
    bare = ("--ignore-scripts", "--omit=optional")
    npm("install", *bare, AGENTS[name], place=PLACE)
    wanted = binary(package)
    if wanted.rpartition("npm:")[2] not in DIGESTS:
        raise NpmError(f"E404: packaging/coding_agents.json has no digest of {wanted}")
    npm("install", *bare, wanted, place=PLACE)
    check_digests(MODULES)
    npm("rebuild", package, place=PLACE)
    for pattern in UNUSED.get(name, ()):
        for path in MODULES.glob(f"{package}-*/vendor/*/{pattern}"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("agents", nargs="+", choices=AGENTS, metavar="NAME", help=", ".join(AGENTS))
    for name in parser.parse_args().agents:
        stamp = PLACE / f".{name}"
        if stamp.exists() and stamp.read_text() == AGENTS[name]:
            continue
        try:
            install(name)
        except NpmError as error:
            if not _NOT_THERE.search(str(error)):
                sys.exit(f"{AGENTS[name]}: {error}")
            print(f"==> not in .venv/clients: {AGENTS[name]}: {error}", file=sys.stderr)
            with (PLACE / ".missing").open("a") as missing:
                missing.write(f"{AGENTS[name]}: {str(error).splitlines()[0]}\n")
        else:
            stamp.write_text(AGENTS[name])


if __name__ == "__main__":
    main()
