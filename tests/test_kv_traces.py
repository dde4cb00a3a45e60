"""The replay of traces counts what the real scheduler and index find; Belady's policy is an upper bound; figures are drawn."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

import kv_traces
import kv_traces_plot
from kv_trace_inputs import Conversation, Trace, Turn
from kv_trace_replay import Future, Radix, Replay, unlimited


def passage(start: int, n: int) -> tuple[int, ...]:
    return tuple(range(start, start + n))


def conversation(begins: float, own: int, turns: int = 3, pause: float = 1.0, pin: float = 0.0) -> Conversation:
    """Turns that go on behind the same 100 tokens."""
    prompt, made = (*passage(0, 100), *passage(own, 150)), []
    for k in range(turns):
        answer = passage(own + 1000 * (k + 1), 20)
        made.append(Turn(prompt, answer, pause if k else 0.0, pin))
        prompt = (*prompt, *answer, *passage(own + 1000 * (k + 1) + 500, 90))
    return Conversation(begins, tuple(made))


TRACE: Trace = tuple(conversation(2.0 * i, 10_000 * (i + 1)) for i in range(6))


def test_where_nothing_is_evicted_every_token_of_a_radix_tree_is_found() -> None:
    replayed = Replay(TRACE, unlimited(TRACE), radix=True).run()
    assert replayed.found == replayed.radix > 0
    assert replayed.evictions == 0
    assert replayed.prompt == sum(len(turn.prompt) for one in TRACE for turn in one.turns)
    answers = sum(len(turn.answer) - 1 for one in TRACE for turn in one.turns)
    assert replayed.computed == replayed.prompt - replayed.found + answers
    assert len(replayed.admitted) == 18


def test_a_radix_tree_knows_the_longest_beginning_among_the_ended_and_the_running() -> None:
    radix = Radix()
    for tokens in ((1, 2, 3), (1, 2, 9, 9), (5,)):
        radix.add(tokens)
    assert radix.common((1, 2, 9, 4), iter(())) == 3
    assert radix.common((1, 2, 9, 9), iter(())) == 3, "the last token is computed"
    assert radix.common((7, 7, 7), iter([(7, 7)])) == 2


@pytest.mark.parametrize("blocks", [60, 80, 120])
def test_nothing_finds_more_than_who_knows_the_future(blocks: int) -> None:
    best = Replay(TRACE, unlimited(TRACE)).run()
    found = {
        name: Replay(TRACE, blocks, policy, Future(TRACE, best.admitted)).run().found
        for name, policy in kv_traces.POLICIES.items()
    }
    assert found["Belady"] >= max(found.values())
    assert best.found >= found["Belady"]


def test_the_page_and_the_plot_show_every_figure() -> None:
    evicted = kv_traces.eviction(TRACE, [0.5, 1.0])
    reused = [{"trace": "a", "requests": 18, "prompt_tokens": 1000, "found": 500, "radix": 501, "share": 500 / 501}]
    waste = {"mean_tokens": 700.0, "paged": 0.0123, "contiguous": 0.8, "paged_mib_of_contiguous_gib": 200.0}
    figures = {"waste": waste, "reuse": reused, "eviction": {"some": evicted}}
    page = kv_traces_plot.page(figures)
    assert "1.23%" in page
    assert f"{500 / 501:.2%}" in page
    for level in evicted["levels"]:
        assert f"{level['cost-aware']['found']:.1%}" in page
    drawn = ElementTree.fromstring(kv_traces_plot.plot(figures["eviction"]))
    assert len(drawn.findall(".//{http://www.w3.org/2000/svg}polyline")) == len(kv_traces.POLICIES)


def test_blocks_waste_less_than_one_in_twenty_five() -> None:
    assert kv_traces.waste(1)["paged"] < 0.04 < kv_traces.waste(1)["contiguous"]
