"""What of a text may be copied."""

from __future__ import annotations

import time

import pytest

from portico_gateway.guidance.copying.text.span import SpanKind
from portico_gateway.guidance.copying.text.spans import MOST_SPANS, read_spans


@pytest.mark.parametrize(
    ("text", "whole", "kind"),
    [
        ("What is in /tmp/x/notes.txt?", "/tmp/x/notes.txt", SpanKind.PATH),
        ("open reading-list.md please", "reading-list.md", SpanKind.PATH),
        ("what does Session.read return?", "Session.read", SpanKind.IDENTIFIER),
        ("is 8.2.1 out?", "8.2.1", SpanKind.VERSION),
        ("play AC/DC", "AC/DC", SpanKind.PATH),
        ("the time in Asia/Tokyo", "Asia/Tokyo", SpanKind.ZONE),
        ("get https://example.org/a?b=1.", "https://example.org/a?b=1", SpanKind.URL),
        ("write to bob@example.org now", "bob@example.org", SpanKind.EMAIL),
        ("on the 15th of March 2024", "15th of March 2024", SpanKind.DATE),
        ("at 8:30 pm", "8:30 pm", SpanKind.TIME),
        ("show HEAD~1", "HEAD~1", SpanKind.IDENTIFIER),
        ("call parse_date()", "parse_date()", SpanKind.IDENTIFIER),
        ("say 'it's late' twice", "it's late", SpanKind.QUOTED),
        ("fly to New York, NY today", "New York, NY", SpanKind.NAME),
        ("songs by Guillermo del Toro", "Guillermo del Toro", SpanKind.NAME),
        ("mail Mr. Smith", "Mr. Smith", SpanKind.NAME),
        ("area under 3x^2 + 2x - 4 here", "3x^2 + 2x - 4", SpanKind.FORMULA),
    ],
)
def test_what_belongs_together_stays_whole(text: str, whole: str, kind: SpanKind) -> None:
    assert (whole, kind) in [(span.text, span.kind) for span in read_spans(text)]


def test_a_span_says_where_it_stands() -> None:
    text = "Weather in Paris and Rome on 2024-05-01 for 3 days"
    for span in read_spans(text):
        if span.kind in (SpanKind.NAME, SpanKind.NUMBER, SpanKind.DATE, SpanKind.PHRASE):
            assert text[span.start : span.end] == span.text


def test_lists_and_objects_are_read_as_json() -> None:
    (span,) = [span for span in read_spans("sum [1, 2.5, 3]") if span.kind is SpanKind.LITERAL]
    assert span.literal == [1, 2.5, 3]


def test_a_numeral_within_a_name_is_no_number() -> None:
    assert SpanKind.NUMBER not in [span.kind for span in read_spans("houses in Thousand Oaks")]


def test_two_sentences_make_no_name_together() -> None:
    assert "Texas. Don't" not in [span.text for span in read_spans("cases in Texas. Don't print them")]


@pytest.mark.parametrize("piece", ["a.", "[", "((", "a/", "Ab ", "1,", "'", "x^", "-1 "])
def test_a_long_text_has_a_bounded_number_of_spans_and_takes_bounded_time(piece: str) -> None:
    began = time.process_time()
    assert len(read_spans(piece * 20_000)) <= MOST_SPANS
    assert time.process_time() - began < 60  # a pattern that backtracks without end would take hours
