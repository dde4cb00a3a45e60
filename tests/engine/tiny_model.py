"""GGUF files made by gguf's writer, for tests: a random two-layer Llama with a byte vocabulary, and broken variants of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from portico_engine.text.tokenizer import byte_alphabet

Q = gguf.GGMLQuantizationType
Tensors = dict[str, np.ndarray]


@dataclass(frozen=True)
class Shape:
    """Sizes of a tiny decoder. K-quants need rows of 256."""

    hidden: int = 64
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    feed_forward: int = 96

    @property
    def head_dim(self) -> int:
        return self.hidden // self.heads


SMALL = Shape()
WIDE = Shape(hidden=256, feed_forward=512)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MERGES = ("h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or", "l d", "Ġwor ld", "Ã ©")
CHAT_TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def vocabulary() -> list[str]:
    """Special tokens, every byte, the merged pieces."""
    return [*SPECIAL, *byte_alphabet(), *("".join(merge.split()) for merge in MERGES)]


def write_tiny_llama(
    path: Path,
    *,
    architecture: str = "llama",
    context: int = 256,
    chat_template: str | None = CHAT_TEMPLATE,
    quantization: gguf.GGMLQuantizationType = Q.Q4_1,
    shape: Shape = SMALL,
    leave_out: str = "",
    customize: Callable[[gguf.GGUFWriter], None] | None = None,
    rearrange: Callable[[Tensors], Tensors] | None = None,
    extra_tensors: bool = False,
    replace: bool = False,
    tensors_a_file: int = 0,
) -> Path:
    """A model file. `leave_out` is a tensor that is not written; `customize` adds metadata; `rearrange` changes the tensors;
    `extra_tensors` adds biases and norms; `replace` lets `customize` say again what is said already;
    `tensors_a_file` makes several files, of which the first is returned."""
    tokens = vocabulary()
    writer = gguf.GGUFWriter(path, architecture, split_max_tensors=tensors_a_file)
    writer.add_name("tiny")
    writer.add_context_length(context)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_1)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(SPECIAL) + [1] * (len(tokens) - len(SPECIAL)))
    writer.add_token_merges(list(MERGES))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    if chat_template is not None:
        writer.add_chat_template(chat_template)
    if customize is not None:
        if replace:
            customize(_Replacing(writer))  # type: ignore[arg-type]
        else:
            customize(writer)
    tensors = random_tensors(shape, extra=extra_tensors)
    for name, value in (rearrange(tensors) if rearrange else tensors).items():
        if name == leave_out:
            continue
        if value.ndim > 1 and not name.endswith("ffn_gate_inp.weight"):
            data = gguf.quants.quantize(value, quantization)
            writer.add_tensor(name, data, raw_dtype=quantization)
        else:
            writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return next(path.parent.glob(f"{path.stem}-00001-of-*.gguf")) if tensors_a_file else path


class _Replacing:
    """The writer, except that a key may be given a second time."""

    def __init__(self, writer: gguf.GGUFWriter) -> None:
        self._writer = writer

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any) -> None:
            before = dict(self._writer.kv_data[0])
            self._writer.kv_data[0].clear()
            getattr(self._writer, name)(*args)
            self._writer.kv_data[0] = before | self._writer.kv_data[0]

        return call


def random_tensors(shape: Shape = SMALL, *, extra: bool = False) -> Tensors:
    """The weights of `write_tiny_llama`, float32, under GGUF's names."""
    rng = np.random.default_rng(7)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return (rng.standard_normal((rows, columns)) * 0.6 / np.sqrt(columns)).astype(np.float32)

    def norm(size: int = shape.hidden) -> np.ndarray:
        return (1 + 0.1 * rng.standard_normal(size)).astype(np.float32)

    hidden, heads, kv_heads, head = shape.hidden, shape.heads, shape.kv_heads, shape.head_dim
    out = {"token_embd.weight": matrix(len(vocabulary()), hidden) * 8, "output_norm.weight": norm()}
    for i in range(shape.layers):
        at = f"blk.{i}"
        out |= {
            f"{at}.attn_norm.weight": norm(),
            f"{at}.attn_q.weight": matrix(heads * head, hidden) * 3,
            f"{at}.attn_k.weight": matrix(kv_heads * head, hidden) * 3,
            f"{at}.attn_v.weight": matrix(kv_heads * head, hidden) * 2,
            f"{at}.attn_output.weight": matrix(hidden, heads * head) * 2,
            f"{at}.ffn_norm.weight": norm(),
            f"{at}.ffn_gate.weight": matrix(shape.feed_forward, hidden) * 2,
            f"{at}.ffn_up.weight": matrix(shape.feed_forward, hidden) * 2,
            f"{at}.ffn_down.weight": matrix(hidden, shape.feed_forward) * 2,
        }
        if extra:
            out |= {
                f"{at}.attn_q.bias": matrix(1, heads * head)[0] * 3,
                f"{at}.attn_k.bias": matrix(1, kv_heads * head)[0] * 3,
                f"{at}.attn_v.bias": matrix(1, kv_heads * head)[0],
                f"{at}.attn_q_norm.weight": norm(head),
                f"{at}.attn_k_norm.weight": norm(head),
            }
    return out
