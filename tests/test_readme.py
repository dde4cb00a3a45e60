"""README and the pages that it leads to say what is: commands and options exist, links lead somewhere, the tree is the tree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from portico_gateway.cli.commands import ask
from portico_gateway.cli.main import cli

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    ROOT / "README.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "deploy").rglob("*.md")),
]
ASK = (ROOT / "docs/ask.md").read_text(encoding="utf-8")


def test_every_command_that_the_pages_name_exists() -> None:
    import click

    assert isinstance(cli, click.Group)
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"(?:`|\$ )portico ([a-z]+)\b", text))
    assert {"ask", "serve", "stdio", "config", "models", "policy", "tune", "trust"} <= named
    for name in named:
        assert cli.get_command(click.Context(cli), name) is not None, name


def test_every_option_of_ask_that_its_page_names_exists() -> None:
    options = {opt for param in ask.command.params for opt in param.opts}
    section = ASK.split("## Options and exit codes")[1].split("\n## ")[0]
    assert set(re.findall(r"--[a-z-]+", section)) <= options


def test_exit_codes_on_its_page_are_those_of_the_help() -> None:
    assert ask.command.epilog is not None
    codes = re.findall(r"(\d+) (\w+)", ask.command.epilog)
    for code, word in codes:
        assert f"{code} {word}" in ASK


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_repository_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert not [target for target in targets if "://" not in target and not (page.parent / target).exists()]


def test_readme_leads_to_every_page() -> None:
    pages = {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}
    told = "\n".join(page.read_text(encoding="utf-8") for page in PAGES if page.parent in (ROOT, ROOT / "docs"))
    assert not [page for page in pages if f"({page})" not in README and f"({page.removeprefix('docs/')}" not in told]


def _tree() -> dict[str, str]:
    """The annotated tree: folder -> its line's words."""
    block = README.split("## The tree")[1].split("```")[1]
    found: dict[str, str] = {}
    above: list[str] = []
    for line in block.strip().split("\n"):
        indent, name, words = re.fullmatch(r"( *)(\S+/) +(\S.*)", line).groups()  # type: ignore[union-attr]
        above = [*above[: len(indent) // 2], name]
        found["".join(above)] = words
    return found


def test_the_annotated_tree_has_one_line_for_each_folder() -> None:
    packages = ("engine/portico_engine", "gateway/portico_gateway", "servers/portico_servers")
    folders = {f"{file.parent.relative_to(ROOT)}/" for package in packages for file in (ROOT / package).rglob("__init__.py")}
    others = {
        f"{name}/" for name in ("tests", "benchmarks", "checks", "packaging", "inspector-fixtures", "deploy", "demo", "docs")
    }
    assert all((ROOT / name).is_dir() for name in others)
    assert set(_tree()) == folders | others


def test_readme_names_every_console_script() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert {"portico", "portico-code", "portico-docs", "portico-db"} <= set(scripts)
    for name in scripts:
        assert name in README
