"""Vocabularies from tokenizer.json beside the `tokenizers` library reading the same file, and beside GGUF's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.fakes import tiny_tokenizer
from tests.engine.text.test_tokenizer import TEXTS
from tests.engine.tiny_folder import TOKENIZER, added_token, write_json
from tests.engine.tiny_model import SPECIAL

from portico_engine import ModelError
from portico_engine.text.pretokenize import split_patterns
from portico_engine.text.tokenizer import CONTROL, USER_DEFINED, Tokenizer
from portico_engine.text.tokenizer_json import read_tokenizer
from portico_engine.weights.gguf_file import GGUFFile

PIECES = (
    "<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256)),
    "▁", "h", "e", "l", "o", "▁h", "el", "lo", "hel", "▁hel", "▁hello", "▁▁",
)  # fmt: skip
SENTENCEPIECE: dict[str, Any] = {
    "version": "1.0",
    "added_tokens": [added_token(i, PIECES[i]) for i in range(3)],
    "normalizer": {
        "type": "Sequence",
        "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ],
    },
    "pre_tokenizer": None,
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
    },
    "model": {
        "type": "BPE", "vocab": {piece: i for i, piece in enumerate(PIECES)}, "unk_token": "<unk>", "byte_fallback": True,
        "fuse_unk": True,
        "merges": ["e l", "l o", "h el", "▁ h", "▁ hel", "▁h el", "▁hel lo", "▁ ▁"],
    },
}  # fmt: skip


def metaspace(scheme: str, *, split: bool) -> dict[str, Any]:
    cut = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split}
    return SENTENCEPIECE | {"normalizer": None, "pre_tokenizer": cut}


def folder_with(folder: Path, spec: Mapping[str, Any], **config: object) -> Path:
    folder.mkdir(exist_ok=True)
    write_json(folder / "tokenizer.json", spec)
    write_json(folder / "tokenizer_config.json", {"eos_token": "</s>"} | config)
    return folder


@pytest.fixture(scope="module")
def default_model(smollm2_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokenizer, Tokenizer]:
    """The default model's vocabulary from GGUF, and the same written as a tokenizer.json."""
    metadata = GGUFFile(smollm2_path).metadata
    theirs = Tokenizer.from_gguf(metadata)
    cuts = [
        {"type": "Split", "pattern": {"Regex": p}, "behavior": "Isolated", "invert": False} for p in split_patterns("smollm")
    ]
    spec = {
        "version": "1.0",
        "added_tokens": [
            added_token(i, token, special=kind == CONTROL)
            for i, (token, kind) in enumerate(zip(theirs.tokens, theirs.types, strict=True))
            if kind in (CONTROL, USER_DEFINED)
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                *cuts,
                {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False, "trim_offsets": True},
            ],
        },
        "post_processor": None,
        "model": {
            "type": "BPE",
            "vocab": {token: i for i, token in enumerate(theirs.tokens)},
            "merges": [line.split(" ") for line in metadata["tokenizer.ggml.merges"]],
        },
    }
    folder = folder_with(tmp_path_factory.mktemp("smollm2"), spec, eos_token={"content": "<|im_end|>"})
    return theirs, read_tokenizer(folder)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("special", [False, True])
def test_the_default_models_vocabulary_is_the_same_from_both_kinds_of_file(
    default_model: tuple[Tokenizer, Tokenizer], text: str, special: bool
) -> None:
    gguf, folder = default_model
    assert folder.encode(text, special=special) == gguf.encode(text, special=special)


def test_types_bytes_and_end_tokens_are_the_same_from_both_kinds_of_file(default_model: tuple[Tokenizer, Tokenizer]) -> None:
    gguf, folder = default_model
    assert folder.tokens == gguf.tokens
    assert folder.types == gguf.types
    assert folder.token_bytes == gguf.token_bytes
    assert (folder.eos_token_id, folder.end_token_ids) == (gguf.eos_token_id, gguf.end_token_ids)


