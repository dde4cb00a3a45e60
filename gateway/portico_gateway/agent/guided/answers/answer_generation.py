"""The answer from what the calls found: free for a model that can be trusted with prose, a quotation for a small one.

It calls no tool, confirms no citation, and does not judge what was chosen: `verdict.py` does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace

from portico_engine import EngineClient, Request, SamplingParams, TextPrior
from portico_gateway.agent.events import ToolCallFinished
from portico_gateway.agent.guided.answers.candidates import CandidateReader, WeighedCandidate
from portico_gateway.agent.guided.answers.companions import bounds_of, companions, mixed, share, together
from portico_gateway.agent.guided.answers.quotations import quotation_grammar
from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate, is_source
from portico_gateway.agent.guided.extraction.records import told_together
from portico_gateway.agent.guided.extraction.rows import is_rows
from portico_gateway.agent.guided.extraction.structured import structured_value
from portico_gateway.agent.prompts import Message
from portico_gateway.agent.question_run import QuestionRun
from portico_gateway.agent.request_builder import RequestBuilder
from portico_gateway.agent.tool_host import ToolHost
from portico_gateway.guidance.question import read_question
from portico_gateway.guidance.tool_retrieval import RankedTool, ToolRetriever

MAX_ANSWER_TOKENS = 384
SHORT_LINES = 12  # of a text that is told whole,
SHORT_CHARACTERS = 700
SURE_MARGIN = 3.0  # nats: what is counted stands beside nothing
REPETITION_PENALTY = 1.1  # on free prose


@dataclass(frozen=True, slots=True)
class QuotedAnswer:
    """A candidate that the model chose, with what is printed beside it, and how it stood among the others."""

    text: str
    candidate: AnswerCandidate | None
    calls: tuple[ToolCallFinished, ...]  # that led to it; it stands in the last one's result
    logprob: float = 0.0  # of the choice, under its prior
    weight: float = 0.0  # nats, of the candidate before the model
    margin: float = 0.0  # nats, to the best of the others; below 0 where another was better
    file_margin: float = 0.0  # the same, of those in other files; 0 where there are none
    candidates: int = 1
    printed: int = 0  # passages of documents, or places in code, that are told,
    share: float = 0.0  # and their part of all candidates' odds
    several: bool = False  # it counts or lists records of a result
    whole: bool = False  # it is all of a text that the question names

    parts: tuple[AnswerCandidate, ...] = ()  # what is printed, best first
    alone: str = ""  # the text without what another tool found, where that is told, too
    beside: tuple[ToolCallFinished, ...] = ()  # the calls that found the latter

    @property
    def own_text(self) -> str:
        """What its own calls found."""
        return self.alone or self.text

    @property
    def passages(self) -> int:
        """How many passages of documents it tells."""
        return self.printed if self.candidate is not None and self.candidate.features is not None else 0

    @property
    def places(self) -> int:
        """How many places in source code it tells."""
        return self.printed if is_source(self.candidate) else 0

    @property
    def call(self) -> ToolCallFinished | None:
        """The one whose result it stands in."""
        return self.calls[-1] if self.calls else None


class AnswerGenerator:
    """Writes answers. `raw`: a small model is left to its own words too, for comparison."""

    def __init__(
        self,
        engine: EngineClient,
        host: ToolHost,
        retriever: ToolRetriever,
        requests: RequestBuilder,
        *,
        sampling: SamplingParams,
        raw: bool,
    ) -> None:
        strength = retriever.weights.strength
        self._engine = engine
        self._host = host
        self._candidates = CandidateReader(host, retriever.embed, retriever.weights)
        self._requests = requests
        self._sampling = sampling
        self._strength = strength.of(engine.info.parameters)
        self._near = retriever.weights.quotations.near
        self.quotes = strength.is_small(engine.info.parameters) and not raw

    async def write(self, run: QuestionRun, turns: Sequence[Message], ranked: Sequence[RankedTool]) -> AsyncIterator[str]:
        """The answer in the model's own words, in pieces. `ranked` are all tools: the prompt begins as it did at the call."""
        async for delta in run.generate(self._engine, await self._request(turns, ranked)):
            if delta.text:
                yield delta.text

    async def quote(
        self,
        run: QuestionRun,
        turns: Sequence[Message],
        ranked: Sequence[RankedTool],
        calls: Sequence[ToolCallFinished],
    ) -> QuotedAnswer | None:
        """The candidate of the last call's result that the model chooses; None where it has none."""
        candidates = await self._candidates.read(run.question, calls[-1:])
        if not candidates:
            return None
        if len(candidates) == 1 and is_rows(calls[-1].result):  # nothing to choose, and maybe more than a model may write
            [(text, weighed)] = candidates.items()
            return QuotedAnswer(text, weighed.candidate, tuple(calls), weight=weighed.weight)
        weights = {text: weighed.weight for text, weighed in candidates.items()}
        offered = await self._writable(self._nearly_best(weights) if _are_weighed(candidates) else weights)
        text, logprob = max(weights, key=lambda each: weights[each]), 0.0
        if offered:
            text, logprob = await self._chosen(run, await self._request(turns, ranked), offered)
        return quoted_answer(candidates, text, calls, logprob)

    def together(self, question: str, calls: Sequence[ToolCallFinished]) -> QuotedAnswer | None:
        """All records of the last call's result that the question counts or asks for; None where it has no such."""
        tool = next((tool for tool in self._host.tools() if tool.name == calls[-1].tool), None)
        result = calls[-1].result
        if tool is None or result.citations or (text := told_together(read_question(question), result, tool)) is None:
            return None
        return QuotedAnswer(
            text, AnswerCandidate(text), tuple(calls), margin=SURE_MARGIN, several="\n" in text or text[0].isdigit()
        )

    @staticmethod
    def none_of(run: QuestionRun, call: ToolCallFinished) -> QuotedAnswer | None:
        """That there is none, where the server that reads all of the question says that this answers it."""
        reading = run.proposal(call.tool)
        if reading is None or not reading.empty or reading.unused or dict(reading.arguments) != call.arguments:
            return None
        data = call.result.data or {}
        if call.denied or call.error or data.get("rows") != [] or data.get("note"):  # a note tells of a value that is not there
            return None
        return QuotedAnswer(f"none: {call.result.text}", AnswerCandidate(call.result.text), (call,))

    @staticmethod
    def whole(calls: Sequence[ToolCallFinished], *, named: bool) -> QuotedAnswer | None:
        """All of the last call's result, where it is a short text: whoever has asked for a note by its name can read it."""
        text = calls[-1].result.text.strip()
        lines = [line for line in text.splitlines() if line.strip()]
        short = 1 < len(lines) <= SHORT_LINES and len(text) <= SHORT_CHARACTERS
        if not short or calls[-1].result.citations or structured_value(text, calls[-1].result.data) is not None:
            return None
        return QuotedAnswer(text, AnswerCandidate(text), tuple(calls), whole=named)

    async def _chosen(self, run: QuestionRun, request: Request, offered: Mapping[str, float]) -> tuple[str, float]:
        """The one that the model writes, and the log-probability of its choices."""
        request = replace(
            request,
            sampling=replace(self._sampling, logprobs=0),
            grammar=quotation_grammar(list(offered)),
            prior=TextPrior(offered, strength=self._strength),
        )
        text, logprob = "", 0.0
        async for delta in run.generate(self._engine, request):
            text, logprob = text + delta.text, logprob + sum(delta.logprobs)
        return text.strip(), logprob

    async def _writable(self, offered: Mapping[str, float]) -> Mapping[str, float]:
        """Without those that are longer than what a model may write; none where the best is: then there is no choice."""
        if not await self._is_writable(max(offered, key=lambda text: offered[text])):
            return {}
        return {text: weight for text, weight in offered.items() if await self._is_writable(text)}

    async def _is_writable(self, text: str) -> bool:
        """Has it room for an end token, too? A token has a byte at least."""
        return len(text.encode()) < MAX_ANSWER_TOKENS or len(await self._engine.tokenize(text)) < MAX_ANSWER_TOKENS

    def _nearly_best(self, weights: Mapping[str, float]) -> dict[str, float]:
        """Those among which the model may choose: measured, its opinion only spoils what is told apart by more than that."""
        best = max(weights.values())
        return {text: weight for text, weight in weights.items() if best - weight <= self._near}

    async def _request(self, turns: Sequence[Message], ranked: Sequence[RankedTool]) -> Request:
        return replace(
            await self._requests.request(await self._requests.catalog(ranked), turns),
            sampling=replace(self._sampling, repetition_penalty=REPETITION_PENALTY),
            max_tokens=MAX_ANSWER_TOKENS,
        )


