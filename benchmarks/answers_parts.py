"""The parts of an answer's making, and how each is left out for an ablation: answers.py measures what is lost without it.

The product has no switches for them. In this process functions are replaced; the database server, a process of its own, is
started by this file in the place of its command: `python -P benchmarks/answers_parts.py DATABASE...` serves without values.
"""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

START = 300.0  # seconds until a server that has not started is broken, not slow
EVERYTHING = "everything"  # nothing is left out
Apply = Callable[[ExitStack], None]
_SERVER = "portico_servers.db"


@contextmanager
def left_out(parts: Sequence[str]) -> Iterator[None]:
    """Within the block the agents that are made answer without these parts; `of_servers` gives the servers for them."""
    with ExitStack() as stack:
        for part in parts:
            PARTS[part](stack)
        yield


def of_servers(specs: Sequence[Any], parts: Sequence[str]) -> list[Any]:
    """The servers' specs (`UpstreamSpec`), for sessions without these parts. They may start as slowly as the machine is."""
    specs = [replace(spec, start_timeout=START) for spec in specs]
    if "value-index" not in parts:
        return specs
    return [replace(spec, args=_without_values(spec.args)) if _SERVER in spec.args else spec for spec in specs]


def _without_values(args: Sequence[str]) -> tuple[str, ...]:
    at = list(args).index(_SERVER)
    assert args[at - 1] == "-m", f"this is not how the database server is started any more: {args}"
    return (*args[: at - 1], __file__, *args[at + 1 :])


def changed(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, int]:
    """By what was left out, how many questions ended otherwise than with everything."""
    told = {name: {row["id"]: row["outcome"] for row in found} for name, found in rows.items()}
    whole = told[EVERYTHING]
    return {name: sum(whole[each] != outcome for each, outcome in found.items()) for name, found in told.items()}


def lost(
    outcomes: Mapping[str, Mapping[str, Any]], counted: str, changed: Mapping[str, int]
) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of a table: an outcome's count by group of questions with everything, then the difference a part
    makes. `outcomes`: `answers_scoring.summary` by what was left out."""
    whole = outcomes[EVERYTHING]
    rows = [[EVERYTHING, *(f"{group[counted]['count']} of {group['questions']}" for group in whole.values()), ""]]
    for name, found in outcomes.items():
        if name != EVERYTHING:
            less = [f"{found[group][counted]['count'] - whole[group][counted]['count']:+d}" for group in whole]
            rows.append([f"without {name}", *less, str(changed[name])])
    return ["", *whole, "ended otherwise"], rows


def _name_prior(stack: ExitStack) -> None:
    """No tool's name weighs more than another's; which are offered, and in which order, stays."""
    from portico_gateway.guidance.call_guide import CallGuide

    read = CallGuide.read

    def unweighed(self: Any, *arguments: Any) -> Any:
        found = read(self, *arguments)
        return replace(found, prior=found.prior and replace(found.prior, names=dict.fromkeys(found.prior.names, 0.0)))

    stack.enter_context(patch.object(CallGuide, "read", unweighed))


def _copy_grammar(stack: ExitStack) -> None:
    """Tools keep their schemas, and their arguments what the catalog's words say of them."""
    from portico_gateway.guidance.call_guide import CallGuide

    stack.enter_context(patch.object(CallGuide, "narrowed", lambda *_, **__: {}))


def _value_index(stack: ExitStack) -> None:
    """See `of_servers`."""


def _sentence_scorer(stack: ExitStack) -> None:
    """Passages of documents are weighed by the words they share with the question, as any text is."""
    from portico_gateway.agent.guided.answers import candidates
    from portico_gateway.agent.guided.extraction.extract import extract as read

    stack.enter_context(patch.object(candidates, "extract", lambda results: [replace(c, focus="") for c in read(results)]))


def _code_places(stack: ExitStack) -> None:
    """Files are not read beside their hits: what a search shows of them is all there is."""
    from portico_gateway.agent.guided.answers.candidates import CandidateReader

    async def none(*_: Any) -> list[Any]:
        return []

    stack.enter_context(patch.object(CandidateReader, "_of_files", none))


def _plans(stack: ExitStack) -> None:
    """A question is asked as one part, and no call reads on what another has named."""
    from portico_gateway.agent.guided import loop
    from portico_gateway.agent.guided.questions.plan import Part

    stack.enter_context(patch.object(loop, "parts", lambda question: [Part(question)]))
    stack.enter_context(patch.object(loop, "follow_up", lambda *_, **__: None))


def _companions(stack: ExitStack) -> None:
    """Of one tool, the best passage or place alone is told."""
    from portico_gateway.agent.guided.answers import answer_generation

    stack.enter_context(patch.object(answer_generation, "companions", lambda *_: []))


def _other_kind(stack: ExitStack) -> None:
    """Code stands alone, and so do documents: the surest."""
    from portico_gateway.agent.guided import part_run

    stack.enter_context(patch.object(part_run, "with_other", lambda *_, **__: None))


def _confidence(stack: ExitStack) -> None:
    """Every answer is sure enough; that its words are accounted for is still asked."""
    from portico_gateway.agent.guided.judging import verdict

    stack.enter_context(patch.object(verdict, "confidence", lambda *_: 1.0))


PARTS: dict[str, Apply] = {
    "name-prior": _name_prior,
    "copy-grammar": _copy_grammar,
    "value-index": _value_index,
    "sentence-scorer": _sentence_scorer,
    "code-places": _code_places,
    "plans": _plans,
    "companions": _companions,
    "other-kind": _other_kind,
    "confidence": _confidence,
}


def serve_without_values() -> None:
    """The database server's own command; no value of a text column is known to it."""
    from portico_servers.db.questions import proposals
    from portico_servers.db.questions.linking.value_index import build_value_index as build

    def without(*args: Any, **keywords: Any) -> Any:
        index = build(*args, **keywords)
        for known in (index.values, index.stems, index.starts, index.left_out):
            known.clear()
        return index

    with patch.object(proposals, "build_value_index", without):
        runpy.run_module(_SERVER, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    serve_without_values()
