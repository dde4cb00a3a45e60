"""What deploy/ ships is well-formed, and names only what there is: series, options, keys of the configuration."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from portico_gateway.cli.commands.serve import command as serve
from portico_gateway.config.portico_config import PorticoConfig

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"


def test_every_series_of_the_dashboard_is_one_that_metrics_has() -> None:
    board = json.loads((DEPLOY / "grafana" / "portico.json").read_text())
    middleware = ROOT / "gateway/portico_gateway/http/middleware"
    source = "".join((middleware / name).read_text() for name in ("metrics.py", "model_metrics.py"))
    named = {
        name for panel in board["panels"] for each in panel["targets"] for name in re.findall(r"portico_\w+", each["expr"])
    }
    there = {name.removesuffix("_total").removesuffix("_bucket") for name in named}
    assert len(named) > 12
    assert {name for name in there if f'"{name}"' not in source} == set()


@pytest.mark.parametrize("file", sorted(DEPLOY.rglob("*.toml")), ids=str)
def test_configurations_are_taken(file: Path) -> None:
    PorticoConfig.model_validate(tomllib.loads(file.read_text()))


@pytest.mark.parametrize("file", sorted(DEPLOY.rglob("*.yaml")), ids=str)
def test_manifests_can_be_read(file: Path) -> None:
    documents = list(yaml.safe_load_all(file.read_text()))
    assert all(documents)
    assert file.parent.name == "llm-d" or len(documents) == 1


def test_the_service_and_the_images_start_portico_by_options_that_it_has() -> None:
    options = {option for parameter in serve.params for option in parameter.opts}
    for file in (DEPLOY / "systemd" / "portico.service", *(DEPLOY / "docker").iterdir(), DEPLOY / "llm-d" / "portico.yaml"):
        lines = [line for line in file.read_text().splitlines() if re.match(r"(ExecStart|CMD|\s+args:).*serve", line)]
        assert lines, file
        assert {option for line in lines for option in re.findall(r"--[a-z-]+", line)} <= options, file


def test_the_images_copy_what_the_package_is_built_from() -> None:
    for file in (DEPLOY / "docker").iterdir():
        copied = {
            name for line in re.findall(r"^COPY (?!--)(.*)", file.read_text(), re.MULTILINE) for name in line.split()[:-1]
        }
        assert all((ROOT / name).exists() for name in copied)
        assert {"pyproject.toml", "engine", "gateway", "servers", "README.md", "LICENSE"} <= copied