def quoted_answer(
    candidates: Mapping[str, WeighedCandidate], text: str, calls: Sequence[ToolCallFinished], logprob: float = 0.0
) -> QuotedAnswer:
    """The candidate of that text as the answer, with what is printed beside it, and how it stands among the others."""
    chosen = candidates.get(text)
    weights = {each: weighed.weight for each, weighed in candidates.items()}
    every = [weighed.candidate for weighed in candidates.values()]
    beside = companions(chosen.candidate, every) if chosen else []
    printed = [chosen.candidate, *beside] if chosen and bounds_of(chosen.candidate) else []
    whole = together(chosen.candidate, beside) if chosen else None
    others = [weight for other, weight in weights.items() if other != text]
    weight = weights.get(text, min(weights.values()))
    return QuotedAnswer(
        text=whole.text if whole else text,
        parts=tuple(printed),
        candidate=whole,
        calls=(*calls[:-1], _citing(calls[-1], [chosen.candidate, *beside] if chosen else ())),
        logprob=logprob,
        weight=weight,
        margin=weight - max(others) if others else 0.0,
        file_margin=_file_margin(candidates, text),
        candidates=len(candidates),
        printed=len(printed),
        share=share(printed, every),
    )


def with_other(answer: QuotedAnswer, other: QuotedAnswer, *, rivals: bool) -> QuotedAnswer | None:
    """An answer with the best of what another tool found behind it: documents beside code, or code beside documents; right
    behind it where they are `rivals`, of which neither is clearly surer. None where they are of one kind, where either is
    anything else, or there is no room for both."""
    if answer.candidate is None or answer.call is None or other.call is None:
        return None
    parts = mixed(answer.parts, other.parts, rivals=rivals)
    if not parts:
        return None
    behind = _citing(other.call, other.parts[:1])
    whole = replace(answer.candidate, text=together(parts[0], parts[1:]).text)
    return replace(answer, text=whole.text, alone=answer.text, candidate=whole, parts=tuple(parts), beside=(behind,))


