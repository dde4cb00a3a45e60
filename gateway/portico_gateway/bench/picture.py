"""The figures of a run as a PNG, by matplotlib where that is installed: one small chart a figure, a bar an executor."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from portico_gateway.bench.figures import compared

_COLUMNS = 3


def can_draw() -> bool:
    """Is matplotlib there?"""
    return importlib.util.find_spec("matplotlib") is not None


def draw(figures: Mapping[str, Mapping[str, float]], title: str, path: Path) -> None:
    """Write the picture. Raises ImportError without matplotlib, OSError where the file can't be written."""
    from matplotlib.figure import Figure as Canvas

    found = compared(figures)
    height = -(-len(found) // _COLUMNS)
    canvas = Canvas(figsize=(4 * _COLUMNS, 2.4 * height), layout="constrained")
    canvas.suptitle(title, fontsize=9)
    for i, row in enumerate(found):
        axes = canvas.add_subplot(height, _COLUMNS, i + 1)
        axes.barh([*row.values], [value or 0.0 for value in row.values.values()])
        axes.invert_yaxis()
        axes.set_title(f"{row.title}, {row.unit}", fontsize=8)
        axes.tick_params(labelsize=7)
    canvas.savefig(path, format="png", dpi=120)
