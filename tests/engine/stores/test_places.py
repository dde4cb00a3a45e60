"""Which models are found in each program's folders, by which names, and whose may be deleted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from portico_engine import ModelError, find_model
from portico_engine.stores.places import remove_stored, stored_models
from portico_engine.stores.stored_model import StoredModel


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HF_HOME", "HF_HUB_CACHE", "OLLAMA_MODELS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PORTICO_MODELS", str(tmp_path / "portico"))
    return tmp_path


def write(root: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def by_name(models: list[StoredModel]) -> dict[str, StoredModel]:
    return {model.name: model for model in models}


def test_each_program_s_models_are_found_where_it_keeps_them(home: Path) -> None:
    digest = "sha256:" + "a" * 64
    layers = [
        {"mediaType": "application/vnd.ollama.image.model", "digest": digest},
        {"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:b"},
    ]
    write(
        home,
        {
            "portico/Qwen/Qwen3-4B-GGUF/Qwen3-4B-Q4_K_M.gguf": b"1234",
            "portico/o/half/half.gguf.0123456789ab.part": b"12",
            "portico/o/lora/adapter_config.json": b"{}",
            "portico/o/lora/adapter_model.safetensors": b"w",
            ".cache/huggingface/hub/models--o--small/snapshots/rev/small-Q8_0.gguf": b"12345",
            ".cache/huggingface/hub/models--o--small/snapshots/rev/mmproj-small.gguf": b"1",
            ".cache/huggingface/hub/models--o--folder/snapshots/rev/config.json": b"{}",
            ".cache/huggingface/hub/models--o--folder/snapshots/rev/model.safetensors": b"12",
            ".cache/huggingface/hub/datasets--o--d/snapshots/rev/x.gguf": b"1",
            ".lmstudio/models/pub/big/big-00001-of-00002.gguf": b"12",
            ".lmstudio/models/pub/big/big-00002-of-00002.gguf": b"123",
            ".ollama/models/manifests/registry.ollama.ai/library/llama3/8b": json.dumps({"layers": layers}).encode(),
            ".ollama/models/manifests/registry.ollama.ai/library/broken/latest": b"{",
            f".ollama/models/blobs/{digest.replace(':', '-')}": b"123456",
        },
    )
    found = by_name(stored_models())
    assert {name: (model.store, model.kind, model.size) for name, model in found.items()} == {
        "Qwen3-4B-Q4_K_M": ("portico", "gguf", 4),
        "lora": ("portico", "adapter", 3),
        "small-Q8_0": ("Hugging Face", "gguf", 5),
        "folder": ("Hugging Face", "folder", 4),
        "big": ("LM Studio", "gguf", 5),
        "llama3:8b": ("Ollama", "gguf", 6),
    }


def test_a_model_in_a_store_is_found_by_its_name(home: Path) -> None:
    write(home, {"portico/Qwen/Qwen3-4B-GGUF/Qwen3-4B-Q4_K_M.gguf": b"1"})
    path = home / "portico/Qwen/Qwen3-4B-GGUF/Qwen3-4B-Q4_K_M.gguf"
    names = ("Qwen3-4B-Q4_K_M", "qwen3-4b-q4_k_m.gguf", "Qwen/Qwen3-4B-GGUF/Qwen3-4B-Q4_K_M.gguf")
    assert {find_model(name) for name in names} == {path}
    with pytest.raises(ModelError, match="known names: smollm2, Qwen3-4B-Q4_K_M"):
        find_model("Qwen3-4B-Q8_0")


def test_a_name_that_means_several_models_is_answered_with_them(home: Path) -> None:
    write(home, {"portico/a/m/m.gguf": b"1", "portico/b/m/m.gguf": b"12"})
    with pytest.raises(ModelError, match=r"2 models are called 'm': a/m/m.gguf \(portico\), b/m/m.gguf"):
        find_model("m")
    assert find_model("b/m/m").parent.parent.name == "b"


def test_a_manifest_can_t_lead_out_of_its_folder(home: Path) -> None:
    layers = [{"mediaType": "application/vnd.ollama.image.model", "digest": "../../../secret"}]
    write(home, {"secret": b"1", ".ollama/models/manifests/h/library/m/t": json.dumps({"layers": layers}).encode()})
    assert stored_models() == []


def test_what_portico_fetched_is_deleted_with_its_folders_and_nothing_else_is(home: Path) -> None:
    write(home, {f"portico/o/big/big-0000{i}-of-00002.gguf": b"12" for i in (1, 2)} | {"portico/o/other/o.gguf": b"1"})
    write(home, {".lmstudio/models/p/r/theirs.gguf": b"1"})
    found = by_name(stored_models())
    assert remove_stored(found["big"]) == 4
    assert sorted(path.name for path in (home / "portico/o").iterdir()) == ["other"]
    with pytest.raises(ModelError, match="belongs to LM Studio"):
        remove_stored(found["theirs"])
    assert found["theirs"].path.exists()
