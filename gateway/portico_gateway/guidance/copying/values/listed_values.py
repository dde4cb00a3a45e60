"""Which of a parameter's listed values a question speaks for, and whether it says that something is so. It copies nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from portico_gateway.guidance.copying.parameters import Parameter
from portico_gateway.guidance.copying.span_fit import Fit, SpanFit
from portico_gateway.guidance.copying.text.span import Span, SpanKind
from portico_gateway.guidance.copying.values.copied_value import CopiedValue
from portico_gateway.guidance.stemming import content_words, spaced, stems_of

_NEGATION_REACH = 7  # tokens
_NEGATIONS = frozenset(
    "no not without don't don’t never exclude excluding except disable disabled off skip doesn't avoid".split()
)
_PLAIN_WORDS = frozenset(
    stem
    for word in "is has include includes enable use return show get with flag whether allow add set only should do".split()
    for stem in stems_of(word)
)


def listed_values(fit: SpanFit, parameter: Parameter) -> Iterator[CopiedValue]:
    """The schema's own values: those that are said, that stand for a number which is, or whose sense is near."""
    w = fit.weights
    truths = [o for o in parameter.options if str(o).lower() in ("true", "false", "yes", "no")]
    for rank, option in enumerate(parameter.options):
        if (number := _as_number(option)) is not None:
            near = [fit.of(parameter, s) for s in fit.spans if s.kind is SpanKind.NUMBER and number in s.numbers]
            best = max(near, default=Fit(0.0, 0.0))
            yield CopiedValue(option, best.weight - 0.01 * rank, None, best.evidence)
            continue
        if option in truths:
            spoken = _spoken(fit, parameter, truth=str(option).lower() in ("true", "yes"))
            yield CopiedValue(option, spoken + w.least, None, spoken)
            continue
        if not isinstance(option, str):
            yield CopiedValue(option, 0.0)
            continue
        said = w.option * share_said(fit, option)
        sense = w.option_sense * fit.vectors.cosine(spaced(option), fit.question)
        default = 2 * w.default if option == parameter.default else 0.0
        yield CopiedValue(
            option,
            said + sense + default - 0.01 * rank + w.least,
            _mention(fit, option),
            said if said >= w.option else 0.0,
            listed=True,
        )


def is_said(text: str, option: str) -> bool:
    """Is it said, word by word?"""
    if text.isascii() and option.isascii() and option.lower() not in text.lower():
        return False
    return bool(re.search(rf"(?<!\w){re.escape(option)}(?!\w)", text, re.IGNORECASE))


def _mention(fit: SpanFit, option: str) -> Span | None:
    """Where an option is said, word by word."""
    known = fit.read.mentions
    if option not in known:
        known[option] = _find_mention(fit, option)
    return known[option]


def _find_mention(fit: SpanFit, option: str) -> Span | None:
    match = re.search(
        rf"(?<!\w){re.escape(spaced(option))}s?(?!\w)|(?<!\w){re.escape(option)}(?!\w)", fit.question, re.IGNORECASE
    )
    return Span(match[0], match.start(), match.end(), SpanKind.PHRASE) if match else None


def share_said(fit: SpanFit, option: str) -> float:
    """How much of a listed value is said: its share of words, 1.2 where it is said as it stands."""
    known = fit.read.shares
    if option not in known:
        known[option] = _share(fit, option)
    return known[option]


def _share(fit: SpanFit, option: str) -> float:
    if is_said(fit.question, option) and (len(option) > 1 or _said_exactly(fit.question, option)):
        return 1.2
    own = set(content_words(spaced(option)))
    return len(own & fit.read.question_words) / len(own) if own else 0.0


def _said_exactly(text: str, option: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(option)}(?!\w)", text))


def _as_number(option: Any) -> int | float | None:
    if isinstance(option, str) and re.fullmatch(r"-?\d+(?:\.\d+)?", option):
        return float(option) if "." in option else int(option)
    return option if isinstance(option, int | float) and not isinstance(option, bool) else None


def truth_values(fit: SpanFit, parameter: Parameter) -> Iterator[CopiedValue]:
    """True where the words of its name are said, False behind a negation; else its default."""
    w = fit.weights
    default = parameter.default if isinstance(parameter.default, bool) else None
    for value in (True, False):
        spoken = _spoken(fit, parameter, truth=value)
        yield CopiedValue(value, spoken + w.least + (w.default if value is default else 0.0) + 0.1 * value, None, spoken)


def _spoken(fit: SpanFit, parameter: Parameter, *, truth: bool) -> float:
    """How far a question says that something is so, or is not."""
    own = parameter.name_stems - _PLAIN_WORDS
    at = [i for i, token in enumerate(fit.read.question_tokens) if token.stem in own]
    share = len({fit.read.question_tokens[i].stem for i in at}) / len(own) if own else 0.0
    negated = any(_negated(fit, i) for i in at)
    return fit.weights.option * share if share >= 0.5 and truth is not negated else 0.0


def _negated(fit: SpanFit, at: int) -> bool:
    for token in reversed(fit.read.question_tokens[max(0, at - _NEGATION_REACH) : at]):
        if token.low in _NEGATIONS:
            return True
        if token.low in (",", ".", ";", "but", "and", "?", "!"):
            return False
    return False
