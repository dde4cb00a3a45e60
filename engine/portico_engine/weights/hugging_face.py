"""A folder as Hugging Face lays models out: config.json, safetensors in one file or in shards with an index.

It owns which files there are and what their tensors are called in GGUF, by gguf-py's own table of names. config.json is
`hugging_face_config`'s, the tokenizer `tokenizer_json`'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf

from portico_engine.errors import ModelError
from portico_engine.quantization.packing import Packing
from portico_engine.weights.fused_experts import fused_experts
from portico_engine.weights.hugging_face_config import Factors, translate
from portico_engine.weights.json_file import read_json, read_optional_json
from portico_engine.weights.model_file import ModelFile, TensorInfo
from portico_engine.weights.packed_tensors import PackedModule, is_unread, packed_info, packed_modules
from portico_engine.weights.quantization_config import read_packing
from portico_engine.weights.regular_file import open_regular
from portico_engine.weights.safetensors_file import SafetensorsFile
from portico_engine.weights.split_tensors import split_tensors

_INDEX, _WHOLE = "model.safetensors.index.json", "model.safetensors"
_EXPERT = re.compile(r"(.+\.experts)\.(\d+)(\..+)")
_STACKED = re.compile(r"(.+)_exps(\.\w+)")
_TEXT = re.compile(r"^(?:model\.)?language_model\.(?:model\.)?")  # of a model that sees, too
_MAX_LAYERS = 1000
PACKING = "portico.packing"  # metadata: how the folder's matrices are packed, where they are
_FILE_TYPES = {
    gguf.GGMLQuantizationType.F32: gguf.LlamaFileType.ALL_F32,
    gguf.GGMLQuantizationType.F16: gguf.LlamaFileType.MOSTLY_F16,
    gguf.GGMLQuantizationType.BF16: gguf.LlamaFileType.MOSTLY_BF16,
}


class HuggingFaceFolder(ModelFile):
    """An open folder."""

    interleaves_rotary = False

    def __init__(self, path: Path) -> None:
        """Map the files and read their headers. Raises ModelError naming the file and what is wrong with it."""
        super().__init__(path)
        config = read_json(path / "config.json")
        self.metadata, factors = translate(config, path)
        names = _Names(self.metadata, path)
        config = {**config, **config["text_config"]} if isinstance(config.get("text_config"), dict) else config
        self._shards = [SafetensorsFile(path / name) for name in _shard_names(path)]
        self.buffers += [shard.data for shard in self._shards]
        self.size = sum(len(shard.data) for shard in self._shards)
        packing = read_packing(config, path)
        tensors = self._tensors(names, packing)
        tensors |= self._computed(factors)
        self._tie(config, tensors)
        self.tensors = split_tensors(tensors, self.metadata)
        self.metadata |= {"general.name": path.resolve().name, "general.file_type": self._file_type()}
        if packing is not None:
            self.metadata[PACKING] = packing.name
        template = _chat_template(path)
        if template is not None:
            self.metadata["tokenizer.chat_template"] = template

    def _headers(self) -> Sequence[bytes]:
        return [(self.path / "config.json").read_bytes(), *(shard.header for shard in self._shards)]

    def _files(self) -> Sequence[Path]:
        return [shard.path for shard in self._shards]

    def _tensors(self, names: _Names, packing: Packing | None) -> dict[str, TensorInfo]:
        """Under GGUF's names."""
        shard_of = {stored: i for i, shard in enumerate(self._shards) for stored in shard.stored}
        out: dict[str, TensorInfo] = {}
        fused = fused_experts(shard_of, lambda stored: self._shards[shard_of[stored]].array(stored, shard_of[stored]))
        out |= fused.tensors
        packed = packed_modules(shard_of, packing) if packing is not None and packing.method != "MXFP4" else []
        for module in packed:
            name = names.gguf(f"{module.module}.weight")
            if name is not None:
                out[name] = self._packed_info(name, module, packing, shard_of)
        in_modules = fused.stored.union(*(module.arrays.values() for module in packed))
        for stored, i in shard_of.items():
            name = None if stored in in_modules or (packing is not None and is_unread(stored)) else names.gguf(stored)
            if name is not None:
                out[name] = _squeezed(self._shards[i].info(stored, name, i))
        return out

    def _packed_info(self, name: str, module: PackedModule, packing: Packing | None, shard_of: Mapping[str, int]) -> TensorInfo:
        assert packing is not None
        arrays = {
            suffix: self._shards[shard_of[stored]].array(stored, shard_of[stored]) for suffix, stored in module.arrays.items()
        }
        return packed_info(name, arrays, packing, self.buffers, f"{self.path}: the matrix {module.module}")

    def _computed(self, factors: Factors) -> dict[str, TensorInfo]:
        out: dict[str, TensorInfo] = {}
        for name, values in factors.items():
            out[name] = TensorInfo(
                name, values.shape, gguf.GGMLQuantizationType.F32, 0, values.nbytes, buffer=len(self.buffers)
            )
            self.buffers.append(values.tobytes())
        return out

    def _tie(self, config: Mapping[str, Any], tensors: dict[str, TensorInfo]) -> None:
        """The loader takes the embedding for the head where there is none."""
        tied = config.get("tie_word_embeddings")
        if tied:
            tensors.pop("output.weight", None)
        elif tied is False and "output.weight" not in tensors:
            raise ModelError(f"{self.path}: the tensor lm_head.weight is missing (tie_word_embeddings is false in config.json)")

    def _file_type(self) -> int:
        embedding = self.tensors.get("token_embd.weight")
        kind = None if embedding is None or isinstance(embedding.type, Packing) else embedding.type
        return int(gguf.LlamaFileType.GUESSED if kind is None else _FILE_TYPES.get(kind, gguf.LlamaFileType.GUESSED))


