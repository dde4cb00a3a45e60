"""Vocabularies of each kind, trained on given texts: as tokenizer.json, and as GGUF has them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gguf
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from portico_engine.text.tokenizer import byte_alphabet
from portico_engine.text.unigram import from_word_piece

SPACE = "\u2581"
Texts = Sequence[str]


def word_piece(corpus: Texts, size: int) -> tokenizers.Tokenizer:
    """BERT's kind, uncased, as published tokenizer.json files are."""
    out = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    out.normalizer = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, lowercase=True)
    out.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    out.train_from_iterator(corpus, trainers.WordPieceTrainer(vocab_size=size, special_tokens=special, show_progress=False))
    out.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    out.decoder = decoders.WordPiece()
    return out


def unigram(corpus: Texts, size: int) -> tokenizers.Tokenizer:
    """T5's kind, without a compiled normalization."""
    out = tokenizers.Tokenizer(models.Unigram())
    out.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always", split=False)
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=size, special_tokens=special, unk_token="<unk>", show_progress=False)
    out.train_from_iterator(corpus, trainer)
    out.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return out


def byte_level(corpus: Texts, size: int) -> tokenizers.Tokenizer:
    """GPT-2's kind."""
    out = tokenizers.Tokenizer(models.BPE())
    out.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    alphabet = list(byte_alphabet())
    special = ["<|endoftext|>"]
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    out.train_from_iterator(corpus, trainer)
    return out


def sentencepiece_bpe(corpus: Texts, size: int) -> tokenizers.Tokenizer:
    """Llama 2's kind: bytes for what has no piece."""
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    made = tokenizers.Tokenizer(models.BPE(unk_token="<unk>"))
    made.normalizer = normalizers.Replace(" ", SPACE)
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False)
    made.train_from_iterator([f"{SPACE}{text}" for text in corpus], trainer)
    spec = json.loads(made.to_str())
    spec["model"] |= {"byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>"}
    steps = [{"type": "Prepend", "prepend": SPACE}, {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}]
    spec["normalizer"] = {"type": "Sequence", "normalizers": steps}
    spec["added_tokens"] = [entry for entry in spec["added_tokens"] if entry["id"] < 3]
    return tokenizers.Tokenizer.from_str(json.dumps(spec))


KINDS = {"WordPiece": word_piece, "Unigram": unigram, "byte-level BPE": byte_level, "SentencePiece BPE": sentencepiece_bpe}


def write_tokenizer_folder(folder: Path, made: tokenizers.Tokenizer) -> Path:
    """tokenizer.json, and what says which token ends a text."""
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    ends = {"eos_token": next(end for end in ("</s>", "<|endoftext|>", "[SEP]") if made.token_to_id(end) is not None)}
    (folder / "tokenizer_config.json").write_text(json.dumps(ends), encoding="utf-8")
    return folder


def add_vocabulary(writer: gguf.GGUFWriter, made: tokenizers.Tokenizer) -> None:
    """The same under GGUF's keys, as llama.cpp's converter writes them."""
    spec: dict[str, Any] = json.loads(made.to_str())
    model = spec["model"]
    special = {entry["content"] for entry in spec["added_tokens"]}
    size = made.get_vocab_size()
    tokens = [str(made.id_to_token(i)) for i in range(size)]
    types = [gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens]
    match model["type"]:
        case "WordPiece":
            writer.add_tokenizer_model("bert")
            tokens = [token if token in special else from_word_piece(token) for token in tokens]
            for name in ("unk", "sep", "pad", "mask"):
                getattr(writer, f"add_{name}_token_id")(made.token_to_id(f"[{name.upper()}]"))
            writer.add_bos_token_id(made.token_to_id("[CLS]"))
            writer.add_token_type_count(2)
        case "Unigram":
            writer.add_tokenizer_model("t5")
            writer.add_token_scores([score for _, score in model["vocab"]])
            types[2] = gguf.TokenType.UNKNOWN
            writer.add_eos_token_id(1)
            writer.add_unk_token_id(2)
            writer.add_pad_token_id(0)
            writer.add_add_space_prefix(True)
        case _ if "<s>" in special:
            writer.add_tokenizer_model("llama")
            ranks: dict[str, int] = {}
            for i, pair in enumerate(model["merges"]):
                ranks.setdefault("".join(pair if isinstance(pair, list) else pair.split(" ")), i)
            writer.add_token_scores([-float(ranks.get(token, len(ranks) + i)) for i, token in enumerate(tokens)])
            types = [gguf.TokenType.BYTE if 3 <= i < 259 else kind for i, kind in enumerate(types)]
            types[0] = gguf.TokenType.UNKNOWN
            writer.add_bos_token_id(1)
            writer.add_eos_token_id(2)
        case _:
            writer.add_tokenizer_model("gpt2")
            writer.add_tokenizer_pre("gpt-2")
            writer.add_token_merges([" ".join(pair) if isinstance(pair, list) else pair for pair in model["merges"]])
            writer.add_eos_token_id(0)
    writer.add_token_list(tokens)
    writer.add_token_types(types)


def write_vocabulary(path: Path, made: tokenizers.Tokenizer) -> Path:
    """A GGUF file with a vocabulary and no weights, which llama.cpp opens as such."""
    writer = gguf.GGUFWriter(path, "bert" if made.token_to_id("[CLS]") is not None else "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(8)
    writer.add_block_count(1)
    writer.add_feed_forward_length(8)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_layer_norm_eps(1e-5)
    writer.add_causal_attention(False)
    add_vocabulary(writer, made)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
