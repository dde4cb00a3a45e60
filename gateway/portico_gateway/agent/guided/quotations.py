"""Answers that can't be wrong about their source: for a small model, the answer is a choice among passages of what was found.

A model of 135M parameters that writes freely about a result invents links, and miscounts numbers that stand in front of it.
Under a grammar of quotations it can only say what is there; retrieval's opinion of each passage goes along as a prior, and
since a passage is forced once it is chosen, answering takes few model steps.
"""

from __future__ import annotations

from collections.abc import Sequence

from portico_engine.grammar import CompiledGrammar, compile_gbnf
from portico_gateway.guidance.stemming import content_words
from portico_gateway.guidance.tool_retrieval import TextEmbedding
from portico_gateway.guidance.weights import DEFAULT_WEIGHTS, QuotationWeights


def passage_weights(
    texts: Sequence[str], question: str, embed: TextEmbedding, weights: QuotationWeights = DEFAULT_WEIGHTS.quotations
) -> dict[str, float]:
    """What retrieval thinks of each passage as an answer, in nats."""
    vectors = embed([question, *texts])
    near = vectors[1:] @ vectors[0]
    asked = set(content_words(question))
    return {
        text: weights.embedding * float(cosine)
        + weights.shared_words * len(asked & set(content_words(text))) / max(1, len(asked))
        + (weights.echo if _echoes(text, asked) else 0.0)
        - weights.later * rank
        for rank, (text, cosine) in enumerate(zip(texts, near.tolist(), strict=True))
    }


def _echoes(text: str, asked: set[str]) -> bool:
    """Does it say nothing that the question does not say itself, but for the name of its field?"""
    words = content_words(text.rsplit(": ", 1)[-1])
    return bool(words) and asked.issuperset(words)


def quotation_grammar(texts: Sequence[str]) -> CompiledGrammar:
    """Exactly one of the passages."""
    return compile_gbnf("root ::= " + " | ".join(_literal(text) for text in texts) + "\n")


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "").replace("\t", "\\t")
    return f'"{escaped}"'
