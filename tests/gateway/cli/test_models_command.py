"""`portico models` and `portico tokens`, over real files, and a server that plays the hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine.tiny_folder import write_folder
from tests.engine.tiny_model import random_tensors, write_tiny_llama
from tests.gateway.hub.hub_server import Hub, running_hub

from portico_gateway.cli.main import run
from portico_gateway.hub import suggestion
from portico_gateway.hub.recommended import RECOMMENDED, best_fit


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HF_HOME", "HF_HUB_CACHE", "OLLAMA_MODELS", "XDG_CACHE_HOME", "XDG_STATE_HOME", "HF_TOKEN", "PORTICO_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PORTICO_MODELS", str(tmp_path / "portico"))
    return tmp_path


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with running_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def test_a_model_is_pulled_listed_shown_and_deleted(hub: Hub, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_tiny_llama(home / "tiny.gguf").read_bytes()
    hub.files["o/tiny-GGUF"] = {"tiny-Q4_1.gguf": model, "README.md": b""}
    assert run(["models", "pull", "o/tiny-GGUF"]) == 0
    out, err = capsys.readouterr()
    path = home / "portico/o/tiny-GGUF/tiny-Q4_1.gguf"
    assert out == f"{path}\n"
    assert "o/tiny-GGUF: tiny-Q4_1.gguf" in err
    assert "licence apache-2.0" in err
    assert "tiny-Q4_1.gguf: 100% of" in err
    assert "portico ask --model tiny-Q4_1" in err
    assert run(["models"]) == 0
    assert any(line.startswith("tiny-Q4_1 ") and str(path) in line for line in capsys.readouterr().out.splitlines())
    assert run(["models", "show", "tiny-Q4_1"]) == 0
    shown = capsys.readouterr().out
    for said in ("llama", "Q4_1 ", "256 tokens", "gpt2 (smollm)", "ends with <|endoftext|>", "template", "by torch-cpu"):
        assert said in shown
    assert run(["models", "rm", "tiny-q4_1"]) == 0
    assert not path.exists()
    assert run(["models", "rm", "tiny-q4_1"]) == 3


def test_show_as_json_holds_memory_and_kernels(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "show", str(write_tiny_llama(home / "tiny.gguf")), "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["memory"]["kv_per_token"] == 2 * 2 * 2 * 16 * 2
    assert {each["name"] for each in about["types"]} == {"Q4_1", "F32"}
    assert about["outlook"]["executor"] == "torch-cpu"


def test_a_model_of_no_family_that_runs_says_why_and_is_described(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_tiny_llama(home / "odd.gguf", architecture="mamba", customize=None)
    assert run(["models", "show", str(path)]) in (0, 3)
    assert "Traceback" not in "".join(capsys.readouterr())


def test_a_folder_is_converted_and_a_file_quantized(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_folder(home / "model", random_tensors(), {}, permuted=True)
    assert run(["models", "convert", str(folder), "--to", "q8_0"]) == 0
    made = Path(capsys.readouterr().out.strip())
    assert made == home / "model-Q8_0.gguf"
    assert run(["models", "convert", str(made), "--to", "Q8_0", "--out", str(made)]) == 1
    assert "is there already" in capsys.readouterr().err
    assert run(["models", "convert", str(made), "--to", "Q7"]) == 1
    assert "no quantization is called 'Q7'" in capsys.readouterr().err


def test_what_goes_wrong_is_one_line_and_an_exit_code(
    hub: Hub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["models", "pull", "o/none"]) == 1
    assert "has no o/none" in capsys.readouterr().err
    assert run(["models", "show", "nothing"]) == 3
    assert "no model file at nothing" in capsys.readouterr().err
    assert run(["models", "pull", "smollm2"]) == 2
    assert "portico models install" in capsys.readouterr().err


def test_the_recommended_ones_are_told_with_licence_and_fit(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "recommended"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == len(RECOMMENDED)
    assert all("Apache-2.0" in line for line in out.splitlines())
    assert "portico models pull NAME" in err


def test_what_is_recommended_follows_the_memory_and_the_device() -> None:
    gib = 1 << 30
    found = {memory: best_fit(memory * gib, from_codes=True, on_gpu=True) for memory in (1, 3, 8, 16, 80)}
    names = {memory: entry and entry.name for memory, entry in found.items()}
    assert names == {1: None, 3: "qwen3-0.6b", 8: "qwen3-8b", 16: "qwen3-14b", 80: "qwen3-32b"}
    on_cpu = best_fit(64 * gib, from_codes=True, on_gpu=False)
    by_torch = best_fit(8 * gib, from_codes=False, on_gpu=False)
    assert on_cpu is not None
    assert by_torch is not None
    assert (on_cpu.name, by_torch.name) == ("qwen3-4b", "qwen3-1.7b")


def test_a_better_model_is_suggested_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suggestion, "gpu_memory", lambda: 8 << 30)
    assert suggestion.suggest_once("other.gguf") is None
    said = suggestion.suggest_once("smollm2")
    assert said is not None
    assert "qwen3-8b (5.0 GB, Apache-2.0)" in said
    assert suggestion.was_suggested()
    assert suggestion.suggest_once("smollm2") is None


def test_no_model_is_suggested_where_one_is_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suggestion, "gpu_memory", lambda: 8 << 30)
    (home / "portico/o/m").mkdir(parents=True)
    (home / "portico/o/m/m.gguf").write_bytes(b"GGUF")
    assert suggestion.suggest_once("smollm2") is None


def test_a_text_is_cut_by_several_models_side_by_side(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = (str(write_tiny_llama(home / f"{name}.gguf")) for name in "ab")
    assert run(["tokens", "hello world", "--model", one, "--json"]) == 0
    (cut,) = json.loads(capsys.readouterr().out)
    assert (cut["count"], cut["tokens_per_character"]) == (2, pytest.approx(2 / 11))
    assert [each["text"] for each in cut["tokens"]] == ["hello", " world"]
    assert run(["tokens", "hello w\u00f6rld\n", "--model", one, "--ids"]) == 0
    shown = capsys.readouterr().out
    assert "hello[" in shown
    assert "\u23ce" in shown
    assert run(["tokens", "hello world", "--model", one, "--model", other]) == 0
    assert capsys.readouterr().out.count("hello| world") == 2


def test_the_text_may_be_a_file_s(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "text.txt").write_text("hello" * 3)
    model = str(write_tiny_llama(home / "a.gguf"))
    assert run(["tokens", str(home / "text.txt"), "--model", model, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["characters"] == 15
    assert run(["tokens", "x", "--model", str(home / "text.txt")]) == 3
    assert "not a GGUF file" in capsys.readouterr().err
