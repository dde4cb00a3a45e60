"""What the MCP registry and hosts are given: server.json and .mcpb bundles agree with the servers and with pyproject.toml."""

from __future__ import annotations

import ast
import importlib.util
import json
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
from fixture_calls import ANSWERS

ROOT = Path(__file__).parents[1]
SERVERS = ("code", "docs", "db")

_TEXT = {"type": "string", "minLength": 1}
_ARGUMENT = {
    "type": "object",
    "properties": {
        "type": {"const": "positional"},
        "value": _TEXT,
        "valueHint": _TEXT,
        "description": _TEXT,
        "format": {"enum": ["string", "number", "boolean", "filepath"]},
        "isRequired": {"type": "boolean"},
        "isRepeated": {"type": "boolean"},
    },
    "required": ["type"],
    "anyOf": [{"required": ["value"]}, {"required": ["valueHint"]}],
    "additionalProperties": False,
}
# The rules of the registry's format of 2025-12-11 that our files use.
SERVER_JSON = {
    "type": "object",
    "properties": {
        "$schema": {"const": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"},
        "name": {"type": "string", "pattern": "^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$", "maxLength": 200},
        "title": {**_TEXT, "maxLength": 100},
        "description": {**_TEXT, "maxLength": 100},
        "version": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
        "packages": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "registryType": {"const": "pypi"},
                    "identifier": _TEXT,
                    "version": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
                    "runtimeHint": {"const": "uvx"},
                    "transport": {"const": {"type": "stdio"}},
                    "packageArguments": {"type": "array", "items": _ARGUMENT},
                },
                "required": ["registryType", "identifier", "version", "transport"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["$schema", "name", "description", "version", "packages"],
    "additionalProperties": False,
}
# The rules of bundle manifests 0.4 that ours use.
MANIFEST = {
    "type": "object",
    "properties": {
        "manifest_version": {"const": "0.4"},
        "name": {"type": "string", "pattern": "^[a-z-]+$"},
        "display_name": _TEXT,
        "version": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
        "description": _TEXT,
        "long_description": _TEXT,
        "author": {"type": "object", "required": ["name"], "properties": {"name": _TEXT}, "additionalProperties": False},
        "license": {"const": "Apache-2.0"},
        "keywords": {"type": "array", "items": _TEXT},
        "server": {
            "type": "object",
            "properties": {
                "type": {"const": "uv"},
                "entry_point": {"type": "string", "pattern": r"\.py$"},
                "mcp_config": {
                    "type": "object",
                    "properties": {
                        "command": {"const": "uv"},
                        "args": {"type": "array", "items": _TEXT},
                        "env": {"type": "object", "additionalProperties": {"type": "string"}},
                    },
                    "required": ["command", "args"],
                    "additionalProperties": False,
                },
            },
            "required": ["type", "entry_point", "mcp_config"],
            "additionalProperties": False,
        },
        "tools": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": _TEXT, "description": _TEXT},
                "required": ["name", "description"],
                "additionalProperties": False,
            },
        },
        "tools_generated": {"type": "boolean"},
        "prompts_generated": {"type": "boolean"},
        "user_config": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "type": {"enum": ["directory", "file"]},
                    "title": _TEXT,
                    "description": _TEXT,
                    "required": {"const": True},
                    "multiple": {"type": "boolean"},
                },
                "required": ["type", "title", "description"],
                "additionalProperties": False,
            },
        },
        "compatibility": {
            "type": "object",
            "properties": {
                "platforms": {"type": "array", "items": {"enum": ["darwin", "linux"]}},
                "runtimes": {"type": "object", "properties": {"python": _TEXT}, "additionalProperties": False},
            },
            "additionalProperties": False,
        },
    },
    "required": ["manifest_version", "name", "version", "description", "author", "server"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def bundles() -> ModuleType:
    """packaging/build_bundles.py as a module."""
    spec = importlib.util.spec_from_file_location("portico_bundles", ROOT / "packaging" / "build_bundles.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def owners() -> Mapping[str, list[str]]:
    """Which distributions bring a top-level module."""
    return packages_distributions()


def _read(kind: str, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / "packaging" / "bundles" / kind / name).read_text())
    return loaded


def _project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


@pytest.mark.parametrize("kind", SERVERS)
def test_server_json_follows_the_registry_and_names_this_distribution(kind: str) -> None:
    entry = _read(kind, "server.json")
    jsonschema.validate(entry, SERVER_JSON)
    package = entry["packages"][0]
    assert (entry["version"], package["version"], package["identifier"]) == (*[_project()["version"]] * 2, _project()["name"])


@pytest.mark.parametrize("kind", SERVERS)
def test_server_json_starts_the_server_with_a_script_that_is_installed(kind: str) -> None:
    package = _read(kind, "server.json")["packages"][0]
    assert package["identifier"] in _project()["scripts"], "uvx runs the script that is named like the distribution"
    fixed = [argument["value"] for argument in package["packageArguments"] if "value" in argument]
    assert fixed == ["server", kind]


@pytest.mark.parametrize("kind", SERVERS)
def test_manifest_follows_the_format_and_this_version(kind: str) -> None:
    manifest = _read(kind, "manifest.json")
    jsonschema.validate(manifest, MANIFEST)
    assert manifest["version"] == _project()["version"]
    assert manifest["compatibility"]["runtimes"]["python"] == _project()["requires-python"]
    named = {part[len("${user_config.") : -1] for part in manifest["server"]["mcp_config"]["args"] if "user_config" in part}
    assert named == set(manifest["user_config"])


@pytest.mark.parametrize("kind", SERVERS)
def test_manifest_tells_the_tools_that_the_server_has(kind: str) -> None:
    answers = json.loads((ANSWERS / f"{kind}.modern.json").read_text())
    listed = [tool["name"] for tool in answers["tools/list"]["answer"]["result"]["tools"]]
    assert [tool["name"] for tool in _read(kind, "manifest.json")["tools"]] == listed


@pytest.mark.parametrize("kind", SERVERS)
def test_bundle_holds_the_server_and_starts_it(kind: str, bundles: ModuleType, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundles.build(kind, tmp_path)) as bundle:
        names = bundle.namelist()
        table = tomllib.loads(bundle.read("pyproject.toml").decode())["project"]
        manifest = json.loads(bundle.read("manifest.json"))
    arguments = manifest["server"]["mcp_config"]["args"]
    assert arguments[:3] == ["run", "--directory", "${__dirname}"]
    assert arguments[3] in table["scripts"]
    assert manifest["server"]["entry_point"] in names
    assert not [name for name in names if name.endswith(".pyc") or "portico_gateway" in name or "portico_engine" in name]
    others = {f"portico_servers/{other}/" for other in SERVERS if other != kind}
    assert not [name for name in names if name.startswith(tuple(others))]


@pytest.mark.parametrize("kind", SERVERS)
def test_bundle_names_every_distribution_that_its_server_imports(
    kind: str, bundles: ModuleType, owners: Mapping[str, list[str]]
) -> None:
    named = {_plain(line) for line in bundles.dependencies(kind, _project())}
    missing = set()
    for path, source in bundles.files(kind, _project()).items():
        for module in _imports(source) if path.endswith(".py") else ():
            distributions = {_plain(name) for name in owners.get(module, [])}
            brought = module in ("mcp_types", "pydantic_core")  # by mcp and by pydantic, which pin them
            if not brought and distributions and not distributions & named:
                missing.add((path, module))
    assert not missing


def test_bundles_are_the_same_bytes_each_time(bundles: ModuleType, tmp_path: Path) -> None:
    first, second = (bundles.build("docs", tmp_path / name).read_bytes() for name in ("a", "b"))
    assert first == second


def _imports(source: bytes) -> set[str]:
    """Top-level names of third-party modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return {name for name in found if name not in sys.stdlib_module_names and not name.startswith("portico_")}


def _plain(requirement: str) -> str:
    """A distribution's normalized name, without extras and bounds."""
    for mark in "[<>=!~; ":
        requirement = requirement.split(mark)[0]
    return requirement.lower().replace("_", "-").replace(".", "-")
