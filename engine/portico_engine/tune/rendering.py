"""Rows to token ids, by the model's own template and tokenizer: the ids that the engine is given when it serves.

It owns which tokens are the assistant's, and so carry loss. It knows neither tools nor tensors.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from portico_engine.text.chat_template import ChatTemplate
from portico_engine.text.prompt_encoder import PromptEncoder
from portico_engine.text.tokenizer import Tokenizer
from portico_engine.text.tokenizer_json import read_tokenizer
from portico_engine.weights.gguf_file import GGUFFile
from portico_engine.weights.hugging_face import HuggingFaceFolder


class TokenRow(NamedTuple):
    """`ids`, of which those from `learned` on carry loss. `kept`: none does; the model shall say of them what its base says."""

    ids: tuple[int, ...]
    learned: int
    kept: bool = False


class ChatRenderer:
    """For one model, a GGUF file or a Hugging Face folder."""

    def __init__(self, model: Path) -> None:
        file = HuggingFaceFolder(model) if model.is_dir() else GGUFFile(model)
        self._tokenizer = read_tokenizer(model) if model.is_dir() else Tokenizer.from_gguf(file.metadata)
        source = str(file.metadata["tokenizer.chat_template"])
        self._encoder = PromptEncoder(self._tokenizer, source)
        tokens, end = self._tokenizer.tokens, self._tokenizer.eos_token_id
        names = {"eos_token": tokens[end]}
        if self._tokenizer.bos_token_id is not None:
            names["bos_token"] = tokens[self._tokenizer.bos_token_id]
        self._template = ChatTemplate(source, names, disguise=self._encoder.disguise)
        self._end = end

    def prompt(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """As `Engine.render_chat` gives it, up to where the answer begins."""
        return self._encoder.encode(self._template.render_disguised(messages))

    def row(self, prompt: Sequence[Mapping[str, Any]], completion: str, given: str = "", *, kept: bool = False) -> TokenRow:
        """Prompt, answer and the turn's end; `given` is the beginning of the answer that the grammar says."""
        ids = self.prompt(prompt)
        learned = 1 if kept else len(ids) + len(self._tokenizer.encode(given))
        return TokenRow((*ids, *self._tokenizer.encode(completion), self._end), learned, kept)

    def rows(self, lines: Iterable[str], longest: int) -> Iterator[TokenRow]:
        """Of JSON lines in TRL's shape of prompt and completion; what is longer than `longest` tokens is left out."""
        for line in lines:
            one = json.loads(line)
            row = self.row(one["prompt"], one["completion"][-1]["content"], one.get("given", ""), kept=one.get("kept", False))
            if len(row.ids) <= longest:
                yield row


def save_rows(path: Path, rows: Iterable[TokenRow]) -> int:
    """Into one compressed file; returns how many."""
    found = list(rows)
    np.savez_compressed(
        path,
        ids=np.fromiter(itertools.chain.from_iterable(row.ids for row in found), np.uint16),
        lengths=np.array([len(row.ids) for row in found], np.uint16),
        learned=np.array([row.learned for row in found], np.uint16),
        kept=np.array([row.kept for row in found], np.bool_),
    )
    return len(found)


def load_rows(path: Path) -> list[TokenRow]:
    """What `save_rows` wrote."""
    with np.load(path, allow_pickle=False) as file:
        ids: npt.NDArray[np.uint16] = file["ids"]
        ends = np.cumsum(file["lengths"], dtype=np.int64)
        rows = zip(np.split(ids, ends[:-1]), file["learned"], file["kept"], strict=True)
        return [TokenRow(tuple(own.tolist()), int(learned), bool(kept)) for own, learned, kept in rows]
