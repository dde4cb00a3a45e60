"""CallGuide: everything that guidance says about one call, for whoever writes it: which tool, and what its arguments may be.

The agent of small models and the HTTP APIs use it alike. It only prepares: the engine compiles the grammar and applies the
prior. It knows tools as names, descriptions and schemas, and a conversation as its texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from portico_engine import CallPrior, Tool, ToolCallPrior
from portico_gateway.guidance.argument_priors import ArgumentPriors, LazyPriors
from portico_gateway.guidance.copying.copy_grammar import NO_BELIEFS, NarrowedTool, narrow, without_unsaid_filters
from portico_gateway.guidance.copying.parameters import read_schema
from portico_gateway.guidance.copying.read_text import ReadText
from portico_gateway.guidance.copying.span_fit import SpanFit
from portico_gateway.guidance.copying.text_vectors import TextVectors
from portico_gateway.guidance.copying.value_assignment import fill, with_strings
from portico_gateway.guidance.description_convention import shows_question
from portico_gateway.guidance.guided_call import GuidedCall
from portico_gateway.guidance.question import read_question
from portico_gateway.guidance.question_evidence import QuestionEvidence
from portico_gateway.guidance.question_readings import Readings
from portico_gateway.guidance.read_calls import with_readings
from portico_gateway.guidance.tool_choice import with_calls
from portico_gateway.guidance.tool_nearness import ToolNearness, server_of
from portico_gateway.guidance.tool_retrieval import TextEmbedding, WordInformation, uninformed
from portico_gateway.guidance.weights import DEFAULT_WEIGHTS, Weights


class CallGuide:
    """Guides the calls of a small model. `names` and `copies` switch its two halves off, for measuring."""

    def __init__(
        self,
        embed: TextEmbedding,
        weights: Weights = DEFAULT_WEIGHTS,
        *,
        information: WordInformation = uninformed,
        names: bool = True,
        copies: bool = True,
    ) -> None:
        self.weights = weights
        self._embed, self._information = embed, information
        self._names, self._copies = names, copies
        self._vectors = TextVectors(embed)
        self._nearness = ToolNearness(self._vectors.embed, weights)
        self._priors = ArgumentPriors(embed, weights)

    def guides(self, parameters: int) -> bool:
        """Is a model of so many parameters one that needs it?"""
        return self.weights.strength.is_small(parameters)

    def knows(self, tools: Sequence[Tool]) -> bool:
        """Has it read all of these before?"""
        return self._nearness.knows(tools)

    def guide(
        self,
        tools: Sequence[Tool],
        question: str,
        earlier: str = "",
        *,
        several: bool = False,
        tuned: bool = False,
        readings: Readings | None = None,
    ) -> GuidedCall:
        """What is said about the call that answers a question, with the tools in their own order. `earlier`: what was found
        for it already, which values may be copied from, too. `several`: an answer may have several calls, of which each takes
        its own part of the question: what is believed of one call's values would be the same for all, and is not said.
        `tuned`: the model has learned to fill in values, and is left to it but for arguments that come in several forms,
        and filters that nothing speaks for where nothing was found yet; whether it calls at all is weighed. `readings`: what
        the tools' own servers say of the question."""
        text = ReadText(question, earlier)
        self._vectors.add((question, *text.compared()))
        near = self._nearness.of(tools, question)
        best = sorted(tools, key=lambda tool: -near[tool.name])[: self._most_narrowed(tools)]
        narrowed = self._narrowed(best, text, self._beliefs(best, question))
        names = with_calls(near, narrowed, text.question_spans, self.weights.retrieval)
        prior = ToolCallPrior(names if self._names else {}, {}, strength=self.weights.strength.small)
        if tuned:
            prior = replace(prior, call=self.weights.tuned.call, own_values=True)
        if several or not self._copies:
            return GuidedCall(tuple(tools), prior)
        if tuned:
            narrowed = {
                tool.name: of
                if of.in_words
                else NarrowedTool(without_unsaid_filters(tool, of) if not earlier else tool, of.prior)
                for tool in best
                for of in (narrowed[tool.name],)
            }
        calls = {name: of.prior for name, of in narrowed.items() if of.in_words or not tuned}
        kept = tuple(narrowed[tool.name].tool if tool.name in narrowed else tool for tool in tools)
        free = {name: of.free for name, of in narrowed.items() if of.free}
        return self.read(GuidedCall(kept, replace(prior, calls=calls), free), question, readings or {})

    def read(self, guided: GuidedCall, question: str, readings: Readings) -> GuidedCall:
        """The call with what the tools' own servers say of the question."""
        if not readings or not self._names:
            return guided
        evidence = QuestionEvidence(question, self._embed, self._information)
        return with_readings(guided, question, readings, evidence, self.weights.readings)

    def _most_narrowed(self, tools: Sequence[Tool]) -> int:
        """Of tools of several servers more, since what their calls would be says more than how near they are."""
        several = len({server_of(tool.name) for tool in tools}) > 1
        return self.weights.copies.most_weighed if several else self.weights.copies.most_tools

    def _beliefs(self, tools: Sequence[Tool], question: str) -> Mapping[str, CallPrior]:
        """What the words of a question say of arguments that come in several forms, and of tools that take whole questions."""
        read = [t for t in tools if shows_question(t.description) or read_schema(t).has_alternatives]
        return LazyPriors(self._priors, read, read_question(question)) if read else {}

    def near_definitions(self, tools: Sequence[Tool], question: str) -> dict[str, float]:
        """By name, how near the tools are by their whole definition, in nats: what counts for those of a server that shows no
        typical questions, whose best sentences alone say little."""
        return self._nearness.definitions(tools, question, self.weights.retrieval.definition_beside)

    def narrowed(
        self, tools: Sequence[Tool], question: str, beliefs: Mapping[str, CallPrior] | None = None, earlier: str = ""
    ) -> dict[str, NarrowedTool]:
        """Tools by name, each as the question leaves it. `beliefs`: what else is believed of a tool's arguments, by its name;
        a tool whose object has several forms is left to them."""
        return self._narrowed(tools, ReadText(question, earlier), beliefs or {})

    def _narrowed(self, tools: Sequence[Tool], text: ReadText, beliefs: Mapping[str, CallPrior]) -> dict[str, NarrowedTool]:
        self._vectors.add(text.compared())
        return {tool.name: self._narrow(tool, text, beliefs.get(tool.name, NO_BELIEFS)) for tool in tools}

    def _narrow(self, tool: Tool, text: ReadText, believed: CallPrior) -> NarrowedTool:
        schema = read_schema(tool)
        if tool.text_input is not None:  # one text, which its own grammar shapes
            return NarrowedTool(tool, believed, searches=schema.searches)
        in_words = believed != NO_BELIEFS and schema.has_alternatives
        if not schema.parameters or in_words:
            return NarrowedTool(tool, believed, searches=schema.searches, in_words=in_words)
        about = f"{tool.name} {tool.description}".replace(".", " ")
        fit = SpanFit(text, schema, self._vectors, self.weights.copies, about)
        share = 1.0 if shows_question(tool.description) else self.weights.copies.topic_elsewhere
        filled = [with_strings(of, believed.values.get(of.parameter.path, {}), share) for of in fill(fit)]
        return narrow(tool, filled, self.weights.copies, self.weights.keys, believed)
