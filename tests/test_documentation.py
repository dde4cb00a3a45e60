"""The documentation says what is: every file that it names exists, every folder has its line, every decision its date."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("engine/portico_engine", "gateway/portico_gateway", "servers/portico_servers")
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
DECISIONS = ROOT / "docs/decisions"


def _folders() -> list[Path]:
    """Every package of the three, the roots among them."""
    found = [file.parent for package in PACKAGES for file in (ROOT / package).rglob("__init__.py")]
    return sorted(found)


def _modules(folder: Path) -> set[str]:
    """What a file map must list: modules as `name.py`, packages as `name/`."""
    files = {file.name for file in folder.glob("*.py")} - {"__init__.py", "__main__.py"}
    return files | {f"{child.name}/" for child in folder.iterdir() if (child / "__init__.py").is_file()}


def test_every_file_that_the_architecture_names_exists() -> None:
    named = set(re.findall(r"`((?:engine|gateway|servers|tests)/[^`\s]+)`", ARCHITECTURE))
    assert len(named) > 40
    assert not [name for name in named if not (ROOT / name).exists()]


def test_the_architecture_tells_four_lives_in_eight_to_ten_steps_each() -> None:
    lives = re.split(r"^## The life of ", ARCHITECTURE, flags=re.MULTILINE)[1:]
    assert [life.split("\n")[0] for life in lives] == [
        "a question",
        "a tools/call from a host",
        "a schema, to its mask",
        "a block of KV",
    ]
    for life in lives:
        assert 8 <= len(re.findall(r"^\d+\. ", life, re.MULTILINE)) <= 10


@pytest.mark.parametrize("folder", _folders(), ids=lambda folder: str(folder.relative_to(ROOT)))
def test_every_package_maps_its_modules(folder: Path) -> None:
    """A line begins with what it is about, a module or more of them, `name.py  what it owns`; none is left out or made up."""
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    lines = re.findall(r"^ *((?:\w+(?:\.py|/)(?: {2,}|, ))+)\S", text, re.MULTILINE)
    mapped = [name for line in lines for name in re.findall(r"\w+(?:\.py|/)", line)]
    assert len(mapped) == len(set(mapped))
    assert set(mapped) - {"__main__.py"} == _modules(folder)


@pytest.mark.parametrize("file", sorted(DECISIONS.glob("[!R]*.md")), ids=lambda file: file.stem)
def test_every_decision_is_dated_and_in_the_index(file: Path) -> None:
    index = (DECISIONS / "README.md").read_text(encoding="utf-8")
    entries = re.split(r"^## ", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert entries
    for entry in entries:
        title, _, rest = entry.partition("\n")
        dated = re.match(r"\n\*(\d{4}-\d\d-\d\d)\*\n", rest)
        assert dated, title
        assert f"- {dated[1]} {title}\n" in index