class _Names:
    """GGUF's name for each tensor of this architecture and depth."""

    def __init__(self, metadata: Mapping[str, Any], path: Path) -> None:
        arch = metadata["general.architecture"]
        layers = metadata.get(f"{arch}.block_count")
        if not isinstance(layers, int) or not 0 < layers <= _MAX_LAYERS:
            raise ModelError(f"{path}: num_hidden_layers in config.json is {layers!r}; it must be from 1 to {_MAX_LAYERS}")
        known = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}
        self._map = gguf.get_tensor_name_map(known[arch], layers)

    def gguf(self, stored: str) -> str | None:
        """None for what the forward pass doesn't need, such as saved rotary frequencies."""
        stored = _TEXT.sub("model.", stored) if not stored.endswith("lm_head.weight") else "lm_head.weight"
        if stored.endswith(".sinks"):
            stored += ".weight"
        stored = stored.replace("e_score_correction_bias", "e_score_correction.bias")
        expert = _EXPERT.fullmatch(stored)
        name: str | None = self._map.get_name(expert[1] + expert[3] if expert else stored, (".weight", ".bias"))
        if expert is None or name is None:
            return name
        stacked = _STACKED.fullmatch(name)
        return f"{stacked[1]}.{expert[2]}{stacked[2]}" if stacked else None


def _squeezed(info: TensorInfo) -> TensorInfo:
    """The shared expert's gate is a vector in GGUF, a matrix of one row here; there kernels have no middle dimension."""
    if info.name.endswith("shortconv.conv.weight") and len(info.shape) == 3:
        return replace(info, shape=(info.shape[0], info.shape[2]))
    return replace(info, shape=info.shape[1:]) if info.name.endswith("ffn_gate_inp_shexp.weight") else info


def _shard_names(path: Path) -> list[str]:
    if (path / _INDEX).exists():
        weights = read_json(path / _INDEX).get("weight_map")
        if not isinstance(weights, dict) or not weights:
            raise ModelError(f"{path / _INDEX} has no weight_map")
        names = sorted({str(name) for name in weights.values()})
        for name in names:
            if Path(name).name != name:
                raise ModelError(f"{path / _INDEX} names the file {name!r}, which is not in this folder")
        return names
    if not (path / _WHOLE).exists():
        others = sorted(file.name for pattern in ("*.bin", "*.pt", "*.pth") for file in path.glob(pattern))
        raise ModelError(
            f"neither {_WHOLE} nor {_INDEX} is in the folder {path}"
            + (f"; {others[0]} can't be read: only safetensors and GGUF files can" if others else "")
        )
    return [_WHOLE]


def _chat_template(path: Path) -> str | None:
    """chat_template.jinja, or the one in tokenizer_config.json, where several have names."""
    file = path / "chat_template.jinja"
    if file.exists():
        with open_regular(file) as opened:
            return opened.read().decode("utf-8", "replace")
    template = read_optional_json(path / "tokenizer_config.json").get("chat_template")
    if isinstance(template, list):
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        template = named.get("default")
    return template if isinstance(template, str) else None
