from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from portico_engine.text.detokenizer import IncrementalDetokenizer, StopStrings

BYTES = [bytes([b]) for b in range(256)]


@given(text=st.text(max_size=40))
def test_a_stream_of_single_bytes_emits_whole_characters_only(text: str) -> None:
    detokenizer = IncrementalDetokenizer(BYTES)
    pieces = [detokenizer.add(b) for b in text.encode()]
    assert "".join(pieces) == text
    assert all(len(piece) <= 1 for piece in pieces)


def test_bytes_that_are_no_text_become_replacement_characters() -> None:
    detokenizer = IncrementalDetokenizer(BYTES)
    assert "".join(detokenizer.add(b) for b in b"a\xff\xc3(b") == "a\ufffd\ufffd(b"


def test_a_character_cut_at_the_end_is_never_emitted() -> None:
    detokenizer = IncrementalDetokenizer(BYTES)
    assert "".join(detokenizer.add(b) for b in "ab€".encode()[:-1]) == "ab"


def test_control_tokens_have_no_text() -> None:
    detokenizer = IncrementalDetokenizer([b"\xff<|im_end|>", b"x"])
    assert [detokenizer.add(0), detokenizer.add(1)] == ["", "x"]


def test_control_tokens_that_are_asked_for_come_out_as_their_text() -> None:
    detokenizer = IncrementalDetokenizer([b"\xff[TOOL_CALLS]", b"x", b"\xff<s>"], {0})
    assert [detokenizer.add(token) for token in (0, 1, 2)] == ["[TOOL_CALLS]", "x", ""]


@given(
    pieces=st.lists(st.text("ab", max_size=4), max_size=12),
    stops=st.lists(st.text("ab", min_size=1, max_size=4), max_size=3),
)
def test_text_is_cut_at_the_first_stop_string_however_it_is_streamed(pieces: list[str], stops: list[str]) -> None:
    stream = StopStrings(stops)
    shown = [stream.add(piece) for piece in pieces]
    text = "".join(pieces)
    ends = [text.find(stop) for stop in stops if stop in text]
    if not ends:
        assert stream.met is None
        assert "".join(shown) + stream.flush() == text
        return
    assert stream.met in [stop for stop in stops if stop in text]
    # a stop string that is complete earlier wins over one that begins earlier but is complete later
    first = min(text.find(stop) + len(stop) for stop in stops if stop in text)
    out = "".join(shown)
    assert text.startswith(out)
    assert not any(stop in out for stop in stops)
    assert len(out) <= first
    assert stream.flush() == ""
    assert stream.add("more") == ""


def test_what_may_become_a_stop_string_is_held_back_until_it_does_not() -> None:
    stream = StopStrings(["</s>"])
    assert [stream.add(piece) for piece in ("a<", "/", "b", "</", "s>")] == ["a", "", "</b", "", ""]
    assert stream.met == "</s>"
