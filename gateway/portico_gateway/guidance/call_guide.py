"""CallGuide: everything that guidance says about one call, for whoever writes it: which tool, and what its arguments may be.

The agent of small models and the HTTP APIs use it alike. It only prepares: the grammar is compiled, and the prior applied, by the
engine. It knows tools as names, descriptions and schemas, and a conversation as its texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from portico_engine import CallPrior, Tool, ToolCallPrior
from portico_gateway.guidance.copied_values import fill
from portico_gateway.guidance.copy_grammar import NarrowedTool, narrow
from portico_gateway.guidance.definition_similarity import DefinitionSimilarity
from portico_gateway.guidance.parameters import parameters_of
from portico_gateway.guidance.span_fit import SpanFit
from portico_gateway.guidance.spans import Span, read_spans
from portico_gateway.guidance.tool_retrieval import TextEmbedding
from portico_gateway.guidance.weights import DEFAULT_WEIGHTS, Weights


@dataclass(frozen=True, slots=True)
class GuidedCall:
    """What a call is generated under. `free`: by tool, the paths of required values that nothing said fits, which the model
    writes by itself."""

    tools: tuple[Tool, ...]
    prior: ToolCallPrior
    free: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class CallGuide:
    """Guides the calls of a small model. `names` and `copies` switch its two halves off, for measuring."""

    def __init__(
        self, embed: TextEmbedding, weights: Weights = DEFAULT_WEIGHTS, *, names: bool = True, copies: bool = True
    ) -> None:
        self.weights = weights
        self._embed = embed
        self._names, self._copies = names, copies
        self._similarity = DefinitionSimilarity(embed)

    def guides(self, parameters: int) -> bool:
        """Is a model of so many parameters one that needs it?"""
        return self.weights.strength.is_small(parameters)

    def guide(self, tools: Sequence[Tool], question: str) -> GuidedCall:
        """What is said about the call that answers a question, with the tools in their own order."""
        weight = self.weights.retrieval.definition
        similar = self._similarity.of(tools, question) if self._names else [0.0] * len(tools)
        names = {tool.name: weight * (cosine - max(similar)) for tool, cosine in zip(tools, similar, strict=True)}
        best = sorted(tools, key=lambda tool: -names[tool.name])[: self.weights.copies.most_tools]
        narrowed = self.narrowed(best, question) if self._copies else {}
        calls = {name: of.prior for name, of in narrowed.items()}
        prior = ToolCallPrior(names if self._names else {}, calls, strength=self.weights.strength.small)
        kept = tuple(narrowed[tool.name].tool if tool.name in narrowed else tool for tool in tools)
        return GuidedCall(kept, prior, {name: of.free for name, of in narrowed.items() if of.free})

    def narrowed(self, tools: Sequence[Tool], question: str) -> dict[str, NarrowedTool]:
        """Tools by name, each as the question leaves it."""
        spans = read_spans(question)
        return {tool.name: self._narrow(tool, question, spans) for tool in tools}

    def _narrow(self, tool: Tool, question: str, spans: Sequence[Span]) -> NarrowedTool:
        parameters = parameters_of(tool.parameters)
        if not parameters:
            return NarrowedTool(tool, CallPrior())
        about = f"{tool.name} {tool.description}".replace(".", " ")
        fit = SpanFit(question, spans, parameters, self._embed, self.weights.copies, about)
        return narrow(tool, fill(fit), self.weights.copies, self.weights.keys)
