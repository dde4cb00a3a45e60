"""Which tool is called, once it is known what each could be called with: retrieval's opinion, what the question would have it
change, what its call would lack, and what of the question it would leave unused. In nats; it narrows and retrieves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from portico_engine import Tool
from portico_gateway.guidance.change_verbs import change_asked, change_fit
from portico_gateway.guidance.copying.copy_grammar import NarrowedTool, UsedSpan
from portico_gateway.guidance.copying.parameters import Parameter
from portico_gateway.guidance.copying.text.span import Span, SpanKind
from portico_gateway.guidance.description_convention import StringRole, string_role
from portico_gateway.guidance.stemming import spaced
from portico_gateway.guidance.weights import RetrievalWeights

_FOLDERS = frozenset("directory folder dir tree".split())
_READERS = frozenset("read open show view describe".split())
_SEARCHES = frozenset("search find".split())
_NO_IDENTIFIERS = (SpanKind.DATE, SpanKind.TIME, SpanKind.ZONE)
_SHARES: Mapping[SpanKind, float] = {
    SpanKind.PHRASE: 0.0, SpanKind.CLAUSE: 0.0, SpanKind.NAME: 0.5, SpanKind.NUMBER: 0.5,
}  # fmt: skip


def change_weights(tools: Sequence[Tool], question: str, weights: RetrievalWeights) -> dict[str, float]:
    """By name, what a tool's change counts: a write is chosen where one is asked for. A deprecated tool counts less."""
    asked = change_asked(question)
    worth = {"asked": weights.change_asked, "not asked": weights.change_not_asked, "neutral": 0.0}
    old = weights.deprecated
    return {
        t.name: worth[change_fit(t, asked)] + (old if re.search(r"\bdeprecated\b", t.description, re.I) else 0.0) for t in tools
    }


def with_calls(
    names: Mapping[str, float], narrowed: Mapping[str, NarrowedTool], spans: Sequence[Span], weights: RetrievalWeights
) -> dict[str, float]:
    """The weights of names with what their calls would be; the best is 0. A tool that was not narrowed is taken to lack a
    value."""
    strong = [s for s in spans if _share(s) > 0 and not _within(s, spans)]
    out: dict[str, float] = {}
    for name, weight in names.items():
        of = narrowed.get(name)
        if of is None:
            out[name] = weight + weights.lacking
            continue
        used = sum(_used(span, of) for span in strong)
        vague = sum(map(_vague, of.used))
        shaped = any(u.parameter.required and u.span.kind is u.parameter.asked_shape for u in of.used)
        weight += weights.shape * shaped + weights.misused * any(map(_misused, of.used))
        weight += weights.unsaid * of.unsaid + weights.silent * (bool(strong) and not of.used and not of.in_words)
        weight += weights.misused * any(_file_for_folder(of.tool, used) for used in of.used)
        out[name] = weight + weights.lacking * len(of.free) + weights.vague * vague + weights.used * used
        words = set(spaced(name.split("__")[-1]).split()[:2])
        out[name] += weights.reader * bool(words & _READERS and used > 0)
        out[name] += weights.in_words if of.in_words else weights.search * bool(words & _SEARCHES and of.searches)
    best = max(out.values(), default=0.0)
    return {name: weight - best for name, weight in out.items()}


def _share(span: Span) -> float:
    return _SHARES.get(span.kind, 1.0)


def _within(span: Span, spans: Sequence[Span]) -> bool:
    """Does a larger one say it too?"""
    return any(
        other.start <= span.start and span.end <= other.end and (other.start, other.end) != (span.start, span.end)
        for other in spans
        if _share(other) > 0
    )


def _used(span: Span, of: NarrowedTool) -> float:
    """Its share, where the call takes it for something that it looks like; half as much against, where it takes it for
    something else."""
    for used in of.used:
        if used.span.start <= span.start and span.end <= used.span.end:
            return _share(span) * (1.0 if _looks_like(span, used) else -0.5)
    return 0.0


def _looks_like(span: Span, used: UsedSpan) -> bool:
    asked = used.parameter.asked_shape
    if span.kind is SpanKind.PATH:
        return asked is SpanKind.PATH or "." not in span.text.rsplit("/", 1)[-1]
    if asked in (SpanKind.PATH, SpanKind.URL, SpanKind.EMAIL, SpanKind.DATE, SpanKind.TIME):
        return span.kind in (asked, SpanKind.QUOTED)
    return True


def _misused(used: UsedSpan) -> bool:
    """Is it several words, a name or an identifier without a slash or a dot, where a path is needed; a name of several words
    or a time where an identifier is; a file's path where none is?"""
    asked, text = used.parameter.asked_shape, used.span.text
    if not used.parameter.required:
        return False
    if _is_number_of(used.parameter) and not any(map(str.isdigit, text)):
        return True  # "Ada Lovelace" is no member's id
    if asked is not SpanKind.PATH:
        file = used.span.kind is SpanKind.PATH and "." in text.rsplit("/", 1)[-1]
        return (file and string_role(used.parameter.keys[-1]) is not StringRole.QUERY) or (
            asked is SpanKind.IDENTIFIER
            and (used.span.kind in _NO_IDENTIFIERS or (used.span.kind is SpanKind.NAME and " " in text))
        )
    unlike = used.span.kind in (SpanKind.NAME, SpanKind.IDENTIFIER) or " " in used.span.text
    return unlike and not re.search(r"[./\\]", used.span.text)


def _file_for_folder(tool: Tool, used: UsedSpan) -> bool:
    """Does a tool that looks at folders take a file?"""
    folder = bool(set(spaced(tool.name.split("__")[-1]).split()) & _FOLDERS)
    return folder and used.span.kind is SpanKind.PATH and "." in used.span.text.rsplit("/", 1)[-1]


def _is_number_of(parameter: Parameter) -> bool:
    """Is it an id: not a key, a revision or the like, which may be a word?"""
    return parameter.asked_shape is SpanKind.IDENTIFIER and parameter.name.split()[-1] in ("id", "ids", "uuid")


def _vague(used: UsedSpan) -> bool:
    """Is it plain words for something that has a name of its own: "the class" for a symbol?"""
    parameter = used.parameter
    plain = used.span.kind in (SpanKind.PHRASE, SpanKind.CLAUSE)
    if parameter.asked_shape is SpanKind.PATH and " " not in used.span.text:
        return False  # "in tally": a folder's own name
    return plain and parameter.required and not parameter.searches
