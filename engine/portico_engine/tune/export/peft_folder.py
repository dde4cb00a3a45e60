"""An adapter as PEFT saves it, in bfloat16: adapter_config.json and adapter_model.safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from portico_engine.adapters.adapter import PROMPTS


def save_peft(
    folder: Path, matrices: Mapping[str, tuple[Tensor, Tensor]], *, rank: int, alpha: float, base: str, prompts: str
) -> None:
    """`matrices`: A and B by transformers' module names. `prompts`: those that it was trained on, as `serve` calls them."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, (a, b) in matrices.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = a.detach().to("cpu", torch.bfloat16).contiguous()
        tensors[f"base_model.model.{name}.lora_B.weight"] = b.detach().to("cpu", torch.bfloat16).contiguous()
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt", PROMPTS: prompts})
    targets = sorted({name.rpartition(".")[2] for name in matrices})
    about = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base, "r": rank, "lora_alpha": alpha,
        "lora_dropout": 0.0, "bias": "none", "target_modules": targets, "inference_mode": True, "fan_in_fan_out": False,
        "use_rslora": False, "use_dora": False, "modules_to_save": None, "init_lora_weights": True,
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
