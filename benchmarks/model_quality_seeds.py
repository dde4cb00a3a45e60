"""Figures of several trainings with different seeds together: mean and 95% interval, and their picture. It asks nothing.

usage: python benchmarks/model_quality_seeds.py [RESULT]

Adapters whose names differ in `-seedN` alone are one recipe. The interval is Student's t over the seeds, so that it says what
another training would come to, not what other questions would. Reads a result of model_quality.py (the newest with seeds) and
writes docs/model-quality.svg.
"""

from __future__ import annotations

import json
import math
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from report import RESULTS

PICTURE = Path(__file__).parents[1] / "docs" / "model-quality.svg"
# Student's t at 97.5% by degrees of freedom.
_T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
_SEED = re.compile(r"^(?P<recipe>.+)-seed(?P<seed>\d+) (?P<guidance>\w+)$")
WANTED = {
    "simple_python": 66, "multiple": 66, "parallel": 40, "live_simple": 45, "live_multiple": 42, "irrelevance": 74,
    "answerable": 80,
}  # fmt: skip
_GROUP, _BAR, _LEFT, _TOP, _HEIGHT, _BELOW = 96, 24, 46, 62, 260, 56
_COLORS = {"auto": "#2563a8", "off": "#c2571a"}


def over_seeds(figures: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, dict[str, Any]]]:
    """By "recipe guidance" and section: the seeds, percent of each, mean and interval. Recipes of one seed have none."""
    groups: dict[str, dict[int, Mapping[str, Mapping[str, Any]]]] = defaultdict(dict)
    for name, sections in figures.items():
        if (found := _SEED.match(name)) is not None:
            groups[f"{found['recipe']} {found['guidance']}"][int(found["seed"])] = sections
    return {
        name: {
            section: summary({seed: share_of(of[section], section) for seed, of in sorted(seeds.items())})
            for section in next(iter(seeds.values()))
            if all(section in of for of in seeds.values())
        }
        for name, seeds in groups.items()
        if len(seeds) > 1
    }


def share_of(found: Mapping[str, Any], section: str) -> float:
    """Where a tool fits, calling the right one is what is asked; elsewhere the whole call."""
    return float(found["name" if section == "answerable" else "call"])


def summary(by_seed: Mapping[int, float]) -> dict[str, Any]:
    """Raises ValueError for one seed or more than ten: there is no interval of one."""
    values = list(by_seed.values())
    if len(values) - 1 not in _T:
        raise ValueError(f"an interval over {len(values)} seeds; there are 2 to {max(_T) + 1}")
    mean = statistics.mean(values)
    half = _T[len(values) - 1] * statistics.stdev(values) / math.sqrt(len(values))
    return {
        "seeds": list(by_seed), "percent": values, "mean": round(mean, 1),
        "interval": f"{max(mean - half, 0):.1f}-{min(mean + half, 100):.1f}", "half": round(half, 2),
    }  # fmt: skip


def picture(groups: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Bars of the means by section, guidance beside guidance, with intervals, each seed as a dot, and what is wanted."""
    sections = list(next(iter(groups.values())))
    width = _LEFT + _GROUP * len(sections) + 16
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_TOP + _HEIGHT + _BELOW}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{_TOP + _HEIGHT + _BELOW}" fill="white"/>',
        f'<text x="{_LEFT}" y="20" font-size="15">Right calls on BFCL, percent, over seeds</text>',
    ]
    for at, name in enumerate(groups):
        color, x = _color(name), _LEFT + 150 * at
        out.append(
            f'<rect x="{x}" y="32" width="11" height="11" fill="{color}"/><text x="{x + 16}" y="42">{escape(name)}</text>'
        )
    x = _LEFT + 150 * len(groups)
    out.append(f'<path d="M{x} 38h14" stroke="black" stroke-dasharray="3 2"/><text x="{x + 20}" y="42">wanted</text>')
    for percent in range(0, 101, 20):
        y = _y(percent)
        out.append(f'<path d="M{_LEFT} {y:.1f}H{width - 8}" stroke="#ddd"/><text x="8" y="{y + 4:.1f}">{percent}</text>')
    for at, section in enumerate(sections):
        left = _LEFT + _GROUP * at + (_GROUP - _BAR * len(groups)) / 2
        for bar, (name, found) in enumerate(groups.items()):
            out += _bar(left + _BAR * bar, found[section], _color(name))
        if section in WANTED:
            y = _y(WANTED[section])
            out.append(f'<path d="M{left - 6} {y:.1f}h{_BAR * len(groups) + 12}" stroke="black" stroke-dasharray="3 2"/>')
        middle = _LEFT + _GROUP * (at + 0.5)
        out.append(f'<text x="{middle}" y="{_TOP + _HEIGHT + 18}" text-anchor="middle">{escape(section)}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"


def _bar(x: float, found: Mapping[str, Any], color: str) -> list[str]:
    mean, half, middle = found["mean"], found["half"], x + _BAR / 2
    low, high = _y(max(mean - half, 0)), _y(min(mean + half, 100))
    dots = [f'<circle cx="{middle}" cy="{_y(value):.1f}" r="2.2" fill="white" stroke="black"/>' for value in found["percent"]]
    return [
        f'<rect x="{x + 2}" y="{_y(mean):.1f}" width="{_BAR - 4}" height="{_TOP + _HEIGHT - _y(mean):.1f}" fill="{color}"/>',
        f'<path d="M{middle} {low:.1f}V{high:.1f}" stroke="black"/>',
        *dots,
        f'<text x="{middle}" y="{_TOP + _HEIGHT - 6}" text-anchor="middle" font-size="9" fill="white">{mean:.0f}</text>',
    ]


def _y(percent: float) -> float:
    return _TOP + _HEIGHT * (1 - percent / 100)


def _color(name: str) -> str:
    return _COLORS.get(name.rpartition(" ")[2], "#555")


def newest() -> Path:
    """Raises SystemExit where no result has seeds."""
    for path in sorted(RESULTS.glob("model-quality-????-??-??.json"), reverse=True):
        if json.loads(path.read_text(encoding="utf-8")).get("over_seeds"):
            return path
    raise SystemExit("no result of model_quality.py has adapters that differ in -seedN alone")


def main(arguments: Sequence[str]) -> None:
    path = Path(arguments[0]) if arguments else newest()
    groups = json.loads(path.read_text(encoding="utf-8")).get("over_seeds")
    if not groups:
        raise SystemExit(f"{path} has no adapters that differ in -seedN alone")
    PICTURE.write_text(picture(groups), encoding="utf-8")
    print(f"written: {PICTURE}")


if __name__ == "__main__":
    main(sys.argv[1:])
