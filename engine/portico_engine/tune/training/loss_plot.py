"""A run's losses as a picture: in the terminal always, as a PNG file where matplotlib is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

_WIDTH, _HEIGHT = 64, 10
_BARS = " ▁▂▃▄▅▆▇█"


def terminal_plot(points: Sequence[Mapping[str, float]], key: str = "loss") -> str:
    """Lines of text: the value over the steps, eighths of a line as steps of height. Empty for less than two points."""
    known = [(point["step"], point[key]) for point in points if key in point]
    if len(known) < 2:
        return ""
    low, high = min(value for _, value in known), max(value for _, value in known)
    columns = [known[round(at * (len(known) - 1) / (_WIDTH - 1))][1] for at in range(_WIDTH)]
    heights = [1 + round((value - low) / (high - low or 1) * (8 * _HEIGHT - 1)) for value in columns]
    lines = []
    for row in range(_HEIGHT - 1, -1, -1):
        label = f"{high:9.4g}" if row == _HEIGHT - 1 else f"{low:9.4g}" if row == 0 else " " * 9
        lines.append(f"{label} |" + "".join(_BARS[max(0, min(8, height - 8 * row))] for height in heights))
    steps = f"{known[0][0]:g}"
    lines.append(f"{key:>9} +{steps}{f'step {known[-1][0]:g}':>{_WIDTH - len(steps)}}")
    return "\n".join(lines)


def save_png(path: Path, points: Sequence[Mapping[str, float]], title: str) -> bool:
    """Every measure over the steps. False: matplotlib isn't there."""
    if importlib.util.find_spec("matplotlib") is None:
        return False
    from matplotlib.figure import Figure

    keys = [key for key in dict.fromkeys(key for point in points for key in point) if key not in ("step", "seconds")]
    figure = Figure(figsize=(7, 2.4 * max(1, len(keys))), layout="constrained")
    for at, key in enumerate(keys):
        axes = figure.add_subplot(len(keys), 1, at + 1)
        known = [(point["step"], point[key]) for point in points if key in point]
        axes.plot([step for step, _ in known], [value for _, value in known])
        axes.set_ylabel(key)
        axes.grid(alpha=0.3)
    if keys:
        figure.axes[0].set_title(title)
        figure.axes[-1].set_xlabel("step")
    figure.savefig(path, dpi=110)
    return True