def with_definition(answer: QuotedAnswer, told: str, call: ToolCallFinished) -> QuotedAnswer:
    """An answer with the definition of a value of its place right behind that place, and the call that found it."""
    assert answer.candidate is not None
    first = replace(answer.parts[0], text=f"{answer.parts[0].text}\n{told}")
    whole = answer.text.replace(answer.parts[0].text, first.text, 1)
    alone = answer.alone.replace(answer.parts[0].text, first.text, 1)
    return replace(
        answer,
        text=whole,
        alone=alone,
        candidate=replace(answer.candidate, text=whole),
        parts=(first, *answer.parts[1:]),
        beside=(*answer.beside, call),
    )


def _file_margin(candidates: Mapping[str, WeighedCandidate], chosen: str) -> float:
    """Nats between the chosen one and the best in another file."""
    files = {text: c.candidate.citation.fields.get("path") for text, c in candidates.items() if c.candidate.citation}
    if files.get(chosen) is None:
        return 0.0
    others = [candidates[text].weight for text, path in files.items() if path is not None and path != files[chosen]]
    return candidates[chosen].weight - max(others) if others else 0.0


def _citing(call: ToolCallFinished, candidates: Sequence[AnswerCandidate]) -> ToolCallFinished:
    """The call, its citations led by the candidates' own places."""
    own = {c.citation.label: c.citation for c in candidates if c.citation is not None}
    others = [citation for citation in call.result.citations if citation.label not in own]
    return replace(call, result=replace(call.result, citations=(*own.values(), *others)))


def _are_weighed(candidates: Mapping[str, WeighedCandidate]) -> bool:
    """Are they anything but rows of tables: passages, places in code, pieces of text, which their readers weigh better than a
    small model does?"""
    return not any(is_rows(weighed.call.result) for weighed in candidates.values())
