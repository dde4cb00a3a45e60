"""The vocabulary of a Hugging Face folder: tokenizer.json, and what tokenizer_config.json and its neighbours say of it.

It owns the reading of those files. Plain text is cut and merged by the `tokenizers` library as tokenizer.json says; special
tokens, visible spaces and bytes are `tokenizer`'s, as for every other vocabulary, so that a marker in a user's text is never
taken for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from portico_engine.errors import ModelError
from portico_engine.text.bpe import merger_from_spec
from portico_engine.text.tokenizer import BYTE, CONTROL, NORMAL, SPACE, UNKNOWN, UNUSED, USER_DEFINED, SpacePrefix, Tokenizer
from portico_engine.text.unigram import from_word_piece, hide
from portico_engine.weights.json_file import read_json, read_optional_json

_BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")
_BRACKETED = re.compile(r"\[.+\]")
_MAX_TOKENS = 1 << 24
_VOCABULARIES = {"BPE": dict, "Unigram": list, "WordPiece": dict}  # what each kind's vocab is


class _Added(NamedTuple):
    """A token that isn't made by merging."""

    id: int
    content: str
    special: bool
    strips_left: bool
    strips_right: bool


class _Cutting(NamedTuple):
    """How plain text is prepared: what is left to the library, and the space that `Tokenizer` puts first."""

    normalizer: Mapping[str, Any] | None
    pre_tokenizer: Mapping[str, Any] | None
    byte_level: bool
    space_prefix: SpacePrefix | None = None


def read_tokenizer(folder: Path) -> Tokenizer:
    """Raises ModelError naming the file and what is missing or not supported in it."""
    path = folder / "tokenizer.json"
    spec = read_json(path)
    model = spec.get("model")
    kind = model.get("type", "BPE") if isinstance(model, dict) else None
    if not isinstance(model, dict) or kind not in _VOCABULARIES or not isinstance(model.get("vocab"), _VOCABULARIES[kind]):
        raise ModelError(
            f"{path}: the model is {kind!r}; supported are 'BPE' (byte-level, or SentencePiece's with visible spaces), "
            "'Unigram' and 'WordPiece', each with its vocabulary"
        )
    cutting = (
        _cutting(spec, path) if kind == "BPE" else _Cutting(spec.get("normalizer"), spec.get("pre_tokenizer"), byte_level=False)
    )
    added = [_added_token(entry, path) for entry in spec.get("added_tokens") or []]
    tokens, types = _vocabulary(model, added, path)
    if kind == "Unigram":
        added_ids = {extra.id for extra in added}
        pieces = [[hide(i), score] if i in added_ids else [piece, score] for i, (piece, score) in enumerate(model["vocab"])]
        model = {**model, "vocab": pieces}
    bare: dict[str, Any] = {
        "added_tokens": [],
        "normalizer": cutting.normalizer,
        "pre_tokenizer": cutting.pre_tokenizer,
        "model": model,
    }
    config = read_optional_json(folder / "tokenizer_config.json")
    ids = {token: i for i, token in enumerate(tokens)}
    bos = _first_of_template(spec)
    last = _last_of_template(spec)
    ends = [*_ids_of(ids, config, "eos_token"), *_end_ids(folder, len(tokens))]
    ends = ends or _ids_of(ids, {"last": last}, "last")
    if not ends:
        raise ModelError(f"{folder}: no end-of-sequence token: eos_token is in none of tokenizer_config.json and config.json")
    return Tokenizer(
        tokens,
        types,
        merger_from_spec({"version": "1.0", **bare}),
        byte_level=cutting.byte_level,
        bos_token_id=next(iter([*_ids_of(ids, {"bos_token": bos}, "bos_token"), *_ids_of(ids, config, "bos_token")]), None),
        eos_token_id=ends[0],
        end_token_ids=ends,
        add_bos=bos is not None,
        add_eos=last is not None,
        separator_id=next(iter(_ids_of(ids, {"last": last}, "last")), None),
        prepared=kind != "BPE",
        space_prefix=cutting.space_prefix if kind == "BPE" else "always",
        strips_left=(token.id for token in added if token.strips_left),
        strips_right=(token.id for token in added if token.strips_right),
    )


def _added_token(entry: object, path: Path) -> _Added:
    match entry:
        case {"id": int(i), "content": str(content), "special": bool(special), **more} if content and 0 <= i < _MAX_TOKENS:
            return _Added(i, content, special, bool(more.get("lstrip")), bool(more.get("rstrip")))
    raise ModelError(f"{path}: added_tokens holds {str(entry)[:200]}, which lacks an id, a content or special")


