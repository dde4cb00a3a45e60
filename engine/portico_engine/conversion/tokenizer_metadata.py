"""The tokenizer of a Hugging Face folder under GGUF's keys.

It owns the finding of the pre-tokenizer's name and of SentencePiece scores, neither of which tokenizer.json has, and the proof:
what is written is read back, and must cut a set of texts into the same tokens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import tokenizers

from portico_engine.conversion.metadata_values import write_values
from portico_engine.errors import ModelError
from portico_engine.text.bpe import split_pre_tokenizer
from portico_engine.text.pretokenize import ignores_merges, pre_tokenizer_names, split_patterns
from portico_engine.text.tokenizer import Tokenizer
from portico_engine.text.tokenizer_json import read_tokenizer
from portico_engine.weights.json_file import read_json

# Texts on which pre-tokenizers differ: contractions, numbers, indentation, line ends, cases, scripts, combining marks, emoji.
PROBES: Sequence[str] = (
    "I'll say it's 3.1415926, they'd said; we'RE not DON'T.",
    "12 345 6789 1234567 2024-11-30T12:34:56Z +49 (0)30 1234",
    "def f(x):\n    if x > 0:\n\t\treturn {'a': [1, 2], \"b\": x**2}  # ok\n\n\nclass HTTPServerError2(Exception): pass\r\n",
    "  leading and trailing  \n \n   \t mixed\u00a0space  ",
    "Übergröße naïve façade ŒUVRE straße — “quoted” … ½ № ™",
    "Привет, мир! 你好，世界。日本語のテキスト 한국어 문장 नमस्ते दुनिया العربية ١٢٣ ไทย",
    "e\u0301a\u0308o\u0302 👩‍👩‍👧‍👦 🇩🇪 ✅👍🏽 ∑∫√ ≤≥ ← →",
    "camelCaseString snake_case_string SCREAMING_CASE kebab-case x86_64 a1b2c3 ABCdef",
    "https://example.com/path/to?q=1&r=%20#frag user@example.org /usr/local/bin C:\\Windows",
    "!!!???...---===___~~~ ((())) [[{}]] <<>> $$$ %%% ^^^ &&& *** \\n\\t",
)


def write_tokenizer(writer: gguf.GGUFWriter, folder: Path) -> None:
    """Raises ModelError where GGUF has no form for this tokenizer that cuts texts alike."""
    made = read_tokenizer(folder)
    metadata = tokenizer_metadata(folder, made)
    _prove(made, Tokenizer.from_gguf(metadata), folder)
    write_values(writer, metadata)


def tokenizer_metadata(folder: Path, made: Tokenizer) -> dict[str, Any]:
    """GGUF's keys for what is in the folder and was read as `made`."""
    spec = read_json(folder / "tokenizer.json")
    model: Mapping[str, Any] = spec["model"]
    merges = [tuple(each) if isinstance(each, list) else tuple(str(each).split(" ", 1)) for each in model.get("merges") or []]
    if model.get("type", "BPE") != "BPE":
        raise ModelError(f"{folder}: its tokenizer is {model.get('type')}; folders with BPE tokenizers can be converted")
    metadata: dict[str, Any] = {"tokenizer.ggml.tokens": list(made.tokens), "tokenizer.ggml.token_type": list(made.types)}
    if made.byte_level:
        metadata |= {
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": _pre_tokenizer_name(spec, bool(model.get("ignore_merges")), folder),
            "tokenizer.ggml.merges": [" ".join(pair) for pair in merges],
        }
    else:
        metadata |= {
            "tokenizer.ggml.model": "llama",
            "tokenizer.ggml.scores": _scores(made.tokens, merges),
            "tokenizer.ggml.add_space_prefix": made.space_prefix is not None,
        }
    metadata |= {"tokenizer.ggml.eos_token_id": made.eos_token_id, "tokenizer.ggml.add_bos_token": made.add_bos}
    if made.bos_token_id is not None:
        metadata["tokenizer.ggml.bos_token_id"] = made.bos_token_id
    others = sorted(made.end_token_ids - {made.eos_token_id})
    if others:
        metadata["tokenizer.ggml.eot_token_id"] = others[0]
    return metadata


def _pre_tokenizer_name(spec: Mapping[str, Any], ignores: bool, folder: Path) -> str:
    """The first that cuts all probes as the folder's own does."""
    given = tokenizers.Tokenizer.from_str(json.dumps({**spec, "added_tokens": []})).pre_tokenizer
    pieces = [_pieces(given, text) for text in PROBES]
    for name in pre_tokenizer_names():
        candidate = split_pre_tokenizer(split_patterns(name))
        if ignores_merges(name) == ignores and all(
            _pieces(candidate, text) == cut for text, cut in zip(PROBES, pieces, strict=True)
        ):
            return name
    raise ModelError(f"{folder}: its pre-tokenizer is none that GGUF has a name for, so that it can't be converted")


def _pieces(pre_tokenizer: Any, text: str) -> list[str]:
    return [piece for piece, _ in pre_tokenizer.pre_tokenize_str(text)]


def _scores(tokens: Sequence[str], merges: Sequence[tuple[str, ...]]) -> list[float]:
    """SentencePiece merges the best-scored piece first: scores fall with the rank of a piece's first merge."""
    rank: dict[str, int] = {}
    for i, pair in enumerate(merges):
        rank.setdefault("".join(pair), i)
    return [-float(rank.get(token, len(merges) + i)) for i, token in enumerate(tokens)]


def _prove(before: Tokenizer, after: Tokenizer, folder: Path) -> None:
    for text in PROBES:
        if before.encode(text) != after.encode(text):
            raise ModelError(f"{folder}: in GGUF its tokenizer cuts {text[:40]!r} into other tokens, so it is not converted")
