"""The answer from what the calls found: free for a model that can be trusted with prose, a quotation for a small one.

It calls no tool and confirms no citation.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from portico_engine import EngineClient, SamplingParams, TextPrior
from portico_gateway.agent.guided.extraction.extract import extract
from portico_gateway.agent.guided.quotations import passage_weights, quotation_grammar
from portico_gateway.agent.prompts import Message
from portico_gateway.agent.question_run import QuestionRun
from portico_gateway.agent.request_builder import RequestBuilder
from portico_gateway.guidance.tool_retrieval import RankedTool, ToolRetriever

MAX_ANSWER_TOKENS = 256
REPETITION_PENALTY = 1.1  # on free prose


class AnswerGenerator:
    """Writes answers. `raw`: a small model is left to its own words too, for comparison."""

    def __init__(
        self,
        engine: EngineClient,
        retriever: ToolRetriever,
        requests: RequestBuilder,
        *,
        sampling: SamplingParams,
        raw: bool,
    ) -> None:
        strength = retriever.weights.strength
        self._engine = engine
        self._embed = retriever.embed
        self._weights = retriever.weights.quotations
        self._requests = requests
        self._sampling = sampling
        self._strength = strength.of(engine.info.parameters)
        self._quotes = strength.is_small(engine.info.parameters) and not raw

    async def generate(self, run: QuestionRun, turns: Sequence[Message], ranked: Sequence[RankedTool]) -> AsyncIterator[str]:
        """The answer, in pieces. `ranked` are all tools: the prompt begins as it did when the call was written."""
        request = replace(
            await self._requests.request(await self._requests.catalog(ranked), turns),
            sampling=replace(self._sampling, repetition_penalty=REPETITION_PENALTY),
            max_tokens=MAX_ANSWER_TOKENS,
        )
        results = [call.result for call in run.tool_calls if call.result.found]
        if passages := [candidate.text for candidate in extract(results)] if self._quotes else []:
            weights = passage_weights(passages, run.question, self._embed, self._weights)
            prior = TextPrior(weights, strength=self._strength)
            request = replace(request, sampling=self._sampling, grammar=quotation_grammar(passages), prior=prior)
        async for delta in run.generate(self._engine, request):
            if delta.text:
                yield delta.text
