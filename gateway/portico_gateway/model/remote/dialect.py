"""A grammar in the form that a model server takes: what it is called there, and in which language it is.

llama.cpp's server takes GBNF as `grammar`, vLLM as `structured_outputs`, SGLang as `ebnf`; most others take a JSON Schema as
`response_format`, and some nothing. It knows no connections.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, get_args

from portico_engine.grammar import CompiledGrammar, to_gbnf

GrammarForm = Literal["grammar", "structured_outputs", "ebnf", "response_format", "none"]
FORMS: tuple[GrammarForm, ...] = get_args(GrammarForm)
_BY_OWNER: Mapping[str, GrammarForm] = {
    "llamacpp": "grammar",  # llama-server
    "me": "grammar",  # llama_cpp.server
    "vllm": "structured_outputs",
    "sglang": "ebnf",
}
_KEPT = 64  # grammars, as texts


def form_of(model: Mapping[str, Any]) -> GrammarForm:
    """By what a server says of itself in its list of models."""
    return _BY_OWNER.get(str(model.get("owned_by")), "response_format")


def grammar_fields(grammar: CompiledGrammar | None, form: GrammarForm) -> dict[str, Any]:
    """The fields of a chat completion's body; none where the server takes no such grammar."""
    if grammar is None or form == "none":
        return {}
    if form == "response_format":
        if grammar.schema is None:
            return {}
        named = {"name": "answer", "schema": grammar.schema, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": named}}
    if grammar.ir is None:
        return {}
    text = _gbnf(grammar)
    return {"structured_outputs": {"grammar": text}} if form == "structured_outputs" else {form: text}


@lru_cache(_KEPT)
def _gbnf(grammar: CompiledGrammar) -> str:
    assert grammar.ir is not None
    return to_gbnf(grammar.ir, target="llama.cpp")
