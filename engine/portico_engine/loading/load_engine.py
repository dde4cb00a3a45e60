"""From a model on disk to an engine: which executor, how large a context, how much memory for KV.

It owns these choices; readers and executors do the work. Nothing else in the engine imports an executor.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import gguf

from portico_engine.adapters.adapter import Adapter, AdapterLimits
from portico_engine.adapters.read_adapter import read_adapter
from portico_engine.engine import Engine
from portico_engine.errors import ModelError, UnsupportedModel
from portico_engine.executors.llama_cpp.devices import probe
from portico_engine.executors.llama_cpp.embedding import ENCODERS, LlamaEmbeddingExecutor
from portico_engine.executors.llama_cpp.executor import LlamaCppExecutor
from portico_engine.executors.llama_cpp.library import has_llama_cpp
from portico_engine.executors.protocol import Capabilities, Executor, Sizes, SizesFor
from portico_engine.fallbacks import Fallbacks
from portico_engine.loading.device import Device, choose_device, has_nvidia_gpu, memory_bytes
from portico_engine.loading.llama_loading import load_llama, plan_llama
from portico_engine.loading.memory_plan import (
    MemoryPlan,
    Placement,
    describe_host,
    n_parameters,
    placement,
    scratch_bytes,
    weight_bytes,
)
from portico_engine.loading.options import (
    MIN_CONTEXT,
    MOST_ROWS,
    LoadOptions,
    LoadProgress,
    check_kv,
    choose_sizes,
    fill_memory,
)
from portico_engine.loading.several_devices import load_ranks, of_each, one_share
from portico_engine.loading.torch_import import import_torch
from portico_engine.loading.weight_forms import describe_weights
from portico_engine.models.config import DecoderConfig, read_config
from portico_engine.request import EMBEDDING_SIZE, FALLBACKS, GENERATES, MAX_ROWS, MEMORY, TEMPLATE_PROBLEM, ModelInfo, Pooling
from portico_engine.text.tokenizer import Tokenizer
from portico_engine.text.tokenizer_json import read_tokenizer
from portico_engine.weights.gguf_file import GGUFFile
from portico_engine.weights.hugging_face import PACKING, HuggingFaceFolder
from portico_engine.weights.model_file import ModelFile

_log = logging.getLogger(__name__)
_POOLINGS: Mapping[int, Pooling] = {1: "mean", 2: "cls", 3: "last"}  # GGUF's numbers
_KV_CONTEXTS = 4  # conversations' worth of KV kept by default, memory allowing


def load_engine(path: Path | str, *, progress: LoadProgress | None = None, **options: Any) -> Engine:
    """Load a GGUF file or a Hugging Face folder; blocks until it is ready. `options` are `LoadOptions`' fields.

    `progress(stage, fraction)` is called on this thread. Raises ModelError for a file that can't be run (UnsupportedModel where
    another executor may), RequestError for an option that makes no sense.
    """
    return load_with_options(Path(path), LoadOptions.from_keywords(options), progress or (lambda _stage, _fraction: None))


def load_with_options(path: Path, options: LoadOptions, progress: LoadProgress) -> Engine:
    """See `load_engine`."""
    loading = _Loading(path, options, progress)
    made = loading.executor(options.executor)
    template = options.chat_template or loading.file.metadata.get("tokenizer.chat_template")
    engine = Engine(
        made,
        loading.tokenizer,
        _info(loading.file, made.caps, "llama_cpp" if isinstance(made, LlamaCppExecutor | LlamaEmbeddingExecutor) else "torch"),
        chat_template=template if isinstance(template, str) else None,
        check=os.environ.get("PORTICO_ENGINE_CHECK") == "1",
        kv_dir=options.kv_dir,
        kv_dir_bytes=options.kv_dir_bytes,
        read_adapter=loading.read_adapter() if options.adapters else None,
        pooling=options.pooling or loading.own_pooling,
        speculation=options.speculation,
    )
    engine.info.extra.update({MAX_ROWS: made.caps.rows, FALLBACKS: loading.fallbacks.described()})
    engine.info.extra.update({EMBEDDING_SIZE: made.caps.embedding_size, GENERATES: made.caps.generates})
    if loading.plan is not None:
        engine.info.extra[MEMORY] = loading.plan
    problem = engine.template_problem()
    if problem is not None and made.caps.generates:
        _log.warning("%s answers no chats: %s", engine.info.name, problem)
        engine.info.extra[TEMPLATE_PROBLEM] = problem
    return engine


def foresee(path: Path, **options: Any) -> Outlook:
    """How `load_engine` would load the model, without reading its weights. Raises what `load_engine` raises."""
    loading = _Loading(path, LoadOptions.from_keywords(options), lambda _stage, _fraction: None, quiet=True)
    return loading.foresee(loading.options.executor)


class Outlook(NamedTuple):
    """What will run a model, on what. `memory`: see `ModelInfo.memory_plan`; `fallbacks`: see `ModelInfo.fallbacks`; `weights`:
    see `describe_weights`.
    """

    executor: str
    device: str
    memory: str | None
    fallbacks: Mapping[str, str]
    weights: str | None = None


class _Torch(NamedTuple):
    """What torch's executor is to be made for; of several ranks, the first."""

    config: DecoderConfig
    device: Device
    sizes: Sizes | SizesFor
    placed: Placement


