"""The bars as a PNG."""

from __future__ import annotations

from pathlib import Path

import pytest

from portico_gateway.bench import picture


def test_without_matplotlib_it_is_known_before_anything_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not picture.can_draw()


@pytest.mark.skipif(not picture.can_draw(), reason="matplotlib is not installed")
def test_a_png_is_written(tmp_path: Path) -> None:
    picture.draw({"torch-cpu": {"prefill_512": 1000.0, "decode_1": 80.0}}, "a machine", tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