def _vocabulary(model: Mapping[str, Any], added: list[_Added], path: Path) -> tuple[list[str], list[int]]:
    """Every id's token and type. Ids that nothing has are unused."""
    vocab = _ids_by_token(model, path)
    wrong = next((t for t, i in vocab.items() if not isinstance(i, int) or not 0 <= i < _MAX_TOKENS), None)
    if wrong is not None or not vocab:
        raise ModelError(f"{path}: the vocabulary is empty" if not vocab else f"{path}: the token {wrong!r} has no id")
    size = 1 + max(chain(vocab.values(), (extra.id for extra in added)))
    tokens, types = [f"<unused {i}>" for i in range(size)], [UNUSED] * size
    fallback = bool(model.get("byte_fallback"))
    for token, i in vocab.items():
        tokens[i] = token
        types[i] = BYTE if fallback and _BYTE_TOKEN.fullmatch(token) else NORMAL
    for extra in added:
        tokens[extra.id] = extra.content
        types[extra.id] = CONTROL if extra.special else USER_DEFINED
    unknown = (
        model.get("unk_id") if model.get("type") == "Unigram" else vocab.get(_visible(model, model.get("unk_token") or ""))
    )
    if unknown is not None:
        types[unknown] = UNKNOWN
    return tokens, types


def _ids_by_token(model: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """A vocabulary as a mapping, in the form that GGUF has it."""
    if model.get("type") == "Unigram":
        pieces = [entry[0] if isinstance(entry, list) and len(entry) == 2 else None for entry in model["vocab"]]
        if not all(isinstance(piece, str) for piece in pieces) or len(set(pieces)) != len(pieces):
            raise ModelError(f"{path}: the vocabulary holds entries that are no piece with a score, or one of them twice")
        return {str(piece): i for i, piece in enumerate(pieces)}
    return {_visible(model, token): i for token, i in model["vocab"].items()}


def _visible(model: Mapping[str, Any], token: str) -> str:
    """WordPiece marks what goes on with a word, we what begins one."""
    if model.get("type") != "WordPiece" or _BRACKETED.fullmatch(token):
        return token
    return from_word_piece(token)


def _cutting(spec: Mapping[str, Any], path: Path) -> _Cutting:
    normalizer, pre_tokenizer = spec.get("normalizer"), spec.get("pre_tokenizer")
    if any(step.get("type") == "ByteLevel" for step in _steps(pre_tokenizer, "pretokenizers")):
        return _Cutting(normalizer, pre_tokenizer, byte_level=True)
    steps = list(_steps(normalizer, "normalizers"))
    ours = [step for step in steps if step.get("type") == "Prepend" or step.get("content") == SPACE]
    theirs = [step for step in steps if step not in ours]
    prefix: SpacePrefix | None = "always" if any(step.get("type") == "Prepend" for step in ours) else None
    cuts = list(_steps(pre_tokenizer, "pretokenizers"))
    spaces = next((step for step in cuts if step.get("type") == "Metaspace"), None)
    if spaces is not None:
        schemes: dict[str, SpacePrefix] = {"always": "missing", "first": "first"}
        scheme = spaces.get("prepend_scheme", "always" if spaces.get("add_prefix_space", True) else "never")
        prefix = prefix or schemes.get(scheme)
        words = {"type": "Split", "pattern": {"String": SPACE}, "behavior": "MergedWithNext", "invert": False}
        cuts = [step for step in cuts if step is not spaces] + ([words] if spaces.get("split", True) else [])
    elif not ours:
        raise ModelError(f"{path}: neither byte-level nor SentencePiece's visible spaces; this tokenizer is not supported")
    return _Cutting(
        {"type": "Sequence", "normalizers": theirs} if theirs else None,
        {"type": "Sequence", "pretokenizers": cuts} if cuts else None,
        byte_level=False,
        space_prefix=prefix,
    )


def _steps(part: object, key: str) -> Iterator[Mapping[str, Any]]:
    """One step, or those of a sequence."""
    if isinstance(part, dict):
        inner = part.get(key)
        if isinstance(inner, list):
            for step in inner:
                yield from _steps(step, key)
        else:
            yield part


def _first_of_template(spec: Mapping[str, Any]) -> str | None:
    """The token that the post-processor puts before every text."""
    for step in _steps(spec.get("post_processor"), "processors"):
        match step:
            case {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": str(token)}}, *_]}:
                return token
            case {"type": "BertProcessing" | "RobertaProcessing", "cls": [str(token), *_]}:
                return token
    return None


def _last_of_template(spec: Mapping[str, Any]) -> str | None:
    """The token that the post-processor puts after every text."""
    for step in _steps(spec.get("post_processor"), "processors"):
        match step:
            case {"type": "TemplateProcessing", "single": [*_, {"SpecialToken": {"id": str(token)}}]}:
                return token
            case {"type": "BertProcessing" | "RobertaProcessing", "sep": [str(token), *_]}:
                return token
    return None


def _ids_of(ids: Mapping[str, int], config: Mapping[str, Any], key: str) -> list[int]:
    """The id of the token that a key names, by its text or as an object with its content."""
    token = config.get(key)
    if isinstance(token, dict):
        token = token.get("content")
    return [ids[token]] if isinstance(token, str) and token in ids else []


def _end_ids(folder: Path, size: int) -> list[int]:
    """End tokens that generation_config.json and config.json name by id: one, or a list."""
    out: list[int] = []
    for name in ("generation_config.json", "config.json"):
        value = read_optional_json(folder / name).get("eos_token_id")
        out += [i for i in (value if isinstance(value, list) else [value]) if isinstance(i, int) and 0 <= i < size]
    return out