class _Loading:
    """A model that is being loaded: its file, its tokenizer, and what was asked for."""

    def __init__(self, path: Path, options: LoadOptions, report: LoadProgress, *, quiet: bool = False) -> None:
        self._path, self.options, self._report = path, options, report
        self.plan: str | None = None  # of memory
        self.weights: str | None = None  # what they are stored as and computed from, by torch's executors
        self.fallbacks = Fallbacks(quiet=quiet)
        report("reading", 0.0)
        self.file = open_model(path)
        report("tokenizer", 0.0)
        self.tokenizer = _read_tokenizer(self.file)
        assert self.tokenizer.token_bytes, "made now: the first request shouldn't wait for it"

    def executor(self, name: str) -> Executor:
        """ "auto": torch's, where it has a decoder for the model and memory for it, else llama.cpp's."""
        if name == "llama_cpp":
            return self._llama_cpp()
        try:
            return self._torch(name)
        except UnsupportedModel as error:
            self._leave_to_llama_cpp(name, error)
            try:
                return self._llama_cpp()
            except ModelError as other:
                raise ModelError(f"{error}; nor by llama.cpp: {other}") from None

    @property
    def own_pooling(self) -> Pooling | None:
        """A decoder's, as its file says it; llama.cpp reads it of encoders by itself."""
        arch = self.file.get("general.architecture", str)
        kind = self.file.metadata.get(f"{arch}.pooling_type")
        return None if arch in ENCODERS else _POOLINGS.get(kind) if isinstance(kind, int) else None

    def read_adapter(self) -> Callable[[Path], Adapter]:
        """What reads adapters for this model."""
        return partial(read_adapter, config=read_config(self.file), limits=self._limits)

    @property
    def _limits(self) -> AdapterLimits:
        return AdapterLimits(self.options.adapters, self.options.adapter_rank)

    def foresee(self, name: str) -> Outlook:
        """What `executor` would make."""
        if name != "llama_cpp":
            try:
                config, found, sizes, placed = self._plan_torch(name)
                if not isinstance(sizes, Sizes):
                    file, _ = one_share(self.file, read_config(self.file), self.options)
                    sizes(sum(weight_bytes(file, config, found)[: 1 + placed.second]))
                kind = "torch-cuda" if found.cuda else "torch-cpu"
                return Outlook(kind, found.name, self.plan, self.fallbacks.described(), self.weights)
            except UnsupportedModel as error:
                self._leave_to_llama_cpp(name, error)
        self._note_one_device()
        arch = self.file.get("general.architecture", str)
        if arch in ENCODERS:
            return Outlook("llama_cpp", "this machine", None, self.fallbacks.described())
        backend = probe()
        plan = plan_llama(self.file, self.options, backend, self.tokenizer.vocab_size)
        device = ", ".join(gpu.name for gpu in backend.gpus) if plan.offload.layers else "this machine"
        return Outlook("llama_cpp", device, plan.memory, self.fallbacks.described())

    def _note_one_device(self) -> None:
        if self.options.devices > 1:
            self.fallbacks.record("devices", "llama.cpp's are not spread")

    def _leave_to_llama_cpp(self, name: str, error: UnsupportedModel) -> None:
        """Raises the error where that can't be, or was not left open."""
        if name != "auto" or not has_llama_cpp() or self._path.is_dir():
            raise error
        self.fallbacks.record("executor", str(error))

    def _torch(self, name: str) -> Executor:
        config, device, sizes, placed = self._plan_torch(name)
        _log.info("weights of %s: %s", self._path.name, self.weights)
        self._report("weights", 0.0)
        if self.options.devices > 1:
            return load_ranks(
                self.file,
                config,
                self.options,
                device,
                placed,
                sizes,
                vocab_size=self.tokenizer.vocab_size,
                progress=self._report,
                fallbacks=self.fallbacks,
            )
        return _executor(device, placed, self.fallbacks)(
            self.file,
            sizes,
            config=config,
            vocab_size=self.tokenizer.vocab_size,
            adapters=self._limits if self.options.adapters else None,
            offloading=self.options.offloading(to_host=device.cuda),
            progress=self._report,
        )

    def _plan_torch(self, name: str) -> _Torch:
        config = read_config(self.file)
        if self.tokenizer.vocab_size > config.vocab_size:
            raise ModelError(f"{self._path} has {self.tokenizer.vocab_size} tokens but embeddings for {config.vocab_size}")
        self._report("torch", 0.0)
        import_torch()
        device = choose_device(name, self.options.devices)
        file, config = one_share(self.file, config, self.options)
        if device.obstacle is not None:
            self.fallbacks.record("device", device.obstacle, expected=not has_nvidia_gpu())
        if device.cuda and config.latent is not None:
            raise UnsupportedModel(
                f"{self._path}: torch computes latent attention on a CPU only (executor torch-cpu), llama.cpp from a GGUF file"
            )
        if not device.cuda:
            self._look_for_kernels()
        sizes = self._torch_sizes(config, device)
        placed = placement(self._path, config, file, device, memory_bytes() // self.options.devices)
        if placed.host_layers:
            self.fallbacks.record(
                "experts", f"{device.name} has no memory for those of {placed.host_layers} of {config.n_layers} layers"
            )
        codes = device.cuda or self._has_fast_codes(placed.second)
        self.weights = describe_weights(self.file, cuda=device.cuda, codes=codes, copies=placed.second)
        if isinstance(sizes, Sizes) and not device.cuda:
            check_kv(self.options, sizes, weight_bytes(file, config, device)[0], config.kv_bytes_per_token, device.memory)
        if not device.cuda:
            weights = sum(weight_bytes(file, config, device)[: 1 + codes])
            assert isinstance(sizes, Sizes), "a CPU's memory is not filled"
            self.plan = of_each(describe_host(device.memory, weights, sizes, config), self.options)
        return _Torch(config, device, sizes, placed)

    def _has_fast_codes(self, second: bool) -> bool:
        """Will a CPU compute with the file's codes? Says why not where it could have been."""
        from portico_engine.linear.cpu_codes import codes_supported
        from portico_engine.linear.int4 import cpu_capability
        from portico_engine.quantization.block_formats import is_quantized

        if not any(is_quantized(tensor.type) for tensor in self.file.tensors.values()):
            return False
        if not codes_supported():
            self.fallbacks.record("weights", f"this CPU ({cpu_capability()}) has no fast 4-bit product")
        elif not second:
            self.fallbacks.record("weights", "there is no memory for codes beside bfloat16")
        return second and codes_supported()

    def _look_for_kernels(self) -> None:
        """Says where a CPU will compute by plain torch."""
        from portico_engine.kernels.cpu.build import KernelsUnavailable, find_library

        try:
            find_library()
        except KernelsUnavailable as missing:
            self.fallbacks.record("kernels", str(missing), expected=missing.building)

    def _torch_sizes(self, config: DecoderConfig, device: Device) -> Sizes | SizesFor:
        """On a GPU that is to be filled, once it is known what the weights leave."""
        options, share = self.options, self.options.memory
        longest, per_token = config.context_length, config.kv_bytes_per_token
        if share is None or not device.cuda:
            sizes = choose_sizes(
                options, longest=longest, kv_bytes_per_token=per_token, memory=device.memory, contexts=_KV_CONTEXTS
            )
            return sizes

        def fill(weights: int) -> Sizes:
            from portico_engine.executors.torch.cuda_executor import STEP_TOKENS

            plan = MemoryPlan(device.memory, share, weights, scratch_bytes(config, STEP_TOKENS, options.max_rows or MOST_ROWS))
            if plan.for_kv < MIN_CONTEXT * per_token:
                raise UnsupportedModel(
                    f"{self._path} leaves no memory for KV: {plan.describe(Sizes(MIN_CONTEXT, MIN_CONTEXT), per_token)}; "
                    "give fewer max_rows, a larger share of the memory, or take a smaller model"
                )
            sizes = fill_memory(options, longest=longest, kv_bytes_per_token=per_token, kv_bytes=plan.for_kv)
            self.plan = of_each(plan.describe(sizes, per_token), options)
            _log.info("memory of %s: %s", device.name, self.plan)
            return sizes

        return fill

    def _llama_cpp(self) -> Executor:
        self._note_one_device()
        executor, self.plan = load_llama(
            self.file, self.options, vocab_size=self.tokenizer.vocab_size, pooling=self.own_pooling, progress=self._report
        )
        return executor


def open_model(path: Path) -> ModelFile:
    """A model's headers, its weights mapped. Raises ModelError naming what is wrong with it."""
    if path.suffix == ".safetensors":
        raise ModelError(f"{path} is one file of a model; give its folder, which holds config.json and tokenizer.json too")
    return HuggingFaceFolder(path) if path.is_dir() else GGUFFile(path)


def _executor(device: Device, placed: Placement, fallbacks: Fallbacks) -> Callable[..., Executor]:
    """The loader of the executor for this device."""
    if device.cuda:
        from portico_engine.executors.torch.cuda_executor import TorchCUDAExecutor

        return partial(TorchCUDAExecutor.load, copies=placed.second, fallbacks=fallbacks, host_layers=placed.host_layers)
    from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor

    return partial(TorchCPUExecutor.load, codes=None if placed.second else False, fallbacks=fallbacks)


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of the model at `path`, without its weights; of a folder without weights too. Raises ModelError."""
    return read_tokenizer(path) if path.is_dir() else _read_tokenizer(open_model(path))


def _read_tokenizer(file: ModelFile) -> Tokenizer:
    return read_tokenizer(file.path) if file.path.is_dir() else Tokenizer.from_gguf(file.metadata)


def quantization_name(file: ModelFile) -> str:
    """llama.cpp's name for the type of the whole file, or the packing of a folder's weights; "unknown" where it doesn't say."""
    if packing := file.metadata.get(PACKING):
        return str(packing)
    try:
        name: str = gguf.LlamaFileType(int(file.metadata.get("general.file_type", -1))).name
    except (ValueError, TypeError):
        return "unknown"
    return name.removeprefix("MOSTLY_").removeprefix("ALL_")


def _info(file: ModelFile, caps: Capabilities, executor: str) -> ModelInfo:
    arch = file.get("general.architecture", str)
    return ModelInfo(
        name=file.path.name.removesuffix(".gguf"),
        architecture=arch,
        context_length=caps.context_length,
        vocab_size=caps.vocab_size,
        parameters=n_parameters(file),
        quantization=quantization_name(file),
        bytes_on_disk=file.size,
        executor=executor,
        numerics_id=caps.numerics_id,
        fingerprint=file.fingerprint(),
        content_digest=file.content_digest(),
        extra={
            "trained_context_length": file.get(f"{arch}.context_length", int, 0),
            "title": str(file.metadata.get("general.name", "")),
        },
    )
