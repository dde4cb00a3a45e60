"""How well a passage of a document answers a question: what of the question it has, what it is about, what kind it is.

Each feature is between 0 and 1; `weights.PassageWeights` says what each counts. It knows candidates, not results or models.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate, PassageFeatures
from portico_gateway.agent.guided.extraction.documents.history_pages import asks_for_history, is_history
from portico_gateway.agent.guided.extraction.documents.passage_kinds import asked_types, share_given
from portico_gateway.guidance.stemming import stems_of
from portico_gateway.guidance.tool_retrieval import TextEmbedding
from portico_gateway.guidance.weights import DEFAULT_WEIGHTS, PassageWeights

ONLY_ABOVE = 0.4  # of a name that stands in the headings or the lead alone
MAX_CHOICES = 16  # passages that the model chooses among
_EXAMPLE = re.compile(r"\bhow (?:do|can|to|should|would)\b|\bexamples?\b|\bcode\b|\bshow me\b|\bsyntax\b|[{}]", re.IGNORECASE)
_IDENTIFIER = re.compile(r"--?[A-Za-z][\w-]+|\.?[A-Za-z]\w*(?:[._]\w+)+|\b[A-Z]+[a-z]+[A-Z]\w*|\b[A-Z]{2,}[A-Z0-9_]*\b|\.\w+")


def passage_features(
    question: str, candidates: Sequence[AnswerCandidate], embed: TextEmbedding, rarity: Mapping[str, float]
) -> list[PassageFeatures]:
    """The features of each candidate. `rarity` gives nats by stem; stems that it lacks are counted among the candidates."""
    asked = list(dict.fromkeys(stems_of(question)))
    texts = [frozenset(stems_of(c.text)) for c in candidates]
    contexts = [frozenset(stems_of(c.context)) for c in candidates]
    weight = _rarity(asked, texts, contexts, rarity)
    types = asked_types(question)
    current = not asks_for_history(question)
    example = _EXAMPLE.search(question) is not None
    names = [name.lower() for name in dict.fromkeys(_IDENTIFIER.findall(question))]
    vectors = embed([question, *(f"{c.context} {c.focus}" for c in candidates), *(c.focus for c in candidates)])
    near = np.maximum(vectors[1:] @ vectors[0], 0.0)
    found = []
    for at, candidate in enumerate(candidates):
        focus = frozenset(stems_of(candidate.focus))
        topic = frozenset(stems_of(" ".join(candidate.topic)))
        found.append(
            PassageFeatures(
                focus_words=_covered(asked, focus, weight),
                text_words=_covered(asked, texts[at], weight),
                context_words=_covered(asked, texts[at] | contexts[at], weight),
                topic=len(topic & set(asked)) / len(topic) if topic else 0.0,
                pairs=_pairs(asked, stems_of(f"{candidate.context} {candidate.text}")),
                identifiers=_spelled(names, candidate),
                similar=float(near[at]),
                similar_focus=float(near[len(candidates) + at]),
                kind=share_given(types, candidate.focus, question),
                kind_text=share_given(types, candidate.text, question),
                prose=float((not candidate.code or example) and not candidate.text.endswith(":")),
                rank=1.0 / (1 + candidate.rank),
                history=float(current and is_history(candidate.citation)),
            )
        )
    return found


def weighed_passages(
    question: str,
    candidates: Sequence[AnswerCandidate],
    embed: TextEmbedding,
    weights: PassageWeights = DEFAULT_WEIGHTS.passages,
    rarity: Mapping[str, float] | None = None,
) -> list[AnswerCandidate]:
    """The best candidates with their weights, best first, each text once. `rarity`: see `passage_features`."""
    features = passage_features(question, candidates, embed, rarity or {}) if candidates else []
    scored = [
        replace(c, weight=weight_of(f, weights), found=f.context_words, fit=f.kind_text, features=f)
        for c, f in zip(candidates, features, strict=True)
    ]
    best: dict[str, AnswerCandidate] = {}
    for candidate in sorted(scored, key=lambda one: -(one.weight or 0.0)):
        best.setdefault(candidate.text, candidate)
    return list(best.values())[:MAX_CHOICES]


def weight_of(features: PassageFeatures, weights: PassageWeights) -> float:
    """What they count together, in nats."""
    return float(sum(getattr(weights, field.name) * getattr(features, field.name) for field in fields(weights)))


def known_rarity(results: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Nats by stem, from what searches say of their query's words: `words`, how many of `passages` hold each."""
    found: dict[str, float] = {}
    for data in results:
        words, passages = data.get("words"), data.get("passages")
        if not isinstance(words, Mapping) or not isinstance(passages, int):
            continue
        for word, holding in words.items():
            for stem in stems_of(str(word)):
                found[stem] = max(found.get(stem, 0.0), math.log((passages + 1) / (float(holding) + 0.5)))
    return found


def _rarity(
    asked: Sequence[str], texts: Sequence[frozenset[str]], contexts: Sequence[frozenset[str]], known: Mapping[str, float]
) -> dict[str, float]:
    holding = Counter(word for text, context in zip(texts, contexts, strict=True) for word in (text | context))
    of = len(texts) + 1
    return {word: known.get(word, math.log(of / (holding[word] + 0.5))) for word in asked}


def _covered(asked: Sequence[str], words: frozenset[str], weight: Mapping[str, float]) -> float:
    whole = sum(max(0.1, weight[word]) for word in asked)
    return sum(max(0.1, weight[word]) for word in asked if word in words) / whole if whole else 0.0


def _spelled(names: Sequence[str], candidate: AnswerCandidate) -> float:
    """The share of the names that the text has, or is about; one among others in a heading, or in the lead, says less."""
    topic = candidate.topic[-1] if candidate.topic else ""
    text, context = candidate.text.removeprefix(f"{topic}: ").lower(), candidate.context.lower()
    about = topic.strip("`").lower()
    return sum(1.0 if name in text or name == about else ONLY_ABOVE * (name in context) for name in names) / max(1, len(names))


def _pairs(asked: Sequence[str], words: Sequence[str]) -> float:
    pairs = set(itertools.pairwise(asked))
    if not pairs:
        return 0.0
    there = {(a, b) for at, a in enumerate(words) for b in words[at + 1 : at + 4]}
    return len([pair for pair in pairs if pair in there or pair[::-1] in there]) / len(pairs)
