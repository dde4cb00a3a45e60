"""What is done instead of something better is said once."""

from __future__ import annotations

import logging

import pytest

from portico_engine.fallbacks import Fallbacks


def test_each_kind_is_one_line_in_the_log_with_its_first_reason(caplog: pytest.LogCaptureFixture) -> None:
    found = Fallbacks()
    found.record("weights", "blk.0.attn_q is not quantized")
    found.record("weights", "blk.1.attn_q is not quantized")
    found.record("graphs", "a step can't be captured")
    assert [record.getMessage() for record in caplog.records] == [
        "bfloat16 instead of the file's codes: blk.0.attn_q is not quantized",
        "one launch after the other instead of CUDA graphs: a step can't be captured",
    ]
    assert found.described() == {
        "weights": "bfloat16 instead of the file's codes: blk.0.attn_q is not quantized",
        "graphs": "one launch after the other instead of CUDA graphs: a step can't be captured",
    }


def test_what_nobody_expected_otherwise_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    Fallbacks().record("device", "torch finds no NVIDIA GPU", expected=True)
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_who_only_wants_to_know_leaves_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    found = Fallbacks(quiet=True)
    found.record("executor", "no decoder")
    assert found.described() == {"executor": "llama.cpp instead of torch: no decoder"}
    assert not caplog.records
