"""Answers that can't be wrong about their source: for a small model, the answer is a choice among passages of what was found.

A model of 135M parameters that writes freely about a result invents links, and miscounts numbers that stand in front of it.
Under a grammar of quotations it can only say what is there; retrieval's opinion of each passage goes along as a prior, and
since a passage is forced once it is chosen, answering takes few model steps.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from portico_engine.grammar import CompiledGrammar, compile_gbnf
from portico_gateway.guidance.question import read_question
from portico_gateway.guidance.stemming import content_words
from portico_gateway.guidance.tool_retrieval import TextEmbedding
from portico_gateway.guidance.weights import DEFAULT_WEIGHTS, QuotationWeights

_OWNER = re.compile(r"\b([A-Z]\w+)['’]s\b(?!\s+(?:\w+\s+)?(?:name|surname)\b)")  # whose name is asked for may be told
ASKS_SEVERAL = re.compile(r"\b(?:which|what|all|the|list|any)\s+(?:\w+\s+){0,2}?\w{3,}s\b", re.IGNORECASE)


def passage_weights(
    texts: Sequence[str], question: str, embed: TextEmbedding, weights: QuotationWeights = DEFAULT_WEIGHTS.quotations
) -> dict[str, float]:
    """What retrieval thinks of each passage as an answer, in nats."""
    vectors = embed([question, *texts])
    near = vectors[1:] @ vectors[0]
    asked = set(content_words(question))
    named = _named(question, texts)
    owners = [found.lower() for found in _OWNER.findall(question)]
    several = ASKS_SEVERAL.search(question) is not None
    return {
        text: weights.embedding * float(cosine)
        + weights.shared_words * len(asked & set(content_words(text))) / max(1, len(asked))
        + weights.named * sum(name in text.lower() for name in named) / max(1, len(named))
        + (weights.listed if several and _is_list(text) else 0.0)
        + (weights.echo if _echoes(text, asked) or _is_owner(text, owners) else 0.0)
        - weights.later * rank
        for rank, (text, cosine) in enumerate(zip(texts, near.tolist(), strict=True))
    }


def _named(question: str, texts: Sequence[str]) -> list[str]:
    """Names and quoted strings of the question, lower case, that some of the passages have, and not all."""
    said = {value.text.lower() for value in read_question(question).values if value.kinds & {"name", "quoted"}}
    return [name for name in said if 0 < sum(name in text.lower() for text in texts) < len(texts)]


def _is_list(text: str) -> bool:
    """Is it several things of a few words each, and no counts of them?"""
    items = text.rsplit(": ", 1)[-1].split(", ")
    return len(items) > 1 and all(len(item.split()) <= 3 and not item[:1].isdigit() for item in items)


def _echoes(text: str, asked: set[str]) -> bool:
    """Does it say nothing that the question does not say itself, but for the name of its field?"""
    words = content_words(text.rsplit(": ", 1)[-1])
    return bool(words) and asked.issuperset(words)


def _is_owner(text: str, owners: Sequence[str]) -> bool:
    """Is it but the name of whose thing is asked for: "Tarik Novak" of "Tarik's dog"?"""
    parts = re.split(r"[\s_]+", text.rsplit(": ", 1)[-1].strip(" .\"'"))
    return len(parts) <= 3 and all(part[:1].isupper() for part in parts) and any(part.lower() in owners for part in parts)


def quotation_grammar(texts: Sequence[str]) -> CompiledGrammar:
    """Exactly one of the passages."""
    return compile_gbnf("root ::= " + " | ".join(_literal(text) for text in texts) + "\n")


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "").replace("\t", "\\t")
    return f'"{escaped}"'