@pytest.mark.parametrize(
    "spec",
    [SENTENCEPIECE, metaspace("first", split=False), metaspace("always", split=True), metaspace("never", split=False)],
    ids=["prepended", "first", "always", "never"],
)
@given(text=st.text(alphabet="helo é\n") | st.text(max_size=8), marked=st.booleans())
@settings(max_examples=120, deadline=None)
def test_visible_spaces_are_put_where_the_library_puts_them(
    tmp_path_factory: pytest.TempPathFactory, spec: dict[str, Any], text: str, marked: bool
) -> None:
    folder = folder_with(tmp_path_factory.getbasetemp() / f"spm{hash(json.dumps(spec))}", spec)
    ours, library = read_tokenizer(folder), tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    text = f"<s>{text}</s>{text}" if marked else text
    if "▁" in text:  # the library can't tell it from a space, and neither can anybody who reads the tokens
        return
    assert ours.encode(text, special=True) == library.encode(text, add_special_tokens=False).ids


@given(parts=st.lists(st.sampled_from(["hello", " ", "\n", *SPECIAL]), max_size=8))
@settings(max_examples=150, deadline=None)
def test_tokens_swallow_the_spaces_that_the_library_lets_them_swallow(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str]
) -> None:
    added = [added_token(0, SPECIAL[0], rstrip=True), added_token(1, SPECIAL[1], lstrip=True), added_token(2, SPECIAL[2])]
    spec = TOKENIZER | {"added_tokens": added}
    folder = folder_with(tmp_path_factory.getbasetemp() / "stripping", spec, eos_token=SPECIAL[2])
    library = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    text = "".join(parts)
    assert read_tokenizer(folder).encode(text, special=True) == library.encode(text, add_special_tokens=False).ids


def test_a_template_that_begins_with_a_token_asks_for_it(tmp_path: Path) -> None:
    ours = read_tokenizer(folder_with(tmp_path, SENTENCEPIECE))
    assert ours.encode("hello", bos=True)[0] == ours.bos_token_id == 1
    bare = read_tokenizer(folder_with(tmp_path, SENTENCEPIECE | {"post_processor": None}, bos_token="<s>"))
    assert bare.bos_token_id == 1
    assert not bare.add_bos


def test_every_end_token_that_a_file_names_ends(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, TOKENIZER, eos_token=None)
    write_json(folder / "config.json", {"eos_token_id": 2})
    write_json(folder / "generation_config.json", {"eos_token_id": [0, 2, 999_999]})
    ours = read_tokenizer(folder)
    assert ours.eos_token_id == 0
    assert {0, 2} <= ours.end_token_ids
    assert ours.encode("hello worlds 12") == tiny_tokenizer().encode("hello worlds 12")


def test_ids_that_no_token_has_are_unused(tmp_path: Path) -> None:
    added = [*TOKENIZER["added_tokens"], added_token(300, "<tool>", special=False)]
    ours = read_tokenizer(folder_with(tmp_path, TOKENIZER | {"added_tokens": added}, eos_token="<|im_end|>"))
    assert ours.vocab_size == 301
    assert ours.encode("hello<tool>")[-1] == 300
    assert ours.is_control(299)
    assert not ours.is_control(300)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"type": "WordLevel", "vocab": {}}}, "the model is 'WordLevel'; supported are 'BPE'"),
        ({"model": {"type": "WordPiece", "vocab": []}}, "the model is 'WordPiece'"),
        ({"model": {"type": "Unigram", "vocab": [["a"]]}}, "entries that are no piece with a score"),
        ({"model": {"type": "Unigram", "vocab": [["a", 0.0], ["a", 1.0]]}}, "or one of them twice"),
        ({"model": None}, "the model is None"),
        ({"model": {"type": "BPE", "vocab": {}, "merges": []}}, "the vocabulary is empty"),
        ({"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}, "the token 'a' has no id"),
        ({"model": TOKENIZER["model"] | {"merges": ["q zz"]}}, "the vocabulary contradicts itself"),
        ({"pre_tokenizer": None}, "neither byte-level nor SentencePiece's visible spaces"),
        ({"added_tokens": [{"content": "x"}]}, "added_tokens holds .* lacks an id"),
    ],
)
def test_vocabularies_of_other_kinds_are_refused_by_name(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read_tokenizer(folder_with(tmp_path, TOKENIZER | change, eos_token="<|im_end|>"))


def test_a_folder_without_an_end_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no end-of-sequence token"):
        read_tokenizer(folder_with(tmp_path, TOKENIZER, eos_token="<nothing>"))
