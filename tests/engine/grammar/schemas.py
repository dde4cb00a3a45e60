"""What the schema tests share: SmolLM2's vocabulary, its factory, and short ways to ask a grammar."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tests.engine.grammar import oracle

from portico_engine import find_model
from portico_engine.grammar import compile_schema
from portico_engine.grammar.compiled import CompiledGrammar
from portico_engine.grammar.llguidance.factory import LLGuidanceFactory
from portico_engine.grammar.schema.order import canonical_text
from portico_engine.text.tokenizer import Tokenizer
from portico_engine.weights.gguf_file import GGUFFile

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


@cache
def tokenizer() -> Tokenizer:
    """The default model's vocabulary, without the model."""
    return Tokenizer.from_gguf(GGUFFile(find_model()).metadata)


@cache
def factory() -> LLGuidanceFactory:
    return LLGuidanceFactory(tokenizer())


def checking(schema: Any, **options: Any) -> CompiledGrammar:
    """The grammar without default bounds."""
    return compile_schema(schema, bounds=None, **options)


def takes(schema: Any, *texts: str) -> list[bool]:
    """Does the grammar (for checking) take each whole text? Asked of llguidance over single bytes."""
    lark = checking(schema).text
    return [oracle.accepts(lark, text) for text in texts]


def takes_value(grammar: CompiledGrammar, schema: Any, value: Any) -> bool:
    """Does the grammar take the canonical text of `value`?"""
    return oracle.accepts(grammar.text, canonical_text(schema, value))


def written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def allowed(bitmask: np.ndarray, row: int = 0) -> np.ndarray:
    """Token ids of a mask's row."""
    bits = np.unpackbits(bitmask[row].view(np.uint8), bitorder="little")
    return np.flatnonzero(bits[: tokenizer().vocab_size])


def empty_mask(rows: int = 1) -> np.ndarray:
    return np.zeros((rows, factory().words), dtype=np.int32)
