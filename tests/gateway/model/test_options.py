from __future__ import annotations

from pathlib import Path

import pytest

from portico_gateway.config.portico_config import load_config
from portico_gateway.config.sections import EngineConfig, ModelConfig, NamedModelConfig
from portico_gateway.errors import ConfigError
from portico_gateway.model.options import device_options, load_options


def test_prompts_beginnings_are_kept_in_the_users_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    options = load_options(ModelConfig(kv_disk_gib=0.5))
    assert Path(options["kv_dir"]).name == "kv"
    assert options["kv_dir_bytes"] == 1 << 29


def test_zero_keeps_nothing(tmp_path: Path) -> None:
    config = load_config(environ={"PORTICO_MODEL_KV_DISK_GIB": "0"}, folder=tmp_path)
    assert load_options(config.model) == {"executor": "auto", "context": None}


def test_memory_below_a_gpu_and_its_form_are_said_where_they_are_set(tmp_path: Path) -> None:
    environment = {"PORTICO_MODEL_KV_HOST_GIB": "0.5", "PORTICO_MODEL_KV_OFFLOAD_DTYPE": "int8"}
    options = load_options(load_config(environ=environment, folder=tmp_path).model)
    assert options["kv_host_bytes"] == 1 << 29
    assert options["kv_offload_dtype"] == "int8"


def test_devices_are_options_where_there_are_several() -> None:
    assert device_options(EngineConfig()) == {}
    assert "devices" not in load_options(ModelConfig(), EngineConfig())
    spread = EngineConfig(devices=2, expert_parallel=True)
    assert device_options(spread) == {"devices": 2, "expert_parallel": True}
    assert load_options(ModelConfig(), spread).items() >= device_options(spread).items()
    alone = NamedModelConfig(path="small.gguf", devices=1).engine_config(spread)
    assert device_options(alone) == {}


def test_experts_are_dealt_out_to_several_devices_alone(tmp_path: Path) -> None:
    file = tmp_path / "portico.toml"
    file.write_text("[engine]\nexpert_parallel = true")
    with pytest.raises(ConfigError, match="give devices = 2 or more too"):
        load_config(file, environ={})
