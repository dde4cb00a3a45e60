"""A random BERT encoder as a GGUF file, with a trained WordPiece vocabulary."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

from portico_engine.text.tokenizer import Tokenizer
from portico_engine.weights.gguf_file import GGUFFile
from trained_vocabularies import add_vocabulary, word_piece

CORPUS = ["the cat sat on the mat", "a feline rested upon the rug", "stock prices fell sharply in New York"] * 5
HIDDEN, LAYERS, HEADS, WIDE, CONTEXT = 32, 2, 4, 64, 64


def write_tiny_bert(path: Path, *, pooling: gguf.PoolingType = gguf.PoolingType.MEAN) -> Path:
    """An encoder whose embeddings llama.cpp pools as said."""
    made = word_piece(CORPUS, 120)
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_name("tiny-bert")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(WIDE)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_eps(1e-5)
    writer.add_causal_attention(False)
    writer.add_pooling_type(pooling)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    add_vocabulary(writer, made)
    for name, value in tensors(made.get_vocab_size()).items():
        writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def tensors(vocabulary: int) -> dict[str, np.ndarray]:
    """Random weights under GGUF's names."""
    rng = np.random.default_rng(5)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return (rng.standard_normal((rows, columns)) / np.sqrt(columns) * 2).astype(np.float32)

    def vector(size: int = HIDDEN, *, around: float = 0.0) -> np.ndarray:
        return (around + 0.1 * rng.standard_normal(size)).astype(np.float32)

    out = {
        "token_embd.weight": matrix(vocabulary, HIDDEN) * 4,
        "token_types.weight": matrix(2, HIDDEN),
        "position_embd.weight": matrix(CONTEXT, HIDDEN),
        "token_embd_norm.weight": vector(around=1),
        "token_embd_norm.bias": vector(),
    }
    for i in range(LAYERS):
        at = f"blk.{i}"
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            out |= {f"{at}.{name}.weight": matrix(HIDDEN, HIDDEN), f"{at}.{name}.bias": vector()}
        for name in ("attn_output_norm", "layer_output_norm"):
            out |= {f"{at}.{name}.weight": vector(around=1), f"{at}.{name}.bias": vector()}
        out |= {f"{at}.ffn_up.weight": matrix(WIDE, HIDDEN), f"{at}.ffn_up.bias": vector(WIDE)}
        out |= {f"{at}.ffn_down.weight": matrix(HIDDEN, WIDE), f"{at}.ffn_down.bias": vector()}
    return out


def reference(path: Path, text: str, pooling: str) -> np.ndarray:
    """The same encoder in numpy (Devlin et al. 2018), float64 [HIDDEN]."""
    file = GGUFFile(path)
    weights = {name: file.dequantize(name).astype(np.float64) for name in file.tensors}
    ids = Tokenizer.from_gguf(file.metadata).encode_whole(text)

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt(centred.var(-1, keepdims=True) + 1e-5) * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    x = weights["token_embd.weight"][ids] + weights["token_types.weight"][0] + weights["position_embd.weight"][: len(ids)]
    x = norm(x, "token_embd_norm")
    for i in range(LAYERS):
        at = f"blk.{i}"
        q, k, v = (linear(x, f"{at}.attn_{name}").reshape(len(ids), HEADS, -1).swapaxes(0, 1) for name in "qkv")
        scores = q @ k.swapaxes(1, 2) / np.sqrt(HIDDEN / HEADS)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True) @ v).swapaxes(0, 1).reshape(len(ids), HIDDEN)
        x = norm(x + linear(mixed, f"{at}.attn_output"), f"{at}.attn_output_norm")
        wide = linear(x, f"{at}.ffn_up")
        gelu = 0.5 * wide * (1 + np.tanh(np.sqrt(2 / np.pi) * (wide + 0.044715 * wide**3)))
        x = norm(x + linear(gelu, f"{at}.ffn_down"), f"{at}.layer_output_norm")
    return x[0] if pooling == "cls" else x.mean(0)
