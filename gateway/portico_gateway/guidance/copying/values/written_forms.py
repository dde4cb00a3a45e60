"""How a span is written as a parameter's value: dates and times as its description wants them, percentages as its kind does."""

from __future__ import annotations

import re
from collections.abc import Sequence

from portico_gateway.guidance.copying.parameters import Parameter
from portico_gateway.guidance.copying.span_fit import SpanFit
from portico_gateway.guidance.copying.text.span import Span, SpanKind
from portico_gateway.guidance.copying.text.written_dates import read_date, read_time, write_date

_BESIDE = 12  # characters between a date and its time


def written(fit: SpanFit, span: Span, parameter: Parameter) -> str:
    """The span as the parameter's description wants it written: dates and times anew, everything else as it stands."""
    if span.kind is SpanKind.DATE and (date := read_date(span.text)):
        wanted = parameter.description or ("YYYY-MM-DD" if "yyyy-mm-dd" in fit.about else "")
        text = write_date(date._replace(year=date.year or fit.read.year), wanted)
        if text and re.search(r"T?HH:|T\d\d:", parameter.description):
            after = next((s for s in fit.spans if s.kind is SpanKind.TIME and 0 <= s.start - span.end < _BESIDE), None)
            clock = read_time(after.text) if after else "00:00:00"
            return f"{text}T{clock}"
        return text or span.text
    if span.kind is SpanKind.TIME and re.search(r"HH:MM", parameter.description) and (clock := read_time(span.text)):
        return clock if "HH:MM:SS" in parameter.description else clock[:5]
    return span.text


def by_percent(span: Span, parameter: Parameter) -> Sequence[int | float]:
    """20% is 20 where the parameter is a percentage, else 0.2."""
    if not span.percent:
        return span.numbers
    said = parameter.description.lower()
    decimal = "decimal" in said or "0." in said or (isinstance(parameter.default, float) and abs(parameter.default) < 1)
    percentage = "integer" in parameter.types or ("percent" in f"{said} {parameter.name}" and not decimal)
    return span.numbers if percentage else span.numbers[::-1]
