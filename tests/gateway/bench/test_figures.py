"""Figures as rows and bars."""

from __future__ import annotations

from portico_gateway.bench.figures import bars, compared, rows

FOUND = {
    "torch-cpu": {"prefill_512": 1000.0, "decode_1": 80.0, "call_seconds_16": 0.25, "calls_valid_16": 1.0},
    "llama_cpp": {"prefill_512": 250.0, "call_seconds_16": 0.5, "calls_valid_16": 0.5},
}


def test_rows_have_units_and_a_dash_where_nothing_was_measured() -> None:
    shown = [(row.title, row.unit, row.shown("torch-cpu"), row.shown("llama_cpp")) for row in rows(FOUND)]
    assert shown == [
        ("prefill, 512 tokens", "tokens/s", "1,000", "250"),
        ("decode, 1 at once", "tokens/s", "80.0", "-"),
        ("a call of those, 16 at a time, p50", "ms", "250", "500"),
        ("of those valid, 16 at a time", "%", "100", "50.0"),
    ]


def test_bars_are_as_long_as_their_share_of_the_longest_and_fit() -> None:
    lines = list(bars(FOUND, 60))
    assert all(len(line) <= 60 for line in lines)
    torch, llama = lines[1], lines[2]
    assert torch.count("█") == 4 * llama.count("█") or abs(torch.count("█") - 4 * llama.count("█")) < 4
    assert "not measured" in lines[5]
    assert not any("valid" in line for line in lines)


def test_where_less_is_better_it_is_said() -> None:
    assert [row.more_is_better for row in compared(FOUND)] == [True, True, False]
    assert any(line.endswith("(less is better)") for line in bars(FOUND, 60))


def test_nothing_measured_is_no_lines() -> None:
    assert list(bars({}, 60)) == []
