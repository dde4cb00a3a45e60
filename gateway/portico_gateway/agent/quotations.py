"""Answers that can't be wrong about their source: for a small model, the answer is a choice among passages of what was found.

A model of 135M parameters that writes freely about a result invents links, and miscounts numbers that stand in front of it.
Under a grammar of quotations it can only say what is there; retrieval's opinion of each passage goes along as a prior, and
since a passage is forced once it is chosen, answering takes few model steps.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from portico_engine.grammar import CompiledGrammar, compile_gbnf
from portico_gateway.agent.rendered_results import RenderedResult
from portico_gateway.guidance.stemming import content_words
from portico_gateway.guidance.tool_retrieval import TextEmbedding
from portico_gateway.guidance.weights import DEFAULT_WEIGHTS, QuotationWeights

MAX_PASSAGES = 24  # to choose from
MAX_PASSAGE_CHARACTERS = 280  # of one
MIN_PASSAGE_CHARACTERS = 12

_BLOCK = re.compile(r"\n\s*\n")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z`*\"(])")


def quotable_passages(results: Sequence[RenderedResult]) -> list[str]:
    """Passages that may be an answer, best-ranked results first, none over MAX_PASSAGE_CHARACTERS, without repeats."""
    found: dict[str, None] = {}
    for result in results:
        for passage in _rows(result.text) if _is_rows(result) else _passages(result):
            text = passage.strip()
            if len(text) >= MIN_PASSAGE_CHARACTERS or _is_rows(result):
                found.setdefault(
                    text if len(text) <= MAX_PASSAGE_CHARACTERS else text[: MAX_PASSAGE_CHARACTERS - 1].rsplit(" ", 1)[0] + "…"
                )
    return [text for text in found if text][:MAX_PASSAGES]


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
        - weights.later * rank
        for rank, (text, cosine) in enumerate(zip(texts, near.tolist(), strict=True))
    }


def quotation_grammar(texts: Sequence[str]) -> CompiledGrammar:
    """Exactly one of the passages."""
    return compile_gbnf("root ::= " + " | ".join(_literal(text) for text in texts) + "\n")


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "").replace("\t", "\\t")
    return f'"{escaped}"'


def _is_rows(result: RenderedResult) -> bool:
    return bool(result.citations) and all("table" in citation.fields for citation in result.citations)


def _rows(text: str) -> list[str]:
    """A table's answer whole where it is short; else its first lines."""
    lines = [line for line in text.splitlines() if line.strip()]
    return ["\n".join(lines)] if len(text) <= MAX_PASSAGE_CHARACTERS else ["\n".join(lines[:6])]


def _passages(result: RenderedResult) -> list[str]:
    """Of ranked hits: where each one is, and what its prose says."""
    found: list[str] = []
    for citation in result.citations:
        symbol, kind = citation.fields.get("symbol"), citation.fields.get("kind")
        if "start_line" in citation.fields:
            found.append(f"{citation.label}: {kind} {symbol}" if symbol and kind else f"{citation.label}: {citation.quote}")
        else:
            found += _prose(str(citation.fields.get("text") or ""))
    return found or _prose(result.text)


def _prose(text: str) -> list[str]:
    out: list[str] = []
    for block in _BLOCK.split(text):
        block = block.strip().removeprefix("```").strip()
        if block.startswith(("#", "|", "---", "===")) or not block:
            continue
        if len(block) <= MAX_PASSAGE_CHARACTERS:
            out.append(" ".join(block.split()))
        else:
            out += [" ".join(sentence.split()) for sentence in _SENTENCE.split(block)]
    return out
