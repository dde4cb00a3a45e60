"""README says what is: its commands exist, its tree is the tree, its tables name what the servers offer."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from portico_gateway.cli.commands import ask
from portico_gateway.cli.main import cli

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_command_that_readme_names_exists() -> None:
    import click

    assert isinstance(cli, click.Group)
    named = set(re.findall(r"`?portico (ask|serve|stdio|server|config|grammar|doctor|model)\b", README))
    assert {"ask", "serve", "stdio", "config"} <= named
    for name in named:
        assert cli.get_command(click.Context(cli), name) is not None, name


def test_every_option_of_ask_that_readme_names_exists() -> None:
    options = {opt for param in ask.command.params for opt in param.opts}
    section = README.split("## Ask")[1].split("\n## ")[0]
    assert set(re.findall(r"--[a-z-]+", section)) <= options


def test_exit_codes_in_readme_are_those_of_the_help() -> None:
    assert ask.command.epilog is not None
    codes = re.findall(r"(\d+) (\w+)", ask.command.epilog)
    for code, word in codes:
        assert f"{code} {word}" in README


@pytest.mark.parametrize("line", re.findall(r"^(?:engine|gateway|servers)/\S+", README, re.MULTILINE))
def test_every_folder_of_the_annotated_tree_exists(line: str) -> None:
    assert (ROOT / line).is_dir()


def test_readme_names_every_console_script() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert {"portico", "portico-code", "portico-docs", "portico-db"} <= set(scripts)
    for name in scripts:
        assert name in README
